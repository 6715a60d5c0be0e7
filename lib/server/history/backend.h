/* SPDX-License-Identifier: MIT */
/* backend.h - what a store of histories must be able to do: the interface for stores.
 *
 * One thread calls it (store.c's), one call at a time; a call may take its time. What a
 * batch wrote counts once `commit` has returned YOMO_OK, and must then outlive the
 * process; whether it outlives the machine's power is the backend's to say. After an
 * error the batch is given up with `rollback`, and tried again later, so each write may
 * come twice.
 *
 * For each room a store has its order (an epoch, the last place that is known of) and its
 * newest messages. A room that is being used is "in use": found so when it is opened, its
 * last user has not closed it, and places may have been given that the store never
 * heard of. */
#ifndef YO_SERVER_HISTORY_BACKEND_H
#define YO_SERVER_HISTORY_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/span.h"

/* One message. */
struct yo_stored {
    uint64_t place, session, number, at_ms;
    uint32_t priority;
    bool first; /* of its order: a room that is not known yet has nothing missing */
    struct yo_blob *message; /* as the extension reads it */
};

/* What is known of one room. */
struct yo_stored_order {
    uint64_t epoch; /* 0: nothing is known of this room */
    uint64_t place; /* the last that is known */
    bool in_use;
    bool trimmed; /* of its messages the oldest are gone */
};

/* What a room keeps at most; 0: no bound. */
struct yo_store_bounds {
    uint64_t messages;
    uint64_t age_ms;
};

struct yo_backend;

struct yo_backend_ops {
    /* YOMO_OK, or an error with a sentence in `why`. All calls below do the same. */
    int (*begin)(struct yo_backend *backend, struct yo_buf *why);
    int (*commit)(struct yo_backend *backend, struct yo_buf *why);
    void (*rollback)(struct yo_backend *backend);

    /* Outside a batch: what is known of a room. */
    int (*find)(struct yo_backend *backend, struct yo_span room,
                struct yo_stored_order *order, struct yo_buf *why);

    /* In a batch: the room is in use from here on, if it is known at all, and places up to
     * `place` may be given. */
    int (*use)(struct yo_backend *backend, struct yo_span room, uint64_t place,
               uint64_t now_ms, struct yo_buf *why);

    /* In a batch: one more message of the order `epoch`. The room becomes known, and is
     * in use. One that is there already is left as it is. */
    int (*keep)(struct yo_backend *backend, struct yo_span room, uint64_t epoch,
                const struct yo_stored *message, struct yo_buf *why);

    /* In a batch: everything up to `place` is gone. */
    int (*forget)(struct yo_backend *backend, struct yo_span room, uint64_t place,
                  struct yo_buf *why);

    /* In a batch: nobody uses it any more, and this was the last place. */
    int (*rest)(struct yo_backend *backend, struct yo_span room, uint64_t place,
                uint64_t now_ms, struct yo_buf *why);

    /* Outside a batch, whatever their age: messages before `before` (0: all), the newest first, until `take`
     * has enough and says false. The message is lent. */
    int (*read)(struct yo_backend *backend, struct yo_span room, uint64_t before,
                bool (*take)(void *user, const struct yo_stored *message,
                             struct yo_span bytes),
                void *user, struct yo_buf *why);

    /* Outside a batch, now and then: let go of some of what is past the bounds. */
    int (*tidy)(struct yo_backend *backend, uint64_t now_ms, struct yo_buf *why);

    void (*close)(struct yo_backend *backend);
};

struct yo_backend {
    const struct yo_backend_ops *ops;
};

/* SQLite: a file, made when it is missing. It is opened with the first call, and again
 * after an error. YOMO_ERR_NOMEM. NULL without SQLite (yo_sqlite_there). */
int yo_sqlite_create(struct yo_backend **out, const struct yomo_mem *mem,
                     const char *path, const struct yo_store_bounds *bounds);
bool yo_sqlite_there(void);

#endif
