/* SPDX-License-Identifier: MIT */
/* conn.c
 *
 * The happy path: `send` puts a reference into a ring, output makes frames of the ring
 * at the end of the turn; feed takes frames apart and hands whole messages up. A close,
 * from either side, is a frame that is answered; then the stream below is ended.
 *
 * Failure modes: a peer that breaks the protocol gets a close frame with the reason and
 * nothing it says is heard any more; one that does not answer a close in CLOSE_TIME, or
 * is silent for too long, is cut off; what happens below comes in through _lost.
 *
 * Invariants:
 *  1. `why` is set once, when the first cause of the end is known, and not changed;
 *  2. what is in `ring` counts in `queued`, each with its COST;
 *  3. outside a feed, `reader` is NULL unless a frame has begun and not ended. */
#include "transport/websocket/conn.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"
#include "transport/websocket/kit.h"

#define CLOSE_TIME YO_SECOND
#define COST 16 /* of a queued message beside its bytes: its place and its header */
#define CONTROL_MAX 125
#define TEXT_MAX 123
#define RING_MIN 8
#define RESERVE_MAX 65536 /* room that a frame's header alone may claim */

enum state {
    STATE_OPENING, /* a client's handshake is under way */
    STATE_OPEN,
    STATE_CLOSING, /* a close frame is to be sent, or waits for its answer */
    STATE_ENDED,   /* what is left to send is sent, then the stream ends */
    STATE_BROKEN   /* nothing more */
};

struct control { /* the payload of a control frame */
    uint8_t size;
    uint8_t bytes[CONTROL_MAX];
};

struct yo_websocket {
    struct yo_conn conn; /* first: a yo_conn is its websocket */
    const struct yomo_mem *mem;
    struct yo_websocket_kit *kit;
    struct yo_websocket_options options;
    const struct yo_websocket_hooks *hooks;
    void *hooks_user;
    enum state state;
    char address[64];
    /* Sending. */
    struct yo_blob **ring;
    size_t ring_size, first, count;
    size_t queued;
    size_t wanted; /* bytes for which on_writable was promised; 0: nobody waits */
    bool close_wanted, close_sent;
    bool ping_due;
    struct control *pong; /* is due; NULL: none is */
    /* Receiving. */
    wslay_frame_context_ptr reader;
    bool in_frame, in_message;
    uint8_t opcode;
    bool fin;
    uint64_t frame_left;
    size_t begun; /* bytes given to `reader` for frames that have not ended yet */
    struct control *control; /* NULL: no control frame has begun */
    struct yo_buf message;
    /* Liveness. */
    yo_time heard, pinged, answer_by;
    uint64_t ping_number; /* of the ping that waits for its pong; 0: none */
    uint64_t pings;
    yo_time rtt;
    /* The end. */
    struct yo_close why;
    char *text; /* why.text, or NULL */
    bool reported;
};

static void wake(struct yo_websocket *ws)
{
    ws->hooks->wake(ws->hooks_user);
}

/* --- The end ---------------------------------------------------------------------- */

static void drop_queue(struct yo_websocket *ws)
{
    for (; ws->count > 0; ws->count--) {
        yo_blob_unref(ws->ring[ws->first]);
        ws->first = (ws->first + 1) & (ws->ring_size - 1);
    }
    ws->queued = 0;
}

/* At most TEXT_MAX bytes of `text`, whole characters (RFC 6455 5.5). */
static size_t fitting(struct yo_span text)
{
    if (text.size <= TEXT_MAX) {
        return text.size;
    }
    size_t size = TEXT_MAX;
    while (size > 0 && (text.data[size] & 0xc0) == 0x80) {
        size--;
    }
    return size;
}

static void set_why(struct yo_websocket *ws, const struct yo_close *why)
{
    if (ws->state >= STATE_CLOSING) {
        return; /* the first cause counts */
    }
    ws->why = *why;
    size_t size = fitting(why->text);
    char *text = size > 0 ? yo_strndup(ws->mem, why->text.data, size) : NULL;
    ws->why.text = text ? yo_span(text, size) : YO_SPAN_NONE; /* no memory, no words */
    yo_free(ws->mem, ws->text);
    ws->text = text;
}

/* Nothing more goes out; the application hears of it at the end of the turn. */
static void break_off(struct yo_websocket *ws, const struct yo_close *why)
{
    set_why(ws, why);
    if (ws->state != STATE_BROKEN) {
        ws->state = STATE_BROKEN;
        drop_queue(ws);
        wake(ws);
    }
}

/* This side closes for a reason of its own: at once, without an answer. */
static void fail(struct yo_websocket *ws, uint32_t code, const char *text)
{
    struct yo_close why = {.kind = yo_close_kind_of(code),
                           .error = yo_close_error_of(code),
                           .code = code,
                           .text = yo_span_of(text)};
    set_why(ws, &why);
    drop_queue(ws);
    ws->close_wanted = true;
    ws->state = STATE_ENDED;
    wake(ws);
}

static bool sendable(uint32_t code) /* RFC 6455 7.4.1 */
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
            code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void on_close_frame(struct yo_websocket *ws)
{
    struct yo_span payload = yo_span(ws->control->bytes, ws->control->size);
    struct yo_close why = {.kind = YO_CLOSE_DONE, .remote = true, .farewell = true};
    if (payload.size > 0) {
        uint32_t code =
            payload.size == 1 ? 0 : (uint32_t)(payload.data[0] << 8 | payload.data[1]);
        why.text = yo_span_skip(payload, 2);
        if (!sendable(code)) {
            fail(ws, YO_CODE_PROTOCOL, "malformed close frame");
            return;
        }
        if (!yo_utf8_valid(why.text)) {
            fail(ws, 1007, "malformed close frame");
            return;
        }
        why.code = code;
        why.kind = yo_close_kind_of(code);
        why.error = yo_close_error_of(code);
        why.farewell = yo_close_is_farewell(code);
    }
    set_why(ws, &why);
    drop_queue(ws);
    if (!ws->close_sent) {
        ws->close_wanted = true; /* the answer */
    }
    ws->state = STATE_ENDED;
    wake(ws);
}

static int write_close(struct yo_websocket *ws, struct yo_buf *out)
{
    uint8_t payload[2 + TEXT_MAX];
    static const uint32_t codes[] = {[YO_CLOSE_RETRY] = YO_CODE_GOING_AWAY,
                                     [YO_CLOSE_FINAL] = YO_CODE_DENIED,
                                     [YO_CLOSE_DONE] = YO_CODE_NORMAL};
    uint32_t code = sendable(ws->why.code) ? ws->why.code : codes[ws->why.kind];
    struct yo_span text = ws->why.remote ? YO_SPAN_NONE : ws->why.text;
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    if (text.size > 0) {
        memcpy(payload + 2, text.data, text.size);
    }
    return yo_websocket_kit_write(ws->kit, out, ws->options.client,
                                  WSLAY_CONNECTION_CLOSE,
                                  yo_span(payload, 2 + text.size));
}

/* --- Sending ---------------------------------------------------------------------- */

static bool grow(struct yo_websocket *ws)
{
    size_t size = ws->ring_size ? ws->ring_size * 2 : RING_MIN;
    struct yo_blob **ring = yo_malloc(ws->mem, size * sizeof(*ring));
    if (!ring) {
        return false;
    }
    for (size_t i = 0; i < ws->count; i++) {
        ring[i] = ws->ring[(ws->first + i) & (ws->ring_size - 1)];
    }
    yo_free(ws->mem, ws->ring);
    ws->ring = ring;
    ws->ring_size = size;
    ws->first = 0;
    return true;
}

static size_t queued_in_all(const struct yo_websocket *ws)
{
    return ws->queued + ws->hooks->below(ws->hooks_user);
}

static bool fits(const struct yo_websocket *ws, size_t size)
{
    size_t queued = queued_in_all(ws);
    return queued == 0 || (queued < ws->options.queue_size_max &&
                           size <= ws->options.queue_size_max - queued);
}

static int ws_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                   uint64_t token)
{
    struct yo_websocket *ws = (struct yo_websocket *)conn;
    (void)lane;
    (void)token;
    if (ws->state == STATE_OPENING) {
        return YOMO_ERR_AGAIN; /* on_open is the sign */
    }
    if (ws->state != STATE_OPEN) {
        return YOMO_ERR_CLOSED;
    }
    if (message->size > ws->options.message_size_max) {
        return YOMO_ERR_TOO_BIG;
    }
    if (!fits(ws, message->size + COST)) {
        ws->wanted = message->size + COST;
        return YOMO_ERR_AGAIN;
    }
    if (ws->count == ws->ring_size && !grow(ws)) {
        return YOMO_ERR_NOMEM;
    }
    ws->ring[(ws->first + ws->count++) & (ws->ring_size - 1)] = yo_blob_ref(message);
    ws->queued += message->size + COST;
    if (ws->count == 1) {
        wake(ws);
    }
    return YOMO_OK;
}

static void ws_flush(struct yo_conn *conn, yo_time now)
{
    struct yo_websocket *ws = (struct yo_websocket *)conn;
    ws->hooks->flush(ws->hooks_user, now);
}

static void ws_end_lane(struct yo_conn *conn, uint32_t lane)
{
    (void)conn; /* all lanes are one stream of bytes */
    (void)lane;
}

static size_t ws_queued(const struct yo_conn *conn)
{
    return queued_in_all((const struct yo_websocket *)conn);
}

static void ws_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct yo_websocket *ws = (const struct yo_websocket *)conn;
    memset(info, 0, sizeof(*info));
    info->transport = YOMO_TRANSPORT_WEBSOCKET;
    info->secure = ws->options.secure;
    info->datagram_size_max = ws->options.message_size_max;
    info->rtt = ws->rtt;
    snprintf(info->address, sizeof(info->address), "%s", ws->address);
}

static void ws_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct yo_websocket *ws = (struct yo_websocket *)conn;
    if (ws->state >= STATE_CLOSING) {
        return;
    }
    if (ws->state == STATE_OPENING) {
        break_off(ws, how);
        return;
    }
    set_why(ws, how);
    ws->why.remote = false;
    if (how->kind == YO_CLOSE_RETRY) {
        drop_queue(ws);
    }
    ws->close_wanted = true;  /* behind what is queued */
    ws->answer_by = YO_NEVER; /* the turn, which has a clock, sets it */
    ws->state = STATE_CLOSING;
    wake(ws);
}

static void ws_abort(struct yo_conn *conn)
{
    struct yo_websocket *ws = (struct yo_websocket *)conn;
    struct yo_close why = {.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED};
    break_off(ws, &why);
}

static const struct yo_conn_ops ops = {ws_send, ws_flush, ws_end_lane, ws_queued,
                                       ws_info, ws_close,   ws_abort,    NULL,
                                       NULL};

bool yo_websocket_due(const struct yo_websocket *ws)
{
    return ws->state > STATE_OPENING && ws->state < STATE_BROKEN &&
           (ws->count > 0 || ws->ping_due || ws->pong ||
            (ws->close_wanted && !ws->close_sent));
}

static int write_controls(struct yo_websocket *ws, struct yo_buf *out)
{
    int rv = YOMO_OK;
    if (ws->pong && !ws->close_sent) {
        rv = yo_websocket_kit_write(ws->kit, out, ws->options.client, WSLAY_PONG,
                                    yo_span(ws->pong->bytes, ws->pong->size));
    }
    if (rv == YOMO_OK && ws->ping_due && !ws->close_sent) {
        rv = yo_websocket_kit_write(ws->kit, out, ws->options.client, WSLAY_PING,
                                    yo_span(&ws->ping_number, sizeof(ws->ping_number)));
    }
    yo_free(ws->mem, ws->pong);
    ws->pong = NULL;
    ws->ping_due = false;
    return rv;
}

bool yo_websocket_output(struct yo_websocket *ws, struct yo_buf *out, size_t limit)
{
    if (!yo_websocket_due(ws)) {
        return true;
    }
    int rv = write_controls(ws, out);
    while (rv == YOMO_OK && ws->count > 0 && out->size < limit) {
        struct yo_blob *blob = ws->ring[ws->first];
        rv = yo_websocket_kit_write(ws->kit, out, ws->options.client,
                                    WSLAY_BINARY_FRAME, yo_blob_span(blob));
        if (rv == YOMO_OK) {
            ws->first = (ws->first + 1) & (ws->ring_size - 1);
            ws->count--;
            ws->queued -= blob->size + COST;
            yo_blob_unref(blob);
        }
    }
    if (ws->count == 0 && ws->ring) {
        yo_free(ws->mem, ws->ring); /* an idle connection holds no ring */
        ws->ring = NULL;
        ws->ring_size = ws->first = 0;
    }
    if (rv == YOMO_OK && ws->count == 0 && ws->close_wanted && !ws->close_sent) {
        rv = write_close(ws, out);
        ws->close_sent = true;
    }
    if (rv != YOMO_OK) {
        yo_websocket_lost(ws, rv, YO_SPAN_NONE);
    }
    return rv == YOMO_OK;
}

void yo_websocket_turn(struct yo_websocket *ws, yo_time now)
{
    if (ws->state == STATE_OPEN && ws->wanted > 0 && fits(ws, ws->wanted) &&
        queued_in_all(ws) <= ws->options.queue_size_max / 2) {
        ws->wanted = 0;
        if (ws->conn.events->on_writable) {
            ws->conn.events->on_writable(ws->conn.user, &ws->conn, now);
        }
    }
    if (ws->state == STATE_CLOSING && ws->answer_by == YO_NEVER) {
        ws->answer_by = yo_time_after(now, CLOSE_TIME);
    }
}

/* --- Receiving -------------------------------------------------------------------- */

static void deliver(struct yo_websocket *ws, struct yo_span message, yo_time now)
{
    if (ws->state == STATE_OPEN && ws->conn.events->on_message) {
        ws->conn.events->on_message(ws->conn.user, &ws->conn, YO_LANE_CONTROL, message,
                                    now);
    }
}

/* Is the frame one that may come now? */
static bool begin_frame(struct yo_websocket *ws, const struct wslay_frame_iocb *frame)
{
    bool control = wslay_is_ctrl_frame(frame->opcode);
    ws->opcode = frame->opcode;
    ws->fin = frame->fin != 0;
    ws->frame_left = frame->payload_length;
    ws->in_frame = true;
    if (frame->rsv != 0 || (frame->mask != 0) == ws->options.client) {
        fail(ws, YO_CODE_PROTOCOL, "malformed frame");
        return false;
    }
    if (control) {
        bool known = frame->opcode <= WSLAY_PONG;
        if (!known || !ws->fin || frame->payload_length > CONTROL_MAX) {
            fail(ws, YO_CODE_PROTOCOL, "malformed control frame");
            return false;
        }
        ws->control = yo_calloc(ws->mem, 1, sizeof(*ws->control));
        if (!ws->control) {
            yo_websocket_lost(ws, YOMO_ERR_NOMEM, YO_SPAN_NONE);
        }
        return ws->control != NULL;
    }
    if (frame->opcode == WSLAY_TEXT_FRAME && !ws->in_message) {
        fail(ws, YO_CODE_UNSUPPORTED, "messages are binary");
        return false;
    }
    if (frame->opcode !=
        (ws->in_message ? WSLAY_CONTINUATION_FRAME : WSLAY_BINARY_FRAME)) {
        fail(ws, YO_CODE_PROTOCOL, "unexpected frame");
        return false;
    }
    if (frame->payload_length > ws->options.message_size_max - ws->message.size) {
        fail(ws, YO_CODE_TOO_BIG, "message too big");
        return false;
    }
    return true;
}

static void end_control(struct yo_websocket *ws, yo_time now)
{
    switch (ws->opcode) {
    case WSLAY_PING:
        /* Only the last one is answered (RFC 6455 5.5.3), so a flood of pings costs
         * no more than it brings. */
        yo_free(ws->mem, ws->pong);
        ws->pong = ws->control;
        ws->control = NULL;
        wake(ws);
        break;
    case WSLAY_PONG:
        if (ws->ping_number != 0 && ws->control->size == sizeof(ws->ping_number) &&
            memcmp(ws->control->bytes, &ws->ping_number, sizeof(ws->ping_number)) ==
                0) {
            yo_time rtt = now - ws->pinged;
            ws->rtt = ws->rtt ? ws->rtt / 8 * 7 + rtt / 8 : rtt;
            ws->ping_number = 0;
        } /* else: unasked for, short, late: harmless */
        break;
    default:
        on_close_frame(ws);
        break;
    }
    yo_free(ws->mem, ws->control);
    ws->control = NULL;
}

/* The frame's last byte is here. */
static void end_frame(struct yo_websocket *ws, yo_time now)
{
    ws->in_frame = false;
    if (wslay_is_ctrl_frame(ws->opcode)) {
        end_control(ws, now);
        return;
    }
    ws->in_message = !ws->fin;
    if (ws->fin) {
        struct yo_buf message = ws->message; /* ours alone while it is lent */
        yo_buf_init(&ws->message, ws->mem);
        deliver(ws, yo_buf_span(&message), now);
        yo_buf_finish(&message);
    }
}

static int keep_chunk(struct yo_websocket *ws, const struct wslay_frame_iocb *frame,
                      struct yo_span data)
{
    if (!ws->message.data && ws->fin && frame->payload_length <= RESERVE_MAX) {
        int rv = yo_buf_reserve(&ws->message, (size_t)frame->payload_length);
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return yo_buf_append_span(&ws->message, data);
}

static void on_chunk(struct yo_websocket *ws, const struct wslay_frame_iocb *frame,
                     yo_time now)
{
    struct yo_span data = yo_span(frame->data, frame->data_length);
    if (!ws->in_frame) {
        if (!begin_frame(ws, frame)) {
            return;
        }
        bool whole = ws->fin && !ws->in_message && data.size == frame->payload_length &&
                     !wslay_is_ctrl_frame(ws->opcode);
        if (whole) { /* the common case: no copy */
            ws->in_frame = false;
            deliver(ws, data, now);
            return;
        }
    }
    ws->frame_left -= data.size;
    if (wslay_is_ctrl_frame(ws->opcode)) {
        struct control *control = ws->control;
        memcpy(control->bytes + control->size, data.data, data.size);
        control->size = (uint8_t)(control->size + data.size);
    } else if (keep_chunk(ws, frame, data) != YOMO_OK) {
        yo_websocket_lost(ws, YOMO_ERR_NOMEM, YO_SPAN_NONE);
        return;
    }
    if (ws->frame_left == 0) {
        end_frame(ws, now);
    }
}

static size_t frame_size(const struct wslay_frame_iocb *frame)
{
    size_t header = frame->payload_length < 126     ? 2
                    : frame->payload_length < 65536 ? 4
                                                    : 10;
    return header + (frame->mask ? 4 : 0) + (size_t)frame->payload_length;
}

static bool listening(const struct yo_websocket *ws)
{
    return ws->state == STATE_OPEN || ws->state == STATE_CLOSING;
}

static void read_frames(struct yo_websocket *ws, yo_time now)
{
    struct yo_websocket_kit *kit = ws->kit;
    while (listening(ws)) {
        struct wslay_frame_iocb frame;
        memset(&frame, 0, sizeof(frame));
        kit->taken = 0;
        ssize_t rv = wslay_frame_recv(ws->reader, &frame);
        ws->begun += kit->taken;
        if (rv == WSLAY_ERR_WANT_READ) {
            break;
        }
        if (rv < 0) {
            fail(ws, YO_CODE_PROTOCOL, "malformed frame");
            break;
        }
        on_chunk(ws, &frame, now);
        if (!ws->in_frame) {
            ws->begun -= frame_size(&frame);
        }
    }
}

void yo_websocket_feed(struct yo_websocket *ws, struct yo_span bytes, yo_time now)
{
    ws->heard = now;
    if (!listening(ws) || bytes.size == 0) {
        return;
    }
    if (!ws->reader) {
        ws->reader = yo_websocket_kit_reader(ws->kit);
        ws->begun = 0;
    }
    if (!ws->reader) {
        yo_websocket_lost(ws, YOMO_ERR_NOMEM, YO_SPAN_NONE);
        return;
    }
    ws->kit->in = bytes;
    read_frames(ws, now);
    ws->kit->in = YO_SPAN_NONE;
    if (ws->begun == 0 || !listening(ws)) {
        yo_websocket_kit_return(ws->kit, ws->reader, ws->begun == 0 && listening(ws));
        ws->reader = NULL;
    }
}

void yo_websocket_lost(struct yo_websocket *ws, int error, struct yo_span text)
{
    struct yo_close why = {
        .kind = YO_CLOSE_RETRY, .error = error, .text = text, .remote = true};
    if (ws->state == STATE_ENDED) {
        return; /* a FIN behind the peer's close frame; ours may still go out */
    }
    if (ws->state == STATE_OPENING &&
        (error == YOMO_ERR_AUTH || error == YOMO_ERR_DENIED)) {
        why.kind = YO_CLOSE_FINAL;
    }
    break_off(ws, &why);
}

/* --- Time ------------------------------------------------------------------------- */

static yo_time keepalive_due(const struct yo_websocket *ws)
{
    if (ws->options.keepalive == 0) {
        return YO_NEVER;
    }
    yo_time last = ws->pinged > ws->heard ? ws->pinged : ws->heard;
    return yo_time_after(last, ws->options.keepalive);
}

static yo_time silence_due(const struct yo_websocket *ws)
{
    return ws->options.silence ? yo_time_after(ws->heard, ws->options.silence)
                               : YO_NEVER;
}

yo_time yo_websocket_deadline(const struct yo_websocket *ws)
{
    switch (ws->state) {
    case STATE_OPEN:
        return yo_time_min(keepalive_due(ws), silence_due(ws));
    case STATE_CLOSING:
        return ws->answer_by;
    default:
        return YO_NEVER;
    }
}

void yo_websocket_tick(struct yo_websocket *ws, yo_time now)
{
    if (ws->state == STATE_CLOSING && now >= ws->answer_by) {
        ws->state = STATE_BROKEN; /* `why` is known already */
        drop_queue(ws);
        wake(ws);
    }
    if (ws->state != STATE_OPEN) {
        return;
    }
    if (now >= silence_due(ws)) {
        fail(ws, YO_CODE_SILENT, "nothing was heard");
    } else if (now >= keepalive_due(ws)) {
        ws->ping_number = ++ws->pings;
        ws->pinged = now;
        ws->ping_due = true;
        wake(ws);
    }
}

/* --- Life ------------------------------------------------------------------------- */

int yo_websocket_create(struct yo_websocket **out, const struct yomo_mem *mem,
                        struct yo_websocket_kit *kit,
                        const struct yo_websocket_options *options,
                        const struct yo_websocket_hooks *hooks, void *hooks_user,
                        const struct yo_conn_events *events, void *user, yo_time now)
{
    struct yo_websocket *ws = yo_calloc(mem, 1, sizeof(*ws));
    if (!ws) {
        return YOMO_ERR_NOMEM;
    }
    ws->conn = (struct yo_conn){&ops, events, user};
    ws->mem = mem;
    ws->kit = kit;
    ws->options = *options;
    ws->hooks = hooks;
    ws->hooks_user = hooks_user;
    ws->state = options->client ? STATE_OPENING : STATE_OPEN;
    ws->heard = now;
    yo_buf_init(&ws->message, mem);
    *out = ws;
    return YOMO_OK;
}

void yo_websocket_destroy(struct yo_websocket *ws)
{
    if (!ws) {
        return;
    }
    drop_queue(ws);
    yo_free(ws->mem, ws->ring);
    yo_buf_finish(&ws->message);
    yo_free(ws->mem, ws->control);
    yo_free(ws->mem, ws->pong);
    yo_free(ws->mem, ws->text);
    if (ws->reader) {
        yo_websocket_kit_return(ws->kit, ws->reader, false);
    }
    yo_free(ws->mem, ws);
}

struct yo_conn *yo_websocket_conn(struct yo_websocket *ws)
{
    return &ws->conn;
}

void yo_websocket_set_address(struct yo_websocket *ws, const char *address)
{
    snprintf(ws->address, sizeof(ws->address), "%s", address);
}

void yo_websocket_opened(struct yo_websocket *ws, yo_time now)
{
    if (ws->state != STATE_OPENING) {
        return;
    }
    ws->state = STATE_OPEN;
    ws->heard = now;
    if (ws->conn.events->on_open) {
        ws->conn.events->on_open(ws->conn.user, &ws->conn, now);
    }
}

enum yo_websocket_end yo_websocket_over(const struct yo_websocket *ws)
{
    if (ws->state == STATE_BROKEN) {
        return YO_WEBSOCKET_BREAKS;
    }
    if (ws->state == STATE_ENDED && !yo_websocket_due(ws)) {
        return YO_WEBSOCKET_ENDS;
    }
    return YO_WEBSOCKET_GOES_ON;
}

void yo_websocket_report(struct yo_websocket *ws, yo_time now)
{
    assert(yo_websocket_over(ws) != YO_WEBSOCKET_GOES_ON && !ws->reported);
    ws->reported = true;
    if (ws->conn.events->on_closed) {
        ws->conn.events->on_closed(ws->conn.user, &ws->conn, &ws->why, now);
    }
}
