/* SPDX-License-Identifier: MIT */
/* fleet.c - the happy path of a thread (a crew): it opens its members, some at a time;
 * each says hello, joins its room and is ready; senders send when it is due, in a fixed
 * order, evenly spread over the interval; every payload that comes is checked.
 *
 * Only its own thread writes what stands in a crew, but for the orders; what the
 * conductor reads meanwhile is atomic. */
#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define OPENING_NS 15000000000u /* a handshake that takes longer has failed */
#define ASK_AGAIN_NS 250000000u /* a join in a datagram may be lost */
#define BUFFER_SIZE (128u << 10)
#define EVENTS 256
#define CATCH_UP 4096 /* messages of one turn, of a thread that is late */

struct crew {
    struct watcher wake;
    struct fleet *fleet;
    pthread_t id;
    int poll, bell;
    struct ws_kit *ws;
    struct wt_kit *wt;
    uint8_t *buffer;
    struct member **mine, **senders;
    uint32_t count, sender_count, to_open, opening, joining;
    uint32_t obeyed; /* the last order */
    unsigned stage;  /* of what is sent */
    double rate;     /* 0: nothing is sent */
    uint64_t began;  /* sending */
    uint64_t turn;   /* senders that had their turn since then */
    uint64_t last_check;
    bool join_at_once; /* whoever is connected joins */
    struct bench_histogram handshakes;
    struct sums *sums; /* by stage */
    _Atomic uint64_t expected[STAGES_MAX], received[STAGES_MAX], active;
    _Atomic uint32_t states[MEMBER_BROKEN + 1];
};

enum order { ORDER_OPEN = 1, ORDER_JOIN, ORDER_SEND, ORDER_QUIET, ORDER_STOP };

struct fleet {
    const struct plan *plan;
    struct member *members;
    struct track *tracks;
    struct crew *crews;
    /* The order that stands; `number` is set last. */
    _Atomic uint32_t number;
    _Atomic int order;
    _Atomic unsigned stage;
    _Atomic uint64_t begin; /* when to begin to send */
    double rate;
    pthread_mutex_t lock; /* of `why` */
    char why[200];
};

/* --- Small things ----------------------------------------------------------------- */

const struct plan *member_plan(const struct member *member)
{
    return member->crew->fleet->plan;
}

const struct plan *crew_plan(const struct crew *crew)
{
    return crew->fleet->plan;
}

struct crew *member_crew(const struct member *member)
{
    return member->crew;
}

int crew_poll(const struct crew *crew)
{
    return crew->poll;
}

uint8_t *crew_buffer(const struct crew *crew, size_t *room)
{
    *room = BUFFER_SIZE;
    return crew->buffer;
}

const char *member_room(const struct member *member)
{
    static _Thread_local char name[16];

    snprintf(name, sizeof(name), "r%u", member->room);
    return name;
}

static void raise(_Atomic uint64_t *number, uint64_t by)
{
    atomic_store_explicit(number,
                          atomic_load_explicit(number, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

static void enter(struct member *member, enum member_state state)
{
    struct crew *crew = member->crew;

    crew->opening -= member->state == MEMBER_OPENING;
    crew->opening += state == MEMBER_OPENING;
    crew->joining -= member->state == MEMBER_JOINING;
    crew->joining += state == MEMBER_JOINING;
    atomic_fetch_sub(&crew->states[member->state], 1);
    atomic_fetch_add(&crew->states[state], 1);
    member->state = state;
}

/* --- What came -------------------------------------------------------------------- */

void member_payload(struct member *member, const char *text, size_t size)
{
    struct crew *crew = member->crew;
    const struct plan *plan = crew->fleet->plan;
    struct sums *sums = &crew->sums[crew->stage];
    uint64_t now = bench_now();
    struct payload payload;

    if (size != plan->size || !payload_read(&payload, text, size) ||
        payload.place >= plan->senders) {
        sums->damaged++;
        return;
    }
    sums = &crew->sums[payload.stage];
    if (payload.place == member->place && !plan->dialect->echoes) {
        sums->foreign++; /* one's own, which should not have come */
        return;
    }
    switch (track_note(&member->tracks[payload.place], payload.number)) {
    case TRACK_AGAIN:
        sums->duplicate++;
        return;
    case TRACK_LATE:
        sums->disordered++;
        break;
    case TRACK_NEW:
        break;
    }
    bench_histogram_add(&sums->latency, now > payload.at ? now - payload.at : 0);
    sums->received++;
    raise(&crew->received[payload.stage], 1);
    atomic_store_explicit(&crew->active, now, memory_order_relaxed);
}

/* --- What a member goes through --------------------------------------------------- */

static void ask_to_join(struct member *member)
{
    member->since = bench_now();
    member_plan(member)->dialect->join(member);
}

void member_opened(struct member *member)
{
    atomic_store_explicit(&member->crew->active, bench_now(), memory_order_relaxed);
    if (member->state == MEMBER_OPENING) {
        member_plan(member)->dialect->opened(member);
    }
}

void member_connected(struct member *member)
{
    uint64_t now = bench_now();

    if (member->state != MEMBER_OPENING) {
        return;
    }
    bench_histogram_add(&member->crew->handshakes, now - member->since);
    enter(member, MEMBER_CONNECTED);
    if (member->crew->join_at_once) {
        enter(member, MEMBER_JOINING);
        ask_to_join(member);
    }
}

void member_joined(struct member *member)
{
    atomic_store_explicit(&member->crew->active, bench_now(), memory_order_relaxed);
    if (member->state == MEMBER_JOINING) {
        enter(member, MEMBER_JOINED);
    }
}

void member_message(struct member *member, const uint8_t *bytes, size_t size)
{
    if (member->state != MEMBER_BROKEN && member->state != MEMBER_AWAY) {
        atomic_store_explicit(&member->crew->active, bench_now(), memory_order_relaxed);
        member_plan(member)->dialect->received(member, bytes, size);
    }
}

/* The link is closed by its owner's next look (tidy), never while it is in use. */
void member_broken(struct member *member, const char *why)
{
    struct fleet *fleet = member->crew->fleet;

    if (member->state == MEMBER_BROKEN || member->state == MEMBER_AWAY) {
        return;
    }
    pthread_mutex_lock(&fleet->lock);
    if (!fleet->why[0]) {
        snprintf(fleet->why, sizeof(fleet->why), "%s", why);
    }
    pthread_mutex_unlock(&fleet->lock);
    enter(member, MEMBER_BROKEN);
}

static void drop_links(struct member *member)
{
    ws_close(member->ws);
    wt_close(member->wt);
    member->ws = NULL;
    member->wt = NULL;
    free(member->carry);
    member->carry = NULL;
    member->carry_size = 0;
    member->progress = 0;
}

void member_send(struct member *member, const void *bytes, size_t size)
{
    if (member->ws ? !ws_send(member->ws, bytes, size)
                   : !member->wt || !wt_send(member->wt, bytes, size)) {
        member->crew->sums[member->crew->stage].refused++;
    }
}

/* --- The thread ------------------------------------------------------------------- */

static void open_more(struct crew *crew)
{
    uint32_t most = crew->fleet->plan->opening / crew->fleet->plan->threads;

    while (crew->to_open < crew->count && crew->opening < (most > 0 ? most : 1)) {
        struct member *member = crew->mine[crew->to_open++];
        if (member->state != MEMBER_AWAY && member->state != MEMBER_BROKEN) {
            continue;
        }
        drop_links(member);
        enter(member, MEMBER_OPENING);
        member->since = bench_now();
        if (crew->fleet->plan->webtransport) {
            member->wt = wt_open(crew->wt, member);
        } else {
            member->ws = ws_open(crew->ws, member);
        }
        if (!member->wt && !member->ws) {
            member_broken(member, "no socket");
        }
    }
}

/* Ten times a second: who has waited for too long, and what is left of broken links. */
static void check_members(struct crew *crew, uint64_t now)
{
    if (now - crew->last_check < 100000000u) {
        return;
    }
    crew->last_check = now;
    for (uint32_t i = 0; i < crew->count; i++) {
        struct member *member = crew->mine[i];
        if (member->state == MEMBER_OPENING && now - member->since > OPENING_NS) {
            member_broken(member, "a handshake did not end");
        } else if (member->state == MEMBER_JOINING && crew->fleet->plan->webtransport &&
                   now - member->since > ASK_AGAIN_NS) {
            ask_to_join(member);
        } else if (member->state == MEMBER_BROKEN && (member->ws || member->wt)) {
            drop_links(member);
        }
    }
}

static void join_connected(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->count; i++) {
        if (crew->mine[i]->state == MEMBER_CONNECTED) {
            enter(crew->mine[i], MEMBER_JOINING);
            ask_to_join(crew->mine[i]);
        }
    }
}

static void publish(struct crew *crew, struct member *member, uint64_t due)
{
    const struct plan *plan = crew->fleet->plan;
    struct sums *sums = &crew->sums[crew->stage];
    char payload[PAYLOAD_MAX], message[MESSAGE_MAX];
    uint64_t now = bench_now();
    size_t size;

    if (member->state != MEMBER_JOINED) {
        sums->refused++;
        return;
    }
    bench_histogram_add(&sums->late, now - due);
    payload_write(&(struct payload){.at = now,
                                    .number = member->sent,
                                    .place = member->place,
                                    .stage = crew->stage},
                  payload, plan->size);
    size = plan->dialect->publish(member, payload, message);
    if (member->ws ? !ws_send(member->ws, message, size)
                   : !wt_send(member->wt, message, size)) {
        sums->refused++;
        return;
    }
    member->sent++;
    sums->sent++;
    sums->expected += plan->members - 1 + plan->dialect->echoes;
    raise(&crew->expected[crew->stage], plan->members - 1 + plan->dialect->echoes);
}

/* When the next sender has its turn: each once in an interval, one after the other. */
static uint64_t next_due(const struct crew *crew)
{
    double each = 1e9 / (crew->rate * crew->sender_count);

    return crew->began + (uint64_t)(((double)crew->turn + 0.5) * each);
}

static void send_due(struct crew *crew, uint64_t now)
{
    uint64_t due;
    int most = CATCH_UP;

    while (crew->rate > 0 && crew->sender_count > 0 && most-- > 0 &&
           (due = next_due(crew)) <= now) {
        publish(crew, crew->senders[crew->turn++ % crew->sender_count], due);
    }
}

static bool obey(struct crew *crew)
{
    struct fleet *fleet = crew->fleet;
    uint32_t number = atomic_load(&fleet->number);

    if (number == crew->obeyed) {
        return true;
    }
    crew->obeyed = number;
    switch (atomic_load(&fleet->order)) {
    case ORDER_OPEN:
        crew->to_open = 0;
        crew->join_at_once = !fleet->plan->storm;
        break;
    case ORDER_JOIN:
        crew->join_at_once = true;
        join_connected(crew);
        break;
    case ORDER_SEND:
        crew->stage = atomic_load(&fleet->stage);
        crew->rate = fleet->rate;
        crew->began = atomic_load(&fleet->begin);
        crew->turn = 0;
        break;
    case ORDER_QUIET:
        crew->rate = 0;
        break;
    default:
        return false;
    }
    return true;
}

static uint64_t wait_ns(struct crew *crew, uint64_t now)
{
    uint64_t most = 50000000;
    int turn = crew->wt ? wt_timeout_ms(crew->wt) : -1;

    if (turn >= 0 && (uint64_t)turn * 1000000 < most) {
        most = (uint64_t)turn * 1000000;
    }
    if (crew->rate > 0 && crew->sender_count > 0) {
        uint64_t due = next_due(crew);
        uint64_t left = due > now ? due - now : 0;
        most = left < most ? left : most;
    }
    return most;
}

static void run(struct crew *crew)
{
    struct epoll_event events[EVENTS];

    while (obey(crew)) {
        uint64_t wait = wait_ns(crew, bench_now());
        struct timespec most = {.tv_sec = 0, .tv_nsec = (long)wait};
        int count = epoll_pwait2(crew->poll, events, EVENTS, &most, NULL);

        for (int i = 0; i < count; i++) {
            struct watcher *watcher = events[i].data.ptr;
            watcher->ready(watcher, events[i].events);
            send_due(crew, bench_now()); /* also in the middle of a long turn */
        }
        if (crew->wt && wt_timeout_ms(crew->wt) == 0) {
            wt_turn(crew->wt);
        }
        send_due(crew, bench_now());
        open_more(crew);
        check_members(crew, bench_now());
    }
}

static void on_bell(struct watcher *watcher, uint32_t events)
{
    struct crew *crew = (struct crew *)(void *)watcher;
    uint64_t rings;

    (void)events;
    (void)!read(crew->bell, &rings, sizeof(rings));
}

static void *crew_main(void *argument)
{
    struct crew *crew = argument;

    run(crew);
    for (uint32_t i = 0; i < crew->count; i++) {
        drop_links(crew->mine[i]);
    }
    return NULL;
}

/* --- All of them ------------------------------------------------------------------ */

static void need(const void *memory)
{
    if (!memory) {
        fputs("load: out of memory\n", stderr);
        exit(1);
    }
}

static void start_crew(struct fleet *fleet, struct crew *crew, uint32_t index)
{
    const struct plan *plan = fleet->plan;

    crew->fleet = fleet;
    crew->wake.ready = on_bell;
    crew->poll = epoll_create1(EPOLL_CLOEXEC);
    crew->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &crew->wake};
    if (crew->poll < 0 || crew->bell < 0 ||
        epoll_ctl(crew->poll, EPOLL_CTL_ADD, crew->bell, &event) != 0) {
        perror("load");
        exit(1);
    }
    need(crew->buffer = malloc(BUFFER_SIZE));
    need(crew->sums = calloc(STAGES_MAX, sizeof(*crew->sums)));
    need(crew->mine = calloc(plan->connections, sizeof(struct member *)));
    need(crew->senders = calloc(plan->connections, sizeof(struct member *)));
    for (uint32_t i = index; i < plan->connections; i += plan->threads) {
        struct member *member = &fleet->members[i];
        member->crew = crew;
        crew->mine[crew->count++] = member;
        if (member->place < plan->senders) {
            crew->senders[crew->sender_count++] = member;
        }
    }
    atomic_store(&crew->states[MEMBER_AWAY], crew->count);
    crew->to_open = crew->count;
    if (plan->webtransport) {
        need(crew->wt = wt_kit_create(crew));
    } else {
        need(crew->ws = ws_kit_create(plan));
    }
    if (pthread_create(&crew->id, NULL, crew_main, crew) != 0) {
        perror("load");
        exit(1);
    }
}

struct fleet *fleet_start(const struct plan *plan)
{
    struct fleet *fleet = calloc(1, sizeof(*fleet));

    need(fleet);
    fleet->plan = plan;
    pthread_mutex_init(&fleet->lock, NULL);
    need(fleet->members = calloc(plan->connections, sizeof(*fleet->members)));
    need(fleet->tracks = calloc((size_t)plan->connections * (plan->senders + 1),
                                sizeof(*fleet->tracks)));
    need(fleet->crews = calloc(plan->threads, sizeof(*fleet->crews)));
    payload_prepare();
    for (uint32_t i = 0; i < plan->connections; i++) {
        struct member *member = &fleet->members[i];
        member->number = i;
        member->room = i % plan->rooms; /* so that each thread has some of each room */
        member->place = i / plan->rooms;
        member->tracks = fleet->tracks + (size_t)i * (plan->senders + 1);
    }
    for (uint32_t i = 0; i < plan->threads; i++) {
        start_crew(fleet, &fleet->crews[i], i);
    }
    return fleet;
}

static void give(struct fleet *fleet, enum order order)
{
    atomic_store(&fleet->order, order);
    atomic_fetch_add(&fleet->number, 1);
    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        uint64_t one = 1;
        (void)!write(fleet->crews[i].bell, &one, sizeof(one));
    }
    /* The next order may come only when all have heard this one. */
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
}

void fleet_open(struct fleet *fleet)
{
    give(fleet, ORDER_OPEN);
}

void fleet_join(struct fleet *fleet)
{
    give(fleet, ORDER_JOIN);
}

void fleet_send(struct fleet *fleet, unsigned stage, double rate)
{
    fleet->rate = rate;
    atomic_store(&fleet->stage, stage);
    atomic_store(&fleet->begin, bench_now() + 60000000);
    give(fleet, ORDER_SEND);
}

void fleet_quiet(struct fleet *fleet)
{
    give(fleet, ORDER_QUIET);
}

uint32_t fleet_count(const struct fleet *fleet, enum member_state least)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        for (int state = (int)least; state < MEMBER_BROKEN; state++) {
            sum += atomic_load(&fleet->crews[i].states[state]);
        }
    }
    return sum;
}

uint32_t fleet_broken(const struct fleet *fleet)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        sum += atomic_load(&fleet->crews[i].states[MEMBER_BROKEN]);
    }
    return sum;
}

const char *fleet_why(const struct fleet *fleet)
{
    return fleet->why;
}

uint64_t fleet_expected(const struct fleet *fleet, unsigned stage)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        sum += atomic_load(&fleet->crews[i].expected[stage]);
    }
    return sum;
}

uint64_t fleet_received(const struct fleet *fleet, unsigned stage)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        sum += atomic_load(&fleet->crews[i].received[stage]);
    }
    return sum;
}

uint64_t fleet_active(const struct fleet *fleet)
{
    uint64_t last = 0;

    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        uint64_t at = atomic_load(&fleet->crews[i].active);
        last = at > last ? at : last;
    }
    return last;
}

void fleet_cpu(const struct fleet *fleet, double *seconds)
{
    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        struct timespec spent = {0};
        clockid_t clock;
        if (pthread_getcpuclockid(fleet->crews[i].id, &clock) == 0) {
            clock_gettime(clock, &spent);
        }
        seconds[i] = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
    }
}

void fleet_sum(const struct fleet *fleet, unsigned stage, struct sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        const struct sums *from = &fleet->crews[i].sums[stage];
        sums->sent += from->sent;
        sums->refused += from->refused;
        sums->expected += from->expected;
        sums->received += from->received;
        sums->duplicate += from->duplicate;
        sums->disordered += from->disordered;
        sums->damaged += from->damaged;
        sums->foreign += from->foreign;
        bench_histogram_merge(&sums->latency, &from->latency);
        bench_histogram_merge(&sums->late, &from->late);
    }
}

void fleet_handshakes(const struct fleet *fleet, struct bench_histogram *out)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        bench_histogram_merge(out, &fleet->crews[i].handshakes);
    }
}

void fleet_stop(struct fleet *fleet)
{
    give(fleet, ORDER_STOP);
    for (uint32_t i = 0; i < fleet->plan->threads; i++) {
        struct crew *crew = &fleet->crews[i];
        pthread_join(crew->id, NULL);
        ws_kit_destroy(crew->ws);
        wt_kit_destroy(crew->wt);
        close(crew->poll);
        close(crew->bell);
        free(crew->buffer);
        free(crew->sums);
        free(crew->mine);
        free(crew->senders);
    }
    free(fleet->members);
    free(fleet->tracks);
    free(fleet->crews);
    free(fleet);
}
