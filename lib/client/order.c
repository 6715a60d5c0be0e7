/* SPDX-License-Identifier: MIT */
/* order.c - what a program with the right `admin` in a room does to others in it.
 *
 * The happy path: an order waits until its room is joined, is given, and the server
 * confirms that it is done everywhere: on_sent with 0. Possible failure modes: the
 * server refuses it (DENIED, ...); the connection ends before it was confirmed (UNSURE:
 * it may have been done); the server knows no orders (STATE); the room is over. */
#include "base/check.h"
#include "client/inside.h"
#include "wire/limits.h"

#define ORDERS_MAX 64 /* of one room at a time */
#define REASON_MAX 255u

struct order {
    struct yo_letter letter;
    struct yo_link link; /* in room->orders */
    struct yomo_room *room;
    enum yo_op op;
    uint64_t number, session, ms;
    struct yo_span id, reason; /* absent, or in `text` */
    bool told, given;          /* the program wants to know; it is under way */
    uint8_t text[];
};

static struct order *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct order, link);
}

static void destroy(struct order *order)
{
    struct yomo_room *room = order->room;
    yo_client_lock(room->client);
    room->order_count--;
    yo_client_unlock(room->client);
    yo_list_remove(&order->link);
    yo_free(&room->client->mem, order);
    yomo_room_unref(room);
}

static void done(struct order *order, int error)
{
    struct yomo_room *room = order->room;
    struct yomo_client *client = room->client;
    uint64_t number = order->told ? order->number : 0;
    yo_list_remove(&order->link);
    if (number != 0 && client->on.on_sent) {
        client->on.on_sent(client->user, room, number, error);
    }
    destroy(order);
}

/* --- the calls ------------------------------------------------------------------- */

static void open_order(struct yo_letter *letter, void *user, yo_time now)
{
    struct order *order = YO_CONTAINER(letter, struct order, letter);
    struct yomo_room *room = order->room;
    (void)user, (void)now;
    if (room->state == YO_ROOM_OVER) {
        destroy(order); /* on_left was the last word */
        return;
    }
    yo_list_push_back(&room->orders, &order->link);
    yo_room_push(room);
}

static void discard_order(struct yo_letter *letter)
{
    destroy(YO_CONTAINER(letter, struct order, letter));
}

static struct order *make(struct yomo_room *room, const struct yo_message *what)
{
    size_t id = what->peer.size, reason = what->text.size;
    struct order *order =
        yo_calloc(&room->client->mem, 1, sizeof(*order) + id + reason);
    if (!order) {
        return NULL;
    }
    order->letter = (struct yo_letter){.open = open_order, .discard = discard_order};
    yo_list_init(&order->link);
    order->room = room;
    order->op = what->op;
    order->session = what->session;
    order->ms = what->timestamp;
    if (id > 0) {
        memcpy(order->text, what->peer.data, id);
        order->id = yo_span(order->text, id);
    }
    if (reason > 0) {
        memcpy(order->text + id, what->text.data, reason);
        order->reason = yo_span(order->text + id, reason);
    }
    return order;
}

static int give(struct yomo_room *room, const struct yo_message *what, uint64_t *number)
{
    struct yomo_client *client = room->client;
    struct order *order;
    int rv = YOMO_OK;
    YO_REQUIRE(!what->peer.data || yo_client_name_valid(what->peer, YO_ID_SIZE_MAX));
    YO_REQUIRE(what->text.size == 0 || yo_client_name_valid(what->text, REASON_MAX));
    order = make(room, what);
    if (!order) {
        return YOMO_ERR_NOMEM;
    }
    yo_client_lock(client);
    if (yo_room_closed(room)) {
        rv = YOMO_ERR_CLOSED;
    } else if (room->order_count >= ORDERS_MAX) {
        rv = YOMO_ERR_FULL;
    } else {
        room->order_count++;
        order->number = ++client->next_number;
        order->told = number != NULL;
        if (number) {
            *number = order->number;
        }
        yomo_room_ref(room);
        yo_client_post(client, &order->letter);
    }
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        yo_free(&client->mem, order);
    }
    return rv;
}

int32_t yomo_room_kick(yomo_room *room, const char *id, uint64_t session,
                       const char *reason, uint64_t *number)
{
    YO_REQUIRE(room && (id || session != 0));
    return give(room,
                &(struct yo_message){.op = YO_OP_KICK,
                                     .peer = yo_span_of(id),
                                     .session = session,
                                     .text = yo_span_of(reason)},
                number);
}

int32_t yomo_room_ban(yomo_room *room, const char *id, uint64_t ms, const char *reason,
                      uint64_t *number)
{
    YO_REQUIRE(room && id && ms > 0);
    return give(room,
                &(struct yo_message){.op = YO_OP_BAN,
                                     .peer = yo_span_of(id),
                                     .timestamp = ms,
                                     .text = yo_span_of(reason)},
                number);
}

int32_t yomo_room_close_for_all(yomo_room *room, const char *reason, uint64_t *number)
{
    YO_REQUIRE(room);
    return give(room,
                &(struct yo_message){.op = YO_OP_CLOSE, .text = yo_span_of(reason)},
                number);
}

/* --- the loop's side ------------------------------------------------------------- */

void yo_order_give(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    YO_LIST_EACH(link, next, &room->orders)
    {
        struct order *order = of_link(link);
        if (order->given) {
            continue;
        }
        const struct yo_message message = {.op = order->op,
                                           .channel = room->name,
                                           .peer = order->id,
                                           .session = order->session,
                                           .timestamp = order->ms,
                                           .text = order->reason,
                                           .number = order->number};
        yo_effects_clear(&client->effects);
        int rv = yo_client_order(client->session, &message, &client->effects);
        if (rv == YOMO_OK) {
            order->given = true;
            yo_dispatch(client, now);
        } else {
            done(order, rv);
        }
        if (client->ending || room->state != YO_ROOM_JOINED) {
            return;
        }
    }
}

void yo_order_confirmed(struct yomo_room *room, uint64_t number, int error)
{
    YO_LIST_EACH(link, next, &room->orders)
    {
        if (of_link(link)->number == number && of_link(link)->given) {
            done(of_link(link), error);
            return;
        }
    }
}

void yo_order_lost(struct yomo_room *room)
{
    struct yo_link given, *link;
    yo_list_init(&given);
    YO_LIST_EACH(each, next, &room->orders)
    {
        if (of_link(each)->given) {
            yo_list_remove(each);
            yo_list_push_back(&given, each);
        }
    }
    while ((link = yo_list_pop_front(&given)) != NULL) {
        done(of_link(link), YOMO_ERR_UNSURE);
    }
}

void yo_order_end(struct yomo_room *room, int error)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&room->orders)) != NULL) {
        struct order *order = of_link(link);
        bool did = order->given && order->op == YO_OP_CLOSE && error == YOMO_ERR_KICKED;
        done(order, did            ? YOMO_OK /* who closes goes, too */
                    : order->given ? YOMO_ERR_UNSURE
                                   : YOMO_ERR_CLOSED);
    }
}
