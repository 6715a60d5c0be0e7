/* SPDX-License-Identifier: MIT */
/* dialer.c - from a transport's kind to a connection that is not open yet. */
#include "client/inside.h"
#include "transport/custom.h"

#define SOCKET_QUEUE 262144 /* bytes a connection takes before it says AGAIN */

bool yo_client_knows(const struct yomo_client *client, struct yo_span scheme)
{
    return yo_options_transport(client->options, scheme) != NULL;
}

static void on_release(void *user)
{
    yo_client_unref(user);
}

static int dial_custom(struct yomo_client *client, struct yo_conn **out,
                       const struct yo_conn_events *events, void *user)
{
    const struct yo_target *target = yo_client_target(client);
    const struct yo_custom_transport *custom =
        yo_options_transport(client->options, yo_span_of(target->scheme));
    if (!custom) {
        return YOMO_ERR_URL;
    }
    struct yo_carrier_options options = {
        .transport = &custom->transport,
        .message_size_max = client->settings.message_size_max,
        .on_release = on_release,
        .release_user = client,
    };
    yomo_carrier *carrier;
    int rv = yo_carrier_create(&carrier, &client->mem, client->runner.box, &options);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_client_ref(client);
    void *connection = NULL;
    if (custom->connect(custom->user, target->url, carrier, &connection) != YOMO_OK) {
        yo_carrier_discard(carrier);
        return YOMO_ERR_UNREACHABLE;
    }
    *out = yo_carrier_open(carrier, client->runner.loop, connection, false, events, user);
    return YOMO_OK;
}

static int dial(struct yomo_client *client, struct yo_conn **out,
                enum yomo_transport_kind kind, const struct yo_conn_events *events,
                void *user)
{
    const struct yo_settings *settings = &client->settings;
    const struct yo_target *target = yo_client_target(client);
    size_t queue = settings->message_size_max > SOCKET_QUEUE
                       ? settings->message_size_max
                       : SOCKET_QUEUE;
    struct yo_dial_options options = {
        .transport = kind,
        .secure = target->secure,
        .host = target->host,
        .port = target->port,
        .path = target->path,
        .origin = settings->origin,
        .proxy = kind == YOMO_TRANSPORT_WEBSOCKET ? settings->proxy : NULL,
        .extension = true,
        .tls = client->tls,
        .message_size_max = settings->message_size_max,
        .queue_size_max = queue,
        .handshake_ms = settings->connect_timeout_ms,
        .idle_ms = settings->idle_ms,
        .keepalive_ms = settings->keep_alive_ms,
        .silence_ms = settings->silence_ms,
        .congestion = settings->congestion,
        .key_update_packets = settings->key_update_packets,
        .qlog_dir = settings->qlog_dir,
        .migrate = settings->migrate,
    };
    return yo_dial(out, client->runner.loop, &options, events, user);
}

int yo_client_dial(void *user, struct yo_conn **out, enum yomo_transport_kind kind,
                   const struct yo_conn_events *events, void *events_user)
{
    struct yomo_client *client = user;
    if (kind == YOMO_TRANSPORT_CUSTOM) {
        return dial_custom(client, out, events, events_user);
    }
    return dial(client, out, kind, events, events_user);
}
