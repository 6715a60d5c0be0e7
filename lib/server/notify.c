/* SPDX-License-Identifier: MIT */
/* notify.c - the options of webhooks, and the door that events leave by. */
#include "base/check.h"
#include "server/events.h"
#include "server/handle.h"
#include "transport/tls/setup.h"

#include <openssl/crypto.h>

static void on_event(void *user, const struct yo_event *event, yo_time now)
{
    struct yomo_server *server = user;

    if (server->webhooks) {
        yo_webhooks_tell(server->webhooks, event, now);
    }
    yo_server_tell_host(server, event);
}

int yo_server_load_webhook_secrets(struct yomo_server *server,
                                   struct yo_webhook_secrets *secrets,
                                   struct yo_buf *why)
{
    const char *path = yo_options_text(server->config.options, "webhook-secret-file");
    const char *reason = NULL;
    struct yo_buf file;
    int rv;

    yo_buf_init(&file, server->config.mem);
    rv = yo_tls_read_private_file(&file, path, why);
    if (rv == YOMO_OK) {
        rv = yo_webhook_secrets_read(secrets, yo_buf_span(&file), server->config.mem,
                                     &reason);
    }
    if (rv == YOMO_ERR_INVALID) {
        rv = yo_tls_file_error(why, path, reason);
    }
    if (file.data) {
        OPENSSL_cleanse(file.data, file.capacity);
    }
    yo_buf_finish(&file);
    return rv;
}

static int read_events(const yomo_options *o, unsigned *events, struct yo_buf *why)
{
    *events = YO_EVENTS_ALL & ~(1u << YO_EVENT_VALUE); /* that can be very many */
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(o, "webhook-events", i);
        int kind;
        if (!item.data) {
            return YOMO_OK;
        }
        if (i == 0) {
            *events = 0;
        }
        kind = yo_event_kind_of(item);
        if (kind < 0) {
            (void)yo_buf_printf(why,
                                "webhook-events: \"%.*s\" is none of member_joined, "
                                "member_left, room_opened, room_closed, "
                                "value_changed",
                                (int)item.size, (const char *)item.data);
            return YOMO_ERR_OPTION;
        }
        *events |= 1u << kind;
    }
}

static int read_allow(const yomo_options *o, struct yo_webhooks_options *out,
                      struct yo_buf *why)
{
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(o, "webhook-allow", i);
        if (!item.data) {
            return YOMO_OK;
        }
        if (i == YO_WEBHOOK_NETWORKS_MAX) {
            (void)yo_buf_printf(why, "webhook-allow: more than %d",
                                YO_WEBHOOK_NETWORKS_MAX);
            return YOMO_ERR_OPTION;
        }
        if (yo_network_parse(&out->networks[i], item) != YOMO_OK) {
            (void)yo_buf_printf(
                why,
                "webhook-allow: \"%.*s\" is not an address or a network "
                "(127.0.0.1, 10.1.0.0/16, fd00::/8)",
                (int)item.size, (const char *)item.data);
            return YOMO_ERR_OPTION;
        }
        out->network_count++;
    }
}

static int read_options(const yomo_options *o, struct yo_webhooks_options *out,
                        struct yo_buf *why)
{
    int rv;

    *out = (struct yo_webhooks_options){
        .url = yo_options_text(o, "webhook-url"),
        .ca_file = yo_options_text(o, "webhook-ca"),
        .limits = {.queue = (size_t)yo_options_number(o, "webhook-queue"),
                   .batch = (size_t)yo_options_number(o, "webhook-batch"),
                   .gather = yo_options_ms(o, "webhook-batch-time") * YO_MS,
                   .retry_for = yo_options_ms(o, "webhook-retry-for") * YO_MS},
        .timeout = yo_options_ms(o, "webhook-timeout") * YO_MS};
    rv = read_events(o, &out->events, why);
    rv = rv == YOMO_OK ? read_allow(o, out, why) : rv;
    rv = rv == YOMO_OK ? yo_webhooks_check_url(out, why) : rv;
    if (rv == YOMO_OK && !yo_options_text(o, "webhook-secret-file")) {
        (void)yo_buf_append_text(why, "webhook-url: set webhook-secret-file too, or "
                                      "nobody could tell who sends");
        rv = YOMO_ERR_OPTION;
    }
    return rv;
}

/* Events go out by one door, if anybody listens. */
static void open_door(struct yomo_server *server, unsigned wants)
{
    server->event_door = (struct yo_event_door){on_event, server, wants};
    server->events = wants != 0 ? &server->event_door : NULL;
}

int yo_server_open_webhooks(struct yomo_server *server, struct yo_buf *why)
{
    unsigned hook = server->config.hooks.on_event ? YO_EVENTS_ALL : 0;
    const struct yo_config *config = &server->config;
    struct yo_webhooks_options options;
    struct yo_webhook_secrets secrets;
    int rv;

    open_door(server, hook);
    if (!yo_options_text(config->options, "webhook-url")) {
        return YOMO_OK;
    }
    rv = read_options(config->options, &options, why);
    rv = rv == YOMO_OK ? yo_server_load_webhook_secrets(server, &secrets, why) : rv;
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_webhooks_create(&server->webhooks, config->mem, config->log, &options,
                            &secrets, why);
    yo_webhook_secrets_forget(&secrets);
    if (rv == YOMO_OK) {
        open_door(server, hook | options.events);
    }
    return rv;
}

int yo_server_prepare_webhooks(struct yomo_server *server, const yomo_options *options,
                               struct yo_webhooks_change **out, struct yo_buf *why)
{
    struct yo_webhooks_options wanted;
    int rv = read_options(options, &wanted, why);

    return rv == YOMO_OK ? yo_webhooks_prepare(out, server->webhooks, &wanted, why)
                         : rv;
}
