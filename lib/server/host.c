/* SPDX-License-Identifier: MIT */
/* host.c - what the host program does in rooms (<yomo/host.h>): names are looked at
 * here, on the caller's thread; a value is then asked for at the room's home (act.h),
 * and what happened in rooms is shown to on_event. */
#include <yomo/host.h>

#include "base/check.h"
#include "base/text.h"
#include "server/act.h"
#include "server/events.h"
#include "server/handle.h"
#include "server/publish.h"
#include "wire/encode.h"

/* --- values ---------------------------------------------------------------------- */

struct value_wish {
    const char *app, *room, *from, *key;
    struct yo_blob *payload; /* given away; NULL: take it away, or look */
    bool conditional;
    uint64_t version;
};

static int ask(struct yomo_server *server, enum yo_act_kind kind,
               const struct value_wish *wish, const struct yo_act_end *end)
{
    struct yo_act *act;
    int rv = yo_server_serving(server);

    rv = rv == YOMO_OK
             ? yo_act_create(
                   &act, server,
                   &(struct yo_act_wish){
                       .kind = kind,
                       .app = yo_span_of(wish->app ? wish->app : YO_APP_DEFAULT),
                       .room = yo_span_of(wish->room),
                       .id = yo_span_of(wish->from),
                       .key = yo_span_of(wish->key)})
             : rv;
    if (rv != YOMO_OK) {
        yo_blob_unref(wish->payload);
        return rv;
    }
    act->payload = wish->payload;
    act->conditional = wish->conditional;
    act->expected = wish->version;
    act->end = *end;
    yo_act_send(act);
    return YOMO_OK;
}

int yo_host_set_value(yomo_server *server, const char *app, const char *room,
                      const char *from, const char *key, struct yo_span data,
                      int32_t encoding, bool conditional, uint64_t version,
                      const struct yo_act_end *end)
{
    struct value_wish wish = {.app = app,
                              .room = room,
                              .from = from,
                              .key = key,
                              .conditional = conditional,
                              .version = version};
    int rv = YOMO_OK;

    YO_REQUIRE(yo_good_name(room, YO_CHANNEL_SIZE_MAX));
    YO_REQUIRE(yo_good_name(from, YO_ID_SIZE_MAX));
    YO_REQUIRE(yo_good_name(key, YO_VALUE_KEY_MAX));
    YO_REQUIRE(!app || yo_good_name(app, YO_APP_SIZE_MAX));
    YO_REQUIRE(encoding == YOMO_JSON || encoding == YOMO_BYTES);
    if (data.data) {
        rv = yo_server_write_payload(server, "", data, encoding, &wish.payload);
    }
    if (rv == YOMO_OK && wish.payload &&
        wish.payload->size > server->config.values.value_size) {
        yo_blob_unref(wish.payload);
        rv = YOMO_ERR_TOO_BIG;
    }
    return rv == YOMO_OK ? ask(server, YO_ACT_SET, &wish, end) : rv;
}

int yo_host_get_value(yomo_server *server, const char *app, const char *room,
                      const char *key, const struct yo_act_end *end)
{
    const struct value_wish wish = {.app = app, .room = room, .key = key};

    YO_REQUIRE(yo_good_name(room, YO_CHANNEL_SIZE_MAX));
    YO_REQUIRE(yo_good_name(key, YO_VALUE_KEY_MAX));
    YO_REQUIRE(!app || yo_good_name(app, YO_APP_SIZE_MAX));
    return ask(server, YO_ACT_GET, &wish, end);
}

int yo_act_content(const struct yo_act *act, struct yo_buf *scratch,
                   struct yo_span *data, bool *bytes)
{
    *data = YO_SPAN_NONE;
    *bytes = false;
    return act->payload && act->kind == YO_ACT_GET
               ? yo_event_content(yo_blob_span(act->payload), scratch, data, bytes)
               : YOMO_OK;
}

static void tell_value(struct yo_act *act, int error)
{
    struct yo_buf scratch;
    struct yo_span data = YO_SPAN_NONE;
    bool bytes = false;

    if (!act->end.on_value) {
        return;
    }
    yo_buf_init(&scratch, act->server->config.mem);
    if (error == YOMO_OK) {
        error = yo_act_content(act, &scratch, &data, &bytes);
    }
    act->end.on_value(act->end.user, error, act->version, data.data, data.size,
                      bytes ? YOMO_BYTES : YOMO_JSON);
    yo_buf_finish(&scratch);
}

static struct yo_act_end value_end(yomo_server_value_fn on_value, void *user)
{
    return (struct yo_act_end){
        .done = tell_value, .on_value = on_value, .user = user, .back = -1};
}

static struct yo_span data_of(const void *data, size_t size)
{
    return yo_span(data ? data : "", size);
}

int32_t yomo_server_set_value(yomo_server *server, const char *app, const char *room,
                              const char *from, const char *key, const void *data,
                              size_t size, int32_t encoding,
                              yomo_server_value_fn on_value, void *user)
{
    const struct yo_act_end end = value_end(on_value, user);

    YO_REQUIRE(server && (data || size == 0));
    return yo_host_set_value(server, app, room, from, key, data_of(data, size),
                             encoding, false, 0, &end);
}

int32_t yomo_server_set_value_if(yomo_server *server, const char *app, const char *room,
                                 const char *from, const char *key, const void *data,
                                 size_t size, int32_t encoding, uint64_t version,
                                 yomo_server_value_fn on_value, void *user)
{
    const struct yo_act_end end = value_end(on_value, user);

    YO_REQUIRE(server && (data || size == 0));
    return yo_host_set_value(server, app, room, from, key, data_of(data, size),
                             encoding, true, version, &end);
}

int32_t yomo_server_delete_value(yomo_server *server, const char *app, const char *room,
                                 const char *from, const char *key, uint64_t version,
                                 yomo_server_value_fn on_value, void *user)
{
    const struct yo_act_end end = value_end(on_value, user);

    YO_REQUIRE(server);
    return yo_host_set_value(server, app, room, from, key, YO_SPAN_NONE, YOMO_JSON,
                             version != 0, version, &end);
}

int32_t yomo_server_get_value(yomo_server *server, const char *app, const char *room,
                              const char *key, yomo_server_value_fn on_value,
                              void *user)
{
    const struct yo_act_end end = value_end(on_value, user);

    YO_REQUIRE(server && on_value);
    return yo_host_get_value(server, app, room, key, &end);
}

/* --- events ---------------------------------------------------------------------- */

struct yomo_event {
    const struct yo_event *event;
    char app[256], room[256], id[256], key[256];
};

static void copy(char out[256], struct yo_span text)
{
    size_t size = text.size < 255 ? text.size : 255;

    if (size > 0) {
        memcpy(out, text.data, size);
    }
    out[size] = '\0';
}

void yo_server_tell_host(struct yomo_server *server, const struct yo_event *event)
{
    const struct yo_config *config = &server->config;
    struct yomo_event shown;

    if (!config->hooks.on_event) {
        return;
    }
    shown.event = event;
    copy(shown.app, event->app);
    copy(shown.room, event->room);
    copy(shown.id, event->id);
    copy(shown.key, event->key);
    config->hooks.on_event(config->hooks_user, &shown);
}

int32_t yomo_event_kind(const yomo_event *event)
{
    static const int32_t kinds[YO_EVENT_KINDS] = {
        [YO_EVENT_JOINED] = YOMO_EVENT_MEMBER_JOINED,
        [YO_EVENT_LEFT] = YOMO_EVENT_MEMBER_LEFT,
        [YO_EVENT_OPENED] = YOMO_EVENT_ROOM_OPENED,
        [YO_EVENT_CLOSED] = YOMO_EVENT_ROOM_CLOSED,
        [YO_EVENT_VALUE] = YOMO_EVENT_VALUE_CHANGED,
    };
    return event ? kinds[event->event->kind] : -1;
}

const char *yomo_event_app(const yomo_event *event)
{
    return event ? event->app : "";
}

const char *yomo_event_room(const yomo_event *event)
{
    return event ? event->room : "";
}

const char *yomo_event_id(const yomo_event *event)
{
    return event ? event->id : "";
}

uint64_t yomo_event_session(const yomo_event *event)
{
    return event ? event->event->session : 0;
}

const char *yomo_event_reason(const yomo_event *event)
{
    return event && event->event->reason ? event->event->reason : "";
}

uint64_t yomo_event_at(const yomo_event *event)
{
    return event ? event->event->at_ms : 0;
}

const char *yomo_event_key(const yomo_event *event)
{
    return event ? event->key : "";
}

uint64_t yomo_event_version(const yomo_event *event)
{
    return event ? event->event->version : 0;
}

const void *yomo_event_data(const yomo_event *event, size_t *size)
{
    struct yo_span data = event ? event->event->data : YO_SPAN_NONE;

    if (size) {
        *size = data.size;
    }
    return data.data;
}

int32_t yomo_event_encoding(const yomo_event *event)
{
    return event && event->event->bytes ? YOMO_BYTES : YOMO_JSON;
}
