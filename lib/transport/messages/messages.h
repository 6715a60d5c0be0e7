/* SPDX-License-Identifier: MIT */
/* messages.h - whole messages (transport.h) on a WebTransport session.
 *
 * With the extension: YO_LANE_CONTROL is the bidirectional stream that the client
 * opened first, every greater lane a unidirectional stream from its sender, and each
 * message on them has its length in front, as a QUIC varint; YO_LANE_DATAGRAM is
 * datagrams. Without it (presencejs): datagrams only, whatever the lane.
 *
 * A peer that breaks these rules is closed: YO_CODE_PROTOCOL for a length of 0, a
 * stream that ends inside a message, or a second bidirectional stream; YO_CODE_TOO_BIG
 * for a message past the limit. Streams of a presencejs peer are refused, nothing else.
 *
 * This is a user of the session API (session.h), as the public handles are
 * (lib/sessions): it knows nothing else of the engine, and the engine nothing of it. */
#ifndef YO_MESSAGES_H
#define YO_MESSAGES_H

#include "transport/webtransport/session.h"

struct yo_messages_options {
    const struct yomo_mem *mem;
    bool server, extension;
    size_t message_size_max;  /* received; larger ones close the connection */
    size_t datagram_size_max; /* received by presencejs rules; larger ones are dropped.
                                 0: no own limit */
    size_t queue_size_max;
    uint64_t *messages_bad; /* counted up */
};

/* On a session that is open (server) or will be (client; on_open follows). NULL: there
 * is no `session`, or no memory, and the session has been broken. */
struct yo_conn *yo_messages_create(struct yo_wt_session *session,
                                   const struct yo_messages_options *options,
                                   const struct yo_conn_events *events, void *user);

#endif
