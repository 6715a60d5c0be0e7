/* SPDX-License-Identifier: MIT */
/* world_ends.c - who sits at the ends of a world's connections: bare sessions, and
 * messages. */
#include <stdlib.h>
#include <yomo/error.h>

#include "world.h"

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
    world_keep(peer->end_text, sizeof(peer->end_text), end->text);
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
    world_keep(side->text, sizeof(side->text), why->text);
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

static bool side_begin(struct side *side, struct node *node,
                       struct yo_wt_session *session, bool server,
                       const struct yo_response *response)
{
    struct yo_messages_options options = {
        .mem = side->world->mem,
        .server = server,
        .extension = response->extension,
        .message_size_max = MESSAGE_MAX,
        .datagram_size_max = response->datagram_size_max,
        .queue_size_max = node->queue_size_max,
        .messages_bad = &node->messages_bad,
    };
    side->conn = yo_messages_create(session, &options, &side_events, side);
    return side->conn != NULL;
}

bool side_ask(struct side *side, struct node *client,
              const struct yo_endpoint_connect *options, bool extension)
{
    struct yo_response rules = {.extension = extension};
    struct yo_wt_session *session;
    return yo_endpoint_connect_session(client->endpoint, options, &session,
                                       side->world->now) == YOMO_OK &&
           side_begin(side, client, session, false, &rules);
}

void side_connect(struct side *side, struct node *client, struct node *server,
                  bool extension)
{
    struct yo_endpoint_connect options = connect_options(client, server);
    assert_true(side_ask(side, client, &options, extension));
}

bool side_accept(struct side *side, struct node *server,
                 const struct yo_response *response)
{
    struct yo_wt_session *session = yo_quic_accept_session(server->request, response);
    server->request = NULL;
    return side_begin(side, server, session, true, response);
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
    assert_true(side_accept(server_side, server, &yes));
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
