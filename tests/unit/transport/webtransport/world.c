/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <yomo/error.h>

#include "transport/tls/devcert.h"

struct carried {
    struct yo_link link;
    yo_time due;
    struct node *to;
    struct sockaddr_in from;
    uint8_t ecn;
    size_t size;
    uint8_t bytes[];
};

/* --- TLS -------------------------------------------------------------------------- */

struct yo_tls_server *world_server_tls;
struct yo_tls_client *world_client_tls;
static char dir[64];

int world_begin_tls(void **state)
{
    struct yo_buf cert, key;
    struct yo_tls_client_options client = {.insecure_no_verify = true};
    bool fresh;
    (void)state;
    strcpy(dir, "/tmp/yomo-wt-XXXXXX");
    assert_non_null(mkdtemp(dir));
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    assert_int_equal(
        yo_devcert_ready(dir, (uint64_t)time(NULL) * 1000, &cert, &key, &fresh, NULL),
        YOMO_OK);
    struct yo_tls_server_options server = {.cert_file = (char *)cert.data,
                                           .key_file = (char *)key.data};
    assert_int_equal(
        yo_tls_server_create(&world_server_tls, &yo_mem_libc, &server, NULL), YOMO_OK);
    assert_int_equal(
        yo_tls_client_create(&world_client_tls, &yo_mem_libc, &client, NULL), YOMO_OK);
    unlink((char *)cert.data);
    unlink((char *)key.data);
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    return 0;
}

int world_end_tls(void **state)
{
    (void)state;
    yo_tls_server_unref(world_server_tls);
    yo_tls_client_unref(world_client_tls);
    char path[128];
    snprintf(path, sizeof(path), "%s/dev.lock", dir);
    unlink(path);
    rmdir(dir);
    return 0;
}

/* --- The network ------------------------------------------------------------------ */

void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->mem = &yo_mem_libc;
    world->now = 1000 * YO_SECOND;
    world->delay = 10 * YO_MS;
    yo_rand_seed(&world->rand, seed);
    yo_list_init(&world->packets);
}

static void drop_packets(struct world *world)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&world->packets))) {
        free(YO_CONTAINER(link, struct carried, link));
    }
}

void world_finish(struct world *world)
{
    drop_packets(world);
    for (size_t i = 0; i < world->count; i++) {
        yo_endpoint_destroy(world->nodes[i]->endpoint);
        yo_buf_finish(&world->nodes[i]->last);
        free(world->nodes[i]);
    }
}

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static struct node *node_at(struct world *world, const struct sockaddr *to)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)to;
    for (size_t i = 0; i < world->count; i++) {
        struct node *node = world->nodes[i];
        if (same(&node->outside, in) || same(&node->heard_at, in)) {
            return node;
        }
    }
    return NULL; /* an address that somebody has left */
}

static void put(struct world *world, struct node *to, const struct sockaddr_in *from,
                uint8_t ecn, struct yo_span bytes, yo_time due)
{
    struct carried *carried = malloc(sizeof(*carried) + bytes.size);
    carried->due = due;
    carried->to = to;
    carried->from = *from;
    carried->ecn = ecn;
    carried->size = bytes.size;
    memcpy(carried->bytes, bytes.data, bytes.size);
    struct yo_link *at = world->packets.prev;
    while (at != &world->packets && YO_CONTAINER(at, struct carried, link)->due > due) {
        at = at->prev;
    }
    yo_list_push_front(at, &carried->link);
}

static bool chance(struct world *world, unsigned of_1000)
{
    return of_1000 > 0 && yo_rand_below(&world->rand, 1000) < of_1000;
}

static uint8_t mark(const struct world *world, uint8_t ecn)
{
    if (ecn == 0 || world->marks == MARKS_KEPT) {
        return ecn;
    }
    return world->marks == MARKS_CONGESTED ? 3 : 0;
}

static void carry(struct node *from, const struct sockaddr *address, uint8_t ecn,
                  struct yo_span bytes)
{
    struct world *world = from->world;
    struct node *to = node_at(world, address);
    from->sent++;
    world->carried++;
    world->marked[ecn & 3]++;
    world->stray_bytes += to ? 0 : bytes.size;
    bool large = world->mtu && bytes.size > world->mtu;
    if (!to || from->cut || to->cut || large || chance(world, world->loss)) {
        world->lost++;
        return;
    }
    int copies = chance(world, world->repeat) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        yo_time jitter = world->jitter ? yo_rand_below(&world->rand, world->jitter) : 0;
        put(world, to, &from->outside, mark(world, ecn), bytes,
            world->now + world->delay + jitter);
    }
}

void world_inject(struct node *to, const struct node *from, struct yo_span bytes)
{
    put(to->world, to, &from->outside, 0, bytes, to->world->now);
}

/* --- The endpoint's events -------------------------------------------------------- */

static uint8_t *on_space(void *user, void *socket, size_t size)
{
    struct node *node = user;
    assert_ptr_equal(socket, node);
    assert_true(size <= sizeof(node->space));
    return node->blocked ? NULL : node->space;
}

static void on_commit(void *user, void *socket, const struct sockaddr *local,
                      const struct sockaddr *remote, uint8_t ecn, size_t size,
                      size_t segment)
{
    struct node *node = user;
    (void)socket, (void)local;
    assert_true(size > 0 && segment > 0);
    size_t train = 0;
    for (size_t at = 0; at < size; at += segment, train++) {
        size_t n = size - at < segment ? size - at : segment;
        carry(node, remote, ecn, yo_span(node->space + at, n));
    }
    node->longest = train > node->longest ? train : node->longest;
}

static void on_send(void *user, const struct yo_quic_packet *packet)
{
    carry(user, packet->remote, packet->ecn, packet->bytes);
}

static void on_wake(void *user)
{
    struct node *node = user;
    node->woken = true;
}

static void keep(char *out, size_t size, struct yo_span text)
{
    assert_true(text.size < size);
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

static void on_request(void *user, struct yo_wt_session *session,
                       const struct yo_request *request, yo_time now)
{
    struct node *node = user;
    (void)now;
    node->requests++;
    node->request = session;
    yo_quic_set_user(session, node);
    assert_int_equal(request->transport, YOMO_TRANSPORT_WEBTRANSPORT);
    assert_true(request->secure);
    keep(node->authority, sizeof(node->authority), request->authority);
    keep(node->path, sizeof(node->path), request->path);
    keep(node->query, sizeof(node->query), request->query);
    keep(node->origin, sizeof(node->origin), request->origin);
    keep(node->address, sizeof(node->address), request->address);
    assert_true(request->fields.size <= sizeof(node->fields));
    memcpy(node->fields, request->fields.data, request->fields.size);
    node->fields_size = request->fields.size;
    if (node->on_request) {
        node->on_request(node, session);
    }
}

static void on_gone(void *user, struct yo_wt_session *session, yo_time now)
{
    struct node *node = user;
    (void)now;
    assert_ptr_equal(yo_quic_user(session), node);
    node->gone++;
    if (node->request == session) {
        node->request = NULL;
    }
}

static void on_foreign(void *user, uint16_t worker, const struct yo_quic_packet *packet,
                       yo_time now)
{
    struct node *node = user;
    struct yo_quic_packet foreign = *packet;
    node->foreign++;
    assert_int_equal(worker, 1);
    if (node->other) {
        foreign.socket = node->other;
        yo_endpoint_packet(node->other->endpoint, &foreign, true, now);
    }
}

static void on_empty(void *user)
{
    struct node *node = user;
    assert_false(node->empty);
    node->empty = true;
}

static const struct yo_endpoint_events events = {
    .space = on_space,
    .commit = on_commit,
    .send = on_send,
    .on_wake = on_wake,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_foreign = on_foreign,
    .on_empty = on_empty,
};

/* --- Nodes ------------------------------------------------------------------------ */

struct yo_endpoint_options world_options(struct world *world, bool server)
{
    static const uint8_t secret[YO_SECRET_SIZE] = {1, 2, 3, 4};
    static const struct yo_log silent;
    return (struct yo_endpoint_options){
        .mem = world->mem,
        .log = &silent,
        .server = server,
        .workers = 2,
        .secret = secret,
        .message_size_max = MESSAGE_MAX,
        .queue_size_max = QUEUE_MAX,
        .handshake = 10 * YO_SECOND,
        .idle = 30 * YO_SECOND,
        .handshakes_max = 100,
        .connections_max = 100,
        .connections_per_address_max = 100,
    };
}

static struct node *add_node(struct world *world, bool server,
                             const struct yo_endpoint_options *options)
{
    struct yo_endpoint_options usual = world_options(world, server);
    struct node *node = calloc(1, sizeof(*node));
    assert_true(world->count < NODES_MAX);
    node->world = world;
    node->inside.sin_family = AF_INET;
    node->inside.sin_port = htons((uint16_t)(4000 + world->count));
    node->inside.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
    node->outside = node->inside;
    yo_buf_init(&node->last, &yo_mem_libc);
    assert_int_equal(
        yo_endpoint_create(&node->endpoint, options ? options : &usual, &events, node),
        YOMO_OK);
    world->nodes[world->count++] = node;
    return node;
}

struct node *world_server(struct world *world,
                          const struct yo_endpoint_options *options)
{
    struct node *node = add_node(world, true, options);
    yo_endpoint_set_tls(node->endpoint, world_server_tls);
    return node;
}

struct node *world_client(struct world *world,
                          const struct yo_endpoint_options *options)
{
    return add_node(world, false, options);
}

static void deliver(struct world *world)
{
    struct carried *carried = YO_CONTAINER(world->packets.next, struct carried, link);
    struct node *to = carried->to;
    yo_list_remove(&carried->link);
    yo_buf_clear(&to->last);
    yo_buf_append(&to->last, carried->bytes, carried->size);
    if (to->endpoint) {
        struct yo_quic_packet packet = {
            .socket = to,
            .local = (const struct sockaddr *)&to->inside,
            .remote = (const struct sockaddr *)&carried->from,
            .ecn = carried->ecn,
            .bytes = yo_span(carried->bytes, carried->size),
        };
        yo_endpoint_packet(to->endpoint, &packet, false, world->now);
    }
    free(carried);
}

static bool turns(struct world *world)
{
    bool any = false;
    for (size_t i = 0; i < world->count; i++) {
        struct node *node = world->nodes[i];
        if (node->woken && node->endpoint) {
            node->woken = false;
            yo_endpoint_turn(node->endpoint, world->now);
            any = true;
        }
    }
    return any;
}

bool world_step(struct world *world)
{
    if (turns(world)) {
        return true;
    }
    yo_time next = YO_NEVER;
    if (!yo_list_empty(&world->packets)) {
        next = YO_CONTAINER(world->packets.next, struct carried, link)->due;
    }
    yo_time packet = next;
    struct node *timer = NULL;
    for (size_t i = 0; i < world->count; i++) {
        struct node *node = world->nodes[i];
        yo_time due = node->endpoint ? yo_endpoint_deadline(node->endpoint) : YO_NEVER;
        if (due < next) {
            next = due;
            timer = node;
        }
    }
    if (next == YO_NEVER) {
        return false;
    }
    if (next > world->now) {
        world->now = next;
    }
    if (timer) {
        yo_endpoint_tick(timer->endpoint, world->now);
    } else if (packet <= world->now) {
        deliver(world);
    }
    return true;
}

void world_for(struct world *world, yo_time span)
{
    yo_time end = world->now + span;
    for (;;) {
        if (turns(world)) {
            continue;
        }
        yo_time next = YO_NEVER;
        if (!yo_list_empty(&world->packets)) {
            next = YO_CONTAINER(world->packets.next, struct carried, link)->due;
        }
        for (size_t i = 0; i < world->count; i++) {
            struct node *node = world->nodes[i];
            if (node->endpoint) {
                next = yo_time_min(next, yo_endpoint_deadline(node->endpoint));
            }
        }
        if (next > end) {
            world->now = end;
            return;
        }
        world_step(world);
    }
}

/* --- Bare sessions ---------------------------------------------------------------- */

static const struct yo_wt_stream_events stream_events;

static struct heard *add_heard(struct peer *peer, bool bidirectional, bool local)
{
    assert_true(peer->stream_count < STREAMS_MAX);
    struct heard *heard = &peer->streams[peer->stream_count++];
    heard->peer = peer;
    heard->bidirectional = bidirectional;
    heard->local = local;
    return heard;
}

static size_t on_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct heard *heard = user;
    (void)now;
    assert_ptr_equal(heard->stream, stream);
    assert_false(heard->ended);
    size_t n = heard->take && bytes.size > heard->take ? heard->take : bytes.size;
    yo_buf_append(&heard->bytes, bytes.data, n);
    heard->ended = end && n == bytes.size;
    if (n < bytes.size) {
        yo_wt_stream_resume(stream);
    }
    return n;
}

static void on_reset(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                     yo_time now)
{
    struct heard *heard = user;
    (void)stream, (void)now;
    assert_false(heard->was_reset);
    heard->was_reset = true;
    heard->has_code = code != NULL;
    heard->code = code ? *code : 0;
}

static void on_stop(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                    yo_time now)
{
    struct heard *heard = user;
    (void)stream, (void)now;
    assert_false(heard->stopped);
    heard->stopped = true;
    heard->has_stop_code = code != NULL;
    heard->stop_code = code ? *code : 0;
}

static void on_acked(void *user, struct yo_wt_stream *stream, size_t size, yo_time now)
{
    struct heard *heard = user;
    (void)stream, (void)now;
    heard->acked += size;
}

static void on_stream_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct heard *heard = user;
    (void)now;
    assert_ptr_equal(heard->stream, stream);
    heard->gone = true;
    heard->stream = NULL;
}

static const struct yo_wt_stream_events stream_events = {on_data, on_reset, on_stop,
                                                         on_acked, on_stream_gone};

static void on_session_open(void *user, yo_time now)
{
    struct peer *peer = user;
    (void)now;
    peer->opened++;
}

static void on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct heard *heard = add_heard(user, yo_wt_stream_bidirectional(stream), false);
    (void)now;
    assert_false(yo_wt_stream_local(stream));
    heard->stream = stream;
    yo_wt_stream_listen(stream, &stream_events, heard);
}

static void on_session_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct peer *peer = user;
    (void)now;
    peer->datagram_count++;
    yo_buf_append_span(&peer->datagrams, bytes);
}

static void on_session_fate(void *user, uint64_t token, enum yo_fate fate, yo_time now)
{
    struct peer *peer = user;
    (void)now;
    assert_true(token != 0);
    peer->acked += fate == YO_FATE_ACKED;
    peer->lost += fate == YO_FATE_LOST;
    peer->unsent += fate == YO_FATE_UNSENT;
}

static void on_session_progress(void *user, yo_time now)
{
    struct peer *peer = user;
    (void)now;
    peer->progress++;
}

static void on_session_drain(void *user, yo_time now)
{
    struct peer *peer = user;
    (void)now;
    peer->drains++;
}

static void on_session_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct peer *peer = user;
    (void)now;
    assert_int_equal(peer->ended, 0);
    peer->ended++;
    peer->end = *end;
    keep(peer->end_text, sizeof(peer->end_text), end->text);
    peer->session = NULL;
}

static const struct yo_wt_session_events session_events = {
    .on_open = on_session_open,
    .on_stream = on_stream,
    .on_datagram = on_session_datagram,
    .on_fate = on_session_fate,
    .on_progress = on_session_progress,
    .on_drain = on_session_drain,
    .on_end = on_session_end,
};

void peer_init(struct peer *peer, struct world *world)
{
    memset(peer, 0, sizeof(*peer));
    peer->world = world;
    yo_buf_init(&peer->datagrams, &yo_mem_libc);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        yo_buf_init(&peer->streams[i].bytes, &yo_mem_libc);
    }
}

void peer_finish(struct peer *peer)
{
    yo_buf_finish(&peer->datagrams);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        yo_buf_finish(&peer->streams[i].bytes);
    }
}

void peer_listen(struct peer *peer, struct yo_wt_session *session)
{
    peer->session = session;
    yo_wt_session_listen(session, &session_events, peer);
}

static struct yo_endpoint_connect connect_options(struct node *client,
                                                  struct node *server)
{
    static uint16_t fresh = 1000;
    return (struct yo_endpoint_connect){
        .socket = client,
        .local = (const struct sockaddr *)&client->inside,
        .remote = (const struct sockaddr *)&server->outside,
        .tls = world_client_tls,
        .peer = {"localhost", client->world->port ? client->world->port : ++fresh,
                 true},
        .authority = "localhost:4433",
        .path = "/v1?id=alice&x=%20",
        .origin = "https://example.com",
        .fields = client->ask_fields,
        .protocols = client->ask_protocols,
    };
}

void peer_connect(struct peer *peer, struct node *client, struct node *server)
{
    struct yo_endpoint_connect options = connect_options(client, server);
    struct yo_wt_session *session;
    assert_int_equal(yo_endpoint_connect_session(client->endpoint, &options, &session,
                                                 peer->world->now),
                     YOMO_OK);
    peer_listen(peer, session);
}

void peer_pair(struct peer *client_peer, struct node *client, struct peer *server_peer,
               struct node *server)
{
    struct yo_response yes = {.status = 200};
    peer_connect(client_peer, client, server);
    UNTIL(client->world, server->request);
    peer_listen(server_peer, yo_quic_accept_session(server->request, &yes));
    server->request = NULL;
    UNTIL(client->world, client_peer->opened);
}

struct heard *peer_open(struct peer *peer, bool bidirectional)
{
    struct heard *heard = add_heard(peer, bidirectional, true);
    assert_int_equal(yo_wt_session_open(peer->session, bidirectional, &stream_events,
                                        heard, &heard->stream),
                     YOMO_OK);
    return heard;
}

void peer_write(struct heard *heard, const char *text, bool end)
{
    size_t taken;
    assert_int_equal(
        yo_wt_stream_write(heard->stream, yo_span_of(text), SIZE_MAX, &taken), YOMO_OK);
    assert_int_equal(taken, strlen(text));
    if (end) {
        yo_wt_stream_end(heard->stream);
    }
}

void peer_datagram(struct peer *peer, const char *text, uint64_t token)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of(text));
    assert_int_equal(yo_wt_session_send(peer->session, blob, token), YOMO_OK);
    yo_blob_unref(blob);
}

/* --- Messages --------------------------------------------------------------------- */

static void on_conn_open(void *user, struct yo_conn *conn, yo_time now)
{
    struct side *side = user;
    (void)now;
    assert_ptr_equal(side->conn, conn);
    side->opened++;
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct side *side = user;
    (void)now;
    assert_ptr_equal(side->conn, conn);
    assert_true(lane <= YO_LANE_ROOMS);
    side->heard[lane]++;
    if (message.size >= 6 && message.data[0] == '#' && !side->unchecked) {
        const uint8_t *m = message.data;
        uint32_t number =
            (uint32_t)m[2] << 24 | (uint32_t)m[3] << 16 | (uint32_t)m[4] << 8 | m[5];
        assert_int_equal(number, side->next[m[1]]);
        side->next[m[1]]++;
        for (size_t i = 6; i < message.size; i++) {
            assert_int_equal(m[i], (uint8_t)(number + i));
        }
        return;
    }
    yo_buf_append_span(&side->bytes, message);
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    struct side *side = user;
    (void)conn, (void)now;
    side->writable++;
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    struct side *side = user;
    (void)conn, (void)token, (void)now;
    side->acked += fate == YO_FATE_ACKED;
    side->lost += fate == YO_FATE_LOST;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct side *side = user;
    (void)now;
    assert_ptr_equal(side->conn, conn);
    assert_int_equal(side->closed, 0);
    side->closed++;
    side->why = *why;
    keep(side->text, sizeof(side->text), why->text);
    side->conn = NULL;
}

const struct yo_conn_events side_events = {on_conn_open, on_message, on_writable,
                                           on_fate, on_closed};

void side_init(struct side *side, struct world *world)
{
    memset(side, 0, sizeof(*side));
    side->world = world;
    yo_buf_init(&side->bytes, &yo_mem_libc);
}

void side_finish(struct side *side)
{
    yo_buf_finish(&side->bytes);
}

void side_connect(struct side *side, struct node *client, struct node *server,
                  bool extension)
{
    struct yo_endpoint_connect options = connect_options(client, server);
    assert_int_equal(yo_endpoint_connect(client->endpoint, &options, extension,
                                         &side_events, side, &side->conn,
                                         side->world->now),
                     YOMO_OK);
}

void side_pair(struct side *client_side, struct node *client, struct side *server_side,
               struct node *server, bool extension)
{
    struct yo_response yes = {.status = 200, .extension = extension};
    if (!extension) {
        yes.datagram_size_max = 1000;
    }
    side_connect(client_side, client, server, extension);
    UNTIL(client->world, server->request);
    server_side->conn =
        yo_quic_accept(server->request, &yes, &side_events, server_side);
    server->request = NULL;
    assert_non_null(server_side->conn);
    UNTIL(client->world, client_side->opened);
}

int side_send(struct side *side, uint32_t lane, const void *bytes, size_t size,
              uint64_t token)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span(bytes, size));
    int rv = yo_conn_send(side->conn, lane, blob, token);
    yo_blob_unref(blob);
    return rv;
}

int side_send_numbered(struct side *side, uint32_t lane, uint32_t number, size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_true(size >= 6);
    bytes[0] = '#';
    bytes[1] = (uint8_t)lane;
    bytes[2] = (uint8_t)(number >> 24);
    bytes[3] = (uint8_t)(number >> 16);
    bytes[4] = (uint8_t)(number >> 8);
    bytes[5] = (uint8_t)number;
    for (size_t i = 6; i < size; i++) {
        bytes[i] = (uint8_t)(number + i);
    }
    int rv = side_send(side, lane, bytes, size, 0);
    free(bytes);
    return rv;
}
