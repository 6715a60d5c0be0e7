/* SPDX-License-Identifier: MIT */
/* stops.h - STOP_SENDING frames in the payload of a QUIC packet, and whether there is
 * anything that calls for more than an acknowledgement.
 *
 * ngtcp2 answers STOP_SENDING by itself and keeps its code (as of 1.22), so whoever
 * wants to know the code reads the packet's frames once more, after they were
 * decrypted. */
#ifndef YO_WEBTRANSPORT_STOPS_H
#define YO_WEBTRANSPORT_STOPS_H

#include "base/span.h"

#define YO_STOPS_MAX 512 /* in one UDP payload of Ethernet's size there are no more */

struct yo_stop {
    int64_t stream;
    uint64_t code;
};

struct yo_stops {
    size_t count;
    bool more; /* there were other frames than PADDING, PING, ACK and DATAGRAM */
    struct yo_stop stops[YO_STOPS_MAX]; /* those past the last are forgotten */
};

/* Add those in `payload` (the frames of a packet of the application's space, RFC 9000
 * 12.4) to `stops`, up to the first frame that is not one. */
void yo_stops_read(struct yo_stops *stops, struct yo_span payload);

#endif
