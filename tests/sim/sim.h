/* SPDX-License-Identifier: MIT */
/* sim.h - a virtual clock, a story, and connections with delay, loss and reordering.
 *
 * Everything that happens is an event at its moment; a seed decides all chance, so a
 * run can be repeated. What happens is told as lines; when a promise is broken the seed
 * and the last lines are printed. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/blob.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/rand.h"
#include "session/effects.h"
#include "support/fault.h"

struct sim {
    struct fault fault;
    const struct yomo_mem *mem;
    uint64_t seed;
    struct yo_rand rand;
    yo_time now;
    struct yo_heap events;
    struct yo_buf story;
    /* the network, for links made from here on */
    yo_time delay_min, delay_max;
    unsigned loss_percent;     /* of datagrams */
    unsigned spurious_percent; /* of datagrams that arrive and are called lost */
    bool storming;             /* programs act, connections break */
};

void sim_init(struct sim *sim, uint64_t seed);
void sim_drop_events(struct sim *sim); /* nothing more happens; links may go now */
void sim_finish(struct sim *sim);

uint64_t sim_below(struct sim *sim, uint64_t limit);
bool sim_chance(struct sim *sim, unsigned percent);

/* Call `run` at `when`; events of one moment run in no certain order. */
void sim_at(struct sim *sim, yo_time when, void (*run)(void *user), void *user);

/* The same, with what is to be done with `user` if the simulation ends before. */
void sim_at_or(struct sim *sim, yo_time when, void (*run)(void *user),
               void (*drop)(void *user), void *user);

/* Run the next event if it is not later than `end`. */
bool sim_step(struct sim *sim, yo_time end);

/* One line of the story, with the time in front. */
void sim_say(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_say_effects(struct sim *sim, const char *who,
                     const struct yo_effects *effects);

/* A promise was broken: print seed and story, fail the test. */
void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#define SIM_ASSERT(sim, condition, ...) \
    do {                                \
        if (!(condition)) {             \
            sim_fail(sim, __VA_ARGS__); \
        }                               \
    } while (0)

/* --- links --- */

enum sim_transport { SIM_WEBSOCKET, SIM_WEBTRANSPORT };

struct sim_end {
    void (*on_message)(void *user, uint32_t lane, struct yo_span message);
    void (*on_fate)(void *user, uint64_t token, bool acked);
    void (*on_writable)(void *user);
    void (*on_cut)(void *user); /* some time after the link was cut */
    void *user;
};

struct sim_link;

/* Lives until the simulation ends. Its ends are numbered: 0 the client's, 1 the
 * backend's. */
struct sim_link *sim_link_create(struct sim *sim, enum sim_transport transport,
                                 bool presencejs, const struct sim_end ends[2]);
void sim_link_destroy(struct sim_link *link);

/* False: not now, on_writable follows. */
bool sim_link_send(struct sim_link *link, int from, uint32_t lane,
                   struct yo_blob *message, uint64_t token);

/* Nothing arrives any more, at either end; each end hears of it later. */
void sim_link_cut(struct sim_link *link);

/* The next datagram from this end is lost, whatever chance says. */
void sim_link_lose_next(struct sim_link *link, int from);

#endif
