/* SPDX-License-Identifier: MIT */
/* join.c - what a program asks for when it joins a room, and the asking.
 *
 * A yomo_join belongs to the program, which may use it again: what it says is copied to
 * the room, where it counts for every connection that is to come. */
#include "base/check.h"
#include "client/inside.h"
#include "wire/encode.h"

struct yomo_join {
    struct yomo_mem mem; /* a copy: it may outlive the client */
    struct yo_buf state; /* JSON text or bytes */
    enum yomo_encoding encoding;
    bool has_state;
    struct yo_join_wishes wishes;
};

int32_t yomo_join_create(yomo_join **out, const yomo_client *client)
{
    YO_REQUIRE(out && client);
    yomo_join *join = yo_calloc(&client->mem, 1, sizeof(*join));
    if (!join) {
        return YOMO_ERR_NOMEM;
    }
    join->mem = client->mem;
    yo_buf_init(&join->state, &join->mem);
    *out = join;
    return YOMO_OK;
}

void yomo_join_free(yomo_join *join)
{
    if (join) {
        struct yomo_mem mem = join->mem;
        yo_buf_finish(&join->state);
        yo_free(&mem, join);
    }
}

static int keep_state(struct yomo_join *join, struct yo_span value,
                      enum yomo_encoding encoding)
{
    struct yo_buf copy;
    yo_buf_init(&copy, &join->mem);
    if (yo_buf_append_span(&copy, value) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    yo_buf_swap(&join->state, &copy);
    yo_buf_finish(&copy);
    join->encoding = encoding;
    join->has_state = value.data != NULL;
    return YOMO_OK;
}

int32_t yomo_join_set_state(yomo_join *join, const char *state)
{
    YO_REQUIRE(join);
    struct yo_buf payload;
    yo_buf_init(&payload, &join->mem);
    /* The same that is done with it later, so that a mistake is told here. */
    int rv = yo_state_from_json(&payload, yo_span_of("id"), yo_span_of(state));
    yo_buf_finish(&payload);
    return rv == YOMO_OK ? keep_state(join, yo_span_of(state), YOMO_JSON) : rv;
}

int32_t yomo_join_set_state_bytes(yomo_join *join, const void *data, size_t size)
{
    YO_REQUIRE(join && (data || size == 0));
    return keep_state(join, yo_span(data ? data : "", size), YOMO_BYTES);
}

int32_t yomo_join_set_history(yomo_join *join, uint32_t count)
{
    YO_REQUIRE(join);
    join->wishes.hist = count;
    return YOMO_OK;
}

int32_t yomo_join_set_since(yomo_join *join, uint64_t place, uint64_t epoch)
{
    YO_REQUIRE(join && place != 0 && epoch != 0);
    for (size_t i = 0; i < sizeof(join->wishes.since) / sizeof(place); i++) {
        join->wishes.since[i] = place;
    }
    join->wishes.epoch = epoch;
    return YOMO_OK;
}

int32_t yomo_join_set_since_of(yomo_join *join, int32_t priority, uint64_t place)
{
    YO_REQUIRE(join && place != 0 && priority >= YOMO_NORMAL && priority <= YOMO_BULK);
    YO_REQUIRE(join->wishes.epoch != 0); /* yomo_join_set_since says of which order */
    join->wishes.since[priority] = place;
    return YOMO_OK;
}

int32_t yomo_join_set_pace(yomo_join *join, uint64_t ms)
{
    YO_REQUIRE(join);
    join->wishes.pace_ms = ms;
    return YOMO_OK;
}

int32_t yomo_join_set_observe(yomo_join *join, int32_t observe)
{
    YO_REQUIRE(join);
    join->wishes.observe = observe != 0;
    return YOMO_OK;
}

/* --- the call -------------------------------------------------------------------- */

/* With the lock: put the room on record and tell the engine. */
static int admit(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    if (client->closing) {
        return YOMO_ERR_CLOSED;
    }
    if (client->rooms.count >= YO_CLIENT_ROOMS_MAX) {
        return YOMO_ERR_FULL;
    }
    if (!yo_client_fits(client, room->name, room->next_state->size)) {
        return YOMO_ERR_TOO_BIG;
    }
    int rv = yo_map_put(&client->rooms, &room->by_name, room->name);
    if (rv == YOMO_OK) {
        yomo_room_ref(room); /* the letter's */
        yo_client_post(client, &room->join_letter);
    }
    return rv;
}

static int join_room(struct yomo_client *client, const char *name, struct yo_span state,
                     enum yomo_encoding encoding, const struct yo_join_wishes *wishes,
                     yomo_room **out)
{
    struct yo_span room_name = yo_span_of(name);
    struct yomo_room *room;
    YO_REQUIRE(yo_client_name_valid(room_name, YO_CHANNEL_SIZE_MAX));
    int rv = yo_room_create(&room, client, room_name);
    if (rv != YOMO_OK) {
        return rv;
    }
    room->wishes = *wishes;
    rv = yo_client_make_state(client, state, encoding, &room->next_state);
    if (rv == YOMO_OK) {
        yo_client_lock(client);
        rv = admit(room);
        if (rv == YOMO_OK && out) {
            *out = room; /* before the engine can give it up */
        }
        yo_client_unlock(client);
    }
    if (rv != YOMO_OK) {
        yomo_room_unref(room);
    }
    return rv;
}

int32_t yomo_client_join(yomo_client *client, const char *name, const char *state,
                         yomo_room **out)
{
    static const struct yo_join_wishes none;
    YO_REQUIRE(client && name);
    return join_room(client, name, yo_span_of(state), YOMO_JSON, &none, out);
}

int32_t yomo_client_join_with(yomo_client *client, const char *name,
                              const yomo_join *join, yomo_room **out)
{
    YO_REQUIRE(client && name);
    if (!join) {
        return yomo_client_join(client, name, NULL, out);
    }
    struct yo_span state = join->has_state ? yo_buf_span(&join->state) : YO_SPAN_NONE;
    if (join->has_state && !state.data) {
        state = yo_span("", 0);
    }
    return join_room(client, name, state, join->encoding, &join->wishes, out);
}
