/* SPDX-License-Identifier: MIT */
/* How far a peer may send ahead on real streams: a long path is filled, and what nobody
 * reads stays within its bounds. */
#include "several.h"

#include <stdlib.h>
#include <yomo/error.h>

#define LONG_PATH (50 * YO_MS) /* one way */

#define GULPS 21

/* A stream of the client's, and what the server does with what comes on it. */
static struct gulp {
    struct heard *out;
    struct yo_wt_stream *in;
    size_t heard;
    uint64_t granted; /* most that the client might have sent ahead */
    bool deaf, gone;
} gulps[GULPS]; /* which live longer than their streams */

static size_t swallow(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct gulp *gulp = user;
    (void)stream, (void)end, (void)now;
    gulp->heard += gulp->deaf ? 0 : bytes.size;
    return gulp->deaf ? 0 : bytes.size;
}

static void on_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    (void)stream, (void)now;
    ((struct gulp *)user)->gone = true;
}

static const struct yo_wt_stream_events gulping = {.on_data = swallow,
                                                   .on_gone = on_gone};

static int open_single(void **state)
{
    (void)state;
    memset(gulps, 0, sizeof(gulps));
    begin_with(&yo_mem_libc, 1, 1);
    world.delay = LONG_PATH; /* from the first packet on: congestion control learns */
    peer_pair(&at_client[0], client, &at_server[0], server);
    return 0;
}

static int open_both(void **state)
{
    memset(gulps, 0, sizeof(gulps));
    begin(state);
    world.delay = LONG_PATH;
    for (int i = 0; i < 2; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    return 0;
}

static void open_gulp(int session, struct gulp *gulp)
{
    size_t before = at_server[session].stream_count;
    gulp->out = peer_open(&at_client[session], false);
    peer_write(gulp->out, "x", false);
    UNTIL(&world, at_server[session].stream_count > before);
    gulp->in = at_server[session].streams[before].stream;
    yo_wt_stream_listen(gulp->in, &gulping, gulp);
}

static void write_much(struct gulp *gulp, size_t size)
{
    char *much = calloc(1, size);
    size_t taken;
    assert_non_null(much);
    assert_int_equal(
        yo_wt_stream_write(gulp->out->stream, yo_span(much, size), SIZE_MAX, &taken),
        YOMO_OK);
    assert_int_equal(taken, size);
    free(much);
}

/* Until the server has read so many bytes, noting what the client may send ahead. */
static void hear(struct gulp *gulp, size_t size)
{
    ngtcp2_conn *quic = gulp->out->stream->session->conn->quic;
    yo_time limit = world.now + 120 * YO_SECOND;
    while (gulp->heard < size) {
        assert_true(world_step(&world) && world.now < limit);
        uint64_t left =
            ngtcp2_conn_get_max_stream_data_left(quic, gulp->out->stream->id);
        gulp->granted = left > gulp->granted ? left : gulp->granted;
    }
}

static uint64_t growth_left(void)
{
    return server->endpoint->growth.left;
}

static void a_long_path_is_filled(void **state)
{
    struct gulp *gulp = &gulps[0];
    (void)state;
    open_gulp(0, gulp);
    yo_time begin = world.now;
    write_much(gulp, 8000000);
    hear(gulp, 8000000);
    assert_in_range(gulp->granted, 4 * YO_WT_STREAM_WINDOW, YO_WT_STREAM_WINDOW_MAX);
    assert_int_equal(gulp->in->window.size, YO_WT_STREAM_WINDOW_MAX);
    /* 64 KiB would need 122 round trips. */
    assert_true(world.now - begin < 40 * 2 * LONG_PATH);
}

static void a_session_among_others_fills_it_too(void **state)
{
    (void)state;
    yo_time begin = world.now;
    for (int i = 0; i < 2; i++) {
        open_gulp(i, &gulps[i]);
        write_much(&gulps[i], 4000000);
    }
    hear(&gulps[0], 4000000);
    hear(&gulps[1], 4000000);
    assert_true(world.now - begin < 40 * 2 * LONG_PATH);
    for (int i = 0; i < 2; i++) {
        struct yo_flow *flow = at_server[i].session->flow;
        assert_in_range(flow->in[YO_FLOW_DATA].window, 2 * YO_WT_CONN_WINDOW,
                        YO_WT_CONN_WINDOW_MAX);
    }
}

static void slow_senders_keep_small_windows(void **state)
{
    struct gulp *gulp = &gulps[0];
    (void)state;
    open_gulp(0, gulp);
    for (size_t i = 1; i <= 200; i++) { /* 10 kB for each round trip */
        write_much(gulp, 5000);
        world_for(&world, LONG_PATH);
    }
    assert_int_equal(gulp->in->window.size, YO_WT_STREAM_WINDOW);
    assert_int_equal(growth_left(), YO_WT_GROWTH_MAX);
}

static void who_is_not_read_gets_nothing_more(void **state)
{
    struct gulp *gulp = &gulps[0];
    (void)state;
    gulp->deaf = true;
    open_gulp(0, gulp);
    write_much(gulp, 1000000);
    world_for(&world, 10 * YO_SECOND);
    assert_in_range(gulp->in->in.size, 1, YO_WT_STREAM_WINDOW);
    assert_int_equal(gulp->in->window.size, YO_WT_STREAM_WINDOW);
    assert_int_equal(growth_left(), YO_WT_GROWTH_MAX);
}

/* However wide their windows have become; and it holds back nobody else. */
static void what_nobody_reads_any_more_is_bounded(void **state)
{
    enum { STREAMS = GULPS - 1, MUCH = 2500000 };
    struct gulp *other = &gulps[STREAMS];
    size_t kept = 0;
    (void)state;
    world.delay = 20 * YO_MS;
    for (int i = 0; i < STREAMS; i++) { /* each alone, so that it grows if it can */
        open_gulp(0, &gulps[i]);
        write_much(&gulps[i], MUCH);
        hear(&gulps[i], MUCH);
    }
    assert_int_equal(conn_of(&at_server[0])->growth.left, 0);
    for (int i = 0; i < STREAMS; i++) {
        gulps[i].deaf = true;
        write_much(&gulps[i], MUCH);
    }
    world_for(&world, 20 * YO_SECOND);
    for (int i = 0; i < STREAMS; i++) {
        assert_true(gulps[i].in->in.size <= gulps[i].in->window.size);
        kept += gulps[i].in->in.size;
    }
    assert_in_range(kept, STREAMS * YO_WT_STREAM_WINDOW / 2,
                    STREAMS * YO_WT_STREAM_WINDOW + YO_WT_CONN_GROWTH_MAX);
    open_gulp(0, other);
    write_much(other, MUCH);
    hear(other, MUCH);
    for (int i = 0; i < STREAMS; i++) {
        gulps[i].deaf = false;
        yo_wt_stream_resume(gulps[i].in);
    }
    for (int i = 0; i < STREAMS; i++) {
        hear(&gulps[i], 2 * MUCH);
    }
}

static void what_they_grew_by_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        open_gulp(0, &gulps[i]);
        write_much(&gulps[i], 2000000);
        hear(&gulps[i], 2000000);
    }
    uint64_t before = growth_left();
    assert_true(before <= YO_WT_GROWTH_MAX - 3 * YO_WT_STREAM_WINDOW);
    yo_wt_stream_end(gulps[0].out->stream);
    yo_wt_stream_reset(gulps[1].out->stream, 1);
    yo_wt_stream_stop(gulps[2].in, 1);
    UNTIL(&world, gulps[0].gone && gulps[1].gone && gulps[2].gone);
    assert_true(growth_left() >= before + 3 * YO_WT_STREAM_WINDOW);
    yo_wt_session_close(at_client[0].session, 0, YO_SPAN_NONE);
    UNTIL(&world, yo_endpoint_empty(server->endpoint));
    assert_int_equal(growth_left(), YO_WT_GROWTH_MAX);
}

/* Others have it all: streams are as slow as they were, and no slower. */
static void with_no_budget_left_windows_stay(void **state)
{
    struct gulp *gulp = &gulps[0];
    (void)state;
    server->endpoint->growth.left = 0;
    open_gulp(0, gulp);
    write_much(gulp, 2000000);
    hear(gulp, 2000000);
    assert_int_equal(gulp->in->window.size, YO_WT_STREAM_WINDOW);
    assert_true(gulp->granted <= YO_WT_STREAM_WINDOW);
}

#define OPEN(test) cmocka_unit_test_setup_teardown(test, open_single, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPEN(a_long_path_is_filled),
        cmocka_unit_test_setup_teardown(a_session_among_others_fills_it_too, open_both,
                                        end),
        OPEN(slow_senders_keep_small_windows),
        OPEN(who_is_not_read_gets_nothing_more),
        OPEN(what_nobody_reads_any_more_is_bounded),
        OPEN(what_they_grew_by_comes_back),
        OPEN(with_no_budget_left_windows_stay),
    };
    return cmocka_run_group_tests_name("transport/webtransport/windows", tests,
                                       world_begin_tls, world_end_tls);
}
