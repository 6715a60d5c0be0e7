/* SPDX-License-Identifier: MIT */
/* bans.c - invariants, under `lock`:
 *  1. `table` has each ban once, under yo_ban_key;
 *  2. `widths[n]` is how many bans of networks with n bits there are, so that an
 * address is looked up once for each width in use and not once for each ban;
 *  3. `everywhere` and `in_rooms` are how many there are of each kind: they may be read
 *     without the lock, and nobody is kept waiting when they are 0.
 *
 * A ban that is over is taken out when it is met, and all of them when there is no room
 * for another. */
#include "server/bans.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <yomo/error.h>

#include "base/map.h"
#include "base/mem.h"

#define WIDTHS 129

struct entry {
    struct yo_map_node node;
    struct yo_ban ban; /* its spans point behind it */
    uint8_t bytes[];
};

struct yo_bans {
    const struct yomo_mem *mem;
    pthread_mutex_t lock;
    struct yo_map table;
    size_t max;
    size_t widths[WIDTHS];
    atomic_size_t everywhere, in_rooms;
};

int yo_bans_create(struct yo_bans **out, const struct yomo_mem *mem, size_t max)
{
    struct yo_bans *bans = yo_calloc(mem, 1, sizeof(*bans));

    if (!bans) {
        return YOMO_ERR_NOMEM;
    }
    bans->mem = mem;
    bans->max = max;
    pthread_mutex_init(&bans->lock, NULL);
    yo_map_init(&bans->table, mem);
    *out = bans;
    return YOMO_OK;
}

static struct entry *entry_of(struct yo_map_node *node)
{
    return YO_CONTAINER(node, struct entry, node);
}

static atomic_size_t *count_of(struct yo_bans *bans, const struct yo_ban_who *who)
{
    return who->room.data ? &bans->in_rooms : &bans->everywhere;
}

static void drop(struct yo_bans *bans, struct entry *entry)
{
    yo_map_remove(&bans->table, &entry->node);
    atomic_fetch_sub(count_of(bans, &entry->ban.who), 1);
    if (!entry->ban.who.user.data) {
        bans->widths[entry->ban.who.network.bits]--;
    }
    yo_free(bans->mem, entry);
}

static void drop_until(struct yo_bans *bans, uint64_t now_ms)
{
    struct yo_map_node *node, *next;

    for (node = yo_map_next(&bans->table, NULL); node; node = next) {
        next = yo_map_next(&bans->table, node);
        if (entry_of(node)->ban.until_ms <= now_ms) {
            drop(bans, entry_of(node));
        }
    }
}

void yo_bans_free(struct yo_bans *bans)
{
    if (bans) {
        drop_until(bans, UINT64_MAX);
        yo_map_finish(&bans->table);
        pthread_mutex_destroy(&bans->lock);
        yo_free(bans->mem, bans);
    }
}

/* A name of at most 255 bytes with its size before it. */
static size_t put_name(uint8_t *out, struct yo_span name)
{
    size_t size = name.size > 255 ? 255 : name.size;

    out[0] = (uint8_t)size;
    if (size > 0) {
        memcpy(out + 1, name.data, size);
    }
    return 1 + size;
}

/* The address with nothing behind its width, so that one network has one key. */
static size_t put_network(uint8_t *out, const struct yo_network *network)
{
    out[0] = network->bits;
    for (unsigned i = 0; i < 16; i++) {
        unsigned left = network->bits > i * 8 ? network->bits - i * 8 : 0;
        unsigned mask = left >= 8 ? 0xffu : (0xff00u >> left) & 0xffu;
        out[1 + i] = (uint8_t)(network->ip.bytes[i] & mask);
    }
    return 17;
}

size_t yo_ban_key(uint8_t out[YO_BAN_KEY_MAX], const struct yo_ban_who *who)
{
    size_t size = put_name(out, who->app);

    size += put_name(out + size, who->room);
    out[size++] = who->user.data ? 'u' : 'a';
    return size + (who->user.data ? put_name(out + size, who->user)
                                  : put_network(out + size, &who->network));
}

static struct yo_span keep(struct entry *entry, size_t *used, struct yo_span text)
{
    uint8_t *at = entry->bytes + *used;

    if (!text.data) {
        return YO_SPAN_NONE;
    }
    memcpy(at, text.data, text.size);
    *used += text.size;
    return yo_span(at, text.size);
}

static struct entry *entry_make(struct yo_bans *bans, const struct yo_ban *ban,
                                struct yo_span key)
{
    struct yo_span reason = ban->reason;
    const struct yo_ban_who *who = &ban->who;
    struct entry *entry;
    size_t used = 0;

    if (reason.size > YO_BAN_REASON_MAX) {
        reason.size = YO_BAN_REASON_MAX;
    }
    entry = yo_calloc(bans->mem, 1,
                      sizeof(*entry) + key.size + who->app.size + who->room.size +
                          who->user.size + reason.size + 1);
    if (!entry) {
        return NULL;
    }
    key = keep(entry, &used, key);
    entry->ban.until_ms = ban->until_ms;
    entry->ban.length_ms = ban->length_ms;
    entry->ban.who.network = who->network;
    entry->ban.who.app = keep(entry, &used, who->app);
    entry->ban.who.room = keep(entry, &used, who->room);
    entry->ban.who.user = keep(entry, &used, who->user);
    entry->ban.reason = keep(entry, &used, reason);
    if (yo_map_put(&bans->table, &entry->node, key) != YOMO_OK) {
        yo_free(bans->mem, entry);
        return NULL;
    }
    return entry;
}

int yo_bans_put(struct yo_bans *bans, const struct yo_ban *ban, uint64_t now_ms)
{
    uint8_t bytes[YO_BAN_KEY_MAX];
    struct yo_span key = yo_span(bytes, yo_ban_key(bytes, &ban->who));
    struct yo_map_node *node;
    struct entry *old = NULL, *entry;
    int rv = YOMO_OK;

    pthread_mutex_lock(&bans->lock);
    if (bans->table.count >= bans->max) {
        drop_until(bans, now_ms);
    }
    node = yo_map_get(&bans->table, key);
    if (node) {
        old = entry_of(node);
        yo_map_remove(&bans->table, node);
    } else if (bans->table.count >= bans->max) {
        rv = YOMO_ERR_FULL;
    }
    entry = rv == YOMO_OK ? entry_make(bans, ban, key) : NULL;
    if (rv == YOMO_OK && !entry) {
        rv = YOMO_ERR_NOMEM;
        if (old) { /* into the room that it came from */
            (void)yo_map_put(&bans->table, &old->node, old->node.key);
        }
    } else if (rv == YOMO_OK && old) {
        yo_free(bans->mem, old);
    } else if (rv == YOMO_OK) {
        atomic_fetch_add(count_of(bans, &entry->ban.who), 1);
        if (!entry->ban.who.user.data) {
            bans->widths[entry->ban.who.network.bits]++;
        }
    }
    pthread_mutex_unlock(&bans->lock);
    return rv;
}

/* The ban itself, if it still counts. */
static struct entry *find(struct yo_bans *bans, const struct yo_ban_who *who,
                          uint64_t now_ms)
{
    uint8_t bytes[YO_BAN_KEY_MAX];
    struct yo_map_node *node =
        yo_map_get(&bans->table, yo_span(bytes, yo_ban_key(bytes, who)));

    if (node && entry_of(node)->ban.until_ms <= now_ms) {
        drop(bans, entry_of(node));
        return NULL;
    }
    return node ? entry_of(node) : NULL;
}

int yo_bans_remove(struct yo_bans *bans, const struct yo_ban_who *who, uint64_t now_ms)
{
    struct entry *entry;

    pthread_mutex_lock(&bans->lock);
    entry = find(bans, who, now_ms);
    if (entry) {
        drop(bans, entry);
    }
    pthread_mutex_unlock(&bans->lock);
    return entry ? YOMO_OK : YOMO_ERR_NOT_FOUND;
}

static bool have_address(struct yo_bans *bans, struct yo_ban_who *who,
                         const struct yo_ip *ip, uint64_t now_ms)
{
    who->user = YO_SPAN_NONE;
    for (unsigned width = 0; width < WIDTHS; width++) {
        if (bans->widths[width] == 0 || (yo_ip_v4(ip) && width < 96)) {
            continue; /* a network of IPv6 has no address of IPv4 in it */
        }
        who->network = (struct yo_network){.ip = *ip, .bits = (uint8_t)width};
        if (find(bans, who, now_ms)) {
            return true;
        }
    }
    return false;
}

bool yo_bans_have(struct yo_bans *bans, struct yo_span app, struct yo_span room,
                  struct yo_span user, const struct yo_ip *ip, uint64_t now_ms)
{
    struct yo_ban_who who = {.app = app, .room = room, .user = user};
    bool have;

    if (atomic_load(count_of(bans, &who)) == 0) {
        return false;
    }
    pthread_mutex_lock(&bans->lock);
    have = (user.data && find(bans, &who, now_ms)) ||
           (ip && have_address(bans, &who, ip, now_ms));
    pthread_mutex_unlock(&bans->lock);
    return have;
}

void yo_bans_each(struct yo_bans *bans, uint64_t now_ms,
                  void (*see)(void *user, const struct yo_ban *ban), void *user)
{
    pthread_mutex_lock(&bans->lock);
    drop_until(bans, now_ms);
    for (struct yo_map_node *node = yo_map_next(&bans->table, NULL); node;
         node = yo_map_next(&bans->table, node)) {
        see(user, &entry_of(node)->ban);
    }
    pthread_mutex_unlock(&bans->lock);
}

size_t yo_bans_count(struct yo_bans *bans, uint64_t now_ms)
{
    size_t count;

    pthread_mutex_lock(&bans->lock);
    drop_until(bans, now_ms);
    count = bans->table.count;
    pthread_mutex_unlock(&bans->lock);
    return count;
}
