/* SPDX-License-Identifier: MIT */
/* Flow control between sessions on one connection, floods, and memory that runs out. */
#include "several.h"

#include <yomo/error.h>

#include "support/fault.h"

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
    begin_with(&yo_mem_libc, 1, 1);
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
    begin_with(&fault.mem, COUNT, COUNT);
    for (int i = 0; i < 2; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    works(0);
    yo_wt_session_listen(at_server[1].session, &flooded, NULL);
    seen = seen_reset = seen_gone = 0;
    while (opened < COUNT_OF_STREAMS) {
        for (int i = 0; i < 30; i++, opened++) {
            struct yo_wt_stream *stream;
            assert_int_equal(
                yo_wt_session_open(at_client[1].session, i % 2, &none, NULL, &stream),
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
    begin_with(&fault.mem, COUNT, COUNT);
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
    return cmocka_run_group_tests_name("transport/webtransport/session_flow", tests,
                                       world_begin_tls, world_end_tls);
}
