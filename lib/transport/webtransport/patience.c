/* SPDX-License-Identifier: MIT */
/* patience.c - when there is no hurry to write.
 *
 * To a message in a datagram nothing is to be said but an acknowledgement, and to an
 * acknowledgement nothing at all. With a thousand receivers of fifty messages a second
 * that is the larger part of the work, so two things are put off here:
 *
 *  - after a packet that calls for nothing there is no pass;
 *  - the acknowledgement of a packet that came alone waits for the next packet, or for
 *    almost as long as we have told the peer that it may (max_ack_delay), where ngtcp2
 *    would wait for an eighth of the round-trip time.
 *
 * ngtcp2 decides what is acknowledged at once (each second packet, what came out of
 * order or with a congestion mark: RFC 9000 13.2.1) and does so in the pass that
 * follows such a packet; only its timer is put off. That is done as long as nothing of
 * ours is under way, since then none of its other timers that matter can hide behind
 * that one: loss detection runs only while something is (RFC 9002 6.2.1). */
#include "transport/webtransport/conn.h"

#define MAX_ACK_DELAY (NGTCP2_DEFAULT_MAX_ACK_DELAY) /* as setup.c leaves it */
#define HOLD (23 * YO_MS) /* that, but for what a timer may be late */

/* Is there nothing that a pass or a turn would have to do? */
static bool idle(const struct yo_quic_conn *conn, yo_time now)
{
    const struct yo_link *sending = &conn->sending;
    return conn->state == YO_QUIC_SESSION && conn->confirmed && !conn->wanting &&
           conn->dirty.next == &conn->dirty && sending->next == sending &&
           !yo_wt_sessions_deferred(conn, now);
}

/* Has ngtcp2 found packets to be lost since this was asked last? It may have something
 * to send again then. */
static bool lost_packets(struct yo_quic_conn *conn)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn->quic, &info);
    bool more = info.pkt_lost != conn->lost;
    conn->lost = info.pkt_lost;
    return more;
}

/* After a packet was read: does it call for nothing? What must be acknowledged shows in
 * the time that ngtcp2 waits for. */
bool yo_quic_conn_settled(struct yo_quic_conn *conn, yo_time now)
{
    /* Where that time is past it is the one of pacing, which wants no pass: no other
     * one was before the packet came. */
    if (conn->unacked == YO_NEVER && conn->due > now && idle(conn, now) &&
        !lost_packets(conn)) {
        yo_quic_conn_expired(conn, now);
        conn->due = ngtcp2_conn_get_expiry(conn->quic);
        if (conn->due > yo_time_after(now, MAX_ACK_DELAY)) {
            conn->unacked = YO_NEVER;
            return true;
        }
    }
    conn->unacked = yo_time_min(conn->unacked, now);
    return false;
}

/* After a pass that sent so many bytes, and left more to be sent. */
void yo_quic_conn_passed(struct yo_quic_conn *conn, size_t sent, bool more, yo_time now)
{
    ngtcp2_conn_info info;
    yo_time until = yo_time_after(conn->unacked, HOLD);

    conn->wanting =
        more || ngtcp2_conn_get_cwnd_left(conn->quic) < NGTCP2_MAX_UDP_PAYLOAD_SIZE;
    if (sent > 0) {
        /* The acknowledgement went with it, or is due in a moment: then `due` says so,
         * which is looked at before pacing hides it. It must not be taken for pacing in
         * yo_quic_conn_settled: what moves the estimate of the round-trip time moves
         * this time too, and ngtcp2 forgets it for good once it has rung. */
        if (conn->due > yo_time_after(now, MAX_ACK_DELAY)) {
            conn->unacked = YO_NEVER;
        }
        return;
    }
    if (conn->wanting || conn->unacked == YO_NEVER || !conn->confirmed ||
        conn->state != YO_QUIC_SESSION || until <= now || conn->due >= until) {
        return;
    }
    ngtcp2_conn_get_conn_info(conn->quic, &info);
    if (info.bytes_in_flight == 0) {
        conn->due = until;
    }
}
