/* SPDX-License-Identifier: MIT */
/* webhooks.c
 *
 * The happy path: an event is written as JSON into the queue, under a lock that is held
 * for a moment only; the thread is woken, waits until a batch is due, signs and sends
 * it, and the answer says what becomes of it.
 *
 * Possible failures are the endpoint's, and time's: delivery.c tries again and gives
 * up. The log has a line when it begins to fail, one for a batch that is given up (not
 * more than one a second) and one when it works again.
 *
 * Invariants:
 *  1. everything below `lock` is touched with the lock held, but for the batch under
 * way, which only the thread opens and shuts;
 *  2. the letter is posted at most once at a time (`posted`). */
#include "server/webhooks/webhooks.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/check.h"
#include "base/text.h"
#include "base/url.h"
#include "loop/mailbox.h"
#include "server/webhooks/post.h"

#define GRACE_MIN YO_SECOND /* at the end, whatever a drain has left */
#define BUCKETS 8

static const unsigned bucket_ms[BUCKETS] = {100,   500,   1000,   2500,
                                            10000, 60000, 600000, 3600000};

/* Where to, and how: what there is of it, or will be. */
struct yo_webhooks_change {
    const struct yomo_mem *mem;
    struct yo_webhooks_options options; /* its texts are the caller's */
    char *host;                         /* for lines of the log */
    char *post_host, *target;           /* for the post, which takes them */
    uint16_t port;
    struct yo_tls_client *tls; /* NULL: plain */
};

struct yo_webhooks {
    const struct yomo_mem *mem;
    const struct yo_log *log;
    unsigned events;                 /* 1 << enum yo_event_kind; always the same */
    struct yo_webhooks_change *uses; /* the thread's, once it runs */

    struct yo_loop *loop;
    struct yo_mailbox *box;
    struct yo_timer timer;
    struct yo_post *post;
    struct yo_buf fields;
    pthread_t thread;
    bool sending, failing, over;
    yo_time drain_until, until; /* 0: not asked for */
    struct yo_log_pace pace;

    pthread_mutex_t lock;
    struct yo_letter letter;
    bool posted, draining, closing;
    uint64_t grace_ms; /* of the drain */
    struct yo_delivery delivery;
    struct yo_webhook_secrets secrets;
    struct yo_webhooks_change *next; /* what takes the place of `uses`; NULL: nothing */
    bool failed_last;                          /* for the numbers */
    uint64_t latency[BUCKETS + 1], latency_us; /* of events, from telling to taking */
};

/* --- waking the thread ----------------------------------------------------------- */

static void look(struct yo_webhooks *hooks, yo_time now);

static void open_letter(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_webhooks *hooks = box_user;
    bool draining, closing;
    uint64_t grace_ms;

    (void)letter;
    pthread_mutex_lock(&hooks->lock);
    hooks->posted = false;
    draining = hooks->draining;
    closing = hooks->closing;
    grace_ms = hooks->grace_ms;
    pthread_mutex_unlock(&hooks->lock);
    if (draining && hooks->drain_until == 0) {
        hooks->drain_until = yo_time_after(now, grace_ms * YO_MS);
    }
    if (closing && hooks->until == 0) {
        yo_time least = yo_time_after(now, GRACE_MIN);
        hooks->until = hooks->drain_until > least ? hooks->drain_until : least;
    }
    look(hooks, now);
}

static void discard_letter(struct yo_letter *letter)
{
    (void)letter; /* it is part of the hooks */
}

/* With the lock held. */
static bool must_post(struct yo_webhooks *hooks)
{
    bool must = !hooks->posted;

    hooks->posted = true;
    return must;
}

static void wake(struct yo_webhooks *hooks, bool must)
{
    if (must) {
        yo_list_init(&hooks->letter.link);
        yo_mailbox_post(hooks->box, &hooks->letter);
    }
}

void yo_webhooks_tell(struct yo_webhooks *hooks, const struct yo_event *event,
                      yo_time now)
{
    struct yo_buf json;
    bool must;
    int rv;

    if (!(hooks->events & 1u << event->kind)) {
        return;
    }
    yo_buf_init(&json, hooks->mem);
    rv = yo_event_write(&json, event);
    pthread_mutex_lock(&hooks->lock);
    if (rv == YOMO_OK) {
        yo_delivery_put(&hooks->delivery, yo_buf_span(&json), now);
    } else {
        yo_delivery_lose(&hooks->delivery);
    }
    must = must_post(hooks);
    pthread_mutex_unlock(&hooks->lock);
    wake(hooks, must);
    yo_buf_finish(&json);
}

void yo_webhooks_set_secrets(struct yo_webhooks *hooks,
                             const struct yo_webhook_secrets *secrets)
{
    pthread_mutex_lock(&hooks->lock);
    hooks->secrets = *secrets;
    pthread_mutex_unlock(&hooks->lock);
}

void yo_webhooks_drain(struct yo_webhooks *hooks, uint64_t grace_ms)
{
    bool must;

    pthread_mutex_lock(&hooks->lock);
    hooks->draining = true;
    hooks->grace_ms = grace_ms;
    must = must_post(hooks);
    pthread_mutex_unlock(&hooks->lock);
    wake(hooks, must);
}

/* --- the thread ------------------------------------------------------------------ */

static void finish(struct yo_webhooks *hooks)
{
    uint64_t left;

    if (hooks->over) {
        return;
    }
    hooks->over = true;
    pthread_mutex_lock(&hooks->lock);
    left = hooks->delivery.numbers.waiting;
    pthread_mutex_unlock(&hooks->lock);
    if (left > 0) {
        YO_LOG_WITH(hooks->log, YOMO_LOG_WARN, "webhooks",
                    yo_log_number(YO_LOG_NONE, "events", left),
                    "%" PRIu64 " events were not delivered before the end", left);
    }
    yo_post_close(hooks->post);
    hooks->post = NULL;
    yo_timer_stop(&hooks->timer);
    yo_loop_release_timer(hooks->loop);
    yo_mailbox_close(hooks->box);
    yo_loop_close(hooks->loop, NULL, NULL);
}

/* With the lock held. YOMO_ERR_NOMEM. */
static int write_fields(struct yo_webhooks *hooks, uint64_t seconds)
{
    const struct yo_delivery *delivery = &hooks->delivery;
    struct yo_buf *out = &hooks->fields;

    yo_buf_clear(out);
    (void)yo_buf_printf(
        out, "webhook-id: %s\r\nwebhook-timestamp: %" PRIu64 "\r\nwebhook-signature: ",
        delivery->id, seconds);
    (void)yo_webhook_sign(out, &hooks->secrets, yo_span_of(delivery->id), seconds,
                          yo_buf_span(&delivery->body));
    (void)yo_buf_append_text(out, "\r\n");
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

static void settle(struct yo_webhooks *hooks, const struct yo_posted *posted,
                   yo_time now);

static void send_batch(struct yo_webhooks *hooks, yo_time now)
{
    uint64_t wall_ms = yo_wall_ms();
    int rv;

    pthread_mutex_lock(&hooks->lock);
    rv = yo_delivery_begin(&hooks->delivery, wall_ms, now);
    if (rv != YOMO_OK) { /* it says itself when to try again */
        pthread_mutex_unlock(&hooks->lock);
        return;
    }
    rv = write_fields(hooks, wall_ms / 1000);
    pthread_mutex_unlock(&hooks->lock);
    hooks->sending = true;
    rv = rv == YOMO_OK ? yo_post_send(hooks->post, yo_buf_span(&hooks->fields),
                                      yo_buf_span(&hooks->delivery.body), now)
                       : rv;
    if (rv != YOMO_OK) {
        settle(hooks, &(struct yo_posted){.error = rv}, now);
    }
}

static struct yo_post_options post_options(const struct yo_webhooks_change *uses)
{
    return (struct yo_post_options){
        .host = uses->post_host,
        .port = uses->port,
        .target = uses->target,
        .tls = uses->tls,
        .listed = {uses->options.networks, uses->options.network_count},
        .timeout = uses->options.timeout};
}

/* Between two attempts, so that each goes to one place. */
static void take_change(struct yo_webhooks *hooks)
{
    struct yo_webhooks_change *next, *old = hooks->uses;
    struct yo_post_options options;

    pthread_mutex_lock(&hooks->lock);
    next = hooks->next;
    hooks->next = NULL;
    if (next) {
        yo_delivery_renew(&hooks->delivery, &next->options.limits);
    }
    pthread_mutex_unlock(&hooks->lock);
    if (!next) {
        return;
    }
    options = post_options(next);
    yo_post_aim(hooks->post, &options, next->post_host, next->target);
    next->post_host = next->target = NULL;
    hooks->uses = next;
    hooks->failing = false;
    yo_webhooks_forget(old);
}

static void look(struct yo_webhooks *hooks, yo_time now)
{
    yo_time due;
    bool waits;

    if (hooks->over) {
        return;
    }
    if (!hooks->sending) {
        take_change(hooks);
    }
    pthread_mutex_lock(&hooks->lock);
    if (hooks->until != 0) {
        yo_delivery_flush(&hooks->delivery);
    }
    due = yo_delivery_deadline(&hooks->delivery);
    waits = due != YO_NEVER;
    pthread_mutex_unlock(&hooks->lock);
    if (hooks->until != 0 && (now >= hooks->until || (!waits && !hooks->sending))) {
        finish(hooks);
        return;
    }
    if (!hooks->sending && due <= now) {
        send_batch(hooks, now);
        pthread_mutex_lock(&hooks->lock);
        due = yo_delivery_deadline(&hooks->delivery);
        pthread_mutex_unlock(&hooks->lock);
    }
    if (hooks->sending) {
        due = YO_NEVER; /* the answer, or its lack, comes first */
    }
    if (hooks->until != 0) {
        due = yo_time_min(due, hooks->until);
    }
    (void)yo_timer_set(&hooks->timer, due); /* its room was reserved */
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    look(YO_CONTAINER(timer, struct yo_webhooks, timer), now);
}

static enum yo_delivery_outcome outcome_of(const struct yo_posted *posted)
{
    int status = posted->status;

    if (posted->error != YOMO_OK) {
        return YO_DELIVERY_AGAIN;
    }
    if (status >= 200 && status < 300) {
        return YO_DELIVERY_TAKEN;
    }
    return status >= 400 && status < 500 && status != 408 && status != 425 &&
                   status != 429
               ? YO_DELIVERY_REFUSED
               : YO_DELIVERY_AGAIN;
}

static void describe(const struct yo_posted *posted, char *out, size_t size)
{
    if (posted->error == YOMO_OK) {
        (void)snprintf(out, size, "it answers %d%s", posted->status,
                       posted->status / 100 == 3 ? ", and no redirect is followed"
                                                 : "");
    } else {
        (void)snprintf(out, size, "%s%s%.*s", yomo_strerror(posted->error),
                       posted->text.size > 0 ? ": " : "", (int)posted->text.size,
                       posted->text.size > 0 ? (const char *)posted->text.data : "");
    }
}

static struct yo_log_fields *log_posted(struct yo_log_fields *fields,
                                        const struct yo_webhooks *hooks,
                                        const struct yo_posted *posted, size_t events)
{
    (void)yo_log_text(fields, "endpoint", yo_span_of(hooks->uses->host));
    (void)yo_log_number(fields, "events", events);
    if (posted->error == YOMO_OK) {
        (void)yo_log_number(fields, "status", (uint64_t)posted->status);
    }
    return yo_log_error(fields, posted->error);
}

static void say(struct yo_webhooks *hooks, const struct yo_posted *posted,
                bool given_up, size_t events, yo_time now)
{
    char why[300];
    uint32_t left_out;

    describe(posted, why, sizeof(why));
    if (given_up) {
        if (yo_log_may(&hooks->pace, &left_out, now)) {
            YO_LOG_WITH(hooks->log, YOMO_LOG_WARN, "webhooks",
                        log_posted(YO_LOG_NONE, hooks, posted, events),
                        "%zu events for %s are given up: %s (%u lines left out)",
                        events, hooks->uses->host, why, left_out);
        }
    } else if (!hooks->failing) {
        YO_LOG_WITH(hooks->log, YOMO_LOG_WARN, "webhooks",
                    log_posted(YO_LOG_NONE, hooks, posted, events),
                    "events for %s wait, it is tried again: %s", hooks->uses->host,
                    why);
    }
}

/* With the lock held. */
static void count_latency(struct yo_webhooks *hooks, size_t events, yo_time time)
{
    size_t i = 0;

    while (i < BUCKETS && time > bucket_ms[i] * YO_MS) {
        i++;
    }
    hooks->latency[i] += events;
    hooks->latency_us += events * (time / YO_US);
}

static void settle(struct yo_webhooks *hooks, const struct yo_posted *posted,
                   yo_time now)
{
    enum yo_delivery_outcome outcome = outcome_of(posted);
    size_t events = hooks->delivery.events_in;
    bool over;

    hooks->sending = false;
    pthread_mutex_lock(&hooks->lock);
    if (outcome == YO_DELIVERY_TAKEN) {
        count_latency(hooks, events,
                      now > hooks->delivery.made ? now - hooks->delivery.made : 0);
    }
    over = yo_delivery_done(&hooks->delivery, outcome, posted->retry_after, now);
    hooks->failed_last = outcome != YO_DELIVERY_TAKEN;
    pthread_mutex_unlock(&hooks->lock);
    if (outcome != YO_DELIVERY_TAKEN) {
        say(hooks, posted, over, events, now);
    } else if (hooks->failing) {
        YO_LOG_WITH(hooks->log, YOMO_LOG_WARN, "webhooks",
                    log_posted(YO_LOG_NONE, hooks, posted, events),
                    "events for %s are taken again", hooks->uses->host);
    }
    hooks->failing = outcome != YO_DELIVERY_TAKEN;
}

static void on_posted(void *user, const struct yo_posted *posted, yo_time now)
{
    settle(user, posted, now);
    look(user, now);
}

static void *run_thread(void *argument)
{
    struct yo_webhooks *hooks = argument;

    yo_loop_run(hooks->loop);
    return NULL;
}

/* --- life ------------------------------------------------------------------------ */

/* Into the parts of the URL. `why` is told only what is wrong. */
static int take_url(const struct yo_webhooks_options *options, struct yo_url *url,
                    bool *tls, struct yo_buf *why)
{
    if (yo_url_parse(url, yo_span_of(options->url)) != YOMO_OK || url->host.size == 0 ||
        url->host.size > 253) {
        (void)yo_buf_append_text(
            why, "webhook-url: takes a URL, such as https://example.com/hook");
        return YOMO_ERR_OPTION;
    }
    *tls = yo_span_equal_nocase(url->scheme, yo_span_of("https"));
    if (!*tls && !yo_span_equal_nocase(url->scheme, yo_span_of("http"))) {
        (void)yo_buf_append_text(why, "webhook-url: https, or http to addresses that "
                                      "webhook-allow lists");
        return YOMO_ERR_OPTION;
    }
    if (!*tls && options->network_count == 0) {
        (void)yo_buf_append_text(why, "webhook-url: http is for addresses that "
                                      "webhook-allow lists; set it too, or use https");
        return YOMO_ERR_OPTION;
    }
    return YOMO_OK;
}

int yo_webhooks_check_url(const struct yo_webhooks_options *options, struct yo_buf *why)
{
    struct yo_url url;
    bool tls;

    return take_url(options, &url, &tls, why);
}

static int read_url(struct yo_webhooks_change *change, bool *tls, struct yo_buf *why)
{
    struct yo_url url;
    struct yo_buf target;
    int rv = take_url(&change->options, &url, tls, why);

    if (rv != YOMO_OK) {
        return rv;
    }
    change->port = url.port ? url.port : *tls ? 443 : 80;
    change->host = yo_strndup(change->mem, url.host.data, url.host.size);
    change->post_host = yo_strndup(change->mem, url.host.data, url.host.size);
    yo_buf_init(&target, change->mem);
    (void)yo_buf_append_span(&target, url.path.size > 0 ? url.path : yo_span_of("/"));
    if (url.query.data) {
        (void)yo_buf_append_byte(&target, '?');
        (void)yo_buf_append_span(&target, url.query);
    }
    change->target =
        target.failed ? NULL : yo_strndup(change->mem, target.data, target.size);
    yo_buf_finish(&target);
    return change->host && change->post_host && change->target ? YOMO_OK
                                                               : YOMO_ERR_NOMEM;
}

void yo_webhooks_forget(struct yo_webhooks_change *change)
{
    if (change) {
        yo_tls_client_unref(change->tls);
        yo_free(change->mem, change->host);
        yo_free(change->mem, change->post_host);
        yo_free(change->mem, change->target);
        yo_free(change->mem, change);
    }
}

static int make_change(struct yo_webhooks_change **out, const struct yomo_mem *mem,
                       const struct yo_webhooks_options *options, struct yo_buf *why)
{
    const struct yo_tls_client_options trust = {.ca_file = options->ca_file};
    struct yo_webhooks_change *change = yo_calloc(mem, 1, sizeof(*change));
    bool tls = true;
    int rv;

    if (!change) {
        return YOMO_ERR_NOMEM;
    }
    change->mem = mem;
    change->options = *options;
    rv = read_url(change, &tls, why);
    if (rv == YOMO_OK && tls) {
        rv = yo_tls_client_create(&change->tls, mem, &trust, why);
    }
    change->options.url = change->options.ca_file = NULL; /* the caller's */
    if (rv != YOMO_OK) {
        yo_webhooks_forget(change);
        return rv;
    }
    *out = change;
    return YOMO_OK;
}

int yo_webhooks_prepare(struct yo_webhooks_change **out, struct yo_webhooks *hooks,
                        const struct yo_webhooks_options *options, struct yo_buf *why)
{
    return make_change(out, hooks->mem, options, why);
}

void yo_webhooks_change(struct yo_webhooks *hooks, struct yo_webhooks_change *change)
{
    struct yo_webhooks_change *old;
    bool must;

    pthread_mutex_lock(&hooks->lock);
    old = hooks->next;
    hooks->next = change;
    must = must_post(hooks);
    pthread_mutex_unlock(&hooks->lock);
    wake(hooks, must);
    yo_webhooks_forget(old);
}

static int make_loop(struct yo_webhooks *hooks)
{
    const struct yo_post_options options = post_options(hooks->uses);
    int rv = yo_loop_create(&hooks->loop, hooks->mem, NULL, hooks->log);

    if (rv != YOMO_OK) {
        return rv;
    }
    yo_timer_init(&hooks->timer, hooks->loop, on_timer);
    rv = yo_loop_reserve_timer(hooks->loop);
    if (rv == YOMO_OK) {
        rv = yo_mailbox_open(&hooks->box, hooks->loop, hooks);
        rv = rv == YOMO_OK
                 ? yo_post_open(&hooks->post, hooks->loop, &options, on_posted, hooks)
                 : rv;
        if (rv == YOMO_OK) {
            return rv;
        }
        yo_loop_release_timer(hooks->loop);
    }
    if (hooks->box) {
        yo_mailbox_close(hooks->box);
    }
    yo_loop_close(hooks->loop, NULL, NULL);
    yo_loop_run(hooks->loop);
    return rv;
}

/* Its thread is gone, or was never there. */
static void hooks_free(struct yo_webhooks *hooks)
{
    yo_mailbox_unref(hooks->box);
    yo_webhooks_forget(hooks->uses);
    yo_webhooks_forget(hooks->next);
    yo_delivery_finish(&hooks->delivery);
    yo_webhook_secrets_forget(&hooks->secrets);
    yo_buf_finish(&hooks->fields);
    pthread_mutex_destroy(&hooks->lock);
    yo_free(hooks->mem, hooks);
}

/* With every signal blocked: those are for the host's own. */
static int start_thread(struct yo_webhooks *hooks)
{
    sigset_t all, old;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&hooks->thread, NULL, run_thread, hooks);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error == 0) {
        return YOMO_OK;
    }
    finish(hooks);
    yo_loop_run(hooks->loop);
    return YOMO_ERR_SYSTEM;
}

int yo_webhooks_create(struct yo_webhooks **out, const struct yomo_mem *mem,
                       const struct yo_log *log,
                       const struct yo_webhooks_options *options,
                       const struct yo_webhook_secrets *secrets, struct yo_buf *why)
{
    struct yo_webhooks *hooks = yo_calloc(mem, 1, sizeof(*hooks));
    int rv;

    if (!hooks) {
        return YOMO_ERR_NOMEM;
    }
    hooks->mem = mem;
    hooks->log = log;
    hooks->events = options->events;
    hooks->secrets = *secrets;
    hooks->letter.open = open_letter;
    hooks->letter.discard = discard_letter;
    pthread_mutex_init(&hooks->lock, NULL);
    yo_buf_init(&hooks->fields, mem);
    yo_delivery_init(&hooks->delivery, mem, &options->limits, yo_rand_session());
    rv = make_change(&hooks->uses, mem, options, why);
    rv = rv == YOMO_OK ? make_loop(hooks) : rv;
    rv = rv == YOMO_OK ? start_thread(hooks) : rv;
    if (rv != YOMO_OK) {
        hooks_free(hooks);
        return rv;
    }
    *out = hooks;
    return YOMO_OK;
}

void yo_webhooks_close(struct yo_webhooks *hooks)
{
    bool must;

    if (!hooks) {
        return;
    }
    pthread_mutex_lock(&hooks->lock);
    hooks->closing = true;
    must = must_post(hooks);
    pthread_mutex_unlock(&hooks->lock);
    wake(hooks, must);
    pthread_join(hooks->thread, NULL);
    hooks_free(hooks);
}

/* --- numbers --------------------------------------------------------------------- */

static void print_number(struct yo_buf *out, const char *type, const char *name,
                         const char *help, uint64_t number)
{
    (void)yo_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help,
                        name, type, name, number);
}

int yo_webhooks_print(struct yo_webhooks *hooks, struct yo_buf *out)
{
    static const char latency[] = "yomo_webhook_latency_seconds";
    struct yo_delivery_numbers numbers;
    uint64_t buckets[BUCKETS + 1], sum_us, so_far = 0;
    bool failing;

    pthread_mutex_lock(&hooks->lock);
    numbers = hooks->delivery.numbers;
    memcpy(buckets, hooks->latency, sizeof(buckets));
    sum_us = hooks->latency_us;
    failing = hooks->failed_last;
    pthread_mutex_unlock(&hooks->lock);
    print_number(out, "counter", "yomo_webhook_events_delivered_total",
                 "Events that the endpoint took", numbers.delivered);
    print_number(out, "counter", "yomo_webhook_events_failed_total",
                 "Events in batches that were given up", numbers.failed);
    print_number(out, "counter", "yomo_webhook_events_dropped_total",
                 "Events that gave way in a full queue", numbers.dropped);
    print_number(out, "counter", "yomo_webhook_retries_total",
                 "Attempts after the first one of a batch", numbers.retries);
    print_number(out, "gauge", "yomo_webhook_events_waiting",
                 "Events that wait or are under way", numbers.waiting);
    print_number(out, "gauge", "yomo_webhook_failing",
                 "1 while the last attempt was a failure", failing);
    (void)yo_buf_printf(out,
                        "# HELP %s From an event to its being taken, by the oldest of "
                        "its batch\n# TYPE %s histogram\n",
                        latency, latency);
    for (size_t i = 0; i < BUCKETS; i++) {
        so_far += buckets[i];
        (void)yo_buf_printf(out, "%s_bucket{le=\"%u.%u\"} %" PRIu64 "\n", latency,
                            bucket_ms[i] / 1000, bucket_ms[i] % 1000 / 100, so_far);
    }
    so_far += buckets[BUCKETS];
    (void)yo_buf_printf(out,
                        "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %" PRIu64
                        ".%06u\n%s_count %" PRIu64 "\n",
                        latency, so_far, latency, sum_us / 1000000,
                        (unsigned)(sum_us % 1000000), latency, so_far);
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}
