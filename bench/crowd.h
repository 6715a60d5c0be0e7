/* SPDX-License-Identifier: MIT */
/* crowd.h - hundreds of clients, in rooms of so many and one more in each, the witness. The
 * witness and one of the others say RELIABLE messages all the time; a message says who sent
 * it and as what number, and each member checks that it has each of them once and in order,
 * but for those that it was told are gone.
 *
 * What resume.c and drain.c have in common. There is one crowd in a process. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <pthread.h>
#include <uv.h>

#include "../cli/bench.h"

#define CROWD_SENDERS 2 /* of each room: the witness, and the first of the others */

enum order { WITNESSES = 1, OTHERS, SEND, QUIET, CLOSE };

struct member {
    struct thread *thread;
    yomo_client *client;
    yomo_room *room;
    uint32_t room_number, place;        /* 0: the witness */
    uint64_t next[CROWD_SENDERS], sent; /* the number that should come; its own */
    uint64_t due;
    uint64_t noticed_at, back_at; /* that it lost its connection; in its room again */
    uint64_t skipped, twice, gap_places, gaps, unsure;
    int32_t error; /* with which it lost it */
    bool there, resumed, boundless;
};

struct thread {
    pthread_t id;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    struct member **mine;
    uint32_t count, opened, opening, over;
    int obeyed;
    _Atomic uint64_t received, due_to_come;
};

extern struct crowd {
    const char *name; /* of the program */
    const char *transport, *serve, *silence;
    uint32_t clients, room, rooms, threads;
    double rate;
    yomo_options *options;  /* of the clients */
    struct bench_server server;
    struct member *members; /* place by place: first the witnesses */
    uint32_t member_count;
    struct thread all[BENCH_THREADS_MAX];
    _Atomic int order;
    _Atomic uint32_t there, back, witnesses_back, over;
    _Atomic uint64_t broken_at, attempts, refused; /* broken_at 0: not yet */
} crowd;

void crowd_give_up(const char *what, const char *why); /* the process ends */
void crowd_check(const char *what, int32_t rv);
void crowd_sleep(long ms);
void crowd_set(const char *name, const char *value); /* an option of the clients */

/* --clients, --room and the others of `crowd`. False: it is none of them. */
bool crowd_argument(const char *name, const char *value);
bool crowd_arguments_are_good(void);

/* Wait until it listens. */
void crowd_listens(struct bench_server *server);

/* Options and members, for a backend at `port` with these certificates. */
void crowd_prepare(uint32_t port, const char *certificates);
void crowd_start(void);              /* its threads */
void crowd_tell(enum order what);    /* all of them */
void crowd_wait(_Atomic uint32_t *counter, uint32_t value, const char *what);
void crowd_finish(void);             /* once `over` is all threads */

double crowd_cpu(double *busiest); /* seconds of all threads; of each */
uint64_t crowd_on_the_way(void);   /* messages that should still come */

/* Into the JSON object that is being printed. The second is true when no message was lost
 * or came twice. */
void crowd_print_times(const char *name, uint64_t *times, size_t count);
bool crowd_print_messages(void);

#endif
