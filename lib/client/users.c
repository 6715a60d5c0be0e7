/* SPDX-License-Identifier: MIT */
/* users.c - who is in a room, one person on several devices once.
 *
 * Each entry of the roster is a device of the user with its id. A user is there while
 * one of them is, and shows the state of the device that said something last. Where the
 * server tells no sessions (presencejs), each peer is a user of one device. */
#include "base/check.h"
#include "client/inside.h"
#include "client/peer.h"

struct yomo_users {
    struct yomo_mem mem; /* a copy: they may outlive the client */
    size_t count;
    struct yomo_user list[]; /* and the text that they point to */
};

static struct yo_roster_user *of_link(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_roster_user, order);
}

static const struct yomo_peer *newest(const struct yo_roster_user *user)
{
    return &YO_CONTAINER(user->devices.next, struct yo_roster_entry, of_user)->peer;
}

struct yo_roster_user *yo_roster_user_take(struct yo_roster *roster, struct yo_span id)
{
    struct yo_map_node *node = yo_map_get(&roster->users, id);
    if (node) {
        return YO_CONTAINER(node, struct yo_roster_user, by_id);
    }
    struct yo_roster_user *user =
        yo_calloc(roster->mem, 1, sizeof(*user) + id.size + 1);
    if (!user) {
        return NULL;
    }
    if (id.size > 0) {
        memcpy(user->id, id.data, id.size);
    }
    yo_list_init(&user->devices);
    yo_list_init(&user->order);
    if (yo_map_put(&roster->users, &user->by_id, yo_span(user->id, id.size)) !=
        YOMO_OK) {
        yo_free(roster->mem, user);
        return NULL;
    }
    yo_list_push_back(&roster->user_order, &user->order);
    return user;
}

void yo_roster_user_drop(struct yo_roster *roster, struct yo_roster_user *user)
{
    if (user->count == 0) {
        yo_map_remove(&roster->users, &user->by_id);
        yo_list_remove(&user->order);
        yo_free(roster->mem, user);
    }
}

/* --- for the program ----------------------------------------------------------------
 */

const char *yomo_user_id(const yomo_user *user)
{
    return user ? user->id : "";
}

uint64_t yomo_user_devices(const yomo_user *user)
{
    return user ? user->devices : 0;
}

const char *yomo_user_state(const yomo_user *user, size_t *size)
{
    if (size) {
        *size = user ? user->state_size : 2;
    }
    return user ? user->state : "{}";
}

size_t yomo_users_count(const yomo_users *users)
{
    return users ? users->count : 0;
}

const yomo_user *yomo_users_at(const yomo_users *users, size_t index)
{
    return users && index < users->count ? &users->list[index] : NULL;
}

void yomo_users_free(yomo_users *users)
{
    if (users) {
        struct yomo_mem mem = users->mem;
        yo_free(&mem, users);
    }
}

static size_t copy_size(const struct yo_roster *roster)
{
    size_t size = sizeof(struct yomo_users);
    for (const struct yo_link *link = roster->user_order.next;
         link != &roster->user_order; link = link->next) {
        const struct yomo_peer *peer = newest(of_link(link));
        size += sizeof(struct yomo_user) + peer->id_size + 1 + peer->state_size + 1;
    }
    return size;
}

static void *copy(const struct yo_roster *roster, const struct yomo_mem *mem,
                  void *memory)
{
    struct yomo_users *users = memory;
    users->mem = *mem;
    users->count = roster->users.count;
    struct yomo_user *to = users->list;
    char *at = (char *)&users->list[users->count];
    for (const struct yo_link *link = roster->user_order.next;
         link != &roster->user_order; link = link->next, to++) {
        const struct yomo_peer *peer = newest(of_link(link));
        *to = (struct yomo_user){.devices = of_link(link)->count,
                                 .state_size = peer->state_size};
        to->id = memcpy(at, peer->id, peer->id_size + 1);
        at += peer->id_size + 1;
        to->state = memcpy(at, peer->state, peer->state_size + 1);
        at += peer->state_size + 1;
    }
    return users;
}

int32_t yomo_room_users(yomo_room *room, yomo_users **out)
{
    YO_REQUIRE(room && out);
    void *users = NULL;
    int rv = yo_room_copy(room, copy_size, copy, &users);
    if (rv == YOMO_OK) {
        *out = users;
    }
    return rv;
}
