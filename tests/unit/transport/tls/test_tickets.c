/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/tls/tickets.h"

#define START UINT64_C(2000000000)

static char dir[64], file[128], lock[160];

static int begin(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/yomo-tickets-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/ticket-key", dir);
    snprintf(lock, sizeof(lock), "%s.lock", file);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(file);
    unlink(lock);
    return rmdir(dir);
}

static struct yo_ticket_keys *open_at(uint64_t now_s)
{
    struct yo_ticket_keys *keys = NULL;
    assert_int_equal(yo_ticket_keys_open(&keys, &yo_mem_libc, file, now_s, NULL),
                     YOMO_OK);
    return keys;
}

static struct yo_ticket_seal newest(struct yo_ticket_keys *keys, uint64_t now_s)
{
    struct yo_ticket_seal seal;
    yo_ticket_keys_newest(keys, YO_TICKETS_QUIC, now_s, &seal);
    return seal;
}

/* 0: unknown; 1: opened; 2: opened, and a new ticket is due. */
static int try(struct yo_ticket_keys *keys, const struct yo_ticket_seal *seal,
               uint64_t now_s)
{
    struct yo_ticket_seal found;
    bool renew = false;
    if (!yo_ticket_keys_find(keys, YO_TICKETS_QUIC, seal->name, now_s, &found,
                             &renew)) {
        return 0;
    }
    assert_memory_equal(&found, seal, sizeof(found));
    return renew ? 2 : 1;
}

static void keys_are_kept_in_a_private_file(void **state)
{
    struct stat st;
    (void)state;
    struct yo_ticket_keys *first = open_at(START), *second = open_at(START);
    struct yo_ticket_seal seal = newest(first, START);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(try(second, &seal, START), 1);
    struct yo_ticket_seal same = newest(second, START);
    assert_memory_equal(&same, &seal, sizeof(seal));
    yo_ticket_keys_close(first);
    yo_ticket_keys_close(second);
    first = open_at(START + 60); /* after a restart */
    assert_int_equal(try(first, &seal, START + 60), 1);
    yo_ticket_keys_close(first);
}

static void tcp_and_quic_have_keys_of_their_own(void **state)
{
    struct yo_ticket_seal seal, tcp;
    bool renew;
    (void)state;
    struct yo_ticket_keys *keys = open_at(START);
    seal = newest(keys, START);
    yo_ticket_keys_newest(keys, YO_TICKETS_TCP, START, &tcp);
    assert_memory_not_equal(seal.name, tcp.name, sizeof(tcp.name));
    assert_memory_not_equal(seal.mac, tcp.mac, sizeof(tcp.mac));
    assert_memory_not_equal(seal.cipher, tcp.cipher, sizeof(tcp.cipher));
    assert_memory_not_equal(seal.mac, seal.cipher, sizeof(tcp.mac));
    assert_false(
        yo_ticket_keys_find(keys, YO_TICKETS_TCP, seal.name, START, &tcp, &renew));
    yo_ticket_keys_close(keys);
}

static void keys_change_and_the_old_one_opens_for_as_long_again(void **state)
{
    (void)state;
    struct yo_ticket_keys *keys = open_at(START);
    struct yo_ticket_seal old = newest(keys, START);
    uint64_t change = START + YO_TICKET_KEY_S;
    struct yo_ticket_seal still = newest(keys, change - 1);
    assert_memory_equal(&still, &old, sizeof(old));
    struct yo_ticket_seal next = newest(keys, change);
    assert_memory_not_equal(&next, &old, sizeof(old));
    assert_int_equal(try(keys, &next, change), 1);
    assert_int_equal(try(keys, &old, change), 2);
    assert_int_equal(try(keys, &old, change + YO_TICKET_KEY_S - 1), 2);
    assert_int_equal(try(keys, &old, change + YO_TICKET_KEY_S), 0);
    for (int i = 2; i < 20; i++) { /* the file does not grow for ever */
        (void)newest(keys, START + (uint64_t)i * YO_TICKET_KEY_S);
    }
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size < 300);
    yo_ticket_keys_close(keys);
}

static void processes_change_keys_together(void **state)
{
    (void)state;
    struct yo_ticket_keys *first = open_at(START), *second = open_at(START);
    uint64_t change = START + YO_TICKET_KEY_S;
    struct yo_ticket_seal next = newest(first, change);
    /* The other has not looked yet: an unknown name makes it look. */
    assert_int_equal(try(second, &next, change), 1);
    struct yo_ticket_seal same = newest(second, change);
    assert_memory_equal(&same, &next, sizeof(next));
    yo_ticket_keys_close(first);
    yo_ticket_keys_close(second);
}

static void a_clock_that_was_set_back_does_no_harm(void **state)
{
    (void)state;
    struct yo_ticket_keys *keys = open_at(START + 30 * 86400);
    struct yo_ticket_seal future = newest(keys, START + 30 * 86400);
    struct yo_ticket_seal seal = newest(keys, START);
    assert_memory_not_equal(&seal, &future, sizeof(seal));
    assert_int_equal(try(keys, &seal, START), 1);
    yo_ticket_keys_close(keys);
}

static void put(const char *bytes, size_t size, mode_t mode)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(file, mode), 0);
}

static void expect_refused(const char *sentence)
{
    struct yo_ticket_keys *keys;
    struct yo_buf why;
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_ticket_keys_open(&keys, &yo_mem_libc, file, START, &why),
                     YOMO_ERR_FILE);
    yo_buf_append_byte(&why, 0);
    assert_memory_equal(why.data, file, strlen(file));
    if (!strstr((char *)why.data, sentence)) {
        fail_msg("%s does not say %s", (char *)why.data, sentence);
    }
    yo_buf_finish(&why);
}

static void files_that_hold_no_keys_are_named(void **state)
{
    static const char magic[] = "yomo ticket keys 1\n";
    char long_file[1000] = {0};
    (void)state;
    put("", 0, 0600);
    expect_refused("does not hold ticket keys");
    put("yomo ticket keys 1\nx", 20, 0600);
    expect_refused("does not hold ticket keys");
    memcpy(long_file, magic, sizeof(magic) - 1);
    put(long_file, sizeof(magic) - 1 + 40 * 5, 0600); /* one too many */
    expect_refused("does not hold ticket keys");
    put(magic, sizeof(magic) - 1, 0644);
    expect_refused("others may read or write it (mode 0644)");
    unlink(file);
    assert_int_equal(symlink("/dev/zero", file), 0);
    expect_refused("");
    unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    expect_refused("is not a file of this user's");
}

static void a_file_of_the_first_format_is_replaced(void **state)
{
    char old[48] = "secret";
    struct stat st;
    (void)state;
    put(old, sizeof(old), 0600);
    yo_ticket_keys_close(open_at(START));
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size != 48);
}

static void without_a_file_keys_stay_in_memory(void **state)
{
    struct yo_ticket_keys *keys;
    (void)state;
    assert_int_equal(yo_ticket_keys_open(&keys, &yo_mem_libc, NULL, START, NULL),
                     YOMO_OK);
    struct yo_ticket_seal old = newest(keys, START);
    assert_int_equal(try(keys, &old, START), 1);
    (void)newest(keys, START + YO_TICKET_KEY_S);
    assert_int_equal(try(keys, &old, START + YO_TICKET_KEY_S), 2);
    yo_ticket_keys_close(keys);
}

static void a_folder_that_went_away_does_not_stop_the_change(void **state)
{
    (void)state;
    struct yo_ticket_keys *keys = open_at(START);
    struct yo_ticket_seal old = newest(keys, START);
    unlink(file);
    unlink(lock);
    assert_int_equal(rmdir(dir), 0);
    struct yo_ticket_seal next = newest(keys, START + YO_TICKET_KEY_S);
    assert_memory_not_equal(&next, &old, sizeof(next));
    assert_int_equal(try(keys, &old, START + YO_TICKET_KEY_S), 2);
    yo_ticket_keys_close(keys);
    assert_int_equal(mkdir(dir, 0700), 0);
}

static void without_a_lock_what_is_there_is_read(void **state)
{
    (void)state;
    struct yo_ticket_keys *keys = open_at(START);
    struct yo_ticket_seal seal = newest(keys, START);
    yo_ticket_keys_close(keys);
    unlink(lock);
    assert_int_equal(mkdir(lock, 0700),
                     0); /* as in a folder that is not ours to write */
    keys = open_at(START);
    assert_int_equal(try(keys, &seal, START), 1);
    yo_ticket_keys_close(keys);
    assert_int_equal(rmdir(lock), 0);
}

static void open_body(struct fault *fault, void *user)
{
    struct yo_ticket_keys *keys;
    (void)user;
    int rv = yo_ticket_keys_open(&keys, &fault->mem, file, START, NULL);
    if (rv == YOMO_OK) {
        (void)newest(keys, START);
        yo_ticket_keys_close(keys);
    }
    assert_true(rv == YOMO_OK || fault->failed);
    unlink(file);
}

static void opening_survives_every_failing_allocation(void **state)
{
    (void)state;
    fault_each(open_body, NULL);
}

/* Workers seal and open, each at its own idea of the time, while keys change. */
static void *work(void *user)
{
    struct yo_ticket_keys *keys = user;
    uintptr_t opened = 0;
    for (uint64_t i = 0; i < 400; i++) {
        uint64_t now_s = START + i * (YO_TICKET_KEY_S / 100);
        struct yo_ticket_seal seal = newest(keys, now_s), found;
        bool renew;
        opened += yo_ticket_keys_find(keys, YO_TICKETS_QUIC, seal.name, now_s, &found,
                                      &renew);
    }
    return (void *)opened;
}

static void workers_share_them(void **state)
{
    struct yo_ticket_keys *keys = open_at(START);
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, keys), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *opened;
        assert_int_equal(pthread_join(threads[i], &opened), 0);
        /* One that is far behind may seal with a key that only others' clocks know. */
        assert_true((uintptr_t)opened > 0);
    }
    yo_ticket_keys_close(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_kept_in_a_private_file, begin, end),
        cmocka_unit_test_setup_teardown(tcp_and_quic_have_keys_of_their_own, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            keys_change_and_the_old_one_opens_for_as_long_again, begin, end),
        cmocka_unit_test_setup_teardown(processes_change_keys_together, begin, end),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_does_no_harm, begin,
                                        end),
        cmocka_unit_test_setup_teardown(files_that_hold_no_keys_are_named, begin, end),
        cmocka_unit_test_setup_teardown(a_file_of_the_first_format_is_replaced, begin,
                                        end),
        cmocka_unit_test_setup_teardown(without_a_file_keys_stay_in_memory, begin, end),
        cmocka_unit_test_setup_teardown(
            a_folder_that_went_away_does_not_stop_the_change, begin, end),
        cmocka_unit_test_setup_teardown(without_a_lock_what_is_there_is_read, begin,
                                        end),
        cmocka_unit_test_setup_teardown(workers_share_them, begin, end),
        cmocka_unit_test_setup_teardown(opening_survives_every_failing_allocation,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
