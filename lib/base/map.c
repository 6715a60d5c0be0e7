/* SPDX-License-Identifier: MIT */
/* map.c - invariants:
 *  1. a node is in the chain of bucket `hash & (bucket_count - 1)`;
 *  2. no two nodes have equal keys;
 *  3. count <= bucket_count, so that a chain has one node on average.
 * The seed is drawn when the first buckets are made: an empty map costs nothing. */
#include "base/map.h"

#include "base/check.h"
#include "base/rand.h"

#define BUCKETS_MIN 8

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static uint64_t load_le64(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash (Aumasson, Bernstein 2012), one round for each word and three at the end. */
uint64_t yo_siphash(const uint64_t seed[2], struct yo_span bytes)
{
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575),
        seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261),
        seed[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = bytes.size - bytes.size % 8;
    uint64_t word;

    for (size_t i = 0; i < whole; i += 8) {
        word = load_le64(bytes.data + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)(bytes.size & 0xff) << 56;
    if (bytes.size > whole) {
        word |= load_le64(bytes.data + whole, bytes.size - whole);
    }
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void yo_map_init(struct yo_map *map, const struct yomo_mem *mem)
{
    *map = (struct yo_map){.mem = mem};
}

void yo_map_finish(struct yo_map *map)
{
    if (!map) {
        return;
    }
    yo_free(map->mem, map->buckets);
    yo_map_init(map, map->mem);
}

static struct yo_map_node **bucket_of(const struct yo_map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static void push(struct yo_map *map, struct yo_map_node *node)
{
    struct yo_map_node **bucket = bucket_of(map, node->hash);

    node->next = *bucket;
    *bucket = node;
}

int yo_map_reserve(struct yo_map *map, size_t extra)
{
    struct yo_map_node **old = map->buckets;
    size_t old_count = map->bucket_count;
    size_t wanted = BUCKETS_MIN;
    struct yo_map_node **buckets;

    if (extra <= old_count - map->count) {
        return YOMO_OK;
    }
    if (extra > SIZE_MAX / 4 - map->count) {
        return YOMO_ERR_NOMEM;
    }
    while (wanted < map->count + extra) {
        wanted *= 2;
    }
    buckets = yo_calloc(map->mem, wanted, sizeof(*buckets));
    if (!buckets) {
        return YOMO_ERR_NOMEM;
    }
    if (old_count == 0) {
        yo_rand_bytes(map->seed, sizeof(map->seed));
    }
    map->buckets = buckets;
    map->bucket_count = wanted;
    for (size_t i = 0; i < old_count; i++) {
        struct yo_map_node *node = old[i];
        while (node) {
            struct yo_map_node *next = node->next;
            push(map, node);
            node = next;
        }
    }
    yo_free(map->mem, old);
    return YOMO_OK;
}

static struct yo_map_node *find(const struct yo_map *map, struct yo_span key,
                                uint64_t hash)
{
    struct yo_map_node *node = *bucket_of(map, hash);

    while (node && !(node->hash == hash && yo_span_equal(node->key, key))) {
        node = node->next;
    }
    return node;
}

int yo_map_put(struct yo_map *map, struct yo_map_node *node, struct yo_span key)
{
    bool fresh = map->bucket_count == 0; /* without a seed until it grows */
    uint64_t hash = fresh ? 0 : yo_siphash(map->seed, key);
    int rv;

    if (!fresh && find(map, key, hash)) {
        return YOMO_ERR_EXISTS;
    }
    rv = yo_map_reserve(map, 1);
    if (rv != YOMO_OK) {
        return rv;
    }
    node->key = key;
    node->hash = fresh ? yo_siphash(map->seed, key) : hash;
    push(map, node);
    map->count++;
    return YOMO_OK;
}

struct yo_map_node *yo_map_get(const struct yo_map *map, struct yo_span key)
{
    if (map->count == 0) {
        return NULL;
    }
    return find(map, key, yo_siphash(map->seed, key));
}

void yo_map_remove(struct yo_map *map, struct yo_map_node *node)
{
    struct yo_map_node **link;

    assert(map->count > 0);
    link = bucket_of(map, node->hash);
    while (*link != node) {
        assert(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

struct yo_map_node *yo_map_next(const struct yo_map *map,
                                const struct yo_map_node *node)
{
    size_t i = 0;

    if (node) {
        if (node->next) {
            return node->next;
        }
        i = (size_t)(node->hash & (map->bucket_count - 1)) + 1;
    }
    for (; i < map->bucket_count; i++) {
        if (map->buckets[i]) {
            return map->buckets[i];
        }
    }
    return NULL;
}
