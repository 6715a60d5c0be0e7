/* SPDX-License-Identifier: MIT */
#include "path.h"

#define MS 1000000.0

enum question { ASK_LOSS, ASK_DUPLICATE, ASK_REORDER, ASK_JITTER, ASK_COUNT };

/* splitmix64's last step: every bit of `x` changes every bit of the result. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* From 0 to just under 1. */
static double chance(const struct path *path, uint64_t number, enum question question)
{
    uint64_t x = mix(path->seed +
                     (number * ASK_COUNT + question) * UINT64_C(0x9e3779b97f4a7c15));
    return (double)(x >> 11) / 9007199254740992.0;
}

/* When a narrow path is done with it. False: too much waits for it already. */
static bool squeeze(struct path *path, size_t size, uint64_t now, uint64_t *out)
{
    *out = now;
    if (path->rules.rate <= 0) {
        return true;
    }
    uint64_t from = path->free_at > now ? path->free_at : now;
    if ((double)(from - now) / 1e9 * path->rules.rate > PATH_QUEUE_MAX) {
        *out = path->free_at;
        return false;
    }
    path->free_at = from + (uint64_t)((double)size / path->rules.rate * 1e9);
    *out = path->free_at;
    return true;
}

int path_take(struct path *path, size_t size, uint64_t now, bool in_order,
              uint64_t at[2])
{
    const struct path_rules *rules = &path->rules;
    uint64_t number = path->number++;
    path->counts.seen++;
    if (rules->blocked) {
        path->counts.blocked++;
        return 0;
    }
    bool lost = chance(path, number, ASK_LOSS) < rules->loss;
    if (lost) {
        path->counts.lost++;
        if (!in_order) {
            return 0;
        }
    }
    uint64_t out;
    if (!squeeze(path, size, now, &out) && !in_order) {
        path->counts.overflowed++;
        return 0;
    }
    out += (uint64_t)(rules->delay_ms * MS +
                      chance(path, number, ASK_JITTER) * rules->jitter_ms * MS);
    if (in_order) {
        if (lost) { /* TCP sends it again: a round trip later, and not before 200 ms */
            double again = 2 * rules->delay_ms > 200 ? 2 * rules->delay_ms : 200;
            out += (uint64_t)(again * MS);
        }
        out = out > path->last_at ? out : path->last_at;
        path->last_at = out;
        at[0] = out;
        return 1;
    }
    if (chance(path, number, ASK_REORDER) < rules->reorder) {
        path->counts.reordered++;
        out +=
            (uint64_t)((rules->delay_ms / 2 + 2) * MS); /* behind those that follow */
    }
    at[0] = out;
    if (chance(path, number, ASK_DUPLICATE) < rules->duplicate) {
        path->counts.duplicated++;
        at[1] = out + (uint64_t)MS;
        return 2;
    }
    return 1;
}
