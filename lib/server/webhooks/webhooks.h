/* SPDX-License-Identifier: MIT */
/* webhooks.h - what happens in rooms, told to an HTTP endpoint from a thread of its
 * own.
 *
 * Whoever tells writes an event into a bounded queue and goes on; the thread makes
 * batches and sends one at a time. An endpoint that hangs costs the queue and nothing
 * else. */
#ifndef YO_WEBHOOKS_WEBHOOKS_H
#define YO_WEBHOOKS_WEBHOOKS_H

#include "base/log.h"
#include "loop/network.h"
#include "server/webhooks/delivery.h"
#include "server/webhooks/event.h"
#include "server/webhooks/sign.h"

#define YO_WEBHOOK_NETWORKS_MAX 64

struct yo_webhooks;

struct yo_webhooks_options {
    const char *url, *ca_file; /* NULL: the system's authorities */
    unsigned events;           /* 1 << enum yo_event_kind */
    struct yo_network networks[YO_WEBHOOK_NETWORKS_MAX]; /* allowed though not public */
    size_t network_count;
    struct yo_delivery_limits limits;
    yo_time timeout; /* of one attempt */
};

/* Fill in `options->networks` and check the URL against what it may be: https, or http
 * when some network is listed. YOMO_ERR_OPTION with a sentence in `why`. */
int yo_webhooks_check_url(const struct yo_webhooks_options *options,
                          struct yo_buf *why);

/* `secrets` and `options` are copied. `mem` and `log` must stay. The thread runs until
 * yo_webhooks_close. YOMO_ERR_OPTION, YOMO_ERR_FILE, YOMO_ERR_TLS_SETUP with a sentence
 * in `why`; YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_webhooks_create(struct yo_webhooks **out, const struct yomo_mem *mem,
                       const struct yo_log *log,
                       const struct yo_webhooks_options *options,
                       const struct yo_webhook_secrets *secrets, struct yo_buf *why);

/* Nobody tells anything any more: try to send what waits until the grace time of a
 * drain is over, at least for a second; then end. Accepts NULL. */
void yo_webhooks_close(struct yo_webhooks *hooks);

/* Thread, for all below: any. */

/* Never waits and never fails: what cannot be kept is counted as lost. */
void yo_webhooks_tell(struct yo_webhooks *hooks, const struct yo_event *event,
                      yo_time now);

/* From now on sign with these (copied). */
void yo_webhooks_set_secrets(struct yo_webhooks *hooks,
                             const struct yo_webhook_secrets *secrets);

/* Other options but `events`: first all that can fail, then, with the next attempt, the
 * change, which takes what was prepared. What waits goes to the new endpoint, also a
 * batch that the old one did not take. The same errors as yo_webhooks_create. */
struct yo_webhooks_change;
int yo_webhooks_prepare(struct yo_webhooks_change **out, struct yo_webhooks *hooks,
                        const struct yo_webhooks_options *options, struct yo_buf *why);
void yo_webhooks_change(struct yo_webhooks *hooks, struct yo_webhooks_change *change);
void yo_webhooks_forget(struct yo_webhooks_change *change); /* accepts NULL */

/* The server ends, and takes `grace_ms` for it from now on. */
void yo_webhooks_drain(struct yo_webhooks *hooks, uint64_t grace_ms);

/* Append Prometheus text. YOMO_ERR_NOMEM. */
int yo_webhooks_print(struct yo_webhooks *hooks, struct yo_buf *out);

#endif
