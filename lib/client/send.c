/* SPDX-License-Identifier: MIT */
/* send.c - how a message is to be sent, as the program says it, and the calls that
 * send: checked here, sent by the engine.
 *
 * A yomo_send belongs to the program, which may use it any number of times: a call
 * copies what it needs. After an error nothing was queued. */
#include "base/check.h"
#include "client/inside.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/json.h"
#include "wire/msgpack.h"

struct yomo_send {
    struct yomo_mem mem; /* a copy: it may outlive the client */
    struct yo_buf names; /* entries of the array `to`, without its head */
    struct yo_buf whole; /* the array */
    uint32_t count;      /* of entries */
    bool targeted;       /* it is not for everybody */
    struct yo_buf key;
    struct yo_manner manner; /* without spans */
};

int32_t yomo_send_create(yomo_send **out, const yomo_client *client)
{
    YO_REQUIRE(out && client);
    yomo_send *how = yo_calloc(&client->mem, 1, sizeof(*how));
    if (!how) {
        return YOMO_ERR_NOMEM;
    }
    how->mem = client->mem;
    yo_buf_init(&how->names, &how->mem);
    yo_buf_init(&how->whole, &how->mem);
    yo_buf_init(&how->key, &how->mem);
    *out = how;
    return YOMO_OK;
}

void yomo_send_free(yomo_send *how)
{
    if (how) {
        struct yomo_mem mem = how->mem;
        yo_buf_finish(&how->names);
        yo_buf_finish(&how->whole);
        yo_buf_finish(&how->key);
        yo_free(&mem, how);
    }
}

void yomo_send_reset(yomo_send *how)
{
    if (how) {
        yo_buf_clear(&how->names);
        yo_buf_clear(&how->whole);
        yo_buf_clear(&how->key);
        how->count = 0;
        how->targeted = false;
        how->manner = (struct yo_manner){0};
    }
}

/* Write the array anew with one more entry; after an error all is as it was. */
static int add(struct yomo_send *how, const struct yo_wire_target *target)
{
    size_t before = how->names.size;
    struct yo_buf whole;
    if (how->targeted && how->count == 0) {
        return YOMO_ERR_STATE; /* it is for the server alone */
    }
    if (how->count >= YO_TARGETS_MAX) {
        return YOMO_ERR_FULL;
    }
    yo_buf_init(&whole, &how->mem);
    yo_target_write(&how->names, target);
    yo_mp_put_array(&whole, how->count + 1);
    yo_buf_append_span(&whole, yo_buf_span(&how->names));
    if (how->names.failed || whole.failed) {
        how->names.size = before;
        how->names.failed = false;
        yo_buf_finish(&whole);
        return YOMO_ERR_NOMEM;
    }
    yo_buf_swap(&how->whole, &whole);
    yo_buf_finish(&whole);
    how->count++;
    how->targeted = true;
    return YOMO_OK;
}

int32_t yomo_send_to(yomo_send *how, uint64_t session)
{
    YO_REQUIRE(how && session != 0);
    return add(how, &(struct yo_wire_target){.session = session});
}

int32_t yomo_send_to_user(yomo_send *how, const char *id)
{
    YO_REQUIRE(how && id && yo_client_name_valid(yo_span_of(id), YO_ID_SIZE_MAX));
    return add(how, &(struct yo_wire_target){.user = yo_span_of(id)});
}

int32_t yomo_send_to_server(yomo_send *how)
{
    YO_REQUIRE(how);
    if (how->count > 0) {
        return YOMO_ERR_STATE;
    }
    yo_buf_clear(&how->whole);
    yo_mp_put_array(&how->whole, 0);
    if (how->whole.failed) {
        yo_buf_clear(&how->whole);
        return YOMO_ERR_NOMEM;
    }
    how->targeted = true;
    return YOMO_OK;
}

int32_t yomo_send_set_me(yomo_send *how, int32_t me)
{
    YO_REQUIRE(how);
    how->manner.echo = me != 0;
    return YOMO_OK;
}

int32_t yomo_send_set_delivery(yomo_send *how, int32_t delivery)
{
    YO_REQUIRE(how && delivery >= YOMO_RELIABLE && delivery <= YOMO_LATEST);
    how->manner.delivery = (enum yomo_delivery)delivery;
    return YOMO_OK;
}

int32_t yomo_send_set_key(yomo_send *how, const char *key)
{
    struct yo_buf copy;
    YO_REQUIRE(how);
    struct yo_span name = yo_span_of(key);
    YO_REQUIRE(name.size == 0 || yo_client_name_valid(name, YO_KEY_SIZE_MAX));
    yo_buf_init(&copy, &how->mem);
    if (yo_buf_append_span(&copy, name) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    yo_buf_swap(&how->key, &copy);
    yo_buf_finish(&copy);
    return YOMO_OK;
}

int32_t yomo_send_set_ttl(yomo_send *how, uint64_t ms)
{
    YO_REQUIRE(how);
    how->manner.ttl_ms = ms;
    return YOMO_OK;
}

int32_t yomo_send_set_priority(yomo_send *how, int32_t priority)
{
    YO_REQUIRE(how && priority >= YOMO_NORMAL && priority <= YOMO_BULK);
    how->manner.priority = (enum yomo_priority)priority;
    return YOMO_OK;
}

bool yo_manner_single(const struct yo_manner *manner, struct yo_wire_target *target)
{
    struct yo_mp_reader reader;
    uint32_t count;
    *target = (struct yo_wire_target){0};
    if (!manner->targets.data || manner->echo) {
        return false;
    }
    count = yo_targets_init(&reader, manner->targets);
    return count == 0 || (count == 1 && yo_targets_next(&reader, target));
}

/* --- the calls ------------------------------------------------------------------- */

/* What goes into the outbox: struct yo_packed, key, targets, text, {event, data}. */
static int pack(struct yo_sending *sending, struct yo_span event,
                enum yomo_encoding encoding, struct yo_span data,
                const struct yo_manner *manner)
{
    const struct yomo_mem *mem = &sending->room->client->mem;
    struct yo_span key = manner->delivery == YOMO_LATEST ? manner->key : YO_SPAN_NONE;
    const struct yo_packed packed = {.expires = YO_NEVER,
                                     .key_size = key.size,
                                     .targets_size = manner->targets.size,
                                     .text_size = manner->text.size,
                                     .reply = manner->reply,
                                     .code = manner->code,
                                     .priority = manner->priority,
                                     .targeted = manner->targets.data != NULL,
                                     .echo = manner->echo};
    struct yo_buf out;
    yo_buf_init(&out, mem);
    (void)yo_buf_append(&out, &packed, sizeof(packed));
    (void)yo_buf_append_span(&out, key);
    (void)yo_buf_append_span(&out, manner->targets);
    (void)yo_buf_append_span(&out, manner->text);
    int rv =
        out.failed ? YOMO_ERR_NOMEM : yo_content_write(&out, event, encoding, data);
    if (rv == YOMO_OK) {
        sending->blob = yo_blob_create(mem, yo_buf_span(&out));
        rv = sending->blob ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    yo_buf_finish(&out);
    return rv;
}

/* How much may wait: what is urgent finds room where bulk and others have filled the
 * queue. */
static size_t queue_size(const struct yomo_client *client, enum yomo_priority priority)
{
    size_t size = client->settings.queue_size;
    return priority == YOMO_URGENT ? size + size / 4
           : priority == YOMO_BULK ? size - size / 4
                                   : size;
}

/* With the lock: account for it, number it, post it. */
static int admit(struct yo_sending *sending, const struct yo_manner *manner,
                 const struct yo_question *question, uint64_t *id)
{
    struct yomo_room *room = sending->room;
    struct yomo_client *client = room->client;
    size_t size = sending->blob->size;
    size_t most = queue_size(client, manner->priority);
    if (yo_room_closed(room)) {
        return YOMO_ERR_CLOSED;
    }
    if (!yo_client_fits(client, room->name, size - sizeof(struct yo_packed))) {
        return YOMO_ERR_TOO_BIG;
    }
    if (size > most || client->held > most - size) {
        return YOMO_ERR_FULL;
    }
    if (question) {
        int rv = yo_asking_add(room, question, manner, client->next_number + 1);
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    if (id || question) {
        struct yo_packed packed;
        memcpy(&packed, sending->blob->data, sizeof(packed));
        packed.number = sending->number = ++client->next_number;
        packed.request = question ? packed.number : 0;
        memcpy(sending->blob->data, &packed, sizeof(packed));
        if (id) {
            *id = sending->number;
        }
    }
    client->held += size;
    client->held_count++;
    yomo_room_ref(room);
    yo_client_post(client, &sending->letter);
    return YOMO_OK;
}

int yo_send_message(struct yomo_room *room, struct yo_span event, struct yo_span data,
                    enum yomo_encoding encoding, const struct yo_manner *manner,
                    const struct yo_question *question, uint64_t *id)
{
    struct yomo_client *client = room->client;
    struct yo_sending *sending = yo_calloc(&client->mem, 1, sizeof(*sending));
    if (!sending) {
        return YOMO_ERR_NOMEM;
    }
    sending->letter =
        (struct yo_letter){.open = yo_sending_open, .discard = yo_sending_discard};
    sending->room = room;
    sending->delivery = manner->delivery;
    sending->ttl_ms = manner->ttl_ms;
    sending->asks = question != NULL;
    yo_list_init(&sending->link);
    int rv = pack(sending, event, encoding, data, manner);
    if (rv == YOMO_OK) {
        yo_client_lock(client);
        rv = admit(sending, manner, question, id);
        yo_client_unlock(client);
    }
    if (rv != YOMO_OK) {
        yo_blob_unref(sending->blob);
        yo_free(&client->mem, sending);
    }
    return rv;
}

static int check_and_send(struct yomo_room *room, const char *event, const void *data,
                          size_t size, int32_t encoding, const struct yo_manner *manner,
                          const struct yo_question *question, uint64_t *id)
{
    YO_REQUIRE(room && event && (data || size == 0));
    YO_REQUIRE(encoding == YOMO_JSON || encoding == YOMO_BYTES);
    struct yo_span event_name = yo_span_of(event);
    struct yo_span bytes = yo_span(data ? data : "", size);
    YO_REQUIRE(yo_client_name_valid(event_name, YO_EVENT_SIZE_MAX));
    if (size > YO_MESSAGE_SIZE_MAX) {
        return YOMO_ERR_TOO_BIG;
    }
    if (encoding == YOMO_JSON && yo_json_check(bytes) != YOMO_OK) {
        return YOMO_ERR_JSON;
    }
    return yo_send_message(room, event_name, bytes, (enum yomo_encoding)encoding,
                           manner, question, id);
}

int32_t yomo_room_send(yomo_room *room, const char *event, const void *data,
                       size_t size, int32_t encoding, int32_t delivery, const char *key,
                       uint64_t *id)
{
    YO_REQUIRE(delivery >= YOMO_RELIABLE && delivery <= YOMO_LATEST);
    const struct yo_manner manner = {.key = delivery == YOMO_LATEST ? yo_span_of(key)
                                                                    : YO_SPAN_NONE,
                                     .delivery = (enum yomo_delivery)delivery};
    YO_REQUIRE(manner.key.size == 0 ||
               yo_client_name_valid(manner.key, YO_KEY_SIZE_MAX));
    return check_and_send(room, event, data, size, encoding, &manner, NULL, id);
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

static struct yo_manner manner_of(const struct yomo_send *how)
{
    struct yo_manner manner = {0};
    if (how) {
        manner = how->manner;
        manner.key = yo_buf_span(&how->key);
        manner.targets = how->targeted ? yo_buf_span(&how->whole) : YO_SPAN_NONE;
    }
    return manner;
}

int32_t yomo_room_send_with(yomo_room *room, const yomo_send *how, const char *event,
                            const void *data, size_t size, int32_t encoding,
                            uint64_t *id)
{
    const struct yo_manner manner = manner_of(how);
    return check_and_send(room, event, data, size, encoding, &manner, NULL, id);
}

int32_t yomo_room_request(yomo_room *room, const yomo_send *how, const char *event,
                          const void *data, size_t size, int32_t encoding,
                          uint64_t timeout_ms, yomo_reply_fn fn, void *user)
{
    const struct yo_manner manner = manner_of(how);
    const struct yo_question question = {timeout_ms, fn, user};
    struct yo_wire_target target;
    YO_REQUIRE(how && fn && yo_manner_single(&manner, &target));
    return check_and_send(room, event, data, size, encoding, &manner, &question, NULL);
}
