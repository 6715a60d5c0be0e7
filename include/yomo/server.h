/* SPDX-License-Identifier: MIT */
#ifndef YOMO_SERVER_H
#define YOMO_SERVER_H

/** @file server.h
 * The backend, embeddable: one port for WebTransport (UDP) and WebSocket (TCP), rooms,
 * and hooks for the program around it.
 *
 * A server runs on threads of its own, one for each worker. Hooks run on these threads,
 * several at once; they must not wait. Every call here may come from any thread, also
 * from a hook, and none waits for the network; yomo_server_listen waits for the workers
 * to stand. */

#include <yomo/options.h>
#include <yomo/request.h>
#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A connection that asks to come in. */
typedef struct yomo_auth yomo_auth;

/** A member of a room, as hooks see it. */
typedef struct yomo_member yomo_member;

/** Whom a message names, as on_message sees it. */
typedef struct yomo_addressees yomo_addressees;

/** Something that happened in a room (host.h). */
typedef struct yomo_event yomo_event;

/** What an authenticate hook may answer besides YOMO_OK and an error: later, from any
 * thread, with yomo_auth_accept or yomo_auth_refuse. */
#define YOMO_LATER 1

/** What a server asks and tells its program. Any member may be NULL. */
typedef struct yomo_server_callbacks {
    uint32_t size; /**< sizeof(yomo_server_callbacks) */

    /** May this connection come in? YOMO_OK, an error (refused for good), or YOMO_LATER,
     * after which `auth` stays valid until it is answered. */
    int32_t (*authenticate)(void *user, yomo_auth *auth);

    /** May this member join? YOMO_OK or an error, which the client is told. */
    int32_t (*on_join)(void *user, const yomo_member *member);

    /** It left, or its connection ended. */
    void (*on_leave)(void *user, const yomo_member *member);

    /** May this message be relayed? YOMO_OK; an error drops it, and a sender that asked
     * is told. `data` are JSON text or bytes (`encoding`), lent for the call. Called for
     * every message: leave it NULL unless it is needed. yomo_member_to says whom it is
     * for; one that names nobody is for this program and goes no further. */
    int32_t (*on_message)(void *user, const yomo_member *member, const char *event,
                          const void *data, size_t size, int32_t encoding);

    /** The server is over. Exactly once, last, on a thread of the server's. */
    void (*on_closed)(void *user, yomo_server *server);

    /** A member asks this program (yomo_room_request to the server). Answer inside with
     * yomo_request_reply or yomo_request_refuse, or keep `request` and answer later, from
     * any thread: in both cases return YOMO_LATER. YOMO_OK answers `null`, an error
     * refuses; `request` is then gone. `data` are JSON text or bytes, lent for the call.
     * NULL: nobody is there to be asked, which the member is told (NOT_FOUND). A
     * connection may have `requests-max` waiting; past that it is told FULL. A kept
     * request outlives connection and server: the answer then goes nowhere. */
    int32_t (*on_request)(void *user, const yomo_member *member, const char *event,
                          const void *data, size_t size, int32_t encoding,
                          yomo_request *request);

    /** Something happened in a room (host.h): somebody came or left, it opened or closed, a
     * shared value changed. It is what webhooks tell, and comes whether there are any or
     * not. Those of one room come in their order, on the thread of its home; those of
     * different rooms on several at once. The room waits: do not. Calls for rooms made
     * inside take effect after it. */
    void (*on_event)(void *user, const yomo_event *event);
} yomo_server_callbacks;

/** A new server, not listening yet.
 *
 * Ownership: `options` and `callbacks` (may be NULL) are copied; `*out` is the caller's,
 *            for yomo_server_free.
 * Errors:    INVALID, OPTION, NOMEM. */
YOMO_API int32_t yomo_server_create(yomo_server **out, const yomo_options *options,
                                    const yomo_server_callbacks *callbacks, void *user);

/** Take the port and start the workers. Returns when connections are accepted, or with
 * an error after which the server can only be freed: IN_USE, FILE and TLS_SETUP
 * (certificate or key), OPTION (an open server that is not on loopback), SYSTEM, NOMEM,
 * STATE. yomo_server_error has the sentence. */
YOMO_API int32_t yomo_server_listen(yomo_server *server);

/** One sentence about the last call that failed; "" when none did. Valid until the next
 * call. */
YOMO_API const char *yomo_server_error(const yomo_server *server);

/** The port that is listened on (UDP and TCP), and the plain-HTTP one; 0 when none. */
YOMO_API uint16_t yomo_server_port(const yomo_server *server);
YOMO_API uint16_t yomo_server_http_port(const yomo_server *server);

/** What it listens on, as one JSON object in one line: `port`, `http_port`, `addresses`,
 * `certificate_sha256` (hexadecimal), `development`, `workers`, `pid`. Valid as long as
 * the server, after yomo_server_listen. */
YOMO_API const char *yomo_server_listening(const yomo_server *server);

/** Read certificate and key again, the keys for tokens, and the secrets of operators and
 * webhooks: all of them, or after an error none. Connections that stand go on.
 * Errors: FILE and TLS_SETUP, with what was in use still in use; STATE. */
YOMO_API int32_t yomo_server_reload(yomo_server *server);

/** The same, and take the options that may change while a server runs (docs/options.md,
 * column "live"; yomo_option_is_live) from `options`, which is copied; one that is not set
 * there has its default again. Of the log only the level is taken. Rates, queue sizes and
 * limits of members and histories count for connections and rooms that begin from then on,
 * those of webhooks from the next attempt on, everything else at once; no connection ends.
 * Whether there are `keys`, or webhooks, at all cannot change. What differs otherwise is named in the log: it needs a restart.
 * Errors: OPTION, FILE, TLS_SETUP and NOMEM, with all options as they were and a sentence in
 * yomo_server_error; STATE, INVALID. Thread: any, one at a time. */
YOMO_API int32_t yomo_server_reload_options(yomo_server *server,
                                            const yomo_options *options);

/** Send to everybody in a room, without being in it. `app` NULL is the one application
 * of a server without keys. `from` is the user id that receivers see. Nothing happens
 * when the room does not exist.
 * Errors: INVALID, JSON, TOO_BIG, STATE, NOMEM. */
YOMO_API int32_t yomo_server_publish(yomo_server *server, const char *app, const char *room,
                                     const char *from, const char *event, const void *data,
                                     size_t size, int32_t encoding, int32_t delivery);

/** What /metrics says: Prometheus text. Ownership: copied into `out` as far as `size`
 * goes, with a NUL; `*needed` (may be NULL) is the whole size without it. */
YOMO_API int32_t yomo_server_metrics(yomo_server *server, char *out, size_t size,
                                     size_t *needed);

/** Take no new connections, tell the clients to come back later, or elsewhere if the
 * option `drain-url` says where, and close when they have gone or after `grace_ms`.
 * on_closed follows. */
YOMO_API void yomo_server_drain(yomo_server *server, uint32_t grace_ms);

/** Close now. on_closed follows. */
YOMO_API void yomo_server_close(yomo_server *server);

/** Give the handle back. Closes first if needed and waits until the workers have ended,
 * unless called from a hook, where the last worker frees it. Accepts NULL. */
YOMO_API void yomo_server_free(yomo_server *server);

YOMO_API void *yomo_server_user(const yomo_server *server);

/** @name A connection that asks to come in @{ */
YOMO_API const char *yomo_auth_id(const yomo_auth *auth);         /**< claimed, or made */
YOMO_API const char *yomo_auth_public_key(const yomo_auth *auth); /**< "" when none */
YOMO_API const char *yomo_auth_token(const yomo_auth *auth);      /**< "" when none */
YOMO_API const char *yomo_auth_origin(const yomo_auth *auth);     /**< "" when none */
/** "192.0.2.1:50000"; without a port where a trusted proxy told it. */
YOMO_API const char *yomo_auth_address(const yomo_auth *auth);
YOMO_API int32_t yomo_auth_transport(const yomo_auth *auth);
/** Let it in under another id than it claimed, or into another application. Before the
 * answer. Errors: INVALID, NOMEM. */
YOMO_API int32_t yomo_auth_set_id(yomo_auth *auth, const char *id);
YOMO_API int32_t yomo_auth_set_app(yomo_auth *auth, const char *app);
/** What everybody in its rooms is told of it, and what it cannot change itself: a JSON object
 * of at most 4,096 bytes (as MessagePack), in place of what its token says
 * (`yomo.data`). Before the answer. Errors: INVALID, JSON, TOO_BIG, NOMEM. */
YOMO_API int32_t yomo_auth_set_data(yomo_auth *auth, const char *json);
/** The answers to YOMO_LATER; `auth` is gone after either. Thread: any. */
YOMO_API void yomo_auth_accept(yomo_auth *auth);
YOMO_API void yomo_auth_refuse(yomo_auth *auth, int32_t error);
/** @} */

/** @name A member, inside a hook @{ */
YOMO_API const char *yomo_member_id(const yomo_member *member);
YOMO_API uint64_t yomo_member_session(const yomo_member *member);
YOMO_API const char *yomo_member_room(const yomo_member *member);
YOMO_API const char *yomo_member_app(const yomo_member *member);
YOMO_API const char *yomo_member_address(const yomo_member *member);
/** Inside on_message: whom the message is for. NULL: everybody else in the room; with a
 * count of 0: this program. Lent for the call. */
YOMO_API const yomo_addressees *yomo_member_to(const yomo_member *member);
YOMO_API size_t yomo_addressees_count(const yomo_addressees *to);
/** The index-th: a session, or (then 0) all devices of a user. */
YOMO_API uint64_t yomo_addressees_session(const yomo_addressees *to, size_t index);
YOMO_API const char *yomo_addressees_user(const yomo_addressees *to, size_t index);
/** @} */

#ifdef __cplusplus
}
#endif

#endif
