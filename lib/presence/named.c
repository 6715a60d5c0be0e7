/* SPDX-License-Identifier: MIT */
/* named.c - invariants: each member is in the list of the user whose id it has; no user
 * in the map is empty but while a member is let in. */
#include "presence/named.h"

#include <yomo/error.h>

#include "base/check.h"
#include "base/mem.h"

struct yo_user *yo_user_find(const struct yo_room *room, struct yo_span id)
{
    struct yo_map_node *node = yo_map_get(&room->users, id);

    return node ? YO_CONTAINER(node, struct yo_user, by_id) : NULL;
}

struct yo_user *yo_user_take(struct yo_room *room, struct yo_span id)
{
    struct yo_user *user = yo_user_find(room, id);

    if (user) {
        return user;
    }
    user = yo_calloc(room->mem, 1, sizeof(*user) + id.size + 1);
    if (!user) {
        return NULL;
    }
    yo_list_init(&user->members);
    user->size = id.size;
    if (id.size > 0) {
        memcpy(user->id, id.data, id.size);
    }
    if (yo_map_put(&room->users, &user->by_id, yo_span(user->id, user->size)) !=
        YOMO_OK) {
        yo_free(room->mem, user);
        return NULL;
    }
    return user;
}

void yo_user_drop_if_empty(struct yo_room *room, struct yo_user *user)
{
    if (user->count == 0) {
        yo_map_remove(&room->users, &user->by_id);
        yo_free(room->mem, user);
    }
}

void yo_user_enter(struct yo_user *user, struct yo_member *member)
{
    member->user = user;
    yo_list_push_back(&user->members, &member->same_user);
    user->count++;
}

void yo_user_leave(struct yo_room *room, struct yo_member *member)
{
    struct yo_user *user = member->user;

    yo_list_remove(&member->same_user);
    member->user = NULL;
    user->count--;
    yo_user_drop_if_empty(room, user);
}

/* --- naming --- */

void yo_named_begin(struct yo_room *room)
{
    room->mark++;
}

static int name(struct yo_room *room, struct yo_member *member, struct yo_buf *out)
{
    if (!member || member->mark == room->mark) {
        return YOMO_OK;
    }
    member->mark = room->mark;
    return yo_buf_append(out, &member, sizeof(member));
}

int yo_named_session(struct yo_room *room, uint64_t session, struct yo_buf *out)
{
    return name(room, yo_room_find(room, session), out);
}

int yo_named_user(struct yo_room *room, struct yo_span id, struct yo_buf *out)
{
    struct yo_user *user = yo_user_find(room, id);
    struct yo_member *member = NULL;
    int rv = YOMO_OK;

    if (user && user->mark != room->mark) {
        user->mark = room->mark;
        for (struct yo_link *link = user->members.next;
             rv == YOMO_OK && link != &user->members; link = link->next) {
            rv = name(room, YO_CONTAINER(link, struct yo_member, same_user), out);
        }
    }
    while (rv == YOMO_OK && (member = yo_room_next_same_label(room, id, member))) {
        if (member->presencejs) {
            rv = name(room, member, out);
        }
    }
    return rv;
}
