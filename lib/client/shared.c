/* SPDX-License-Identifier: MIT */
/* shared.c - what a room shares, as this client has been told of it: a mirror, which
 * the program may read on any thread, and on_value for each difference.
 *
 * Values are immutable and counted, so that a copy of the mirror is a list of
 * references. After a lost connection the mirror is kept; what is told anew and is the
 * same as before is no news, and what is not told anew until the room is joined again
 * is gone. */
#include <yomo/error.h>

#include "base/check.h"
#include "client/inside.h"
#include "wire/decode.h"
#include "wire/json.h"

struct yomo_value {
    struct yo_map_node node; /* in room->shared */
    struct yomo_mem mem;
    atomic_uint refs;
    bool told; /* since the room was joined: the engine's */
    bool lock, gone;
    int32_t encoding;
    uint64_t version, session;
    size_t size;
    const char *from, *data;
    char text[]; /* a byte for its kind, key, from, data; a NUL behind each */
};

struct yomo_values {
    struct yomo_mem mem;
    size_t count;
    struct yomo_value *list[];
};

static struct yomo_value *of_node(struct yo_map_node *node)
{
    return node ? YO_CONTAINER(node, struct yomo_value, node) : NULL;
}

static void unref(struct yomo_value *value)
{
    if (value &&
        atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1) {
        struct yomo_mem mem = value->mem;
        yo_free(&mem, value);
    }
}

/* --- making one --- */

static char kind_of(bool lock)
{
    return lock ? 'l' : 'v';
}

/* What the payload carries; what is no JSON though it says so is shown as bytes. */
static int read_data(struct yo_buf *json, struct yo_span payload, struct yo_span *data,
                     int32_t *encoding)
{
    struct yo_content content;
    int rv;
    *data = YO_SPAN_NONE;
    *encoding = YOMO_JSON;
    if (!payload.data) {
        return YOMO_OK;
    }
    rv = yo_content_read(payload, &content);
    if (rv != YOMO_OK) {
        return rv;
    }
    *data = content.bytes;
    if (content.in_mp) {
        rv = yo_mp_to_json(json, content.bytes);
        *data = yo_buf_span(json);
    } else if (content.encoding == YOMO_BYTES ||
               yo_json_check(content.bytes) != YOMO_OK) {
        *encoding = YOMO_BYTES;
    }
    return rv;
}

static char *put(char **at, struct yo_span text)
{
    char *to = *at;
    if (text.size > 0) {
        memcpy(to, text.data, text.size);
    }
    to[text.size] = '\0';
    *at += text.size + 1;
    return to;
}

static struct yomo_value *make(struct yomo_client *client, bool lock,
                               const struct yo_effect *effect)
{
    struct yo_buf json;
    struct yo_span data;
    int32_t encoding;
    struct yomo_value *value = NULL;
    yo_buf_init(&json, &client->mem);
    if (read_data(&json, effect->payload, &data, &encoding) == YOMO_OK) {
        value = yo_calloc(&client->mem, 1,
                          sizeof(*value) + 1 + effect->key.size + effect->peer.size +
                              data.size + 3);
    }
    if (value) {
        char *at = value->text;
        value->mem = client->mem;
        atomic_init(&value->refs, 1);
        value->told = true;
        value->lock = lock;
        value->gone = lock ? effect->session == 0 : effect->payload.data == NULL;
        value->encoding = encoding;
        value->version = effect->version;
        value->session = effect->session;
        value->size = data.size;
        *at++ = kind_of(lock);
        (void)put(&at, effect->key);
        value->from = put(&at, effect->peer);
        value->data = put(&at, data);
    }
    yo_buf_finish(&json);
    return value;
}

/* --- the mirror --- */

static struct yomo_value *find(const struct yomo_room *room, bool lock,
                               struct yo_span key)
{
    char full[1 + YO_VALUE_KEY_MAX];
    if (key.size > YO_VALUE_KEY_MAX) {
        return NULL;
    }
    full[0] = kind_of(lock);
    if (key.size > 0) {
        memcpy(full + 1, key.data, key.size);
    }
    return of_node(yo_map_get(&room->shared, yo_span(full, 1 + key.size)));
}

static void tell(struct yomo_room *room, const struct yomo_value *value)
{
    struct yomo_client *client = room->client;
    if (client->on.on_value) {
        client->on.on_value(client->user, room, value);
    }
}

static bool same(const struct yomo_value *a, const struct yomo_value *b)
{
    return a->version == b->version && a->session == b->session && a->size == b->size &&
           a->encoding == b->encoding && memcmp(a->data, b->data, a->size) == 0;
}

void yo_shared_told(struct yomo_room *room, const struct yo_effect *effect)
{
    struct yomo_client *client = room->client;
    bool lock = effect->kind == YO_EFFECT_LOCK;
    struct yomo_value *old = find(room, lock, effect->key), *value;
    int rv = YOMO_OK;
    if (effect->sequence > room->value_place) {
        room->value_place = effect->sequence;
    }
    if (old && old->told && effect->version <= old->version) {
        return;
    }
    value = make(client, lock, effect);
    if (value && old && same(old, value)) {
        old->told = true;
        unref(value);
        return;
    }
    if (!value) { /* what is missing comes with the next connection */
        yo_link_drop(client, YOMO_ERR_NOMEM, "");
        return;
    }
    if (!old && value->gone) {
        unref(value);
        return;
    }
    yo_client_lock(client);
    if (old) {
        yo_map_remove(&room->shared, &old->node);
    }
    if (!value->gone) {
        atomic_fetch_add_explicit(&value->refs, 1,
                                  memory_order_relaxed); /* the map's */
        rv = yo_map_put(&room->shared, &value->node,
                        yo_span(value->text, 1 + effect->key.size));
    }
    yo_client_unlock(client);
    unref(old);
    if (rv == YOMO_OK) {
        tell(room, value);
    } else {
        unref(value);
        yo_link_drop(client, rv, "");
    }
    unref(value); /* the call's */
}

void yo_shared_begin(struct yomo_room *room)
{
    for (struct yo_map_node *node = yo_map_next(&room->shared, NULL); node;
         node = yo_map_next(&room->shared, node)) {
        of_node(node)->told = false;
    }
}

void yo_shared_sweep(struct yomo_room *room, uint64_t place)
{
    struct yomo_client *client = room->client;
    struct yo_map_node *node, *next;
    room->value_place = place > room->value_place ? place : room->value_place;
    for (node = yo_map_next(&room->shared, NULL); node; node = next) {
        struct yomo_value *value = of_node(node);
        next = yo_map_next(&room->shared, node);
        if (value->told) {
            continue;
        }
        const struct yo_effect gone = {.key = yo_span_of(yomo_value_key(value)),
                                       .version = value->version};
        struct yomo_value *last = make(client, value->lock, &gone);
        yo_client_lock(client);
        yo_map_remove(&room->shared, node);
        yo_client_unlock(client);
        unref(value);
        if (last) {
            tell(room, last);
            unref(last);
        }
    }
}

bool yo_shared_has(const struct yomo_room *room, struct yo_span key)
{
    return find(room, false, key) != NULL;
}

void yo_shared_finish(struct yomo_room *room)
{
    struct yo_map_node *node;
    while ((node = yo_map_next(&room->shared, NULL)) != NULL) {
        yo_map_remove(&room->shared, node);
        unref(of_node(node));
    }
    yo_map_finish(&room->shared);
}

/* --- reading it --- */

static struct yomo_values *list_of(const struct yomo_client *client, size_t most)
{
    struct yomo_values *values =
        yo_calloc(&client->mem, 1, sizeof(*values) + most * sizeof(values->list[0]));
    if (values) {
        values->mem = client->mem;
    }
    return values;
}

static void add(struct yomo_values *values, struct yomo_value *value)
{
    atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
    values->list[values->count++] = value;
}

int32_t yomo_room_values(yomo_room *room, yomo_values **out)
{
    YO_REQUIRE(room && out);
    struct yomo_client *client = room->client;
    struct yomo_values *values = NULL;
    int rv = YOMO_OK;
    yo_client_lock(client);
    if (room->over) {
        rv = YOMO_ERR_CLOSED;
    } else if (!(values = list_of(client, room->shared.count))) {
        rv = YOMO_ERR_NOMEM;
    } else {
        for (struct yo_map_node *node = yo_map_next(&room->shared, NULL); node;
             node = yo_map_next(&room->shared, node)) {
            add(values, of_node(node));
        }
        *out = values;
    }
    yo_client_unlock(client);
    return rv;
}

static int32_t get(yomo_room *room, bool lock, const char *key, yomo_values **out)
{
    YO_REQUIRE(room && key && out);
    struct yomo_client *client = room->client;
    struct yomo_values *values = list_of(client, 1);
    struct yomo_value *value = NULL;
    int rv = YOMO_OK;
    if (!values) {
        return YOMO_ERR_NOMEM;
    }
    yo_client_lock(client);
    if (room->over) {
        rv = YOMO_ERR_CLOSED;
    } else if (!(value = find(room, lock, yo_span_of(key)))) {
        rv = YOMO_ERR_NOT_FOUND;
    } else {
        add(values, value);
    }
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        yomo_values_free(values);
    } else {
        *out = values;
    }
    return rv;
}

int32_t yomo_room_value(yomo_room *room, const char *key, yomo_values **out)
{
    return get(room, false, key, out);
}

int32_t yomo_room_lock_holder(yomo_room *room, const char *key, yomo_values **out)
{
    return get(room, true, key, out);
}

size_t yomo_values_count(const yomo_values *values)
{
    return values ? values->count : 0;
}

const yomo_value *yomo_values_at(const yomo_values *values, size_t index)
{
    return values && index < values->count ? values->list[index] : NULL;
}

void yomo_values_free(yomo_values *values)
{
    if (values) {
        struct yomo_mem mem = values->mem;
        for (size_t i = 0; i < values->count; i++) {
            unref(values->list[i]);
        }
        yo_free(&mem, values);
    }
}

const char *yomo_value_key(const yomo_value *value)
{
    return value ? value->text + 1 : "";
}

const void *yomo_value_data(const yomo_value *value, size_t *size)
{
    if (size) {
        *size = value ? value->size : 0;
    }
    return value && !value->gone && !value->lock ? value->data : NULL;
}

int32_t yomo_value_encoding(const yomo_value *value)
{
    return value ? value->encoding : YOMO_JSON;
}

uint64_t yomo_value_version(const yomo_value *value)
{
    return value ? value->version : 0;
}

const char *yomo_value_from(const yomo_value *value)
{
    return value ? value->from : "";
}

uint64_t yomo_value_session(const yomo_value *value)
{
    return value ? value->session : 0;
}

int32_t yomo_value_gone(const yomo_value *value)
{
    return !value || value->gone;
}

int32_t yomo_value_is_lock(const yomo_value *value)
{
    return value && value->lock;
}
