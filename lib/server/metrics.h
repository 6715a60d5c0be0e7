/* SPDX-License-Identifier: MIT */
/* metrics.h - what is counted, and how /metrics spells it.
 *
 * One struct for each worker. Only its worker writes, anybody may read: relaxed atomics
 * without a locked instruction, since a number that is a turn old does no harm. These, a
 * blob's count, the weight of a mailbox (letters.h), what applications use up (apps.h) and
 * the level of the log are the atomics of a server. */
#ifndef YO_SERVER_METRICS_H
#define YO_SERVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/time.h"
#include "transport/listen.h"

typedef _Atomic uint64_t yo_metric;

/* Field, type, family, labels (NULL: none), help. Rows of one family stand together. */
/* clang-format off */
#define YO_METRICS_MAP(X) \
    X(connections_webtransport, "gauge", "yomo_connections", "transport=\"webtransport\"", \
      "Connections that stand now") \
    X(connections_websocket, "gauge", "yomo_connections", "transport=\"websocket\"", "") \
    X(connections_custom, "gauge", "yomo_connections", "transport=\"custom\"", "") \
    X(accepted_webtransport, "counter", "yomo_connections_total", \
      "transport=\"webtransport\"", "Connections that were let in") \
    X(accepted_websocket, "counter", "yomo_connections_total", "transport=\"websocket\"", "") \
    X(accepted_custom, "counter", "yomo_connections_total", "transport=\"custom\"", "") \
    X(refused_auth, "counter", "yomo_connections_refused_total", "reason=\"auth\"", \
      "Requests for a connection that were refused") \
    X(refused_origin, "counter", "yomo_connections_refused_total", "reason=\"origin\"", "") \
    X(refused_path, "counter", "yomo_connections_refused_total", "reason=\"path\"", "") \
    X(refused_request, "counter", "yomo_connections_refused_total", "reason=\"request\"", "") \
    X(refused_full, "counter", "yomo_connections_refused_total", "reason=\"full\"", "") \
    X(refused_app, "counter", "yomo_connections_refused_total", "reason=\"app_full\"", "") \
    X(refused_draining, "counter", "yomo_connections_refused_total", "reason=\"draining\"", "")\
    X(handshakes_now, "gauge", "yomo_handshakes", NULL, "Handshakes under way") \
    X(handshakes_failed, "counter", "yomo_handshakes_failed_total", NULL, \
      "TLS, QUIC or HTTP handshakes that failed") \
    X(handshakes_tcp_full, "counter", "yomo_tls_handshakes_total", \
      "transport=\"tcp\",kind=\"full\"", \
      "TLS handshakes that succeeded, resumed with a ticket or in full") \
    X(handshakes_tcp_resumed, "counter", "yomo_tls_handshakes_total", \
      "transport=\"tcp\",kind=\"resumed\"", "") \
    X(handshakes_quic_full, "counter", "yomo_tls_handshakes_total", \
      "transport=\"quic\",kind=\"full\"", "") \
    X(handshakes_quic_resumed, "counter", "yomo_tls_handshakes_total", \
      "transport=\"quic\",kind=\"resumed\"", "") \
    X(rooms, "gauge", "yomo_rooms", NULL, "Rooms with somebody in them") \
    X(rooms_lingering, "gauge", "yomo_rooms_lingering", NULL, \
      "Rooms that nobody is in, with an order and a history that are still kept") \
    X(store_failing, "gauge", "yomo_history_store_failing", NULL, \
      "1 while the store of histories does not work and rooms go on from memory") \
    X(store_waiting, "gauge", "yomo_history_store_waiting_bytes", NULL, \
      "Bytes of messages that are not stored yet") \
    X(store_stored, "counter", "yomo_history_stored_total", NULL, \
      "Messages that the store of histories has taken") \
    X(store_lost, "counter", "yomo_history_not_stored_total", NULL, \
      "Messages that it has not, since too many waited: what was stored of their room " \
      "before them is let go of") \
    X(store_errors, "counter", "yomo_history_store_errors_total", NULL, \
      "Failures of the store; what waits is tried again each second") \
    X(store_late, "counter", "yomo_history_store_late_total", NULL, \
      "Rooms that were opened without it, since it did not answer in time") \
    X(members, "gauge", "yomo_members", NULL, "Members of rooms, one for each room") \
    X(observers, "gauge", "yomo_observers", NULL, \
      "Those who hear a room without being seen, one for each room") \
    X(joins, "counter", "yomo_joins_total", NULL, "Joins that were let in") \
    X(joins_refused, "counter", "yomo_joins_refused_total", NULL, "Joins that were refused") \
    X(joins_app_full, "counter", "yomo_joins_app_full_total", NULL, \
      "Joins among these that an application had too many rooms for") \
    X(changes, "counter", "yomo_changes_total", NULL, \
      "Members of rooms that came, changed or left, as others were told of it") \
    X(change_batches, "counter", "yomo_change_batches_total", NULL, \
      "Tellings of such changes: several go together") \
    X(messages_reliable, "counter", "yomo_messages_in_total", "delivery=\"reliable\"", \
      "Broadcasts that were taken from clients and the host program") \
    X(messages_unreliable, "counter", "yomo_messages_in_total", "delivery=\"unreliable\"", "") \
    X(messages_latest, "counter", "yomo_messages_in_total", "delivery=\"latest\"", "") \
    X(bans_failing, "gauge", "yomo_bans_file_failing", NULL, \
      "1 while bans-file cannot be written: bans that are made then would not outlive a " \
      "restart") \
    X(clock_jumps, "counter", "yomo_clock_jumps_total", NULL, \
      "Times that the wall clock was set by a second or more") \
    X(value_changes, "counter", "yomo_value_changes_total", NULL, \
      "Shared values that were set or taken away") \
    X(value_conflicts, "counter", "yomo_value_conflicts_total", NULL, \
      "Such changes that were refused: somebody else was first") \
    X(locks_taken, "counter", "yomo_locks_taken_total", NULL, \
      "Locks that came to a holder") \
    X(leases_expired, "counter", "yomo_leases_expired_total", NULL, \
      "Locks that were lost because their lease ran out") \
    X(requests_host, "counter", "yomo_host_requests_total", NULL, \
      "Requests that the host program was asked") \
    X(deliveries_reliable, "counter", "yomo_deliveries_total", "delivery=\"reliable\"", \
      "Messages that were handed to a transport, one for each receiver") \
    X(deliveries_unreliable, "counter", "yomo_deliveries_total", "delivery=\"unreliable\"", "")\
    X(deliveries_latest, "counter", "yomo_deliveries_total", "delivery=\"latest\"", "") \
    X(bytes_in, "counter", "yomo_message_bytes_in_total", NULL, "Bytes of received messages") \
    X(bytes_out, "counter", "yomo_message_bytes_out_total", NULL, \
      "Bytes of messages that were handed to a transport") \
    X(dropped_malformed, "counter", "yomo_dropped_total", "reason=\"malformed\"", \
      "Messages that were refused or given up") \
    X(dropped_too_big, "counter", "yomo_dropped_total", "reason=\"too_big\"", "") \
    X(dropped_rate, "counter", "yomo_dropped_total", "reason=\"rate\"", "") \
    X(dropped_app_messages, "counter", "yomo_dropped_total", "reason=\"app_message_rate\"", "") \
    X(dropped_app_bytes, "counter", "yomo_dropped_total", "reason=\"app_byte_rate\"", "") \
    X(dropped_not_joined, "counter", "yomo_dropped_total", "reason=\"not_joined\"", "") \
    X(dropped_limit, "counter", "yomo_dropped_total", "reason=\"limit\"", "") \
    X(dropped_denied, "counter", "yomo_dropped_total", "reason=\"denied\"", "") \
    X(dropped_overload, "counter", "yomo_dropped_total", "reason=\"overload\"", "") \
    X(dropped_memory, "counter", "yomo_dropped_total", "reason=\"memory\"", "") \
    X(dropped_oversize, "counter", "yomo_dropped_total", "reason=\"larger_than_datagram\"", "")\
    X(dropped_unreliable, "counter", "yomo_dropped_total", "reason=\"slow_receiver\"", "") \
    X(dropped_latest, "counter", "yomo_dropped_total", "reason=\"slots_full\"", "") \
    X(dropped_expired, "counter", "yomo_dropped_total", "reason=\"expired\"", "") \
    X(replaced_latest, "counter", "yomo_replaced_total", NULL, \
      "Waiting LATEST messages that a newer one took the place of") \
    X(thinned, "counter", "yomo_thinned_total", NULL, \
      "LATEST values that their receiver did not want so soon: a newer one went instead") \
    X(moved, "counter", "yomo_moved_total", NULL, \
      "Sessions that went on over another connection") \
    X(resumed, "counter", "yomo_resumed_total", NULL, \
      "Sessions that went on after their connection had broken") \
    X(resume_refused, "counter", "yomo_resume_refused_total", NULL, \
      "Clients that came back to a session that is not there or not theirs") \
    X(resumed_messages, "counter", "yomo_resumed_messages_total", NULL, \
      "Messages and gaps that were told to those who came back") \
    X(resumed_gaps, "counter", "yomo_resumed_gaps_total", NULL, \
      "Rooms in which somebody came back too late for all that was said") \
    X(parked, "gauge", "yomo_parked", NULL, \
      "Sessions whose connection broke, and whose seats are kept") \
    X(parked_over, "counter", "yomo_parked_ended_total", "reason=\"time\"", \
      "Such sessions whose client did not come back, or came too late") \
    X(parked_evicted, "counter", "yomo_parked_ended_total", "reason=\"room\"", "") \
    X(closed_slow, "counter", "yomo_closed_total", "reason=\"slow\"", \
      "Connections that the server ended") \
    X(closed_silent, "counter", "yomo_closed_total", "reason=\"silent\"", "") \
    X(closed_protocol, "counter", "yomo_closed_total", "reason=\"protocol\"", "") \
    X(closed_overload, "counter", "yomo_closed_total", "reason=\"overload\"", "") \
    X(closed_draining, "counter", "yomo_closed_total", "reason=\"draining\"", "") \
    X(closed_other, "counter", "yomo_closed_total", "reason=\"other\"", "") \
    X(admin_requests, "counter", "yomo_admin_requests_total", NULL, \
      "Requests of operators that were let in") \
    X(admin_refused, "counter", "yomo_admin_refused_total", NULL, \
      "Requests of operators that were not let in, or came too often") \
    X(echoes_webtransport, "gauge", "yomo_echo_connections", "transport=\"webtransport\"", \
      "Connections to /echo that stand now") \
    X(echoes_websocket, "gauge", "yomo_echo_connections", "transport=\"websocket\"", "") \
    X(echoed_webtransport, "counter", "yomo_echo_connections_total", \
      "transport=\"webtransport\"", "Connections to /echo that were let in") \
    X(echoed_websocket, "counter", "yomo_echo_connections_total", "transport=\"websocket\"", \
      "") \
    X(echo_streams, "gauge", "yomo_echo_streams", NULL, \
      "Streams of clients that /echo answers now") \
    X(echo_stream_bytes, "counter", "yomo_echo_bytes_total", "kind=\"stream\"", \
      "Bytes that /echo sent back") \
    X(echo_datagram_bytes, "counter", "yomo_echo_bytes_total", "kind=\"datagram\"", "") \
    X(echo_message_bytes, "counter", "yomo_echo_bytes_total", "kind=\"message\"", "") \
    X(echo_dropped, "counter", "yomo_echo_datagrams_dropped_total", NULL, \
      "Datagrams that /echo could not send back: too many, or too big for the way back") \
    X(packets_in, "counter", "yomo_udp_packets_in_total", NULL, "UDP packets received") \
    X(packets_out, "counter", "yomo_udp_packets_out_total", NULL, "UDP packets sent") \
    X(packets_bad, "counter", "yomo_udp_packets_bad_total", NULL, \
      "UDP packets that belong to nothing or are broken") \
    X(network_bytes_in, "counter", "yomo_network_bytes_in_total", NULL, \
      "Bytes received, TLS and QUIC included") \
    X(network_bytes_out, "counter", "yomo_network_bytes_out_total", NULL, \
      "Bytes sent, TLS and QUIC included") \
    X(retries, "counter", "yomo_quic_retries_total", NULL, "QUIC Retry packets sent") \
    X(proven_retry, "counter", "yomo_quic_addresses_proven_total", "by=\"retry\"", \
      "QUIC connections that began with a token for their address, by where it was from") \
    X(proven_token, "counter", "yomo_quic_addresses_proven_total", "by=\"new_token\"", "") \
    X(version_negotiations, "counter", "yomo_quic_version_negotiations_total", NULL, \
      "QUIC Version Negotiation packets sent") \
    X(key_updates, "counter", "yomo_quic_key_updates_total", NULL, \
      "Changes of keys within QUIC connections, whoever began them") \
    X(stateless_resets, "counter", "yomo_quic_stateless_resets_total", NULL, \
      "QUIC stateless resets sent") \
    X(datagrams_lost, "counter", "yomo_datagrams_lost_total", NULL, \
      "Datagrams that QUIC found lost") \
    X(messages_bad, "counter", "yomo_frames_bad_total", NULL, \
      "Frames that a transport refused: text frames, broken lengths") \
    X(forwarded_packets, "counter", "yomo_udp_packets_forwarded_total", NULL, \
      "Packets that another worker's socket received") \
    X(turns, "counter", "yomo_loop_turns_total", NULL, "Turns of the event loops") \
    X(turn_microseconds, "counter", "yomo_loop_busy_microseconds_total", NULL, \
      "Time from the beginning of a turn to its end, summed up") \
    X(turn_max_microseconds, "gauge", "yomo_loop_turn_max_microseconds", NULL, \
      "The longest turn yet: everybody on that worker waited so long")
/* clang-format on */

/* How often something took how long. Bounds in microseconds are in metrics.c. */
#define YO_HISTOGRAM_BOUNDS 17

struct yo_histogram {
    yo_metric counts[YO_HISTOGRAM_BOUNDS + 1]; /* each up to its bound; the last: more */
    yo_metric microseconds;                    /* of all together */
};

struct yo_metrics {
#define YO_METRIC_FIELD(field, type, family, labels, help) yo_metric field;
    YO_METRICS_MAP(YO_METRIC_FIELD)
#undef YO_METRIC_FIELD
    /* By enum yomo_delivery: from the arrival of a client's message to its hand-over to
     * the transport of each receiver; and the part of it in that receiver's outbox. */
    struct yo_histogram delivery_time[3], queue_time[3];
};

/* Thread: the worker's. */
static inline void yo_metric_set(yo_metric *metric, uint64_t value)
{
    atomic_store_explicit(metric, value, memory_order_relaxed);
}

static inline uint64_t yo_metric_get(const yo_metric *metric)
{
    return atomic_load_explicit(metric, memory_order_relaxed);
}

static inline void yo_metric_add(yo_metric *metric, uint64_t more)
{
    yo_metric_set(metric, yo_metric_get(metric) + more);
}

static inline void yo_metric_less(yo_metric *metric)
{
    yo_metric_set(metric, yo_metric_get(metric) - 1);
}

/* Thread: the worker's. */
void yo_histogram_add(struct yo_histogram *histogram, yo_time took);

/* What a listener counted. Thread: the worker's. */
void yo_metrics_take(struct yo_metrics *metrics, const struct yo_listener_stats *stats);

/* Connections of all kinds that stand now, those to /echo too. */
uint64_t yo_metrics_connections(const struct yo_metrics *metrics);

/* Append the sum over `count` workers as Prometheus text. YOMO_ERR_NOMEM. Thread: any.
 */
int yo_metrics_print(struct yo_buf *out, const struct yo_metrics *const *workers,
                     size_t count);

#endif
