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

bool yo_room_closed(const struct yomo_room *room)
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
    if (yo_room_closed(room)) {
        rv = YOMO_ERR_CLOSED;
    } else if (room->wishes.observe) {
        rv = YOMO_ERR_DENIED;
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

/* Sending: send.c. */

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
