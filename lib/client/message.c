/* SPDX-License-Identifier: MIT */
/* message.c - one message that arrived, on its way to the program.
 *
 * Event, sender and data are copied once, each with a NUL behind it. What a peer calls
 * JSON is checked: a program may print it as it is. */
#include <yomo/error.h>

#include "base/text.h"
#include "client/inside.h"
#include "session/request.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/json.h"

#define KEEP 65536 /* bytes of buffers that are kept between messages */

static void put(struct yo_buf *out, struct yo_span bytes)
{
    yo_buf_append_span(out, bytes);
    yo_buf_append_byte(out, 0);
}

/* Write event, sender and data into `text`. */
static int copy(struct yo_buf *text, const struct yo_effect *effect,
                const struct yo_content *content)
{
    int rv = YOMO_OK;
    put(text, content->event);
    put(text, effect->peer);
    put(text, effect->text);
    if (content->in_mp) {
        rv = yo_mp_to_json(text, content->bytes);
        yo_buf_append_byte(text, 0);
    } else {
        put(text, content->bytes);
    }
    if (text->failed) {
        return YOMO_ERR_NOMEM;
    }
    return rv;
}

int yo_message_make(struct yomo_client *client, struct yomo_message *message,
                    const struct yo_effect *effect)
{
    struct yo_content content;
    struct yo_buf *text = &client->text;
    int rv = yo_content_read(effect->payload, &content);
    if (rv != YOMO_OK) {
        return rv;
    }
    if (!content.in_mp && content.encoding == YOMO_JSON &&
        yo_json_check(content.bytes) != YOMO_OK) {
        return YOMO_ERR_MALFORMED;
    }
    yo_buf_clear(text);
    rv = copy(text, effect, &content);
    if (rv != YOMO_OK) {
        return rv;
    }
    const char *at = (const char *)text->data;
    *message = (struct yomo_message){
        .event = at,
        .event_size = content.event.size,
        .from = at + content.event.size + 1,
        .text = at + content.event.size + 1 + effect->peer.size + 1,
        .session = effect->session,
        .priority = effect->priority,
        .direct = effect->direct,
        .request = effect->request,
        .encoding = content.in_mp ? YOMO_JSON : content.encoding,
        .delivery = effect->delivery,
        .sequence = effect->sequence,
        .past = effect->past,
        .at_ms = effect->past ? effect->since_ms : 0,
        .json = &client->json,
    };
    message->data = message->text + effect->text.size + 1;
    message->size = text->size - (size_t)((const char *)message->data - at) - 1;
    return YOMO_OK;
}

static bool matches(const struct yo_subscription *subscription,
                    const struct yomo_message *message)
{
    return !subscription->dead &&
           (subscription->event_size == 0 ||
            yo_span_equal(yo_span(subscription->event, subscription->event_size),
                          yo_span(message->event, message->event_size)));
}

/* With the lock: those that were cancelled meanwhile. */
static void sweep(struct yomo_room *room)
{
    YO_LIST_EACH(link, next, &room->subscriptions) {
        struct yo_subscription *subscription =
            YO_CONTAINER(link, struct yo_subscription, link);
        if (subscription->dead) {
            yo_list_remove(link);
            yo_free(&room->client->mem, subscription);
        }
    }
}

/* In the order in which they were made; not those that are made meanwhile. */
static void tell_subscribers(struct yomo_room *room, const struct yomo_message *message)
{
    struct yomo_client *client = room->client;
    yo_client_lock(client);
    room->telling++;
    struct yo_link *last = room->subscriptions.prev;
    for (struct yo_link *link = room->subscriptions.next; link != &room->subscriptions;
         link = link->next) {
        const struct yo_subscription *subscription =
            YO_CONTAINER(link, struct yo_subscription, link);
        if (matches(subscription, message)) {
            yo_client_unlock(client);
            subscription->fn(subscription->user, room, message);
            yo_client_lock(client);
        }
        if (link == last) {
            break;
        }
    }
    if (--room->telling == 0) {
        sweep(room);
    }
    yo_client_unlock(client);
}

void yo_message_tell(struct yomo_room *room, const struct yo_effect *effect)
{
    struct yomo_client *client = room->client;
    struct yomo_message message;
    int rv = yo_message_make(client, &message, effect);
    message.room = room;
    if (rv == YOMO_ERR_NOMEM && effect->delivery == YOMO_RELIABLE) {
        yo_link_drop(client, rv, ""); /* it may not just be missing */
    } else if (rv != YOMO_OK) {
        YO_LOG(&client->log, YOMO_LOG_WARN, "client", "a message was not delivered: %s",
               yomo_error_name(rv));
    } else {
        if (client->on.on_message) {
            client->on.on_message(client->user, room, &message);
        }
        tell_subscribers(room, &message);
    }
    yo_message_clear(client);
}

void yo_message_clear(struct yomo_client *client)
{
    yo_buf_clear(&client->text);
    yo_buf_clear(&client->json);
    yo_buf_shrink(&client->text, KEEP);
    yo_buf_shrink(&client->json, KEEP);
}

void yo_message_answer(struct yomo_room *room, const struct yo_effect *effect,
                       yomo_reply_fn fn, void *user)
{
    struct yomo_client *client = room->client;
    struct yomo_message message;
    int rv = yo_message_make(client, &message, effect);
    message.room = room;
    fn(user, room, rv == YOMO_OK ? effect->error : rv, rv == YOMO_OK ? &message : NULL);
    yo_message_clear(client);
}

/* --- a request, in the program's hands ---------------------------------------------- */

struct request {
    struct yomo_request base; /* first */
    struct yomo_room *room;   /* a reference */
    uint64_t number, session;
    size_t event_size;
    uint8_t event[];
};

static int answer(yomo_request *base, const struct yo_answer *answer)
{
    struct request *request = (struct request *)base;
    uint8_t to[YO_TARGET_SIZE_MAX];
    const struct yo_manner manner = {.targets = yo_target_one(to, request->session),
                                     .reply = request->number,
                                     .code = answer->error,
                                     .text = answer->text};
    return yo_send_message(request->room, yo_span(request->event, request->event_size),
                           answer->data, answer->encoding, &manner, NULL, NULL);
}

static void request_free(yomo_request *base)
{
    struct request *request = (struct request *)base;
    struct yomo_room *room = request->room;
    yo_free(&room->client->mem, request);
    yomo_room_unref(room);
}

static const struct yo_request_ops request_ops = {.answer = answer,
                                                  .free = request_free};

yomo_request *yomo_message_take_request(const yomo_message *lent)
{
    struct yomo_message *message = (struct yomo_message *)(uintptr_t)lent;
    if (!message || message->request == 0 || message->session == 0) {
        return NULL;
    }
    struct request *request = yo_malloc(&message->room->client->mem,
                                        sizeof(*request) + message->event_size);
    if (!request) {
        return NULL;
    }
    request->base.ops = &request_ops;
    request->room = yomo_room_ref(message->room);
    request->number = message->request;
    request->session = message->session;
    request->event_size = message->event_size;
    memcpy(request->event, message->event, message->event_size);
    message->request = 0;
    return &request->base;
}

int32_t yomo_message_direct(const yomo_message *message)
{
    return message ? message->direct : 0;
}

int32_t yomo_message_priority(const yomo_message *message)
{
    return message ? message->priority : YOMO_NORMAL;
}

const char *yomo_message_text(const yomo_message *message)
{
    return message ? message->text : "";
}

const char *yomo_message_event(const yomo_message *message)
{
    return message ? message->event : "";
}

const char *yomo_message_from(const yomo_message *message)
{
    return message ? message->from : "";
}

uint64_t yomo_message_session(const yomo_message *message)
{
    return message ? message->session : 0;
}

const void *yomo_message_data(const yomo_message *message, size_t *size)
{
    if (size) {
        *size = message ? message->size : 0;
    }
    return message ? message->data : "";
}

int32_t yomo_message_encoding(const yomo_message *message)
{
    return message ? message->encoding : YOMO_JSON;
}

int32_t yomo_message_delivery(const yomo_message *message)
{
    return message ? message->delivery : YOMO_RELIABLE;
}

uint64_t yomo_message_sequence(const yomo_message *message)
{
    return message ? message->sequence : 0;
}

int32_t yomo_message_past(const yomo_message *message)
{
    return message ? message->past : 0;
}

uint64_t yomo_message_at_ms(const yomo_message *message)
{
    return message ? message->at_ms : 0;
}

const char *yomo_message_json(const yomo_message *message, size_t *size)
{
    const char *json = "null";
    size_t length = 4;
    if (message && message->encoding == YOMO_JSON) {
        json = message->data;
        length = message->size;
    } else if (message) {
        struct yo_buf *out = message->json;
        yo_buf_clear(out);
        yo_buf_append_text(out, "{\"base64\":\"");
        (void)yo_base64_encode(out, yo_span(message->data, message->size));
        yo_buf_append_text(out, "\"}");
        yo_buf_append_byte(out, 0);
        if (!out->failed) {
            json = (const char *)out->data;
            length = out->size - 1;
        }
    }
    if (size) {
        *size = length;
    }
    return json;
}
