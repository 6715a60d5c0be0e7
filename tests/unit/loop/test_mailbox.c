/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "loop/mailbox.h"
#include "support/until.h"

#define SENDERS 4
#define LETTERS 5000

struct letter {
    struct yo_letter letter;
    int sender, number;
};

struct inbox {
    int last[SENDERS];
    int opened;
    struct yo_mailbox *close_me;
};

static atomic_int discarded;

static void open_letter(struct yo_letter *letter, void *user, yo_time now)
{
    struct letter *mine = YO_CONTAINER(letter, struct letter, letter);
    struct inbox *inbox = user;
    (void)now;
    assert_int_equal(mine->number, inbox->last[mine->sender] + 1);
    inbox->last[mine->sender] = mine->number;
    inbox->opened++;
    free(mine);
    if (inbox->close_me) {
        yo_mailbox_close(inbox->close_me);
        inbox->close_me = NULL;
    }
}

static void discard_letter(struct yo_letter *letter)
{
    atomic_fetch_add(&discarded, 1);
    free(YO_CONTAINER(letter, struct letter, letter));
}

static struct yo_letter *new_letter(int sender, int number)
{
    struct letter *letter = malloc(sizeof(*letter));
    letter->letter.open = open_letter;
    letter->letter.discard = discard_letter;
    letter->sender = sender;
    letter->number = number;
    return &letter->letter;
}

static struct yo_loop *loop;
static struct yo_mailbox *box;
static struct inbox inbox;

static int start(void **state)
{
    (void)state;
    memset(&inbox, 0, sizeof(inbox));
    discarded = 0;
    return yo_loop_create(&loop, &yo_mem_libc, NULL, NULL) != YOMO_OK ||
           yo_mailbox_open(&box, loop, &inbox) != YOMO_OK;
}

static int stop(void **state)
{
    (void)state;
    yo_mailbox_unref(box);
    until_closed(loop);
    return 0;
}

static void *send_many(void *user)
{
    int sender = (int)(intptr_t)user;
    for (int i = 1; i <= LETTERS;) {
        if (i % 7 == 0) {
            struct yo_link list;
            yo_list_init(&list);
            for (int k = 0; k < 5 && i <= LETTERS; k++, i++) {
                yo_list_push_back(&list, &new_letter(sender, i)->link);
            }
            yo_mailbox_post_list(box, &list);
            assert_true(yo_list_empty(&list));
        } else {
            yo_mailbox_post(box, new_letter(sender, i++));
        }
    }
    yo_mailbox_unref(box);
    return NULL;
}

static void letters_of_each_sender_arrive_in_their_order(void **state)
{
    (void)state;
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        yo_mailbox_ref(box);
        assert_int_equal(
            pthread_create(&threads[i], NULL, send_many, (void *)(intptr_t)i), 0);
    }
    UNTIL(loop, inbox.opened == SENDERS * LETTERS);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    yo_mailbox_close(box);
    assert_int_equal(discarded, 0);
}

static void a_closed_box_discards_what_waits_and_what_comes_late(void **state)
{
    (void)state;
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        yo_mailbox_ref(box);
        pthread_create(&threads[i], NULL, send_many, (void *)(intptr_t)i);
    }
    UNTIL(loop, inbox.opened > 0);
    yo_mailbox_close(box);
    until_turn(loop, 0);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(inbox.opened + discarded, SENDERS * LETTERS);
}

static void a_box_closed_by_a_letter_opens_no_other(void **state)
{
    (void)state;
    inbox.close_me = box;
    for (int i = 1; i <= 3; i++) {
        yo_mailbox_post(box, new_letter(0, i));
    }
    UNTIL(loop, inbox.opened + discarded == 3);
    assert_int_equal(inbox.opened, 1);
}

struct poster {
    struct yo_task task;
};

static void post_from_home(struct yo_task *task, yo_time now)
{
    (void)task;
    (void)now;
    yo_mailbox_post(box, new_letter(0, 1));
    yo_mailbox_post(box, new_letter(0, 2));
    assert_int_equal(inbox.opened, 0); /* never inside the call */
}

static void a_letter_from_home_needs_no_waking(void **state)
{
    (void)state;
    struct poster poster;
    yo_task_init(&poster.task, post_from_home);
    yo_loop_defer(loop, &poster.task);
    yo_loop_turn(loop);
    if (inbox.opened == 0) {
        assert_int_equal(yo_loop_timeout_ms(loop), 0);
        yo_loop_turn(loop);
    }
    assert_int_equal(inbox.opened, 2);
    yo_mailbox_close(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(letters_of_each_sender_arrive_in_their_order,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            a_closed_box_discards_what_waits_and_what_comes_late, start, stop),
        cmocka_unit_test_setup_teardown(a_box_closed_by_a_letter_opens_no_other, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_letter_from_home_needs_no_waking, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
