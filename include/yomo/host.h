/* SPDX-License-Identifier: MIT */
#ifndef YOMO_HOST_H
#define YOMO_HOST_H

/** @file host.h
 * What the program around a server does in its rooms, without being in them, besides
 * yomo_server_publish (server.h): speak to some members, share values, hear of what
 * happens (`on_event` of yomo_server_callbacks).
 *
 * Every call may come from any thread, also from a hook, and none waits. `app` NULL is the
 * one application of a server without keys. `from` is the user id that members see; the
 * session is 0. */

#include <yomo/server.h>
#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** As yomo_server_publish, to these members only: `sessions`, and all devices of `users`,
 * 1 to 100 together. Who of them is not in the room is passed over. It is told like a
 * message of a member to some others, and joiners do not find it in the history.
 *
 * Ownership: all is copied.
 * Errors:    INVALID, JSON, TOO_BIG, FULL, STATE, NOMEM. */
YOMO_API int32_t yomo_server_publish_to(yomo_server *server, const char *app,
                                        const char *room, const char *from,
                                        const uint64_t *sessions, size_t session_count,
                                        const char *const *users, size_t user_count,
                                        const char *event, const void *data, size_t size,
                                        int32_t encoding, int32_t delivery);

/** @name What a room shares (see client.h)
 *
 * `on_value` (NULL: nobody wants to know; not for yomo_server_get_value) comes once unless the
 * call itself returned an error, on a thread of the server's, which it must not hold up:
 * with YOMO_OK and the version that is there now (0: it is gone), or CONFLICT and the
 * version that is there instead; or NOT_FOUND (no such room is open, there is nothing to
 * delete or to get), TOO_BIG, FULL (`values-max`, `values-memory`; too much waits),
 * STATE (the server ended), NOMEM. `data` is NULL but for yomo_server_get_value, and lent.
 *
 * The bounds are those of members; rates are not asked. Changes are told to members, to
 * on_event and, if they want it, to webhooks, as any others.
 *
 * Ownership: all is copied. Errors: INVALID, JSON, TOO_BIG (option `value-size-max`),
 * STATE, NOMEM. @{ */
typedef void (*yomo_server_value_fn)(void *user, int32_t error, uint64_t version,
                                     const void *data, size_t size, int32_t encoding);

/** The value of `key` is this from now on, whatever it was. */
YOMO_API int32_t yomo_server_set_value(yomo_server *server, const char *app,
                                       const char *room, const char *from,
                                       const char *key, const void *data, size_t size,
                                       int32_t encoding, yomo_server_value_fn on_value,
                                       void *user);

/** The same if its version is `version`, 0: if there is none of that name. */
YOMO_API int32_t yomo_server_set_value_if(yomo_server *server, const char *app,
                                          const char *room, const char *from,
                                          const char *key, const void *data, size_t size,
                                          int32_t encoding, uint64_t version,
                                          yomo_server_value_fn on_value, void *user);

/** There is none of that name any more; if it had version `version`, 0: whatever it had. */
YOMO_API int32_t yomo_server_delete_value(yomo_server *server, const char *app,
                                          const char *room, const char *from,
                                          const char *key, uint64_t version,
                                          yomo_server_value_fn on_value, void *user);

YOMO_API int32_t yomo_server_get_value(yomo_server *server, const char *app,
                                       const char *room, const char *key,
                                       yomo_server_value_fn on_value, void *user);
/** @} */

/** @name Something that happened, inside on_event
 * Texts are "" and numbers 0 where an event has no such thing. Ownership: lent for the
 * call. @{ */
enum yomo_event_kind {
    YOMO_EVENT_MEMBER_JOINED = 0, /**< app, room, id, session */
    YOMO_EVENT_MEMBER_LEFT = 1,   /**< the same, and a reason: who is put out is "kicked" */
    YOMO_EVENT_ROOM_OPENED = 2,   /**< app, room: the first was let in */
    YOMO_EVENT_ROOM_CLOSED = 3,   /**< app, room, reason: it is gone */
    YOMO_EVENT_VALUE_CHANGED = 4  /**< app, room, key, version, who, and what it is now */
};

YOMO_API int32_t yomo_event_kind(const yomo_event *event);
YOMO_API const char *yomo_event_app(const yomo_event *event);
YOMO_API const char *yomo_event_room(const yomo_event *event);
YOMO_API const char *yomo_event_id(const yomo_event *event); /**< a user id */
YOMO_API uint64_t yomo_event_session(const yomo_event *event); /**< 0: not a member */
/** Why: a word of docs/webhooks.md. */
YOMO_API const char *yomo_event_reason(const yomo_event *event);
/** When, in milliseconds since 1970. */
YOMO_API uint64_t yomo_event_at(const yomo_event *event);
/** Of a value: its name, and the place of the change in the room's order. */
YOMO_API const char *yomo_event_key(const yomo_event *event);
YOMO_API uint64_t yomo_event_version(const yomo_event *event);
/** JSON text or bytes, without a NUL behind them; NULL: it was taken away. `size` may be
 * NULL. */
YOMO_API const void *yomo_event_data(const yomo_event *event, size_t *size);
YOMO_API int32_t yomo_event_encoding(const yomo_event *event);
/** @} */

#ifdef __cplusplus
}
#endif

#endif
