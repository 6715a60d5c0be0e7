/* SPDX-License-Identifier: MIT */
/* test_store.c - orders and their thread, over a backend that does as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <yomo/error.h>

#include "server/history/store.h"
#include "support/until.h"

/* --- the backend ----------------------------------------------------------------- */

/* Written by the store's thread, looked at by the test. */
static struct {
    struct yo_backend backend;
    pthread_mutex_t lock;
    char said[8192], batch[8192];
    int failing; /* every write fails */
    int blind;   /* every read fails too */
    struct yo_stored_order order;
    uint64_t messages; /* of the room: places 1 to this */
} fake;

static int refuse(struct yo_buf *why)
{
    (void)yo_buf_append_text(why, "told to fail");
    return YOMO_ERR_FILE;
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    size_t used = strlen(fake.batch);
    va_list list;

    va_start(list, format);
    vsnprintf(fake.batch + used, sizeof(fake.batch) - used, format, list);
    va_end(list);
}

static int locked(int flag, struct yo_buf *why)
{
    return flag ? refuse(why) : YOMO_OK;
}

static int begin(struct yo_backend *backend, struct yo_buf *why)
{
    (void)backend;
    pthread_mutex_lock(&fake.lock);
    fake.batch[0] = 0;
    int rv = locked(fake.failing, why);
    pthread_mutex_unlock(&fake.lock);
    return rv;
}

static int commit(struct yo_backend *backend, struct yo_buf *why)
{
    (void)backend;
    pthread_mutex_lock(&fake.lock);
    int rv = locked(fake.failing, why);
    if (rv == YOMO_OK) {
        size_t used = strlen(fake.said), size = strlen(fake.batch);
        assert_true(used + size < sizeof(fake.said));
        memmove(fake.said + used, fake.batch, size + 1);
        fake.batch[0] = 0;
    }
    pthread_mutex_unlock(&fake.lock);
    return rv;
}

static void rollback(struct yo_backend *backend)
{
    (void)backend;
    pthread_mutex_lock(&fake.lock);
    fake.batch[0] = 0;
    pthread_mutex_unlock(&fake.lock);
}

static int find(struct yo_backend *backend, struct yo_span room,
                struct yo_stored_order *order, struct yo_buf *why)
{
    (void)backend, (void)room;
    pthread_mutex_lock(&fake.lock);
    *order = fake.order;
    int rv = locked(fake.blind, why);
    pthread_mutex_unlock(&fake.lock);
    return rv;
}

static int use(struct yo_backend *backend, struct yo_span room, uint64_t place,
               uint64_t now_ms, struct yo_buf *why)
{
    (void)backend, (void)room, (void)why;
    assert_true(now_ms > 0);
    note("use %llu, ", (unsigned long long)place);
    return YOMO_OK;
}

static int keep(struct yo_backend *backend, struct yo_span room, uint64_t epoch,
                const struct yo_stored *message, struct yo_buf *why)
{
    (void)backend, (void)room, (void)why;
    assert_int_equal(epoch, 99);
    note("keep %llu, ", (unsigned long long)message->place);
    return YOMO_OK;
}

static int forget(struct yo_backend *backend, struct yo_span room, uint64_t place,
                  struct yo_buf *why)
{
    (void)backend, (void)room, (void)why;
    note("forget %llu, ", (unsigned long long)place);
    return YOMO_OK;
}

static int rest(struct yo_backend *backend, struct yo_span room, uint64_t place,
                uint64_t now_ms, struct yo_buf *why)
{
    (void)backend, (void)room, (void)now_ms, (void)why;
    note("rest %llu, ", (unsigned long long)place);
    return YOMO_OK;
}

static int read_them(struct yo_backend *backend, struct yo_span room, uint64_t before,
                     bool (*take)(void *user, const struct yo_stored *message,
                                  struct yo_span bytes),
                     void *user, struct yo_buf *why)
{
    (void)backend, (void)room;
    pthread_mutex_lock(&fake.lock);
    uint64_t place = fake.messages;
    int rv = locked(fake.blind, why);
    pthread_mutex_unlock(&fake.lock);
    for (; rv == YOMO_OK && place > 0; place--) {
        const struct yo_stored message = {.place = place, .at_ms = 1};
        if ((before == 0 || place < before) &&
            !take(user, &message, yo_span_of("0123456789"))) {
            break;
        }
    }
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

static const struct yo_backend_ops ops = {.begin = begin,
                                          .commit = commit,
                                          .rollback = rollback,
                                          .find = find,
                                          .use = use,
                                          .keep = keep,
                                          .forget = forget,
                                          .rest = rest,
                                          .read = read_them,
                                          .tidy = tidy,
                                          .close = close_fake};

static void set(int failing, int blind)
{
    pthread_mutex_lock(&fake.lock);
    fake.failing = failing;
    fake.blind = blind;
    pthread_mutex_unlock(&fake.lock);
}

/* --- the other side -------------------------------------------------------------- */

static struct yo_loop *loop;
static struct yo_mailbox *box;
static struct yo_store *store;
static struct yo_blob *room, *message;
static struct yo_order_of_store *answer; /* the last one that came */
static int answers, lines;
static char line[256];
static struct yo_log logger;

static void on_line(void *user, int32_t level, const char *module, const char *text)
{
    (void)user, (void)level, (void)module;
    pthread_mutex_lock(&fake.lock);
    lines++;
    snprintf(line, sizeof(line), "%s", text);
    pthread_mutex_unlock(&fake.lock);
}

static void on_answer(struct yo_letter *letter, void *user, yo_time now)
{
    (void)user, (void)now;
    yo_order_free(answer);
    answer = YO_CONTAINER(letter, struct yo_order_of_store, letter);
    answers++;
}

static void on_discard(struct yo_letter *letter)
{
    yo_order_free(YO_CONTAINER(letter, struct yo_order_of_store, letter));
}

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    pthread_mutex_init(&fake.lock, NULL);
    fake.backend.ops = &ops;
    answers = lines = 0;
    logger = (struct yo_log){.fn = on_line, .level = YOMO_LOG_WARN};
    room = yo_blob_create(&yo_mem_libc, yo_span_of("room"));
    message = yo_blob_create(&yo_mem_libc, yo_span_of("hello"));
    assert_int_equal(yo_loop_create(&loop, &yo_mem_libc, NULL, NULL), YOMO_OK);
    assert_int_equal(yo_mailbox_open(&box, loop, NULL), YOMO_OK);
    assert_int_equal(yo_store_create(&store, &yo_mem_libc, &logger, &fake.backend),
                     YOMO_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_store_close(store, 0);
    store = NULL;
    yo_order_free(answer);
    answer = NULL;
    yo_blob_unref(room);
    yo_blob_unref(message);
    yo_mailbox_close(box);
    yo_mailbox_unref(box);
    until_closed(loop);
    pthread_mutex_destroy(&fake.lock);
    return 0;
}

static struct yo_order_of_store *order(enum yo_order_kind kind)
{
    struct yo_order_of_store *made = yo_order_create(&yo_mem_libc, kind, room);

    made->box = yo_mailbox_ref(box);
    made->letter.open = on_answer;
    made->letter.discard = on_discard;
    made->max = 100;
    made->bytes_max = 10000;
    return made;
}

static bool keep_one(uint64_t place, uint64_t hole)
{
    struct yo_order_of_store *made = yo_order_create(&yo_mem_libc, YO_ORDER_KEEP, room);

    made->epoch = 99;
    made->hole = hole;
    made->message = (struct yo_stored){.place = place, .message = yo_blob_ref(message)};
    if (yo_store_put(store, made)) {
        return true;
    }
    yo_order_free(made);
    return false;
}

static void rest_at(uint64_t place)
{
    struct yo_order_of_store *made = yo_order_create(&yo_mem_libc, YO_ORDER_REST, room);

    made->place = place;
    assert_true(yo_store_put(store, made));
}

static void ask(struct yo_order_of_store *question)
{
    int wanted = answers + 1;

    assert_true(yo_store_put(store, question));
    UNTIL(loop, answers >= wanted);
}

static bool has_said(const char *expected)
{
    pthread_mutex_lock(&fake.lock);
    bool same = strcmp(fake.said, expected) == 0;
    pthread_mutex_unlock(&fake.lock);
    return same;
}

static void said(const char *expected)
{
    UNTIL(loop, has_said(expected));
}

/* --- what is promised ------------------------------------------------------------ */

static void what_is_ordered_is_done_in_its_turn(void **state)
{
    (void)state;
    assert_true(keep_one(1, 0));
    assert_true(keep_one(2, 0));
    rest_at(3);
    said("keep 1, keep 2, rest 3, ");
    assert_true(keep_one(9, 7)); /* 4 to 7 never came here */
    said("keep 1, keep 2, rest 3, keep 9, forget 7, ");
}

static void a_question_comes_after_what_was_ordered_before_it(void **state)
{
    (void)state;
    assert_true(keep_one(1, 0));
    ask(order(YO_ORDER_READ));
    assert_true(has_said("keep 1, "));
    assert_int_equal(answer->error, YOMO_OK);
    assert_int_equal(answer->count, 0);
}

static void a_room_goes_on_where_it_was(void **state)
{
    (void)state;
    fake.order = (struct yo_stored_order){.epoch = 5, .place = 40};
    fake.messages = 3;
    ask(order(YO_ORDER_OPEN));
    assert_int_equal(answer->error, YOMO_OK);
    assert_int_equal(answer->order.epoch, 5);
    assert_int_equal(answer->order.place, 40);
    assert_int_equal(answer->known, 40);
    assert_int_equal(answer->count, 3);
    assert_int_equal(answer->list[0].place, 1); /* the oldest first */
    assert_int_equal(answer->list[2].place, 3);
    assert_false(answer->more);
    assert_true(has_said("use 40, ")); /* before anybody hears of it */
}

static void after_a_crash_it_jumps(void **state)
{
    char expected[64];

    (void)state;
    fake.order = (struct yo_stored_order){.epoch = 5, .place = 40, .in_use = true};
    ask(order(YO_ORDER_OPEN));
    assert_int_equal(answer->error, YOMO_OK);
    assert_true(answer->order.place == 40 + YO_STORE_JUMP);
    assert_int_equal(answer->known, 40);
    snprintf(expected, sizeof(expected), "use %llu, ",
             (unsigned long long)(40 + YO_STORE_JUMP));
    assert_true(has_said(expected)); /* so that the next one jumps further */
}

static void answers_are_bounded(void **state)
{
    struct yo_order_of_store *question = order(YO_ORDER_READ);

    (void)state;
    fake.messages = 50;
    question->max = 7;
    ask(question);
    assert_int_equal(answer->count, 7);
    assert_int_equal(answer->list[0].place, 44);
    assert_true(answer->more);
    question = order(YO_ORDER_READ);
    question->bytes_max = 35;
    question->before = 44;
    ask(question);
    assert_int_equal(answer->count, 3);
    assert_int_equal(answer->list[2].place, 43);
    question = order(YO_ORDER_READ);
    question->bytes_max = 1; /* one is told in any case */
    ask(question);
    assert_int_equal(answer->count, 1);
}

static bool is_failing(void)
{
    struct yo_store_numbers numbers;

    yo_store_numbers(store, &numbers);
    return numbers.failing;
}

static void what_fails_is_tried_again_and_questions_do_not_wait(void **state)
{
    struct yo_store_numbers numbers;

    (void)state;
    set(1, 0);
    assert_true(keep_one(1, 0));
    UNTIL(loop, is_failing());
    assert_true(keep_one(2, 0));
    fake.messages = 2;
    ask(order(YO_ORDER_READ)); /* passes the writes */
    assert_int_equal(answer->error, YOMO_OK);
    assert_int_equal(answer->count, 2);
    set(1, 1);
    ask(order(YO_ORDER_READ));
    assert_int_equal(answer->error, YOMO_ERR_FILE);
    yo_store_numbers(store, &numbers);
    assert_true(numbers.waiting_bytes > 0 && numbers.errors > 0);
    set(0, 0);
    said("keep 1, keep 2, ");
    UNTIL(loop, !is_failing());
    yo_store_numbers(store, &numbers);
    assert_int_equal(numbers.waiting_bytes, 0);
    assert_int_equal(numbers.stored, 2);
    pthread_mutex_lock(&fake.lock);
    assert_int_equal(lines, 2); /* that it fails, that it works again */
    assert_string_equal(line, "the store works again");
    pthread_mutex_unlock(&fake.lock);
}

static void one_that_can_only_be_read_says_so_and_what_it_has(void **state)
{
    (void)state;
    fake.order = (struct yo_stored_order){.epoch = 5, .place = 40};
    fake.messages = 3;
    set(1, 0);
    ask(order(YO_ORDER_OPEN));
    assert_int_equal(answer->error, YOMO_ERR_FILE);
    assert_int_equal(answer->order.epoch, 5);
    assert_int_equal(answer->count, 3);
}

/* The end of a room's life is still to be written when its next one begins. */
static void a_late_end_does_not_end_what_began_after_it(void **state)
{

    (void)state;
    set(1, 0);
    assert_true(keep_one(1, 0));
    UNTIL(loop, is_failing());
    rest_at(2);
    fake.order = (struct yo_stored_order){.epoch = 5, .place = 1, .in_use = true};
    ask(order(YO_ORDER_OPEN));
    assert_int_equal(answer->error, YOMO_ERR_FILE);
    rest_at(9); /* of the next life */
    set(0, 0);
    said("keep 1, rest 9, ");
}

static void the_queue_is_bounded(void **state)
{
    uint64_t place = 2;

    (void)state;
    set(1, 0);
    yo_blob_unref(message);
    message = yo_blob_alloc(&yo_mem_libc, 1 << 20);
    memset(message->data, 'x', message->size);
    assert_true(keep_one(1, 0));
    UNTIL(loop, is_failing());
    while (keep_one(place, 0)) {
        place++;
        assert_true(place < 100);
    }
    assert_true(place >= 10);
    rest_at(place); /* fits always, and so do questions */
    ask(order(YO_ORDER_READ));
}

static void the_end_writes_what_waits(void **state)
{
    (void)state;
    for (uint64_t place = 1; place <= 3; place++) {
        assert_true(keep_one(place, 0));
    }
    rest_at(4);
    yo_store_close(store, 5000);
    store = NULL;
    assert_true(has_said("keep 1, keep 2, keep 3, rest 4, "));
    yo_store_close(NULL, 0);
}

static void the_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    set(1, 1);
    assert_true(keep_one(1, 0));
    assert_true(yo_store_put(store, order(YO_ORDER_OPEN)));
    yo_store_close(store, 50);
    store = NULL;
    pthread_mutex_lock(&fake.lock);
    assert_string_equal(line, "1 messages could not be stored before the end");
    pthread_mutex_unlock(&fake.lock);
    assert_true(has_said(""));
}

static void an_option_names_it(void **state)
{
    const struct yo_store_bounds bounds = {0, 0};
    struct yo_backend *backend;
    struct yo_buf why;

    (void)state;
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_backend_create(&backend, &yo_mem_libc, "memory", &bounds, &why),
                     YOMO_OK);
    assert_null(backend);
    assert_int_equal(
        yo_backend_create(&backend, &yo_mem_libc, "sqlite:", &bounds, &why),
        YOMO_ERR_OPTION);
    assert_int_equal(
        yo_backend_create(&backend, &yo_mem_libc, "/a/path", &bounds, &why),
        YOMO_ERR_OPTION);
    assert_true(why.size > 0);
    if (yo_sqlite_there()) {
        assert_int_equal(yo_backend_create(&backend, &yo_mem_libc, "sqlite:/nowhere/x",
                                           &bounds, &why),
                         YOMO_OK);
        backend->ops->close(backend);
    }
    yo_buf_finish(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_is_ordered_is_done_in_its_turn),
        TEST(a_question_comes_after_what_was_ordered_before_it),
        TEST(a_room_goes_on_where_it_was),
        TEST(after_a_crash_it_jumps),
        TEST(answers_are_bounded),
        TEST(what_fails_is_tried_again_and_questions_do_not_wait),
        TEST(one_that_can_only_be_read_says_so_and_what_it_has),
        TEST(a_late_end_does_not_end_what_began_after_it),
        TEST(the_queue_is_bounded),
        TEST(the_end_writes_what_waits),
        TEST(the_end_does_not_wait_for_ever),
        TEST(an_option_names_it),
    };

    return cmocka_run_group_tests_name("server/history/store", tests, NULL, NULL);
}
