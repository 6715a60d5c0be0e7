/* SPDX-License-Identifier: MIT */
/* custom.h - a host's own transport (<yomo/transport.h>) as a yo_conn.
 *
 * One yomo_carrier is both: the handle that the host reports to, from any thread, and
 * the connection that client/ or server/ sees on its loop. What the host reports
 * travels through the loop's mailbox, so that it arrives in order and callbacks come
 * from the loop only.
 *
 * Two sides end it. The host's side ends with yomo_carrier_closed. The library's ends
 * with the one call of `close` that it makes for each connection, also after the host
 * has reported the end: then it is done with `connection`. The memory goes when both
 * have happened. */
#ifndef YO_TRANSPORT_CUSTOM_H
#define YO_TRANSPORT_CUSTOM_H

#include <yomo/transport.h>

#include "loop/loop.h"
#include "loop/mailbox.h"
#include "transport/transport.h"

#define YO_CARRIER_BYTES_MAX (16u << 20) /* reported by the host, not yet handled */

struct yo_carrier_options {
    const yomo_transport *transport; /* copied */
    size_t message_size_max;         /* larger ones close the connection */
    void (*on_release)(void *user);  /* the carrier's memory, allocator and mailbox are
                                        no longer used by it; any thread; may be NULL */
    void *release_user;
};

/* A carrier that is not a connection yet. `mem` must live until on_release; the mailbox
 * gets a reference. Thread: any. YOMO_ERR_NOMEM, YOMO_ERR_INVALID. */
int yo_carrier_create(yomo_carrier **out, const struct yomo_mem *mem,
                      struct yo_mailbox *box, const struct yo_carrier_options *options);

/* Undo that: the host has not got the carrier, or has said with an error that it will
 * not use it. Only before yo_carrier_open. Thread: any. */
void yo_carrier_discard(yomo_carrier *carrier);

/* Make it the loop's connection: `connection` is the host's. A client's is `opened`
 * false, and on_open follows yomo_carrier_opened. The library's side is then ended by
 * on_closed. */
struct yo_conn *yo_carrier_open(yomo_carrier *carrier, struct yo_loop *loop,
                                void *connection, bool opened,
                                const struct yo_conn_events *events, void *user);

/* It will not be a connection: tell the host, and end the library's side. Instead of
 * yo_carrier_open; for carriers that the host has got. Thread: any. */
void yo_carrier_reject(yomo_carrier *carrier, void *connection, uint32_t code,
                       const char *reason);

/* Hold what arrives back, or hand it over again: for a connection whose owner has not
 * made up its mind. The end is not held back. */
void yo_carrier_hold(struct yo_conn *conn, bool held);

#endif
