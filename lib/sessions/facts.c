/* SPDX-License-Identifier: MIT */
/* facts.c - how a session is doing. */
#include "base/check.h"
#include "sessions/house.h"

void yo_session_read_stats(const struct yomo_wt_session *session, yomo_wt_stats *stats)
{
    struct yo_wt_stats engine;
    yo_wt_session_stats(session->engine, &engine);
    *stats = (yomo_wt_stats){
        .size = sizeof(*stats),
        .path_mtu = (uint32_t)engine.path_mtu,
        .smoothed_rtt = engine.rtt_smoothed / YO_US,
        .rtt_variation = engine.rtt_variation / YO_US,
        .min_rtt = engine.rtt_min / YO_US,
        .latest_rtt = engine.rtt_latest / YO_US,
        .congestion_window = engine.congestion_window,
        .bytes_in_flight = engine.bytes_in_flight,
        .connection_bytes_sent = engine.bytes_sent,
        .connection_bytes_received = engine.bytes_received,
        .packets_sent = engine.packets_sent,
        .packets_received = engine.packets_received,
        .packets_lost = engine.packets_lost,
        .bytes_sent = engine.stream_bytes_sent + engine.datagram_bytes_sent,
        .bytes_received = engine.stream_bytes_received + engine.datagram_bytes_received,
        .streams_opened = engine.streams_opened,
        .streams_accepted = engine.streams_accepted,
        .datagrams_sent = engine.datagrams_sent,
        .datagrams_received = engine.datagrams_received,
        .datagrams_lost = engine.datagrams_lost,
        .datagrams_dropped = engine.datagrams_dropped,
        .datagrams_expired = engine.datagrams_expired,
    };
}

/* With the lock: have what other threads see renewed. */
static void ask_to_look(struct yomo_wt_session *session)
{
    session->look_due = true;
    yo_session_post(session);
}

int32_t yomo_wt_session_stats(const yomo_wt_session *session, yomo_wt_stats *stats)
{
    YO_REQUIRE(session && stats && stats->size >= sizeof(stats->size));
    yomo_wt_stats now = {.size = stats->size};
    bool inside = yo_hub_enter(session->hub);
    if (!inside && session->phase == YO_SESSION_OPEN) {
        ask_to_look((struct yomo_wt_session *)session);
    }
    uint32_t size = stats->size;
    now = session->stats;
    uint64_t gave_way = session->gave_way;
    yo_hub_leave(session->hub);
    if (inside && session->engine) {
        yo_session_read_stats(session, &now);
    }
    now.size = size;
    now.datagrams_dropped += gave_way;
    memcpy(stats, &now, size < sizeof(now) ? size : sizeof(now));
    return YOMO_OK;
}

void yomo_wt_session_address(const yomo_wt_session *session, char *out, size_t size)
{
    char address[64] = "";
    if (!out || size == 0) {
        return;
    }
    if (session) {
        bool inside = yo_hub_enter(session->hub);
        memcpy(address, session->address, sizeof(address));
        yo_hub_leave(session->hub);
        if (inside && session->engine) {
            yo_wt_session_address(session->engine, address);
        }
    }
    size_t length = strlen(address);
    length = length < size ? length : size - 1;
    memcpy(out, address, length);
    out[length] = '\0';
}

size_t yomo_wt_session_datagram_max(const yomo_wt_session *session)
{
    if (!session) {
        return 0;
    }
    bool inside = yo_hub_enter(session->hub);
    size_t max = session->phase == YO_SESSION_OPEN && session->datagram_max != SIZE_MAX
                     ? session->datagram_max
                     : 0;
    yo_hub_leave(session->hub);
    return inside && session->engine ? yo_wt_session_datagram_max(session->engine)
                                     : max;
}

void *yomo_wt_session_user(const yomo_wt_session *session)
{
    return session ? session->user : NULL;
}

const char *yomo_wt_session_protocol(const yomo_wt_session *session)
{
    const char *protocol = NULL;
    if (session) {
        yo_hub_lock(session->hub);
        protocol = session->protocol;
        yo_hub_leave(session->hub);
    }
    return protocol ? protocol : "";
}

/* The answer's fields do not change once they are there. */
const char *yomo_wt_session_header_name(const yomo_wt_session *session, uint32_t index)
{
    const char *name = NULL;
    if (session) {
        yo_hub_lock(session->hub);
        name = yo_fields_name(&session->answer, index);
        yo_hub_leave(session->hub);
    }
    return name;
}

const char *yomo_wt_session_header_value(const yomo_wt_session *session, uint32_t index)
{
    const char *value = NULL;
    if (session) {
        yo_hub_lock(session->hub);
        value = yo_fields_value(&session->answer, index);
        yo_hub_leave(session->hub);
    }
    return value;
}

int32_t yomo_wt_end_error(const yomo_wt_end *end)
{
    return end ? end->error : YOMO_ERR_INVALID;
}

int32_t yomo_wt_end_remote(const yomo_wt_end *end)
{
    return end ? end->remote : 0;
}

uint32_t yomo_wt_end_code(const yomo_wt_end *end)
{
    return end ? end->code : 0;
}

const char *yomo_wt_end_reason(const yomo_wt_end *end)
{
    return end ? end->reason : "";
}

int32_t yomo_wt_end_status(const yomo_wt_end *end)
{
    return end ? end->status : 0;
}
