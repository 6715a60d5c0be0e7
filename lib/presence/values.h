/* SPDX-License-Identifier: MIT */
/* values.h - what the members of one room share: values by name, and locks.
 *
 * Pure. Each value and each lock has a version: the place in the room's order of the
 * change that made it, given by the caller. So a version never comes back, also not
 * that of something that was taken away and made anew: whoever compares versions cannot
 * be fooled, and that of a lock grows from one holder to the next.
 *
 * A lock belongs to one session, until it gives it back, is gone, or the lease runs
 * out, which its holder may begin anew. Others wait in line, in the order in which they
 * asked. Values and locks have names of their own: one may be called as the other. A
 * lock that nobody holds is not there. */
#ifndef YO_PRESENCE_VALUES_H
#define YO_PRESENCE_VALUES_H

#include "base/blob.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"

struct yo_value {
    struct yo_map_node by_key;
    struct yo_link link; /* in yo_values.values or .locks */
    uint64_t version;
    uint64_t session;     /* who set it, or holds it; 0: the host program */
    struct yo_blob *who;  /* the same as user id */
    struct yo_blob *data; /* NULL: it is a lock */
    /* a lock's */
    struct yo_heap_node until; /* when its lease runs out */
    yo_time lease;
    struct yo_link line; /* of struct yo_lock_wait */
    size_t waiting;
    size_t key_size;
    uint8_t key[]; /* a byte for its kind, then its name */
};

/* One in line. */
struct yo_lock_wait {
    struct yo_link link;
    uint64_t session;
    struct yo_blob *who;
    yo_time lease;
};

struct yo_values_bounds {
    size_t count;      /* values and locks together */
    size_t value_size; /* bytes of one */
    size_t bytes;      /* of all, with names and YO_VALUE_SIZE for each; waiters too */
    size_t line;       /* waiting for one lock */
};

/* What a value or a lock takes beside its bytes and its name, and one in line. */
#define YO_VALUE_SIZE sizeof(struct yo_value)
#define YO_WAIT_SIZE sizeof(struct yo_lock_wait)

struct yo_values {
    const struct yomo_mem *mem;
    struct yo_values_bounds bounds;
    struct yo_map by_key;
    struct yo_link values; /* the one that was changed last, last */
    struct yo_link locks;
    struct yo_heap until; /* of locks */
    size_t count, lock_count, bytes;
};

void yo_values_init(struct yo_values *values, const struct yomo_mem *mem,
                    const struct yo_values_bounds *bounds);
void yo_values_finish(struct yo_values *values); /* accepts zeroed memory */

struct yo_span yo_value_key(const struct yo_value *value);
struct yo_value *yo_values_get(const struct yo_values *values, struct yo_span key);
struct yo_value *yo_values_get_lock(const struct yo_values *values, struct yo_span key);

/* A change that somebody asks for. */
struct yo_value_wish {
    struct yo_span key;
    struct yo_blob *data; /* NULL: take it away; a reference is taken */
    bool
        conditional; /* only if its version is `expected`, 0: only if it is not there */
    uint64_t expected;
    uint64_t session;
    struct yo_blob *who; /* a reference is taken */
};

/* It gets `version`. YOMO_ERR_CONFLICT: it has another version than expected, which is
 * `*current` (0: it is not there); YOMO_ERR_NOT_FOUND: there was nothing to take away;
 * YOMO_ERR_INVALID (the name), YOMO_ERR_TOO_BIG, YOMO_ERR_FULL, YOMO_ERR_NOMEM. After
 * an error all is as it was. */
int yo_values_set(struct yo_values *values, const struct yo_value_wish *wish,
                  uint64_t version, uint64_t *current);

/* What comes of asking for a lock. */
enum yo_lock_outcome {
    YO_LOCK_TAKEN,   /* it has it, from now on */
    YO_LOCK_RENEWED, /* it has had it, and the lease begins anew */
    YO_LOCK_WAITS    /* it is in line */
};

struct yo_lock_wish {
    struct yo_span key;
    uint64_t session;
    struct yo_blob *who; /* a reference is taken */
    yo_time lease;       /* > 0 */
    bool wait;
};

/* `*version`: that of the lock, if one has it. One that is in line already stays where
 * it is. YOMO_ERR_CONFLICT: somebody else has it, and it is not to wait;
 * YOMO_ERR_INVALID, YOMO_ERR_FULL, YOMO_ERR_NOMEM. After an error all is as it was. */
int yo_values_lock(struct yo_values *values, const struct yo_lock_wish *wish,
                   uint64_t place, yo_time now, enum yo_lock_outcome *outcome,
                   uint64_t *version);

/* The lock goes to the first in line, from `place` on, or is no more: false, and `lock`
 * is freed. Never fails. */
bool yo_values_pass(struct yo_values *values, struct yo_value *lock, uint64_t place,
                    yo_time now);

/* The session to which it would go; 0: to nobody. */
uint64_t yo_lock_next(const struct yo_value *lock);

/* One that waits for this lock does not any more; false: it did not. And all that it
 * waits for. */
bool yo_values_step_out(struct yo_values *values, struct yo_value *lock,
                        uint64_t session);
void yo_values_step_out_all(struct yo_values *values, uint64_t session);

/* A lock that `session` holds; one whose lease is over. NULL: there is none. */
struct yo_value *yo_values_held_by(const struct yo_values *values, uint64_t session);
struct yo_value *yo_values_expired(const struct yo_values *values, yo_time now);

/* When the next lease is over; YO_NEVER. */
yo_time yo_values_deadline(const struct yo_values *values);

/* Asserts the invariants named in values.c. */
void yo_values_check(const struct yo_values *values);

#endif
