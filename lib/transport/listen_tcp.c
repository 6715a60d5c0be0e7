/* SPDX-License-Identifier: MIT */
/* listen_tcp.c
 *
 * The happy path of a visitor: TCP is accepted, TLS shakes hands, an HTTP request
 * comes. A page is answered and the next request awaited. A WebSocket's request goes up
 * and waits; accepted, the visitor becomes a link (ws_link.h) and is gone.
 *
 * Failure modes: too many visitors or too slow ones are closed; requests that are not
 * HTTP get their status; a client that goes while its request waits is told of by
 * on_gone.
 *
 * Invariants:
 *  1. each accepted socket is one visitor, then perhaps one link, and holds one
 *     `guest`, which counts it for its address, until it is gone; what comes from a
 *     trusted proxy is counted for nobody until a request says whose it is;
 *  2. on_gone or one of accept, refuse, dismiss: exactly one ends a request. */
#include "transport/listen_tcp.h"

#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/map.h"
#include "transport/http/exchange_type.h"
#include "transport/http/reader.h"
#include "transport/http/writer.h"
#include "transport/websocket/handshake.h"
#include "transport/ws_link.h"

#define LINGER YO_SECOND
#define AHEAD_MAX 65536   /* bytes that a client may send ahead of our answer */
#define BEHIND_MAX 262144 /* answers that a client may leave unread */
#define SCRATCH_KEEP 131072

/* How many connections one address has. IPv6: one network of 64 bits. */
struct guest {
    struct yo_map_node node;
    uint8_t key[9];
    uint32_t count;
};

enum state {
    STATE_SHAKING, /* TLS */
    STATE_READING, /* HTTP requests */
    STATE_ASKING,  /* a WebSocket's request waits for its answer */
    STATE_LEAVING  /* nothing more from this client is looked at */
};

struct yo_tcp_door {
    struct yo_loop *loop;
    struct yo_listener_options options;
    const struct yo_listener_events *events;
    void *user;
    struct yo_tls_server *tls;
    struct yo_ws_shared shared;
    struct yo_tcp_listener *sockets[YO_TCP_DOOR_SOCKETS_MAX];
    size_t socket_count;
    struct yo_map guests;
    struct yo_link visitors, linked;
    size_t connections, handshakes; /* all visitors and links; visitors alone */
    struct yo_log_pace failures;
    struct yo_listener_stats stats;
    struct yo_task task; /* the end */
    bool draining, closing;
    void (*on_closed)(void *user);
    void *closed_user;
};

struct visitor {
    struct yo_incoming incoming; /* first: a yo_incoming is its visitor */
    struct yo_link link;         /* in door->visitors */
    struct yo_tcp_door *door;
    struct guest *guest;
    struct yo_pipe *pipe;
    struct yo_http_reader *reader;
    struct yo_timer timer;
    enum state state;
    bool secure;
    bool proxied;        /* by one whose word counts */
    struct yo_ip peer;   /* who has connected */
    size_t behind;       /* of our answers, when the timer last looked */
    struct yo_buf ahead; /* what came and is not looked at yet */
    char address[64];    /* the client's */
    char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
};

/* One that has become a WebSocket. */
struct member {
    struct yo_link link; /* in door->linked */
    struct yo_tcp_door *door;
    struct guest *guest;
    struct yo_ws_link *ws;
};

/* --- Who is here ------------------------------------------------------------------ */

static size_t guest_key(uint8_t key[9], const struct yo_ip *ip)
{
    bool v4 = yo_ip_v4(ip);
    memset(key, 0, 9);
    key[0] = v4 ? 4 : 6;
    memcpy(key + 1, v4 ? ip->bytes + 12 : ip->bytes, v4 ? 4 : 8);
    return v4 ? 5 : 9;
}

/* Count one more of this address; NULL when there are too many, or no memory. */
static struct guest *guest_in(struct yo_tcp_door *door, const struct yo_ip *ip)
{
    uint8_t key[9];
    size_t size = guest_key(key, ip);
    struct yo_map_node *node = yo_map_get(&door->guests, yo_span(key, size));
    if (node) {
        struct guest *guest = YO_CONTAINER(node, struct guest, node);
        if (door->options.connections_per_address_max > 0 &&
            guest->count >= door->options.connections_per_address_max) {
            return NULL;
        }
        guest->count++;
        return guest;
    }
    struct guest *guest = yo_calloc(yo_loop_mem(door->loop), 1, sizeof(*guest));
    if (!guest) {
        return NULL;
    }
    memcpy(guest->key, key, sizeof(key));
    guest->count = 1;
    if (yo_map_put(&door->guests, &guest->node, yo_span(guest->key, size)) != YOMO_OK) {
        yo_free(yo_loop_mem(door->loop), guest);
        return NULL;
    }
    return guest;
}

/* Accepts NULL. */
static void guest_out(struct yo_tcp_door *door, struct guest *guest)
{
    if (guest && --guest->count == 0) {
        yo_map_remove(&door->guests, &guest->node);
        yo_free(yo_loop_mem(door->loop), guest);
    }
}

static void check_closed(struct yo_tcp_door *door)
{
    if (door->closing && yo_list_empty(&door->visitors) &&
        yo_list_empty(&door->linked)) {
        yo_loop_defer(door->loop, &door->task);
    }
}

/* Free what is the visitor's own; `pipe` and `guest` must have gone elsewhere. */
static void free_visitor(struct visitor *visitor)
{
    struct yo_tcp_door *door = visitor->door;
    yo_list_remove(&visitor->link);
    yo_timer_stop(&visitor->timer);
    yo_loop_release_timer(door->loop);
    yo_http_reader_destroy(visitor->reader);
    yo_buf_finish(&visitor->ahead);
    yo_free(yo_loop_mem(door->loop), visitor);
    door->handshakes--;
    check_closed(door);
}

enum farewell { FAREWELL_LINGER, FAREWELL_RESET };

static void dismiss_visitor(struct visitor *visitor, enum farewell how)
{
    struct yo_tcp_door *door = visitor->door;
    visitor->state = STATE_LEAVING;
    if (how == FAREWELL_LINGER) {
        yo_pipe_linger(visitor->pipe, LINGER);
    } else {
        yo_pipe_reset(visitor->pipe);
    }
    guest_out(door, visitor->guest);
    door->connections--;
    free_visitor(visitor);
}

/* --- Answers ---------------------------------------------------------------------- */

static int answer(struct visitor *visitor, int status, const char *const *headers,
                  struct yo_span body, bool head_only, bool keep_alive)
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
    yo_buf_shrink(out, SCRATCH_KEEP);
    return rv;
}

static void answer_and_leave(struct visitor *visitor, int status, struct yo_span text,
                             const char *const *headers)
{
    static const char *const plain[] = {"Content-Type", "text/plain; charset=utf-8",
                                        NULL};
    if (text.size == 0) {
        text = yo_span_of(yo_http_reason(status));
    }
    (void)answer(visitor, status, headers ? headers : plain, text, false, false);
    dismiss_visitor(visitor, FAREWELL_LINGER);
}

/* --- A page ----------------------------------------------------------------------- */

struct page {
    struct yo_exchange exchange; /* first: a yo_exchange is its page */
    struct visitor *visitor;
    bool answered, keep_alive;
};

static struct yo_span page_header(const struct yo_exchange *exchange, const char *name)
{
    const struct page *page = (const struct page *)exchange;
    return yo_http_reader_header(page->visitor->reader, name);
}

static void page_answer(struct yo_exchange *exchange, int status,
                        const char *const *headers, struct yo_span body)
{
    struct page *page = (struct page *)exchange;
    assert(!page->answered);
    page->answered = true;
    bool head_only = yo_span_is(exchange->method, "HEAD");
    if (answer(page->visitor, status, headers, body, head_only, page->keep_alive) !=
        YOMO_OK) {
        page->keep_alive = false;
    }
}

static const struct yo_exchange_ops page_ops = {page_header, page_answer};

/* Returns false when the visitor has left. */
static bool show_page(struct visitor *visitor, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    const struct yo_http_reader *reader = visitor->reader;
    struct page page = {
        .exchange = {&page_ops, yo_http_reader_method(reader),
                     yo_http_reader_path(reader), yo_http_reader_query(reader),
                     yo_http_reader_body(reader), yo_span_of(visitor->address),
                     !visitor->secure},
        .visitor = visitor,
        .keep_alive = yo_http_reader_keep_alive(reader) && !door->draining,
    };
    if (door->events->on_http) {
        door->events->on_http(door->user, &page.exchange, now);
    }
    if (!page.answered) {
        page.keep_alive = false;
        page_answer(&page.exchange, door->events->on_http ? 500 : 404, NULL,
                    YO_SPAN_NONE);
    }
    if (!page.keep_alive) {
        dismiss_visitor(visitor, FAREWELL_LINGER);
        return false;
    }
    yo_http_reader_next(visitor->reader);
    visitor->behind = 0;
    (void)yo_timer_set(&visitor->timer,
                       yo_time_after(now, door->options.handshake_ms * YO_MS));
    return true;
}

/* --- A WebSocket's request -------------------------------------------------------- */

static const struct yo_incoming_ops incoming_ops;

static void ask(struct visitor *visitor, yo_time now)
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
    visitor->state = STATE_ASKING;
    visitor->incoming.ops = &incoming_ops;
    visitor->reader =
        NULL; /* the request is lent for the call, which may end the visitor */
    door->events->on_request(door->user, &visitor->incoming, &request, now);
    yo_http_reader_destroy(reader);
}

/* A trusted proxy's request: whose is it? From here on the visitor is who the proxy
 * says, in what is counted, logged and told. A connection of a proxy may bring the
 * requests of one client after another. Returns false when the visitor has left. */
static bool unmask(struct visitor *visitor)
{
    static const char name[] = "X-Forwarded-For";
    struct yo_tcp_door *door = visitor->door;
    struct yo_ip ip = visitor->peer;
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
    guest_out(door, visitor->guest);
    visitor->guest = guest_in(door, &ip);
    yo_ip_print(&ip, visitor->address);
    if (!visitor->guest) {
        door->stats.refused++;
        answer_and_leave(visitor, 429, YO_SPAN_NONE, NULL);
        return false;
    }
    return true;
}

/* One whole request is here. Returns false when there is no more to read now. */
static bool on_whole_request(struct visitor *visitor, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    if (visitor->proxied && !unmask(visitor)) {
        return false;
    }
    if (!visitor->secure && !door->options.allow_host_any &&
        !yo_http_host_loopback(yo_http_reader_header(visitor->reader, "Host"))) {
        door->stats.refused++;
        answer_and_leave(visitor, 421,
                         yo_span_of("This listener is for this machine.\n"), NULL);
        return false;
    }
    int status = yo_websocket_check_request(visitor->reader, visitor->accept);
    if (status == 0) {
        return show_page(visitor, now);
    }
    if (status != 101 || door->draining || !door->events->on_request) {
        static const char *const version[] = {"Sec-WebSocket-Version", "13", NULL};
        door->stats.refused++;
        answer_and_leave(visitor, status != 101 ? status : 503, YO_SPAN_NONE,
                         status == 426 ? version : NULL);
        return false;
    }
    ask(visitor, now);
    return false;
}

static struct member *make_member(struct visitor *visitor,
                                  const struct yo_conn_events *events, void *user);

static struct yo_conn *incoming_accept(struct yo_incoming *incoming,
                                       const struct yo_response *response,
                                       const struct yo_conn_events *events, void *user)
{
    struct visitor *visitor = (struct visitor *)incoming;
    struct yo_tcp_door *door = visitor->door;
    assert(visitor->state == STATE_ASKING);
    struct yo_buf *out = &door->shared.frames;
    struct member *member = make_member(visitor, events, user);
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
        dismiss_visitor(visitor, FAREWELL_RESET);
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
    free_visitor(visitor);
    return yo_ws_link_conn(member->ws);
}

static void incoming_refuse(struct yo_incoming *incoming,
                            const struct yo_response *response)
{
    struct visitor *visitor = (struct visitor *)incoming;
    assert(visitor->state == STATE_ASKING);
    visitor->door->stats.refused++;
    answer_and_leave(visitor, response->status, response->text, response->headers);
}

static void incoming_dismiss(struct yo_incoming *incoming, const struct yo_close *how)
{
    static const struct yo_conn_events nobody = {.on_open = NULL};
    static const struct yo_response welcome = {.status = 200};
    struct yo_tcp_door *door = ((struct visitor *)incoming)->door;
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
    struct member *member = user;
    struct yo_tcp_door *door = member->door;
    yo_list_remove(&member->link);
    guest_out(door, member->guest);
    door->connections--;
    yo_free(yo_loop_mem(door->loop), member);
    check_closed(door);
}

static struct member *make_member(struct visitor *visitor,
                                  const struct yo_conn_events *events, void *user)
{
    struct yo_tcp_door *door = visitor->door;
    struct member *member = yo_calloc(yo_loop_mem(door->loop), 1, sizeof(*member));
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
static void tell_fault(const struct visitor *visitor, int status, yo_time now)
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
static bool keep_ahead(struct visitor *visitor, struct yo_span bytes)
{
    if (yo_buf_append_span(&visitor->ahead, bytes) != YOMO_OK) {
        return false;
    }
    if (visitor->ahead.size > AHEAD_MAX) {
        yo_pipe_pause(visitor->pipe, true);
    }
    return true;
}

static void read_requests(struct visitor *visitor, struct yo_span bytes, yo_time now)
{
    while (bytes.size > 0) {
        if (yo_pipe_queued(visitor->pipe) > BEHIND_MAX) {
            yo_pipe_pause(visitor->pipe, true); /* until on_drain */
            if (!keep_ahead(visitor, bytes)) {
                dismiss_visitor(visitor, FAREWELL_RESET);
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
                dismiss_visitor(visitor, FAREWELL_RESET);
                return;
            }
            if (!on_whole_request(visitor, now)) {
                return;
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
    struct visitor *visitor = user;
    if (visitor->state == STATE_READING) {
        read_requests(visitor, bytes, now);
    } else if (visitor->state == STATE_ASKING && !keep_ahead(visitor, bytes)) {
        struct yo_tcp_door *door = visitor->door;
        if (door->events->on_gone) {
            door->events->on_gone(door->user, &visitor->incoming, now);
        }
        dismiss_visitor(visitor, FAREWELL_RESET);
    }
}

static void on_ready(void *user, yo_time now)
{
    struct visitor *visitor = user;
    (void)now;
    visitor->state = STATE_READING;
}

static void on_drain(void *user, yo_time now)
{
    struct visitor *visitor = user;
    if (visitor->state != STATE_READING) {
        return;
    }
    struct yo_buf ahead = visitor->ahead;
    yo_buf_init(&visitor->ahead, ahead.mem);
    yo_pipe_pause(visitor->pipe, false);
    read_requests(visitor, yo_buf_span(&ahead),
                  now); /* may be the end of the visitor */
    yo_buf_finish(&ahead);
}

static void note_failure(struct visitor *visitor, const char *what, int error,
                         struct yo_span text, yo_time now)
{
    struct yo_tcp_door *door = visitor->door;
    uint32_t left_out;
    door->stats.handshakes_failed++;
    if (!yo_log_may(&door->failures, &left_out, now)) {
        return;
    }
    YO_LOG(yo_loop_log(door->loop), YOMO_LOG_INFO, "listen",
           "%s: %s handshake failed: %s%s%.*s (%u more like it were not logged)",
           visitor->address, what, yomo_strerror(error), text.size > 0 ? ": " : "",
           (int)text.size, text.data ? (const char *)text.data : "", left_out);
}

static void on_end(void *user, int error, struct yo_span text, yo_time now)
{
    struct visitor *visitor = user;
    struct yo_tcp_door *door = visitor->door;
    if (visitor->state == STATE_SHAKING) {
        note_failure(visitor, "TLS", error, text, now);
    }
    if (visitor->state == STATE_ASKING && door->events->on_gone) {
        door->events->on_gone(door->user, &visitor->incoming, now);
    }
    dismiss_visitor(visitor, FAREWELL_LINGER); /* an answer may still be on its way */
}

static const struct yo_pipe_events pipe_events = {on_ready, on_bytes, on_drain, on_end};

/* Has it taken a good part of what we have said, since we last looked? */
static bool still_takes(struct visitor *visitor)
{
    size_t before = visitor->behind;
    visitor->behind = yo_pipe_queued(visitor->pipe);
    return visitor->behind > 0 &&
           (before == 0 || visitor->behind + YO_PIPE_PROGRESS <= before);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct visitor *visitor = YO_CONTAINER(timer, struct visitor, timer);
    struct yo_tcp_door *door = visitor->door;
    switch (visitor->state) {
    case STATE_ASKING:
        if (door->events->on_gone) {
            door->events->on_gone(door->user, &visitor->incoming, now);
        }
        answer_and_leave(visitor, 503, YO_SPAN_NONE, NULL);
        break;
    case STATE_READING:
        if (still_takes(visitor)) {
            (void)yo_timer_set(timer,
                               yo_time_after(now, door->options.handshake_ms * YO_MS));
        } else if (!yo_http_reader_idle(visitor->reader)) {
            note_failure(visitor, "HTTP", YOMO_ERR_TIMEOUT,
                         yo_span_of("the request did not end"), now);
            answer_and_leave(visitor, 408, YO_SPAN_NONE, NULL);
        } else {
            dismiss_visitor(visitor, FAREWELL_LINGER); /* it has nothing more to ask */
        }
        break;
    default:
        note_failure(visitor, "TLS", YOMO_ERR_TIMEOUT, YO_SPAN_NONE, now);
        dismiss_visitor(visitor, FAREWELL_RESET);
        break;
    }
}

/* --- The door --------------------------------------------------------------------- */

static bool has_room(const struct yo_tcp_door *door)
{
    const struct yo_listener_options *options = &door->options;
    return !door->draining && !door->closing &&
           (options->connections_max == 0 ||
            door->connections < options->connections_max) &&
           (options->handshakes_max == 0 || door->handshakes < options->handshakes_max);
}

static struct visitor *new_visitor(struct yo_tcp_door *door, struct yo_tcp *tcp,
                                   bool secure)
{
    const struct yomo_mem *mem = yo_loop_mem(door->loop);
    struct visitor *visitor = yo_calloc(mem, 1, sizeof(*visitor));
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
    visitor->state = secure ? STATE_SHAKING : STATE_READING;
    yo_buf_init(&visitor->ahead, mem);
    visitor->peer = yo_ip_of(yo_tcp_remote(tcp));
    visitor->proxied = yo_networks_have(&door->options.trusted_proxies, &visitor->peer);
    yo_address_print(yo_tcp_remote(tcp), visitor->address);
    yo_timer_init(&visitor->timer, door->loop, on_timer);
    yo_list_push_back(&door->visitors, &visitor->link);
    door->handshakes++;
    return visitor;
}

static void welcome(struct yo_tcp_door *door, struct yo_tcp *tcp, bool secure,
                    yo_time now)
{
    struct visitor *visitor = NULL;
    if (has_room(door) && (!secure || door->tls)) {
        visitor = new_visitor(door, tcp, secure);
    }
    if (visitor && !visitor->proxied) {
        visitor->guest = guest_in(door, &visitor->peer);
        if (!visitor->guest) {
            free_visitor(visitor);
            visitor = NULL;
        }
    }
    if (!visitor) {
        door->stats.refused++;
        yo_tcp_reset(tcp);
        return;
    }
    door->connections++;
    if (yo_pipe_open(&visitor->pipe, &door->shared.yard, tcp, &pipe_events, visitor) !=
        YOMO_OK) {
        guest_out(door, visitor->guest);
        door->connections--;
        free_visitor(visitor);
        return;
    }
    if (secure && yo_pipe_accept_tls(visitor->pipe, door->tls) != YOMO_OK) {
        dismiss_visitor(visitor, FAREWELL_RESET);
        return;
    }
    (void)yo_timer_set(&visitor->timer,
                       yo_time_after(now, door->options.handshake_ms * YO_MS));
}

static void on_accept_secure(void *user, struct yo_tcp *tcp, yo_time now)
{
    welcome(user, tcp, true, now);
}

static void on_accept_plain(void *user, struct yo_tcp *tcp, yo_time now)
{
    welcome(user, tcp, false, now);
}

int yo_tcp_door_add(struct yo_tcp_door *door, int fd, bool secure)
{
    if (door->socket_count == YO_TCP_DOOR_SOCKETS_MAX) {
        /* Listening and closing again is how the descriptor is closed. */
        struct yo_tcp_listener *surplus;
        int rv =
            yo_tcp_listen(&surplus, door->loop, fd, NULL, false, on_accept_plain, door);
        if (rv == YOMO_OK) {
            yo_tcp_listener_close(surplus);
        }
        return YOMO_ERR_FULL;
    }
    struct yo_tcp_listener **socket = &door->sockets[door->socket_count];
    int rv = yo_tcp_listen(socket, door->loop, fd, NULL, false,
                           secure ? on_accept_secure : on_accept_plain, door);
    if (rv == YOMO_OK) {
        door->socket_count++;
    }
    return rv;
}

void yo_tcp_door_set_tls(struct yo_tcp_door *door, struct yo_tls_server *tls)
{
    yo_tls_server_ref(tls);
    yo_tls_server_unref(door->tls);
    door->tls = tls;
}

void yo_tcp_door_stats(const struct yo_tcp_door *door, struct yo_listener_stats *stats)
{
    stats->accepted_websocket += door->stats.accepted_websocket;
    stats->refused += door->stats.refused;
    stats->handshakes_failed += door->stats.handshakes_failed;
    stats->handshakes_tcp_resumed += door->shared.yard.resumed;
    stats->handshakes_tcp_full +=
        door->shared.yard.handshakes - door->shared.yard.resumed;
    stats->messages_bad += door->stats.messages_bad;
    stats->bytes_in += door->shared.yard.bytes_in;
    stats->bytes_out += door->shared.yard.bytes_out;
    stats->connections_now += door->connections;
    stats->handshakes_now += door->handshakes;
}

static void close_sockets(struct yo_tcp_door *door)
{
    for (size_t i = 0; i < door->socket_count; i++) {
        yo_tcp_listener_close(door->sockets[i]);
    }
    door->socket_count = 0;
}

void yo_tcp_door_drain(struct yo_tcp_door *door)
{
    door->draining = true;
    close_sockets(door);
}

static void finish_door(struct yo_task *task, yo_time now)
{
    struct yo_tcp_door *door = YO_CONTAINER(task, struct yo_tcp_door, task);
    void (*on_closed)(void *) = door->on_closed;
    void *user = door->closed_user;
    (void)now;
    if (!door->closing) {
        return;
    }
    while (!yo_list_empty(&door->visitors)) {
        struct visitor *visitor =
            YO_CONTAINER(door->visitors.next, struct visitor, link);
        if (visitor->state == STATE_ASKING && door->events->on_gone) {
            door->events->on_gone(door->user, &visitor->incoming, now);
        }
        dismiss_visitor(visitor, FAREWELL_RESET);
    }
    yo_task_cancel(&door->task);
    if (!yo_list_empty(&door->linked)) {
        return; /* on_member_gone comes back here */
    }
    yo_tls_server_unref(door->tls);
    yo_ws_shared_finish(&door->shared);
    yo_map_finish(&door->guests);
    yo_free(yo_loop_mem(door->loop), door);
    if (on_closed) {
        on_closed(user);
    }
}

int yo_tcp_door_create(struct yo_tcp_door **out, struct yo_loop *loop,
                       const struct yo_listener_options *options,
                       const struct yo_listener_events *events, void *user)
{
    struct yo_tcp_door *door = yo_calloc(yo_loop_mem(loop), 1, sizeof(*door));
    if (!door || yo_ws_shared_init(&door->shared, loop, SCRATCH_KEEP) != YOMO_OK) {
        yo_free(yo_loop_mem(loop), door);
        return YOMO_ERR_NOMEM;
    }
    door->loop = loop;
    door->options = *options;
    door->events = events;
    door->user = user;
    yo_map_init(&door->guests, yo_loop_mem(loop));
    yo_list_init(&door->visitors);
    yo_list_init(&door->linked);
    yo_task_init(&door->task, finish_door);
    *out = door;
    return YOMO_OK;
}

void yo_tcp_door_close(struct yo_tcp_door *door, void (*on_closed)(void *user),
                       void *user)
{
    assert(!door->closing);
    door->draining = door->closing = true;
    door->on_closed = on_closed;
    door->closed_user = user;
    close_sockets(door);
    YO_LIST_EACH(link, next, &door->linked)
    {
        yo_conn_abort(yo_ws_link_conn(YO_CONTAINER(link, struct member, link)->ws));
    }
    yo_loop_defer(door->loop, &door->task);
}
