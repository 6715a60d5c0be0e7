/* SPDX-License-Identifier: MIT */
#ifndef YOMO_ADMIN_H
#define YOMO_ADMIN_H

/** @file admin.h
 * What an operator does with a running server: see who is there, put somebody out, keep
 * somebody away for a time, close a room. yomo_server_publish (server.h) speaks into one.
 *
 * Every call may come from any thread, also from a hook, and none waits: what has to be
 * asked of the workers is told to a callback, on a thread of the server's, exactly once
 * unless the call itself returned an error. When the server ends meanwhile the callback
 * gets the error STATE.
 *
 * `app` NULL is the one application of a server without keys. */

#include <yomo/server.h>
#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The port that operators are listened to at (option `admin-port`); 0 when none. */
YOMO_API uint16_t yomo_server_admin_port(const yomo_server *server);

/** It is done, or `error` says why not: to how many connections (yomo_server_kick,
 * yomo_server_ban) or members (yomo_server_close_room) it happened. */
typedef void (*yomo_count_fn)(void *user, int32_t error, uint64_t count);

/** One page of a list, at most 1,000 rows. */
typedef struct yomo_listing yomo_listing;

/** A page, or NULL and an error. Ownership: `page` is lent for the call. */
typedef void (*yomo_listing_fn)(void *user, int32_t error, const yomo_listing *page);

/** Put out a session, or all of a user's, whichever of `session` (0: none) and `id`
 * (NULL: none) is given.
 *
 * With a `room` they leave that room, are told KICKED and `reason` (NULL: none, at most
 * 255 bytes), and may come again. Without one their connection is closed with a code
 * that clients take for final. presencejs knows no way to be put out of one room: its
 * connection is closed in either case, and so is one that is just moving to another
 * network. Who is away, with a seat that is kept, loses the session.
 *
 * Ownership: all texts are copied. `on_done` may be NULL.
 * Errors:    INVALID, STATE, NOMEM. Nobody of that name is no error: the count is 0. */
YOMO_API int32_t yomo_server_kick(yomo_server *server, const char *app, const char *room,
                                  const char *id, uint64_t session, const char *reason,
                                  yomo_count_fn on_done, void *user);

/** Keep a user (`id`), an address (`"192.0.2.1"`, `"2001:db8::/64"`), or both, out of a
 * room, or of the whole application (`room` NULL), for `ms` milliseconds. Who is there is
 * put out as by yomo_server_kick; who comes is refused for good. A ban that is there
 * already ends when this one says. Bans are kept over yomo_server_reload, and over a
 * restart when option `bans-file` names a file.
 *
 * An `id` means something only where it is proven (tokens, a hook); without that, anybody
 * comes back under another.
 *
 * It counts when this returns. `on_done` comes when those who were there are out and, with
 * `bans-file`, when it is on the disk; the disk is waited for by a thread of its own. With
 * its error FILE the ban counts, but the file could not be written: that is tried again
 * every two seconds (`yomo_bans_file_failing` in /metrics).
 *
 * Errors: INVALID, STATE, NOMEM, FULL (option `bans-max`); nothing has changed then. */
YOMO_API int32_t yomo_server_ban(yomo_server *server, const char *app, const char *room,
                                 const char *id, const char *address, uint64_t ms,
                                 const char *reason, yomo_count_fn on_done, void *user);

/** Take a ban back: the same names with which it was made. It counts when this returns;
 * `on_done` (may be NULL) is told how many bans were lifted when that is on the disk, or
 * FILE, as with yomo_server_ban.
 * Errors: INVALID, NOT_FOUND, STATE, NOMEM. */
YOMO_API int32_t yomo_server_unban(yomo_server *server, const char *app, const char *room,
                                   const char *id, const char *address,
                                   yomo_count_fn on_done, void *user);

/** Everybody out of a room, which is then gone, with all that it kept. Members are told
 * KICKED and `reason`; connections of presencejs that are in it are closed for good.
 * Until the last has left nobody is let in.
 * Errors: INVALID, STATE, NOMEM. */
YOMO_API int32_t yomo_server_close_room(yomo_server *server, const char *app,
                                        const char *room, const char *reason,
                                        yomo_count_fn on_done, void *user);

/** The rooms that are open, of one application or of all (`app` NULL), whose names begin
 * with `prefix` (NULL: all). `after` is yomo_listing_next of the page before, or NULL;
 * `max` 0 is 1,000. It looks at every room that there is, a few thousand in a turn: rooms
 * that open or close meanwhile may be in it or not.
 * Errors: INVALID, STATE, NOMEM. */
YOMO_API int32_t yomo_server_list_rooms(yomo_server *server, const char *app,
                                        const char *prefix, const char *after,
                                        uint32_t max, yomo_listing_fn on_page,
                                        void *user);

/** Who is in a room, by session. A room that is not there has nobody in it.
 * Errors: INVALID, STATE, NOMEM. */
YOMO_API int32_t yomo_server_list_members(yomo_server *server, const char *app,
                                          const char *room, const char *after,
                                          uint32_t max, yomo_listing_fn on_page,
                                          void *user);

/** The bans that count, of one application or of all (`app` NULL). `on_page` is called
 * before this returns. Errors: INVALID, NOMEM. */
YOMO_API int32_t yomo_server_list_bans(yomo_server *server, const char *app,
                                       const char *after, uint32_t max,
                                       yomo_listing_fn on_page, void *user);

/** The applications that somebody uses, or did lately, whose names begin with `prefix` (NULL:
 * all): what each has, what it may have, and what it was refused (yomo_listing_app_number).
 * `on_page` is called before this returns. Errors: INVALID, STATE, NOMEM. */
YOMO_API int32_t yomo_server_list_apps(yomo_server *server, const char *prefix,
                                       const char *after, uint32_t max,
                                       yomo_listing_fn on_page, void *user);

/** What is known of an application. Limits are options app-connections-max, app-rooms-max,
 * app-message-rate and app-byte-rate, or its own in app-limits; 0 is none. What was refused
 * is counted until an application has been without connections and rooms for long. */
enum yomo_app_number {
    YOMO_APP_CONNECTIONS = 0,         /**< that stand, on all workers */
    YOMO_APP_ROOMS = 1,               /**< that somebody is in */
    YOMO_APP_CONNECTIONS_MAX = 2,     /**< how many there may be */
    YOMO_APP_ROOMS_MAX = 3,           /**< how many there may be */
    YOMO_APP_MESSAGE_RATE = 4,        /**< messages of members in a second */
    YOMO_APP_BYTE_RATE = 5,           /**< bytes of these in a second */
    YOMO_APP_CONNECTIONS_REFUSED = 6, /**< that were one too many */
    YOMO_APP_ROOMS_REFUSED = 7,       /**< joins that would have been a room too many */
    YOMO_APP_MESSAGES_REFUSED = 8,    /**< past the rate of messages */
    YOMO_APP_BYTES_REFUSED = 9        /**< messages past the rate of bytes */
};

/** @name A page
 * `index` is below yomo_listing_count. Texts are "" and numbers 0 where a list has no
 * such thing. Ownership: as long as the page. @{ */
YOMO_API uint32_t yomo_listing_count(const yomo_listing *page);
/** What to ask for as `after` to have the next page; "" when this is the last. */
YOMO_API const char *yomo_listing_next(const yomo_listing *page);
YOMO_API const char *yomo_listing_app(const yomo_listing *page, uint32_t index);
YOMO_API const char *yomo_listing_room(const yomo_listing *page, uint32_t index);
/** A member's user id, or the banned one. */
YOMO_API const char *yomo_listing_id(const yomo_listing *page, uint32_t index);
/** A member's address with its port, or the banned address or network. */
YOMO_API const char *yomo_listing_address(const yomo_listing *page, uint32_t index);
YOMO_API uint64_t yomo_listing_session(const yomo_listing *page, uint32_t index);
/** A member's transport, one of enum yomo_transport_kind. */
YOMO_API int32_t yomo_listing_transport(const yomo_listing *page, uint32_t index);
/** How many are in the room. */
YOMO_API uint64_t yomo_listing_members(const yomo_listing *page, uint32_t index);
/** How many hear the room unseen (yomo_join_set_observe). */
YOMO_API uint64_t yomo_listing_observers(const yomo_listing *page, uint32_t index);
/** 1 for a member who is not seen in the room. */
YOMO_API int32_t yomo_listing_is_observer(const yomo_listing *page, uint32_t index);
/** When a member joined, in milliseconds since 1970. */
YOMO_API uint64_t yomo_listing_since(const yomo_listing *page, uint32_t index);
/** When a ban ends, in milliseconds since 1970. */
YOMO_API uint64_t yomo_listing_until(const yomo_listing *page, uint32_t index);
/** Of an application: `what` is one of enum yomo_app_number; 0 for another. */
YOMO_API uint64_t yomo_listing_app_number(const yomo_listing *page, uint32_t index,
                                          int32_t what);
YOMO_API const char *yomo_listing_reason(const yomo_listing *page, uint32_t index);
/** @} */

/** What a server said over HTTP (docs/admin.md): its status, and JSON; or an error, and
 * perhaps a sentence. Ownership: `body` (with a NUL behind it) and `text` are lent. */
typedef void (*yomo_answer_fn)(void *user, int32_t error, int32_t status, const char *body,
                               uint64_t size, const char *text);

/** Ask a server somewhere for something of its admin API: `call` is what stands behind
 * /admin/v1/ ("rooms?app=canvas", "kick"), `body` a JSON object for those that change
 * something, else NULL.
 *
 * `options` are a client's: `url` (http or https, host and port), `token` (the secret, or
 * a token that grants admin), `ca`, `cert-hash`, `state-dir`, and `connect-timeout` for
 * all of it. No proxy is asked. An answer may have 32 MiB.
 *
 * Ownership: all is copied.
 * Thread:    any; `on_answer` comes once, on a thread that is made for this.
 * Errors:    INVALID, URL, FILE and TLS_SETUP (what to trust), SYSTEM, NOMEM; on_answer
 *            is then not called. */
YOMO_API int32_t yomo_admin_ask(const yomo_options *options, const char *call,
                                const char *body, yomo_answer_fn on_answer, void *user);

#ifdef __cplusplus
}
#endif

#endif
