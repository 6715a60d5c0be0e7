/* SPDX-License-Identifier: MIT */
/* test_stored.c - rooms over a store that answers when the test lets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "rig.h"
#include "server/history/store.h"
#include "support/fault.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define PATIENCE_MS 10000

/* --- the store: one room -----------------------------------------------------------
 */

static struct {
    struct yo_backend backend;
    pthread_mutex_t lock;
    pthread_cond_t open;
    bool shut;    /* it answers nothing */
    bool failing; /* it answers with an error */
    struct yo_stored_order order;
    struct yo_stored messages[64];
    size_t count;
    uint64_t rested; /* the last place it was told at the end */
} fake;

static int pass(struct yo_buf *why)
{
    while (fake.shut) {
        pthread_cond_wait(&fake.open, &fake.lock);
    }
    if (fake.failing) {
        (void)yo_buf_append_text(why, "told to fail");
    }
    return fake.failing ? YOMO_ERR_FILE : YOMO_OK;
}

static int gate(struct yo_backend *backend, struct yo_buf *why)
{
    (void)backend;
    pthread_mutex_lock(&fake.lock);
    int rv = pass(why);
    pthread_mutex_unlock(&fake.lock);
    return rv;
}

static void rollback(struct yo_backend *backend)
{
    (void)backend;
}

static int find(struct yo_backend *backend, struct yo_span room,
                struct yo_stored_order *order, struct yo_buf *why)
{
    (void)backend, (void)room;
    pthread_mutex_lock(&fake.lock);
    int rv = pass(why);
    *order = rv == YOMO_OK ? fake.order : (struct yo_stored_order){0};
    pthread_mutex_unlock(&fake.lock);
    return rv;
}

static int use(struct yo_backend *backend, struct yo_span room, uint64_t place,
               uint64_t now_ms, struct yo_buf *why)
{
    (void)backend, (void)room, (void)now_ms, (void)why;
    pthread_mutex_lock(&fake.lock);
    fake.order.in_use = true;
    fake.order.place = place;
    pthread_mutex_unlock(&fake.lock);
    return YOMO_OK;
}

static int keep(struct yo_backend *backend, struct yo_span room, uint64_t epoch,
                const struct yo_stored *message, struct yo_buf *why)
{
    (void)backend, (void)room, (void)why;
    pthread_mutex_lock(&fake.lock);
    assert_true(fake.count < 64);
    assert_true(fake.order.epoch == 0 || fake.order.epoch == epoch);
    fake.order.epoch = epoch;
    fake.order.place = message->place;
    fake.order.in_use = true;
    fake.messages[fake.count] = *message;
    fake.messages[fake.count++].message = /* outlives the backend and its allocator */
        yo_blob_create(&yo_mem_libc, yo_blob_span(message->message));
    pthread_mutex_unlock(&fake.lock);
    return YOMO_OK;
}

static int forget(struct yo_backend *backend, struct yo_span room, uint64_t place,
                  struct yo_buf *why)
{
    (void)backend, (void)room, (void)place, (void)why;
    return YOMO_OK;
}

static int rest(struct yo_backend *backend, struct yo_span room, uint64_t place,
                uint64_t now_ms, struct yo_buf *why)
{
    (void)backend, (void)room, (void)now_ms, (void)why;
    pthread_mutex_lock(&fake.lock);
    fake.rested = fake.order.place = place;
    fake.order.in_use = false;
    pthread_mutex_unlock(&fake.lock);
    return YOMO_OK;
}

static int read_them(struct yo_backend *backend, struct yo_span room, uint64_t before,
                     bool (*take)(void *user, const struct yo_stored *message,
                                  struct yo_span bytes),
                     void *user, struct yo_buf *why)
{
    (void)backend, (void)room;
    pthread_mutex_lock(&fake.lock);
    int rv = pass(why);
    for (size_t i = fake.count; rv == YOMO_OK && i > 0; i--) {
        const struct yo_stored *message = &fake.messages[i - 1];
        if ((before == 0 || message->place < before) &&
            !take(user, message, yo_blob_span(message->message))) {
            break;
        }
    }
    pthread_mutex_unlock(&fake.lock);
    return rv;
}

static int tidy(struct yo_backend *backend, uint64_t now_ms, struct yo_buf *why)
{
    (void)backend, (void)now_ms, (void)why;
    return YOMO_OK;
}

static void close_fake(struct yo_backend *backend)
{
    (void)backend;
}

static const struct yo_backend_ops ops = {.begin = gate,
                                          .commit = gate,
                                          .rollback = rollback,
                                          .find = find,
                                          .use = use,
                                          .keep = keep,
                                          .forget = forget,
                                          .rest = rest,
                                          .read = read_them,
                                          .tidy = tidy,
                                          .close = close_fake};

static void let(bool answer, bool fail)
{
    pthread_mutex_lock(&fake.lock);
    fake.shut = !answer;
    fake.failing = fail;
    pthread_cond_broadcast(&fake.open);
    pthread_mutex_unlock(&fake.lock);
}

static size_t kept(void)
{
    pthread_mutex_lock(&fake.lock);
    size_t count = fake.count;
    pthread_mutex_unlock(&fake.lock);
    return count;
}

/* --- the stage ----------------------------------------------------------------------
 */

static struct rig rig;
static struct yo_store *store;
static const struct yo_log silent;

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    pthread_mutex_init(&fake.lock, NULL);
    pthread_cond_init(&fake.open, NULL);
    fake.backend.ops = &ops;
    assert_int_equal(yo_store_create(&store, &yo_mem_libc, &silent, &fake.backend),
                     YOMO_OK);
    return 0;
}

static void open_rig(const char *memory)
{
    rig_open(&rig, 1, NULL, "history-messages", "50", "history-memory", memory,
             "room-linger", "0", NULL);
    rig.server->store =
        store; /* it closes it, when its homes have said their last word */
    rig_worker(&rig, 0)->home.store = store;
    store = NULL;
}

static void end(void)
{
    rig_close(&rig);
}

static int teardown(void **state)
{
    (void)state;
    yo_store_close(store, 0);
    store = NULL;
    for (size_t i = 0; i < fake.count; i++) {
        yo_blob_unref(fake.messages[i].message);
    }
    pthread_cond_destroy(&fake.open);
    pthread_mutex_destroy(&fake.lock);
    return 0;
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    rig_settle(&rig);
}

#define SOON(condition)                                  \
    do {                                                 \
        for (int ms = 0; !(condition); ms++) {           \
            if (ms > PATIENCE_MS) {                      \
                fail_msg("%s did not come", #condition); \
            }                                            \
            nap();                                       \
        }                                                \
    } while (0)

static struct client *native(const char *query)
{
    struct client *client = rig_connect(&rig, 0, WS, query);

    expect_op(client, YO_OP_HELLO);
    return client;
}

static void ask_in(struct client *client, uint64_t hist)
{
    client_send(client, &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                             .channel = yo_span_of("r"),
                                             .hist = hist});
}

struct order {
    uint64_t place, epoch;
};

static struct order in(struct client *client)
{
    struct heard *ack;
    struct order order;

    SOON(!yo_list_empty(&client->heard));
    ack = expect_op(client, YO_OP_CHANNEL_JOIN);
    order = (struct order){ack->message.sequence, ack->message.epoch};
    expect_op(client, YO_OP_SNAPSHOT);
    return order;
}

static size_t count_of(const struct heard *page)
{
    struct yo_mp_reader reader;
    uint32_t count;

    assert_int_equal(yo_members_init(&reader, page->message.members, &count), YOMO_OK);
    return count;
}

/* --- what is promised ----------------------------------------------------------------
 */

static void a_room_goes_on_where_it_was(void **state)
{
    uint64_t epoch, place;
    struct client *a;

    (void)state;
    open_rig("64k");
    a = native("yomo=1&id=a");
    ask_in(a, 9);
    epoch = in(a).epoch;
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    client_data(a, "r", "e", "2", YOMO_RELIABLE);
    client_data(a, "r", "e", "3", YOMO_UNRELIABLE);
    end();
    assert_int_equal(fake.count, 2);
    place = fake.messages[1].place;
    assert_true(fake.rested >= place);
    assert_true(fake.messages[0].first && !fake.messages[1].first);

    assert_int_equal(yo_store_create(&store, &yo_mem_libc, &silent, &fake.backend),
                     YOMO_OK);
    open_rig("64k");
    a = native("yomo=1&id=a");
    ask_in(a, 9);
    assert_true(in(a).epoch == epoch);
    assert_int_equal(count_of(expect_op(a, YO_OP_HISTORY)), 2);
    client_data(a, "r", "e", "4", YOMO_RELIABLE);
    SOON(kept() == 3);
    assert_true(fake.messages[2].place > place && fake.messages[2].place < place + 10);
    end();
}

static void after_a_crash_the_place_jumps_and_the_gap_is_told(void **state)
{
    struct client *a;
    struct heard *gap;
    struct order order;

    (void)state;
    fake.order = (struct yo_stored_order){.epoch = 77, .place = 40, .in_use = true};
    open_rig("64k");
    a = native("yomo=1&id=a");
    client_send(a, &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                        .channel = yo_span_of("r"),
                                        .since = 42,
                                        .epoch = 77});
    order = in(a);
    assert_true(order.epoch == 77 && order.place >= 40 + YO_STORE_JUMP);
    gap = expect_op(a, YO_OP_GAP);
    assert_true(gap->message.from == 43);
    assert_true(gap->message.sequence == 40 + YO_STORE_JUMP);
    end();
}

static void whoever_comes_waits_for_the_store_in_turn(void **state)
{
    struct client *a, *b, *c;

    (void)state;
    let(false, false);
    open_rig("64k");
    a = native("yomo=1&id=a");
    b = native("yomo=1&id=b");
    c = native("yomo=1&id=c");
    ask_in(a, 0);
    ask_in(b, 0);
    ask_in(c, 0);
    client_leave(b, "r"); /* it has gone before it came */
    client_close(c);
    nap();
    expect_nothing(a);
    expect_nothing(b);
    let(true, false);
    in(a);
    SOON(!yo_list_empty(&b->heard));
    expect_op(b, YO_OP_CHANNEL_LEAVE);
    client_forget(a);
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    SOON(kept() == 1);
    assert_int_equal(rig_count(&rig, members), 1);
    end();
}

static void a_store_that_takes_too_long_is_not_waited_for(void **state)
{
    struct yo_home *home;
    struct client *a;
    uint64_t epoch;

    (void)state;
    fake.order = (struct yo_stored_order){.epoch = 77, .place = 40};
    let(false, false);
    open_rig("64k");
    home = &rig_worker(&rig, 0)->home;
    a = native("yomo=1&id=a");
    ask_in(a, 0);
    yo_home_tick(home, home->now + YO_SECOND);
    rig_settle(&rig);
    expect_nothing(a);
    yo_home_tick(home, home->now + 2 * YO_SECOND);
    rig_settle(&rig);
    epoch = in(a).epoch;
    assert_true(epoch != 77);
    assert_int_equal(rig_count(&rig, store_late), 1);
    let(true, false); /* the answer comes after all, and changes nothing */
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    for (int i = 0; i < 20; i++) {
        nap();
    }
    assert_int_equal(kept(), 0);
    end();
}

static void a_store_that_fails_stops_no_room(void **state)
{
    struct client *a, *b;

    (void)state;
    let(true, true);
    open_rig("64k");
    a = native("yomo=1&id=a");
    ask_in(a, 0);
    in(a);
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    b = native("yomo=1&id=b");
    ask_in(b, 9);
    in(b);
    assert_int_equal(count_of(expect_op(b, YO_OP_HISTORY)), 1); /* from memory */
    let(true, false);
    end();
}

static void what_is_older_than_memory_is_asked_for(void **state)
{
    struct client *a;
    struct heard *answer;
    size_t count = 0;

    (void)state;
    open_rig("1k"); /* a few of them */
    a = native("yomo=1&id=a");
    ask_in(a, 0);
    in(a);
    for (int i = 0; i < 40; i++) {
        client_data(a, "r", "e", "12345678", YOMO_RELIABLE);
    }
    client_send(a, &(struct yo_message){.op = YO_OP_HISTORY,
                                        .channel = yo_span_of("r"),
                                        .number = 5,
                                        .max = 30});
    SOON(!yo_list_empty(&a->heard));
    answer = expect_op(a, YO_OP_HISTORY);
    assert_int_equal(answer->message.number, 5);
    count = count_of(answer);
    assert_int_equal(count, 30);
    assert_true(answer->message.sequence > 0);
    client_send(a, &(struct yo_message){.op = YO_OP_HISTORY,
                                        .channel = yo_span_of("r"),
                                        .number = 6,
                                        .sequence = answer->message.sequence,
                                        .max = 30});
    SOON(!yo_list_empty(&a->heard));
    answer = expect_op(a, YO_OP_HISTORY);
    assert_int_equal(count_of(answer), 10);
    assert_int_equal(answer->message.sequence, 0);
    /* One that has gone when the answer comes. */
    let(false, false);
    client_send(a, &(struct yo_message){.op = YO_OP_HISTORY,
                                        .channel = yo_span_of("r"),
                                        .number = 7,
                                        .max = 30});
    client_close(a);
    let(true, false);
    end();
}

/* It has an answer of this kind, or was sent away to come again. */
static bool heard_or_gone(struct client *client, enum yo_op op)
{
    YO_LIST_EACH(link, next, &client->heard)
    {
        if (YO_CONTAINER(link, struct heard, link)->message.op == op) {
            return true;
        }
    }
    return client->closing;
}

/* Over a store that has something already: a room is opened, spoken into, asked for what
 * is older than memory, and left. */
static void use_it(void)
{
    struct client *a = rig_knock(&rig, 0, WS, "/v1", "yomo=1&id=a", NULL);

    if (a->status != 200 || a->closing) {
        return;
    }
    ask_in(a, 2);
    SOON(heard_or_gone(a, YO_OP_CHANNEL_JOIN) || heard_or_gone(a, YO_OP_ERROR));
    for (int i = 0; i < 3 && !a->closing; i++) {
        client_data(a, "r", "e", "1", YOMO_RELIABLE);
    }
    if (!a->closing) {
        client_forget(a);
        client_send(a, &(struct yo_message){.op = YO_OP_HISTORY,
                                            .channel = yo_span_of("r"),
                                            .number = 5,
                                            .max = 30});
        SOON(heard_or_gone(a, YO_OP_HISTORY) || heard_or_gone(a, YO_OP_ERROR));
    }
    if (!a->closing) {
        client_close(a);
    }
    rig_settle(&rig);
}

/* Each allocation fails in turn, on the worker's side or on the store's: nobody waits
 * for ever, the room goes on, and nothing is left. */
static void without_memory_the_room_goes_on(void **state)
{
    static const char *const options[] = {
        "history-messages", "50", "history-memory", "1k", "room-linger", "0",
        "grace-time",       "0",  NULL};
    struct fault fault;
    bool failed = true;

    for (size_t nth = 1; failed; nth++) {
        struct client *check;
        assert_true(nth < 500);
        teardown(state);
        memset(&fake, 0, sizeof(fake));
        pthread_mutex_init(&fake.lock, NULL);
        pthread_cond_init(&fake.open, NULL);
        fake.backend.ops = &ops;
        fault_init(&fault, 0, FAULT_ONCE);
        assert_int_equal(yo_store_create(&store, &fault.mem, &silent, &fake.backend),
                         YOMO_OK);
        rig_open_with(&rig, &fault.mem, 1, NULL, NULL, options);
        rig.server->store = store;
        rig_worker(&rig, 0)->home.store = store;
        store = NULL;
        check = native("yomo=1&id=early"); /* fills it */
        ask_in(check, 0);
        in(check);
        for (int i = 0; i < 20; i++) {
            client_data(check, "r", "e", "12345678", YOMO_RELIABLE);
        }
        client_close(check);
        SOON(kept() == 20);
        fault_arm(&fault, nth, FAULT_ONCE);
        use_it();
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        check = native("yomo=1&id=late");
        ask_in(check, 1);
        in(check);
        client_forget(check);
        client_send(check, &(struct yo_message){.op = YO_OP_HISTORY,
                                                .channel = yo_span_of("r"),
                                                .number = 6,
                                                .max = 30});
        SOON(heard_or_gone(check, YO_OP_HISTORY));
        assert_false(check->closing);
        end();
        fault_assert_no_leak(&fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_room_goes_on_where_it_was),
        TEST(after_a_crash_the_place_jumps_and_the_gap_is_told),
        TEST(whoever_comes_waits_for_the_store_in_turn),
        TEST(a_store_that_takes_too_long_is_not_waited_for),
        TEST(a_store_that_fails_stops_no_room),
        TEST(what_is_older_than_memory_is_asked_for),
        TEST(without_memory_the_room_goes_on),
    };

    return cmocka_run_group_tests_name("server/stored", tests, NULL, NULL);
}
