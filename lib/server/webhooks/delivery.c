/* SPDX-License-Identifier: MIT */
/* delivery.c - invariants:
 *  1. `count` is the length of `events` and at most limits.queue;
 *  2. every event that was put is in `events`, in the open batch, or counted as
 *     delivered, failed or dropped;
 *  3. what was counted as failed or dropped is in `lost`, in the `lost` of the open
 *     batch, or was told in one that was taken. */
#include "server/webhooks/delivery.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"

struct event {
    struct yo_link link;
    yo_time at;
    size_t size;
    char json[];
};

void yo_delivery_init(struct yo_delivery *delivery, const struct yomo_mem *mem,
                      const struct yo_delivery_limits *limits, uint64_t seed)
{
    *delivery = (struct yo_delivery){.mem = mem, .limits = *limits};
    yo_rand_seed(&delivery->rand, seed);
    yo_list_init(&delivery->events);
    yo_buf_init(&delivery->body, mem);
}

static struct event *first(const struct yo_delivery *delivery)
{
    return delivery->count > 0 ? YO_CONTAINER(delivery->events.next, struct event, link)
                               : NULL;
}

static void take_out(struct yo_delivery *delivery, struct event *event)
{
    yo_list_remove(&event->link);
    delivery->count--;
    yo_free(delivery->mem, event);
}

void yo_delivery_finish(struct yo_delivery *delivery)
{
    if (!delivery->mem) {
        return;
    }
    while (delivery->count > 0) {
        take_out(delivery, first(delivery));
    }
    yo_buf_finish(&delivery->body);
}

static void count_waiting(struct yo_delivery *delivery)
{
    delivery->numbers.waiting =
        delivery->count + (delivery->open ? delivery->events_in : 0);
}

void yo_delivery_lose(struct yo_delivery *delivery)
{
    delivery->numbers.dropped++;
    delivery->lost++;
}

void yo_delivery_renew(struct yo_delivery *delivery,
                       const struct yo_delivery_limits *limits)
{
    delivery->limits = *limits;
    delivery->not_before = 0;
    delivery->failures = 0;
    while (delivery->count > limits->queue) {
        take_out(delivery, first(delivery));
        yo_delivery_lose(delivery);
    }
    count_waiting(delivery);
}

void yo_delivery_put(struct yo_delivery *delivery, struct yo_span json, yo_time now)
{
    struct event *event = yo_malloc(delivery->mem, sizeof(*event) + json.size);

    if (!event) {
        yo_delivery_lose(delivery);
        return;
    }
    event->at = now;
    event->size = json.size;
    memcpy(event->json, json.data, json.size);
    if (delivery->count == delivery->limits.queue) {
        take_out(delivery, first(delivery));
        yo_delivery_lose(delivery);
    }
    yo_list_init(&event->link);
    yo_list_push_back(&delivery->events, &event->link);
    delivery->count++;
    count_waiting(delivery);
}

yo_time yo_delivery_deadline(const struct yo_delivery *delivery)
{
    const struct event *oldest = first(delivery);
    yo_time due = 0;

    if (!delivery->open && !oldest) {
        return YO_NEVER;
    }
    if (!delivery->open && !delivery->flushing &&
        delivery->count < delivery->limits.batch) {
        due = yo_time_after(oldest->at, delivery->limits.gather);
    }
    return due > delivery->not_before ? due : delivery->not_before;
}

/* --- a batch --------------------------------------------------------------------- */

static void name(struct yo_delivery *delivery)
{
    uint8_t bytes[16];

    yo_rand_bytes(bytes, sizeof(bytes)); /* unlike any other server's */
    memcpy(delivery->id, "msg_", 4);
    yo_hex_encode(delivery->id + 4, yo_span(bytes, sizeof(bytes)));
}

/* How many events go into the next batch. */
static size_t fits(const struct yo_delivery *delivery)
{
    size_t count = 0, bytes = 0;

    for (struct yo_link *link = delivery->events.next;
         link != &delivery->events && count < delivery->limits.batch;
         link = link->next) {
        bytes += YO_CONTAINER(link, struct event, link)->size + 1;
        if (count > 0 && bytes > YO_DELIVERY_BODY_MAX) {
            break;
        }
        count++;
    }
    return count;
}

static int write_body(struct yo_delivery *delivery, size_t count, uint64_t wall_ms)
{
    struct yo_buf *body = &delivery->body;
    struct yo_link *link = delivery->events.next;

    yo_buf_clear(body);
    (void)yo_buf_printf(body,
                        "{\"id\":\"%s\",\"sent_at\":%" PRIu64 ",\"lost\":%" PRIu64
                        ",\"events\":[",
                        delivery->id, wall_ms, delivery->lost);
    for (size_t i = 0; i < count; i++, link = link->next) {
        const struct event *event = YO_CONTAINER(link, struct event, link);
        if (i > 0) {
            (void)yo_buf_append_byte(body, ',');
        }
        (void)yo_buf_append(body, event->json, event->size);
    }
    (void)yo_buf_append_text(body, "]}");
    return body->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

int yo_delivery_begin(struct yo_delivery *delivery, uint64_t wall_ms, yo_time now)
{
    if (!delivery->open) {
        size_t count = fits(delivery);
        assert(count > 0);
        name(delivery);
        if (write_body(delivery, count, wall_ms) != YOMO_OK) {
            delivery->not_before = yo_time_after(now, YO_DELIVERY_WAIT_MIN);
            return YOMO_ERR_NOMEM;
        }
        delivery->open = true;
        delivery->events_in = count;
        delivery->lost_in = delivery->lost;
        delivery->lost = 0;
        delivery->attempts = 0;
        delivery->began = now;
        delivery->made = first(delivery)->at;
        for (size_t i = 0; i < count; i++) {
            take_out(delivery, first(delivery));
        }
    }
    if (delivery->attempts++ > 0) {
        delivery->numbers.retries++;
    }
    return YOMO_OK;
}

/* Full jitter above a floor: anything between one second and 2^n of them, at most five
 * minutes. */
static yo_time next_wait(struct yo_delivery *delivery)
{
    uint64_t most = YO_DELIVERY_WAIT_MIN
                    << (delivery->failures < 9 ? delivery->failures : 9);

    if (most > YO_DELIVERY_WAIT_MAX) {
        most = YO_DELIVERY_WAIT_MAX;
    }
    return YO_DELIVERY_WAIT_MIN +
           yo_rand_below(&delivery->rand, most - YO_DELIVERY_WAIT_MIN + 1);
}

static void shut(struct yo_delivery *delivery)
{
    delivery->open = false;
    yo_buf_clear(&delivery->body);
    yo_buf_shrink(&delivery->body, 64 * 1024);
}

static void give_up(struct yo_delivery *delivery)
{
    delivery->numbers.failed += delivery->events_in;
    delivery->lost += delivery->lost_in + delivery->events_in;
    shut(delivery);
}

bool yo_delivery_done(struct yo_delivery *delivery, enum yo_delivery_outcome outcome,
                      yo_time asked, yo_time now)
{
    yo_time until = yo_time_after(delivery->began, delivery->limits.retry_for);
    yo_time wait;

    assert(delivery->open);
    if (outcome == YO_DELIVERY_TAKEN) {
        delivery->numbers.delivered += delivery->events_in;
        delivery->failures = 0;
        delivery->not_before = 0;
        shut(delivery);
        count_waiting(delivery);
        return true;
    }
    delivery->failures++;
    wait = next_wait(delivery);
    if (asked > wait) {
        wait = asked < YO_DELIVERY_WAIT_MAX ? asked : YO_DELIVERY_WAIT_MAX;
    }
    delivery->not_before = yo_time_after(now, wait);
    if (outcome == YO_DELIVERY_REFUSED || now >= until) {
        give_up(delivery);
    } else if (delivery->not_before > until) {
        delivery->not_before = until; /* once more, at the last moment */
    }
    count_waiting(delivery);
    return !delivery->open;
}

void yo_delivery_flush(struct yo_delivery *delivery)
{
    if (!delivery->flushing) {
        delivery->flushing = true;
        delivery->not_before = 0; /* one more chance at once; then as always */
    }
}
