/* SPDX-License-Identifier: MIT */
#ifndef YOMO_TRANSPORT_H
#define YOMO_TRANSPORT_H

/** @file transport.h
 * A transport of the host's own: whole messages between a client and a server by any
 * means that the host has (a pipe, a radio, a message bus).
 *
 * The host implements struct yomo_transport and tells the library what happens through
 * a yomo_carrier, the library's end of one connection. The yomo_carrier_ calls may come
 * from any thread; the functions of the host's are called from the thread that runs the
 * client or worker, never two at a time for one connection. */

#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct yomo_carrier yomo_carrier;

typedef struct yomo_transport {
    uint32_t size; /**< sizeof(yomo_transport) */

    /** Send one whole message. `reliable` 0: it may be lost. 0; AGAIN when there is no
     * room now (yomo_carrier_writable must follow); any other error ends the connection.
     * `data` is borrowed for the call. */
    int32_t (*send)(void *connection, const void *data, size_t size, int32_t reliable);

    /** The library is done with it. `code` and `reason` are those of docs/protocol.md for
     * WebSocket; tell them to the other side if it can hear. No call follows. */
    void (*close)(void *connection, uint32_t code, const char *reason);
} yomo_transport;

/** Begin a client's connection: called by a client each time it connects to a URL with
 * the scheme that the transport was registered for. Set `*connection`, and later call
 * yomo_carrier_opened or _closed. An error counts as unreachable. */
typedef int32_t (*yomo_transport_connect_fn)(void *user, const char *url,
                                             yomo_carrier *carrier, void **connection);

/** Use `transport` for URLs with `scheme`, in clients made from `options` afterwards.
 * `transport` is copied. Errors: INVALID, EXISTS, NOMEM. */
YOMO_API int32_t yomo_options_set_transport(yomo_options *options, const char *scheme,
                                            const yomo_transport *transport,
                                            yomo_transport_connect_fn connect, void *user);

/** Hand a connection that came in to a server: `query` is what would stand behind the
 * '?' of the URL. `*carrier` is open when this returns.
 * Errors: INVALID, DENIED, FULL, STATE, NOMEM. */
YOMO_API int32_t yomo_server_accept(yomo_server *server, const yomo_transport *transport,
                                    void *connection, const char *query,
                                    yomo_carrier **carrier);

/** What happened, from any thread. Bytes are copied. After yomo_carrier_closed, or after
 * the library called `close`, the carrier must not be used again by the side that ended
 * it; one that is closed from both sides at once is safe until both have happened. */
YOMO_API void yomo_carrier_opened(yomo_carrier *carrier);
YOMO_API void yomo_carrier_message(yomo_carrier *carrier, const void *data, size_t size,
                                   int32_t reliable);
YOMO_API void yomo_carrier_writable(yomo_carrier *carrier);
YOMO_API void yomo_carrier_closed(yomo_carrier *carrier, uint32_t code, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
