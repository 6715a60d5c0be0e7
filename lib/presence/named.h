/* SPDX-License-Identifier: MIT */
/* named.h - the members that a message names: by session, or by user id.
 *
 * A user id names every member of that user, and the presencejs members that show
 * themselves under it as their label, since that is all that others know of them. However
 * often somebody is named he is found once, and however many devices a user has, a second
 * mention of it costs nothing. */
#ifndef YO_PRESENCE_NAMED_H
#define YO_PRESENCE_NAMED_H

#include "base/buf.h"
#include "presence/room.h"

/* All members of one user. */
struct yo_user {
    struct yo_map_node by_id;
    struct yo_link members; /* of yo_member.same_user, the one that came first, first */
    size_t count;
    uint64_t mark; /* yo_room.mark when it was named last */
    size_t size;
    char id[]; /* NUL behind it */
};

/* Between room.c and named.c. A user that is made is in the map already; one with
 * nobody is dropped. NULL: out of memory. */
struct yo_user *yo_user_take(struct yo_room *room, struct yo_span id);
void yo_user_drop_if_empty(struct yo_room *room, struct yo_user *user);
void yo_user_enter(struct yo_user *user, struct yo_member *member);
void yo_user_leave(struct yo_room *room, struct yo_member *member);

struct yo_user *yo_user_find(const struct yo_room *room, struct yo_span id);

/* A new message: nobody is named yet. */
void yo_named_begin(struct yo_room *room);

/* Append to `out` (struct yo_member *) who is named now and was not before; nobody, when
 * there is no such member. YOMO_ERR_NOMEM. */
int yo_named_session(struct yo_room *room, uint64_t session, struct yo_buf *out);
int yo_named_user(struct yo_room *room, struct yo_span id, struct yo_buf *out);

#endif
