/* SPDX-License-Identifier: MIT */
/* guest.h - a member of a test room that misses nothing: who sent which number, in
 * which order, who came and went, and over which transports it was connected. */
#ifndef TESTS_E2E_MIDDLE_GUEST_H
#define TESTS_E2E_MIDDLE_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <yomo/client.h>

#define GUEST_WAIT_MS 25000 /* after which a test fails */
#define GUEST_SENDERS 4     /* whose ids are "a", "b", ... */
#define GUEST_KEYS 4        /* of LATEST values, "0", "1", ... */

struct guest {
    const char *id;
    yomo_client *client;
    yomo_room *room;
    yomo_options *options; /* until guest_join; to be set further */

    int opens, waits, joined, left, closed;
    int32_t transport; /* of the last OPEN */
    int came, went;    /* others; those who were there first not counted */
    int went_stale, came_back;
    int resumed, gaps;
    int extras; /* messages of the event "x" */
    /* RELIABLE numbers: each sender counts up from 1. */
    long reliable[GUEST_SENDERS]; /* the last that came */
    int disorder;                 /* came twice, too early, or too late */
    int twice;                    /* the first of these */
    /* LATEST: numbers that only grow, of each sender and key. */
    long latest[GUEST_SENDERS][GUEST_KEYS];
    int stale; /* a value that was not newer */
    long staleness_sum, latest_count;
    /* Its own. */
    long said, confirmed, refused;
    long latest_said[GUEST_KEYS];
};

struct host {
    yomo_server *server;
    uint16_t port;
    char certificate[65];
    char state_dir[64];
};

/* A server with workers as $YOMO_WORKERS says, on 127.0.0.1 or (NULL-terminated pairs)
 * as `more` says. */
void host_begin(struct host *host, const char *const *more);
void host_end(struct host *host);
/* What its metrics say under that name; -1: nothing. */
long host_metric(const struct host *host, const char *name);

/* A polled client for `port` of `address`. Set options further, then join. */
void guest_begin(struct guest *guest, const struct host *host, const char *id,
                 const char *address, uint16_t port);
void guest_set(struct guest *guest, const char *name, const char *value);
void guest_join(struct guest *guest, const char *room);
/* All of them; what is asserted is that nobody minds. */
void guests_end(struct guest *guests, int count);

/* The next RELIABLE number, told to be confirmed; and the next value of `key`. */
void guest_say(struct guest *guest);
void guest_say_latest(struct guest *guest, int key);

/* Let all do what is due, for at most `ms` without anything. */
void guests_turn(struct guest *guests, int count, int ms);

/* Does `listener` have all that `speaker` has said? */
bool guest_has_all(const struct guest *listener, const struct guest *speaker);

uint64_t guest_clock_ms(void);

#define GUESTS_UNTIL(guests, count, condition)              \
    do {                                                    \
        uint64_t until_ = guest_clock_ms() + GUEST_WAIT_MS; \
        while (!(condition)) {                              \
            if (guest_clock_ms() > until_) {                \
                fail_msg("%s did not happen", #condition);  \
            }                                               \
            guests_turn((guests), (count), 50);             \
        }                                                   \
    } while (0)

#endif
