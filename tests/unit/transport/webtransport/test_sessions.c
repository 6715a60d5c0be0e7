/* SPDX-License-Identifier: MIT */
/* Several sessions on one connection, with flow control between them. */
#include "world.h"

#include <stdlib.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "support/fault.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define COUNT 3 /* that either side allows */

static struct world world;
static struct node *server, *client;
static struct peer at_server[COUNT + 1], at_client[COUNT + 1];

static void begin_with(uint32_t server_sessions, uint32_t client_sessions)
{
    world_init(&world, 1);
    struct yo_endpoint_options options = world_options(&world, true);
    options.sessions = server_sessions;
    server = world_server(&world, &options);
    options = world_options(&world, false);
    options.sessions = client_sessions;
    client = world_client(&world, &options);
    for (int i = 0; i <= COUNT; i++) {
        peer_init(&at_server[i], &world);
        peer_init(&at_client[i], &world);
    }
}

static int begin(void **state)
{
    (void)state;
    begin_with(COUNT, COUNT);
    return 0;
}

static int open_two(void **state)
{
    begin(state);
    for (int i = 0; i < 2; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_finish(&world);
    for (int i = 0; i <= COUNT; i++) {
        peer_finish(&at_server[i]);
        peer_finish(&at_client[i]);
    }
    return 0;
}

static struct yo_quic_conn *conn_of(struct peer *peer)
{
    return peer->session->conn;
}

static size_t sessions_of(struct yo_quic_conn *conn)
{
    size_t count = 0;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        count++;
    }
    return count;
}

/* Both ways, by stream and datagram, in session `i`. */
static void works(int i)
{
    struct peer *c = &at_client[i], *s = &at_server[i];
    size_t streams = s->stream_count, datagrams = s->datagram_count;
    struct heard *asked = peer_open(c, true);
    peer_write(asked, "question", true);
    peer_datagram(c, "ping", 1);
    UNTIL(&world, s->stream_count > streams && s->streams[streams].ended &&
                      s->datagram_count > datagrams);
    peer_write(&s->streams[streams], "answer", true);
    UNTIL(&world, asked->ended && asked->gone);
    assert_true(yo_span_is(yo_buf_span(&asked->bytes), "answer"));
}

/* Bytes on the CONNECT stream of a client's session. */
static void capsules(struct peer *peer, const char *bytes, size_t size)
{
    struct yo_quic_conn *conn = conn_of(peer);
    assert_int_equal(
        yo_h3_capsules(conn->h3, peer->session->id, yo_span(bytes, size), false),
        YOMO_OK);
    yo_quic_conn_touch(conn);
}

static void flow_capsule(struct peer *peer, uint64_t type, uint64_t number)
{
    uint8_t bytes[YO_CAPSULE_FLOW_SIZE_MAX];
    size_t n = yo_capsule_write_flow(bytes, type, number);
    capsules(peer, (const char *)bytes, n);
}

/* --- Opening ---------------------------------------------------------------------- */

static void sessions_share_a_connection(void **state)
{
    struct yo_endpoint_stats stats;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    assert_ptr_equal(conn_of(&at_client[0]), conn_of(&at_client[2]));
    assert_ptr_equal(conn_of(&at_server[0]), conn_of(&at_server[2]));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            works(i);
            assert_int_equal(at_client[i].acked, round + 1); /* each hears of its own */
        }
    }
    yo_endpoint_stats(server->endpoint, &stats);
    assert_int_equal(stats.connections_now, 1);
    assert_int_equal(stats.accepted, COUNT);
}

static struct yo_wt_session *asked[COUNT];

static void keep_request(struct node *node, struct yo_wt_session *session)
{
    asked[node->requests - 1] = session;
    node->request = NULL;
}

static void several_may_wait_for_their_answers(void **state)
{
    struct yo_response yes = {.status = 200}, no = {.status = 403};
    (void)state;
    server->on_request = keep_request;
    for (int i = 0; i < COUNT; i++) { /* before anything is known of the server */
        peer_connect(&at_client[i], client, server);
    }
    UNTIL(&world, server->requests == COUNT);
    yo_quic_refuse(asked[1], &no);
    peer_listen(&at_server[2], yo_quic_accept_session(asked[2], &yes));
    UNTIL(&world, at_client[1].ended && at_client[2].opened);
    assert_int_equal(at_client[1].end.status, 403);
    assert_int_equal(at_client[0].opened, 0);
    peer_listen(&at_server[0], yo_quic_accept_session(asked[0], &yes));
    UNTIL(&world, at_client[0].opened);
    works(0);
    works(2);
}

static void a_request_too_many_is_rejected_and_the_others_go_on(void **state)
{
    struct yo_wt_session *session;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    struct yo_endpoint_connect options = {.authority = "a", .path = "/"};
    assert_int_equal(
        yo_endpoint_connect_session(client->endpoint, &options, &session, world.now),
        YOMO_ERR_FULL);
    client->endpoint->options.sessions = COUNT + 1; /* one that does not heed it */
    struct yo_peer_settings *peer =
        (struct yo_peer_settings *)(uintptr_t)yo_h3_peer(conn_of(&at_client[0])->h3);
    peer->sessions = COUNT + 1;
    peer_connect(&at_client[COUNT], client, server);
    UNTIL(&world, at_client[COUNT].ended);
    assert_null(server->request);
    assert_int_equal(at_client[COUNT].opened, 0);
    for (int i = 0; i < COUNT; i++) {
        works(i);
    }
}

static void where_one_side_does_not_declare_it_there_is_one(void **state)
{
    struct yo_wt_session *session;
    struct yo_endpoint_connect options = {.authority = "a", .path = "/"};
    static const uint32_t sides[][2] = {{1, COUNT}, {COUNT, 1}, {0, 0}};
    (void)state;
    end(NULL);
    for (int i = 0; i < 3; i++) {
        begin_with(sides[i][0], sides[i][1]);
        peer_pair(&at_client[0], client, &at_server[0], server);
        assert_int_equal(yo_endpoint_connect_session(client->endpoint, &options,
                                                     &session, world.now),
                         YOMO_ERR_VERSION);
        assert_null(at_server[0].session->flow);
        works(0);
        if (i < 2) {
            end(NULL);
        }
    }
}

/* Asked for before the server's SETTINGS had come. */
static void sessions_that_cannot_be_are_told_so(void **state)
{
    struct yo_response yes = {.status = 200};
    (void)state;
    end(NULL);
    begin_with(1, COUNT);
    peer_connect(&at_client[0], client, server);
    peer_connect(&at_client[1], client, server);
    UNTIL(&world, at_client[1].ended && server->request);
    assert_int_equal(at_client[1].end.error, YOMO_ERR_VERSION);
    peer_listen(&at_server[0], yo_quic_accept_session(server->request, &yes));
    UNTIL(&world, at_client[0].opened);
    works(0);
}

/* --- What comes early, and late --------------------------------------------------- */

/* A stream of the client's for `session_id`, whoever that is. */
static void stream_for(struct peer *peer, uint64_t session_id, const char *text)
{
    uint8_t head[16];
    struct heard *heard = peer_open(peer, false);
    struct yo_wt_stream *stream = heard->stream;
    size_t n = yo_varint_write(head, 0x54);
    n += yo_varint_write(head + n, session_id);
    yo_sendqueue_finish(&stream->out);
    yo_sendqueue_push(&stream->out, yo_span(head, n), NULL);
    stream->header_unsent = stream->header_unacked = (uint8_t)n;
    peer_write(heard, text, false);
}

static void datagram_for(struct peer *peer, int64_t session_id, const char *text)
{
    int64_t id = peer->session->id;
    peer->session->id = session_id;
    peer_datagram(peer, text, 0);
    yo_endpoint_turn(peer->session->conn->endpoint, world.now);
    peer->session->id = id;
}

static void what_comes_before_its_session_waits_for_it(void **state)
{
    (void)state;
    peer_pair(&at_client[0], client, &at_server[0], server);
    uint64_t next = 4;
    stream_for(&at_client[0], next, "for the next");
    datagram_for(&at_client[0], (int64_t)next, "too");
    world_for(&world, 100 * YO_MS);
    assert_int_equal(at_server[0].stream_count + at_server[0].datagram_count, 0);
    assert_int_equal(sessions_of(conn_of(&at_server[0])), 2);
    peer_pair(&at_client[1], client, &at_server[1], server);
    assert_int_equal(at_client[1].session->id, next);
    UNTIL(&world, at_server[1].stream_count == 1 && at_server[1].datagram_count == 1);
    assert_true(
        yo_span_is(yo_buf_span(&at_server[1].streams[0].bytes), "for the next"));
    works(0);
}

static void sessions_that_never_come_cost_little(void **state)
{
    (void)state;
    peer_pair(&at_client[0], client, &at_server[0], server);
    for (uint64_t i = 0; i < 40; i++) {
        stream_for(&at_client[0], 400 + 4 * i, "ghost");
        datagram_for(&at_client[0], (int64_t)(4000 + 4 * i), "ghost");
    }
    world_for(&world, YO_SECOND);
    struct yo_quic_conn *conn = conn_of(&at_server[0]);
    assert_in_range(sessions_of(conn), 2,
                    1 + YO_WT_EARLY_STREAMS_MAX + YO_WT_EARLY_DATAGRAMS_MAX);
    assert_int_equal(conn->early_streams, YO_WT_EARLY_STREAMS_MAX);
    size_t gone = 0;
    for (size_t i = 0; i < 40; i++) {
        gone += at_client[0].streams[i].stopped;
    }
    assert_int_equal(gone, 40 - YO_WT_EARLY_STREAMS_MAX); /* rejected */
    works(0);
    peer_pair(&at_client[1], client, &at_server[1], server);
    works(1);
}

/* A peer that makes us expect sessions and takes back what it sent for them. */
static void expected_sessions_go_with_what_they_were_expected_for(void **state)
{
    (void)state;
    peer_pair(&at_client[0], client, &at_server[0], server);
    for (uint64_t i = 0; i < STREAMS_MAX; i++) {
        stream_for(&at_client[0], 400 + 4 * i, "ghost");
        UNTIL(&world, sessions_of(conn_of(&at_server[0])) == 2);
        yo_wt_stream_reset(at_client[0].streams[i].stream, 0);
        UNTIL(&world, at_client[0].streams[i].gone);
        UNTIL(&world, sessions_of(conn_of(&at_server[0])) == 1);
    }
    assert_int_equal(conn_of(&at_server[0])->early_streams, 0);
}

static void what_comes_for_a_session_that_ended_is_refused(void **state)
{
    (void)state;
    uint64_t id = (uint64_t)at_client[1].session->id;
    yo_wt_session_close(at_server[1].session, 7, YO_SPAN_NONE);
    UNTIL(&world, at_client[1].ended && at_server[1].ended);
    stream_for(&at_client[0], id, "late");
    datagram_for(&at_client[0], (int64_t)id, "late");
    struct heard *late = &at_client[0].streams[at_client[0].stream_count - 1];
    UNTIL(&world, late->gone);
    assert_int_equal(conn_of(&at_server[0])->early_streams, 0);
    assert_int_equal(conn_of(&at_server[0])->early_datagrams, 0);
    works(0);
}

static void what_came_early_for_a_refused_session_is_rejected(void **state)
{
    struct yo_response no = {.status = 404};
    (void)state;
    peer_pair(&at_client[0], client, &at_server[0], server);
    stream_for(&at_client[0], 4, "early");
    datagram_for(&at_client[0], 4, "early");
    world_for(&world, 100 * YO_MS);
    peer_connect(&at_client[1], client, server);
    UNTIL(&world, server->request);
    yo_quic_refuse(server->request, &no);
    UNTIL(&world, at_client[1].ended && at_client[0].streams[0].gone);
    assert_int_equal(conn_of(&at_server[0])->early_datagrams, 0);
    UNTIL(&world, sessions_of(conn_of(&at_server[0])) == 1);
    works(0);
}

/* --- Ends ------------------------------------------------------------------------- */

static void a_sessions_end_is_its_own(struct peer *from, struct peer *to)
{
    peer_write(peer_open(from, true), "x", false);
    peer_write(peer_open(to, false), "y", false);
    UNTIL(&world, from->stream_count == 2 && to->stream_count == 2);
    yo_wt_session_close(from->session, 42, yo_span_of("enough"));
    UNTIL(&world, to->ended && from->ended);
    assert_true(to->end.clean && to->end.remote);
    assert_int_equal(to->end.code, 42);
    assert_string_equal(to->end_text, "enough");
    assert_true(from->end.clean && !from->end.remote);
    for (int i = 0; i < 2; i++) {
        assert_true(from->streams[i].gone && to->streams[i].gone);
    }
    works(0);
    UNTIL(&world, sessions_of(conn_of(&at_server[0])) == 1 &&
                      sessions_of(conn_of(&at_client[0])) == 1);
    peer_pair(&at_client[2], client, &at_server[2], server);
    works(2);
}

static void a_client_closes_one(void **state)
{
    (void)state;
    a_sessions_end_is_its_own(&at_client[1], &at_server[1]);
}

static void a_server_closes_one(void **state)
{
    (void)state;
    a_sessions_end_is_its_own(&at_server[1], &at_client[1]);
}

/* The time since the last packet is not taken from the time to leave. */
static void a_close_after_a_long_silence_says_why(void **state)
{
    (void)state;
    world_for(&world, 5 * YO_SECOND);
    yo_wt_session_close(at_client[1].session, 9, yo_span_of("late"));
    UNTIL(&world, at_client[1].ended && at_server[1].ended);
    assert_true(at_server[1].end.clean);
    assert_int_equal(at_server[1].end.code, 9);
    works(0);
}

static void a_reset_ends_one(void **state)
{
    (void)state;
    yo_wt_session_abort(at_client[1].session);
    UNTIL(&world, at_server[1].ended && at_client[1].ended);
    assert_false(at_server[1].end.clean);
    assert_int_equal(at_server[1].end.error, YOMO_ERR_CLOSED);
    works(0);
}

static void a_broken_capsule_ends_one(void **state)
{
    (void)state;
    capsules(&at_client[1], "\x68\x43\x03\x00\x00\x00", 6);
    UNTIL(&world, at_server[1].ended && at_client[1].ended);
    assert_int_equal(at_server[1].end.error, YOMO_ERR_PROTO);
    works(0);
}

static void with_the_last_session_a_clients_connection_ends(void **state)
{
    (void)state;
    yo_wt_session_close(at_client[0].session, 0, YO_SPAN_NONE);
    UNTIL(&world, at_client[0].ended && at_server[0].ended);
    assert_false(yo_endpoint_empty(client->endpoint));
    yo_wt_session_close(at_server[1].session, 0, YO_SPAN_NONE);
    UNTIL(&world, at_client[1].ended && at_server[1].ended);
    UNTIL(&world,
          yo_endpoint_empty(server->endpoint) && yo_endpoint_empty(client->endpoint));
}

static void a_connection_that_wants_no_other_session_is_closed(void **state)
{
    (void)state;
    struct yo_quic_conn *conn = conn_of(&at_client[0]);
    yo_list_remove(&at_client[1].session->link); /* so that the client stays */
    yo_list_push_back(&conn->sessions, &at_client[1].session->link);
    struct yo_wt_session *ghost = yo_wt_session_create(conn, -1);
    ghost->phase = YO_WT_ASKED;
    yo_wt_session_close(at_server[0].session, 0, YO_SPAN_NONE);
    yo_wt_session_close(at_server[1].session, 0, YO_SPAN_NONE);
    yo_time start = world.now;
    UNTIL(&world, yo_endpoint_empty(server->endpoint));
    assert_in_range(world.now - start, 9 * YO_SECOND, 15 * YO_SECOND);
}

static void with_its_connection_all_end(void **state)
{
    (void)state;
    yo_endpoint_close(client->endpoint);
    UNTIL(&world, at_client[0].ended && at_client[1].ended);
    UNTIL(&world, at_server[0].ended && at_server[1].ended);
    assert_int_equal(at_server[0].end.error, YOMO_ERR_TIMEOUT);
}

static void goaway_drains_all(void **state)
{
    struct yo_wt_session *session;
    struct yo_endpoint_connect options = {.authority = "a", .path = "/"};
    (void)state;
    assert_int_equal(yo_wt_session_drain(at_server[0].session), YOMO_OK);
    UNTIL(&world, at_client[0].drains == 1); /* its capsule alone */
    world_for(&world, 100 * YO_MS);
    assert_int_equal(at_client[1].drains, 0);
    yo_endpoint_drain(server->endpoint);
    assert_int_equal(yo_wt_session_drain(at_server[1].session), YOMO_OK);
    UNTIL(&world, at_client[1].drains == 2 && at_client[0].drains == 2);
    assert_int_equal(
        yo_endpoint_connect_session(client->endpoint, &options, &session, world.now),
        YOMO_ERR_CLOSED);
    works(0);
    works(1);
}

/* --- Flow control ----------------------------------------------------------------- */

static void a_session_sends_more_than_its_first_window(void **state)
{
    enum { SIZE = 1000000 };
    static char much[SIZE];
    size_t taken;
    (void)state;
    memset(much, 'm', SIZE);
    struct heard *streams[2];
    for (int i = 0; i < 2; i++) {
        streams[i] = peer_open(&at_client[i], false);
        yo_wt_stream_write(streams[i]->stream, yo_span(much, SIZE), SIZE_MAX, &taken);
        yo_wt_stream_end(streams[i]->stream);
    }
    for (int i = 0; i < 2; i++) {
        UNTIL(&world, at_server[i].stream_count == 1 && at_server[i].streams[0].ended);
        assert_int_equal(at_server[i].streams[0].bytes.size, SIZE);
        assert_true(at_client[i].session->flow->out[YO_FLOW_DATA].max >
                    yo_wt_own_limits.data);
        assert_int_equal(at_client[i].session->flow->out[YO_FLOW_DATA].used, SIZE);
    }
}

static void more_streams_than_at_first_pass_in_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5 * STREAMS_MAX; i++) {
        size_t at = i % STREAMS_MAX;
        struct heard *old = &at_client[1].streams[at];
        if (i >= STREAMS_MAX) {
            UNTIL(&world, old->gone);
            old->gone = false;
            UNTIL(&world, at_server[1].streams[at].gone);
            at_server[1].streams[at].ended = at_server[1].streams[at].gone = false;
        }
        at_client[1].stream_count = at;
        at_server[1].stream_count = at_server[1].stream_count % STREAMS_MAX;
        peer_write(peer_open(&at_client[1], false), "x", true);
    }
    UNTIL(&world, at_client[1].session->flow->out[YO_FLOW_UNI].used == 5 * STREAMS_MAX);
    assert_true(at_client[1].session->flow->out[YO_FLOW_UNI].max > YO_WT_STREAMS_MAX);
}

/* A peer that takes nothing holds back its session, and no other. */
static void a_session_that_is_held_back_holds_back_no_other(void **state)
{
    enum { SIZE = 100000 };
    static char much[SIZE];
    size_t taken;
    (void)state;
    memset(much, 'm', SIZE);
    at_client[1].session->flow->out[YO_FLOW_DATA].max = 10; /* all that it was given */
    struct heard *stream = peer_open(&at_client[1], false);
    yo_wt_stream_write(stream->stream, yo_span(much, SIZE), SIZE_MAX, &taken);
    struct heard *other = peer_open(&at_client[1], false);
    peer_write(other, "more", true);
    works(0);
    world_for(&world, YO_SECOND);
    assert_in_range(at_server[1].streams[0].bytes.size +
                        at_server[1].streams[1].bytes.size,
                    10, 10);
    peer_datagram(&at_client[1], "not held back", 0);
    UNTIL(&world, at_server[1].datagram_count == 1);
    size_t sent = client->sent; /* nor does it try again and again */
    world_for(&world, 10 * YO_SECOND);
    assert_true(client->sent - sent < 20);
    for (uint64_t max = 11; max < 200; max++) { /* one byte at a time */
        flow_capsule(&at_server[1], YO_CAPSULE_MAX_DATA, max);
        world_for(&world, 50 * YO_MS);
        assert_int_equal(at_server[1].streams[0].bytes.size +
                             at_server[1].streams[1].bytes.size,
                         max);
    }
    flow_capsule(&at_server[1], YO_CAPSULE_MAX_DATA, SIZE + 4);
    UNTIL(&world,
          at_server[1].streams[0].bytes.size + at_server[1].streams[1].bytes.size ==
              SIZE + 4);
}

static void streams_wait_for_the_sessions_permission(void **state)
{
    (void)state;
    at_client[1].session->flow->out[YO_FLOW_BIDI].max = 0;
    struct heard *stream = peer_open(&at_client[1], true);
    peer_write(stream, "x", true);
    peer_write(peer_open(&at_client[1], false), "y", true); /* the other kind may */
    UNTIL(&world, at_server[1].stream_count == 1);
    world_for(&world, YO_SECOND);
    assert_int_equal(at_server[1].stream_count, 1);
    works(0);
    flow_capsule(&at_server[1], YO_CAPSULE_MAX_STREAMS_BIDI, 1);
    UNTIL(&world, at_server[1].stream_count == 2);
}

/* The server's session 1 breaks, session 0 does not notice. */
static void flow_control_error(void)
{
    UNTIL(&world, at_server[1].ended && at_client[1].ended);
    assert_int_equal(at_server[1].end.error, YOMO_ERR_PROTO);
    assert_string_equal(at_server[1].end_text, "flow control");
    assert_false(at_client[1].end.clean);
    works(0);
    UNTIL(&world, sessions_of(conn_of(&at_server[0])) == 1);
}

static void more_data_than_allowed_ends_the_session(void **state)
{
    enum { SIZE = 3000 };
    static char much[SIZE];
    size_t taken;
    (void)state;
    at_server[1].session->flow->in[YO_FLOW_DATA].max = 500;
    at_server[1].session->flow->in[YO_FLOW_DATA].window = 500;
    struct heard *stream = peer_open(&at_client[1], false);
    yo_wt_stream_write(stream->stream, yo_span(much, SIZE), SIZE_MAX, &taken);
    flow_control_error();
}

static void more_streams_than_allowed_end_the_session(void **state)
{
    (void)state;
    at_server[1].session->flow->in[YO_FLOW_UNI].max = 2;
    for (int i = 0; i < 3; i++) {
        peer_write(peer_open(&at_client[1], false), "x", false);
    }
    flow_control_error();
}

/* It counts up to its final size, which may never have come. */
static void a_reset_stream_counts_what_it_had(void **state)
{
    enum { SIZE = 3000 };
    static char much[SIZE];
    size_t taken;
    (void)state;
    struct heard *stream = peer_open(&at_client[1], false);
    peer_write(stream, "x", false);
    UNTIL(&world, at_server[1].stream_count == 1);
    world_for(&world, YO_SECOND);
    at_server[1].session->flow->in[YO_FLOW_DATA].max = 2000;
    yo_wt_stream_write(stream->stream, yo_span(much, SIZE), SIZE_MAX, &taken);
    client->cut = true; /* the content is lost, and not sent again after the reset */
    yo_endpoint_turn(client->endpoint, world.now);
    world_for(&world, YO_MS);
    client->cut = false;
    yo_wt_stream_reset(stream->stream, 5);
    flow_control_error();
}

static void limits_that_shrink_or_are_forbidden_end_the_session(void **state)
{
    static const uint64_t wrong[][2] = {
        {YO_CAPSULE_MAX_DATA, 1},
        {YO_CAPSULE_MAX_STREAMS_UNI, YO_WT_STREAMS_MAX}, /* as it was */
        {YO_CAPSULE_MAX_STREAMS_BIDI, (UINT64_C(1) << 60) + 1},
        {YO_CAPSULE_STREAMS_BLOCKED_UNI, (UINT64_C(1) << 60) + 1},
        {YO_CAPSULE_MAX_STREAM_DATA, 1},
        {YO_CAPSULE_STREAM_DATA_BLOCKED, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        flow_capsule(&at_client[1], wrong[i][0], wrong[i][1]);
        flow_control_error();
        peer_finish(&at_client[1]);
        peer_finish(&at_server[1]);
        peer_init(&at_client[1], &world);
        peer_init(&at_server[1], &world);
        peer_pair(&at_client[1], client, &at_server[1], server);
    }
    flow_capsule(&at_client[1], YO_CAPSULE_DATA_BLOCKED, 1); /* it may say so */
    works(1);
}

static void without_flow_control_its_capsules_are_skipped(void **state)
{
    (void)state;
    end(NULL);
    begin_with(1, 1);
    peer_pair(&at_client[0], client, &at_server[0], server);
    flow_capsule(&at_client[0], YO_CAPSULE_MAX_DATA, 0);
    flow_capsule(&at_client[0], YO_CAPSULE_MAX_STREAM_DATA, 0);
    capsules(&at_client[0], "\x99\x0b\x4d\x3d\x00", 5); /* not even a number */
    works(0);
}

/* --- Floods ----------------------------------------------------------------------- */

static size_t seen, seen_reset, seen_gone;

static size_t flood_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                         bool fin, yo_time now)
{
    (void)user, (void)stream, (void)fin, (void)now;
    return bytes.size;
}

static void flood_reset(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                        yo_time now)
{
    (void)user, (void)stream, (void)code, (void)now;
    seen_reset++;
}

static void flood_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    (void)user, (void)stream, (void)now;
    seen_gone++;
}

static void flood_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    static const struct yo_wt_stream_events events = {
        .on_data = flood_data, .on_reset = flood_reset, .on_gone = flood_gone};
    (void)user, (void)now;
    seen++;
    yo_wt_stream_listen(stream, &events, NULL);
    if (yo_wt_stream_bidirectional(stream)) {
        yo_wt_stream_end(stream);
    }
}

/* Thousands of streams that say next to nothing, every third of which is taken back. */
static void floods_of_small_streams_cost_what_a_few_do(void **state)
{
    enum { COUNT_OF_STREAMS = 3000 };
    static const struct yo_wt_stream_events none;
    static const struct yo_wt_session_events flooded = {.on_stream = flood_stream};
    struct fault fault;
    size_t opened = 0, before = 0;
    (void)state;
    end(NULL);
    fault_init(&fault, 0, FAULT_ONCE);
    begin_with(COUNT, COUNT);
    world_finish(&world);
    world_init(&world, 1);
    world.mem = &fault.mem;
    struct yo_endpoint_options o = world_options(&world, true);
    o.sessions = COUNT;
    server = world_server(&world, &o);
    o = world_options(&world, false);
    o.sessions = COUNT;
    client = world_client(&world, &o);
    for (int i = 0; i < 2; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    works(0);
    yo_wt_session_listen(at_server[1].session, &flooded, NULL);
    seen = seen_reset = seen_gone = 0;
    while (opened < COUNT_OF_STREAMS) {
        for (int i = 0; i < 30; i++, opened++) {
            struct yo_wt_stream *stream;
            assert_int_equal(yo_wt_session_open(at_client[1].session, i % 2, &none, NULL,
                                                &stream),
                             YOMO_OK);
            assert_int_equal(yo_wt_stream_push(stream, yo_span("x", 1), NULL), YOMO_OK);
            if (i % 3 == 0) {
                yo_wt_stream_reset(stream, 1);
            } else {
                yo_wt_stream_end(stream);
            }
        }
        size_t all = opened;
        UNTIL(&world, seen == all && seen_gone == all);
        if (opened == COUNT_OF_STREAMS / 10) {
            before = fault.bytes;
        }
    }
    assert_int_equal(seen_reset, COUNT_OF_STREAMS / 3);
    works(0);
    world_for(&world, YO_SECOND);
    assert_true(fault.bytes < before + 16384);
    yo_wt_session_listen(at_server[1].session, NULL, NULL);
    end(NULL);
    fault_assert_no_leak(&fault);
    begin(NULL); /* for the tear-down */
}

/* --- Memory ----------------------------------------------------------------------- */

static void answer_all(struct node *node, struct yo_wt_session *session)
{
    struct yo_response yes = {.status = 200};
    struct peer *peer = &at_server[node->requests - 1];
    node->request = NULL;
    struct yo_wt_session *open = yo_quic_accept_session(session, &yes);
    if (open) {
        peer_listen(peer, open);
    }
}

static struct peer *of(struct peer *peers, int i)
{
    return peers[i].session && peers[i].session->open ? &peers[i] : NULL;
}

static void try_stream(struct peer *peer)
{
    static char much[30000];
    struct yo_wt_stream *stream;
    size_t taken;
    static const struct yo_wt_stream_events none;
    if (peer &&
        yo_wt_session_open(peer->session, true, &none, NULL, &stream) == YOMO_OK) {
        (void)yo_wt_stream_order(stream, 1, 1);
        yo_wt_stream_write(stream, yo_span(much, sizeof(much)), SIZE_MAX, &taken);
        yo_wt_stream_end(stream);
    }
}

/* A second session on a connection, all that it does, and its end, with the `nth`
 * allocation from then on failing. Returns false when none was left to fail. */
static bool run_short_of_memory(size_t nth, enum fault_mode mode)
{
    struct fault fault;
    struct yo_wt_session *session;
    struct yo_endpoint_connect options = {.authority = "a", .path = "/"};
    fault_init(&fault, 0, mode);
    begin_with(COUNT, COUNT);
    world_finish(&world);
    world_init(&world, 1);
    world.mem = &fault.mem;
    struct yo_endpoint_options o = world_options(&world, true);
    o.sessions = COUNT;
    server = world_server(&world, &o);
    o = world_options(&world, false);
    o.sessions = COUNT;
    client = world_client(&world, &o);
    peer_pair(&at_client[0], client, &at_server[0], server);
    server->on_request = answer_all;
    fault_arm(&fault, nth, mode);
    if (yo_endpoint_connect_session(client->endpoint, &options, &session, world.now) ==
        YOMO_OK) {
        peer_listen(&at_client[1], session);
        world_for(&world, 100 * YO_MS);
        try_stream(of(at_client, 1));
        try_stream(of(at_server, 1));
        world_for(&world, 200 * YO_MS);
        if (of(at_client, 1)) {
            yo_wt_session_close(at_client[1].session, 1, yo_span_of("bye"));
        }
        world_for(&world, 2 * YO_SECOND);
    } else {
        assert_true(fault.failed);
    }
    bool failed = fault.failed;
    assert_true(failed || (at_server[1].ended && at_server[1].end.code == 1));
    fault_arm(&fault, 0, mode);
    if (of(at_client, 0) && of(at_server, 0)) {
        works(0); /* it may have ended, or it is whole */
    }
    end(NULL);
    fault_assert_no_leak(&fault);
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int mode = FAULT_ONCE; mode <= FAULT_FROM; mode++) {
        size_t nth = 1;
        while (run_short_of_memory(nth, mode)) {
            nth++;
        }
        assert_true(nth > 40);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define OPEN(name) cmocka_unit_test_setup_teardown(name, open_two, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_share_a_connection),
        TEST(several_may_wait_for_their_answers),
        TEST(a_request_too_many_is_rejected_and_the_others_go_on),
        TEST(where_one_side_does_not_declare_it_there_is_one),
        TEST(sessions_that_cannot_be_are_told_so),
        TEST(what_comes_before_its_session_waits_for_it),
        TEST(sessions_that_never_come_cost_little),
        TEST(expected_sessions_go_with_what_they_were_expected_for),
        OPEN(what_comes_for_a_session_that_ended_is_refused),
        TEST(what_came_early_for_a_refused_session_is_rejected),
        OPEN(a_client_closes_one),
        OPEN(a_server_closes_one),
        OPEN(a_close_after_a_long_silence_says_why),
        OPEN(a_reset_ends_one),
        OPEN(a_broken_capsule_ends_one),
        OPEN(with_the_last_session_a_clients_connection_ends),
        OPEN(a_connection_that_wants_no_other_session_is_closed),
        OPEN(with_its_connection_all_end),
        OPEN(goaway_drains_all),
        OPEN(a_session_sends_more_than_its_first_window),
        OPEN(more_streams_than_at_first_pass_in_time),
        OPEN(a_session_that_is_held_back_holds_back_no_other),
        OPEN(streams_wait_for_the_sessions_permission),
        OPEN(more_data_than_allowed_ends_the_session),
        OPEN(more_streams_than_allowed_end_the_session),
        OPEN(a_reset_stream_counts_what_it_had),
        OPEN(limits_that_shrink_or_are_forbidden_end_the_session),
        TEST(without_flow_control_its_capsules_are_skipped),
        TEST(floods_of_small_streams_cost_what_a_few_do),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/sessions", tests,
                                       world_begin_tls, world_end_tls);
}
