/* SPDX-License-Identifier: MIT */
/* Real interfaces and a real firewall, in network namespaces of the test's own. Where
 * these are not permitted the test says so and is skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "company.h"
#include "net.h"

static struct host host;

static int begin(void **state)
{
    static const char *const options[] = {"bind", NET_SERVER "," NET_SERVER_SECOND,
                                          "insecure-open", "true", NULL};
    const char *why = "";
    (void)state;
    if (!net_begin(&why)) {
        fail_msg("%s", why);
    }
    net_enter_server();
    host_begin(&host, options);
    net_enter_client();
    return 0;
}

static int end(void **state)
{
    (void)state;
    host_end(&host);
    net_end();
    return 0;
}

static void two_guests(struct guest guests[2], const char *transport)
{
    guest_begin(&guests[0], &host, "a", NET_SERVER, host.port);
    guest_begin(&guests[1], &host, "b", NET_SERVER_SECOND, host.port);
    guest_set(&guests[0], "transport", transport);
    guest_set(&guests[0], "upgrade-interval", "300ms");
}

/* --- Interfaces ------------------------------------------------------------------- */

static void plug_in_again(void)
{
    net_client("ip addr replace 10.77.1.2/24 dev c1");
    net_client("ip link set c1 up");
    net_client("ip route replace 10.77.0.1 via 10.77.1.1 metric 1");
}

/* WebTransport only: there is nothing else to go to, so it must have migrated. */
static void an_interface_goes(const char *order)
{
    struct guest guests[2];
    two_guests(guests, "webtransport");
    company_join(guests);
    company_talk_more(guests, 20);
    net_client("%s", order);
    company_talk_more(guests, 20);
    GUESTS_UNTIL(guests, 2,
                 guest_has_all(&guests[1], &guests[0]) &&
                     guest_has_all(&guests[0], &guests[1]));
    company_unmoved(guests, 1);
    /* And it goes back when the preferred one is there again. */
    plug_in_again();
    company_talk_more(guests, 20);
    GUESTS_UNTIL(guests, 2,
                 guest_has_all(&guests[1], &guests[0]) &&
                     guest_has_all(&guests[0], &guests[1]));
    net_client("ip link set c2 down"); /* which proves that it did; b is away with it */
    long said = guests[0].said;
    for (int i = 0; i < 20; i++) {
        guest_say(&guests[0]);
    }
    GUESTS_UNTIL(guests, 2, guests[0].confirmed == said + 20);
    assert_int_equal(guests[0].opens, 1);
    assert_int_equal(guests[0].waits, 0);
    net_client("ip link set c2 up");
    net_client("ip route replace 10.77.0.1 via 10.77.2.1 metric 2");
    GUESTS_UNTIL(guests, 2, guest_has_all(&guests[1], &guests[0]));
    assert_int_equal(guests[0].disorder + guests[1].disorder, 0);
    guests_end(guests, 2);
}

static void an_address_is_taken_away(void **state)
{
    (void)state;
    an_interface_goes("ip addr del 10.77.1.2/24 dev c1");
}

static void an_interface_goes_down(void **state)
{
    (void)state;
    an_interface_goes("ip link set c1 down");
}

/* Over the new way the server cannot be reached: by what is left, or anew. */
static void the_new_way_leads_nowhere(void **state)
{
    struct guest guests[2];
    (void)state;
    two_guests(guests, "auto");
    guest_set(&guests[0], "keep-alive", "1s");
    guest_set(&guests[0], "silence-timeout", "4s");
    company_join(guests);
    company_talk_more(guests, 20);
    net_server("nft add table inet wall");
    net_server("nft add chain inet wall in '{ type filter hook input priority 0; }'");
    net_server("nft add rule inet wall in iifname s2 ip daddr " NET_SERVER " drop");
    net_client("ip link set c1 down");
    GUESTS_UNTIL(guests, 2, guests[0].waits > 0);
    net_server("nft delete table inet wall");
    GUESTS_UNTIL(guests, 2, guests[0].joined > 1);
    guest_say(&guests[1]);
    GUESTS_UNTIL(guests, 2,
                 guest_has_all(&guests[0], &guests[1]) ||
                     guests[0].reliable[1] == guests[1].said);
    plug_in_again();
    guests_end(guests, 2);
}

/* --- A firewall ------------------------------------------------------------------- */

static void behind_a_wall_within_a_second_and_up_again(void **state)
{
    struct guest guests[2];
    (void)state;
    net_server("nft add table inet wall");
    net_server("nft add chain inet wall in '{ type filter hook input priority 0; }'");
    net_server("nft add rule inet wall in ip daddr " NET_SERVER " udp dport %u drop",
               host.port);
    two_guests(guests, "auto");
    guest_join(&guests[1], "room");
    GUESTS_UNTIL(&guests[1], 1, guests[1].joined == 1);
    uint64_t began = guest_clock_ms();
    guest_join(&guests[0], "room");
    GUESTS_UNTIL(guests, 2, guests[0].joined == 1);
    assert_true(guest_clock_ms() - began < 1000);
    assert_int_equal(guests[0].transport, YOMO_TRANSPORT_WEBSOCKET);
    net_server("nft delete table inet wall");
    COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBTRANSPORT);
    company_talk_more(guests, 20);
    company_unmoved(guests, 2);
    /* The wall again, in the middle. */
    net_server("nft add table inet wall");
    net_server("nft add chain inet wall in '{ type filter hook input priority 0; }'");
    net_server("nft add rule inet wall in ip daddr " NET_SERVER " udp dport %u drop",
               host.port);
    COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBSOCKET);
    company_unmoved(guests, 3);
    net_server("nft delete table inet wall");
    guests_end(guests, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_address_is_taken_away, begin, end),
        cmocka_unit_test_setup_teardown(an_interface_goes_down, begin, end),
        cmocka_unit_test_setup_teardown(the_new_way_leads_nowhere, begin, end),
        cmocka_unit_test_setup_teardown(behind_a_wall_within_a_second_and_up_again,
                                        begin, end),
    };
    const char *why = "";
    if (!net_begin(&why)) {
        fprintf(stderr, "skipped: %s\n", why);
        return 77;
    }
    net_end();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
