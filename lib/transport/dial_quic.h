/* SPDX-License-Identifier: MIT */
/* dial_quic.h - one WebTransport attempt at one address.
 *
 * dial.c resolves, races the addresses, and keeps the first attempt that opens. */
#ifndef YO_TRANSPORT_DIAL_QUIC_H
#define YO_TRANSPORT_DIAL_QUIC_H

#include "loop/udp.h"
#include "transport/dial.h"

/* The connection, not open yet: on_open follows when the server has answered CONNECT
 * with 2xx, else on_closed with the reason (YOMO_ERR_UNREACHABLE, _TIMEOUT, _CERT,
 * _TLS, _DENIED with the status in the text, ...). Of `options` the transport, proxy
 * and secure fields do not matter; strings are copied, `tls` gets a reference. The UDP
 * socket is the connection's own. Any call of transport.h is legal before on_open:
 * `send` is YOMO_ERR_AGAIN (on_open is then the sign), `abort` and `close` give the
 * attempt up. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM, YOMO_ERR_TLS_SETUP, YOMO_ERR_INVALID. */
int yo_dial_quic(struct yo_conn **out, struct yo_loop *loop,
                 const struct yo_dial_options *options, const union yo_address *remote,
                 const struct yo_conn_events *events, void *user);

/* --- Bare sessions, for whoever wants streams ------------------------------------- */

struct yo_wt_session;
struct yo_dialed; /* a connection that was made for one, until it has gone */

/* A session at one address. Its events come once yo_wt_session_listen was called, which
 * is to be done at once. Of `options` only what is said of the server, of TLS and of
 * times matters. `on_gone` comes when nothing of the connection is left on the loop. */
int yo_dial_quic_session(struct yo_wt_session **out, struct yo_dialed **dialed,
                         struct yo_loop *loop, const struct yo_dial_options *options,
                         const union yo_address *remote, void (*on_gone)(void *user),
                         void *user);

/* Who is told instead that it has gone. */
void yo_dialed_listen(struct yo_dialed *dialed, void (*on_gone)(void *user),
                      void *user);

/* Another session on that connection, as far as it allows another: for `path`, `origin`
 * and what follows, for which see yo_endpoint_connect_session, as for the errors. */
int yo_dialed_session(struct yo_dialed *dialed, const struct yo_dial_options *options,
                      struct yo_wt_session **out);

#endif
