/* SPDX-License-Identifier: MIT */
/* tcp_visitor.c - one client that came by TCP.
 *
 * The happy path: TLS shakes hands, an HTTP request comes. A page is answered and the
 * next request awaited. A WebSocket's request goes up and waits; accepted, the visitor
 * becomes a link (ws_link.h) and is gone.
 *
 * Failure modes: too slow ones are closed; requests that are not HTTP get their status;
 * a client that goes while its request waits is told of by on_gone.
 *
 * Invariant: on_gone or one of accept, refuse, dismiss: exactly one ends a request. */
#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "transport/http/exchange_type.h"
#include "transport/http/writer.h"
#include "transport/tcp_inside.h"

#define LINGER YO_SECOND
#define AHEAD_MAX 65536   /* bytes that a client may send ahead of our answer */
#define HOLD_MAX (30 * YO_SECOND) /* until a page that is held must be answered */
#define BEHIND_MAX 262144 /* answers that a client may leave unread */

struct yo_page {
    struct yo_exchange exchange; /* first: a yo_exchange is its page */
    struct yo_tcp_visitor *visitor; /* NULL: gone, while it was held */
    const struct yomo_mem *mem;     /* of one that is held */
    bool answered, keep_alive, head_only;
};

/* --- The end ---------------------------------------------------------------------- */

void yo_tcp_visitor_free(struct yo_tcp_visitor *visitor)
{
    struct yo_tcp_door *door = visitor->door;
    bool admin = visitor->admin;
    if (visitor->held) {
        visitor->held->visitor = NULL; /* its owner's alone now */
    }
    yo_list_remove(&visitor->link);
    yo_timer_stop(&visitor->timer);
    yo_loop_release_timer(door->loop);
    yo_http_reader_destroy(visitor->reader);
    yo_buf_finish(&visitor->ahead);
    yo_free(yo_loop_mem(door->loop), visitor);
    door->admins -= admin;
    door->handshakes -= !admin;
    yo_tcp_door_check(door);
}

void yo_tcp_visitor_dismiss(struct yo_tcp_visitor *visitor, enum yo_tcp_farewell how)
{
    struct yo_tcp_door *door = visitor->door;
    visitor->state = YO_TCP_LEAVING;
    if (how == YO_TCP_LINGER) {
        yo_pipe_linger(visitor->pipe, LINGER);
    } else {
        yo_pipe_reset(visitor->pipe);
    }
    yo_crowd_leave(door->crowd, visitor->guest);
    door->connections -= !visitor->admin;
    yo_tcp_visitor_free(visitor);
}

/* --- Answers ---------------------------------------------------------------------- */

static int answer(struct yo_tcp_visitor *visitor, int status,
                  const char *const *headers, struct yo_span body, bool head_only,
                  bool keep_alive)
{
    struct yo_buf *out = &visitor->door->shared.frames;
    struct yo_http_answer what = {.status = status,
                                  .headers = headers,
                                  .body = body,
                                  .head_only = head_only,
                                  .keep_alive = keep_alive,
                                  .wall_ms = yo_wall_ms()};
    yo_buf_clear(out);
    int rv = yo_http_answer_write(out, &what);
    if (rv == YOMO_OK) {
        rv = yo_pipe_write(visitor->pipe, yo_buf_span(out));
    }
    yo_buf_clear(out);
    yo_buf_shrink(out, YO_TCP_SCRATCH_KEEP);
    return rv;
}

static void answer_and_leave(struct yo_tcp_visitor *visitor, int status,
                             struct yo_span text, const char *const *headers)
{
    static const char *const plain[] = {"Content-Type", "text/plain; charset=utf-8",
                                        NULL};
    if (text.size == 0) {
        text = yo_span_of(yo_http_reason(status));
    }
    (void)answer(visitor, status, headers ? headers : plain, text, false, false);
    yo_tcp_visitor_dismiss(visitor, YO_TCP_LINGER);
}

/* --- A page ----------------------------------------------------------------------- */

static struct yo_span page_header(const struct yo_exchange *exchange, const char *name)
{
    const struct yo_page *page = (const struct yo_page *)exchange;
    return yo_http_reader_header(page->visitor->reader, name);
}

static void page_answer(struct yo_exchange *exchange, int status,
                        const char *const *headers, struct yo_span body)
{
    struct yo_page *page = (struct yo_page *)exchange;
    assert(!page->answered);
    page->answered = true;
    if (answer(page->visitor, status, headers, body, page->head_only,
               page->keep_alive) != YOMO_OK) {
        page->keep_alive = false;
    }
}

static struct yo_exchange *page_hold(struct yo_exchange *exchange);
static const struct yo_exchange_ops page_ops = {page_header, page_answer, page_hold};

/* The page was answered. Returns false when the visitor has left. */
static bool turn_page(struct yo_tcp_visitor *visitor, bool keep_alive, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    if (!keep_alive) {
        yo_tcp_visitor_dismiss(visitor, YO_TCP_LINGER);
        return false;
    }
    yo_http_reader_next(visitor->reader);
    visitor->behind = 0;
    (void)yo_timer_set(&visitor->timer,
                       yo_time_after(now, door->options.handshake_ms * YO_MS));
    return true;
}

static void read_ahead(struct yo_tcp_visitor *visitor, yo_time now);

/* A held one's: the visitor may have gone. */
static void held_answer(struct yo_exchange *exchange, int status,
                        const char *const *headers, struct yo_span body)
{
    struct yo_page *page = (struct yo_page *)exchange;
    struct yo_tcp_visitor *visitor = page->visitor;
    if (visitor) {
        yo_time now = yo_loop_now(visitor->door->loop);
        assert(visitor->state == YO_TCP_HOLDING);
        page_answer(exchange, status, headers, body);
        visitor->held = NULL;
        visitor->state = YO_TCP_READING;
        if (turn_page(visitor, page->keep_alive, now)) {
            read_ahead(visitor, now);
        }
    }
    yo_free(page->mem, page);
}

static const struct yo_exchange_ops held_ops = {page_header, held_answer, NULL};

static struct yo_exchange *page_hold(struct yo_exchange *exchange)
{
    const struct yo_page *page = (const struct yo_page *)exchange;
    struct yo_tcp_visitor *visitor = page->visitor;
    const struct yomo_mem *mem = yo_loop_mem(visitor->door->loop);
    struct yo_page *held = yo_malloc(mem, sizeof(*held));
    assert(!page->answered && !visitor->held);
    if (!held) {
        return NULL;
    }
    *held = *page;
    held->exchange = (struct yo_exchange){.ops = &held_ops};
    held->mem = mem;
    visitor->held = held;
    return &held->exchange;
}

enum outcome { READS_ON, WAITS, IS_GONE };

static enum outcome show_page(struct yo_tcp_visitor *visitor, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    const struct yo_http_reader *reader = visitor->reader;
    struct yo_page page = {
        .exchange = {&page_ops, yo_http_reader_method(reader),
                     yo_http_reader_path(reader), yo_http_reader_query(reader),
                     yo_http_reader_body(reader), yo_span_of(visitor->address),
                     !visitor->secure, visitor->admin},
        .visitor = visitor,
        .head_only = yo_span_is(yo_http_reader_method(reader), "HEAD"),
        .keep_alive = yo_http_reader_keep_alive(reader) && !door->draining,
    };
    if (door->events->on_http) {
        door->events->on_http(door->user, &page.exchange, now);
    }
    if (visitor->held) {
        visitor->state = YO_TCP_HOLDING;
        (void)yo_timer_set(&visitor->timer, yo_time_after(now, HOLD_MAX));
        return WAITS;
    }
    if (!page.answered) {
        page.keep_alive = false;
        page_answer(&page.exchange, door->events->on_http ? 500 : 404, NULL,
                    YO_SPAN_NONE);
    }
    return turn_page(visitor, page.keep_alive, now) ? READS_ON : IS_GONE;
}

/* --- A WebSocket's request -------------------------------------------------------- */

static const struct yo_incoming_ops incoming_ops;

static void ask(struct yo_tcp_visitor *visitor, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    struct yo_http_reader *reader = visitor->reader;
    char address[sizeof(visitor->address)];
    memcpy(address, visitor->address, sizeof(address));
    struct yo_request request = {
        .transport = YOMO_TRANSPORT_WEBSOCKET,
        .secure = visitor->secure,
        .authority = yo_http_reader_header(reader, "Host"),
        .path = yo_http_reader_path(reader),
        .query = yo_http_reader_query(reader),
        .origin = yo_http_reader_header(reader, "Origin"),
        .address = yo_span_of(address),
    };
    visitor->state = YO_TCP_ASKING;
    visitor->incoming.ops = &incoming_ops;
    visitor->reader =
        NULL; /* the request is lent for the call, which may end the visitor */
    door->events->on_request(door->user, &visitor->incoming, &request, now);
    yo_http_reader_destroy(reader);
}

/* A trusted proxy's request: whose is it? From here on the visitor is who the proxy
 * says, in what is counted, logged and told. A connection of a proxy may bring the
 * requests of one client after another. Returns false when the visitor has left. */
static bool unmask(struct yo_tcp_visitor *visitor)
{
    static const char name[] = "X-Forwarded-For";
    struct yo_tcp_door *door = visitor->door;
    struct yo_ip ip = visitor->peer;
    uint8_t key[9];
    size_t lines = 0;
    while (yo_http_reader_header_at(visitor->reader, name, lines).data) {
        lines++;
    }
    while (lines > 0 &&
           yo_forwarded_follow(
               &door->options.trusted_proxies,
               yo_http_reader_header_at(visitor->reader, name, lines - 1), &ip)) {
        lines--;
    }
    yo_ip_print(&ip, visitor->address);
    if (yo_crowd_rename(door->crowd, &visitor->guest, yo_tcp_guest_key(key, &ip)) !=
        YOMO_OK) {
        door->stats.refused++;
        answer_and_leave(visitor, 429, YO_SPAN_NONE, NULL);
        return false;
    }
    return true;
}

/* One whole request is here. */
static enum outcome on_whole_request(struct yo_tcp_visitor *visitor, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    if (visitor->proxied && !unmask(visitor)) {
        return IS_GONE;
    }
    if (!visitor->secure && (visitor->admin || !door->options.allow_host_any) &&
        !yo_http_host_loopback(yo_http_reader_header(visitor->reader, "Host"))) {
        door->stats.refused++;
        answer_and_leave(visitor, 421,
                         yo_span_of("This listener is for this machine.\n"), NULL);
        return IS_GONE;
    }
    int status = visitor->admin
                     ? 0
                     : yo_websocket_check_request(visitor->reader, visitor->accept);
    if (status == 0) {
        return show_page(visitor, now);
    }
    if (status != 101 || door->draining || !door->events->on_request) {
        static const char *const version[] = {"Sec-WebSocket-Version", "13", NULL};
        door->stats.refused++;
        answer_and_leave(visitor, status != 101 ? status : 503, YO_SPAN_NONE,
                         status == 426 ? version : NULL);
        return IS_GONE;
    }
    ask(visitor, now);
    return IS_GONE; /* as far as reading goes */
}

static struct yo_tcp_member *make_member(struct yo_tcp_visitor *visitor,
                                         const struct yo_conn_events *events,
                                         void *user);

static struct yo_conn *incoming_accept(struct yo_incoming *incoming,
                                       const struct yo_response *response,
                                       const struct yo_conn_events *events, void *user)
{
    struct yo_tcp_visitor *visitor = (struct yo_tcp_visitor *)incoming;
    struct yo_tcp_door *door = visitor->door;
    assert(visitor->state == YO_TCP_ASKING);
    struct yo_buf *out = &door->shared.frames;
    struct yo_tcp_member *member = make_member(visitor, events, user);
    yo_buf_clear(out);
    if (!member ||
        yo_websocket_write_answer(out, visitor->accept,
                                  response ? response->headers : NULL) != YOMO_OK ||
        yo_pipe_write(visitor->pipe, yo_buf_span(out)) != YOMO_OK) {
        if (member) {
            yo_ws_link_discard(member->ws);
            yo_free(yo_loop_mem(door->loop), member);
        }
        yo_buf_clear(out);
        yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
        return NULL;
    }
    yo_buf_clear(out);
    yo_list_push_back(&door->linked, &member->link);
    door->stats.accepted_websocket++;
    (void)yo_ws_link_open(member->ws, visitor->pipe, yo_buf_span(&visitor->ahead),
                          yo_loop_now(door->loop));
    if (visitor->proxied) {
        yo_ws_link_set_address(member->ws, visitor->address);
    }
    yo_tcp_visitor_free(visitor);
    return yo_ws_link_conn(member->ws);
}

static void incoming_refuse(struct yo_incoming *incoming,
                            const struct yo_response *response)
{
    struct yo_tcp_visitor *visitor = (struct yo_tcp_visitor *)incoming;
    assert(visitor->state == YO_TCP_ASKING);
    visitor->door->stats.refused++;
    answer_and_leave(visitor, response->status, response->text, response->headers);
}

static void incoming_dismiss(struct yo_incoming *incoming, const struct yo_close *how)
{
    static const struct yo_conn_events nobody = {.on_open = NULL};
    static const struct yo_response welcome = {.status = 200};
    struct yo_tcp_door *door = ((struct yo_tcp_visitor *)incoming)->door;
    struct yo_conn *conn = incoming_accept(incoming, &welcome, &nobody, NULL);
    if (conn) {
        door->stats.accepted_websocket--;
        door->stats.refused++;
        yo_conn_close(conn, how);
    }
}

static const struct yo_incoming_ops incoming_ops = {incoming_accept, incoming_refuse,
                                                    incoming_dismiss, NULL};

static void on_member_gone(void *user)
{
    struct yo_tcp_member *member = user;
    struct yo_tcp_door *door = member->door;
    yo_list_remove(&member->link);
    yo_crowd_leave(door->crowd, member->guest);
    door->connections--;
    yo_free(yo_loop_mem(door->loop), member);
    yo_tcp_door_check(door);
}

static struct yo_tcp_member *make_member(struct yo_tcp_visitor *visitor,
                                         const struct yo_conn_events *events,
                                         void *user)
{
    struct yo_tcp_door *door = visitor->door;
    struct yo_tcp_member *member =
        yo_calloc(yo_loop_mem(door->loop), 1, sizeof(*member));
    if (!member) {
        return NULL;
    }
    struct yo_ws_link_options options = {
        .websocket = {.secure = visitor->secure,
                      .message_size_max = door->options.message_size_max,
                      .queue_size_max = door->options.queue_size_max,
                      .keepalive = door->options.keepalive_ms * YO_MS,
                      .silence = door->options.silence_ms * YO_MS},
        .linger = LINGER,
        .on_gone = on_member_gone,
        .user = member,
    };
    member->door = door;
    member->guest = visitor->guest;
    yo_list_init(&member->link);
    if (yo_ws_link_create(&member->ws, &door->shared, &options, events, user) !=
        YOMO_OK) {
        yo_free(yo_loop_mem(door->loop), member);
        return NULL;
    }
    return member;
}

/* A request that is none. */
static void tell_fault(const struct yo_tcp_visitor *visitor, int status, yo_time now)
{
    const struct yo_tcp_door *door = visitor->door;
    char text[64];
    if (door->events->on_fault) {
        snprintf(text, sizeof(text), "closed (HTTP %d): %s", status,
                 yo_http_reason(status));
        door->events->on_fault(door->user, visitor->address, text, now);
    }
}

/* --- A visitor's bytes ------------------------------------------------------------ */

/* Keep `bytes` for later; past AHEAD_MAX nothing more is read from the client. Returns
 * false when the visitor has left. */
static bool keep_ahead(struct yo_tcp_visitor *visitor, struct yo_span bytes)
{
    if (yo_buf_append_span(&visitor->ahead, bytes) != YOMO_OK) {
        return false;
    }
    if (visitor->ahead.size > AHEAD_MAX) {
        yo_pipe_pause(visitor->pipe, true);
    }
    return true;
}

static void read_requests(struct yo_tcp_visitor *visitor, struct yo_span bytes,
                          yo_time now)
{
    while (bytes.size > 0) {
        if (yo_pipe_queued(visitor->pipe) > BEHIND_MAX) {
            yo_pipe_pause(visitor->pipe, true); /* until on_drain */
            if (!keep_ahead(visitor, bytes)) {
                yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
            }
            return;
        }
        switch (yo_http_reader_feed(visitor->reader, &bytes)) {
        case YO_HTTP_MORE:
            break;
        case YO_HTTP_BAD:
            visitor->door->stats.messages_bad++;
            tell_fault(visitor, yo_http_reader_status(visitor->reader), now);
            answer_and_leave(visitor, yo_http_reader_status(visitor->reader),
                             YO_SPAN_NONE, NULL);
            return;
        case YO_HTTP_DONE: {
            /* What is behind a WebSocket's request is its first frames; they have to be
             * kept before the request is answered, which may be in the call. */
            bool upgrade = yo_http_reader_upgrade(visitor->reader);
            if (upgrade && !keep_ahead(visitor, bytes)) {
                yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
                return;
            }
            switch (on_whole_request(visitor, now)) {
            case IS_GONE:
                return;
            case WAITS:
                if (!upgrade && !keep_ahead(visitor, bytes)) {
                    yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
                }
                return;
            case READS_ON:
                break;
            }
            if (upgrade) { /* to something else: it was shown a page */
                yo_buf_clear(&visitor->ahead);
            }
            break;
        }
        }
    }
}

static void on_bytes(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_tcp_visitor *visitor = user;
    if (visitor->state == YO_TCP_READING) {
        read_requests(visitor, bytes, now);
    } else if ((visitor->state == YO_TCP_ASKING || visitor->state == YO_TCP_HOLDING) &&
               !keep_ahead(visitor, bytes)) {
        struct yo_tcp_door *door = visitor->door;
        if (visitor->state == YO_TCP_ASKING && door->events->on_gone) {
            door->events->on_gone(door->user, &visitor->incoming, now);
        }
        yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
    }
}

static void on_ready(void *user, yo_time now)
{
    struct yo_tcp_visitor *visitor = user;
    (void)now;
    visitor->state = YO_TCP_READING;
}

/* What came while nothing was looked at. */
static void read_ahead(struct yo_tcp_visitor *visitor, yo_time now)
{
    struct yo_buf ahead = visitor->ahead;
    yo_buf_init(&visitor->ahead, ahead.mem);
    yo_pipe_pause(visitor->pipe, false);
    read_requests(visitor, yo_buf_span(&ahead),
                  now); /* may be the end of the visitor */
    yo_buf_finish(&ahead);
}

static void on_drain(void *user, yo_time now)
{
    struct yo_tcp_visitor *visitor = user;
    if (visitor->state == YO_TCP_READING) {
        read_ahead(visitor, now);
    }
}

static void note_failure(struct yo_tcp_visitor *visitor, const char *what, int error,
                         struct yo_span text, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    uint32_t left_out;
    door->stats.handshakes_failed++;
    if (!yo_log_may(&door->failures, &left_out, now)) {
        return;
    }
    YO_LOG_WITH(
        yo_loop_log(door->loop), YOMO_LOG_INFO, "listen",
        yo_log_error(yo_log_text(YO_LOG_NONE, "address", yo_span_of(visitor->address)),
                     error),
        "%s handshake failed: %s%s%.*s (%u more like it were not logged)", what,
        yomo_strerror(error), text.size > 0 ? ": " : "", (int)text.size,
        text.data ? (const char *)text.data : "", left_out);
}

static void on_end(void *user, int error, struct yo_span text, yo_time now)
{
    struct yo_tcp_visitor *visitor = user;
    struct yo_tcp_door *door = visitor->door;
    if (visitor->state == YO_TCP_SHAKING) {
        note_failure(visitor, "TLS", error, text, now);
    }
    if (visitor->state == YO_TCP_ASKING && door->events->on_gone) {
        door->events->on_gone(door->user, &visitor->incoming, now);
    }
    yo_tcp_visitor_dismiss(visitor,
                           YO_TCP_LINGER); /* an answer may still be on its way */
}

const struct yo_pipe_events yo_tcp_visitor_events = {on_ready, on_bytes, on_drain,
                                                     on_end};

/* Has it taken a good part of what we have said, since we last looked? */
static bool still_takes(struct yo_tcp_visitor *visitor)
{
    size_t before = visitor->behind;
    visitor->behind = yo_pipe_queued(visitor->pipe);
    return visitor->behind > 0 &&
           (before == 0 || visitor->behind + YO_PIPE_PROGRESS <= before);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_tcp_visitor *visitor = YO_CONTAINER(timer, struct yo_tcp_visitor, timer);
    struct yo_tcp_door *door = visitor->door;
    switch (visitor->state) {
    case YO_TCP_ASKING:
        if (door->events->on_gone) {
            door->events->on_gone(door->user, &visitor->incoming, now);
        }
        answer_and_leave(visitor, 503, YO_SPAN_NONE, NULL);
        break;
    case YO_TCP_HOLDING:
        answer_and_leave(visitor, 503, YO_SPAN_NONE, NULL);
        break;
    case YO_TCP_READING:
        if (still_takes(visitor)) {
            (void)yo_timer_set(timer,
                               yo_time_after(now, door->options.handshake_ms * YO_MS));
        } else if (!yo_http_reader_idle(visitor->reader)) {
            note_failure(visitor, "HTTP", YOMO_ERR_TIMEOUT,
                         yo_span_of("the request did not end"), now);
            answer_and_leave(visitor, 408, YO_SPAN_NONE, NULL);
        } else {
            yo_tcp_visitor_dismiss(visitor,
                                   YO_TCP_LINGER); /* it has nothing more to ask */
        }
        break;
    default:
        note_failure(visitor, "TLS", YOMO_ERR_TIMEOUT, YO_SPAN_NONE, now);
        yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
        break;
    }
}

/* --- Life ------------------------------------------------------------------------- */

struct yo_tcp_visitor *yo_tcp_visitor_create(struct yo_tcp_door *door,
                                             struct yo_tcp *tcp, bool secure,
                                             bool admin)
{
    const struct yomo_mem *mem = yo_loop_mem(door->loop);
    struct yo_tcp_visitor *visitor = yo_calloc(mem, 1, sizeof(*visitor));
    if (!visitor || yo_loop_reserve_timer(door->loop) != YOMO_OK) {
        yo_free(mem, visitor);
        return NULL;
    }
    if (yo_http_reader_create(&visitor->reader, mem, false) != YOMO_OK) {
        yo_loop_release_timer(door->loop);
        yo_free(mem, visitor);
        return NULL;
    }
    visitor->door = door;
    visitor->secure = secure;
    visitor->admin = admin;
    visitor->state = secure ? YO_TCP_SHAKING : YO_TCP_READING;
    yo_buf_init(&visitor->ahead, mem);
    visitor->peer = yo_ip_of(yo_tcp_remote(tcp));
    visitor->proxied = !admin && yo_networks_have(&door->options.trusted_proxies, &visitor->peer);
    yo_address_print(yo_tcp_remote(tcp), visitor->address);
    yo_timer_init(&visitor->timer, door->loop, on_timer);
    yo_list_push_back(&door->visitors, &visitor->link);
    door->admins += admin;
    door->handshakes += !admin;
    return visitor;
}
