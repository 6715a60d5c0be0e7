/* SPDX-License-Identifier: MIT */
/* test_host.c - what the host program does in rooms without being in them: to whom it
 * speaks, what it shares, and what it is told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "server/events.h"
#include "support/fault.h"
#include "wire/decode.h"
#include <yomo/admin.h>
#include <yomo/host.h>

#define WS YOMO_TRANSPORT_WEBSOCKET

/* What on_event was told, in words, and what comes of calls. */
static struct {
    char text[2000];
    unsigned answers;
    int32_t error;
    uint64_t version;
    char data[64];
} told;

static void on_event(void *user, const yomo_event *event)
{
    static const char *const words[] = {"+", "-", "open", "close", "="};
    size_t used = strlen(told.text), size = 0;
    const void *data = yomo_event_data(event, &size);

    (void)user;
    assert_string_equal(yomo_event_app(event), "default");
    assert_true(yomo_event_at(event) > 0);
    assert_true((yomo_event_version(event) != 0) ==
                (yomo_event_kind(event) == YOMO_EVENT_VALUE_CHANGED));
    (void)snprintf(told.text + used, sizeof(told.text) - used, "%s:%s%s%s%s%.*s%s ",
                   yomo_event_room(event), yomo_event_key(event),
                   words[yomo_event_kind(event)], yomo_event_id(event),
                   yomo_event_session(event) ? "*" : "", (int)size,
                   data ? (const char *)data : "", yomo_event_reason(event));
}

static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                            .on_event = on_event};

/* As yomo_server_listen does, for workers that are there already. */
static void open_rig(struct rig *rig, const struct yomo_mem *mem,
                     const yomo_server_callbacks *callbacks)
{
    struct yo_buf why;

    memset(&told, 0, sizeof(told));
    rig_open_with(rig, mem, 2, callbacks, NULL,
                  (const char *const[]){"grace-time", "0", "room-linger", "0", NULL});
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_server_open_webhooks(rig->server, &why), YOMO_OK);
    yo_buf_finish(&why);
    for (uint32_t i = 0; i < 2; i++) {
        rig_worker(rig, i)->home.events = rig->server->events;
    }
    rig->server->state = YO_SERVER_SERVING;
}

static void close_rig(struct rig *rig)
{
    rig->server->state = YO_SERVER_NEW;
    rig_close(rig);
}

static void on_value(void *user, int32_t error, uint64_t version, const void *data,
                     size_t size, int32_t encoding)
{
    assert_ptr_equal(user, &told);
    told.answers++;
    told.error = error;
    told.version = version;
    snprintf(told.data, sizeof(told.data), "%s%.*s", encoding == YOMO_BYTES ? "b:" : "",
             (int)size, data ? (const char *)data : "");
}

static struct client *come(struct rig *rig, uint32_t worker, const char *query)
{
    struct client *client = rig_connect(rig, worker, WS, query);

    client_join(client, "r", NULL);
    client_forget(client);
    return client;
}

static int set(struct rig *rig, const char *room, const char *json)
{
    int rv = yomo_server_set_value(rig->server, NULL, room, "host", "k", json,
                                   strlen(json), YOMO_JSON, on_value, &told);
    told.answers = 0;
    rig_settle(rig);
    assert_int_equal(told.answers, rv == YOMO_OK);
    return rv == YOMO_OK ? told.error : rv;
}

static int set_if(struct rig *rig, const char *json, uint64_t version)
{
    told.answers = 0;
    assert_int_equal(yomo_server_set_value_if(rig->server, NULL, "r", "host", "k", json,
                                              strlen(json), YOMO_JSON, version,
                                              on_value, &told),
                     YOMO_OK);
    rig_settle(rig);
    assert_int_equal(told.answers, 1);
    return told.error;
}

static int get(struct rig *rig)
{
    told.answers = 0;
    assert_int_equal(
        yomo_server_get_value(rig->server, NULL, "r", "k", on_value, &told), YOMO_OK);
    rig_settle(rig);
    assert_int_equal(told.answers, 1);
    return told.error;
}

static void the_host_speaks_to_some(void **unused)
{
    struct rig rig;
    struct client *a, *b, *b2, *page;
    const char *users[] = {"b", "nobody"};
    const struct heard *heard;
    uint64_t session;

    (void)unused;
    open_rig(&rig, NULL, NULL);
    a = rig_connect(&rig, 0, WS, "yomo=1&id=a");
    session = expect_op(a, YO_OP_HELLO)->message.session;
    client_join(a, "r", NULL);
    b = come(&rig, 1, "yomo=1&id=b");
    b2 = come(&rig, 0, "yomo=1&id=b");
    page = come(&rig, 1, "id=page");
    client_forget(a);
    client_forget(b);
    client_forget(b2);
    assert_int_equal(yomo_server_publish_to(rig.server, NULL, "r", "host", NULL, 0,
                                            users, 2, "e", "1", 1, YOMO_JSON,
                                            YOMO_RELIABLE),
                     YOMO_OK);
    rig_settle(&rig);
    heard = expect_from(b, YO_OP_DATA, "host");
    assert_true(heard->message.direct);
    assert_int_equal(heard->message.session, 0);
    expect_from(b2, YO_OP_DATA, "host");
    expect_nothing(a);
    expect_nothing(page);
    users[0] = "page";
    assert_int_equal(yomo_server_publish_to(rig.server, NULL, "r", "host", &session, 1,
                                            users, 1, "e", "x", 1, YOMO_BYTES,
                                            YOMO_LATEST),
                     YOMO_OK);
    rig_settle(&rig);
    expect_from(a, YO_OP_DATA, "host");
    assert_int_equal(client_next(page)->message.op, YO_OP_DATA);
    expect_nothing(b);
    close_rig(&rig);
}

static void whom_it_names_is_looked_at(void **unused)
{
    struct rig rig;
    const uint64_t none = 0, many[101] = {1};
    const char *const users[] = {"", NULL};

#define TO(sessions, s, names, n)                                                     \
    yomo_server_publish_to(rig.server, NULL, "r", "host", sessions, s, names, n, "e", \
                           "1", 1, YOMO_JSON, YOMO_RELIABLE)
    (void)unused;
    open_rig(&rig, NULL, NULL);
    assert_int_equal(TO(NULL, 0, NULL, 0), YOMO_ERR_INVALID);
    assert_int_equal(TO(&none, 1, NULL, 0), YOMO_ERR_INVALID);
    assert_int_equal(TO(many, 101, NULL, 0), YOMO_ERR_INVALID);
    assert_int_equal(TO(NULL, SIZE_MAX, NULL, 0), YOMO_ERR_INVALID);
    assert_int_equal(TO(NULL, 0, users, 1), YOMO_ERR_INVALID);
    assert_int_equal(TO(NULL, 0, users + 1, 1), YOMO_ERR_INVALID);
    assert_int_equal(yomo_server_publish_to(rig.server, NULL, "r", "host", many, 1,
                                            NULL, 0, "e", "{", 1, YOMO_JSON,
                                            YOMO_RELIABLE),
                     YOMO_ERR_JSON);
    close_rig(&rig);
}

static void the_host_shares_values(void **unused)
{
    struct rig rig;
    struct client *a;
    const struct heard *heard;
    uint64_t first;
    char big[20000];

    (void)unused;
    open_rig(&rig, NULL, &hooks);
    assert_int_equal(set(&rig, "r", "1"), YOMO_ERR_NOT_FOUND); /* nobody is there */
    a = come(&rig, 1, "yomo=1&id=a");
    assert_int_equal(get(&rig), YOMO_ERR_NOT_FOUND);
    assert_int_equal(set(&rig, "r", "{\"n\":1}"), YOMO_OK);
    first = told.version;
    assert_true(first > 0);
    heard = expect_from(a, YO_OP_VALUE, "host");
    assert_int_equal(heard->message.session, 0);
    assert_int_equal(heard->message.sequence, first);
    assert_int_equal(get(&rig), YOMO_OK);
    assert_int_equal(told.version, first);
    assert_string_equal(told.data, "{\"n\":1}");

    assert_int_equal(set_if(&rig, "2", 0), YOMO_ERR_CONFLICT);
    assert_int_equal(told.version, first);
    assert_int_equal(set_if(&rig, "2", first + 7), YOMO_ERR_CONFLICT);
    expect_nothing(a);
    assert_int_equal(set_if(&rig, "2", first), YOMO_OK);
    assert_true(told.version > first);
    expect_from(a, YO_OP_VALUE, "host");
    assert_int_equal(set(&rig, "r", "nonsense"), YOMO_ERR_JSON);
    memset(big, '1', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(set(&rig, "r", big), YOMO_ERR_TOO_BIG);

    assert_int_equal(yomo_server_set_value(rig.server, NULL, "r", "host", "k", "\0x", 2,
                                           YOMO_BYTES, NULL, NULL),
                     YOMO_OK);
    assert_int_equal(yomo_server_delete_value(rig.server, NULL, "r", "host", "k", 1,
                                              on_value, &told),
                     YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(told.error, YOMO_ERR_CONFLICT);
    assert_int_equal(yomo_server_delete_value(rig.server, NULL, "r", "host", "k", 0,
                                              on_value, &told),
                     YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(told.error, YOMO_OK);
    assert_int_equal(told.version, 0);
    assert_int_equal(get(&rig), YOMO_ERR_NOT_FOUND);
    client_close(a);
    rig_settle(&rig);
    close_rig(&rig);
    assert_int_equal(told.answers, 1);
}

/* A member's change and the host's are told alike; who observes is not told of. */
static void what_happens_is_told(void **unused)
{
    static const uint8_t payload[] = {0x82, 0xa5, 'e', 'v', 'e', 'n', 't',
                                      0xa0, 0xa4, 'd', 'a', 't', 'a', 0x07};
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    open_rig(&rig, NULL, &hooks);
    a = come(&rig, 0, "yomo=1&id=a");
    b = come(&rig, 1, "yomo=1&id=b");
    client_send(b, &(struct yo_message){.op = YO_OP_VALUE,
                                        .channel = yo_span_of("r"),
                                        .key = yo_span_of("v"),
                                        .payload = yo_span(payload, sizeof(payload))});
    assert_int_equal(set(&rig, "r", "[8]"), YOMO_OK);
    client_send(b, &(struct yo_message){.op = YO_OP_VALUE,
                                        .channel = yo_span_of("r"),
                                        .key = yo_span_of("v")});
    assert_int_equal(yomo_server_kick(rig.server, NULL, NULL, "a", 0, NULL, NULL, NULL),
                     YOMO_OK);
    rig_settle(&rig);
    client_leave(b, "r");
    assert_string_equal(told.text, "r:open r:+a* r:+b* r:v=b*7 r:k=host[8] r:v=b* "
                                   "r:-a*kicked r:-b*left r:closeempty ");
    assert_true(a->closing);
    close_rig(&rig);
}

/* A hook may call back at once. */
static yomo_server *calls_back;

static void answer_event(void *user, const yomo_event *event)
{
    on_event(user, event);
    if (yomo_event_kind(event) == YOMO_EVENT_MEMBER_JOINED) {
        assert_int_equal(yomo_server_set_value(calls_back, NULL, yomo_event_room(event),
                                               "host", "k", "1", 1, YOMO_JSON, NULL,
                                               NULL),
                         YOMO_OK);
    }
}

static void a_hook_may_call_back(void **unused)
{
    static const yomo_server_callbacks answering = {.size = sizeof(answering),
                                                    .on_event = answer_event};
    struct rig rig;
    struct client *a;

    (void)unused;
    open_rig(&rig, NULL, &answering);
    calls_back = rig.server;
    a = rig_connect(&rig, 1, WS, "yomo=1&id=a");
    client_join(a, "r", NULL);
    assert_string_equal(told.text, "r:open r:+a* r:k=host1 ");
    assert_int_equal(get(&rig), YOMO_OK);
    close_rig(&rig);
}

static void without_memory_it_is_told_so(void **unused)
{
    struct fault fault;
    bool failed = true;
    size_t nth;

    (void)unused;
    for (nth = 1; failed; nth++) {
        const char *users[] = {"a"};
        struct rig rig;
        struct client *a;
        int rv;
        fault_init(&fault, 0, FAULT_ONCE);
        open_rig(&rig, &fault.mem, &hooks);
        a = come(&rig, 0, "yomo=1&id=a");
        fault_arm(&fault, nth, FAULT_ONCE);
        told.answers = 0;
        rv = yomo_server_set_value(rig.server, NULL, "r", "host", "k", "1", 1,
                                   YOMO_JSON, on_value, &told);
        assert_true(rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && fault.failed));
        rig_settle(&rig);
        assert_int_equal(told.answers, rv == YOMO_OK);
        if (rv == YOMO_OK && told.error != YOMO_OK) {
            assert_int_equal(told.error, YOMO_ERR_NOMEM);
            assert_null(strstr(told.text, "k="));
        }
        rv = yomo_server_get_value(rig.server, NULL, "r", "k", on_value, &told);
        assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
        rv = yomo_server_publish_to(rig.server, NULL, "r", "host", NULL, 0, users, 1,
                                    "e", "1", 1, YOMO_JSON, YOMO_RELIABLE);
        assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
        rig_settle(&rig);
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        if (a->closing) { /* who was not told of a change comes again */
            assert_int_equal(a->why.kind, YO_CLOSE_RETRY);
        }
        close_rig(&rig);
        fault_assert_no_leak(&fault);
    }
    assert_true(nth > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_speaks_to_some),
        cmocka_unit_test(whom_it_names_is_looked_at),
        cmocka_unit_test(the_host_shares_values),
        cmocka_unit_test(what_happens_is_told),
        cmocka_unit_test(a_hook_may_call_back),
        cmocka_unit_test(without_memory_it_is_told_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
