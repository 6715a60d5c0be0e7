/* SPDX-License-Identifier: MIT */
/* patience.c - when there is no hurry to write.
 *
 * To a message in a datagram nothing is to be said but an acknowledgement, and to an
 * acknowledgement nothing at all. With a thousand receivers of fifty messages a second
 * that is the larger part of the work, so two things are put off here:
 *
 *  - after a packet that calls for nothing there is no pass;
 *  - the acknowledgement of a few small datagrams waits for the next packet, or for
 *    almost as long as we have told the peer that it may (max_ack_delay), where ngtcp2
 *    would wait for an eighth of the round-trip time. A lone packet of another kind
 *    waits too, but not for as long.
 *
 * RFC 9000 13.2.2 asks for an acknowledgement after two packets, and leaves other ways
 * to who knows better. Here it is known that HOLD_SIZE bytes fill nobody's window,
 * which is never smaller than two full packets (RFC 9002 7.2), so that no sender waits
 * for us.
 *
 * ngtcp2 decides what is acknowledged at once (each second packet, what came out of
 * order or with a congestion mark: RFC 9000 13.2.1) and does so in the pass that
 * follows such a packet. Datagrams that may wait get no pass, and its timer is put off.
 * That is done as long as nothing of ours is under way, since then none of its other
 * timers that matter can hide behind that one: loss detection runs only while something
 * is (RFC 9002 6.2.1). */
#include "transport/webtransport/conn.h"

/* That, but for what a timer may be late on a busy machine: a probe for each message
 * would be what comes of too little. */
#define HOLD (YO_QUIC_ACK_DELAY - 20 * YO_MS)
#define HOLD_MORE (23 * YO_MS)
#define HOLD_SIZE 1200  /* bytes of packets, ... */
#define HOLD_PACKETS 10 /* ... and how many of them */

/* Is there nothing that a pass or a turn would have to do? */
static bool idle(const struct yo_quic_conn *conn, yo_time now)
{
    const struct yo_link *sending = &conn->sending;
    return conn->state == YO_QUIC_SESSION && conn->confirmed && !conn->wanting &&
           conn->dirty.next == &conn->dirty && sending->next == sending &&
           !yo_wt_sessions_deferred(conn, now);
}

/* For how long ngtcp2 lets a packet wait for its acknowledgement, if it is let. */
static yo_time usual_delay(const ngtcp2_conn_info *info)
{
    return yo_time_min(YO_QUIC_ACK_DELAY, info->smoothed_rtt / 8);
}

static void owes_nothing(struct yo_quic_conn *conn)
{
    conn->unacked = YO_NEVER;
    memset(&conn->owed, 0, sizeof(conn->owed));
}

/* Until when what is not acknowledged may wait for that. */
static yo_time hold_until(const struct yo_quic_conn *conn)
{
    if (conn->owed.size > HOLD_SIZE || (conn->owed.more && conn->owed.packets > 1)) {
        return conn->unacked;
    }
    return yo_time_after(conn->unacked, conn->owed.more ? HOLD_MORE : HOLD);
}

static void hold(struct yo_quic_conn *conn)
{
    yo_time until = hold_until(conn);
    if (conn->due < until) {
        conn->due = until;
        conn->waits = true;
    }
}

/* Has it to be acknowledged at once, whatever it is? (ngtcp2 tells nobody.) */
static bool urgent(struct yo_quic_conn *conn, const struct yo_quic_packet *packet,
                   const struct yo_quic_content *content)
{
    bool gap = content->number != conn->next_number;
    conn->next_number = (uint8_t)(content->number + 1);
    return gap || (packet->ecn & NGTCP2_ECN_MASK) == NGTCP2_ECN_CE ||
           conn->owed.packets >= HOLD_PACKETS;
}

/* While nothing of ours is under way: may a packet wait with those before it? */
static bool may_join(const struct yo_quic_conn *conn, yo_time now)
{
    return conn->waits && !conn->owed.more && conn->due > now &&
           hold_until(conn) >= conn->due && idle(conn, now);
}

/* After a packet was read: does it call for nothing? What must be acknowledged shows in
 * the time that ngtcp2 waits for. */
bool yo_quic_conn_settled(struct yo_quic_conn *conn,
                          const struct yo_quic_packet *packet,
                          const struct yo_quic_content *content, yo_time now)
{
    ngtcp2_conn_info info;

    conn->owed.packets++;
    conn->owed.size += (uint32_t)packet->bytes.size;
    conn->owed.more = conn->owed.more || content->stops.more;
    bool now_or_never = urgent(conn, packet, content);
    if (conn->unacked != YO_NEVER) {
        return !now_or_never && may_join(conn, now);
    }
    /* Where that time is past it is the one of pacing, which wants no pass: no other
     * one was before the packet came. */
    conn->unacked = now;
    if (conn->due <= now || !idle(conn, now)) {
        return false;
    }
    ngtcp2_conn_get_conn_info(conn->quic, &info);
    bool lost = info.pkt_lost != conn->lost; /* there may be something to send again */
    conn->lost = info.pkt_lost;
    if (lost) {
        return false;
    }
    yo_quic_conn_expired(conn, now);
    conn->due = ngtcp2_conn_get_expiry(conn->quic);
    if (conn->due > yo_time_after(now, usual_delay(&info))) {
        owes_nothing(conn);
        return true;
    }
    if (conn->owed.more || now_or_never || info.bytes_in_flight > 0) {
        return false;
    }
    hold(conn);
    return true;
}

/* After a pass that sent so many bytes, and left more to be sent. */
void yo_quic_conn_passed(struct yo_quic_conn *conn, size_t sent, bool more, yo_time now)
{
    ngtcp2_conn_info info;

    conn->waits = false;
    conn->wanting =
        more || ngtcp2_conn_get_cwnd_left(conn->quic) < NGTCP2_MAX_UDP_PAYLOAD_SIZE;
    if (conn->unacked == YO_NEVER) {
        return;
    }
    ngtcp2_conn_get_conn_info(conn->quic, &info);
    if (sent > 0) {
        /* The acknowledgement went with it, or is due in a moment: then `due` says so,
         * which is looked at before pacing hides it. It must not be taken for pacing in
         * yo_quic_conn_settled: what moves the estimate of the round-trip time moves
         * this time too, and ngtcp2 forgets it for good once it has rung. */
        if (conn->due > yo_time_after(now, usual_delay(&info))) {
            owes_nothing(conn);
        }
        return;
    }
    if (conn->wanting || !conn->confirmed || conn->state != YO_QUIC_SESSION ||
        hold_until(conn) <= now || info.bytes_in_flight > 0) {
        return;
    }
    hold(conn);
}
