/* SPDX-License-Identifier: MIT */
#include "sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "session/numbers.h"
#include "unit/session/story.h"

#define STORY_MAX (4u << 20)
#define STORY_SHOWN 6000
#define LANES 64
#define TRANSMISSION (100 * YO_US) /* of one message */
#define NOTICED (120 * YO_MS)      /* that a link was cut */

void sim_init(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof(*sim));
    fault_init(&sim->fault, 0, FAULT_ONCE);
    sim->mem = &sim->fault.mem;
    sim->seed = seed;
    sim->now = YO_SECOND;
    sim->delay_min = sim->delay_max = 10 * YO_MS;
    yo_rand_seed(&sim->rand, seed);
    yo_heap_init(&sim->events, sim->mem);
    yo_buf_init(&sim->story, sim->mem);
}

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
    return yo_rand_below(&sim->rand, limit);
}

bool sim_chance(struct sim *sim, unsigned percent)
{
    return percent > 0 && sim_below(sim, 100) < percent;
}

/* --- events --- */

struct event {
    struct yo_heap_node node;
    void (*run)(void *user);
    void (*drop)(void *user);
    void *user;
};

void sim_at(struct sim *sim, yo_time when, void (*run)(void *user), void *user)
{
    sim_at_or(sim, when, run, NULL, user);
}

void sim_at_or(struct sim *sim, yo_time when, void (*run)(void *user),
               void (*drop)(void *user), void *user)
{
    struct event *event = yo_calloc(sim->mem, 1, sizeof(*event));

    assert_non_null(event);
    event->run = run;
    event->drop = drop;
    event->user = user;
    assert_int_equal(yo_heap_set(&sim->events, &event->node, when), YOMO_OK);
}

bool sim_step(struct sim *sim, yo_time end)
{
    struct yo_heap_node *node = yo_heap_first(&sim->events);
    struct event event;

    if (!node || node->when > end) {
        sim->now = end;
        return false;
    }
    yo_heap_remove(&sim->events, node);
    event = *YO_CONTAINER(node, struct event, node);
    yo_free(sim->mem, YO_CONTAINER(node, struct event, node));
    if (event.node.when > sim->now) {
        sim->now = event.node.when;
    }
    event.run(event.user);
    return true;
}

void sim_drop_events(struct sim *sim)
{
    struct yo_heap_node *node;

    while ((node = yo_heap_first(&sim->events))) {
        struct event *event = YO_CONTAINER(node, struct event, node);
        yo_heap_remove(&sim->events, node);
        if (event->drop) {
            event->drop(event->user);
        }
        yo_free(sim->mem, event);
    }
}

void sim_finish(struct sim *sim)
{
    sim_drop_events(sim);
    yo_heap_finish(&sim->events);
    yo_buf_finish(&sim->story);
    fault_assert_no_leak(&sim->fault);
}

/* --- the story --- */

static void put_moment(struct sim *sim)
{
    if (sim->story.size > STORY_MAX) {
        yo_buf_consume(&sim->story, STORY_MAX / 2);
    }
    yo_buf_printf(&sim->story, "%7.1f ",
                  (double)(sim->now - YO_SECOND) / (double)YO_MS);
}

void sim_say(struct sim *sim, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put_moment(sim);
    yo_buf_printf(&sim->story, "%s\n", text);
}

void sim_say_effects(struct sim *sim, const char *who, const struct yo_effects *effects)
{
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "%7.1f %s ",
             (double)(sim->now - YO_SECOND) / (double)YO_MS, who);
    if (sim->story.size > STORY_MAX) {
        yo_buf_consume(&sim->story, STORY_MAX / 2);
    }
    story_effects(&sim->story, prefix, effects);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    size_t from = sim->story.size > STORY_SHOWN ? sim->story.size - STORY_SHOWN : 0;
    const char *path = getenv("SIM_STORY"); /* a file for all of it */
    FILE *file = path ? fopen(path, "w") : NULL;
    va_list arguments;

    if (file) {
        fwrite(sim->story.data, 1, sim->story.size, file);
        fclose(file);
    }

    fprintf(stderr,
            "\n... %.*s\nseed %llu, at %.1f ms: ", (int)(sim->story.size - from),
            (const char *)sim->story.data + from, (unsigned long long)sim->seed,
            (double)(sim->now - YO_SECOND) / (double)YO_MS);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    fail();
    abort(); /* not reached */
}

/* --- links --- */

struct sim_link {
    struct sim *sim;
    enum sim_transport transport;
    bool presencejs;
    bool cut;
    yo_time delay_min, delay_max;
    struct sim_side {
        struct sim_end end;
        struct sim_link *link;
        yo_time lane_last[LANES]; /* when the newest message of the lane arrives */
        yo_time free;             /* when the next message may go */
        bool wants_writable;
        bool lose_next;
    } sides[2];
};

struct sim_link *sim_link_create(struct sim *sim, enum sim_transport transport,
                                 bool presencejs, const struct sim_end ends[2])
{
    struct sim_link *link = yo_calloc(sim->mem, 1, sizeof(*link));

    assert_non_null(link);
    link->sim = sim;
    link->transport = transport;
    link->presencejs = presencejs;
    link->delay_min = sim->delay_min;
    link->delay_max = sim->delay_max;
    for (int i = 0; i < 2; i++) {
        link->sides[i].end = ends[i];
        link->sides[i].link = link;
    }
    return link;
}

void sim_link_destroy(struct sim_link *link)
{
    if (link) {
        yo_free(link->sim->mem, link);
    }
}

void sim_link_lose_next(struct sim_link *link, int from)
{
    link->sides[from].lose_next = true;
}

static yo_time delay(struct sim_link *link)
{
    return link->delay_min +
           sim_below(link->sim, link->delay_max - link->delay_min + 1);
}

struct arrival {
    struct sim_side *to;
    uint32_t lane;
    struct yo_blob *message;
};

static void arrival_free(void *user)
{
    struct arrival *arrival = user;

    yo_blob_unref(arrival->message);
    yo_free(arrival->to->link->sim->mem, arrival);
}

static void arrive(void *user)
{
    struct arrival *arrival = user;

    if (!arrival->to->link->cut) {
        arrival->to->end.on_message(arrival->to->end.user, arrival->lane,
                                    yo_blob_span(arrival->message));
    }
    arrival_free(arrival);
}

struct fate {
    struct sim_side *to;
    uint64_t token;
    bool acked;
};

static void fate_free(void *user)
{
    struct fate *fate = user;

    yo_free(fate->to->link->sim->mem, fate);
}

static void tell_fate(void *user)
{
    struct fate *fate = user;

    if (!fate->to->link->cut) {
        fate->to->end.on_fate(fate->to->end.user, fate->token, fate->acked);
    }
    fate_free(fate);
}

static void fate_at(struct sim_side *side, yo_time when, uint64_t token, bool acked)
{
    struct fate *fate = yo_calloc(side->link->sim->mem, 1, sizeof(*fate));

    assert_non_null(fate);
    *fate = (struct fate){.to = side, .token = token, .acked = acked};
    sim_at_or(side->link->sim, when, tell_fate, fate_free, fate);
}

static void deliver_at(struct sim_side *to, yo_time when, uint32_t lane,
                       struct yo_blob *message)
{
    struct arrival *arrival = yo_calloc(to->link->sim->mem, 1, sizeof(*arrival));

    assert_non_null(arrival);
    *arrival =
        (struct arrival){.to = to, .lane = lane, .message = yo_blob_ref(message)};
    sim_at_or(to->link->sim, when, arrive, arrival_free, arrival);
}

static void send_datagram(struct sim_side *from, struct sim_side *to,
                          struct yo_blob *message, uint64_t token)
{
    struct sim_link *link = from->link;
    struct sim *sim = link->sim;
    yo_time lost_at = sim->now + 4 * link->delay_max;
    yo_time arrives = sim->now + delay(link);

    if (from->lose_next || sim_chance(sim, sim->loss_percent)) {
        from->lose_next = false;
        if (token) {
            fate_at(from, lost_at, token, false);
        }
        return;
    }
    deliver_at(to, arrives, LANE_DATAGRAM, message);
    if (token) {
        bool acked = link->presencejs || !sim_chance(sim, sim->spurious_percent);
        fate_at(from, acked ? arrives + delay(link) : lost_at, token, acked);
    }
}

static void send_reliable(struct sim_side *from, struct sim_side *to, uint32_t lane,
                          struct yo_blob *message)
{
    yo_time when = from->link->sim->now + delay(from->link);
    yo_time *last = &from->lane_last[lane % LANES];

    if (when <= *last) {
        when = *last + 1;
    }
    *last = when;
    deliver_at(to, when, lane > LANE_ROOMS ? LANE_ROOMS : lane, message);
}

static void writable(void *user)
{
    struct sim_side *side = user;

    side->wants_writable = false;
    if (!side->link->cut) {
        side->end.on_writable(side->end.user);
    }
}

bool sim_link_send(struct sim_link *link, int from, uint32_t lane,
                   struct yo_blob *message, uint64_t token)
{
    struct sim_side *side = &link->sides[from];
    struct sim_side *to = &link->sides[1 - from];
    struct sim *sim = link->sim;

    if (link->cut) {
        return true;
    }
    if (sim->now < side->free) {
        if (!side->wants_writable) {
            side->wants_writable = true;
            sim_at(sim, side->free, writable, side);
        }
        return false;
    }
    side->free = sim->now + TRANSMISSION;
    if (link->transport == SIM_WEBSOCKET) {
        send_reliable(side, to, LANE_CONTROL, message);
    } else if (lane == LANE_DATAGRAM || link->presencejs) {
        send_datagram(side, to, message, token);
    } else {
        send_reliable(side, to, lane, message);
    }
    return true;
}

static void notice(void *user)
{
    struct sim_side *side = user;

    side->end.on_cut(side->end.user);
}

void sim_link_cut(struct sim_link *link)
{
    if (link->cut) {
        return;
    }
    link->cut = true;
    for (int i = 0; i < 2; i++) {
        sim_at(link->sim, link->sim->now + NOTICED + sim_below(link->sim, NOTICED),
               notice, &link->sides[i]);
    }
}
