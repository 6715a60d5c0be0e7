/* SPDX-License-Identifier: MIT */
/* publish.c - a message of the host program: spelled here, on the caller's thread, and
 * sent to the room's home as if a member had said it, but for there being no member. */
#include <yomo/host.h>

#include "base/check.h"
#include "base/text.h"
#include "server/publish.h"
#include "wire/encode.h"
#include "wire/json.h"
#include "wire/msgpack.h"

bool yo_good_name(const char *name, size_t max)
{
    size_t size = name ? strlen(name) : 0;

    return size > 0 && size <= max && yo_utf8_valid(yo_span(name, size));
}

/* The payload, or an error. */
int yo_server_write_payload(struct yomo_server *server, const char *event,
                            struct yo_span data, int32_t encoding, struct yo_blob **out)
{
    const struct yo_config *config = &server->config;
    struct yo_buf payload;
    int rv = encoding == YOMO_JSON ? yo_json_check(data) : YOMO_OK;

    if (rv == YOMO_OK && data.size > config->limits.message_size) {
        rv = YOMO_ERR_TOO_BIG;
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&payload, config->mem);
    rv = yo_content_write(&payload, yo_span_of(event), (enum yomo_encoding)encoding,
                          data);
    if (rv == YOMO_OK) {
        *out = yo_blob_create(config->mem, yo_buf_span(&payload));
        rv = *out ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&payload);
    return rv;
}

static uint64_t next_version(struct yomo_server *server)
{
    uint64_t version, wall = yo_wall_ms();

    pthread_mutex_lock(&server->lock);
    version = server->version + 1 > wall ? server->version + 1 : wall;
    server->version = version;
    pthread_mutex_unlock(&server->lock);
    return version;
}

static struct yo_note *write_note(struct yomo_server *server, const char *app,
                                  const char *room, const char *from, const char *event)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_blob *key =
        yo_room_key(server->config.mem,
                    yo_room_key_write(bytes, yo_span_of(app), yo_span_of(room)));
    struct yo_note *note =
        key ? yo_note_create(server->config.mem, YO_NOTE_PUBLISH, key, yo_span_of(from),
                             YO_SPAN_NONE, yo_span_of(event), YO_SPAN_NONE)
            : NULL;

    yo_blob_unref(key);
    return note;
}

struct yo_desk *yo_server_home_desk(struct yomo_server *server, struct yo_span room_key)
{
    return &server->desks[yo_siphash(server->seed, room_key) % server->worker_count];
}

/* The array `to`; NULL: out of memory. */
static struct yo_blob *write_targets(struct yomo_server *server,
                                     const uint64_t *sessions, size_t session_count,
                                     const char *const *users, size_t user_count)
{
    struct yo_blob *blob;
    struct yo_buf out;

    yo_buf_init(&out, server->config.mem);
    yo_mp_put_array(&out, (uint32_t)(session_count + user_count));
    for (size_t i = 0; i < session_count; i++) {
        yo_target_write(&out, &(struct yo_wire_target){.session = sessions[i]});
    }
    for (size_t i = 0; i < user_count; i++) {
        yo_target_write(&out, &(struct yo_wire_target){.user = yo_span_of(users[i])});
    }
    blob = out.failed ? NULL : yo_blob_create(server->config.mem, yo_buf_span(&out));
    yo_buf_finish(&out);
    return blob;
}

/* What is to be said; `targets` NULL: to everybody, else given away. */
static int publish(yomo_server *server, const char *app, const char *room,
                   const char *from, struct yo_blob *targets, const char *event,
                   struct yo_span data, int32_t encoding, int32_t delivery)
{
    struct yo_blob *payload = NULL;
    struct yo_note *note = NULL;
    struct yo_desk *desk;
    int rv;

    pthread_mutex_lock(&server->lock);
    rv = server->state == YO_SERVER_SERVING ? YOMO_OK : YOMO_ERR_STATE;
    pthread_mutex_unlock(&server->lock);
    if (rv == YOMO_OK) {
        rv = yo_server_write_payload(server, event, data, encoding, &payload);
    }
    if (rv == YOMO_OK) {
        note = write_note(server, app ? app : YO_APP_DEFAULT, room, from, event);
        rv = note ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        yo_blob_unref(payload);
        yo_blob_unref(targets);
        return rv;
    }
    note->payload = payload;
    note->targets = targets;
    note->delivery = (enum yomo_delivery)delivery;
    note->version = delivery == YOMO_LATEST ? next_version(server) : 0;
    desk = yo_server_home_desk(server, yo_blob_span(note->room));
    if (yo_desk_full(desk)) {
        yo_note_free(note);
        return YOMO_ERR_FULL;
    }
    yo_desk_post(desk, note);
    return YOMO_OK;
}

/* What both calls want of their arguments. */
static bool are_good(const char *app, const char *room, const char *from,
                     const char *event, int32_t encoding, int32_t delivery)
{
    return yo_good_name(room, YO_CHANNEL_SIZE_MAX) &&
           yo_good_name(from, YO_ID_SIZE_MAX) &&
           yo_good_name(event, YO_EVENT_SIZE_MAX) &&
           (!app || yo_good_name(app, YO_APP_SIZE_MAX)) &&
           (encoding == YOMO_JSON || encoding == YOMO_BYTES) &&
           delivery >= YOMO_RELIABLE && delivery <= YOMO_LATEST;
}

int32_t yomo_server_publish(yomo_server *server, const char *app, const char *room,
                            const char *from, const char *event, const void *data,
                            size_t size, int32_t encoding, int32_t delivery)
{
    YO_REQUIRE(server && (data || size == 0));
    YO_REQUIRE(are_good(app, room, from, event, encoding, delivery));
    return publish(server, app, room, from, NULL, event,
                   yo_span(data ? data : "", size), encoding, delivery);
}

int32_t yomo_server_publish_to(yomo_server *server, const char *app, const char *room,
                               const char *from, const uint64_t *sessions,
                               size_t session_count, const char *const *users,
                               size_t user_count, const char *event, const void *data,
                               size_t size, int32_t encoding, int32_t delivery)
{
    struct yo_blob *targets;

    YO_REQUIRE(server && (data || size == 0));
    YO_REQUIRE(are_good(app, room, from, event, encoding, delivery));
    YO_REQUIRE((sessions || session_count == 0) && (users || user_count == 0));
    YO_REQUIRE(session_count <= YO_TARGETS_MAX && user_count <= YO_TARGETS_MAX);
    YO_REQUIRE(session_count + user_count > 0 &&
               session_count + user_count <= YO_TARGETS_MAX);
    for (size_t i = 0; i < session_count; i++) {
        YO_REQUIRE(sessions[i] != 0);
    }
    for (size_t i = 0; i < user_count; i++) {
        YO_REQUIRE(yo_good_name(users[i], YO_ID_SIZE_MAX));
    }
    targets = write_targets(server, sessions, session_count, users, user_count);
    if (!targets) {
        return YOMO_ERR_NOMEM;
    }
    return publish(server, app, room, from, targets, event,
                   yo_span(data ? data : "", size), encoding, delivery);
}

int yo_server_print_metrics(struct yomo_server *server, struct yo_buf *out)
{
    const struct yo_metrics *list[YO_WORKERS_MAX];

    for (uint32_t i = 0; i < server->worker_count; i++) {
        list[i] = &server->metrics[i];
    }
    int rv = yo_metrics_print(out, list, server->worker_count);

    return rv == YOMO_OK && server->webhooks ? yo_webhooks_print(server->webhooks, out)
                                             : rv;
}

uint64_t yo_server_connections(const struct yomo_server *server)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        sum += yo_metrics_connections(&server->metrics[i]);
    }
    return sum;
}

int32_t yomo_server_metrics(yomo_server *server, char *out, size_t size, size_t *needed)
{
    struct yo_buf text;
    int rv;

    YO_REQUIRE(server && (out || size == 0));
    pthread_mutex_lock(&server->lock);
    rv = server->state > YO_SERVER_FAILED ? YOMO_OK : YOMO_ERR_STATE;
    pthread_mutex_unlock(&server->lock);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&text, server->config.mem);
    rv = yo_server_print_metrics(server, &text);
    if (rv == YOMO_OK && size > 0) {
        size_t copied = text.size < size - 1 ? text.size : size - 1;
        memcpy(out, text.data, copied);
        out[copied] = '\0';
    }
    if (rv == YOMO_OK && needed) {
        *needed = text.size;
    }
    yo_buf_finish(&text);
    return rv;
}
