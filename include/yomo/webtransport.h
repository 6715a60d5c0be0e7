/* SPDX-License-Identifier: MIT */
#ifndef YOMO_WEBTRANSPORT_H
#define YOMO_WEBTRANSPORT_H

/** @file webtransport.h
 * WebTransport itself, without rooms: sessions with datagrams and streams, for clients
 * and servers (draft-ietf-webtrans-http3; the names are those of W3C's WebTransport).
 *
 * A session begins with a request (CONNECT): a client makes one and connects it, a server
 * gets one and accepts or refuses it. On an open session both sides may send datagrams
 * and open streams. A stream is unidirectional (its opener writes) or bidirectional; each
 * direction ends alone, with FIN or with a code. A session ends with a code and a text.
 *
 * Where callbacks run. A client's: as for yomo_client, chosen by the first of
 * yomo_wt_client_start, _start_on and _poll. A server's: on the worker that has the
 * connection; sessions of one worker never run at the same time. Callbacks come from the
 * loop, never inside the call that caused them, and any call is allowed inside them.
 *
 * Threads. Every call but yomo_wt_client_poll may come from any thread and none waits for
 * the network; what one thread asks for is done in its order. Where a call from another
 * thread cannot know yet what will come of it, it says so with the error.
 *
 * Handles. A session's and a stream's are valid until their on_closed has returned. Who
 * keeps one longer, or uses it on another thread than that of its callbacks, takes a
 * reference with _ref: calls on a handle that is over give YOMO_ERR_CLOSED and do
 * nothing. */

#include <yomo/options.h>
#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct yomo_wt_client yomo_wt_client;   /**< a loop with a client's connections */
typedef struct yomo_wt_request yomo_wt_request; /**< a CONNECT, not answered yet */
typedef struct yomo_wt_session yomo_wt_session;
typedef struct yomo_wt_stream yomo_wt_stream;
typedef struct yomo_wt_end yomo_wt_end; /**< how a session ended, inside on_closed */

/** What a session tells its program. Any member may be NULL. */
typedef struct yomo_wt_session_callbacks {
    uint32_t size; /**< sizeof(yomo_wt_session_callbacks) */

    /** A client's session was accepted. A server's is open from the start. */
    void (*on_open)(void *user, yomo_wt_session *session);

    /** The peer opened a stream. Say who listens with yomo_wt_stream_listen, here: a
     * stream to which nobody listens when this returns is stopped and reset with code 0. */
    void (*on_stream)(void *user, yomo_wt_session *session, yomo_wt_stream *stream);

    /** A datagram came. `data` is lent for the call. */
    void (*on_datagram)(void *user, yomo_wt_session *session, const void *data,
                        size_t size);

    /** What became of the datagram that was sent with `token`: 0 when the peer's QUIC
     * acknowledged it, TIMEOUT when it was lost on the way, AGAIN when it gave way or
     * became too old before it was sent, TOO_BIG when it was sent from another thread
     * and the path has become narrower. */
    void (*on_datagram_fate)(void *user, yomo_wt_session *session, uint64_t token,
                             int32_t error);

    /** After a datagram was refused with AGAIN: there is room again. */
    void (*on_writable)(void *user, yomo_wt_session *session);

    /** The peer would like the session to end soon (DRAIN capsule, or GOAWAY). */
    void (*on_draining)(void *user, yomo_wt_session *session);

    /** The session is over; its streams have had their on_closed. Exactly once, last,
     * also for a client's session that was never accepted. */
    void (*on_closed)(void *user, yomo_wt_session *session, const yomo_wt_end *end);
} yomo_wt_session_callbacks;

/** What a stream tells its program. Any member may be NULL. */
typedef struct yomo_wt_stream_callbacks {
    uint32_t size; /**< sizeof(yomo_wt_stream_callbacks) */

    /** Bytes came, in order; with `fin` nothing follows them (`size` may be 0). Returns
     * how many were taken: the rest is kept, the peer is held back, and what is there is
     * offered again after yomo_wt_stream_resume. NULL takes everything and forgets it. */
    size_t (*on_data)(void *user, yomo_wt_stream *stream, const void *data, size_t size,
                      int32_t fin);

    /** The peer will send nothing more (RESET_STREAM). `code` is what it said, 0 to
     * 4294967295, or -1 when it gave none of WebTransport's codes. */
    void (*on_reset)(void *user, yomo_wt_stream *stream, int64_t code);

    /** The peer reads nothing more (STOP_SENDING); what is written now is thrown away. */
    void (*on_stopped)(void *user, yomo_wt_stream *stream, int64_t code);

    /** After a write that took less than was offered: at least half of the buffer is free
     * again. */
    void (*on_writable)(void *user, yomo_wt_stream *stream);

    /** Everything that was written, FIN included, was acknowledged by the peer's QUIC. */
    void (*on_finished)(void *user, yomo_wt_stream *stream);

    /** Both directions are over. Exactly once, last. */
    void (*on_closed)(void *user, yomo_wt_stream *stream);
} yomo_wt_stream_callbacks;

/** What a full datagram queue does with one datagram more. */
enum yomo_wt_drop {
    YOMO_WT_DROP_OLDEST = 0, /**< the one that has waited longest gives way */
    YOMO_WT_DROP_NEW = 1     /**< the call returns YOMO_ERR_AGAIN; on_writable follows */
};

/** How a session is doing. Times are in microseconds, sizes in bytes; what is not known
 * is 0. Counts are of the session, or of its connection where that says so. */
typedef struct yomo_wt_stats {
    uint32_t size; /**< sizeof(yomo_wt_stats), set by the caller */
    uint32_t path_mtu;             /**< UDP payload that fits */
    uint64_t smoothed_rtt, rtt_variation, min_rtt, latest_rtt; /**< RFC 9002 5 */
    uint64_t congestion_window, bytes_in_flight;               /**< of the connection */
    uint64_t connection_bytes_sent, connection_bytes_received; /**< UDP payload */
    uint64_t packets_sent, packets_received, packets_lost;     /**< of the connection */
    uint64_t bytes_sent, bytes_received; /**< of streams and datagrams, without headers */
    uint64_t streams_opened, streams_accepted;
    uint64_t datagrams_sent, datagrams_received;
    uint64_t datagrams_lost;    /**< sent, and QUIC believes that they did not arrive */
    uint64_t datagrams_dropped; /**< gave way for newer ones */
    uint64_t datagrams_expired; /**< too old before they could be sent */
} yomo_wt_stats;

/** @name A client @{ */

/** A new client: connections to any number of servers, on one loop.
 *
 * Ownership: `options` (client's scope; `url` is not needed) are copied. `on_closed` (may
 *            be NULL) comes once, last, from the loop. `*out` is the caller's, for
 *            yomo_wt_client_free.
 * Errors:    INVALID, OPTION, FILE, TLS_SETUP, NOMEM, SYSTEM. */
YOMO_API int32_t yomo_wt_client_create(yomo_wt_client **out, const yomo_options *options,
                                       void (*on_closed)(void *user,
                                                         yomo_wt_client *client),
                                       void *user);

/** Run it, as yomo_client_start, _start_on, _poll, _fd and _timeout_ms do. */
YOMO_API int32_t yomo_wt_client_start(yomo_wt_client *client);
YOMO_API int32_t yomo_wt_client_start_on(yomo_wt_client *client, struct uv_loop_s *loop);
YOMO_API int32_t yomo_wt_client_poll(yomo_wt_client *client);
YOMO_API int32_t yomo_wt_client_fd(yomo_wt_client *client);
YOMO_API int32_t yomo_wt_client_timeout_ms(yomo_wt_client *client);

/** End its sessions (code 0, no text) and then itself. A second call does nothing. */
YOMO_API void yomo_wt_client_close(yomo_wt_client *client);

/** Give the handle back; closes first if needed, as yomo_client_free does. Accepts NULL. */
YOMO_API void yomo_wt_client_free(yomo_wt_client *client);

/** A request for the session at `url` (`https://host:port/path?query`).
 *
 * Ownership: `*out` is the caller's until yomo_wt_request_connect or _free.
 * Errors:    URL, INVALID, NOMEM. */
YOMO_API int32_t yomo_wt_request_create(yomo_wt_request **out, const char *url);

/** Offer a subprotocol; the first offered is liked best (wt-available-protocols).
 * Errors: INVALID (not printable ASCII, or offered twice), FULL (more than 32), NOMEM. */
YOMO_API int32_t yomo_wt_request_offer(yomo_wt_request *request, const char *protocol);

/** May the session share a connection with others to the same server, where the server
 * negotiated that (W3C: allowPooling)? Off by default. With it on, a session on a
 * connection that has no room for it opens a connection of its own. */
YOMO_API void yomo_wt_request_share(yomo_wt_request *request, int32_t on);

/** Begin. on_open or on_closed follows from the client's loop.
 *
 * Ownership: takes the request, unless it fails. `callbacks` are copied. `*out` (may be
 *            NULL) is the session's handle.
 * Errors:    INVALID, CLOSED (the client is), NOMEM. */
YOMO_API int32_t yomo_wt_request_connect(yomo_wt_request *request, yomo_wt_client *client,
                                         const yomo_wt_session_callbacks *callbacks,
                                         void *user, yomo_wt_session **out);

/** Give back a request that was not connected. Accepts NULL. */
YOMO_API void yomo_wt_request_free(yomo_wt_request *request);
/** @} */

/** @name A server @{ */

/** A request came for a path that was claimed with yomo_server_claim. Accept or refuse
 * it, here or later from any thread; the handle is valid until then. */
typedef void (*yomo_wt_request_fn)(void *user, yomo_wt_request *request);

/** Have WebTransport requests for `path` handed to `on_request`: for that very path, or,
 * when it ends with '/', for all below it; the longest wins. The server's own paths
 * (`/v1`, `/echo`) cannot be claimed. `origins` and the limits on connections apply
 * before; keys, tokens and the authenticate hook do not. A server that drains tells
 * these sessions (on_draining); those that are left when it closes are closed with
 * code 0.
 *
 * Before yomo_server_listen. Thread: see the top; `on_request` runs on the workers.
 * Errors: INVALID, EXISTS, STATE, NOMEM. */
YOMO_API int32_t yomo_server_claim(yomo_server *server, const char *path,
                                   yomo_wt_request_fn on_request, void *user);

/** Let it in. The answer carries the headers that were set.
 *
 * Ownership: takes the request, whatever comes of it. `protocol` is one of the offered, or
 *            NULL. `*out` (may be NULL) is the session, open.
 * Errors:    INVALID (not offered), CLOSED (the client has gone), NOMEM. */
YOMO_API int32_t yomo_wt_request_accept(yomo_wt_request *request, const char *protocol,
                                        const yomo_wt_session_callbacks *callbacks,
                                        void *user, yomo_wt_session **out);

/** Refuse with an HTTP status, 300 to 599, and the headers that were set. Takes the
 * request. Errors: INVALID (it was refused with 500). */
YOMO_API int32_t yomo_wt_request_refuse(yomo_wt_request *request, int32_t status);

/** What was asked for. Texts are valid as long as the request; never NULL. */
YOMO_API const char *yomo_wt_request_authority(const yomo_wt_request *request);
YOMO_API const char *yomo_wt_request_path(const yomo_wt_request *request);
YOMO_API const char *yomo_wt_request_query(const yomo_wt_request *request);
YOMO_API const char *yomo_wt_request_origin(const yomo_wt_request *request);
YOMO_API const char *yomo_wt_request_address(const yomo_wt_request *request);
/** The offered subprotocols in the client's order; NULL past the last. */
YOMO_API const char *yomo_wt_request_offered(const yomo_wt_request *request,
                                             uint32_t index);
/** @} */

/** @name Headers of a request (server, and client before connecting) @{ */

/** Set a header of what is sent: the request at a client, the answer at a server. A name
 * twice is two header lines. `name` is lower case; pseudo-headers, `wt-` and `sec-` names
 * are the library's, as are `host`, `origin` (at a client an option) and what speaks of
 * connections. Errors: INVALID, FULL (more than 20, or than 16 KiB in all), NOMEM. */
YOMO_API int32_t yomo_wt_request_set_header(yomo_wt_request *request, const char *name,
                                            const char *value);

/** Accept with another status than 200: 200 to 299, all of which say yes.
 * Errors: INVALID; also at a client. */
YOMO_API int32_t yomo_wt_request_set_status(yomo_wt_request *request, int32_t status);

/** Headers of what came, pseudo-headers included, in order: name and value by index from
 * 0; NULL past the last. */
YOMO_API const char *yomo_wt_request_header_name(const yomo_wt_request *request,
                                                 uint32_t index);
YOMO_API const char *yomo_wt_request_header_value(const yomo_wt_request *request,
                                                  uint32_t index);
/** @} */

/** @name A session @{ */
YOMO_API yomo_wt_session *yomo_wt_session_ref(yomo_wt_session *session);
YOMO_API void yomo_wt_session_unref(yomo_wt_session *session); /**< accepts NULL */
YOMO_API void *yomo_wt_session_user(const yomo_wt_session *session);

/** The subprotocol that was agreed, "" for none; at a client, from on_open. */
YOMO_API const char *yomo_wt_session_protocol(const yomo_wt_session *session);

/** At a client, from on_open or on_closed: the answer's headers, as in a request's. */
YOMO_API const char *yomo_wt_session_header_name(const yomo_wt_session *session,
                                                 uint32_t index);
YOMO_API const char *yomo_wt_session_header_value(const yomo_wt_session *session,
                                                  uint32_t index);

/** The peer's address now: `192.0.2.1:4433`, `[2001:db8::1]:4433`. Copied into `out`
 * with a NUL, cut at `size`. */
YOMO_API void yomo_wt_session_address(const yomo_wt_session *session, char *out,
                                      size_t size);

/** The largest datagram that the path and the peer take now; 0: none. It changes with the
 * path. */
YOMO_API size_t yomo_wt_session_datagram_max(const yomo_wt_session *session);

/** How many datagrams may wait (default 256), for how long at most (milliseconds,
 * default 0: for ever), and what happens when the queue is full (enum yomo_wt_drop).
 * Errors: INVALID, CLOSED. */
YOMO_API int32_t yomo_wt_session_set_datagrams(yomo_wt_session *session, uint32_t count,
                                               uint32_t age_ms, int32_t drop);

/** Send a datagram. `data` is copied. With a `token` other than 0 on_datagram_fate
 * follows, unless the session ends before.
 * Errors: TOO_BIG, AGAIN (the queue is full), CLOSED, STATE (not open yet), NOMEM. */
YOMO_API int32_t yomo_wt_session_send(yomo_wt_session *session, const void *data,
                                      size_t size, uint64_t token);

/** Open a stream. It takes bytes at once; they go out as the peer's limits allow.
 *
 * Ownership: `callbacks` are copied. `*out` (may be NULL) is valid until its on_closed.
 * Errors:    CLOSED, STATE (not open yet), FULL (1024 wait for the peer's permission),
 *            NOMEM. From another thread also without one: on_closed says it then. */
YOMO_API int32_t yomo_wt_session_open_bidirectional(
    yomo_wt_session *session, const yomo_wt_stream_callbacks *callbacks, void *user,
    yomo_wt_stream **out);
YOMO_API int32_t yomo_wt_session_open_unidirectional(
    yomo_wt_session *session, const yomo_wt_stream_callbacks *callbacks, void *user,
    yomo_wt_stream **out);

/** Tell the peer that the session should end soon; nothing else changes. */
YOMO_API int32_t yomo_wt_session_drain(yomo_wt_session *session);

/** End it. Streams that are not finished are reset. `reason` (may be NULL) is UTF-8, cut
 * at 1024 bytes. on_closed follows. A second call does nothing. */
YOMO_API void yomo_wt_session_close(yomo_wt_session *session, uint32_t code,
                                    const char *reason);

/** End it at once, without CLOSE: what was not delivered may never be, and the peer sees a
 * session that was lost. Where no other session is on its connection, that ends too.
 * on_closed follows. A second call does nothing. */
YOMO_API void yomo_wt_session_abort(yomo_wt_session *session);

/** How it is doing; fills as much of `stats` as its `size` says. From another thread, how
 * it was doing a tenth of a second ago at most, if anything has happened since; the same
 * goes for the address and datagram_max. After the end: how it was doing last.
 * Errors: INVALID. */
YOMO_API int32_t yomo_wt_session_stats(const yomo_wt_session *session,
                                       yomo_wt_stats *stats);
/** @} */

/** @name How a session ended @{ */
YOMO_API int32_t yomo_wt_end_error(const yomo_wt_end *end); /**< 0: closed in good order */
YOMO_API int32_t yomo_wt_end_remote(const yomo_wt_end *end); /**< the peer, or the net */
YOMO_API uint32_t yomo_wt_end_code(const yomo_wt_end *end);
YOMO_API const char *yomo_wt_end_reason(const yomo_wt_end *end); /**< or a sentence */
YOMO_API int32_t yomo_wt_end_status(const yomo_wt_end *end); /**< HTTP, when refused */
/** @} */

/** @name A stream @{ */
YOMO_API yomo_wt_stream *yomo_wt_stream_ref(yomo_wt_stream *stream);
YOMO_API void yomo_wt_stream_unref(yomo_wt_stream *stream); /**< accepts NULL */
YOMO_API void *yomo_wt_stream_user(const yomo_wt_stream *stream);
YOMO_API yomo_wt_session *yomo_wt_stream_session(const yomo_wt_stream *stream);
YOMO_API int32_t yomo_wt_stream_bidirectional(const yomo_wt_stream *stream);
YOMO_API int32_t yomo_wt_stream_local(const yomo_wt_stream *stream); /**< opened here */
YOMO_API uint64_t yomo_wt_stream_id(const yomo_wt_stream *stream); /**< QUIC's, or
                                                                       UINT64_MAX */

/** Inside on_stream: who hears of it. `callbacks` are copied. */
YOMO_API void yomo_wt_stream_listen(yomo_wt_stream *stream,
                                    const yomo_wt_stream_callbacks *callbacks,
                                    void *user);

/** How many bytes may wait to be acknowledged (default 262144). Errors: INVALID. */
YOMO_API int32_t yomo_wt_stream_set_buffer(yomo_wt_stream *stream, size_t size);

/** Write as much of `data` as the buffer has room for. `*taken` (may be NULL: all or
 * nothing, AGAIN) says how much; when it is less than `size`, on_writable follows.
 * Errors: CLOSED (finished, reset, stopped, or not ours to write), AGAIN, TOO_BIG (all or
 *         nothing, and more than the whole buffer), NOMEM. */
YOMO_API int32_t yomo_wt_stream_write(yomo_wt_stream *stream, const void *data,
                                      size_t size, size_t *taken);

/** Nothing more will be written (FIN). */
YOMO_API int32_t yomo_wt_stream_finish(yomo_wt_stream *stream);

/** Give up our direction (RESET_STREAM): what was not delivered may never be. */
YOMO_API int32_t yomo_wt_stream_reset(yomo_wt_stream *stream, uint32_t code);

/** Ask the peer to give up its direction (STOP_SENDING); on_data does not come again. */
YOMO_API int32_t yomo_wt_stream_stop(yomo_wt_stream *stream, uint32_t code);

/** Offer what is kept again: on_data follows. */
YOMO_API int32_t yomo_wt_stream_resume(yomo_wt_stream *stream);

/** W3C's sendOrder and sendGroup: of the streams of one group (0: the session's own) that
 * were given an order the one with the highest goes first; groups, and streams without an
 * order, share fairly what there is to send. */
YOMO_API int32_t yomo_wt_stream_set_priority(yomo_wt_stream *stream, uint32_t group,
                                             int64_t order);
/** @} */

#ifdef __cplusplus
}
#endif

#endif
