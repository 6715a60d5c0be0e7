/* SPDX-License-Identifier: MIT */
/* values.c - what a program wants changed of what its room shares.
 *
 * The happy path: a wish waits until its room is joined, is told to the server, and
 * becomes a change with a version, which on_value tells like anybody else's; then
 * on_sent. Possible failure modes: somebody else was first (CONFLICT): on_sent comes
 * once the mirror shows what was; the server refuses it (DENIED, FULL, ...); the
 * connection ends before the answer (UNSURE: it may have been done); the room is over.
 */
#include <yomo/error.h>

#include "base/check.h"
#include "client/inside.h"
#include "wire/encode.h"
#include "wire/json.h"

#define WISHES_MAX 256 /* of one room at a time */

struct wish {
    struct yo_letter letter;
    struct yo_link link; /* in room->shares */
    struct yomo_room *room;
    enum yo_op op;
    struct yo_blob *payload; /* NULL: take it away */
    uint64_t number, version;
    bool versioned;
    bool told, given; /* the program wants to know; it is under way */
    bool settling;    /* it has its answer, `error`, of which the mirror knows ... */
    int error;
    uint64_t place; /* ... with this place; 0: once it has not got the key */
    size_t key_size;
    uint8_t key[];
};

static struct wish *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct wish, link);
}

static struct yo_span key_of(const struct wish *wish)
{
    return yo_span(wish->key, wish->key_size);
}

static void destroy(struct wish *wish)
{
    struct yomo_room *room = wish->room;
    yo_client_lock(room->client);
    room->share_count--;
    yo_client_unlock(room->client);
    yo_list_remove(&wish->link);
    yo_blob_unref(wish->payload);
    yo_free(&room->client->mem, wish);
    yomo_room_unref(room);
}

static void done(struct wish *wish, int error)
{
    struct yomo_room *room = wish->room;
    struct yomo_client *client = room->client;
    yo_list_remove(&wish->link);
    if (wish->told && client->on.on_sent) {
        client->on.on_sent(client->user, room, wish->number, error);
    }
    destroy(wish);
}

/* --- the calls --- */

static void open_wish(struct yo_letter *letter, void *user, yo_time now)
{
    struct wish *wish = YO_CONTAINER(letter, struct wish, letter);
    struct yomo_room *room = wish->room;
    (void)user, (void)now;
    if (room->state == YO_ROOM_OVER) {
        destroy(wish); /* on_left was the last word */
        return;
    }
    if (wish->op == YO_OP_UNLOCK) {
        yo_claim_drop(room, key_of(wish));
    }
    yo_list_push_back(&room->shares, &wish->link);
    yo_room_push(room);
}

static void discard_wish(struct yo_letter *letter)
{
    destroy(YO_CONTAINER(letter, struct wish, letter));
}

static int post(struct wish *wish, uint64_t *id)
{
    struct yomo_room *room = wish->room;
    struct yomo_client *client = room->client;
    size_t size = wish->key_size + (wish->payload ? wish->payload->size : 0);
    int rv = YOMO_OK;
    yo_client_lock(client);
    if (yo_room_closed(room)) {
        rv = YOMO_ERR_CLOSED;
    } else if (!yo_client_fits(client, room->name, size)) {
        rv = YOMO_ERR_TOO_BIG;
    } else if (room->share_count >= WISHES_MAX) {
        rv = YOMO_ERR_FULL;
    } else {
        room->share_count++;
        wish->number = ++client->next_number;
        wish->told = id != NULL;
        if (id) {
            *id = wish->number;
        }
        yomo_room_ref(room);
        yo_client_post(client, &wish->letter);
    }
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        yo_blob_unref(wish->payload);
        yo_free(&client->mem, wish);
    }
    return rv;
}

static struct wish *make(yomo_room *room, const char *key, enum yo_op op)
{
    struct yo_span name = yo_span_of(key);
    struct wish *wish = yo_calloc(&room->client->mem, 1, sizeof(*wish) + name.size);
    if (wish) {
        wish->letter = (struct yo_letter){.open = open_wish, .discard = discard_wish};
        yo_list_init(&wish->link);
        wish->room = room;
        wish->op = op;
        wish->key_size = name.size;
        memcpy(wish->key, name.data, name.size);
    }
    return wish;
}

static bool is_key(const char *key)
{
    return key && yo_client_name_valid(yo_span_of(key), YO_VALUE_KEY_MAX);
}

static int32_t set(yomo_room *room, const char *key, const void *data, size_t size,
                   int32_t encoding, const uint64_t *version, uint64_t *id)
{
    struct yo_buf payload;
    struct wish *wish;
    int rv;
    YO_REQUIRE(room && is_key(key) && (data || size == 0));
    YO_REQUIRE(encoding == YOMO_JSON || encoding == YOMO_BYTES);
    if (encoding == YOMO_JSON && yo_json_check(yo_span(data, size)) != YOMO_OK) {
        return YOMO_ERR_JSON;
    }
    yo_buf_init(&payload, &room->client->mem);
    rv = yo_content_write(&payload, yo_span("", 0), (enum yomo_encoding)encoding,
                          yo_span(data ? data : "", size));
    wish = rv == YOMO_OK ? make(room, key, YO_OP_VALUE) : NULL;
    if (wish) {
        wish->payload = yo_blob_create(&room->client->mem, yo_buf_span(&payload));
        wish->versioned = version != NULL;
        wish->version = version ? *version : 0;
    }
    yo_buf_finish(&payload);
    if (!wish || !wish->payload) {
        yo_free(&room->client->mem, wish);
        return YOMO_ERR_NOMEM;
    }
    return post(wish, id);
}

int32_t yomo_room_set_value(yomo_room *room, const char *key, const void *data,
                            size_t size, int32_t encoding, uint64_t *id)
{
    return set(room, key, data, size, encoding, NULL, id);
}

int32_t yomo_room_set_value_if(yomo_room *room, const char *key, const void *data,
                               size_t size, int32_t encoding, uint64_t version,
                               uint64_t *id)
{
    return set(room, key, data, size, encoding, &version, id);
}

static int32_t ask(yomo_room *room, const char *key, enum yo_op op,
                   const uint64_t *version, uint64_t *id)
{
    YO_REQUIRE(room && is_key(key));
    struct wish *wish = make(room, key, op);
    if (!wish) {
        return YOMO_ERR_NOMEM;
    }
    wish->versioned = version != NULL;
    wish->version = version ? *version : 0;
    return post(wish, id);
}

int32_t yomo_room_delete_value(yomo_room *room, const char *key, uint64_t *id)
{
    return ask(room, key, YO_OP_VALUE, NULL, id);
}

int32_t yomo_room_delete_value_if(yomo_room *room, const char *key, uint64_t version,
                                  uint64_t *id)
{
    YO_REQUIRE(version != 0);
    return ask(room, key, YO_OP_VALUE, &version, id);
}

int32_t yomo_room_unlock(yomo_room *room, const char *key, uint64_t *id)
{
    return ask(room, key, YO_OP_UNLOCK, NULL, id);
}

/* --- the loop's side --- */

void yo_share_give(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    YO_LIST_EACH(link, next, &room->shares)
    {
        struct wish *wish = of_link(link);
        if (wish->given) {
            continue;
        }
        const struct yo_message message = {
            .op = wish->op,
            .channel = room->name,
            .key = key_of(wish),
            .payload = wish->payload ? yo_blob_span(wish->payload) : YO_SPAN_NONE,
            .versioned = wish->versioned,
            .version = wish->version,
            .number = wish->number};
        yo_effects_clear(&client->effects);
        int rv = yo_client_share(client->session, &message, &client->effects);
        if (rv == YOMO_OK) {
            wish->given = true;
            yo_dispatch(client, now);
        } else {
            done(wish, rv);
        }
        if (client->ending || room->state != YO_ROOM_JOINED) {
            return;
        }
    }
}

static bool is_settled(const struct wish *wish)
{
    return wish->place != 0 ? wish->room->value_place >= wish->place
                            : !yo_shared_has(wish->room, key_of(wish));
}

void yo_share_settle(struct yomo_room *room)
{
    struct yo_link settled, *link;
    yo_list_init(&settled);
    YO_LIST_EACH(each, next, &room->shares)
    {
        if (of_link(each)->settling && is_settled(of_link(each))) {
            yo_list_remove(each);
            yo_list_push_back(&settled, each);
        }
    }
    while ((link = yo_list_pop_front(&settled)) != NULL) {
        done(of_link(link), of_link(link)->error);
    }
}

void yo_share_confirmed(struct yomo_room *room, const struct yo_effect *effect)
{
    YO_LIST_EACH(link, next, &room->shares)
    {
        struct wish *wish = of_link(link);
        if (wish->number != effect->number || !wish->given) {
            continue;
        }
        /* What it is about is told among the room's messages, perhaps later. */
        wish->settling =
            wish->op == YO_OP_VALUE &&
            (effect->error == YOMO_OK || effect->error == YOMO_ERR_CONFLICT);
        wish->error = effect->error;
        wish->place = effect->error ? effect->version : effect->sequence;
        if (wish->settling) {
            yo_share_settle(room);
        } else {
            done(wish, effect->error);
        }
        return;
    }
}

void yo_share_lost(struct yomo_room *room)
{
    struct yo_link given, *link;
    yo_list_init(&given);
    YO_LIST_EACH(each, next, &room->shares)
    {
        if (of_link(each)->given) {
            yo_list_remove(each);
            yo_list_push_back(&given, each);
        }
    }
    while ((link = yo_list_pop_front(&given)) != NULL) {
        struct wish *wish = of_link(link);
        done(wish, wish->settling ? wish->error : YOMO_ERR_UNSURE);
    }
}

void yo_share_end(struct yomo_room *room)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&room->shares)) != NULL) {
        struct wish *wish = of_link(link);
        done(wish, wish->given ? YOMO_ERR_UNSURE : YOMO_ERR_CLOSED);
    }
}
