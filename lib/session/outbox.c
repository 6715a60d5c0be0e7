/* SPDX-License-Identifier: MIT */
/* outbox.c - invariants:
 *  1. an item is in exactly one of the lists `reliable`, `latest`, `unreliable` (of its
 * rank), `flying`; `flying` holds LATEST and insisted items only, each of them in
 * `tokens` as well;
 *  2. an item with a slot is the only one with it, and is in `slots`;
 *  3. reliable_bytes is the size of RELIABLE and insisted messages, those that fly
 *     included, and never passes reliable_max; unreliable_bytes likewise for
 * UNRELIABLE; latest_count never passes latest_max;
 *  4. only what is insisted on and flies has a `next`;
 *  5. `tokens` has room for every item that may fly, so that `sent` cannot fail;
 *  6. `expiring` holds the items that wait and have an end, and has room for those that
 *     fly and have one. */
#include "session/outbox.h"

#include "base/check.h"
#include "base/mem.h"

struct yo_outbox_item {
    struct yo_link link;
    struct yo_map_node by_slot, by_token;
    struct yo_heap_node end;
    struct yo_blob *message;
    struct yo_blob
        *next; /* insisted, flying: what takes its place when it has landed */
    enum yomo_delivery delivery;
    uint32_t lane;
    bool insist, snapshot;
    bool flying;
    uint8_t rank;    /* 0: most urgent */
    yo_time expires; /* YO_NEVER: it has no end */
    yo_time came, queued; /* came 0: not measured, or sent already */
    uint64_t version;
    uint64_t token; /* 0: not peeked yet */
    size_t slot_size;
    uint8_t slot[]; /* one byte for the kind, then the name; slot_size 0: none */
};

static struct yo_outbox_item *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_outbox_item, link);
}

void yo_outbox_init(struct yo_outbox *box, const struct yomo_mem *mem,
                    const struct yo_outbox_limits *limits)
{
    *box = (struct yo_outbox){.mem = mem,
                              .reliable_max = limits->reliable_bytes,
                              .unreliable_max = limits->unreliable_bytes,
                              .latest_max = limits->latest_slots};
    for (int rank = 0; rank < YO_RANKS; rank++) {
        yo_list_init(&box->reliable[rank]);
        yo_list_init(&box->unreliable[rank]);
        yo_list_init(&box->latest[rank]);
    }
    yo_heap_init(&box->expiring, mem);
    yo_list_init(&box->flying);
    yo_map_init(&box->slots, mem);
    yo_map_init(&box->tokens, mem);
}

/* --- items --- */

static uint8_t rank_of(enum yomo_priority priority)
{
    return priority == YOMO_URGENT ? 0 : priority == YOMO_NORMAL ? 1 : 2;
}

static enum yomo_priority priority_of(uint8_t rank)
{
    static const enum yomo_priority priorities[YO_RANKS] = {YOMO_URGENT, YOMO_NORMAL,
                                                            YOMO_BULK};

    return priorities[rank];
}

static yo_time end_of(const struct yo_outgoing *out)
{
    return out->expires == 0 ? YO_NEVER : out->expires;
}

static bool is_reliable(const struct yo_outbox_item *item)
{
    return item->insist || item->delivery == YOMO_RELIABLE;
}

static bool may_fly(const struct yo_outbox_item *item)
{
    return item->insist || item->delivery == YOMO_LATEST;
}

static struct yo_link *list_of(struct yo_outbox *box, const struct yo_outbox_item *item)
{
    if (is_reliable(item)) {
        return &box->reliable[item->rank];
    }
    return item->delivery == YOMO_LATEST ? &box->latest[item->rank]
                                         : &box->unreliable[item->rank];
}

/* It waits, from now on. Its room in the heap was reserved. */
static void wait(struct yo_outbox *box, struct yo_outbox_item *item, bool in_front)
{
    if (in_front) {
        yo_list_push_front(list_of(box, item), &item->link);
    } else {
        yo_list_push_back(list_of(box, item), &item->link);
    }
    if (item->expires != YO_NEVER) {
        (void)yo_heap_set(&box->expiring, &item->end, item->expires);
    }
}

static size_t *bytes_of(struct yo_outbox *box, const struct yo_outbox_item *item)
{
    if (item->snapshot) {
        return &box->snapshot_bytes;
    }
    if (is_reliable(item)) {
        return &box->reliable_bytes;
    }
    return item->delivery == YOMO_LATEST ? &box->latest_bytes : &box->unreliable_bytes;
}

/* No longer in any list. Returns whether something newer is to be sent in its place. */
static bool land(struct yo_outbox *box, struct yo_outbox_item *item)
{
    struct yo_blob *next = item->next;

    if (item->flying) {
        yo_map_remove(&box->tokens, &item->by_token);
        item->flying = false;
    }
    item->token = 0;
    yo_list_remove(&item->link);
    yo_heap_remove(&box->expiring, &item->end);
    if (next) {
        *bytes_of(box, item) -= item->message->size;
        yo_blob_unref(item->message);
        item->message = next;
        item->next = NULL;
    }
    return next != NULL;
}

/* Take the item out of everything and free it. */
static void forget(struct yo_outbox *box, struct yo_outbox_item *item)
{
    land(box, item);
    if (item->slot_size > 0) {
        yo_map_remove(&box->slots, &item->by_slot);
    }
    *bytes_of(box, item) -= item->message->size;
    box->mortal_count -= item->expires != YO_NEVER;
    if (item->insist) {
        box->insisted_count--;
    } else if (item->delivery == YOMO_LATEST) {
        box->latest_count--;
    }
    yo_blob_unref(item->message);
    yo_free(box->mem, item);
}

static void forget_all(struct yo_outbox *box, struct yo_link *list)
{
    while (!yo_list_empty(list)) {
        forget(box, of_link(list->next));
    }
}

void yo_outbox_finish(struct yo_outbox *box)
{
    if (!box || !box->mem) {
        return;
    }
    for (int rank = 0; rank < YO_RANKS; rank++) {
        forget_all(box, &box->reliable[rank]);
        forget_all(box, &box->unreliable[rank]);
        forget_all(box, &box->latest[rank]);
    }
    forget_all(box, &box->flying);
    yo_heap_finish(&box->expiring);
    assert(yo_outbox_bytes(box) == 0);
    yo_map_finish(&box->slots);
    yo_map_finish(&box->tokens);
    *box = (struct yo_outbox){0};
}

/* --- in --- */

static int reserve_end(struct yo_outbox *box, const struct yo_outgoing *out)
{
    return end_of(out) == YO_NEVER
               ? YOMO_OK
               : yo_heap_reserve(&box->expiring, box->mortal_count + 1);
}

/* The bytes that the item takes must not pass the maximum. */
static int check_room(const struct yo_outbox *box, const struct yo_outgoing *out,
                      size_t freed)
{
    if ((out->insist || out->delivery == YOMO_RELIABLE) && !out->snapshot &&
        (out->message->size > box->reliable_max ||
         box->reliable_bytes - freed > box->reliable_max - out->message->size)) {
        return YOMO_ERR_FULL;
    }
    return YOMO_OK;
}

/* Where a slot's name is kept apart from the same name of the other kind. */
#define SLOT_SIZE_MAX 1200u /* yo_outbox_slot makes less */

static struct yo_span slot_key(uint8_t *key, const struct yo_outgoing *out)
{
    key[0] = out->insist ? 'i' : 'l';
    memcpy(key + 1, out->slot.data, out->slot.size);
    return yo_span(key, out->slot.size + 1);
}

/* Wait with `rank`; in the turn that it has, if it waits with that one already. */
static void take_turn(struct yo_outbox *box, struct yo_outbox_item *item, uint8_t rank)
{
    yo_heap_remove(&box->expiring, &item->end);
    if (yo_list_empty(&item->link) || item->rank != rank) {
        yo_list_remove(&item->link);
        item->rank = rank;
        wait(box, item, false);
    } else if (item->expires != YO_NEVER) {
        (void)yo_heap_set(&box->expiring, &item->end, item->expires);
    }
}

/* A message for a slot that is taken: the newer one stays, in the turn of the older. */
static int replace(struct yo_outbox *box, struct yo_outbox_item *item,
                   const struct yo_outgoing *out)
{
    struct yo_blob **place;
    size_t freed;

    if (out->version < item->version) {
        return YOMO_OK;
    }
    place = item->insist && item->flying ? &item->next : &item->message;
    freed = *place ? (*place)->size : 0;
    if (check_room(box, out, freed) != YOMO_OK) {
        return YOMO_ERR_FULL;
    }
    if (reserve_end(box, out) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    if (item->flying && !item->insist) {
        land(box, item);
    }
    box->mortal_count -= item->expires != YO_NEVER;
    item->expires = end_of(out);
    box->mortal_count += item->expires != YO_NEVER;
    if (!item->flying) {
        item->token = 0;
        take_turn(box, item, rank_of(out->priority));
    }
    item->rank = rank_of(out->priority);
    *bytes_of(box, item) += out->message->size;
    *bytes_of(box, item) -= freed;
    yo_blob_ref(out->message);
    yo_blob_unref(*place);
    *place = out->message;
    item->lane = out->lane;
    item->version = out->version;
    item->came = out->came;
    item->queued = out->queued;
    box->replaced++;
    return YOMO_OK;
}

/* The oldest of those that wait with the lowest priority, if that is not above `rank`.
 * NULL: all are. */
static struct yo_outbox_item *oldest_of(struct yo_link lists[YO_RANKS], uint8_t rank)
{
    for (int i = YO_RANKS - 1; i >= rank; i--) {
        if (!yo_list_empty(&lists[i])) {
            return of_link(lists[i].next);
        }
    }
    return NULL;
}

/* A LATEST that gives way: one that flies has been sent once, only its repetition is
 * lost; else the oldest of the lowest priority. */
static struct yo_outbox_item *latest_to_drop(struct yo_outbox *box, uint8_t rank)
{
    YO_LIST_EACH(link, next_link, &box->flying)
    {
        if (!of_link(link)->insist) {
            return of_link(link);
        }
    }
    return oldest_of(box->latest, rank);
}

/* Room for one more of its class, by dropping older ones. False: it never fits, or all
 * that wait go before it. */
static bool make_way(struct yo_outbox *box, const struct yo_outgoing *out)
{
    if (out->insist || out->delivery == YOMO_RELIABLE) {
        return true;
    }
    if (out->delivery == YOMO_LATEST) {
        if (box->latest_max == 0) {
            box->dropped_latest++;
            return false;
        }
        while (box->latest_count >= box->latest_max) {
            struct yo_outbox_item *oldest = latest_to_drop(box, rank_of(out->priority));
            box->dropped_latest++;
            if (!oldest) {
                return false;
            }
            forget(box, oldest);
        }
        return true;
    }
    if (out->message->size > box->unreliable_max) {
        box->dropped_unreliable++;
        return false;
    }
    while (box->unreliable_bytes > box->unreliable_max - out->message->size) {
        struct yo_outbox_item *oldest =
            oldest_of(box->unreliable, rank_of(out->priority));
        box->dropped_unreliable++;
        if (!oldest) {
            return false;
        }
        forget(box, oldest);
    }
    return true;
}

/* A new item, and room for it in the maps. NULL: out of memory. */
static struct yo_outbox_item *
item_create(struct yo_outbox *box, const struct yo_outgoing *out, struct yo_span slot)
{
    struct yo_outbox_item *item;
    size_t flyers = box->latest_count + box->insisted_count - box->tokens.count;

    if (slot.size > 0 && yo_map_reserve(&box->slots, 1) != YOMO_OK) {
        return NULL;
    }
    if ((out->insist || out->delivery == YOMO_LATEST) &&
        yo_map_reserve(&box->tokens, flyers + 1) != YOMO_OK) {
        return NULL;
    }
    if (reserve_end(box, out) != YOMO_OK) {
        return NULL;
    }
    item = yo_malloc(box->mem, sizeof(*item) + slot.size);
    if (!item) {
        return NULL;
    }
    *item = (struct yo_outbox_item){.message = out->message,
                                    .delivery = out->delivery,
                                    .lane = out->lane,
                                    .insist = out->insist,
                                    .snapshot = out->snapshot && !out->insist,
                                    .rank = rank_of(out->priority),
                                    .expires = end_of(out),
                                    .came = out->came,
                                    .queued = out->queued,
                                    .version = out->version,
                                    .slot_size = slot.size};
    if (slot.size > 0) {
        memcpy(item->slot, slot.data, slot.size);
    }
    yo_list_init(&item->link);
    return item;
}

int yo_outbox_put(struct yo_outbox *box, const struct yo_outgoing *out)
{
    bool slotted = out->delivery == YOMO_LATEST || (out->insist && out->slot.size > 0);
    uint8_t key[SLOT_SIZE_MAX + 1];
    struct yo_span slot = YO_SPAN_NONE;
    struct yo_outbox_item *item;
    int rv;

    assert(out->slot.size <= SLOT_SIZE_MAX);
    if (slotted) {
        struct yo_map_node *node;
        slot = slot_key(key, out);
        node = yo_map_get(&box->slots, slot);
        if (node) {
            return replace(box, YO_CONTAINER(node, struct yo_outbox_item, by_slot),
                           out);
        }
    }
    rv = out->first ? YOMO_OK : check_room(box, out, 0);
    if (rv != YOMO_OK) {
        return rv;
    }
    item = item_create(box, out, slot);
    if (!item) {
        return YOMO_ERR_NOMEM;
    }
    if (!make_way(box, out)) {
        yo_free(box->mem, item);
        return YOMO_OK;
    }
    if (slotted) {
        yo_map_put(&box->slots, &item->by_slot, yo_span(item->slot, item->slot_size));
    }
    yo_blob_ref(item->message);
    *bytes_of(box, item) += item->message->size;
    box->insisted_count += item->insist;
    box->latest_count += !item->insist && item->delivery == YOMO_LATEST;
    box->mortal_count += item->expires != YO_NEVER;
    wait(box, item, out->first);
    return YOMO_OK;
}

/* --- out --- */

static struct yo_outbox_item *first(const struct yo_outbox *box)
{
    for (int rank = 0; rank < YO_RANKS; rank++) {
        const struct yo_link *const lists[] = {&box->reliable[rank], &box->latest[rank],
                                               &box->unreliable[rank]};
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
            if (!yo_list_empty(lists[i])) {
                return of_link(lists[i]->next);
            }
        }
    }
    return NULL;
}

size_t yo_outbox_expire(struct yo_outbox *box, yo_time now)
{
    struct yo_heap_node *node;
    size_t count = 0;

    while ((node = yo_heap_first(&box->expiring)) && node->when <= now) {
        forget(box, YO_CONTAINER(node, struct yo_outbox_item, end));
        count++;
    }
    box->expired += count;
    return count;
}

yo_time yo_outbox_deadline(const struct yo_outbox *box)
{
    const struct yo_heap_node *node = yo_heap_first(&box->expiring);

    return node ? node->when : YO_NEVER;
}

bool yo_outbox_peek(struct yo_outbox *box, struct yo_outbox_next *next)
{
    struct yo_outbox_item *item = first(box);

    if (!item) {
        return false;
    }
    if (may_fly(item) && item->token == 0) {
        item->token = ++box->next_token;
    }
    *next = (struct yo_outbox_next){.message = item->message,
                                    .delivery = item->delivery,
                                    .lane = item->lane,
                                    .token = item->token,
                                    .expires = item->expires,
                                    .came = item->came,
                                    .queued = item->queued};
    return true;
}

void yo_outbox_sent(struct yo_outbox *box, bool fate_follows)
{
    struct yo_outbox_item *item = first(box);

    assert(item);
    if (!fate_follows || !may_fly(item)) {
        forget(box, item);
        return;
    }
    assert(item->token != 0);
    yo_map_put(&box->tokens, &item->by_token,
               yo_span(&item->token, sizeof(item->token)));
    item->flying = true;
    item->came = 0;
    yo_list_remove(&item->link);
    yo_heap_remove(&box->expiring, &item->end);
    yo_list_push_back(&box->flying, &item->link);
}

void yo_outbox_drop(struct yo_outbox *box)
{
    struct yo_outbox_item *item = first(box);

    assert(item);
    if (!is_reliable(item)) {
        box->dropped_latest += item->delivery == YOMO_LATEST;
        box->dropped_unreliable += item->delivery == YOMO_UNRELIABLE;
    }
    forget(box, item);
}

bool yo_outbox_fate(struct yo_outbox *box, uint64_t token, bool acked)
{
    struct yo_map_node *node = yo_map_get(&box->tokens, yo_span(&token, sizeof(token)));
    struct yo_outbox_item *item;

    if (!node) {
        return false; /* replaced since, or given up */
    }
    item = YO_CONTAINER(node, struct yo_outbox_item, by_token);
    if (!land(box, item) && acked) {
        forget(box, item);
        return false;
    }
    wait(box, item, true);
    return true;
}

void yo_outbox_rewind(struct yo_outbox *box)
{
    for (int rank = 0; rank < YO_RANKS; rank++) {
        for (; !yo_list_empty(&box->unreliable[rank]); box->dropped_unreliable++) {
            forget(box, of_link(box->unreliable[rank].next));
        }
    }
    /* From the newest: each goes in front of those that flew after it. */
    while (!yo_list_empty(&box->flying)) {
        struct yo_outbox_item *item = of_link(box->flying.prev);
        land(box, item);
        wait(box, item, true);
    }
}

void yo_outbox_strip(struct yo_outbox *box)
{
    yo_outbox_rewind(box);
    for (int rank = 0; rank < YO_RANKS; rank++) {
        forget_all(box, &box->reliable[rank]);
    }
}

static int append_list(struct yo_outbox *to, struct yo_outbox *from,
                       const struct yo_link *list)
{
    int rv = YOMO_OK;

    while (rv == YOMO_OK && !yo_list_empty(list)) {
        struct yo_outbox_item *item = of_link(list->next);
        const struct yo_outgoing out = {
            .message = item->message,
            .delivery = item->delivery,
            .lane = item->lane,
            .insist = item->insist,
            .snapshot = item->snapshot,
            .slot = item->slot_size > 0 ? yo_span(item->slot + 1, item->slot_size - 1)
                                        : YO_SPAN_NONE,
            .version = item->version,
            .priority = priority_of(item->rank),
            .expires = item->expires,
            .came = item->came,
            .queued = item->queued};
        rv = yo_outbox_put(to, &out);
        if (rv == YOMO_OK) {
            forget(from, item);
        }
    }
    return rv;
}

int yo_outbox_append(struct yo_outbox *to, struct yo_outbox *from)
{
    int rv = YOMO_OK;

    for (int rank = 0; rank < YO_RANKS && rv == YOMO_OK; rank++) {
        rv = append_list(to, from, &from->reliable[rank]);
        rv = rv == YOMO_OK ? append_list(to, from, &from->latest[rank]) : rv;
        rv = rv == YOMO_OK ? append_list(to, from, &from->unreliable[rank]) : rv;
    }
    return rv;
}

size_t yo_outbox_reliable(const struct yo_outbox *box)
{
    size_t count = 0;

    for (int rank = 0; rank < YO_RANKS; rank++) {
        const struct yo_link *list = &box->reliable[rank];
        for (const struct yo_link *link = list->next; link != list; link = link->next) {
            count++;
        }
    }
    return count;
}

bool yo_outbox_empty(const struct yo_outbox *box)
{
    return first(box) == NULL;
}

size_t yo_outbox_bytes(const struct yo_outbox *box)
{
    return box->reliable_bytes + box->snapshot_bytes + box->latest_bytes +
           box->unreliable_bytes;
}

uint64_t yo_outbox_audience(struct yo_span targets)
{
    static const uint64_t seed[2] = {0x746f, 0x6d65};

    return targets.data ? yo_siphash(seed, targets) | 1 : 0;
}

static void put_length(struct yo_buf *out, size_t size)
{
    yo_buf_append_byte(out, (uint8_t)(size >> 8));
    yo_buf_append_byte(out, (uint8_t)size);
}

int yo_outbox_slot(struct yo_buf *out, uint64_t sender, struct yo_span room,
                   struct yo_span event, struct yo_span key)
{
    assert(room.size <= UINT16_MAX && event.size <= UINT16_MAX);
    if (yo_buf_reserve(out, sizeof(sender) + 4 + room.size + event.size + key.size) !=
        YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    yo_buf_append(out, &sender, sizeof(sender));
    put_length(out, room.size);
    yo_buf_append_span(out, room);
    put_length(out, event.size);
    yo_buf_append_span(out, event);
    return yo_buf_append_span(out, key);
}
