/* SPDX-License-Identifier: MIT */
#include "transport/webtransport/datagram.h"

#include <yomo/error.h>

struct datagram {
    struct yo_link link;     /* while it waits */
    struct yo_map_node node; /* while it flies */
    struct yo_blob *blob;
    uint64_t token, id; /* 0: nobody wants to know */
    yo_time since;      /* 0: it has just come */
};

static struct datagram *first_of(const struct yo_datagrams *datagrams)
{
    struct yo_link *link = datagrams->waiting.next;
    return link == &datagrams->waiting ? NULL
                                       : YO_CONTAINER(link, struct datagram, link);
}

void yo_datagrams_init(struct yo_datagrams *datagrams, const struct yomo_mem *mem)
{
    memset(datagrams, 0, sizeof(*datagrams));
    datagrams->mem = mem;
    yo_list_init(&datagrams->waiting);
    yo_list_init(&datagrams->untold);
    yo_map_init(&datagrams->flying, mem);
}

/* One is kept for the next message: most go out one at a time. */
static void let_go(struct yo_datagrams *datagrams, struct datagram *d)
{
    if (datagrams->spare) {
        yo_free(datagrams->mem, d);
    } else {
        datagrams->spare = d;
    }
}

static struct datagram *get(struct yo_datagrams *datagrams)
{
    struct datagram *d = datagrams->spare;
    if (!d) {
        return yo_calloc(datagrams->mem, 1, sizeof(*d));
    }
    datagrams->spare = NULL;
    memset(d, 0, sizeof(*d));
    return d;
}

void yo_datagrams_finish(struct yo_datagrams *datagrams)
{
    while (first_of(datagrams)) {
        yo_datagrams_drop(datagrams);
    }
    struct yo_map_node *node = yo_map_next(&datagrams->flying, NULL);
    while (node) {
        struct yo_map_node *next = yo_map_next(&datagrams->flying, node);
        yo_map_remove(&datagrams->flying, node);
        yo_free(datagrams->mem, YO_CONTAINER(node, struct datagram, node));
        node = next;
    }
    yo_map_finish(&datagrams->flying); /* those in `untold` were there too */
    yo_free(datagrams->mem, datagrams->spare);
    datagrams->spare = NULL;
}

/* Is there room for `size` bytes beside `count` others of `total`? */
static bool fits(const struct yo_datagram_limits *limits, size_t size, size_t count,
                 size_t total)
{
    return count == 0 || ((limits->count == 0 || count < limits->count) &&
                          (limits->size == 0 ||
                           (total <= limits->size && size <= limits->size - total)));
}

static void leave(struct yo_datagrams *datagrams);

int yo_datagrams_push(struct yo_datagrams *datagrams, struct yo_blob *blob,
                      uint64_t token)
{
    const struct yo_datagram_limits *limits = &datagrams->limits;
    bool room = fits(limits, blob->size, datagrams->count, datagrams->size);
    if ((token != 0 && datagrams->flying.count >= YO_DATAGRAMS_FLYING_MAX) ||
        (!room && !limits->drop_oldest)) {
        return YOMO_ERR_AGAIN;
    }
    struct datagram *d = get(datagrams);
    if (!d) {
        return YOMO_ERR_NOMEM;
    }
    /* What waits with a token must not fail to fly: each has a place in the map now. */
    d->token = token;
    if (token != 0) {
        d->id = ++datagrams->next_id;
        if (yo_map_put(&datagrams->flying, &d->node, yo_span(&d->id, sizeof(d->id))) !=
            YOMO_OK) {
            let_go(datagrams, d);
            return YOMO_ERR_NOMEM;
        }
    }
    while (!fits(limits, blob->size, datagrams->count, datagrams->size)) {
        datagrams->dropped++;
        leave(datagrams);
    }
    d->blob = yo_blob_ref(blob);
    yo_list_push_back(&datagrams->waiting, &d->link);
    datagrams->count++;
    datagrams->size += blob->size;
    return YOMO_OK;
}

struct yo_blob *yo_datagrams_peek(const struct yo_datagrams *datagrams, uint64_t *id)
{
    struct datagram *d = first_of(datagrams);
    if (!d) {
        return NULL;
    }
    *id = d->id;
    return d->blob;
}

/* Take the first one off the queue; its blob is let go. */
static struct datagram *take(struct yo_datagrams *datagrams)
{
    struct datagram *d = first_of(datagrams);
    yo_list_remove(&d->link);
    datagrams->count--;
    datagrams->size -= d->blob->size;
    yo_blob_unref(d->blob);
    d->blob = NULL;
    return d;
}

/* The first one will not be sent; that is still to be told if it has a token. */
static void leave(struct yo_datagrams *datagrams)
{
    struct datagram *d = take(datagrams);
    if (d->token == 0) {
        let_go(datagrams, d);
    } else {
        yo_list_push_back(&datagrams->untold, &d->link);
    }
}

bool yo_datagrams_expire(struct yo_datagrams *datagrams, yo_time now)
{
    yo_time age = datagrams->limits.age;
    struct datagram *d;
    bool some = false;
    if (age == 0) {
        return false;
    }
    for (struct yo_link *link = datagrams->waiting.prev; link != &datagrams->waiting;
         link = link->prev) { /* those that have come since the last time */
        d = YO_CONTAINER(link, struct datagram, link);
        if (d->since != 0) {
            break;
        }
        d->since = now;
    }
    while ((d = first_of(datagrams)) && yo_time_after(d->since, age) <= now) {
        datagrams->expired++;
        leave(datagrams);
        some = true;
    }
    return some;
}

uint64_t yo_datagrams_untold(struct yo_datagrams *datagrams)
{
    struct yo_link *link = yo_list_pop_front(&datagrams->untold);
    if (!link) {
        return 0;
    }
    struct datagram *d = YO_CONTAINER(link, struct datagram, link);
    uint64_t token = d->token;
    yo_map_remove(&datagrams->flying, &d->node);
    let_go(datagrams, d);
    return token;
}

void yo_datagrams_sent(struct yo_datagrams *datagrams)
{
    struct datagram *d = take(datagrams);
    datagrams->sent++;
    if (d->token == 0) {
        let_go(datagrams, d);
    }
}

uint64_t yo_datagrams_drop(struct yo_datagrams *datagrams)
{
    struct datagram *d = take(datagrams);
    uint64_t token = d->token;
    if (token != 0) {
        yo_map_remove(&datagrams->flying, &d->node);
    }
    let_go(datagrams, d);
    return token;
}

uint64_t yo_datagrams_land(struct yo_datagrams *datagrams, uint64_t id)
{
    if (id == 0) { /* most of them: nobody wants to know */
        return 0;
    }
    struct yo_map_node *node = yo_map_get(&datagrams->flying, yo_span(&id, sizeof(id)));
    if (!node) {
        return 0;
    }
    struct datagram *d = YO_CONTAINER(node, struct datagram, node);
    uint64_t token = d->token;
    yo_map_remove(&datagrams->flying, node);
    let_go(datagrams, d);
    return token;
}
