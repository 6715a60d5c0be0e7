/* SPDX-License-Identifier: MIT */
/* roster.h - a client's mirror of who is in one room.
 *
 * The server holds the truth. Each connection brings it anew: what was seen under an
 * earlier connection stays until the new one has told everything, so that only the
 * differences need to be told. A member is known by its session; where the server tells
 * none (presencejs), by its id.
 *
 * Pure. Entries are immutable: a new state is a new entry. */
#ifndef YO_CLIENT_ROSTER_H
#define YO_CLIENT_ROSTER_H

#include <yomo/client.h>

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

#define YO_ROSTER_MAX 100000 /* members mirrored in one room; more are not shown */

struct yomo_peer {
    uint64_t session, since_ms;
    const char *id;    /* NUL behind each of these */
    const char *state; /* JSON */
    const char *data;  /* JSON: what its token says of it */
    const void *bytes; /* NULL unless it set bytes */
    size_t id_size, state_size, data_size, bytes_size;
    bool stale; /* its connection broke */
};

struct yomo_user {
    uint64_t devices;
    const char *id, *state; /* NUL behind each */
    size_t state_size;
};

/* All entries with one id (users.c). */
struct yo_roster_user {
    struct yo_map_node by_id;
    struct yo_link order;   /* the one that came first, first */
    struct yo_link devices; /* of yo_roster_entry.of_user, the newest first */
    size_t count;
    char id[];
};

struct yo_roster_entry {
    struct yomo_peer peer;
    struct yo_map_node node;
    struct yo_link order; /* the one that joined first, first */
    struct yo_link of_user;
    struct yo_roster_user *user; /* whose it is, once it was put */
    uint64_t seen;        /* the roster's round when it was last told of */
    char text[];          /* key, id, state, bytes */
};

struct yo_roster {
    const struct yomo_mem *mem;
    struct yo_map members;
    struct yo_map users; /* by id */
    struct yo_link order, user_order;
    uint64_t round; /* one for each connection */
};

void yo_roster_init(struct yo_roster *roster, const struct yomo_mem *mem);
void yo_roster_finish(struct yo_roster *roster);

/* A new connection begins to tell who is there. */
void yo_roster_begin(struct yo_roster *roster);

/* An entry to be put. `payload` is a state (one MessagePack map) or absent, and so is
 * `data`, which is then that of `old`; `old` may be NULL.
 * YOMO_ERR_NOMEM, YOMO_ERR_MALFORMED. */
int yo_roster_entry_create(const struct yo_roster *roster, struct yo_roster_entry **out,
                           uint64_t session, struct yo_span id, struct yo_span payload,
                           struct yo_span data, const struct yo_roster_entry *old,
                           uint64_t since_ms);
void yo_roster_entry_destroy(const struct yo_roster *roster,
                             struct yo_roster_entry *entry);

struct yo_roster_entry *yo_roster_find(const struct yo_roster *roster, uint64_t session,
                                       struct yo_span id);

/* Would putting `entry` beside or in place of `old` (NULL: there is none) tell nothing
 * new? */
bool yo_roster_same(const struct yo_roster_entry *old,
                    const struct yo_roster_entry *entry);

/* Put `entry` in the place of `old`, which is then the caller's and has the same id, or
 * at the end when `old` is NULL. The roster owns it. YOMO_ERR_NOMEM and YOMO_ERR_FULL
 * only without `old`. */
int yo_roster_put(struct yo_roster *roster, struct yo_roster_entry *old,
                  struct yo_roster_entry *entry);

/* It was told of again, with nothing new. */
void yo_roster_touch(struct yo_roster *roster, struct yo_roster_entry *entry);

/* Take it out; it is the caller's. */
void yo_roster_remove(struct yo_roster *roster, struct yo_roster_entry *entry);

/* The user with this id, made if it is new: then with no device, to be dropped unless it
 * gets one. NULL: no memory. */
struct yo_roster_user *yo_roster_user_take(struct yo_roster *roster, struct yo_span id);
void yo_roster_user_drop(struct yo_roster *roster, struct yo_roster_user *user);

/* The members as a copy for the program: how many bytes it takes, and the copying into
 * memory of that size. */
size_t yo_roster_copy_size(const struct yo_roster *roster);
yomo_peers *yo_roster_copy(const struct yo_roster *roster, const struct yomo_mem *mem,
                           void *memory);

#endif
