/* SPDX-License-Identifier: MIT */
/* test_admin_http.c - calls of operators while memory ends: each is answered exactly
 * once, with what was done or with a status that says why not, and nothing is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "server/admin_http.h"
#include "support/fault.h"
#include "transport/http/exchange_type.h"

#define WS YOMO_TRANSPORT_WEBSOCKET

static const char secret[] = "0123456789abcdef0123456789abcdef";

/* A request whose client waits. */
struct asked {
    struct yo_exchange exchange; /* first */
    int answers, status;
    char body[512];
};

static struct yo_span header(const struct yo_exchange *exchange, const char *name)
{
    (void)exchange;
    return strcmp(name, "Authorization") == 0
               ? yo_span_of("Bearer 0123456789abcdef0123456789abcdef")
           : strcmp(name, "Content-Type") == 0 ? yo_span_of("application/json")
           : strcmp(name, "Host") == 0         ? yo_span_of("127.0.0.1")
                                               : YO_SPAN_NONE;
}

static void answered(struct yo_exchange *exchange, int status,
                     const char *const *headers, struct yo_span body)
{
    struct asked *asked = (struct asked *)exchange;

    (void)headers;
    asked->answers++;
    asked->status = status;
    snprintf(asked->body, sizeof(asked->body), "%.*s", (int)body.size,
             body.size > 0 ? (const char *)body.data : "");
}

static struct yo_exchange *hold(struct yo_exchange *exchange)
{
    return exchange;
}

static struct yo_exchange *hold_nothing(struct yo_exchange *exchange)
{
    (void)exchange;
    return NULL;
}

static const struct yo_exchange_ops ops = {header, answered, hold};
static const struct yo_exchange_ops poor_ops = {header, answered, hold_nothing};

/* GET with a query, or POST with a body. */
static void ask(struct rig *rig, struct asked *asked, const char *call,
                const char *query, const char *body)
{
    static char path[64];
    struct yo_worker *worker = rig_worker(rig, 0);

    snprintf(path, sizeof(path), "/admin/v1/%s", call);
    *asked =
        (struct asked){.exchange = {.ops = &ops,
                                    .method = yo_span_of(body ? "POST" : "GET"),
                                    .path = yo_span_of(path),
                                    .query = query ? yo_span_of(query) : YO_SPAN_NONE,
                                    .body = body ? yo_span_of(body) : YO_SPAN_NONE,
                                    .address = yo_span_of("127.0.0.1:9"),
                                    .plain = true,
                                    .admin = true}};
    yo_admin_answer(worker, &asked->exchange, yo_loop_now(worker->loop));
    rig_settle(rig);
}

static void open_rig(struct rig *rig, const struct yomo_mem *mem)
{
    rig_open_with(rig, mem, 2, NULL, NULL, NULL);
    assert_int_equal(yo_buf_append_text(&rig->server->admin_secret, secret), YOMO_OK);
    rig->server->state = YO_SERVER_SERVING;
}

static void close_rig(struct rig *rig)
{
    rig->server->state = YO_SERVER_NEW;
    rig_close(rig);
}

static const struct {
    const char *call, *query, *body, *says;
} calls[] = {
    {"rooms", NULL, NULL, "\"room\":\"r\""},
    {"members", "room=r", NULL, "\"id\":\"a\""},
    {"set-value", NULL, "{\"room\":\"r\",\"key\":\"k\",\"data\":{\"n\":1}}", "version"},
    {"value", "room=r&key=k", NULL, "\"value\":{\"n\":1}"},
    {"delete-value", NULL, "{\"room\":\"r\",\"key\":\"k\"}", "deleted"},
    {"publish", NULL, "{\"room\":\"r\",\"event\":\"e\",\"data\":[1],\"id\":\"a\"}",
     "published"},
    {"kick", NULL, "{\"room\":\"r\",\"id\":\"nobody\",\"reason\":\"x\"}",
     "\"kicked\":0"},
    {"ban", NULL, "{\"id\":\"eve\",\"address\":\"192.0.2.77\",\"seconds\":60}",
     "\"kicked\":0"},
    {"bans", NULL, NULL, "\"bans\":["},
    {"unban", NULL, "{\"id\":\"eve\"}", "unbanned"},
    {"stats", NULL, NULL, "\"rooms\":1"},
    {"close", NULL, "{\"room\":\"other\"}", "\"kicked\":0"},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* What is not there because an earlier call failed is a 404. */
static void check(const struct asked *asked, size_t i, bool failed)
{
    assert_int_equal(asked->answers, 1);
    if (asked->status == 200) {
        if (!strstr(asked->body, calls[i].says)) {
            fail_msg("%s answers %s", calls[i].call, asked->body);
        }
    } else if (!failed || (asked->status != 503 && asked->status != 404)) {
        fail_msg("%s answers %d %s", calls[i].call, asked->status, asked->body);
    }
}

static void every_allocation_may_fail(void **unused)
{
    struct fault fault;

    (void)unused;
    for (size_t i = 0; i < CALLS; i++) {
        bool failed = true;
        for (size_t nth = 1; failed; nth++) {
            struct asked asked, before;
            struct rig rig;
            struct client *a;
            fault_init(&fault, 0, FAULT_ONCE);
            open_rig(&rig, &fault.mem);
            a = rig_connect(&rig, 1, WS, "yomo=1&id=a");
            client_join(a, "r", NULL);
            for (size_t k = 2; k < i && i < 5; k++) { /* what it needs */
                ask(&rig, &before, calls[k].call, calls[k].query, calls[k].body);
                assert_int_equal(before.status, 200);
            }
            if (i == 8 || i == 9) {
                ask(&rig, &before, "ban", NULL, calls[7].body);
            }
            fault_arm(&fault, nth, i % 2 ? FAULT_FROM : FAULT_ONCE);
            ask(&rig, &asked, calls[i].call, calls[i].query, calls[i].body);
            failed = atomic_load(&fault.failed);
            fault_arm(&fault, 0, FAULT_ONCE);
            rig_settle(&rig);
            check(&asked, i, failed);
            close_rig(&rig);
            fault_assert_no_leak(&fault);
            assert_true(nth < 200);
        }
    }
}

/* What waits for its act cannot be held: it is answered at once, and the act is done.
 */
static void without_memory_to_wait_it_is_done_all_the_same(void **unused)
{
    struct asked asked;
    struct rig rig;
    struct client *a;
    struct yo_worker *worker;

    (void)unused;
    open_rig(&rig, NULL);
    a = rig_connect(&rig, 1, WS, "yomo=1&id=a");
    worker = rig_worker(&rig, 0);
    asked = (struct asked){.exchange = {.ops = &poor_ops,
                                        .method = yo_span_of("POST"),
                                        .path = yo_span_of("/admin/v1/kick"),
                                        .body = yo_span_of("{\"id\":\"a\"}"),
                                        .plain = true,
                                        .admin = true}};
    yo_admin_answer(worker, &asked.exchange, yo_loop_now(worker->loop));
    rig_settle(&rig);
    assert_int_equal(asked.answers, 1);
    assert_int_equal(asked.status, 503);
    assert_true(a->closing);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(without_memory_to_wait_it_is_done_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
