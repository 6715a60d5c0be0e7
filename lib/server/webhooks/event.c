/* SPDX-License-Identifier: MIT */
#include "server/webhooks/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"
#include "wire/json.h"

static const char *const names[YO_EVENT_KINDS] = {
    "member_joined", "member_left", "room_opened", "room_closed", "value_changed"};

const char *yo_event_name(enum yo_event_kind kind)
{
    return names[kind];
}

int yo_event_kind_of(struct yo_span name)
{
    for (int i = 0; i < YO_EVENT_KINDS; i++) {
        if (yo_span_is(name, names[i])) {
            return i;
        }
    }
    return -1;
}

static int put(struct yo_buf *out, const char *name, struct yo_span text)
{
    if (!text.data) {
        return YOMO_OK;
    }
    (void)yo_buf_printf(out, ",\"%s\":", name);
    return yo_json_put_string(out, text);
}

int yo_event_write_data(struct yo_buf *out, struct yo_span data, bool bytes)
{
    if (!data.data) {
        return YOMO_OK;
    }
    if (bytes) {
        (void)yo_buf_append_text(out, ",\"base64\":\"");
        (void)yo_base64_encode(out, data);
        return yo_buf_append_byte(out, '"');
    }
    (void)yo_buf_append_text(out, ",\"value\":");
    return yo_json_check(data) == YOMO_OK ? yo_buf_append_span(out, data)
                                          : yo_json_put_string(out, data);
}

int yo_event_write(struct yo_buf *out, const struct yo_event *event)
{
    int rv;

    (void)yo_buf_printf(out, "{\"type\":\"%s\"", names[event->kind]);
    rv = put(out, "app", event->app);
    rv = rv == YOMO_OK ? put(out, "room", event->room) : rv;
    rv = rv == YOMO_OK ? put(out, "id", event->id) : rv;
    if (event->session != 0) {
        (void)yo_buf_printf(out, ",\"session\":%" PRIu64, event->session);
    }
    (void)yo_buf_printf(out, ",\"at\":%" PRIu64, event->at_ms);
    rv = rv == YOMO_OK ? put(out, "reason", yo_span_of(event->reason)) : rv;
    if (event->kind == YO_EVENT_VALUE) {
        rv = rv == YOMO_OK ? put(out, "key", event->key) : rv;
        (void)yo_buf_printf(out, ",\"version\":%" PRIu64, event->version);
        rv = rv == YOMO_OK ? yo_event_write_data(out, event->data, event->bytes) : rv;
    }
    (void)yo_buf_append_byte(out, '}');
    return rv == YOMO_OK && out->failed ? YOMO_ERR_NOMEM : rv;
}
