/* SPDX-License-Identifier: MIT */
#include "server/admin_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/time.h"
#include "loop/loop.h"
#include "server/handle.h"
#include "server/log.h"
#include "wire/json.h"
#include <yomo/version.h>

static void begin(struct yo_buf *out, const char *name)
{
    (void)yo_buf_printf(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",",
                        name);
}

/* Left out when it is not known. */
static void put_text(struct yo_buf *out, const char *name, struct yo_span text)
{
    if (text.data && !out->failed) {
        begin(out, name);
        (void)yo_json_put_string(out, text);
    }
}

static void put_number(struct yo_buf *out, const char *name, uint64_t number)
{
    if (!out->failed) {
        begin(out, name);
        (void)yo_buf_printf(out, "%" PRIu64, number);
    }
}

static void put_row(struct yo_buf *out, enum yo_admin_list list,
                    const struct yo_row *row)
{
    static const char *const numbers[] = {
        [YOMO_APP_CONNECTIONS] = "connections",
        [YOMO_APP_ROOMS] = "rooms",
        [YOMO_APP_CONNECTIONS_MAX] = "connections_max",
        [YOMO_APP_ROOMS_MAX] = "rooms_max",
        [YOMO_APP_MESSAGE_RATE] = "message_rate",
        [YOMO_APP_BYTE_RATE] = "byte_rate",
        [YOMO_APP_CONNECTIONS_REFUSED] = "connections_refused",
        [YOMO_APP_ROOMS_REFUSED] = "rooms_refused",
        [YOMO_APP_MESSAGES_REFUSED] = "messages_refused",
        [YOMO_APP_BYTES_REFUSED] = "bytes_refused"};
    char session[24];

    (void)yo_buf_append_byte(out, '{');
    switch (list) {
    case YO_LIST_ROOMS:
        put_text(out, "app", row->app);
        put_text(out, "room", row->room);
        put_number(out, "members", row->members);
        put_number(out, "observers", row->observers);
        break;
    case YO_LIST_MEMBERS: /* JavaScript's numbers cannot hold a session */
        snprintf(session, sizeof(session), "%" PRIu64, row->session);
        put_text(out, "session", yo_span_of(session));
        put_text(out, "id", row->id);
        put_text(out, "address", row->address);
        put_text(out, "transport", yo_span_of(yo_transport_name(row->transport)));
        put_text(out, "client", yo_span_of(row->presencejs ? "presencejs" : "yomo"));
        if (row->observer && !out->failed) {
            begin(out, "observer");
            (void)yo_buf_append_text(out, "true");
        }
        if (row->since_ms > 0) {
            put_number(out, "since", row->since_ms);
        }
        break;
    case YO_LIST_BANS:
        put_text(out, "app", row->app);
        put_text(out, "room", row->room);
        put_text(out, "id", row->id);
        put_text(out, "address", row->address);
        put_number(out, "until", row->until_ms);
        put_text(out, "reason", row->reason);
        break;
    case YO_LIST_APPS:
        put_text(out, "app", row->app);
        for (int i = 0; i <= YOMO_APP_BYTES_REFUSED; i++) {
            put_number(out, numbers[i], row->numbers[i]);
        }
        break;
    }
    (void)yo_buf_append_byte(out, '}');
}

void yo_admin_write_list(struct yo_buf *out, enum yo_admin_list list,
                         const struct yomo_listing *page)
{
    static const char *const names[] = {"rooms", "members", "bans", "apps"};

    (void)yo_buf_printf(out, "{\"%s\":[", names[list]);
    for (size_t i = 0; i < page->count && !out->failed; i++) {
        if (i > 0) {
            (void)yo_buf_append_byte(out, ',');
        }
        put_row(out, list, page->rows[i]);
    }
    (void)yo_buf_append_text(out, "]");
    if (page->next[0]) {
        put_text(out, "next", yo_span_of(page->next));
    }
    (void)yo_buf_append_text(out, "}\n");
}

void yo_admin_write_error(struct yo_buf *out, const char *name, const char *text)
{
    (void)yo_buf_append_byte(out, '{');
    put_text(out, "error", yo_span_of(name));
    put_text(out, "text", yo_span_of(text));
    (void)yo_buf_append_text(out, "}\n");
}

static uint64_t sum(const struct yomo_server *server, size_t offset)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        const char *metrics = (const char *)&server->metrics[i];
        total += yo_metric_get((const yo_metric *)(const void *)(metrics + offset));
    }
    return total;
}

#define SUM(field) sum(server, offsetof(struct yo_metrics, field))

void yo_admin_write_stats(struct yo_buf *out, struct yomo_server *server)
{
    enum yo_server_state state;

    pthread_mutex_lock(&server->lock);
    state = server->state;
    pthread_mutex_unlock(&server->lock);
    (void)yo_buf_append_byte(out, '{');
    put_text(out, "version", yo_span_of(YOMO_VERSION_STRING));
    put_text(out, "state",
             yo_span_of(state == YO_SERVER_SERVING ? "serving" : "draining"));
    put_number(out, "workers", server->worker_count);
    put_number(out, "connections", yo_server_connections(server));
    put_number(out, "webtransport", SUM(connections_webtransport));
    put_number(out, "websocket", SUM(connections_websocket));
    put_number(out, "rooms", SUM(rooms));
    put_number(out, "members", SUM(members));
    put_number(out, "joins", SUM(joins));
    put_number(out, "messages_in",
               SUM(messages_reliable) + SUM(messages_unreliable) +
                   SUM(messages_latest));
    put_number(out, "deliveries",
               SUM(deliveries_reliable) + SUM(deliveries_unreliable) +
                   SUM(deliveries_latest));
    put_number(out, "bans", yo_bans_count(server->bans, yo_steady_ms()));
    (void)yo_buf_append_text(out, "}\n");
}
