/* SPDX-License-Identifier: MIT */
/* udp_blocked.c - host names are kept as hashes under a random key: a collision costs
 * one early start of WebSocket. */
#include "client/udp_blocked.h"

#include <pthread.h>

#include "base/map.h"
#include "base/rand.h"

struct entry {
    uint64_t hash;
    yo_time until; /* 0: free */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry table[YO_UDP_BLOCKED_MAX];
static uint64_t seed[2];

/* With the lock. */
static uint64_t hash_of(struct yo_span host, uint16_t port)
{
    if (!seed[0]) {
        yo_rand_bytes(seed, sizeof(seed));
        seed[0] |= 1;
    }
    return yo_siphash(seed, host) + port;
}

static struct entry *find(uint64_t hash)
{
    for (size_t i = 0; i < YO_UDP_BLOCKED_MAX; i++) {
        if (table[i].until && table[i].hash == hash) {
            return &table[i];
        }
    }
    return NULL;
}

static struct entry *first_to_forget(void)
{
    struct entry *first = &table[0];
    for (size_t i = 1; i < YO_UDP_BLOCKED_MAX; i++) {
        if (table[i].until < first->until) {
            first = &table[i];
        }
    }
    return first;
}

void yo_udp_blocked_note(struct yo_span host, uint16_t port, yo_time until)
{
    pthread_mutex_lock(&lock);
    uint64_t hash = hash_of(host, port);
    struct entry *entry = find(hash);
    if (!entry) {
        entry = first_to_forget();
        *entry = (struct entry){.hash = hash};
    }
    if (until > entry->until) {
        entry->until = until;
    }
    pthread_mutex_unlock(&lock);
}

void yo_udp_blocked_clear(struct yo_span host, uint16_t port)
{
    pthread_mutex_lock(&lock);
    struct entry *entry = find(hash_of(host, port));
    if (entry) {
        entry->until = 0;
    }
    pthread_mutex_unlock(&lock);
}

bool yo_udp_blocked(struct yo_span host, uint16_t port, yo_time now)
{
    pthread_mutex_lock(&lock);
    const struct entry *entry = find(hash_of(host, port));
    bool blocked = entry && entry->until > now;
    pthread_mutex_unlock(&lock);
    return blocked;
}
