/* SPDX-License-Identifier: MIT */
/* stored.c - between a home and the store that outlives it.
 *
 * The happy path: a room that is opened asks the store what is known of it, and takes
 * nothing until that has come: its notes wait. Then it goes on where it was. What is
 * said is written behind; when the last one has gone, and nobody came for a while, so
 * is the last place.
 *
 * Possible failures: the store does not answer in time, or with an error. The room then
 * begins an order of its own, and is not stored until it is opened the next time. A
 * message that cannot be stored leaves a hole, which the next one that can takes
 * along: what the store has of a room is always without one.
 *
 * After a crash the store knows that a room was in use, and not which places were
 * given last: the room goes on YO_STORE_JUMP further, and what lies between is told as
 * a gap. */
#include "base/check.h"
#include "server/history/store.h"
#include "server/worker.h"
#include "session/told.h"

#define ANSWER_TIME (2 * YO_SECOND) /* for the store, when a room is opened */

static struct yo_home *home_of(void *box_user)
{
    return &((struct yo_worker *)box_user)->home;
}

static struct yo_order_of_store *of_letter(struct yo_letter *letter)
{
    return YO_CONTAINER(letter, struct yo_order_of_store, letter);
}

static struct yo_order_of_store *question(struct yo_home *home, enum yo_order_kind kind,
                                          struct yo_blob *room)
{
    struct yo_order_of_store *order = yo_order_create(home->mem, kind, room);

    if (order) {
        order->box = yo_mailbox_ref(home->office->desks[home->office->self].box);
    }
    return order;
}

/* --- a room is opened ------------------------------------------------------------ */

static void put_past(struct yo_home *home, struct yo_home_room *hr,
                     const struct yo_stored *stored, uint64_t wall_ms)
{
    struct yo_past past = {
        .place = stored->place,
        .session = stored->session,
        .number = stored->number,
        .at_ms = stored->at_ms,
        .until = YO_NEVER,
        .priority = (uint8_t)(stored->priority < YO_PRIORITIES ? stored->priority : 0),
        .message = stored->message};
    uint64_t age_ms = wall_ms > stored->at_ms ? wall_ms - stored->at_ms : 0;

    yo_record_put(&hr->history.shown, &past,
                  age_ms < YO_NEVER / YO_MS ? age_ms * YO_MS : YO_NEVER, home->now);
}

/* Go on with what is known. */
static void adopt(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_order_of_store *order)
{
    uint64_t place = 0;
    struct yo_record *shown = &hr->history.shown;

    hr->room.sequence = order->order.place;
    yo_record_begin(&hr->history.recent, order->order.place);
    if (order->more || order->order.trimmed || order->count == 0) {
        yo_record_begin(shown,
                        order->count > 0 ? order->list[0].place - 1 : order->known);
    }
    for (size_t i = 0; i < order->count; i++) {
        /* Somebody may have written into it: places grow, and are not ahead of us. */
        if (order->list[i].place > place && order->list[i].place <= order->known) {
            place = order->list[i].place;
            put_past(home, hr, &order->list[i], order->now_ms);
        }
    }
    if (order->order.in_use) {
        yo_record_hole(shown, order->known + 1, order->order.place);
    }
}

/* It waits no longer. */
static void begin(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_link waiting, *link;
    struct yo_blob *key = yo_blob_ref(hr->key);
    yo_time now = home->now;

    hr->loading = false;
    yo_list_remove(&hr->load);
    yo_list_init(&waiting);
    yo_list_splice(&waiting, &hr->waiting);
    while ((link = yo_list_pop_front(&waiting)) != NULL) {
        struct yo_letter *letter = YO_CONTAINER(link, struct yo_letter, link);
        yo_home_take(home, YO_CONTAINER(letter, struct yo_note, letter), now);
    }
    hr = yo_home_find(home, key);
    yo_blob_unref(key);
    if (hr && !hr->loading) {
        yo_home_rest_if_empty(home, hr);
    }
}

static void loaded(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_order_of_store *order = of_letter(letter);
    struct yo_home *home = home_of(box_user);
    struct yo_home_room *hr = yo_home_find(home, order->room);

    home->now = now;
    if (hr && hr->loading && hr->load_number == order->ticket) {
        if (order->order.epoch != 0) {
            adopt(home, hr, order);
        }
        if (order->error == YOMO_OK) {
            hr->stored = true;
            hr->epoch = order->order.epoch != 0 ? order->order.epoch : hr->epoch;
        }
        begin(home, hr);
    }
    yo_order_free(order);
}

static void free_order(struct yo_letter *letter)
{
    yo_order_free(of_letter(letter));
}

void yo_home_load(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_order_of_store *order;

    if (!home->store || hr->history.shown.bounds.bytes == 0) {
        return;
    }
    order = question(home, YO_ORDER_OPEN, hr->key);
    if (!order) {
        return; /* from memory, then */
    }
    order->letter.open = loaded;
    order->letter.discard = free_order;
    order->max = hr->history.shown.bounds.messages;
    order->bytes_max = hr->history.shown.bounds.bytes;
    hr->load_number = ++home->loads;
    order->ticket = hr->load_number;
    hr->loading = true;
    hr->load_until = yo_time_after(home->now, ANSWER_TIME);
    yo_list_push_back(&home->loading, &hr->load);
    (void)yo_store_put(home->store, order);
}

bool yo_home_waits(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = home->store ? yo_home_find(home, note->room) : NULL;

    if (hr && hr->loading) {
        yo_list_push_back(&hr->waiting, &note->letter.link);
        return true;
    }
    return false;
}

void yo_home_store_tick(struct yo_home *home, yo_time now)
{
    struct yo_store_numbers numbers;

    while (!yo_list_empty(&home->loading)) {
        struct yo_home_room *hr =
            YO_CONTAINER(home->loading.next, struct yo_home_room, load);
        if (hr->load_until > now) {
            break;
        }
        yo_metric_add(&home->metrics->store_late, 1);
        begin(home, hr);
    }
    if (home->store && home->office->self == 0) {
        yo_store_numbers(home->store, &numbers);
        yo_metric_set(&home->metrics->store_failing, numbers.failing);
        yo_metric_set(&home->metrics->store_waiting, numbers.waiting_bytes);
        yo_metric_set(&home->metrics->store_stored, numbers.stored);
        yo_metric_set(&home->metrics->store_errors, numbers.errors);
    }
}

/* --- while it is used ------------------------------------------------------------ */

/* Is the newest message the first of the room's order? */
static bool is_first(const struct yo_record *record)
{
    for (int p = 0; p < YO_PRIORITIES; p++) {
        if (record->gone[p] != 0) {
            return false;
        }
    }
    return record->count == 1;
}

void yo_home_store_past(struct yo_home *home, struct yo_home_room *hr,
                        const struct yo_past *past)
{
    struct yo_order_of_store *order;

    if (!hr->stored || past->to || past->until != YO_NEVER) {
        return;
    }
    order = past->message ? yo_order_create(home->mem, YO_ORDER_KEEP, hr->key) : NULL;
    if (order) {
        order->epoch = hr->epoch;
        order->hole = hr->store_hole;
        order->message = (struct yo_stored){.place = past->place,
                                            .session = past->session,
                                            .number = past->number,
                                            .at_ms = past->at_ms,
                                            .priority = past->priority,
                                            .first = is_first(&hr->history.shown),
                                            .message = yo_blob_ref(past->message)};
        if (yo_store_put(home->store, order)) {
            hr->store_hole = 0;
            return;
        }
        yo_order_free(order);
    }
    hr->store_hole = past->place;
    yo_metric_add(&home->metrics->store_lost, 1);
}

void yo_home_store_rest(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_order_of_store *order =
        hr->stored ? yo_order_create(home->mem, YO_ORDER_REST, hr->key) : NULL;

    if (order) { /* else it is taken for one that crashed */
        order->place = hr->room.sequence;
        /* What an operator has closed is forgotten; the order goes on. */
        order->hole = hr->closing ? hr->room.sequence : hr->store_hole;
        (void)yo_store_put(home->store, order);
    }
}

/* --- what is older than memory --------------------------------------------------- */

/* A question for history that the store answers the older half of. */
struct recall {
    struct yo_note *note;
    struct yo_past *list; /* [count]: the newer half, the oldest first */
    size_t count;
};

static void recall_free(const struct yomo_mem *mem, struct recall *recall)
{
    for (size_t i = 0; i < recall->count; i++) {
        yo_blob_unref(recall->list[i].message);
    }
    yo_note_free(recall->note);
    yo_free(mem, recall->list);
    yo_free(mem, recall);
}

static void recall_discard(struct yo_letter *letter)
{
    struct yo_order_of_store *order = of_letter(letter);

    recall_free(order->room->mem, order->user);
    yo_order_free(order);
}

/* Is it past `history-age`, and only not deleted yet? */
static bool is_old(const struct yo_home *home, const struct yo_stored *stored,
                   uint64_t wall_ms)
{
    yo_time age = home->config->shown.age;

    return age != 0 && wall_ms > stored->at_ms &&
           wall_ms - stored->at_ms >= age / YO_MS;
}

static int tell_both(struct yo_home *home, const struct yo_order_of_store *order,
                     const struct recall *recall, struct yo_told *told)
{
    uint64_t oldest = recall->count > 0 ? recall->list[0].place : 0;
    size_t first = 0;
    int rv = YOMO_OK;

    for (size_t i = 0; i < order->count; i++) {
        if (is_old(home, &order->list[i], order->now_ms)) {
            first = i + 1; /* and so is what was said before it */
        }
    }
    if (first < order->count) {
        oldest = order->list[first].place;
    }
    for (size_t i = first; i < order->count && rv == YOMO_OK; i++) {
        const struct yo_past past = {.place = order->list[i].place,
                                     .session = order->list[i].session,
                                     .at_ms = order->list[i].at_ms,
                                     .message = order->list[i].message};
        rv = yo_home_tell_past(told, &past);
    }
    for (size_t i = 0; i < recall->count && rv == YOMO_OK; i++) {
        rv = yo_home_tell_past(told, &recall->list[i]);
    }
    return rv == YOMO_OK ? yo_told_end(told, order->more && first == 0 ? oldest : 0)
                         : rv;
}

static void recalled(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_order_of_store *order = of_letter(letter);
    struct yo_home *home = home_of(box_user);
    struct recall *recall = order->user;
    struct yo_home_room *hr = yo_home_find(home, order->room);
    struct yo_note *note = recall->note;
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    int rv = YOMO_ERR_NOT_FOUND;

    home->now = now;
    if (member) {
        struct yo_told told;
        yo_told_begin(&told, home->mem, hr->name, note->number);
        rv = tell_both(home, order, recall, &told);
        if (rv == YOMO_OK) {
            yo_home_hand_over(&told, note);
        }
        yo_told_finish(&told);
        note->from = yo_home_worker_of(member); /* it may have moved meanwhile */
    }
    recall->note = NULL;
    yo_home_answer(home, note, YO_NOTE_TOLD, rv, 0);
    recall_free(order->room->mem, recall);
    yo_order_free(order);
}

bool yo_home_recall_stored(struct yo_home *home, struct yo_home_room *hr,
                           struct yo_note *note, size_t first, size_t end, uint64_t max,
                           size_t bytes)
{
    const struct yo_record *record = &hr->history.shown;
    struct yo_order_of_store *order;
    struct recall *recall;

    order = question(home, YO_ORDER_READ, hr->key);
    recall = yo_calloc(home->mem, 1, sizeof(*recall));
    if (recall && end > first) {
        recall->list = yo_calloc(home->mem, end - first, sizeof(*recall->list));
    }
    if (!order || !recall || (end > first && !recall->list)) {
        if (recall) {
            yo_free(home->mem, recall->list);
        }
        yo_free(home->mem, recall);
        yo_order_free(order);
        return false;
    }
    for (size_t i = first; i < end; i++) {
        const struct yo_past *past = yo_record_at(record, i);
        if (past->until > home->now) {
            recall->list[recall->count] = *past;
            recall->list[recall->count].to = NULL;
            yo_blob_ref(past->message);
            recall->count++;
        }
    }
    recall->note = note;
    order->user = recall;
    order->letter.open = recalled;
    order->letter.discard = recall_discard;
    order->before = record->count > 0 && first < record->count
                        ? yo_record_at(record, first)->place
                        : note->sequence;
    if (note->sequence != 0 && note->sequence < order->before) {
        order->before = note->sequence;
    }
    order->max = (size_t)(max - (end - first));
    order->bytes_max = YO_HISTORY_ANSWER_SIZE - bytes;
    (void)yo_store_put(home->store, order);
    return true;
}
