/* SPDX-License-Identifier: MIT */
/* listen.c - subscriptions, and the members as a copy. */
#include "base/check.h"
#include "base/text.h"
#include "client/inside.h"
#include "client/peer.h"

static struct yo_subscription *make(struct yomo_room *room, struct yo_span event,
                                    yomo_message_fn fn, void *user)
{
    struct yo_subscription *subscription =
        yo_calloc(&room->client->mem, 1, sizeof(*subscription) + event.size);
    if (subscription) {
        subscription->fn = fn;
        subscription->user = user;
        subscription->event_size = event.size;
        if (event.size > 0) {
            memcpy(subscription->event, event.data, event.size);
        }
    }
    return subscription;
}

/* With the lock. */
static int add(struct yomo_room *room, struct yo_subscription *subscription,
               uint64_t *number)
{
    if (room->over || room->client->closing) {
        return YOMO_ERR_CLOSED;
    }
    if (room->subscription_count >= YO_ROOM_SUBSCRIPTIONS_MAX) {
        return YOMO_ERR_FULL;
    }
    subscription->number = ++room->client->next_number;
    if (number) {
        *number = subscription->number;
    }
    room->subscription_count++;
    yo_list_push_back(&room->subscriptions, &subscription->link);
    return YOMO_OK;
}

int32_t yomo_room_subscribe(yomo_room *room, const char *event, yomo_message_fn fn,
                            void *user, uint64_t *subscription)
{
    YO_REQUIRE(room && fn);
    struct yo_span name = yo_span_of(event);
    YO_REQUIRE(!event || (name.size > 0 && name.size <= YO_EVENT_SIZE_MAX &&
                          yo_utf8_valid(name)));
    struct yo_subscription *made = make(room, name, fn, user);
    if (!made) {
        return YOMO_ERR_NOMEM;
    }
    yo_client_lock(room->client);
    int rv = add(room, made, subscription);
    yo_client_unlock(room->client);
    if (rv != YOMO_OK) {
        yo_free(&room->client->mem, made);
    }
    return rv;
}

/* With the lock. */
static struct yo_subscription *find(const struct yomo_room *room, uint64_t number)
{
    YO_LIST_EACH(link, next, &room->subscriptions) {
        struct yo_subscription *subscription =
            YO_CONTAINER(link, struct yo_subscription, link);
        if (subscription->number == number && !subscription->dead) {
            return subscription;
        }
    }
    return NULL;
}

int32_t yomo_room_unsubscribe(yomo_room *room, uint64_t number)
{
    YO_REQUIRE(room);
    yo_client_lock(room->client);
    struct yo_subscription *subscription = find(room, number);
    bool telling = room->telling > 0;
    int rv = subscription ? YOMO_OK : room->over ? YOMO_ERR_CLOSED : YOMO_ERR_NOT_FOUND;
    if (subscription) {
        subscription->dead = true;
        room->subscription_count--;
        if (!telling) {
            yo_list_remove(&subscription->link);
        }
    }
    yo_client_unlock(room->client);
    if (!telling) {
        yo_free(&room->client->mem, subscription);
    }
    return rv;
}

int yo_room_copy(const struct yomo_room *room,
                 size_t (*size)(const struct yo_roster *roster),
                 void *(*copy)(const struct yo_roster *roster, const struct yomo_mem *mem,
                               void *memory),
                 void **out)
{
    const struct yomo_client *client = room->client;
    void *memory = NULL;
    size_t have = 0;
    for (;;) {
        yo_client_lock(client);
        size_t need = size(&room->roster);
        bool over = room->over;
        if (!over && memory && need <= have) {
            *out = copy(&room->roster, &client->mem, memory);
            yo_client_unlock(client);
            return YOMO_OK;
        }
        yo_client_unlock(client);
        yo_free(&client->mem, memory);
        if (over) {
            return YOMO_ERR_CLOSED;
        }
        have = need;
        memory = yo_malloc(&client->mem, have);
        if (!memory) {
            return YOMO_ERR_NOMEM;
        }
    }
}

static void *copy_peers(const struct yo_roster *roster, const struct yomo_mem *mem,
                        void *memory)
{
    return yo_roster_copy(roster, mem, memory);
}

int32_t yomo_room_peers(yomo_room *room, yomo_peers **out)
{
    YO_REQUIRE(room && out);
    void *peers = NULL;
    int rv = yo_room_copy(room, yo_roster_copy_size, copy_peers, &peers);
    if (rv == YOMO_OK) {
        *out = peers;
    }
    return rv;
}
