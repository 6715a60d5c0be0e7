/* SPDX-License-Identifier: MIT */
/* test_workers.c - a whole server on threads, reached by a transport of the host's own
 * (<yomo/transport.h>), so that no network is needed: what crosses between workers, and
 * the handle's life. Runs under the thread sanitizer too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/handle.h"
#include "support/fault.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include <yomo/admin.h>
#include <yomo/host.h>
#include <yomo/transport.h>

#define WAIT_SECONDS 20

/* --- one client of the host's transport ------------------------------------------ */

struct wire {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    yomo_carrier *carrier;
    unsigned joined, data, offline, closed;
    uint32_t code;
    long newest[8]; /* the last number heard from sender i */
    bool disorder;
};

static void note_data(struct wire *wire, const struct yo_message *message)
{
    struct yo_content content;
    char text[32] = "";
    long sender, number;

    if (yo_content_read(message->payload, &content) != YOMO_OK ||
        content.bytes.size > 31) {
        wire->disorder = true;
        return;
    }
    memcpy(text, content.bytes.data, content.bytes.size);
    number = atol(text);
    sender = number / 100000;
    number %= 100000;
    if (sender < 0 || sender > 7 || number != wire->newest[sender] + 1) {
        wire->disorder = true;
        return;
    }
    wire->newest[sender] = number;
    wire->data++;
}

static int32_t wire_send(void *connection, const void *data, size_t size,
                         int32_t reliable)
{
    struct wire *wire = connection;
    struct yo_message message;

    (void)reliable;
    pthread_mutex_lock(&wire->lock);
    if (yo_decode(yo_span(data, size), &message) != YOMO_OK) {
        wire->disorder = true;
    } else if (message.op == YO_OP_CHANNEL_JOIN) {
        wire->joined++;
    } else if (message.op == YO_OP_PEER_OFFLINE) {
        wire->offline++;
    } else if (message.op == YO_OP_DATA) {
        note_data(wire, &message);
    }
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
    return YOMO_OK;
}

static void wire_close(void *connection, uint32_t code, const char *reason)
{
    struct wire *wire = connection;

    (void)reason;
    pthread_mutex_lock(&wire->lock);
    wire->closed++;
    wire->code = code;
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
}

static const yomo_transport transport = {
    .size = sizeof(transport), .send = wire_send, .close = wire_close};

static void wire_open(struct wire *wire, yomo_server *server, const char *query)
{
    memset(wire, 0, sizeof(*wire));
    pthread_mutex_init(&wire->lock, NULL);
    pthread_cond_init(&wire->changed, NULL);
    for (int i = 0; i < 8; i++) {
        wire->newest[i] = -1;
    }
    assert_int_equal(
        yomo_server_accept(server, &transport, wire, query, &wire->carrier), YOMO_OK);
}

static void wire_finish(struct wire *wire)
{
    pthread_cond_destroy(&wire->changed);
    pthread_mutex_destroy(&wire->lock);
}

/* Wait until `*count` is at least `wanted`. */
static bool wire_wait(struct wire *wire, const unsigned *count, unsigned wanted)
{
    struct timespec until;
    bool good;
    int rv = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&wire->lock);
    while (*count < wanted && rv == 0) {
        rv = pthread_cond_timedwait(&wire->changed, &wire->lock, &until);
    }
    good = *count >= wanted && !wire->disorder;
    pthread_mutex_unlock(&wire->lock);
    return good;
}

static void say(struct wire *wire, const struct yo_message *message)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO, message), YOMO_OK);
    yomo_carrier_message(wire->carrier, out.data, out.size, 1);
    yo_buf_finish(&out);
}

static void join(struct wire *wire, const char *room)
{
    say(wire,
        &(struct yo_message){.op = YO_OP_CHANNEL_JOIN, .channel = yo_span_of(room)});
    assert_true(wire_wait(wire, &wire->joined, 1));
}

/* --- servers --------------------------------------------------------------------- */

struct stage {
    yomo_server *server;
    char dir[64];
    pthread_mutex_t lock;
    unsigned closed, joins, leaves;
    bool free_in_closed;
    atomic_uint values;  /* told to on_event */
    atomic_uint answers; /* to what an operator and the host asked */
};

static void on_closed(void *user, yomo_server *server)
{
    struct stage *stage = user;

    assert_ptr_equal(yomo_server_user(server), stage);
    if (stage->free_in_closed) {
        yomo_server_free(server);
    }
    pthread_mutex_lock(&stage->lock);
    stage->closed++;
    pthread_mutex_unlock(&stage->lock);
}

static int32_t on_join(void *user, const yomo_member *member)
{
    struct stage *stage = user;

    (void)member;
    pthread_mutex_lock(&stage->lock);
    stage->joins++;
    pthread_mutex_unlock(&stage->lock);
    return YOMO_OK;
}

static void on_leave(void *user, const yomo_member *member)
{
    struct stage *stage = user;

    (void)member;
    pthread_mutex_lock(&stage->lock);
    stage->leaves++;
    pthread_mutex_unlock(&stage->lock);
}

static void on_event(void *user, const yomo_event *event)
{
    struct stage *stage = user;

    if (yomo_event_kind(event) == YOMO_EVENT_VALUE_CHANGED) {
        assert_string_equal(yomo_event_room(event), "r");
        atomic_fetch_add(&stage->values, 1);
    }
}

static void stage_create(struct stage *stage, const struct yomo_mem *mem,
                         const char *workers)
{
    const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                         .on_join = on_join,
                                         .on_leave = on_leave,
                                         .on_closed = on_closed,
                                         .on_event = on_event};
    yomo_options *options;
    char bans[128];

    memset(stage, 0, sizeof(*stage));
    pthread_mutex_init(&stage->lock, NULL);
    strcpy(stage->dir, "/tmp/yomo-test-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    if (mem) {
        yomo_options_set_mem(options, mem);
    }
    assert_int_equal(yomo_options_set(options, "workers", workers), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "http-port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", stage->dir), YOMO_OK);
    snprintf(bans, sizeof(bans), "%s/bans", stage->dir);
    assert_int_equal(yomo_options_set(options, "bans-file", bans), YOMO_OK);
    assert_int_equal(yomo_server_create(&stage->server, options, &hooks, stage),
                     YOMO_OK);
    yomo_options_free(options);
}

static void stage_listen(struct stage *stage, const char *workers)
{
    stage_create(stage, NULL, workers);
    if (yomo_server_listen(stage->server) != YOMO_OK) {
        fail_msg("%s", yomo_server_error(stage->server));
    }
}

static void stage_remove(struct stage *stage)
{
    static const char *const names[] = {"dev-cert.pem", "dev-key.pem", "secret",
                                        "ticket-key",   "dev.lock",    "lock",
                                        "bans"};
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", stage->dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(stage->dir);
    pthread_mutex_destroy(&stage->lock);
}

static void stage_free(struct stage *stage)
{
    yomo_server_free(stage->server);
    assert_int_equal(stage->closed, 1);
    stage_remove(stage);
}

/* --- tests ----------------------------------------------------------------------- */

#define MEMBERS 6
#define MESSAGES 300

struct talk {
    struct wire *wire;
    int number;
};

static void *talk_thread(void *argument)
{
    struct talk *talk = argument;
    char json[16];

    for (int i = 0; i < MESSAGES; i++) {
        struct yo_message message = {.op = YO_OP_DATA, .channel = yo_span_of("r")};
        struct yo_buf payload;
        snprintf(json, sizeof(json), "%d", talk->number * 100000 + i);
        yo_buf_init(&payload, &yo_mem_libc);
        (void)yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of(json));
        message.payload = yo_buf_span(&payload);
        say(talk->wire, &message);
        yo_buf_finish(&payload);
    }
    return NULL;
}

static void everybody_hears_each_sender_in_order(void **unused)
{
    struct stage stage;
    struct wire wires[MEMBERS];
    struct talk talks[MEMBERS];
    pthread_t threads[MEMBERS];

    (void)unused;
    stage_listen(&stage, "2");
    for (int i = 0; i < MEMBERS; i++) {
        wire_open(&wires[i], stage.server, "yomo=1"); /* in turn on both workers */
        join(&wires[i], "r");
    }
    for (int i = 0; i < MEMBERS; i++) {
        talks[i] = (struct talk){&wires[i], i};
        assert_int_equal(pthread_create(&threads[i], NULL, talk_thread, &talks[i]), 0);
    }
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < MEMBERS; i++) {
        assert_true(wire_wait(&wires[i], &wires[i].data, (MEMBERS - 1) * MESSAGES));
        assert_int_equal(wires[i].newest[i], -1); /* never to the sender */
    }
    yomo_carrier_closed(wires[0].carrier, 1000, "done");
    for (int i = 1; i < MEMBERS; i++) {
        assert_true(wire_wait(&wires[i], &wires[i].offline, 1));
    }
    assert_true(wire_wait(&wires[0], &wires[0].closed, 1));
    yomo_server_close(stage.server);
    for (int i = 1; i < MEMBERS; i++) {
        assert_true(wire_wait(&wires[i], &wires[i].closed, 1));
        assert_int_equal(wires[i].code, YO_CODE_GOING_AWAY);
        yomo_carrier_closed(wires[i].carrier, 1000, "");
    }
    stage_free(&stage);
    assert_int_equal(stage.joins, MEMBERS);
    assert_int_equal(stage.leaves, MEMBERS);
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(wires[i].closed, 1);
        wire_finish(&wires[i]);
    }
}

static void the_host_speaks_to_a_room(void **unused)
{
    struct stage stage;
    struct wire wire;
    yomo_server *server;

    (void)unused;
    stage_listen(&stage, "2");
    server = stage.server;
    wire_open(&wire, server, "yomo=1&id=a");
    join(&wire, "r");
    for (int i = 0; i < 3; i++) {
        char json[8];
        snprintf(json, sizeof(json), "%d", i);
        assert_int_equal(yomo_server_publish(server, NULL, "r", "host", "e", json,
                                             strlen(json), YOMO_JSON, YOMO_RELIABLE),
                         YOMO_OK);
    }
    assert_true(wire_wait(&wire, &wire.data, 3));
    assert_int_equal(yomo_server_publish(server, NULL, "nobody", "host", "e", "1", 1,
                                         YOMO_JSON, YOMO_LATEST),
                     YOMO_OK);
    assert_int_equal(yomo_server_publish(server, NULL, "r", "host", "e", "{", 1,
                                         YOMO_JSON, YOMO_RELIABLE),
                     YOMO_ERR_JSON);
    assert_int_equal(yomo_server_publish(server, NULL, "", "host", "e", "1", 1,
                                         YOMO_JSON, YOMO_RELIABLE),
                     YOMO_ERR_INVALID);
    assert_int_equal(
        yomo_server_publish(server, NULL, "r", "host", "e", "1", 1, 5, YOMO_RELIABLE),
        YOMO_ERR_INVALID);
    yomo_carrier_closed(wire.carrier, 1000, "");
    assert_true(wire_wait(&wire, &wire.closed, 1));
    stage_free(&stage);
    wire_finish(&wire);
}

static void on_count(void *user, int32_t error, uint64_t count)
{
    struct stage *stage = user;

    assert_true(error == YOMO_OK || error == YOMO_ERR_STATE);
    (void)count;
    atomic_fetch_add(&stage->answers, 1);
}

static void on_value(void *user, int32_t error, uint64_t version, const void *data,
                     size_t size, int32_t encoding)
{
    (void)version, (void)data, (void)size, (void)encoding;
    on_count(user, error == YOMO_ERR_NOT_FOUND ? YOMO_OK : error, 0);
}

#define ORDERS 40

/* How many calls will be answered. */
static void *order_thread(void *argument)
{
    struct stage *stage = argument;
    uintptr_t sum = 0;
    char id[32];

    for (int i = 0; i < ORDERS; i++) {
        snprintf(id, sizeof(id), "user %d %p", i, (void *)&sum);
        sum += yomo_server_ban(stage->server, NULL, NULL, id, NULL, 60000, NULL,
                               on_count, stage) == YOMO_OK;
        sum += yomo_server_set_value(stage->server, NULL, "r", "host", "k", "1", 1,
                                     YOMO_JSON, on_value, stage) == YOMO_OK;
        sum += yomo_server_get_value(stage->server, NULL, "r", "k", on_value, stage) ==
               YOMO_OK;
        sum += yomo_server_unban(stage->server, NULL, NULL, id, NULL, on_count,
                                 stage) == YOMO_OK;
    }
    return (void *)sum;
}

/* Bans with their file, and values, from several threads; and the end while some of it
 * is under way. */
static void what_is_ordered_is_answered_once(void **unused)
{
    struct stage stage;
    struct wire wire;
    pthread_t threads[3];
    uintptr_t calls = 0;
    char path[128];

    (void)unused;
    stage_listen(&stage, "2");
    snprintf(path, sizeof(path), "%s/bans", stage.dir);
    wire_open(&wire, stage.server, "yomo=1&id=a");
    join(&wire, "r");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, order_thread, &stage), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        calls += (uintptr_t)sum;
    }
    assert_int_equal(calls, 3 * ORDERS * 4);
    assert_int_equal(access(path, R_OK), 0);
    yomo_carrier_closed(wire.carrier, 1000, "");
    assert_true(wire_wait(&wire, &wire.closed, 1));
    stage_free(&stage); /* what waits for the disk is told before it ends */
    assert_int_equal(atomic_load(&stage.answers), calls);
    assert_true(atomic_load(&stage.values) <= 3 * ORDERS);
    wire_finish(&wire);
}

static void metrics_are_prometheus_text(void **unused)
{
    struct stage stage;
    struct wire wire;
    char text[65536], small[8];
    size_t needed;

    (void)unused;
    stage_create(&stage, NULL, "2");
    assert_int_equal(yomo_server_metrics(stage.server, text, sizeof(text), NULL),
                     YOMO_ERR_STATE);
    assert_int_equal(yomo_server_listen(stage.server), YOMO_OK);
    wire_open(&wire, stage.server, "yomo=1&id=a");
    join(&wire, "r");
    assert_int_equal(yomo_server_metrics(stage.server, text, sizeof(text), &needed),
                     YOMO_OK);
    assert_int_equal(needed, strlen(text));
    assert_non_null(strstr(text, "\n# TYPE yomo_connections gauge\n"));
    assert_non_null(strstr(text, "\nyomo_connections{transport=\"custom\"} 1\n"));
    assert_non_null(strstr(text, "\nyomo_rooms 1\n"));
    assert_non_null(strstr(text, "\nyomo_members 1\n"));
    assert_non_null(strstr(text, "\nyomo_workers 2\n"));
    for (char *line = text; (line = strchr(line, '\n')) != NULL && line[1]; line++) {
        assert_true(strncmp(line + 1, "# HELP yomo_", 12) == 0 ||
                    strncmp(line + 1, "# TYPE yomo_", 12) == 0 ||
                    strncmp(line + 1, "yomo_", 5) == 0);
    }
    assert_int_equal(yomo_server_metrics(stage.server, small, sizeof(small), &needed),
                     YOMO_OK);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    yomo_server_close(stage.server);
    assert_true(wire_wait(&wire, &wire.closed, 1));
    yomo_carrier_closed(wire.carrier, 1000, "");
    stage_free(&stage);
    wire_finish(&wire);
}

static void what_it_listens_on_is_one_json_line(void **unused)
{
    struct stage stage;
    char expected[64];
    const char *json;

    (void)unused;
    stage_listen(&stage, "2");
    json = yomo_server_listening(stage.server);
    snprintf(expected, sizeof(expected),
             "{\"port\":%u,\"http_port\":%u,\"addresses\":[\"127",
             yomo_server_port(stage.server), yomo_server_http_port(stage.server));
    assert_memory_equal(json, expected, strlen(expected));
    assert_non_null(strstr(json, "\"development\":true,\"workers\":2,\"pid\":"));
    assert_null(strchr(json, '\n'));
    assert_true(yomo_server_port(stage.server) > 0);
    assert_int_equal(yomo_server_listen(stage.server), YOMO_ERR_STATE);
    assert_int_equal(yomo_server_reload(stage.server), YOMO_OK);
    stage_free(&stage);
}

/* Threads read options while others replace them: for the thread sanitizer. */
static void options_change_while_workers_use_them(void **unused)
{
    struct stage stage;
    struct wire wire;
    yomo_options *options;

    (void)unused;
    stage_listen(&stage, "2");
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    for (int i = 0; i < 20; i++) {
        char number[8];
        snprintf(number, sizeof(number), "%d", 10 + i);
        assert_int_equal(yomo_options_set(options, "rooms-max", number), YOMO_OK);
        assert_int_equal(yomo_server_reload_options(stage.server, options), YOMO_OK);
        wire_open(&wire, stage.server, "yomo=1&id=a");
        join(&wire, "r");
        yomo_carrier_closed(wire.carrier, 1000, "");
        assert_true(wire_wait(&wire, &wire.closed, 1));
        wire_finish(&wire);
    }
    assert_int_equal(yomo_options_set(options, "drain-url", "nonsense"), YOMO_OK);
    assert_int_equal(yomo_server_reload_options(stage.server, options),
                     YOMO_ERR_OPTION);
    assert_non_null(strstr(yomo_server_error(stage.server), "drain-url"));
    assert_int_equal(yomo_server_reload_options(stage.server, NULL), YOMO_ERR_INVALID);
    yomo_options_free(options);
    stage_free(&stage);
}

/* Whichever allocation fails: an error, and the next reload works. */
static void a_reload_without_memory_changes_nothing(void **unused)
{
    struct stage stage;
    struct fault fault;
    yomo_options *options;
    bool failed = true;

    (void)unused;
    fault_init(&fault, 0, FAULT_ONCE);
    stage_create(&stage, &fault.mem, "2");
    assert_int_equal(yomo_server_listen(stage.server), YOMO_OK);
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    for (size_t nth = 1; failed; nth++) {
        char number[24];
        int rv;
        snprintf(number, sizeof(number), "%zu", nth);
        assert_int_equal(yomo_options_set(options, "rooms-max", number), YOMO_OK);
        atomic_store(&fault.failed, false);
        fault_arm(&fault, nth, FAULT_ONCE);
        rv = yomo_server_reload_options(stage.server, options);
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        assert_true(rv == YOMO_OK || failed);
    }
    yomo_options_free(options);
    stage_free(&stage);
    fault_assert_no_leak(&fault);
}

static void a_port_in_use_is_an_error_with_a_sentence(void **unused)
{
    struct stage first, second;
    yomo_options *options;
    yomo_server *server;
    char port[8];

    (void)unused;
    stage_listen(&first, "2");
    stage_create(&second, NULL, "1");
    yomo_server_free(second.server); /* never listened: no on_closed */
    assert_int_equal(second.closed, 0);
    snprintf(port, sizeof(port), "%u", yomo_server_port(first.server));
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "port", port), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", second.dir), YOMO_OK);
    assert_int_equal(yomo_server_create(&server, options, NULL, NULL), YOMO_OK);
    yomo_options_free(options);
    assert_int_equal(yomo_server_listen(server), YOMO_ERR_IN_USE);
    assert_non_null(strstr(yomo_server_error(server), port));
    assert_int_equal(yomo_server_listen(server), YOMO_ERR_STATE);
    yomo_server_free(server);
    stage_remove(&second);
    stage_free(&first);
}

static void it_may_be_freed_in_its_last_callback(void **unused)
{
    struct stage stage;
    bool over = false;

    (void)unused;
    stage_listen(&stage, "2");
    stage.free_in_closed = true;
    yomo_server_drain(stage.server, 60000); /* nobody is there: over at once */
    while (!over) {
        pthread_mutex_lock(&stage.lock);
        over = stage.closed == 1;
        pthread_mutex_unlock(&stage.lock);
    }
    stage_remove(&stage);
}

static void carriers_are_refused_by_key_and_after_the_end(void **unused)
{
    struct stage stage;
    struct wire wire;
    yomo_carrier *carrier;

    (void)unused;
    stage_create(&stage, NULL, "1");
    assert_int_equal(yomo_server_accept(stage.server, &transport, &wire, "", &carrier),
                     YOMO_ERR_STATE);
    assert_int_equal(yomo_server_listen(stage.server), YOMO_OK);
    assert_int_equal(
        yomo_server_accept(stage.server, &transport, &wire, "id=%f", &carrier),
        YOMO_ERR_INVALID);
    wire_open(&wire, stage.server, "yomo=1");
    say(&wire,
        &(struct yo_message){.op = YO_OP_CHANNEL_JOIN, .channel = yo_span_of("r")});
    yomo_server_close(stage.server); /* while messages are under way */
    assert_true(wire_wait(&wire, &wire.closed, 1));
    yomo_carrier_message(wire.carrier, "x", 1, 1);
    yomo_carrier_writable(wire.carrier);
    assert_int_equal(yomo_server_accept(stage.server, &transport, &wire, "", &carrier),
                     YOMO_ERR_STATE);
    yomo_server_free(stage.server);
    yomo_carrier_message(wire.carrier, "x", 1, 1); /* it outlives the server's handle */
    yomo_carrier_closed(wire.carrier, 1000, "");
    stage_remove(&stage);
    wire_finish(&wire);
}

static void listening_survives_any_allocation_that_fails(void **unused)
{
    struct fault fault;
    bool failed = true;

    (void)unused;
    for (size_t nth = 1; failed; nth++) {
        struct stage stage;
        int rv;
        fault_init(&fault, 0, FAULT_ONCE);
        stage_create(&stage, &fault.mem, "2");
        fault_arm(&fault, nth, FAULT_ONCE);
        rv = yomo_server_listen(stage.server);
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        assert_true(failed || rv == YOMO_OK);
        yomo_server_free(stage.server);
        assert_int_equal(stage.closed, rv == YOMO_OK ? 1 : 0);
        fault_assert_no_leak(&fault);
        stage_remove(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_hears_each_sender_in_order),
        cmocka_unit_test(the_host_speaks_to_a_room),
        cmocka_unit_test(what_is_ordered_is_answered_once),
        cmocka_unit_test(metrics_are_prometheus_text),
        cmocka_unit_test(what_it_listens_on_is_one_json_line),
        cmocka_unit_test(options_change_while_workers_use_them),
        cmocka_unit_test(a_reload_without_memory_changes_nothing),
        cmocka_unit_test(a_port_in_use_is_an_error_with_a_sentence),
        cmocka_unit_test(it_may_be_freed_in_its_last_callback),
        cmocka_unit_test(carriers_are_refused_by_key_and_after_the_end),
        cmocka_unit_test(listening_survives_any_allocation_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
