/* SPDX-License-Identifier: MIT */
/* crowd.c - invariants, under the lock:
 *  1. `count` is the sum of the guests' counts, and never passes `max`;
 *  2. a guest is in the map as long as somebody is counted there. */
#include "transport/crowd/crowd.h"

#include <assert.h>
#include <pthread.h>
#include <yomo/error.h>

#include "base/map.h"

struct yo_guest {
    struct yo_map_node node;
    uint8_t key[YO_CROWD_KEY_MAX];
    size_t key_size; /* 0: of nobody knows whom */
    uint32_t count;
};

struct yo_crowd {
    const struct yomo_mem *mem;
    pthread_mutex_t lock;
    struct yo_map guests;
    uint32_t count, max, max_of_one;
};

int yo_crowd_create(struct yo_crowd **out, const struct yomo_mem *mem, uint32_t max,
                    uint32_t max_of_one)
{
    struct yo_crowd *crowd = yo_calloc(mem, 1, sizeof(*crowd));
    if (!crowd) {
        return YOMO_ERR_NOMEM;
    }
    if (pthread_mutex_init(&crowd->lock, NULL) != 0) {
        yo_free(mem, crowd);
        return YOMO_ERR_SYSTEM;
    }
    crowd->mem = mem;
    crowd->max = max > 0 ? max : UINT32_MAX;
    crowd->max_of_one = max_of_one > 0 ? max_of_one : UINT32_MAX;
    yo_map_init(&crowd->guests, mem);
    *out = crowd;
    return YOMO_OK;
}

void yo_crowd_destroy(struct yo_crowd *crowd)
{
    if (!crowd) {
        return;
    }
    assert(crowd->count == 0 && crowd->guests.count == 0);
    yo_map_finish(&crowd->guests);
    pthread_mutex_destroy(&crowd->lock);
    yo_free(crowd->mem, crowd);
}

static int add_guest(struct yo_crowd *crowd, struct yo_span key, struct yo_guest **out)
{
    struct yo_guest *guest = yo_calloc(crowd->mem, 1, sizeof(*guest));
    if (!guest) {
        return YOMO_ERR_NOMEM;
    }
    assert(key.size <= sizeof(guest->key));
    if (key.size > 0) {
        memcpy(guest->key, key.data, key.size);
    }
    guest->key_size = key.size;
    int rv = yo_map_put(&crowd->guests, &guest->node, yo_span(guest->key, key.size));
    if (rv != YOMO_OK) {
        yo_free(crowd->mem, guest);
        return rv;
    }
    *out = guest;
    return YOMO_OK;
}

static int count_guest(struct yo_crowd *crowd, struct yo_span key,
                       struct yo_guest **out)
{
    struct yo_map_node *node = yo_map_get(&crowd->guests, key);
    struct yo_guest *guest = node ? YO_CONTAINER(node, struct yo_guest, node) : NULL;
    if (!guest) {
        int rv = add_guest(crowd, key, &guest);
        if (rv != YOMO_OK) {
            return rv;
        }
    } else if (key.size > 0 && guest->count >= crowd->max_of_one) {
        return YOMO_ERR_FULL;
    }
    guest->count++;
    *out = guest;
    return YOMO_OK;
}

static void drop_guest(struct yo_crowd *crowd, struct yo_guest *guest)
{
    if (--guest->count == 0) {
        yo_map_remove(&crowd->guests, &guest->node);
        yo_free(crowd->mem, guest);
    }
}

int yo_crowd_enter(struct yo_crowd *crowd, struct yo_span key, struct yo_guest **out)
{
    int rv = YOMO_ERR_FULL;
    pthread_mutex_lock(&crowd->lock);
    if (crowd->count < crowd->max) {
        rv = count_guest(crowd, key, out);
        crowd->count += rv == YOMO_OK;
    }
    pthread_mutex_unlock(&crowd->lock);
    return rv;
}

int yo_crowd_rename(struct yo_crowd *crowd, struct yo_guest **guest, struct yo_span key)
{
    struct yo_guest *old = *guest;
    int rv = YOMO_OK;
    pthread_mutex_lock(&crowd->lock);
    if (!yo_span_equal(yo_span(old->key, old->key_size), key)) {
        rv = count_guest(crowd, key, guest);
        if (rv == YOMO_OK) {
            drop_guest(crowd, old);
        }
    }
    pthread_mutex_unlock(&crowd->lock);
    return rv;
}

void yo_crowd_leave(struct yo_crowd *crowd, struct yo_guest *guest)
{
    if (!guest) {
        return;
    }
    pthread_mutex_lock(&crowd->lock);
    crowd->count--;
    drop_guest(crowd, guest);
    pthread_mutex_unlock(&crowd->lock);
}
