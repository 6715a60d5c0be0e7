/* SPDX-License-Identifier: MIT */
/* test_sqlite.c - histories in a file: what is committed is there, what is not is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "server/history/backend.h"

#define DAY (UINT64_C(24) * 3600 * 1000)

static char folder[64], path[96];
static struct yo_backend *store;
static struct yo_buf why;
static const struct yo_span room = {(const uint8_t *)"app\0room", 8};
static const struct yo_span other = {(const uint8_t *)"app\0other", 9};

static void open_store(uint64_t messages, uint64_t age_ms)
{
    const struct yo_store_bounds bounds = {messages, age_ms};

    assert_int_equal(yo_sqlite_create(&store, &yo_mem_libc, path, &bounds), YOMO_OK);
}

static void close_store(void)
{
    store->ops->close(store);
    store = NULL;
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/yomo-history-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/history.db", folder);
    yo_buf_init(&why, &yo_mem_libc);
    open_store(0, 0);
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"history.db", "history.db-wal",
                                        "history.db-shm", "history.db.lock"};
    (void)state;
    if (store) {
        close_store();
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[160];
        snprintf(name, sizeof(name), "%s/%s", folder, names[i]);
        (void)unlink(name);
    }
    yo_buf_finish(&why);
    return rmdir(folder);
}

static void begin(void)
{
    assert_int_equal(store->ops->begin(store, &why), YOMO_OK);
}

static void commit(void)
{
    assert_int_equal(store->ops->commit(store, &why), YOMO_OK);
}

static void keep_at(struct yo_span where, uint64_t place, uint64_t at_ms)
{
    char text[16];
    struct yo_stored message = {.place = place,
                                .session = 7,
                                .number = 3,
                                .at_ms = at_ms,
                                .priority = 1,
                                .first = place < 10};

    snprintf(text, sizeof(text), "m%u", (unsigned)place);
    message.message = yo_blob_create(&yo_mem_libc, yo_span_of(text));
    assert_int_equal(store->ops->keep(store, where, 99, &message, &why), YOMO_OK);
    yo_blob_unref(message.message);
}

static void keep(struct yo_span where, uint64_t first, uint64_t last)
{
    begin();
    for (uint64_t place = first; place <= last; place++) {
        keep_at(where, place, 1000 + place);
    }
    commit();
}

static char told[4096];
static int wanted;

static bool take(void *user, const struct yo_stored *message, struct yo_span bytes)
{
    size_t used = strlen(told);

    (void)user;
    if (wanted-- == 0) {
        return false;
    }
    snprintf(told + used, sizeof(told) - used, "%s%u:%.*s", used ? " " : "",
             (unsigned)message->place, (int)bytes.size, (const char *)bytes.data);
    return true;
}

static void assert_read(struct yo_span where, uint64_t before, int most,
                        const char *expected)
{
    told[0] = 0;
    wanted = most;
    assert_int_equal(store->ops->read(store, where, before, take, NULL, &why), YOMO_OK);
    assert_string_equal(told, expected);
}

static struct yo_stored_order order_of(struct yo_span where)
{
    struct yo_stored_order order;

    assert_int_equal(store->ops->find(store, where, &order, &why), YOMO_OK);
    return order;
}

static void a_room_that_nobody_heard_of(void **state)
{
    (void)state;
    assert_int_equal(order_of(room).epoch, 0);
    assert_read(room, 0, 10, "");
    begin();
    assert_int_equal(store->ops->use(store, room, 5, 1, &why), YOMO_OK);
    assert_int_equal(store->ops->rest(store, room, 5, 1, &why), YOMO_OK);
    assert_int_equal(store->ops->forget(store, room, 5, &why), YOMO_OK);
    commit();
    assert_int_equal(order_of(room).epoch, 0); /* none of these makes it known */
}

static void what_is_committed_is_there_again(void **state)
{
    struct yo_stored_order order;

    (void)state;
    keep(room, 3, 6);
    keep(other, 1, 1);
    assert_true(order_of(room).in_use);
    begin();
    assert_int_equal(store->ops->rest(store, room, 9, 1, &why), YOMO_OK);
    commit();
    close_store();
    open_store(0, 0);
    order = order_of(room);
    assert_int_equal(order.epoch, 99);
    assert_int_equal(order.place, 9);
    assert_false(order.in_use || order.trimmed);
    assert_true(order_of(other).in_use); /* nobody said that it ended */
    assert_read(room, 0, 10, "6:m6 5:m5 4:m4 3:m3");
    assert_read(room, 5, 10, "4:m4 3:m3");
    assert_read(room, 0, 2, "6:m6 5:m5");
    assert_read(other, UINT64_MAX, 10, "1:m1");
    begin();
    assert_int_equal(store->ops->use(store, room, 12, 1, &why), YOMO_OK);
    commit();
    assert_true(order_of(room).in_use);
    assert_int_equal(order_of(room).place, 12);
}

static void what_was_given_up_is_not(void **state)
{
    (void)state;
    keep(room, 1, 2);
    begin();
    keep_at(room, 3, 1);
    store->ops->rollback(store);
    assert_read(room, 0, 10, "2:m2 1:m1");
    keep(room, 2, 3); /* once more, and one of them twice */
    assert_read(room, 0, 10, "3:m3 2:m2 1:m1");
}

/* Its file was taken away, say: what was stored before is not there. */
static void a_room_that_begins_in_the_middle_has_something_missing(void **state)
{
    (void)state;
    keep(room, 50, 51);
    keep(other, 1, 1);
    assert_true(order_of(room).trimmed);
    assert_false(order_of(other).trimmed);
}

static void the_last_place_never_goes_back(void **state)
{
    (void)state;
    keep(room, 50, 50);
    keep(room, 20, 20); /* written late */
    assert_int_equal(order_of(room).place, 50);
    begin();
    assert_int_equal(store->ops->rest(store, room, 30, 1, &why), YOMO_OK);
    commit();
    assert_int_equal(order_of(room).place, 50);
}

static void what_is_forgotten_is_remembered_as_gone(void **state)
{
    (void)state;
    keep(room, 1, 5);
    begin();
    assert_int_equal(store->ops->forget(store, room, 3, &why), YOMO_OK);
    commit();
    assert_read(room, 0, 10, "5:m5 4:m4");
    assert_true(order_of(room).trimmed);
}

static void it_tidies_up(void **state)
{
    (void)state;
    close_store();
    open_store(3, 10000);
    keep(room, 1, 10); /* at 1001 to 1010 */
    keep(other, 1, 2);
    assert_int_equal(store->ops->tidy(store, 5000, &why), YOMO_OK);
    assert_read(room, 0, 10, "10:m10 9:m9 8:m8");
    assert_read(other, 0, 10, "2:m2 1:m1");
    assert_true(order_of(room).trimmed);
    assert_false(order_of(other).trimmed);
    assert_int_equal(store->ops->tidy(store, 11002, &why), YOMO_OK);
    assert_read(other, 0, 10, "2:m2");
    assert_true(order_of(other).trimmed);
    assert_int_equal(store->ops->tidy(store, 50000, &why), YOMO_OK);
    assert_read(room, 0, 10, "");
    assert_int_equal(order_of(room).epoch, 99); /* its order is kept for a day */
    begin();
    assert_int_equal(store->ops->rest(store, room, 10, 1000, &why), YOMO_OK);
    commit();
    assert_int_equal(store->ops->tidy(store, 20 * DAY, &why), YOMO_OK);
    assert_int_equal(order_of(room).epoch, 0);
    assert_int_equal(order_of(other).epoch, 99); /* somebody uses it */
}

static void one_process_at_a_time(void **state)
{
    const struct yo_store_bounds bounds = {0, 0};
    struct yo_stored_order order;
    struct yo_backend *second;

    (void)state;
    keep(room, 1, 1);
    assert_int_equal(yo_sqlite_create(&second, &yo_mem_libc, path, &bounds), YOMO_OK);
    assert_int_equal(second->ops->find(second, room, &order, &why), YOMO_ERR_IN_USE);
    close_store();
    assert_int_equal(second->ops->find(second, room, &order, &why), YOMO_OK);
    assert_int_equal(order.epoch, 99);
    second->ops->close(second);
}

static void nobody_else_may_read_it(void **state)
{
    struct stat file;

    (void)state;
    keep(room, 1, 1);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void what_is_no_database_is_left_alone(void **state)
{
    struct yo_stored_order order;
    FILE *file = fopen(path, "w");
    char text[64] = "";

    (void)state;
    fputs("this is a letter to somebody, and no database", file);
    fclose(file);
    assert_int_equal(store->ops->find(store, room, &order, &why), YOMO_ERR_FILE);
    assert_int_equal(store->ops->begin(store, &why), YOMO_ERR_FILE);
    assert_true(why.size > 0);
    file = fopen(path, "r");
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "this is a letter to somebody, and no database");
}

static void a_folder_that_is_missing_is_an_error_until_it_is_there(void **state)
{
    struct yo_stored_order order;
    const struct yo_store_bounds bounds = {0, 0};
    char inner[128], file[160];

    (void)state;
    close_store();
    snprintf(inner, sizeof(inner), "%s/inner", folder);
    snprintf(file, sizeof(file), "%s/history.db", inner);
    assert_int_equal(yo_sqlite_create(&store, &yo_mem_libc, file, &bounds), YOMO_OK);
    assert_int_equal(store->ops->find(store, room, &order, &why), YOMO_ERR_FILE);
    assert_int_equal(store->ops->tidy(store, 1, &why), YOMO_OK);
    assert_int_equal(mkdir(inner, 0700), 0);
    keep(room, 1, 1);
    assert_read(room, 0, 1, "1:m1");
    close_store();
    unlink(file);
    strcat(file, ".lock");
    unlink(file);
    assert_int_equal(rmdir(inner), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_room_that_nobody_heard_of),
        TEST(what_is_committed_is_there_again),
        TEST(what_was_given_up_is_not),
        TEST(a_room_that_begins_in_the_middle_has_something_missing),
        TEST(the_last_place_never_goes_back),
        TEST(what_is_forgotten_is_remembered_as_gone),
        TEST(it_tidies_up),
        TEST(one_process_at_a_time),
        TEST(nobody_else_may_read_it),
        TEST(what_is_no_database_is_left_alone),
        TEST(a_folder_that_is_missing_is_an_error_until_it_is_there),
    };

    return cmocka_run_group_tests_name("server/history/sqlite", tests, NULL, NULL);
}
