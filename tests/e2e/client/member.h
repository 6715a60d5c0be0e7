/* SPDX-License-Identifier: MIT */
/* member.h - one client of a test, which counts what it is told. */
#ifndef TESTS_E2E_MEMBER_H
#define TESTS_E2E_MEMBER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <yomo/client.h>

#define MEMBER_WAIT_MS 20000 /* after which a test fails */

struct member {
    yomo_client *client;
    yomo_room *room;
    pthread_mutex_t lock; /* for members on a thread of their own */
    pthread_cond_t changed;
    bool driven; /* by something else than member_until */
    int opens, waits, joined, present, came, states, went, stale, back, messages, sent, left, closed;
    int32_t error, sent_error, left_error;
    char last[64], from[64];
};

/* A polled client for the server on `port` of localhost. */
void member_begin(struct member *member, uint16_t port, const char *state_dir,
                  const char *id, const char *transport);
void member_begin_at(struct member *member, const char *host, uint16_t port,
                     const char *state_dir, const char *id, const char *transport);
void member_join(struct member *member, const char *room, const char *state);
/* Close it politely, see it closed, give it back. */
void member_end(struct member *member);

/* Let it do what is due, after a sleep of at most `ms`. */
void member_poll(struct member *member, int ms);

uint64_t member_clock_ms(void);

#define MEMBER_UNTIL(member, condition)                       \
    do {                                                      \
        uint64_t until_ = member_clock_ms() + MEMBER_WAIT_MS; \
        while (!(condition)) {                                \
            if (member_clock_ms() > until_) {                 \
                fail_msg("%s did not happen", #condition);    \
            }                                                 \
            member_poll((member), 100);                       \
        }                                                     \
    } while (0)

/* Let both do what is due until `*counter` is at least `value`. */
void member_until2(struct member *a, struct member *b, const int *counter, int value);

/* For one on a thread of its own, after yomo_client_free. */
void member_wait_closed(struct member *member);

#endif
