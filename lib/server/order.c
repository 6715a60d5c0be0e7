/* SPDX-License-Identifier: MIT */
/* order.c - an order of a member's is an act (act.h) within its room, as one of an
 * operator's would be; who has no right to it is refused and counted. The answer comes
 * when the act is back, on the worker that the member was on: one whose session has
 * moved meanwhile hears that its old connection had no answer. */
#include "server/order.h"

#include "base/check.h"
#include "base/text.h"
#include "server/act.h"
#include "server/log.h"
#include "server/worker.h"

static void answer(struct yo_worker *worker, uint64_t session, struct yo_span room,
                   uint64_t number, int error)
{
    struct yo_peer *peer = yo_worker_find(worker, session);
    struct yo_effects effects; /* not the worker's: those may be being carried out */

    if (!peer || number == 0) {
        return;
    }
    yo_effects_init(&effects, worker->mem);
    if (yo_server_confirm(peer->session, room, number, 0, error, &effects) == YOMO_OK) {
        yo_peer_carry_out(peer, &effects, yo_loop_now(worker->loop));
    } else {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    yo_effects_finish(&effects);
}

static void on_done(struct yo_act *act, int error)
{
    struct yo_worker *worker = act->server->workers[act->end.back];

    answer(worker, act->end.session, act->room, act->end.number, error);
}

static bool may(const struct yo_peer *peer, struct yo_span name)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_local_room *room = yo_local_room_find(
        &peer->worker->local, yo_room_key_write(bytes, yo_span_of(peer->app), name));
    const struct yo_seat *seat = room ? yo_seat_find(peer, room) : NULL;

    return seat && (seat->may & YO_MAY_ADMIN);
}

/* The names as texts with a NUL; NULL for those that are not there. */
struct names {
    char room[256], id[256], reason[256];
};

static bool copy(char out[256], struct yo_span text)
{
    if (text.size > 255 || (text.size > 0 && memchr(text.data, '\0', text.size))) {
        return false;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
    return true;
}

static int carry_out(struct yo_peer *peer, const struct yo_effect *order)
{
    struct yo_worker *worker = peer->worker;
    const struct yo_act_end end = {.done = on_done,
                                   .session = peer->session_id,
                                   .number = order->number,
                                   .back = (int32_t)worker->index};
    struct names names;
    const char *id, *reason;

    if (!may(peer, order->room)) {
        return YOMO_ERR_DENIED;
    }
    if (!copy(names.room, order->room) || !copy(names.id, order->peer) ||
        !copy(names.reason, order->text)) {
        return YOMO_ERR_INVALID;
    }
    id = names.id[0] ? names.id : NULL;
    reason = names.reason[0] ? names.reason : NULL;
    switch (order->op) {
    case YO_OP_KICK:
        return yo_admin_kick(worker->server, peer->app, names.room, id, order->session,
                             reason, &end);
    case YO_OP_BAN:
        return yo_admin_ban(worker->server, peer->app, names.room, id, NULL,
                            order->after_ms, reason, &end);
    default:
        return yo_admin_close_room(worker->server, peer->app, names.room, reason, &end);
    }
}

void yo_order_take(struct yo_peer *peer, const struct yo_effect *order)
{
    struct yo_worker *worker = peer->worker;
    int rv = carry_out(peer, order);

    if (rv == YOMO_OK) {
        YO_LOG_WITH(worker->log, YOMO_LOG_INFO, "admin", YO_LOG_SEAT(peer, order->room),
                    "a member's order: %s", yo_op_name(order->op));
        return;
    }
    yo_metric_add(rv == YOMO_ERR_DENIED ? &worker->metrics->dropped_denied
                                        : &worker->metrics->dropped_limit,
                  1);
    YO_COMPLAIN(worker, YO_COMPLAINT_MESSAGE, yo_loop_now(worker->loop),
                yo_log_error(YO_LOG_SEAT(peer, order->room), rv),
                "an order was refused: %s", yomo_strerror(rv));
    answer(worker, peer->session_id, order->room, order->number, rv);
}
