/* SPDX-License-Identifier: MIT */
/* calls.c - what a program may call, from any thread: checked here, done by the engine.
 *
 * A call validates and copies its arguments without the lock, then takes it to see
 * whether client and room still stand, to account for the bytes, and to post the
 * letter, so that letters arrive in the order in which the calls were admitted. After
 * an error nothing was changed. */
#include "base/check.h"
#include "base/text.h"
#include "client/inside.h"
#include "client/peer.h"
#include "wire/encode.h"
#include "wire/json.h"

/* Bytes of a message around its payload, room and key: the map's keys and numbers. */
#define ENVELOPE_SIZE 128

/* Bytes of {event, data} around event and data. */
#define CONTENT_SIZE 32

bool yo_client_name_valid(struct yo_span name, size_t most)
{
    return name.size > 0 && name.size <= most && yo_utf8_valid(name);
}

int32_t yomo_client_connect(yomo_client *client)
{
    YO_REQUIRE(client);
    yo_client_lock(client);
    int rv = client->closing         ? YOMO_ERR_CLOSED
             : client->connect_asked ? YOMO_ERR_STATE
                                     : YOMO_OK;
    if (rv == YOMO_OK) {
        client->connect_asked = true;
        yo_client_post(client, &client->connect_letter);
    }
    yo_client_unlock(client);
    return rv;
}

void yomo_client_close(yomo_client *client)
{
    if (!client) {
        return;
    }
    yo_client_lock(client);
    bool first = !client->closing;
    client->closing = true;
    if (first) {
        yo_client_post(client, &client->close_letter);
    }
    yo_client_unlock(client);
}

int yo_client_make_state(const struct yomo_client *client, struct yo_span value,
                         enum yomo_encoding encoding, struct yo_blob **out)
{
    struct yo_span id = yo_span_of(client->settings.id);
    struct yo_buf payload;
    yo_buf_init(&payload, &client->mem);
    int rv = encoding == YOMO_JSON ? yo_state_from_json(&payload, id, value)
                                   : yo_state_from_bytes(&payload, id, value);
    if (rv == YOMO_OK) {
        *out = yo_blob_create(&client->mem, yo_buf_span(&payload));
        rv = *out ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&payload);
    return rv;
}

bool yo_client_fits(const struct yomo_client *client, struct yo_span room, size_t size)
{
    size_t around = ENVELOPE_SIZE + room.size;
    return client->message_max >= around && size <= client->message_max - around;
}

void yomo_room_leave(yomo_room *room)
{
    if (!room) {
        return;
    }
    struct yomo_client *client = room->client;
    yo_client_lock(client);
    if (!room->over && !room->leave_asked && !client->closing) {
        room->leave_asked = true;
        yomo_room_ref(room);
        yo_client_post(client, &room->leave_letter);
    }
    yo_client_unlock(client);
}

/* With the lock. */
static bool is_closed(const struct yomo_room *room)
{
    return room->over || room->leave_asked || room->client->closing;
}

/* Own state. */

static int set_state(struct yomo_room *room, struct yo_span value,
                     enum yomo_encoding encoding)
{
    struct yomo_client *client = room->client;
    struct yo_blob *state = NULL;
    int rv = yo_client_make_state(client, value, encoding, &state);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_client_lock(client);
    if (is_closed(room)) {
        rv = YOMO_ERR_CLOSED;
    } else if (!yo_client_fits(client, room->name, state->size)) {
        rv = YOMO_ERR_TOO_BIG;
    } else {
        struct yo_blob *old = room->next_state;
        room->next_state = state;
        state = old; /* the engine need not see it any more */
        if (!room->state_posted) {
            room->state_posted = true;
            yomo_room_ref(room);
            yo_client_post(client, &room->state_letter);
        }
    }
    yo_client_unlock(client);
    yo_blob_unref(state);
    return rv;
}

int32_t yomo_room_set_state(yomo_room *room, const char *state)
{
    YO_REQUIRE(room);
    return set_state(room, yo_span_of(state), YOMO_JSON);
}

int32_t yomo_room_set_state_bytes(yomo_room *room, const void *data, size_t size)
{
    YO_REQUIRE(room && (data || size == 0));
    return set_state(room, yo_span(data ? data : "", size), YOMO_BYTES);
}

/* Sending. */

/* What goes into the outbox: struct yo_packed, the key, {event, data}. */
static int pack(struct yo_sending *sending, struct yo_span event, struct yo_span key,
                enum yomo_encoding encoding, struct yo_span data)
{
    const struct yomo_mem *mem = &sending->room->client->mem;
    const struct yo_packed packed = {.key_size = key.size};
    struct yo_buf out;
    yo_buf_init(&out, mem);
    (void)yo_buf_append(&out, &packed, sizeof(packed));
    (void)yo_buf_append_span(&out, key);
    int rv =
        out.failed ? YOMO_ERR_NOMEM : yo_content_write(&out, event, encoding, data);
    if (rv == YOMO_OK) {
        sending->blob = yo_blob_create(mem, yo_buf_span(&out));
        rv = sending->blob ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&out);
    return rv;
}

/* With the lock: account for it, number it, post it. */
static int admit_sending(struct yo_sending *sending, size_t payload_size, uint64_t *id)
{
    struct yomo_room *room = sending->room;
    struct yomo_client *client = room->client;
    size_t size = sending->blob->size;
    if (is_closed(room)) {
        return YOMO_ERR_CLOSED;
    }
    if (!yo_client_fits(client, room->name, payload_size)) {
        return YOMO_ERR_TOO_BIG;
    }
    if (size > client->settings.queue_size ||
        client->held > client->settings.queue_size - size) {
        return YOMO_ERR_FULL;
    }
    if (id) {
        sending->number = *id = ++client->next_number;
        memcpy(sending->blob->data + offsetof(struct yo_packed, number),
               &sending->number, sizeof(sending->number));
    }
    client->held += size;
    yomo_room_ref(room);
    yo_client_post(client, &sending->letter);
    return YOMO_OK;
}

static int send_message(struct yomo_room *room, struct yo_span event,
                        struct yo_span data, enum yomo_encoding encoding,
                        enum yomo_delivery delivery, struct yo_span key, uint64_t *id)
{
    struct yomo_client *client = room->client;
    struct yo_sending *sending = yo_calloc(&client->mem, 1, sizeof(*sending));
    if (!sending) {
        return YOMO_ERR_NOMEM;
    }
    sending->letter =
        (struct yo_letter){.open = yo_sending_open, .discard = yo_sending_discard};
    sending->room = room;
    sending->delivery = delivery;
    yo_list_init(&sending->link);
    int rv = pack(sending, event, key, encoding, data);
    if (rv == YOMO_OK) {
        size_t payload_size = sending->blob->size - sizeof(struct yo_packed);
        yo_client_lock(client);
        rv = admit_sending(sending, payload_size, id);
        yo_client_unlock(client);
    }
    if (rv != YOMO_OK) {
        yo_blob_unref(sending->blob);
        yo_free(&client->mem, sending);
    }
    return rv;
}

int32_t yomo_room_send(yomo_room *room, const char *event, const void *data,
                       size_t size, int32_t encoding, int32_t delivery, const char *key,
                       uint64_t *id)
{
    YO_REQUIRE(room && event && (data || size == 0));
    YO_REQUIRE(encoding == YOMO_JSON || encoding == YOMO_BYTES);
    YO_REQUIRE(delivery >= YOMO_RELIABLE && delivery <= YOMO_LATEST);
    struct yo_span event_name = yo_span_of(event);
    struct yo_span key_name = delivery == YOMO_LATEST ? yo_span_of(key) : YO_SPAN_NONE;
    struct yo_span bytes = yo_span(data ? data : "", size);
    YO_REQUIRE(yo_client_name_valid(event_name, YO_EVENT_SIZE_MAX));
    YO_REQUIRE(key_name.size == 0 || yo_client_name_valid(key_name, YO_KEY_SIZE_MAX));
    if (size > YO_MESSAGE_SIZE_MAX) {
        return YOMO_ERR_TOO_BIG;
    }
    if (encoding == YOMO_JSON && yo_json_check(bytes) != YOMO_OK) {
        return YOMO_ERR_JSON;
    }
    return send_message(room, event_name, bytes, (enum yomo_encoding)encoding,
                        (enum yomo_delivery)delivery, key_name, id);
}

int32_t yomo_room_broadcast(yomo_room *room, const char *event, const char *json,
                            int32_t delivery)
{
    YO_REQUIRE(json);
    return yomo_room_send(room, event, json, strlen(json), YOMO_JSON, delivery, NULL,
                          NULL);
}

int32_t yomo_room_broadcast_bytes(yomo_room *room, const char *event, const void *data,
                                  size_t size, int32_t delivery)
{
    return yomo_room_send(room, event, data, size, YOMO_BYTES, delivery, NULL, NULL);
}

size_t yomo_room_limit(const yomo_room *room, int32_t delivery)
{
    if (!room || delivery < YOMO_RELIABLE || delivery > YOMO_LATEST) {
        return 0;
    }
    /* With the longest event and key, so that it holds for all of them. */
    size_t around = ENVELOPE_SIZE + CONTENT_SIZE + room->name.size + YO_EVENT_SIZE_MAX;
    if (delivery == YOMO_LATEST) {
        around += YO_KEY_SIZE_MAX;
    }
    yo_client_lock(room->client);
    size_t most = room->client->message_max;
    yo_client_unlock(room->client);
    return most > around ? most - around : 0;
}
