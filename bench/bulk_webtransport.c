/* SPDX-License-Identifier: MIT */
/* bulk_webtransport.c - the same through a session: streams or datagrams; and sessions
 * one after the other, for what a handshake costs and what is held for each. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "transport/dial_quic.h"
#include "transport/listen.h"
#include "transport/webtransport/session.h"

#define AHEAD                                                               \
    (BULK_STREAM_WINDOW_MAX + 4 * BLOB_SIZE) /* bytes that wait on a stream \
                                              */
#define BLOB_SIZE 65536

/* --- The server --------------------------------------------------------------------
 */

struct door {
    struct bulk *bulk;
    struct yo_loop *loop;
    struct yo_listener *listener;
    uint64_t bytes, units;
};

static size_t on_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct door *door = user;
    (void)stream, (void)end, (void)now;
    door->bytes += bytes.size;
    bulk_received(door->bulk, door->bytes, door->units);
    return bytes.size;
}

static const struct yo_wt_stream_events sink = {.on_data = on_data};

static void on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    (void)now;
    yo_wt_stream_listen(stream, &sink, user);
}

static void on_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct door *door = user;
    (void)now;
    door->bytes += bytes.size;
    door->units++;
    bulk_received(door->bulk, door->bytes, door->units);
}

static const struct yo_wt_session_events server_events = {.on_stream = on_stream,
                                                          .on_datagram = on_datagram};

static void on_request(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now)
{
    struct yo_response response = {.status = 200};
    struct yo_wt_session *session = yo_incoming_accept_session(incoming, &response);
    (void)request, (void)now;
    if (session) {
        yo_wt_session_listen(session, &server_events, user);
    }
}

static const struct yo_listener_events listener_events = {.on_request = on_request};

static void on_closed(void *user)
{
    yo_loop_close(user, NULL, NULL);
}

static void close_door(void *user)
{
    struct door *door = user;
    struct yo_listener_stats stats;
    yo_listener_stats(door->listener, &stats);
    door->bulk->resumed = stats.handshakes_quic_resumed;
    yo_listener_close(door->listener, on_closed, door->loop);
}

void *bulk_wt_server(void *arg)
{
    static const uint8_t secret[32] = {1};
    struct bulk *bulk = arg;
    struct door door = {.bulk = bulk, .loop = bulk_loop(bulk->server_mem)};
    struct bulk_watch watch;
    struct yo_listener_options options = {
        .workers = 1,
        .secret = secret,
        .message_size_max = 1 << 20,
        .queue_size_max = 1 << 20,
        .handshake_ms = 10000,
        .idle_ms = BULK_IDLE / YO_MS,
        .handshakes_max = 10000,
        .connections_max = 10000,
        .connections_per_address_max = 10000,
    };
    uint16_t port;

    BULK_CHECK(yo_listener_create(&door.listener, door.loop, &options, &listener_events,
                                  &door) == YOMO_OK);
    yo_listener_set_tls(door.listener, bulk->server_tls);
    int fd = bulk_socket(&port);
    BULK_CHECK(yo_listener_add_udp(door.listener, fd) == YOMO_OK);
    atomic_store(&bulk->port, port);
    bulk_watch(&watch, bulk, door.loop, close_door, &door);
    yo_loop_run(door.loop);
    bulk->server_cpu = watch.cpu;
    return NULL;
}

/* --- A client that sends as much as it can -----------------------------------------
 */

struct guest {
    struct bulk *bulk;
    struct yo_loop *loop;
    struct yo_wt_session *session;
    struct yo_blob *blob;
    bool open, over;
};

static void dial(struct guest *guest, struct yo_tls_client *tls,
                 const struct yo_wt_session_events *events, void (*on_gone)(void *user))
{
    struct yo_dial_options options = {
        .transport = YOMO_TRANSPORT_WEBTRANSPORT,
        .secure = true,
        .host = "localhost",
        .port = atomic_load(&guest->bulk->port),
        .path = "/",
        .tls = tls,
        .handshake_ms = 10000,
        .idle_ms = BULK_IDLE / YO_MS,
    };
    union yo_address remote;
    BULK_CHECK(yo_address_parse(&remote, "127.0.0.1", options.port) == YOMO_OK);
    struct yo_dialed *dialed;
    BULK_CHECK(yo_dial_quic_session(&guest->session, &dialed, guest->loop, &options,
                                    &remote, on_gone, guest) == YOMO_OK);
    yo_wt_session_listen(guest->session, events, guest);
}

static void fill_stream(struct guest *guest, struct yo_wt_stream *stream)
{
    while (yo_wt_stream_queued(stream) + BLOB_SIZE <= AHEAD) {
        BULK_CHECK(yo_wt_stream_push(stream, YO_SPAN_NONE, guest->blob) == YOMO_OK);
    }
}

static void on_acked(void *user, struct yo_wt_stream *stream, size_t size, yo_time now)
{
    (void)size, (void)now;
    fill_stream(user, stream);
}

static const struct yo_wt_stream_events source = {.on_acked = on_acked};

static void send_datagrams(struct guest *guest)
{
    unsigned long long n = 0;
    while (yo_wt_session_datagrams_queued(guest->session) < BLOB_SIZE) {
        BULK_CHECK(yo_wt_session_send(guest->session, guest->blob, 0) == YOMO_OK);
        n++;
    }
    if (atomic_load(&guest->bulk->phase) == BULK_MEASURE) {
        atomic_fetch_add(&guest->bulk->sent, n);
    }
    yo_wt_session_want_progress(guest->session);
}

static void on_progress(void *user, yo_time now)
{
    struct guest *guest = user;
    (void)now;
    if (guest->bulk->streams == 0) {
        send_datagrams(guest);
    }
}

static void on_open(void *user, yo_time now)
{
    struct guest *guest = user;
    (void)now;
    guest->open = true;
    for (unsigned i = 0; i < guest->bulk->streams; i++) {
        struct yo_wt_stream *stream;
        BULK_CHECK(yo_wt_session_open(guest->session, false, &source, guest, &stream) ==
                   YOMO_OK);
        fill_stream(guest, stream);
    }
    if (guest->bulk->streams == 0) {
        send_datagrams(guest);
    }
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct guest *guest = user;
    (void)end, (void)now;
    guest->over = true;
    BULK_CHECK(guest->open);
    BULK_CHECK(atomic_load(&guest->bulk->phase) == BULK_DONE);
}

static void on_gone(void *user)
{
    yo_loop_close(((struct guest *)user)->loop, NULL, NULL);
}

static const struct yo_wt_session_events client_events = {
    .on_open = on_open, .on_progress = on_progress, .on_end = on_end};

static void leave(void *user)
{
    yo_wt_session_abort(((struct guest *)user)->session);
}

void *bulk_wt_client(void *arg)
{
    static const uint8_t content[BLOB_SIZE];
    struct bulk *bulk = arg;
    struct guest guest = {.bulk = bulk, .loop = bulk_loop(&yo_mem_libc)};
    struct bulk_watch watch;
    guest.blob = yo_blob_create(
        &yo_mem_libc, yo_span(content, bulk->streams ? BLOB_SIZE : bulk->size));
    BULK_CHECK(guest.blob);
    dial(&guest, bulk->client_tls, &client_events, on_gone);
    bulk_watch(&watch, bulk, guest.loop, leave, &guest);
    yo_loop_run(guest.loop);
    bulk->client_cpu = watch.cpu;
    yo_blob_unref(guest.blob);
    return NULL;
}

/* --- Visitors ----------------------------------------------------------------------
 */

static void on_visit(void *user, yo_time now)
{
    (void)now;
    ((struct guest *)user)->open = true;
}

static void on_visit_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    (void)end, (void)now;
    ((struct guest *)user)->over = true;
}

static const struct yo_wt_session_events visit_events = {.on_open = on_visit,
                                                         .on_end = on_visit_end};

static void turn(struct yo_loop *loop)
{
    struct pollfd watch = {.fd = yo_loop_fd(loop), .events = POLLIN};
    int timeout = yo_loop_timeout_ms(loop);
    (void)poll(&watch, 1, timeout < 0 || timeout > 50 ? 50 : timeout);
    (void)yo_loop_turn(loop);
}

/* Until all that is on its way has arrived and been acknowledged. */
static void settle(struct yo_loop *loop)
{
    double end = bulk_clock(CLOCK_MONOTONIC) + 1;
    while (bulk_clock(CLOCK_MONOTONIC) < end) {
        turn(loop);
    }
}

static void open_streams(struct guest *guests, const struct bulk_visits *visits)
{
    for (unsigned i = 0; i < visits->count * visits->streams; i++) {
        struct yo_wt_stream *stream;
        size_t taken;
        BULK_CHECK(yo_wt_session_open(guests[i / visits->streams].session, true, NULL,
                                      NULL, &stream) == YOMO_OK);
        BULK_CHECK(yo_wt_stream_write(stream, yo_span_of("x"), SIZE_MAX, &taken) ==
                   YOMO_OK);
    }
}

static struct yo_tls_client *fresh_tls(void)
{
    struct yo_tls_client_options options = {.insecure_no_verify = true};
    struct yo_tls_client *tls;
    struct yo_buf why;
    yo_buf_init(&why, &yo_mem_libc);
    BULK_CHECK(yo_tls_client_create(&tls, &yo_mem_libc, &options, &why) == YOMO_OK);
    yo_buf_finish(&why);
    return tls;
}

static void visit(struct guest *guest, struct yo_tls_client *tls)
{
    dial(guest, tls, &visit_events, NULL);
    while (!guest->open) {
        BULK_CHECK(!guest->over);
        turn(guest->loop);
    }
}

static void say_goodbye(struct guest *guest)
{
    yo_wt_session_close(guest->session, 0, YO_SPAN_NONE);
    while (!guest->over) {
        turn(guest->loop);
    }
}

void bulk_wt_visits(struct bulk *bulk, struct bulk_visits *visits)
{
    struct yo_loop *loop = bulk_loop(&yo_mem_libc);
    struct guest *guests = calloc(visits->count, sizeof(*guests));
    BULK_CHECK(guests);
    settle(loop); /* the server's start */
    visits->nobody = visits->held ? visits->held() : 0;
    if (!visits->stay) {
        atomic_store(&bulk->phase, BULK_MEASURE);
    }
    double began = bulk_clock(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < visits->count; i++) {
        guests[i] = (struct guest){.bulk = bulk, .loop = loop};
        struct yo_tls_client *tls =
            visits->resumed ? yo_tls_client_ref(bulk->client_tls) : fresh_tls();
        visit(&guests[i], tls);
        yo_tls_client_unref(tls);
        if (!visits->stay) {
            say_goodbye(&guests[i]);
        }
    }
    visits->wall = bulk_clock(CLOCK_MONOTONIC) - began;
    if (visits->stay) {
        settle(loop);
        visits->sessions = visits->held();
        open_streams(guests, visits);
        settle(loop);
        visits->streamed = visits->held();
        for (unsigned i = 0; i < visits->count; i++) {
            say_goodbye(&guests[i]);
        }
    }
    atomic_store(&bulk->phase, BULK_DONE);
    yo_loop_close(loop, NULL, NULL);
    yo_loop_run(loop);
    free(guests);
}
