/* SPDX-License-Identifier: MIT */
/* store.h - histories beyond memory: orders for a thread of their own.
 *
 * A home never waits for a store. It writes orders, which are carried out in their
 * turn by one thread, as many as there are in one batch; what asks for something comes
 * back as a letter. The queue has a bound: past it a message is not stored, and its home
 * remembers the hole.
 *
 * A store that fails (full, read-only, locked, broken) is tried again each second. The
 * orders wait meanwhile; questions are answered with the error. One line in the log says
 * that it fails, one that it works again. */
#ifndef YO_SERVER_HISTORY_STORE_H
#define YO_SERVER_HISTORY_STORE_H

#include <stdatomic.h>

#include "base/log.h"
#include "loop/mailbox.h"
#include "server/history/backend.h"

/* Where a room goes on whose last user did not close it: further than any number of
 * places that may have been given without the store's knowledge. */
#define YO_STORE_JUMP (UINT64_C(1) << 32)

#define YO_STORE_QUEUE_SIZE ((size_t)16 << 20) /* bytes of orders that wait */

enum yo_order_kind {
    YO_ORDER_OPEN, /* what is known of the room, which is in use from now on */
    YO_ORDER_READ, /* messages before `before` */
    YO_ORDER_KEEP,
    YO_ORDER_REST
};

struct yo_order_of_store {
    struct yo_letter letter; /* OPEN and READ: the answer; `open` and `discard` are the
                                home's, which frees it */
    struct yo_mailbox *box;  /* where it goes to, referenced */
    enum yo_order_kind kind;
    struct yo_blob *room; /* its key */
    void *user;           /* the home's ... */
    uint64_t ticket;      /* ... and this */

    uint64_t hole;    /* KEEP, REST: up to here is gone; 0: nothing */
    uint64_t place;   /* REST: the last one */
    bool reopened;    /* REST, store.c: the room is in use again already */
    uint64_t epoch;   /* KEEP: of the order */
    struct yo_stored message; /* KEEP */
    uint64_t before;          /* READ */
    size_t max, bytes_max;    /* OPEN, READ: messages and their bytes, at most */

    /* The answer. */
    uint64_t now_ms; /* the date, as the store has it (settled.h) */
    int error;     /* OPEN: with an order none the less when it could only be read */
    struct yo_stored_order order; /* OPEN: `place` is the last one that may have been
                                     given, `known` the last one that is known of */
    uint64_t known;
    struct yo_stored *list;       /* [count]: the oldest first */
    size_t count;
    bool more; /* there are older ones */
};

struct yo_store; /* opaque: store.c */

/* Takes `backend`, also on failure. The thread runs until yo_store_close.
 * YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_store_create(struct yo_store **out, const struct yomo_mem *mem,
                    const struct yo_log *log, struct yo_backend *backend);

/* Carry out what waits, within `grace_ms` if the store fails, and end. Accepts NULL. */
void yo_store_close(struct yo_store *store, uint64_t grace_ms);

/* A zeroed order for `room`. NULL: no memory. */
struct yo_order_of_store *yo_order_create(const struct yomo_mem *mem,
                                          enum yo_order_kind kind,
                                          struct yo_blob *room);
void yo_order_free(struct yo_order_of_store *order); /* accepts NULL */

/* Give the order away. False: the queue is full (KEEP only), and it is still the
 * caller's. Thread: any. */
bool yo_store_put(struct yo_store *store, struct yo_order_of_store *order);

struct yo_store_numbers {
    uint64_t stored, errors, waiting_bytes;
    bool failing;
};
/* Thread: any. */
void yo_store_numbers(struct yo_store *store, struct yo_store_numbers *out);

/* What `history-store` says: "memory" (no store: `*backend` is NULL), "sqlite:PATH".
 * YOMO_ERR_OPTION with a sentence in `why`, YOMO_ERR_NOMEM. */
int yo_backend_create(struct yo_backend **backend, const struct yomo_mem *mem,
                      const char *text, const struct yo_store_bounds *bounds,
                      struct yo_buf *why);

#endif
