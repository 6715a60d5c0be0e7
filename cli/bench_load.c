/* SPDX-License-Identifier: MIT */
/* bench_load.c - the happy path of a thread: it opens its clients, some at a time; each
 * connects, joins and is ready; senders send when it is due; all are closed, and when the
 * last one has said so the loop ends.
 *
 * A message begins with a head that says who sent it, as what number and when; the rest
 * is a pattern that depends on the number. So whoever receives it can check all of it,
 * and ask nobody.
 *
 * Only its own thread writes what stands in a thread, but for `order`; what others read
 * meanwhile is atomic. */
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define OPENING_MAX 64     /* handshakes at once, of all threads together */
#define WINDOW 4096        /* deliveries on their way in a room that knows no rate */
#define STALLED_NS 200000000u /* then those are taken for lost */
#define HEAD_SIZE 24
#define PATTERN_STEPS 256

enum order { OPEN, SEND, QUIET, CLOSE };

struct head {
    uint64_t sent_at, number;
    uint32_t sender, size;
};

/* One client, and what it saw. */
struct member {
    struct thread *thread;
    yomo_client *client;
    yomo_room *room;
    uint32_t room_number, place; /* the first `senders` of a room send */
    enum { OPENING, READY, FAILED } state;
    uint64_t *next; /* by sender of the room: the number that should come */
    uint64_t sent;
    uint64_t due; /* the next message, of those that send */
    uint32_t others; /* in its room */
    uint64_t stalled_since;
};

struct thread {
    struct bench_load *load;
    pthread_t id;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    _Atomic int order;
    int obeyed;
    struct member **mine;
    uint32_t count, opened, opening, over;
    struct member **senders;
    uint32_t sender_count;
    uint8_t *message;
    struct bench_sums sums;
    _Atomic uint32_t ready, failed;
    _Atomic uint64_t received, expected, active;
    _Atomic bool ended;
};

struct bench_load {
    const struct bench_plan *plan;
    struct member *members;
    uint64_t *next; /* of all members */
    _Atomic uint64_t *arrived; /* by room, where there is no rate */
    struct thread *threads;
    uint32_t running;
    uint8_t *pattern;
    bool joined;
};

static void raise32(_Atomic uint32_t *number)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* --- messages ----------------------------------------------------------------------- */

static const uint8_t *pattern_of(const struct bench_load *load, const struct head *head)
{
    return load->pattern + (head->number + head->sender) % PATTERN_STEPS;
}

/* False: it has no room for more at the moment. */
static bool send_one(struct member *member)
{
    struct thread *thread = member->thread;
    const struct bench_plan *plan = thread->load->plan;
    struct head head = {.sent_at = bench_now(), .number = member->sent,
                        .sender = member->place, .size = (uint32_t)plan->size};
    int32_t rv;

    memcpy(thread->message, &head, HEAD_SIZE);
    memcpy(thread->message + HEAD_SIZE, pattern_of(thread->load, &head),
           plan->size - HEAD_SIZE);
    rv = yomo_room_broadcast_bytes(member->room, "bench", thread->message, plan->size,
                                   plan->delivery);
    if (rv == YOMO_OK) {
        member->sent++;
        thread->sums.sent++;
        thread->sums.expected += member->others;
        atomic_store_explicit(&thread->expected, thread->sums.expected,
                              memory_order_relaxed);
        return true;
    }
    if (rv == YOMO_ERR_FULL && plan->rate <= 0) { /* as fast as it goes, and no faster */
        return false;
    }
    thread->sums.refused++;
    thread->sums.error = thread->sums.error ? thread->sums.error : rv;
    return true;
}

/* May a room that knows no rate have another message? */
static bool has_window(struct member *member, uint64_t now)
{
    struct bench_load *load = member->thread->load;
    uint64_t share = WINDOW / load->plan->senders, sent = member->sent * member->others;
    uint64_t arrived =
        atomic_load_explicit(&load->arrived[member->room_number], memory_order_relaxed) /
        load->plan->senders;

    if (sent < arrived + (share > member->others ? share : member->others)) {
        member->stalled_since = 0;
        return true;
    }
    if (member->stalled_since == 0) {
        member->stalled_since = now;
    } else if (now - member->stalled_since > STALLED_NS) {
        member->stalled_since = 0;
        return true;
    }
    return false;
}

static void on_tick(uv_timer_t *tick)
{
    struct thread *thread = tick->data;
    const struct bench_plan *plan = thread->load->plan;
    uint64_t now = bench_now();

    for (uint32_t i = 0; i < thread->sender_count; i++) {
        struct member *member = thread->senders[i];
        if (!member->room) {
            continue;
        }
        if (plan->rate > 0) {
            while (member->due <= now) {
                (void)send_one(member);
                member->due += (uint64_t)(1e9 / plan->rate);
            }
        } else {
            int burst = 0;
            while (burst++ < WINDOW && has_window(member, now) && send_one(member)) {
            }
        }
    }
}

/* What the number says about the order. */
static void check_order(struct thread *thread, uint64_t *next, uint64_t number)
{
    bool reliable = thread->load->plan->delivery == YOMO_RELIABLE;

    if (number >= *next) {
        thread->sums.missing += reliable ? number - *next : 0;
        *next = number + 1;
    } else if (reliable && number + 1 == *next) {
        thread->sums.duplicate++;
    } else {
        thread->sums.disordered++;
    }
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct member *member = user;
    struct thread *thread = member->thread;
    struct bench_load *load = thread->load;
    uint64_t now = bench_now();
    struct head head;
    size_t size;
    const uint8_t *data = yomo_message_data(message, &size);

    (void)room;
    if (size != load->plan->size) {
        thread->sums.damaged++;
        return;
    }
    memcpy(&head, data, HEAD_SIZE);
    if (head.size != size || head.sender >= load->plan->senders ||
        memcmp(data + HEAD_SIZE, pattern_of(load, &head), size - HEAD_SIZE) != 0) {
        thread->sums.damaged++;
        return;
    }
    check_order(thread, &member->next[head.sender], head.number);
    bench_histogram_add(&thread->sums.latency, now - head.sent_at);
    thread->sums.received++;
    atomic_store_explicit(&thread->received, thread->sums.received, memory_order_relaxed);
    atomic_store_explicit(&thread->active, now, memory_order_relaxed);
    if (load->arrived) {
        atomic_fetch_add_explicit(&load->arrived[member->room_number], 1,
                                  memory_order_relaxed);
    }
}

/* --- clients ------------------------------------------------------------------------ */

static void open_more(struct thread *thread);

static void ready(struct member *member)
{
    struct thread *thread = member->thread;

    atomic_store_explicit(&thread->active, bench_now(), memory_order_relaxed);
    if (member->state == OPENING) {
        member->state = READY;
        thread->opening--;
        raise32(&thread->ready);
        open_more(thread);
    }
}

static void failed(struct member *member, int32_t error)
{
    struct thread *thread = member->thread;

    if (member->state == FAILED) {
        return;
    }
    thread->opening -= member->state == OPENING;
    member->state = FAILED;
    thread->sums.error = thread->sums.error ? thread->sums.error : error;
    thread->sums.failures++;
    raise32(&thread->failed);
    open_more(thread);
}

static void on_joined(void *user, yomo_room *room)
{
    (void)room;
    ready(user);
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    struct member *member = user;

    (void)room;
    (void)peer;
    (void)change;
    atomic_store_explicit(&member->thread->active, bench_now(), memory_order_relaxed);
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct member *member = user;
    struct thread *thread = member->thread;
    int32_t state = yomo_status_state(status), error = yomo_status_error(status);

    (void)client;
    if (thread->obeyed == CLOSE) {
        return;
    }
    if (state == YOMO_CLIENT_OPEN && thread->load->plan->rooms == 0) {
        ready(member);
    } else if (state == YOMO_CLIENT_WAITING) {
        thread->sums.error = thread->sums.error ? thread->sums.error : error;
        thread->sums.reconnects++;
    } else if (state == YOMO_CLIENT_CLOSED) {
        failed(member, error);
    }
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct member *member = user;

    (void)room;
    (void)text;
    member->room = NULL;
    if (member->thread->obeyed != CLOSE && error != YOMO_OK) {
        failed(member, error);
    }
}

static void end_loop(struct thread *thread)
{
    if (thread->over == thread->count && !uv_is_closing((uv_handle_t *)&thread->wake)) {
        uv_close((uv_handle_t *)&thread->wake, NULL);
        uv_close((uv_handle_t *)&thread->tick, NULL);
    }
}

static void on_closed(void *user, yomo_client *client)
{
    struct member *member = user;

    (void)client;
    member->thread->over++;
    if (member->thread->obeyed == CLOSE) {
        end_loop(member->thread);
    }
}

static int32_t open_one(struct member *member)
{
    static const yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_status = on_status,
        .on_joined = on_joined,
        .on_message = on_message,
        .on_peer = on_peer,
        .on_left = on_left,
        .on_closed = on_closed,
    };
    struct thread *thread = member->thread;
    const struct bench_plan *plan = thread->load->plan;
    char name[32];
    int32_t rv = yomo_client_create(&member->client, plan->options, &callbacks, member);

    if (rv != YOMO_OK) {
        member->client = NULL;
        return rv;
    }
    rv = yomo_client_start_on(member->client, &thread->loop);
    if (rv == YOMO_OK && plan->rooms > 0) {
        snprintf(name, sizeof(name), "bench-%u", member->room_number);
        rv = yomo_client_join(member->client, name, NULL, &member->room);
    }
    return rv == YOMO_OK ? yomo_client_connect(member->client) : rv;
}

static void open_more(struct thread *thread)
{
    uint32_t most = OPENING_MAX / thread->load->plan->threads;

    while (thread->obeyed == OPEN && thread->opened < thread->count &&
           thread->opening < (most ? most : 1)) {
        struct member *member = thread->mine[thread->opened++];
        int32_t rv;
        thread->opening++;
        rv = open_one(member);
        if (rv != YOMO_OK) {
            failed(member, rv); /* and calls this again, for the next one */
            return;
        }
    }
}

/* --- threads ------------------------------------------------------------------------ */

static void begin_sending(struct thread *thread)
{
    const struct bench_plan *plan = thread->load->plan;
    uint64_t now = bench_now();

    /* Not all in the same moment: each room and sender at its own point of the period. */
    for (uint32_t i = 0; i < thread->sender_count; i++) {
        struct member *member = thread->senders[i];
        double turn = (double)(member->room_number * plan->senders + member->place) /
                      (double)(plan->rooms * plan->senders);
        member->due = now + (plan->rate > 0 ? (uint64_t)(1e9 / plan->rate * turn) : 0);
    }
    if (thread->sender_count > 0) {
        uv_timer_start(&thread->tick, on_tick, 0, 1);
    }
}

static void close_all(struct thread *thread)
{
    for (uint32_t i = 0; i < thread->count; i++) {
        struct member *member = thread->mine[i];
        if (member->client) {
            yomo_client_free(member->client);
            member->client = NULL;
        } else {
            thread->over++; /* it never was */
        }
    }
    end_loop(thread);
}

static void on_wake(uv_async_t *wake)
{
    struct thread *thread = wake->data;
    int order = atomic_load(&thread->order);

    if (order <= thread->obeyed) {
        open_more(thread);
        return;
    }
    thread->obeyed = order;
    if (order == SEND) {
        begin_sending(thread);
    } else {
        uv_timer_stop(&thread->tick);
    }
    if (order == CLOSE) {
        close_all(thread);
    }
}

static void *run(void *user)
{
    struct thread *thread = user;

    uv_run(&thread->loop, UV_RUN_DEFAULT);
    uv_loop_close(&thread->loop);
    atomic_store(&thread->ended, true);
    return NULL;
}

static bool begin_thread(struct thread *thread)
{
    if (uv_loop_init(&thread->loop) != 0) {
        return false;
    }
    uv_async_init(&thread->loop, &thread->wake, on_wake);
    uv_timer_init(&thread->loop, &thread->tick);
    thread->wake.data = thread->tick.data = thread;
    uv_async_send(&thread->wake); /* open_more */
    return pthread_create(&thread->id, NULL, run, thread) == 0;
}

/* --- all together ------------------------------------------------------------------- */

/* The member with that number: where it sits, and who looks after it. Rooms go round the
 * threads member by member, so that each thread has a share of each room. */
static void place(struct bench_load *load, uint32_t number)
{
    const struct bench_plan *plan = load->plan;
    struct member *member = &load->members[number];
    struct thread *thread = &load->threads[number % plan->threads];
    uint32_t members = plan->rooms > 0 ? plan->members : plan->connections;
    uint32_t first;

    member->thread = thread;
    member->room_number = number / members;
    member->place = number % members;
    member->next = load->next + (size_t)number * plan->senders;
    first = member->room_number * members;
    member->others = (plan->connections - first < members ? plan->connections - first
                                                          : members) - 1;
    thread->mine[thread->count++] = member;
    if (plan->rooms > 0 && member->place < plan->senders && !plan->idle) {
        thread->senders[thread->sender_count++] = member;
    }
}

static bool reserve(struct bench_load *load)
{
    const struct bench_plan *plan = load->plan;
    size_t each = plan->connections / plan->threads + 1;

    load->members = calloc(plan->connections, sizeof(*load->members));
    load->next = calloc((size_t)plan->connections * plan->senders + 1, sizeof(*load->next));
    load->threads = calloc(plan->threads, sizeof(*load->threads));
    load->pattern = malloc(plan->size + PATTERN_STEPS);
    if (plan->rate <= 0 && !plan->idle) {
        load->arrived = calloc(plan->rooms + 1, sizeof(*load->arrived));
    }
    if (!load->members || !load->next || !load->threads || !load->pattern ||
        (plan->rate <= 0 && !plan->idle && !load->arrived)) {
        return false;
    }
    for (uint32_t i = 0; i < plan->threads; i++) {
        struct thread *thread = &load->threads[i];
        thread->load = load;
        thread->mine = calloc(each, sizeof(struct member *));
        thread->senders = calloc(each, sizeof(struct member *));
        thread->message = malloc(plan->size);
        if (!thread->mine || !thread->senders || !thread->message) {
            return false;
        }
    }
    return true;
}

struct bench_load *bench_load_start(const struct bench_plan *plan)
{
    struct bench_load *load = calloc(1, sizeof(*load));

    if (!load) {
        return NULL;
    }
    load->plan = plan;
    if (!reserve(load)) {
        bench_load_free(load);
        return NULL;
    }
    for (size_t i = 0; i < plan->size + PATTERN_STEPS; i++) {
        load->pattern[i] = (uint8_t)(i * 167 + (i >> 8));
    }
    for (uint32_t i = 0; i < plan->connections; i++) {
        place(load, i);
    }
    for (; load->running < plan->threads; load->running++) {
        if (!begin_thread(&load->threads[load->running])) {
            exit(1); /* some run already, and there is nothing to save */
        }
    }
    return load;
}

uint32_t bench_load_ready(const struct bench_load *load)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < load->plan->threads; i++) {
        sum += atomic_load_explicit(&load->threads[i].ready, memory_order_relaxed);
    }
    return sum;
}

uint32_t bench_load_failed(const struct bench_load *load)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < load->plan->threads; i++) {
        sum += atomic_load_explicit(&load->threads[i].failed, memory_order_relaxed);
    }
    return sum;
}

uint64_t bench_load_awaited(const struct bench_load *load)
{
    uint64_t expected = 0, received = 0;

    for (uint32_t i = 0; i < load->plan->threads; i++) {
        const struct thread *thread = &load->threads[i];
        received += atomic_load_explicit(&thread->received, memory_order_relaxed);
        expected += atomic_load_explicit(&thread->expected, memory_order_relaxed);
    }
    return expected > received ? expected - received : 0;
}

uint64_t bench_load_active(const struct bench_load *load)
{
    uint64_t last = 0;

    for (uint32_t i = 0; i < load->plan->threads; i++) {
        uint64_t at = atomic_load_explicit(&load->threads[i].active, memory_order_relaxed);
        last = at > last ? at : last;
    }
    return last;
}

void bench_load_cpu(const struct bench_load *load, double *seconds)
{
    for (uint32_t i = 0; i < load->running; i++) {
        struct timespec spent = {0};
        clockid_t clock;
        if (pthread_getcpuclockid(load->threads[i].id, &clock) == 0) {
            clock_gettime(clock, &spent);
        }
        seconds[i] = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
    }
}

static void order_all(struct bench_load *load, enum order order)
{
    for (uint32_t i = 0; i < load->running; i++) {
        atomic_store(&load->threads[i].order, order);
        uv_async_send(&load->threads[i].wake);
    }
}

void bench_load_send(struct bench_load *load)
{
    order_all(load, SEND);
}

void bench_load_quiet(struct bench_load *load)
{
    order_all(load, QUIET);
}

void bench_load_close(struct bench_load *load)
{
    order_all(load, CLOSE);
}

bool bench_load_closed(const struct bench_load *load)
{
    for (uint32_t i = 0; i < load->running; i++) {
        if (!atomic_load(&load->threads[i].ended)) {
            return false;
        }
    }
    return true;
}

void bench_load_sum(struct bench_load *load, struct bench_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (uint32_t i = 0; i < load->running; i++) {
        const struct bench_sums *from = &load->threads[i].sums;
        sums->sent += from->sent;
        sums->refused += from->refused;
        sums->expected += from->expected;
        sums->received += from->received;
        sums->duplicate += from->duplicate;
        sums->disordered += from->disordered;
        sums->missing += from->missing;
        sums->damaged += from->damaged;
        sums->reconnects += from->reconnects;
        sums->failures += from->failures;
        sums->error = sums->error ? sums->error : from->error;
        bench_histogram_merge(&sums->latency, &from->latency);
    }
}

void bench_load_free(struct bench_load *load)
{
    for (uint32_t i = 0; load->threads && i < load->plan->threads; i++) {
        if (i < load->running) {
            pthread_join(load->threads[i].id, NULL);
        }
        free(load->threads[i].mine);
        free(load->threads[i].senders);
        free(load->threads[i].message);
    }
    free(load->members);
    free(load->next);
    free(load->threads);
    free(load->pattern);
    free(load->arrived);
    free(load);
}
