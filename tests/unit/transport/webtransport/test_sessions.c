/* SPDX-License-Identifier: MIT */
/* Several sessions on one connection: how they come, and go, each alone. */
#include "several.h"

#include <yomo/error.h>

#include "base/varint.h"

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
        begin_with(&yo_mem_libc, sides[i][0], sides[i][1]);
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
    begin_with(&yo_mem_libc, 1, COUNT);
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
    };
    return cmocka_run_group_tests_name("transport/webtransport/sessions", tests,
                                       world_begin_tls, world_end_tls);
}
