/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "chance.h"

#define ROOM ((size_t)64 << 10) /* bytes on their way in one direction, until AGAIN */
#define ROOM_NARROW ((size_t)2 << 10)
#define SILENCE (16 * YO_SECOND) /* after which a transport gives up */
#define LANES 32                 /* of each direction that are told apart */

enum parcel_kind { MESSAGE, FATE, ACK, FAREWELL, BREAK };

struct parcel {
    struct yo_link link;
    enum parcel_kind kind;
    yo_time due;
    uint32_t lane, stream; /* as who hears it knows it; as who sent it does */
    uint64_t token, number;
    enum yo_fate fate;
    struct yo_blob *blob;
};

static struct net *the_net; /* one at a time */

void net_init(struct net *net)
{
    the_net = net;
    memset(net, 0, sizeof(*net));
    yo_list_init(&net->wires);
}

/* --- what is on its way ------------------------------------------------------------
 */

static struct parcel *parcel_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct parcel, link);
}

static void parcel_free(struct parcel *parcel)
{
    yo_list_remove(&parcel->link);
    yo_blob_unref(parcel->blob);
    yo_free(&yo_mem_libc, parcel);
}

static void forget(struct yo_link *way)
{
    YO_LIST_EACH(link, next, way)
    {
        parcel_free(parcel_of(link));
    }
}

/* Behind all that is due no later. */
static struct parcel *put(struct yo_link *way, enum parcel_kind kind, yo_time due)
{
    struct parcel *parcel = yo_calloc(&yo_mem_libc, 1, sizeof(*parcel));
    struct yo_link *at = way;
    assert_non_null(parcel);
    parcel->kind = kind;
    parcel->due = due;
    YO_LIST_EACH(link, next, way)
    {
        if (parcel_of(link)->due > due) {
            at = link;
            break;
        }
    }
    yo_list_push_back(at, &parcel->link); /* before `at` */
    return parcel;
}

/* When something on `lane` that is sent now comes out: never before what was sent there
 * before. */
static yo_time arrival(struct wire *wire, uint32_t lane, size_t size, bool up)
{
    yo_time due = model_now + wire->latency + chance_below(3 * YO_MS);
    if (wire->rate > 0) {
        yo_time *busy = &wire->busy[up];
        *busy = (*busy > model_now ? *busy : model_now) + size * YO_SECOND / wire->rate;
        due = *busy + wire->latency;
    }
    due = due > wire->stalled_until ? due : wire->stalled_until;
    uint32_t slot = wire->kind == YOMO_TRANSPORT_WEBTRANSPORT ? lane % LANES : 1;
    if (lane == YO_LANE_DATAGRAM && wire->kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        return due;
    }
    yo_time *last = &wire->lane_due[(up ? 0 : LANES) + slot];
    *last = due > *last ? due : *last;
    return *last;
}

static bool is_datagram(const struct wire *wire, uint32_t lane)
{
    return lane == YO_LANE_DATAGRAM && wire->kind == YOMO_TRANSPORT_WEBTRANSPORT;
}

/* One message from either end. Datagrams may be lost; who sent one hears of it. */
static void ship(struct wire *wire, bool up, uint32_t lane, uint64_t token,
                 struct yo_blob *blob)
{
    yo_time due = arrival(wire, lane, blob->size, up);
    bool datagram = is_datagram(wire, lane);
    bool lost = datagram && chance_of(wire->net->loss_percent);
    uint64_t number = 0;
    if (wire->kind == YOMO_TRANSPORT_WEBTRANSPORT && !datagram) {
        number = wire_keep(wire, up, lane, blob);
    }
    if (wire->cut) {
        return;
    }
    if (!lost) {
        struct parcel *parcel = put(up ? &wire->up : &wire->down, MESSAGE, due);
        parcel->stream = lane;
        parcel->number = number;
        parcel->lane = lane > YO_LANE_ROOMS ? YO_LANE_ROOMS : lane;
        parcel->blob = yo_blob_ref(blob);
    }
    if (token != 0) {
        struct parcel *parcel = put(up ? &wire->down : &wire->up, FATE,
                                    due + wire->latency + (lost ? 50 * YO_MS : 0));
        parcel->token = token;
        parcel->fate = lost ? YO_FATE_LOST : YO_FATE_ACKED;
    }
}

/* It has come out: whoever sent it will know. */
static void acknowledge(struct wire *wire, bool up, const struct parcel *parcel)
{
    yo_time due = model_now + wire->latency;
    if (parcel->number == 0) {
        return;
    }
    due = due > wire->stalled_until ? due : wire->stalled_until;
    struct parcel *ack = put(up ? &wire->down : &wire->up, ACK, due);
    ack->stream = parcel->stream;
    ack->number = parcel->number;
}

/* --- the client's end --------------------------------------------------------------
 */

/* What a transport takes until it says AGAIN. */
static size_t room_of(const struct wire *wire)
{
    return wire->rate > 0 ? ROOM_NARROW : ROOM;
}

static int conn_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *blob,
                     uint64_t token)
{
    struct wire *wire = (struct wire *)conn;
    if (wire->ended) {
        return YOMO_ERR_CLOSED;
    }
    if (is_datagram(wire, lane) && blob->size > 1200) {
        return YOMO_ERR_TOO_BIG;
    }
    if (wire->up_bytes > 0 && wire->up_bytes + blob->size > room_of(wire)) {
        wire->full = true;
        return YOMO_ERR_AGAIN;
    }
    if (!is_datagram(wire, lane) && !wire->cut) {
        wire->up_bytes += blob->size;
    }
    ship(wire, true, lane, token, blob);
    return YOMO_OK;
}

static void conn_flush(struct yo_conn *conn, yo_time now)
{
    (void)conn, (void)now;
}

static void conn_end_lane(struct yo_conn *conn, uint32_t lane)
{
    (void)conn, (void)lane;
}

static size_t conn_queued(const struct yo_conn *conn)
{
    return ((const struct wire *)conn)->up_bytes;
}

static void conn_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct wire *wire = (const struct wire *)conn;
    bool datagrams = wire->kind == YOMO_TRANSPORT_WEBTRANSPORT;
    *info = (struct yo_conn_info){.transport = wire->kind,
                                  .secure = true,
                                  .datagrams = datagrams,
                                  .datagram_size_max = datagrams ? 1200 : 0,
                                  .address = "model"};
}

static void end(struct wire *wire, yo_time at, const struct yo_close *why)
{
    if (!wire->ended) {
        wire->ended = true;
        wire->end = *why;
        snprintf(wire->end_text, sizeof(wire->end_text), "%.*s", (int)why->text.size,
                 why->text.size > 0 ? (const char *)why->text.data : "");
        wire->end_at = at;
    }
}

static void conn_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct wire *wire = (struct wire *)conn;
    if (!wire->ended) {
        bool farewell = yo_close_is_farewell(how->code);
        put(&wire->up, farewell ? FAREWELL : BREAK,
            arrival(wire, YO_LANE_CONTROL, 0, true) + 5 * YO_MS);
        end(wire, model_now, how);
    }
}

static void conn_abort(struct yo_conn *conn)
{
    const struct yo_close how = {.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED};
    struct wire *wire = (struct wire *)conn;
    if (!wire->ended) { /* what is under way arrives nevertheless */
        put(&wire->up, BREAK, arrival(wire, YO_LANE_CONTROL, 0, true) + 5 * YO_MS);
        end(wire, model_now, &how);
    }
}

static void conn_reclaim(struct yo_conn *conn, yo_reclaimed_fn fn, void *user)
{
    wire_reclaim((struct wire *)conn, true, fn, user);
}

static const struct yo_conn_ops quic_ops = {
    .send = conn_send,
    .flush = conn_flush,
    .end_lane = conn_end_lane,
    .queued = conn_queued,
    .info = conn_info,
    .close = conn_close,
    .abort = conn_abort,
    .reclaim = conn_reclaim,
};

static const struct yo_conn_ops ops = {
    .send = conn_send,
    .flush = conn_flush,
    .end_lane = conn_end_lane,
    .queued = conn_queued,
    .info = conn_info,
    .close = conn_close,
    .abort = conn_abort,
};

struct wire *wire_dial(struct net *net, enum yomo_transport_kind kind,
                       const char *path_and_query, yo_time latency)
{
    struct wire *wire = yo_calloc(&yo_mem_libc, 1, sizeof(*wire));
    const char *query = strchr(path_and_query, '?');
    assert_non_null(wire);
    wire->conn.ops = kind == YOMO_TRANSPORT_WEBTRANSPORT ? &quic_ops : &ops;
    wire->net = net;
    wire->kind = kind;
    wire->latency = latency;
    wire->open_at = model_now + 2 * latency;
    wire->end_at = YO_NEVER;
    snprintf(wire->query, sizeof(wire->query), "%s", query ? query + 1 : "");
    yo_list_init(&wire->up);
    yo_list_init(&wire->down);
    yo_list_init(&wire->unacked[0]);
    yo_list_init(&wire->unacked[1]);
    yo_list_push_back(&net->wires, &wire->link);
    return wire;
}

/* --- how it ends -------------------------------------------------------------------
 */

static void far_end(struct wire *wire, bool farewell)
{
    if (wire->far && !wire->far->closing) {
        wire->far->closing = true;
        wire->far->why =
            (struct yo_close){.kind = YO_CLOSE_RETRY,
                              .error = farewell ? YOMO_OK : YOMO_ERR_CLOSED,
                              .remote = true,
                              .farewell = farewell};
    }
    wire->far_told = true;
}

static const struct yo_close broke = {
    .kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED, .remote = true};

void wire_break(struct wire *wire, yo_time client_at, yo_time server_at)
{
    forget(&wire->up);
    forget(&wire->down);
    wire->cut = true;
    end(wire, client_at, &broke);
    put(&wire->up, BREAK, server_at);
}

void wire_cut(struct wire *wire)
{
    forget(&wire->up);
    forget(&wire->down);
    wire->cut = true;
    end(wire, model_now + SILENCE, &broke);
    wire->ended = false; /* it does not know yet */
    put(&wire->up, BREAK, model_now + SILENCE);
}

void wire_stall(struct wire *wire, yo_time span)
{
    struct yo_link *ways[] = {&wire->up, &wire->down};
    wire->stalled_until = model_now + span;
    for (int i = 0; i < 2; i++) {
        YO_LIST_EACH(link, next, ways[i])
        {
            struct parcel *parcel = parcel_of(link);
            parcel->due =
                parcel->due > wire->stalled_until ? parcel->due : wire->stalled_until;
        }
    }
}

void net_crash(struct net *net)
{
    YO_LIST_EACH(link, next, &net->wires)
    {
        struct wire *wire = YO_CONTAINER(link, struct wire, link);
        forget(&wire->up);
        forget(&wire->down);
        wire->far = NULL;
        wire->far_told = true;
        wire->cut = true;
        if (wire->open_at == YO_NEVER) {
            end(wire, model_now + wire->latency, &broke);
        }
    }
    net->rig = NULL;
}

void net_finish(struct net *net)
{
    YO_LIST_EACH(link, next, &net->wires)
    {
        struct wire *wire = YO_CONTAINER(link, struct wire, link);
        assert_true(wire->end_told);
        forget(&wire->up);
        forget(&wire->down);
        wire_forget_kept(wire);
        yo_list_remove(&wire->link);
        yo_free(&yo_mem_libc, wire);
    }
}

/* --- time passes -------------------------------------------------------------------
 */

static yo_time sooner(yo_time a, yo_time b)
{
    return a < b ? a : b;
}

static yo_time first_due(const struct yo_link *way)
{
    return yo_list_empty(way) ? YO_NEVER : parcel_of(way->next)->due;
}

yo_time net_due(const struct net *net)
{
    yo_time due = YO_NEVER;
    YO_LIST_EACH(link, next, &net->wires)
    {
        const struct wire *wire = YO_CONTAINER(link, struct wire, link);
        due = sooner(due, sooner(first_due(&wire->up), first_due(&wire->down)));
        due = sooner(due, wire->end_told ? YO_NEVER : wire->end_at);
        due = sooner(due, wire->ended ? YO_NEVER : wire->open_at);
    }
    return due;
}

/* How much the server's end takes. What is bigger than all goes alone. */
static void set_far_room(struct wire *wire)
{
    struct client *far = wire->far;
    size_t left =
        wire->down_bytes < room_of(wire) ? room_of(wire) - wire->down_bytes : 0;
    if (wire->cut || far->closed) {
        return; /* it takes what it took before it was cut */
    }
    if (far->was_full && left >= room_of(wire) / 2) {
        client_unblock(far, wire->down_bytes == 0 ? SIZE_MAX / 2 : left);
    } else {
        far->room = left;
    }
}

/* What the server has said since. */
static void ship_heard(struct wire *wire)
{
    struct heard *heard;
    while ((heard = client_next(wire->far)) != NULL) {
        if (!is_datagram(wire, heard->lane) && !wire->cut && !wire->ended) {
            wire->down_bytes += heard->blob->size;
        }
        ship(wire, false, heard->lane, heard->token, heard->blob);
    }
}

/* And that it closed. */
static void collect(struct wire *wire)
{
    if (!wire->far) {
        return;
    }
    ship_heard(wire);
    set_far_room(wire);
    if (wire->far->closing && !wire->far_told) {
        struct yo_close why = wire->far->why;
        yo_time last = model_now + wire->latency;
        YO_LIST_EACH(link, next, &wire->down)
        {
            last = parcel_of(link)->due;
        }
        why.remote = true;
        wire->far_told = true;
        if (!wire->cut && !wire->ended) {
            /* what is on its way comes first */
            wire->end = why;
            snprintf(wire->end_text, sizeof(wire->end_text), "%s", wire->far->text);
            wire->end_at = last + YO_MS;
        }
    }
}

/* The server takes back what its client may not have. */
static void far_reclaim(struct yo_conn *conn, yo_reclaimed_fn fn, void *user)
{
    YO_LIST_EACH(link, next, &the_net->wires)
    {
        struct wire *wire = YO_CONTAINER(link, struct wire, link);
        if (wire->far && &wire->far->conn == conn) {
            ship_heard(wire);
            wire_reclaim(wire, false, fn, user);
        }
    }
}

static void open(struct wire *wire)
{
    static struct yo_conn_ops far_ops;
    static const struct yo_close nobody = {.kind = YO_CLOSE_RETRY,
                                           .error = YOMO_ERR_UNREACHABLE};
    wire->open_at = YO_NEVER;
    if (!wire->net->rig || wire->cut) {
        end(wire, model_now, &nobody);
        return;
    }
    wire->far =
        rig_knock(wire->net->rig, (uint32_t)chance_below(wire->net->rig->workers),
                  wire->kind, "/v1", wire->query, NULL);
    if (wire->far->status != 200) {
        wire->far = NULL;
        end(wire, model_now, &nobody);
        return;
    }
    if (wire->kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        far_ops = *wire->far->conn.ops;
        far_ops.reclaim = far_reclaim;
        wire->far->conn.ops = &far_ops;
    }
    wire->conn.events->on_open(wire->conn.user, &wire->conn, model_now);
}

static void up(struct wire *wire, struct parcel *parcel)
{
    struct client *far = wire->far;
    bool alive = far && !far->closing;
    switch (parcel->kind) {
    case MESSAGE:
        if (alive) {
            client_say(far, parcel->lane, yo_blob_span(parcel->blob));
        }
        if (!is_datagram(wire, parcel->lane)) {
            wire->up_bytes -= parcel->blob->size;
        }
        acknowledge(wire, true, parcel);
        break;
    case ACK:
        wire_acked(wire, false, parcel->stream, parcel->number);
        break;
    case FATE:
        if (alive) {
            far->conn.events->on_fate(far->conn.user, &far->conn, parcel->token,
                                      parcel->fate, model_now);
        }
        break;
    case FAREWELL:
    case BREAK:
        far_end(wire, parcel->kind == FAREWELL);
        break;
    }
}

static void down(struct wire *wire, const struct parcel *parcel)
{
    if (wire->ended) {
        return;
    }
    if (parcel->kind == MESSAGE) {
        wire->down_bytes -= is_datagram(wire, parcel->lane) ? 0 : parcel->blob->size;
        wire->conn.events->on_message(wire->conn.user, &wire->conn, parcel->lane,
                                      yo_blob_span(parcel->blob), model_now);
        acknowledge(wire, false, parcel);
    } else if (parcel->kind == ACK) {
        wire_acked(wire, true, parcel->stream, parcel->number);
    } else {
        wire->conn.events->on_fate(wire->conn.user, &wire->conn, parcel->token,
                                   parcel->fate, model_now);
    }
}

static bool tell_end(struct wire *wire)
{
    if (wire->end_told || wire->end_at > model_now) {
        return false;
    }
    wire->ended = wire->end_told = true;
    wire->end.text = yo_span_of(wire->end_text);
    wire->conn.events->on_closed(wire->conn.user, &wire->conn, &wire->end, model_now);
    return true;
}

static bool turn(struct wire *wire)
{
    bool any = false;
    if (!wire->ended && wire->open_at <= model_now) {
        open(wire);
        any = true;
    }
    collect(wire);
    while (first_due(&wire->up) <= model_now) {
        struct parcel *parcel = parcel_of(wire->up.next);
        up(wire, parcel);
        parcel_free(parcel);
        any = true;
    }
    if (wire->full && wire->up_bytes < room_of(wire) / 2 && !wire->ended) {
        wire->full = false;
        wire->conn.events->on_writable(wire->conn.user, &wire->conn, model_now);
    }
    while (first_due(&wire->down) <= model_now) {
        struct parcel *parcel = parcel_of(wire->down.next);
        down(wire, parcel);
        parcel_free(parcel);
        any = true;
    }
    return tell_end(wire) || any;
}

bool net_turn(struct net *net)
{
    bool any = false;
    YO_LIST_EACH(link, next, &net->wires)
    {
        any |= turn(YO_CONTAINER(link, struct wire, link));
    }
    return any;
}
