/* SPDX-License-Identifier: MIT */
/* delivery.h - events become batches, and a batch is tried until it is taken or given
 * up.
 *
 * One batch is under way at a time, so batches arrive in the order of their events. Its
 * body stays the same over all attempts. Events wait in a queue with a bound: the
 * oldest give way, and the next batch says how many were lost. Pure: time comes in. */
#ifndef YO_WEBHOOKS_DELIVERY_H
#define YO_WEBHOOKS_DELIVERY_H

#include "base/buf.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/time.h"

#define YO_DELIVERY_BODY_MAX                                \
    ((size_t)1 << 20) /* bytes; one event may be more alone \
                       */
#define YO_DELIVERY_WAIT_MIN YO_SECOND
#define YO_DELIVERY_WAIT_MAX (300 * YO_SECOND)
#define YO_DELIVERY_ID_SIZE 37 /* "msg_" and 32 digits, with a NUL */

struct yo_delivery_limits {
    size_t queue;      /* events that may wait, at least 1 */
    size_t batch;      /* events in one batch, at least 1 */
    yo_time gather;    /* a batch that is not full waits so long for more */
    yo_time retry_for; /* from the first attempt until a batch is given up */
};

struct yo_delivery_numbers { /* of events but for `retries`; only grow but `waiting` */
    uint64_t delivered, failed /* in batches that were given up */,
        dropped /* from the queue, or for want of memory */, retries, waiting;
};

struct yo_delivery {
    const struct yomo_mem *mem;
    struct yo_delivery_limits limits;
    struct yo_rand rand;
    struct yo_link events; /* that wait, the oldest first */
    size_t count;
    bool flushing; /* the end is near: nothing is gathered */
    uint64_t lost; /* not told of yet */
    struct yo_delivery_numbers numbers;
    unsigned failures;  /* in a row */
    yo_time not_before; /* of the next attempt */
    /* The batch under way. */
    bool open;
    struct yo_buf body;
    char id[YO_DELIVERY_ID_SIZE];
    size_t events_in, attempts;
    uint64_t lost_in;
    yo_time began, made; /* its first attempt; its oldest event came */
};

void yo_delivery_init(struct yo_delivery *delivery, const struct yomo_mem *mem,
                      const struct yo_delivery_limits *limits, uint64_t seed);
void yo_delivery_finish(struct yo_delivery *delivery); /* accepts zeroed memory */

/* Other limits from now on, and perhaps another place: what waits is tried at once.
 * What a shorter queue has no room for gives way, the oldest first. */
void yo_delivery_renew(struct yo_delivery *delivery,
                       const struct yo_delivery_limits *limits);

/* One more event, a JSON object (copied). When there are too many, the oldest gives
 * way; without memory this one. */
void yo_delivery_put(struct yo_delivery *delivery, struct yo_span json, yo_time now);

/* One is lost that could not even be written. */
void yo_delivery_lose(struct yo_delivery *delivery);

/* When yo_delivery_begin has something to do; YO_NEVER: nothing waits. */
yo_time yo_delivery_deadline(const struct yo_delivery *delivery);

/* Make what is due ready: `id` and `body` are then what to send, and stay so until
 * yo_delivery_done. YOMO_ERR_NOMEM: nothing was lost, and it is tried again in a
 * second. Not while an attempt is under way. */
int yo_delivery_begin(struct yo_delivery *delivery, uint64_t wall_ms, yo_time now);

enum yo_delivery_outcome {
    YO_DELIVERY_TAKEN,
    YO_DELIVERY_AGAIN,  /* it failed, and may work later */
    YO_DELIVERY_REFUSED /* it will never be taken */
};

/* How the attempt ended. `asked` is how long the other side asks to wait, or 0. Returns
 * whether the batch is over, one way or the other. */
bool yo_delivery_done(struct yo_delivery *delivery, enum yo_delivery_outcome outcome,
                      yo_time asked, yo_time now);

/* From now on nothing waits for company or for another attempt: the end is near. */
void yo_delivery_flush(struct yo_delivery *delivery);

#endif
