/* SPDX-License-Identifier: MIT */
/* The client's address changes on the way, as behind a NAT that forgets: the server
 * follows, whichever worker the packets then come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "company.h"
#include "link.h"

static struct host host;
static struct link_child link_child;

static int begin(void **state)
{
    (void)state;
    host_begin(&host, NULL);
    link_begin(&link_child, host.port, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    link_end(&link_child);
    host_end(&host);
    return 0;
}

static void the_server_follows(void **state)
{
    struct guest guests[2];
    (void)state;
    guest_begin(&guests[0], &host, "a", "127.0.0.1", link_child.port);
    guest_begin(&guests[1], &host, "b", "127.0.0.1", host.port);
    guest_set(&guests[0], "transport", "webtransport");
    company_join(guests);
    for (int i = 0; i < 10; i++) {
        link_do(&link_child, "rebind");
        company_talk_more(guests, 10);
        GUESTS_UNTIL(guests, 2, guest_has_all(&guests[0], &guests[1]));
    }
    company_unmoved(guests, 1);
    guests_end(guests, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_server_follows, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
