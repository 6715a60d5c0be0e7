/* SPDX-License-Identifier: MIT */
/* pacer.c - invariants:
 *  1. an entry is in `by_slot` and in `due`, whose room was reserved with it;
 *  2. `waiting` is how many have a message; an entry without one rests until its
 * interval is over, and is then forgotten by whoever looks. */
#include "session/pacer.h"

#include <string.h>
#include <yomo/error.h>

#include "base/check.h"

struct entry {
    struct yo_map_node by_slot;
    struct yo_heap_node due;
    struct yo_blob *message; /* NULL: it rests */
    struct yo_outgoing out;  /* without message and slot */
    yo_time interval;
    size_t size;
    uint8_t slot[];
};

void yo_pacer_init(struct yo_pacer *pacer, const struct yomo_mem *mem, size_t max)
{
    *pacer = (struct yo_pacer){.mem = mem, .max = max};
    yo_map_init(&pacer->by_slot, mem);
    yo_heap_init(&pacer->due, mem);
}

static struct entry *of_due(struct yo_heap_node *node)
{
    return YO_CONTAINER(node, struct entry, due);
}

static void forget(struct yo_pacer *pacer, struct entry *entry)
{
    yo_map_remove(&pacer->by_slot, &entry->by_slot);
    yo_heap_remove(&pacer->due, &entry->due);
    pacer->waiting -= entry->message != NULL;
    yo_blob_unref(entry->message);
    yo_free(pacer->mem, entry);
}

void yo_pacer_finish(struct yo_pacer *pacer)
{
    struct yo_heap_node *node;

    if (!pacer || !pacer->mem) {
        return;
    }
    while ((node = yo_heap_first(&pacer->due))) {
        forget(pacer, of_due(node));
    }
    yo_map_finish(&pacer->by_slot);
    yo_heap_finish(&pacer->due);
    *pacer = (struct yo_pacer){0};
}

/* Those that have rested long enough. */
static void sweep(struct yo_pacer *pacer, yo_time now)
{
    struct yo_heap_node *node;

    while ((node = yo_heap_first(&pacer->due)) && node->when <= now &&
           !of_due(node)->message) {
        forget(pacer, of_due(node));
    }
}

static int begin(struct yo_pacer *pacer, const struct yo_outgoing *out,
                 yo_time interval, yo_time now)
{
    struct entry *entry;

    if (pacer->by_slot.count >= pacer->max) {
        return 1;
    }
    entry = yo_calloc(pacer->mem, 1, sizeof(*entry) + out->slot.size);
    if (!entry || yo_heap_reserve(&pacer->due, pacer->by_slot.count + 1) != YOMO_OK) {
        yo_free(pacer->mem, entry);
        return YOMO_ERR_NOMEM;
    }
    entry->out.version = out->version;
    entry->interval = interval;
    entry->size = out->slot.size;
    memcpy(entry->slot, out->slot.data, out->slot.size);
    if (yo_map_put(&pacer->by_slot, &entry->by_slot,
                   yo_span(entry->slot, entry->size)) != YOMO_OK) {
        yo_free(pacer->mem, entry);
        return YOMO_ERR_NOMEM;
    }
    (void)yo_heap_set(&pacer->due, &entry->due, yo_time_after(now, interval));
    return 1;
}

int yo_pacer_put(struct yo_pacer *pacer, const struct yo_outgoing *out,
                 yo_time interval, yo_time now)
{
    struct yo_map_node *node;
    struct entry *entry;

    assert(out->delivery == YOMO_LATEST && out->slot.size > 0);
    sweep(pacer, now);
    node = yo_map_get(&pacer->by_slot, out->slot);
    if (!node) {
        return begin(pacer, out, interval, now);
    }
    entry = YO_CONTAINER(node, struct entry, by_slot);
    if (out->version < entry->out.version) {
        pacer->thinned++;
        return 0;
    }
    pacer->thinned += entry->message != NULL;
    pacer->waiting += entry->message == NULL;
    yo_blob_unref(entry->message);
    entry->message = yo_blob_ref(out->message);
    entry->out = *out;
    entry->interval = interval;
    return 0;
}

bool yo_pacer_next(struct yo_pacer *pacer, yo_time now, struct yo_outgoing *out)
{
    struct yo_heap_node *node;

    while ((node = yo_heap_first(&pacer->due)) && node->when <= now) {
        struct entry *entry = of_due(node);
        if (!entry->message) {
            forget(pacer, entry);
            continue;
        }
        *out = entry->out;
        out->message = entry->message;
        out->slot = yo_span(entry->slot, entry->size);
        entry->message = NULL;
        pacer->waiting--;
        if (now != YO_NEVER) { /* else it is forgotten with the next call */
            (void)yo_heap_set(&pacer->due, node, yo_time_after(now, entry->interval));
        }
        return true;
    }
    return false;
}

yo_time yo_pacer_deadline(const struct yo_pacer *pacer)
{
    const struct yo_heap_node *node = yo_heap_first(&pacer->due);

    /* Resting ones too: their memory is given back then. */
    return node ? node->when : YO_NEVER;
}
