/* SPDX-License-Identifier: MIT */
/* store.c
 *
 * The happy path: orders gather for a moment, one batch writes them all, and questions
 * in between are answered after what was ordered before them.
 *
 * Possible failures: the backend. The batch is given up, its orders stay at the head of
 * the queue, and the whole is tried again a second later; questions do not wait for
 * that but are answered with what can be read, or an error.
 *
 * Invariant: `bytes` is the sum of the weights of what is in the queue or in the batch
 * that is being carried out. */
#include "server/history/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <yomo/error.h>

#include "base/check.h"
#include "loop/loop.h"
#include "server/history/settled.h"

#define BATCH_MAX 4096
#define GATHER_MS 10  /* how long a batch waits for more */
#define RETRY_MS 1000 /* after a failure */
#define TIDY_MS 2000
#define LINE_MS 10000 /* between two lines about failing */

struct yo_store {
    const struct yomo_mem *mem;
    const struct yo_log *log;
    struct yo_backend *backend;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* With the lock. */
    struct yo_link queue; /* of orders, by letter.link */
    size_t bytes;
    bool closing;
    uint64_t close_at; /* ms: give up then */
    /* The thread's. */
    struct yo_buf why;
    uint64_t tidied_at, failed_at, said_at;
    struct yo_settled clock;
    bool said;
    /* Anybody's. */
    _Atomic uint64_t stored, errors;
    atomic_bool failing;
};

/* The clock of `wake`. */
static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t date_ms(struct yo_store *store)
{
    return yo_settled_ms(&store->clock, yo_wall_ms(), yo_steady_ms());
}

/* --- orders ---------------------------------------------------------------------- */

static struct yo_order_of_store *of_link(struct yo_link *link)
{
    return YO_CONTAINER(YO_CONTAINER(link, struct yo_letter, link),
                        struct yo_order_of_store, letter);
}

/* The allocator is the room's blob's. */
struct yo_order_of_store *yo_order_create(const struct yomo_mem *mem,
                                          enum yo_order_kind kind, struct yo_blob *room)
{
    struct yo_order_of_store *order = yo_calloc(mem, 1, sizeof(*order));

    if (order) {
        yo_list_init(&order->letter.link);
        order->kind = kind;
        order->room = yo_blob_ref(room);
    }
    return order;
}

void yo_order_free(struct yo_order_of_store *order)
{
    const struct yomo_mem *mem;

    if (!order) {
        return;
    }
    mem = order->room->mem;
    for (size_t i = 0; i < order->count; i++) {
        yo_blob_unref(order->list[i].message);
    }
    yo_free(mem, order->list);
    yo_blob_unref(order->message.message);
    if (order->box) {
        yo_mailbox_unref(order->box);
    }
    yo_blob_unref(order->room);
    yo_free(mem, order);
}

static bool is_question(const struct yo_order_of_store *order)
{
    return order->kind == YO_ORDER_OPEN || order->kind == YO_ORDER_READ;
}

static size_t weight_of(const struct yo_order_of_store *order)
{
    return sizeof(*order) + (order->message.message ? order->message.message->size : 0);
}

bool yo_store_put(struct yo_store *store, struct yo_order_of_store *order)
{
    size_t weight = weight_of(order);
    bool room, first;

    pthread_mutex_lock(&store->lock);
    room = order->kind != YO_ORDER_KEEP || store->bytes + weight <= YO_STORE_QUEUE_SIZE;
    if (room) {
        first = yo_list_empty(&store->queue);
        store->bytes += weight;
        yo_list_push_back(&store->queue, &order->letter.link);
        if (first || is_question(order)) {
            pthread_cond_signal(&store->wake);
        }
    }
    pthread_mutex_unlock(&store->lock);
    return room;
}

static void weigh_out(struct yo_store *store, size_t weight)
{
    pthread_mutex_lock(&store->lock);
    assert(store->bytes >= weight);
    store->bytes -= weight;
    pthread_mutex_unlock(&store->lock);
}

/* --- how it goes ----------------------------------------------------------------- */

static void failed(struct yo_store *store, int error)
{
    uint64_t now = now_ms();

    atomic_fetch_add_explicit(&store->errors, 1, memory_order_relaxed);
    atomic_store_explicit(&store->failing, true, memory_order_relaxed);
    store->failed_at = now;
    if (store->said || (store->said_at != 0 && now - store->said_at < LINE_MS)) {
        return;
    }
    store->said = true;
    store->said_at = now;
    YO_LOG(store->log, YOMO_LOG_WARN, "history",
           "the store does not work, rooms go on from memory: %s: %.*s",
           yomo_strerror(error), (int)store->why.size,
           store->why.size > 0 ? (const char *)store->why.data : "");
}

static void worked(struct yo_store *store)
{
    if (!atomic_load_explicit(&store->failing, memory_order_relaxed)) {
        return;
    }
    atomic_store_explicit(&store->failing, false, memory_order_relaxed);
    store->failed_at = 0;
    if (store->said) {
        store->said = false;
        YO_LOG(store->log, YOMO_LOG_WARN, "history", "the store works again");
    }
}

/* --- questions ------------------------------------------------------------------- */

struct taking {
    struct yo_order_of_store *order;
    size_t capacity, bytes;
    bool failed;
};

static bool take(void *user, const struct yo_stored *message, struct yo_span bytes)
{
    struct taking *taking = user;
    struct yo_order_of_store *order = taking->order;
    const struct yomo_mem *mem = order->room->mem;

    taking->bytes += bytes.size;
    if (order->count >= order->max ||
        (taking->bytes > order->bytes_max && order->count > 0)) {
        order->more = true;
        return false;
    }
    if (order->count == taking->capacity) {
        size_t capacity = taking->capacity ? taking->capacity * 2 : 16;
        struct yo_stored *list = yo_realloc(mem, order->list, capacity * sizeof(*list));
        if (!list) {
            taking->failed = true;
            return false;
        }
        order->list = list;
        taking->capacity = capacity;
    }
    order->list[order->count] = *message;
    order->list[order->count].message = yo_blob_create(mem, bytes);
    if (!order->list[order->count].message) {
        taking->failed = true;
        return false;
    }
    order->count++;
    return true;
}

static int read_messages(struct yo_store *store, struct yo_order_of_store *order)
{
    struct taking taking = {.order = order};
    int rv;

    yo_buf_clear(&store->why);
    if (order->max == 0) {
        return YOMO_OK;
    }
    rv = store->backend->ops->read(store->backend, yo_blob_span(order->room),
                                   order->before, take, &taking, &store->why);
    for (size_t i = 0, j = order->count; i + 1 < j; i++) { /* the oldest first */
        struct yo_stored other = order->list[i];
        order->list[i] = order->list[--j];
        order->list[j] = other;
    }
    return rv == YOMO_OK && taking.failed ? YOMO_ERR_NOMEM : rv;
}

/* It must be on record that the room is in use before anybody hears of a place. */
static int open_room(struct yo_store *store, struct yo_order_of_store *order)
{
    const struct yo_backend_ops *ops = store->backend->ops;
    struct yo_span room = yo_blob_span(order->room);
    int rv = ops->find(store->backend, room, &order->order, &store->why);

    if (rv == YOMO_OK && order->order.epoch != 0) {
        rv = read_messages(store, order);
    }
    if (rv != YOMO_OK || order->order.epoch == 0) {
        return rv;
    }
    order->known = order->order.place;
    if (order->order.in_use) {
        order->order.place += YO_STORE_JUMP;
    }
    rv = ops->begin(store->backend, &store->why);
    if (rv == YOMO_OK) {
        rv = ops->use(store->backend, room, order->order.place,
                      date_ms(store), &store->why);
        rv = rv == YOMO_OK ? ops->commit(store->backend, &store->why) : rv;
        if (rv != YOMO_OK) {
            ops->rollback(store->backend);
        }
    }
    return rv;
}

static void answer(struct yo_store *store, struct yo_order_of_store *order)
{
    struct yo_mailbox *box = order->box;

    yo_buf_clear(&store->why);
    order->now_ms = date_ms(store);
    order->error = order->kind == YO_ORDER_OPEN ? open_room(store, order)
                                                : read_messages(store, order);
    if (order->error != YOMO_OK) {
        failed(store, order->error);
    } else {
        worked(store);
    }
    weigh_out(store, weight_of(order));
    order->box = NULL; /* the letter may be freed before we let go of it */
    yo_mailbox_post(box, &order->letter);
    yo_mailbox_unref(box);
}

/* --- batches --------------------------------------------------------------------- */

/* What is gone is let go of last, when the room is known in any case. */
static int write_order(struct yo_store *store, const struct yo_order_of_store *order)
{
    const struct yo_backend_ops *ops = store->backend->ops;
    struct yo_span room = yo_blob_span(order->room);
    int rv = YOMO_OK;

    if (order->kind == YO_ORDER_KEEP) {
        rv =
            ops->keep(store->backend, room, order->epoch, &order->message, &store->why);
    } else if (!order->reopened) {
        rv = ops->rest(store->backend, room, order->place, date_ms(store),
                       &store->why);
    }
    if (rv == YOMO_OK && order->hole != 0) {
        rv = ops->forget(store->backend, room, order->hole, &store->why);
    }
    return rv;
}

static int write_batch(struct yo_store *store, struct yo_link *batch, uint64_t *count)
{
    const struct yo_backend_ops *ops = store->backend->ops;
    int rv;

    yo_buf_clear(&store->why);
    rv = ops->begin(store->backend, &store->why);
    if (rv != YOMO_OK) {
        return rv;
    }
    for (struct yo_link *link = batch->next; link != batch && rv == YOMO_OK;
         link = link->next) {
        rv = write_order(store, of_link(link));
        *count += of_link(link)->kind == YO_ORDER_KEEP;
    }
    rv = rv == YOMO_OK ? ops->commit(store->backend, &store->why) : rv;
    if (rv != YOMO_OK) {
        ops->rollback(store->backend);
    }
    return rv;
}

static void free_orders(struct yo_store *store, struct yo_link *orders)
{
    struct yo_link *link;
    size_t weight = 0;

    while ((link = yo_list_pop_front(orders)) != NULL) {
        weight += weight_of(of_link(link));
        yo_order_free(of_link(link));
    }
    weigh_out(store, weight);
}

/* What could not be written goes back to the head of the queue. */
static void put_back(struct yo_store *store, struct yo_link *batch)
{
    pthread_mutex_lock(&store->lock);
    yo_list_splice(batch, &store->queue);
    yo_list_splice(&store->queue, batch);
    pthread_mutex_unlock(&store->lock);
}

static void carry_out(struct yo_store *store, struct yo_link *batch)
{
    uint64_t count = 0;
    int rv;

    if (yo_list_empty(batch)) {
        return;
    }
    rv = write_batch(store, batch, &count);
    if (rv != YOMO_OK) {
        failed(store, rv);
        put_back(store, batch);
        return;
    }
    worked(store);
    atomic_fetch_add_explicit(&store->stored, count, memory_order_relaxed);
    free_orders(store, batch);
}

/* --- the thread ------------------------------------------------------------------ */

static void wait_ms(struct yo_store *store, uint64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&store->wake, &store->lock, &until);
}

/* With the lock: how long nothing is to be written yet. */
static uint64_t pause_left(const struct yo_store *store)
{
    uint64_t since = now_ms() - store->failed_at;

    return store->failed_at != 0 && since < RETRY_MS ? RETRY_MS - since : 0;
}

/* With the lock: the first question, which may pass what cannot be written now. */
static struct yo_order_of_store *find_question(struct yo_store *store, bool any)
{
    YO_LIST_EACH(link, next, &store->queue)
    {
        if (is_question(of_link(link))) {
            return of_link(link);
        }
        if (!any) {
            break;
        }
    }
    return NULL;
}

/* With the lock: a room that is opened before its last end could be written down. */
static void mark_reopened(struct yo_store *store,
                          const struct yo_order_of_store *question)
{
    YO_LIST_EACH(link, next, &store->queue)
    {
        struct yo_order_of_store *order = of_link(link);
        if (order == question) {
            return;
        }
        if (question->kind == YO_ORDER_OPEN && order->kind == YO_ORDER_REST &&
            yo_span_equal(yo_blob_span(order->room), yo_blob_span(question->room))) {
            order->reopened = true;
        }
    }
}

/* With the lock: the writes up to the first question. */
static void gather(struct yo_store *store, struct yo_link *batch)
{
    for (int i = 0; i < BATCH_MAX && !yo_list_empty(&store->queue); i++) {
        if (is_question(of_link(store->queue.next))) {
            break;
        }
        yo_list_push_back(batch, yo_list_pop_front(&store->queue));
    }
}

static void tidy(struct yo_store *store)
{
    int rv;

    store->tidied_at = now_ms();
    if (pause_left(store) > 0) {
        return;
    }
    yo_buf_clear(&store->why);
    rv = store->backend->ops->tidy(store->backend, date_ms(store),
                                   &store->why);
    if (rv != YOMO_OK) {
        failed(store, rv);
    }
}

/* With the lock, which is let go of meanwhile: one thing that is to be done. False: all
 * is done, or given up. */
static bool turn(struct yo_store *store)
{
    struct yo_order_of_store *question;
    struct yo_link batch;
    uint64_t pause = pause_left(store);

    yo_list_init(&batch);
    question = find_question(store, pause > 0);
    if (question) {
        mark_reopened(store, question);
        yo_list_remove(&question->letter.link);
        pthread_mutex_unlock(&store->lock);
        answer(store, question);
        pthread_mutex_lock(&store->lock);
        return true;
    }
    if (yo_list_empty(&store->queue)) {
        if (store->closing) {
            return false;
        }
        wait_ms(store, TIDY_MS);
        if (yo_list_empty(&store->queue)) {
            return true;
        }
        if (!store->closing && !is_question(of_link(store->queue.next))) {
            wait_ms(store, GATHER_MS);
        }
        return true;
    }
    if (pause > 0) {
        if (store->closing && now_ms() >= store->close_at) {
            return false;
        }
        wait_ms(store, store->closing && pause > 100 ? 100 : pause);
        return true;
    }
    gather(store, &batch);
    pthread_mutex_unlock(&store->lock);
    carry_out(store, &batch);
    pthread_mutex_lock(&store->lock);
    return true;
}

static void *run(void *argument)
{
    struct yo_store *store = argument;
    bool more = true;

    pthread_mutex_lock(&store->lock);
    while (more) {
        more = turn(store);
        if (more && !store->closing && now_ms() - store->tidied_at >= TIDY_MS) {
            pthread_mutex_unlock(&store->lock);
            tidy(store);
            pthread_mutex_lock(&store->lock);
        }
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* --- life ------------------------------------------------------------------------ */

static int start(struct yo_store *store)
{
    pthread_condattr_t attributes;
    sigset_t all, old;
    int error;

    pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(
        &all); /* signals are for the host; and a file's size limit is an error */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&store->thread, NULL, run, store);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0) {
        pthread_cond_destroy(&store->wake);
        pthread_mutex_destroy(&store->lock);
        return YOMO_ERR_SYSTEM;
    }
    return YOMO_OK;
}

int yo_store_create(struct yo_store **out, const struct yomo_mem *mem,
                    const struct yo_log *log, struct yo_backend *backend)
{
    struct yo_store *store = yo_calloc(mem, 1, sizeof(*store));
    int rv = store ? YOMO_OK : YOMO_ERR_NOMEM;

    if (store) {
        store->mem = mem;
        store->log = log;
        store->backend = backend;
        store->tidied_at = now_ms();
        yo_list_init(&store->queue);
        yo_buf_init(&store->why, mem);
        rv = start(store);
    }
    if (rv != YOMO_OK) {
        backend->ops->close(backend);
        yo_free(mem, store);
        return rv;
    }
    *out = store;
    return YOMO_OK;
}

/* What nobody will do any more. */
static void give_up(struct yo_store *store)
{
    struct yo_link *link;
    size_t lost = 0;

    while ((link = yo_list_pop_front(&store->queue)) != NULL) {
        struct yo_order_of_store *order = of_link(link);
        if (is_question(order)) {
            order->letter.discard(&order->letter);
        } else {
            lost += order->kind == YO_ORDER_KEEP;
            yo_order_free(order);
        }
    }
    if (lost > 0) {
        YO_LOG(store->log, YOMO_LOG_ERROR, "history",
               "%zu messages could not be stored before the end", lost);
    }
}

void yo_store_close(struct yo_store *store, uint64_t grace_ms)
{
    if (!store) {
        return;
    }
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    store->close_at = now_ms() + grace_ms;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    give_up(store);
    store->backend->ops->close(store->backend);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    yo_buf_finish(&store->why);
    yo_free(store->mem, store);
}

void yo_store_numbers(struct yo_store *store, struct yo_store_numbers *out)
{
    pthread_mutex_lock(&store->lock);
    out->waiting_bytes = store->bytes;
    pthread_mutex_unlock(&store->lock);
    out->stored = atomic_load_explicit(&store->stored, memory_order_relaxed);
    out->errors = atomic_load_explicit(&store->errors, memory_order_relaxed);
    out->failing = atomic_load_explicit(&store->failing, memory_order_relaxed);
}

int yo_backend_create(struct yo_backend **backend, const struct yomo_mem *mem,
                      const char *text, const struct yo_store_bounds *bounds,
                      struct yo_buf *why)
{
    static const char sqlite[] = "sqlite:";

    *backend = NULL;
    if (!text || strcmp(text, "memory") == 0) {
        return YOMO_OK;
    }
    if (strncmp(text, sqlite, sizeof(sqlite) - 1) != 0 ||
        text[sizeof(sqlite) - 1] == '\0') {
        (void)yo_buf_append_text(why, "history-store: takes memory or sqlite:PATH");
        return YOMO_ERR_OPTION;
    }
    if (!yo_sqlite_there()) {
        (void)yo_buf_append_text(why, "history-store: this library was built without "
                                      "SQLite");
        return YOMO_ERR_OPTION;
    }
    return yo_sqlite_create(backend, mem, text + sizeof(sqlite) - 1, bounds);
}
