/* SPDX-License-Identifier: MIT */
/* bans.h - who may not come in for a time: users and addresses, of an application or of
 * one room of it.
 *
 * One table for all workers, under a lock of its own, which is asked when somebody
 * comes and when a room is joined; without a ban nobody takes it. Bounded: past `max` a
 * new ban is refused. Time is yo_steady_ms: a ban lasts as long as it was made for,
 * whatever happens to the wall clock; files and lists say what that is by the wall
 * clock. Thread: any. */
#ifndef YO_SERVER_BANS_H
#define YO_SERVER_BANS_H

#include "base/buf.h"
#include "base/span.h"
#include "loop/network.h"

struct yo_bans;

#define YO_BAN_REASON_MAX 255u /* bytes of it */

/* Who is banned, and from where. Either `user` is there or `network` counts. */
struct yo_ban_who {
    struct yo_span app, room; /* room absent: from the whole application */
    struct yo_span user;
    struct yo_network network;
};

struct yo_ban {
    struct yo_ban_who who;
    uint64_t until_ms;  /* by yo_steady_ms; UINT64_MAX: no end */
    uint64_t length_ms; /* for how long it was made */
    struct yo_span reason;
};

/* YOMO_ERR_NOMEM. */
int yo_bans_create(struct yo_bans **out, const struct yomo_mem *mem, size_t max);
void yo_bans_free(struct yo_bans *bans); /* accepts NULL */

/* Ban, or let an older ban of the same end when this one says. YOMO_ERR_FULL,
 * YOMO_ERR_NOMEM; the table is then as it was. */
int yo_bans_put(struct yo_bans *bans, const struct yo_ban *ban, uint64_t now_ms);

/* YOMO_ERR_NOT_FOUND. */
int yo_bans_remove(struct yo_bans *bans, const struct yo_ban_who *who, uint64_t now_ms);

/* May `user` at `ip` (NULL: not known) not come into `room` (absent: into the
 * application at all)? A ban from the application is not looked for with a room. */
bool yo_bans_have(struct yo_bans *bans, struct yo_span app, struct yo_span room,
                  struct yo_span user, const struct yo_ip *ip, uint64_t now_ms);

/* "192.0.2.1", "2001:db8::/64" (bans_file.c). */
#define YO_NETWORK_TEXT_SIZE (YO_IP_TEXT_SIZE + 5)
void yo_ban_print_network(const struct yo_network *network,
                          char out[YO_NETWORK_TEXT_SIZE]);

/* What a ban is known by, for lists and files: an application's bans stand together.
 * Returns its size. */
#define YO_BAN_KEY_MAX (2 * 256 + 1 + 256)
size_t yo_ban_key(uint8_t out[YO_BAN_KEY_MAX], const struct yo_ban_who *who);

/* Each that counts now, in no order, under the lock: `see` must not come back here. */
void yo_bans_each(struct yo_bans *bans, uint64_t now_ms,
                  void (*see)(void *user, const struct yo_ban *ban), void *user);
size_t yo_bans_count(struct yo_bans *bans, uint64_t now_ms);

/* When a ban ends by the wall clock, as it stands now (bans_file.c). */
uint64_t yo_ban_wall_end(const struct yo_ban *ban);

#endif
