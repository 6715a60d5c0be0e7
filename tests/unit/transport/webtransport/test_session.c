/* SPDX-License-Identifier: MIT */
/* Two bare sessions, client and server, over a network that behaves. */
#include "base/pairs.h"
#include "world.h"

#include <stdlib.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"

static struct world world;
static struct node *server, *client;
static struct peer at_server, at_client;

static int begin(void **state)
{
    (void)state;
    world_init(&world, 1);
    server = world_server(&world, NULL);
    client = world_client(&world, NULL);
    peer_init(&at_server, &world);
    peer_init(&at_client, &world);
    return 0;
}

static int begin_open(void **state)
{
    begin(state);
    peer_pair(&at_client, client, &at_server, server);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_finish(&world);
    peer_finish(&at_server);
    peer_finish(&at_client);
    return 0;
}

/* --- Opening ---------------------------------------------------------------------- */

static void a_request_tells_who_wants_what(void **state)
{
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    assert_string_equal(server->authority, "localhost:4433");
    assert_string_equal(server->path, "/v1");
    assert_string_equal(server->query, "id=alice&x=%20");
    assert_string_equal(server->origin, "https://example.com");
    assert_string_equal(server->address, "192.0.2.1:4001");
    assert_int_equal(at_client.opened, 0);
}

static void all_headers_are_told_both_ways(void **state)
{
    static const char *const headers[] = {"x-answer", "42", "x-answer", "43", NULL};
    struct yo_response yes = {.status = 200, .headers = headers};
    struct yo_span fields, name, value;
    struct yo_buf ask;
    size_t answers = 0;
    (void)state;
    yo_buf_init(&ask, &yo_mem_libc);
    yo_pairs_append(&ask, yo_span_of("user-agent"), yo_span_of("test"));
    yo_pairs_append(&ask, yo_span_of("x-empty"), yo_span_of(""));
    client->ask_fields = yo_buf_span(&ask);
    peer_connect(&at_client, client, server);
    yo_buf_finish(&ask);
    UNTIL(&world, server->request);
    fields = yo_span(server->fields, server->fields_size);
    assert_true(yo_span_is(yo_pairs_get(fields, ":method"), "CONNECT"));
    assert_true(yo_span_is(yo_pairs_get(fields, "user-agent"), "test"));
    assert_non_null(yo_pairs_get(fields, "x-empty").data);
    peer_listen(&at_server, yo_quic_accept_session(server->request, &yes));
    UNTIL(&world, at_client.opened);
    fields = yo_wt_session_fields(at_client.session);
    assert_true(yo_span_is(yo_pairs_get(fields, ":status"), "200"));
    while (yo_pairs_next(&fields, &name, &value)) {
        answers += yo_span_is(name, "x-answer");
    }
    assert_int_equal(answers, 2);
    assert_string_equal(yo_wt_session_protocol(at_client.session), "");
}

static void a_subprotocol_is_agreed(void **state)
{
    struct yo_response yes = {.status = 200, .protocol = "b \"2\""};
    (void)state;
    client->ask_protocols = yo_span("a\0b \"2\"", 8);
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    assert_true(yo_span_is(yo_pairs_get(yo_span(server->fields, server->fields_size),
                                        "wt-available-protocols"),
                           "\"a\", \"b \\\"2\\\"\""));
    peer_listen(&at_server, yo_quic_accept_session(server->request, &yes));
    UNTIL(&world, at_client.opened);
    assert_string_equal(yo_wt_session_protocol(at_client.session), "b \"2\"");
    assert_string_equal(yo_wt_session_protocol(at_server.session), "b \"2\"");
}

/* Up to draft 14 a field that names something else is as good as none. */
static void a_subprotocol_that_was_not_offered_is_ignored(void **state)
{
    struct yo_response yes = {.status = 200, .protocol = "c"};
    (void)state;
    client->ask_protocols = yo_span("a\0b", 4);
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    peer_listen(&at_server, yo_quic_accept_session(server->request, &yes));
    UNTIL(&world, at_client.opened);
    assert_string_equal(yo_wt_session_protocol(at_client.session), "");
}

static void a_refused_client_learns_the_status(void **state)
{
    struct yo_response no = {.status = 403, .text = yo_span_of("Go away.\n")};
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    yo_quic_refuse(server->request, &no);
    UNTIL(&world, at_client.ended);
    assert_int_equal(at_client.end.error, YOMO_ERR_DENIED);
    assert_int_equal(at_client.end.status, 403);
    assert_false(at_client.end.clean);
    UNTIL(&world, yo_endpoint_empty(server->endpoint));
    assert_int_equal(server->gone, 0);
}

static void a_dismissed_client_opens_and_is_told_why(void **state)
{
    struct yo_close how = {.code = YO_CODE_AUTH, .text = yo_span_of("who are you?")};
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    yo_quic_dismiss(server->request, &how);
    UNTIL(&world, at_client.ended);
    assert_int_equal(at_client.opened, 1);
    assert_true(at_client.end.clean);
    assert_int_equal(at_client.end.code, YO_CODE_AUTH);
    assert_string_equal(at_client.end_text, "who are you?");
    UNTIL(&world, yo_endpoint_empty(server->endpoint));
}

static void a_client_that_gives_up_takes_its_request_with_it(void **state)
{
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    yo_wt_session_close(at_client.session, 0, YO_SPAN_NONE);
    UNTIL(&world, server->gone);
    assert_int_equal(server->gone, 1);
    UNTIL(&world, at_client.ended);
}

static void a_server_that_never_answers_is_given_up(void **state)
{
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, at_client.ended);
    assert_int_equal(at_client.end.error, YOMO_ERR_TIMEOUT);
    UNTIL(&world, server->gone);
}

static void a_connection_that_never_asks_is_closed(void **state)
{
    (void)state;
    peer_connect(&at_client, client, server);
    struct yo_quic_conn *conn = at_client.session->conn;
    at_client.session->phase = YO_WT_ASKED; /* it has nothing to ask for */
    conn->give_up = YO_NEVER;
    yo_time start = world.now;
    UNTIL(&world, at_client.ended);
    assert_int_equal(at_client.end.error, YOMO_ERR_CLOSED);
    assert_true(world.now - start < 11 * YO_SECOND);
    assert_int_equal(server->requests, 0);
}

/* UDP has such packets, and anybody can send one. */
static void an_empty_packet_is_counted_and_no_more(void **state)
{
    (void)state;
    struct yo_endpoint_stats stats;
    peer_connect(&at_client, client, server);
    world_inject(server, client, yo_span("", 0));
    world_inject(client, server, yo_span("", 0));
    UNTIL(&world, server->request);
    yo_endpoint_stats(server->endpoint, &stats);
    assert_int_equal(stats.packets_bad, 1);
    yo_endpoint_stats(client->endpoint, &stats);
    assert_int_equal(stats.packets_bad, 1);
}

/* --- Datagrams -------------------------------------------------------------------- */

static void datagrams_pass_both_ways_and_tell_their_fate(void **state)
{
    (void)state;
    peer_datagram(&at_client, "ping", 7);
    peer_datagram(&at_server, "pong", 8);
    UNTIL(&world, at_server.datagram_count == 1 && at_client.datagram_count == 1);
    assert_true(yo_span_is(yo_buf_span(&at_server.datagrams), "ping"));
    assert_true(yo_span_is(yo_buf_span(&at_client.datagrams), "pong"));
    UNTIL(&world, at_client.acked == 1 && at_server.acked == 1);
    assert_int_equal(at_client.lost + at_server.lost, 0);
}

static void small_datagrams_share_packets(void **state)
{
    (void)state;
    world_for(&world, YO_SECOND);
    size_t before = client->sent;
    for (int i = 0; i < 20; i++) {
        peer_datagram(&at_client, "a cursor moves", 0);
    }
    UNTIL(&world, at_server.datagram_count == 20);
    assert_true(client->sent - before <= 2);
}

static void the_largest_datagram_passes_and_a_larger_one_does_not(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) { /* before and after PMTUD */
        size_t max = yo_wt_session_datagram_max(at_client.session);
        struct yo_blob *blob = yo_blob_alloc(&yo_mem_libc, max);
        memset(blob->data, 'x', max);
        size_t count = at_server.datagram_count;
        assert_int_equal(yo_wt_session_send(at_client.session, blob, 0), YOMO_OK);
        UNTIL(&world, at_server.datagram_count == count + 1);
        yo_blob_unref(blob);
        max = yo_wt_session_datagram_max(at_client.session); /* a probe came between */
        blob = yo_blob_alloc(&yo_mem_libc, max + 1);
        memset(blob->data, 'x', max + 1);
        assert_int_equal(yo_wt_session_send(at_client.session, blob, 0),
                         YOMO_ERR_TOO_BIG);
        yo_blob_unref(blob);
        world_for(&world, 5 * YO_SECOND);
    }
    assert_true(yo_wt_session_datagram_max(at_client.session) > 1300);
}

static void the_oldest_datagram_gives_way(void **state)
{
    const struct yo_datagram_limits limits = {.count = 2, .drop_oldest = true};
    (void)state;
    yo_wt_session_limit_datagrams(at_client.session, &limits);
    for (uint64_t i = 1; i <= 5; i++) {
        char text[] = {(char)('a' + i), '\0'};
        peer_datagram(&at_client, text, i);
    }
    assert_int_equal(at_client.unsent, 0); /* not from inside the call */
    UNTIL(&world, at_client.unsent == 3 && at_server.datagram_count == 2);
    assert_true(yo_span_is(yo_buf_span(&at_server.datagrams), "ef"));
}

static void a_datagram_that_waits_too_long_is_not_sent(void **state)
{
    const struct yo_datagram_limits limits = {.age = 50 * YO_MS};
    struct yo_wt_stats stats;
    (void)state;
    yo_wt_session_limit_datagrams(at_client.session, &limits);
    client->blocked = true; /* the socket takes nothing */
    peer_datagram(&at_client, "old", 1);
    world_for(&world, 10 * YO_MS);
    client->blocked = false;
    world.now += 60 * YO_MS;
    yo_endpoint_writable(client->endpoint);
    peer_datagram(&at_client, "new", 2);
    UNTIL(&world, at_server.datagram_count == 1 && at_client.acked == 1);
    assert_true(yo_span_is(yo_buf_span(&at_server.datagrams), "new"));
    assert_int_equal(at_client.unsent, 1);
    yo_wt_session_stats(at_client.session, &stats);
    assert_int_equal(stats.datagrams_expired, 1);
    assert_int_equal(stats.datagrams_sent, 1);
}

static void datagrams_before_the_answer_are_kept(void **state)
{
    struct yo_response yes = {.status = 200};
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    at_client.session->open = true; /* a browser's page does not wait for the answer */
    peer_datagram(&at_client, "early", 0);
    struct heard *stream = peer_open(&at_client, false);
    peer_write(stream, "bird", true);
    world_for(&world, 100 * YO_MS);
    peer_listen(&at_server, yo_quic_accept_session(server->request, &yes));
    assert_int_equal(at_server.datagram_count + at_server.stream_count, 0);
    UNTIL(&world, at_server.datagram_count == 1 && at_server.streams[0].ended);
    assert_true(yo_span_is(yo_buf_span(&at_server.datagrams), "early"));
    assert_true(yo_span_is(yo_buf_span(&at_server.streams[0].bytes), "bird"));
}

static void too_many_early_streams_are_rejected(void **state)
{
    struct yo_response yes = {.status = 200};
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    at_client.session->open = true;
    for (int i = 0; i < YO_WT_EARLY_STREAMS_MAX + 4; i++) {
        peer_write(peer_open(&at_client, false), "x", false);
    }
    for (int i = 0; i < YO_WT_EARLY_DATAGRAMS_MAX + 4; i++) {
        peer_datagram(&at_client, "early", 0);
    }
    world_for(&world, YO_SECOND);
    peer_listen(&at_server, yo_quic_accept_session(server->request, &yes));
    world_for(&world, YO_SECOND);
    assert_int_equal(at_server.stream_count, YO_WT_EARLY_STREAMS_MAX);
    assert_int_equal(at_server.datagram_count, YO_WT_EARLY_DATAGRAMS_MAX);
    size_t gone = 0;
    for (size_t i = 0; i < at_client.stream_count; i++) {
        gone += at_client.streams[i].gone;
    }
    assert_int_equal(gone, 4);
}

/* --- An answer that is late ------------------------------------------------------- */

/* The client says this on its CONNECT stream, as often as `times`, while nobody has
 * answered. */
static void pile(const void *capsules, size_t size, int times)
{
    for (int i = 0; i < times && at_client.session; i++) {
        yo_h3_capsules(at_client.session->conn->h3, at_client.session->id,
                       yo_span(capsules, size), false);
        yo_quic_conn_touch(at_client.session->conn);
        world_for(&world, 50 * YO_MS);
    }
}

static void capsules_before_a_late_answer_are_heeded_after_it(void **state)
{
    static const uint8_t drain[] = {0x80, 0x00, 0x78, 0xae, 0x00};
    static const uint8_t unknown[] = {0x40, 0x99, 0x02, 'x', 'x'};
    struct yo_response yes = {.status = 200};
    (void)state;
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    pile(unknown, sizeof(unknown), 20);
    pile(drain, sizeof(drain), 1);
    peer_listen(&at_server, yo_quic_accept_session(server->request, &yes));
    UNTIL(&world, at_client.opened && at_server.drains == 1);
}

/* Half an unknown capsule of any length, again and again: it would be skipped, but not
 * before there is a session. */
static void capsules_without_end_before_a_late_answer_end_the_connection(void **state)
{
    static uint8_t much[1000] = {0x40, 0x99, 0xbf, 0xff, 0xff, 0xff};
    struct fault fault;
    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    struct yo_endpoint_options options = world_options(&world, true);
    options.mem = &fault.mem;
    server = world_server(&world, &options);
    peer_connect(&at_client, client, server);
    UNTIL(&world, server->request);
    size_t before = atomic_load(&fault.bytes);
    pile(much, sizeof(much), 4);
    assert_non_null(server->request); /* so much may wait */
    assert_true(atomic_load(&fault.bytes) - before < 16384);
    pile(much, sizeof(much), 100);
    UNTIL(&world, at_client.ended);
    assert_null(server->request); /* the host was told */
    assert_int_equal(server->gone, 1);
    assert_false(at_client.end.clean);
    assert_true(atomic_load(&fault.bytes_peak) < 1 << 20);
    world_for(&world, 60 * YO_SECOND);
    assert_true(yo_endpoint_empty(server->endpoint));
    yo_endpoint_destroy(server->endpoint);
    server->endpoint = NULL;
    fault_assert_no_leak(&fault);
}

/* --- Streams ---------------------------------------------------------------------- */

static void exchange(struct peer *from, struct peer *to)
{
    struct heard *uni = peer_open(from, false), *bidi = peer_open(from, true);
    peer_write(uni, "one way", true);
    peer_write(bidi, "question", true);
    UNTIL(&world,
          to->stream_count == 2 && to->streams[0].ended && to->streams[1].ended);
    for (int i = 0; i < 2; i++) {
        struct heard *heard = &to->streams[i];
        assert_true(yo_span_is(yo_buf_span(&heard->bytes),
                               heard->bidirectional ? "question" : "one way"));
        if (heard->bidirectional) {
            peer_write(heard, "answer", true);
        }
    }
    UNTIL(&world, bidi->ended);
    assert_true(yo_span_is(yo_buf_span(&bidi->bytes), "answer"));
    UNTIL(&world,
          uni->gone && bidi->gone && to->streams[0].gone && to->streams[1].gone);
    assert_int_equal(uni->acked, strlen("one way"));
}

static void a_clients_streams_of_both_kinds_pass(void **state)
{
    (void)state;
    exchange(&at_client, &at_server);
}

static void a_servers_streams_of_both_kinds_pass(void **state)
{
    (void)state;
    exchange(&at_server, &at_client);
}

static void an_empty_stream_is_seen(void **state)
{
    (void)state;
    yo_wt_stream_end(peer_open(&at_client, false)->stream);
    peer_open(&at_client, true); /* and one that stays open */
    UNTIL(&world, at_server.stream_count == 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(at_server.streams[i].bytes.size, 0);
        assert_int_equal(at_server.streams[i].ended,
                         !at_server.streams[i].bidirectional);
    }
}

static void streams_past_the_limit_wait_for_permission(void **state)
{
    (void)state;
    const size_t count = STREAMS_MAX;
    for (size_t round = 0; round < 4; round++) { /* more than a peer may have at once */
        for (size_t i = 0; i < count; i++) {
            at_client.stream_count = i;
            at_client.streams[i].gone = false;
            peer_write(peer_open(&at_client, false), "x", true);
        }
        for (size_t i = 0; i < count; i++) {
            UNTIL(&world, at_client.streams[i].gone);
        }
        for (size_t i = 0; i < count; i++) {
            UNTIL(&world, at_server.streams[i].gone);
            at_server.streams[i].ended = at_server.streams[i].gone = false;
        }
        at_server.stream_count = 0;
    }
    assert_int_equal(at_server.streams[0].bytes.size, 4);
}

static void a_stream_longer_than_its_window_passes(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, false);
    char chunk[10000];
    size_t total = 0;
    memset(chunk, 'y', sizeof(chunk));
    while (total < 1000000) {
        size_t taken;
        assert_int_equal(yo_wt_stream_write(stream->stream,
                                            yo_span(chunk, sizeof(chunk)), 32768,
                                            &taken),
                         YOMO_OK);
        total += taken;
        assert_true(yo_wt_stream_queued(stream->stream) <= 32768);
        if (taken == 0) {
            size_t queued = yo_wt_stream_queued(stream->stream);
            yo_wt_session_want_progress(at_client.session);
            int progress = at_client.progress;
            UNTIL(&world, at_client.progress > progress);
            assert_true(yo_wt_stream_queued(stream->stream) <= queued);
        }
    }
    yo_wt_stream_end(stream->stream);
    UNTIL(&world, at_server.stream_count == 1 && at_server.streams[0].ended);
    assert_int_equal(at_server.streams[0].bytes.size, total);
    assert_true(client->longest > 4); /* trains, not single packets */
}

/* Three long streams: the one with the greatest order is through before the other one
 * of its group begins, and the one that has none gets its share beside them. */
static void streams_go_in_their_order(void **state)
{
    enum { SIZE = 60000 };
    static char much[SIZE];
    (void)state;
    memset(much, 'm', sizeof(much));
    for (int i = 0; i < 3; i++) {
        struct heard *stream = peer_open(&at_client, false);
        char name[] = {(char)('0' + i), '\0'};
        size_t taken;
        if (i < 2) {
            assert_int_equal(yo_wt_stream_order(stream->stream, 0, i), YOMO_OK);
        }
        peer_write(stream, name, false);
        yo_wt_stream_write(stream->stream, yo_span(much, SIZE), SIZE_MAX, &taken);
        yo_wt_stream_end(stream->stream);
    }
    const struct heard *by_name[3] = {NULL};
    while (!by_name[0]) {
        assert_true(world_step(&world));
        for (size_t i = 0; i < at_server.stream_count; i++) {
            if (at_server.streams[i].bytes.size > 0) {
                by_name[at_server.streams[i].bytes.data[0] - '0'] =
                    &at_server.streams[i];
            }
        }
    }
    assert_true(by_name[1] && by_name[1]->bytes.size > SIZE - 3000);
    assert_true(by_name[2] && by_name[2]->bytes.size > SIZE / 3);
    UNTIL(&world, by_name[0]->ended && by_name[1]->ended && by_name[2]->ended);
}

static void a_reader_that_takes_little_holds_the_writer_back(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, true);
    peer_write(stream, "x", false);
    UNTIL(&world, at_server.stream_count == 1);
    at_server.streams[0].take = 1000;
    char *much = malloc(500000);
    memset(much, 'z', 500000);
    size_t taken;
    assert_int_equal(
        yo_wt_stream_write(stream->stream, yo_span(much, 500000), SIZE_MAX, &taken),
        YOMO_OK);
    yo_wt_stream_end(stream->stream);
    free(much);
    UNTIL(&world, at_server.streams[0].ended);
    assert_int_equal(at_server.streams[0].bytes.size, 500001);
}

static void a_reader_that_takes_nothing_costs_a_window(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, false);
    peer_write(stream, "x", false);
    UNTIL(&world, at_server.stream_count == 1);
    struct heard *heard = &at_server.streams[0];
    heard->take = 1;
    heard->stream->events = NULL; /* nobody reads: it is thrown away, not kept */
    world_for(&world, YO_SECOND);
    static const struct yo_wt_stream_events none;
    heard->stream->events = &none;
    peer_write(stream, "y", true);
    world_for(&world, YO_SECOND);
    assert_true(stream->gone);
}

static void a_reset_carries_its_code(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, false);
    peer_write(stream, "half of", false);
    yo_wt_stream_reset(stream->stream, 0xfffffffe);
    UNTIL(&world, at_server.stream_count == 1 && at_server.streams[0].was_reset);
    assert_true(at_server.streams[0].has_code);
    assert_int_equal(at_server.streams[0].code, 0xfffffffe);
    UNTIL(&world, stream->gone && at_server.streams[0].gone);
}

static void a_reset_at_once_still_tells_whose_stream_it_was(void **state)
{
    (void)state;
    world.loss = 300;
    for (int i = 0; i < 20; i++) {
        yo_wt_stream_reset(peer_open(&at_client, (i & 1) != 0)->stream, (uint32_t)i);
    }
    UNTIL(&world, at_server.stream_count == 20);
    for (int i = 0; i < 20; i++) {
        UNTIL(&world, at_server.streams[i].was_reset);
        assert_true(at_server.streams[i].has_code);
    }
}

static void a_stopped_writer_is_told(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, true);
    peer_write(stream, "blah", false);
    UNTIL(&world, at_server.stream_count == 1 && at_server.streams[0].bytes.size == 4);
    yo_wt_stream_stop(at_server.streams[0].stream, 5);
    world_for(&world, 100 * YO_MS);
    assert_true(stream->stopped && stream->has_stop_code); /* with nothing to write */
    assert_int_equal(stream->stop_code, 5);
    size_t taken;
    assert_int_equal(
        yo_wt_stream_write(stream->stream, yo_span_of("more"), 100, &taken),
        YOMO_ERR_CLOSED);
    peer_write(&at_server.streams[0], "enough", true); /* the other way is open */
    UNTIL(&world, stream->ended);
}

/* It is for HTTP/3 to say what is none of WebTransport's codes. */
static void a_stop_in_the_turn_that_opened_the_stream_is_told(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, true);
    yo_wt_stream_stop(stream->stream, 9); /* it has no ID yet */
    peer_write(stream, "blah", false);
    UNTIL(&world, at_server.stream_count == 1 && at_server.streams[0].bytes.size == 4);
    UNTIL(&world, at_server.streams[0].stopped && at_server.streams[0].has_stop_code);
    assert_int_equal(at_server.streams[0].stop_code, 9);
}

static void a_stop_without_an_applications_code_is_told_as_one(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, false);
    peer_write(stream, "blah", false);
    UNTIL(&world, at_server.stream_count == 1 && at_server.streams[0].bytes.size == 4);
    ngtcp2_conn_shutdown_stream_read(at_server.session->conn->quic, 0,
                                     at_server.streams[0].stream->id,
                                     YO_H3_REQUEST_CANCELLED);
    yo_quic_conn_touch(at_server.session->conn);
    yo_endpoint_turn(server->endpoint, world.now);
    UNTIL(&world, stream->stopped);
    assert_false(stream->has_stop_code);
}

static void everything_stopped_at_once_is_told_with_its_code(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        peer_write(peer_open(&at_client, i % 2), "blah", false);
    }
    UNTIL(&world, at_server.stream_count == 40);
    world_for(&world, 100 * YO_MS);
    for (uint32_t i = 0; i < 40; i++) {
        yo_wt_stream_stop(at_server.streams[i].stream, UINT32_MAX - i);
    }
    uint64_t sum = 0, expected = 0;
    for (uint32_t i = 0; i < 40; i++) {
        struct heard *heard = &at_client.streams[i];
        UNTIL(&world, heard->stopped && heard->has_stop_code);
        sum += heard->stop_code;
        expected += UINT32_MAX - i;
    }
    assert_int_equal(sum, expected);
}

static size_t stop_in_data(void *user, struct yo_wt_stream *stream,
                           struct yo_span bytes, bool fin, yo_time now)
{
    size_t *calls = user;
    (void)fin, (void)now, (void)bytes;
    (*calls)++;
    yo_wt_stream_stop(stream, 1);
    return 0;
}

static void stopping_inside_on_data_is_legal(void **state)
{
    static const struct yo_wt_stream_events events = {.on_data = stop_in_data};
    size_t calls = 0;
    (void)state;
    struct heard *stream = peer_open(&at_client, false);
    yo_wt_stream_end(peer_open(&at_client, true)->stream);
    UNTIL(&world, at_server.stream_count == 2);
    size_t index = at_server.streams[0].bidirectional ? 1 : 0;
    struct yo_wt_stream *other = at_server.streams[index].stream;
    yo_wt_stream_listen(other, &events, &calls);
    peer_write(stream, "one", false);
    world_for(&world, 100 * YO_MS);
    assert_int_equal(calls, 1);
    assert_true(stream->stopped && stream->gone);
}

/* --- Numbers ---------------------------------------------------------------------- */

static void statistics_say_how_it_went(void **state)
{
    struct yo_wt_stats stats, other;
    (void)state;
    exchange(&at_client, &at_server);
    peer_datagram(&at_client, "12345", 1);
    UNTIL(&world, at_client.acked == 1);
    client->cut = true; /* one is lost */
    peer_datagram(&at_client, "1", 2);
    world_for(&world, 5 * YO_MS);
    client->cut = false;
    peer_datagram(&at_client, "1", 3);
    UNTIL(&world, at_client.acked == 2 && at_client.lost == 1);
    yo_wt_session_stats(at_client.session, &stats);
    assert_in_range(stats.rtt_smoothed, 20 * YO_MS, 50 * YO_MS);
    assert_in_range(stats.rtt_min, 20 * YO_MS, 21 * YO_MS);
    assert_true(stats.rtt_latest >= stats.rtt_min && stats.rtt_variation > 0);
    assert_true(stats.packets_sent > 5 && stats.bytes_sent > 1200);
    assert_true(stats.packets_received > 5 && stats.bytes_received > 1200);
    assert_true(stats.packets_lost >= 1 && stats.congestion_window > 1200);
    assert_true(stats.path_mtu >= 1200);
    assert_int_equal(stats.stream_bytes_sent, strlen("one way") + strlen("question"));
    assert_int_equal(stats.stream_bytes_received, strlen("answer"));
    assert_int_equal(stats.datagram_bytes_sent, 7);
    assert_int_equal(stats.datagrams_sent, 3);
    assert_int_equal(stats.datagrams_acked, 2);
    assert_int_equal(stats.datagrams_lost, 1);
    assert_int_equal(stats.streams_opened, 2);
    assert_int_equal(stats.streams_accepted, 0);
    yo_wt_session_stats(at_server.session, &other);
    assert_int_equal(other.streams_accepted, 2);
    assert_int_equal(other.stream_bytes_received, stats.stream_bytes_sent);
    assert_int_equal(other.datagrams_received, 2);
    assert_int_equal(other.datagram_bytes_received, 6);
}

/* --- The end ---------------------------------------------------------------------- */

static void a_close_carries_code_and_reason(struct peer *from, struct peer *to)
{
    peer_open(from, true);
    peer_open(to, false);
    UNTIL(&world, from->stream_count == 2 && to->stream_count == 2);
    yo_wt_session_close(from->session, 4242, yo_span_of("bye \xc3\xa9"));
    assert_int_equal(yo_wt_session_send(from->session, NULL, 0), YOMO_ERR_CLOSED);
    UNTIL(&world, to->ended);
    assert_true(to->end.clean && to->end.remote);
    assert_int_equal(to->end.code, 4242);
    assert_string_equal(to->end_text, "bye \xc3\xa9");
    yo_time told = world.now;
    UNTIL(&world, from->ended);
    assert_true(from->end.clean && !from->end.remote);
    assert_true(world.now - told < 100 * YO_MS);
    for (int i = 0; i < 2; i++) {
        assert_true(from->streams[i].gone && to->streams[i].gone);
    }
    UNTIL(&world,
          yo_endpoint_empty(server->endpoint) && yo_endpoint_empty(client->endpoint));
}

static void a_client_closes_with_code_and_reason(void **state)
{
    (void)state;
    a_close_carries_code_and_reason(&at_client, &at_server);
}

static void a_server_closes_with_code_and_reason(void **state)
{
    (void)state;
    a_close_carries_code_and_reason(&at_server, &at_client);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    char text[1200];
    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    text[0] = 'x';
    text[1] = 'y';
    yo_wt_session_close(at_server.session, 1, yo_span(text, sizeof(text)));
    UNTIL(&world, at_client.ended);
    assert_int_equal(at_client.end.text.size, YO_CLOSE_TEXT_MAX);
}

static void a_peer_that_never_acknowledges_the_end_is_not_waited_for(void **state)
{
    (void)state;
    client->cut = true;
    yo_time start = world.now;
    yo_wt_session_close(at_server.session, 1, YO_SPAN_NONE);
    UNTIL(&world, at_server.ended);
    assert_true(world.now - start <= 2 * YO_SECOND);
    UNTIL(&world, yo_endpoint_empty(server->endpoint));
}

static void a_broken_connection_is_no_clean_end(void **state)
{
    (void)state;
    yo_wt_session_break(at_server.session, YO_H3_REQUEST_CANCELLED,
                        yo_span_of("1001 drain"));
    UNTIL(&world, at_client.ended);
    assert_false(at_client.end.clean);
    assert_int_equal(at_client.end.error, YOMO_ERR_CLOSED);
    assert_non_null(strstr(at_client.end_text, "1001 drain"));
    UNTIL(&world, at_server.ended);
}

static void an_aborted_peer_is_missed_when_it_has_been_silent(void **state)
{
    (void)state;
    yo_wt_session_abort(at_client.session);
    UNTIL(&world, at_client.ended);
    assert_false(at_client.end.remote);
    UNTIL(&world, at_server.ended);
    assert_int_equal(at_server.end.error, YOMO_ERR_TIMEOUT);
}

static void a_reset_of_the_connect_stream_is_the_end(void **state)
{
    (void)state;
    struct yo_quic_conn *conn = at_client.session->conn;
    ngtcp2_conn_shutdown_stream(conn->quic, 0, at_client.session->id,
                                YO_H3_REQUEST_CANCELLED);
    yo_quic_conn_touch(conn);
    UNTIL(&world, at_server.ended);
    assert_false(at_server.end.clean);
    assert_int_equal(at_server.end.error, YOMO_ERR_CLOSED);
    UNTIL(&world, at_client.ended);
}

static void a_fin_alone_is_a_clean_end(void **state)
{
    (void)state;
    struct yo_quic_conn *conn = at_client.session->conn;
    assert_int_equal(yo_h3_end(conn->h3, at_client.session->id), YOMO_OK);
    yo_quic_conn_touch(conn);
    UNTIL(&world, at_server.ended);
    assert_true(at_server.end.clean);
    assert_int_equal(at_server.end.code, 0);
}

static void a_drain_is_told_and_nothing_ends(void **state)
{
    (void)state;
    assert_int_equal(yo_wt_session_drain(at_server.session), YOMO_OK);
    world_for(&world, 100 * YO_MS);
    assert_int_equal(at_client.drains, 1);
    yo_endpoint_drain(server->endpoint);
    assert_int_equal(yo_wt_session_drain(at_server.session), YOMO_OK);
    UNTIL(&world, at_client.drains == 3); /* another capsule, and GOAWAY */
    peer_datagram(&at_client, "still here", 0);
    UNTIL(&world, at_server.datagram_count == 1);
}

static void capsules(const char *bytes, size_t size)
{
    struct yo_quic_conn *conn = at_client.session->conn;
    assert_int_equal(
        yo_h3_capsules(conn->h3, at_client.session->id, yo_span(bytes, size), false),
        YOMO_OK);
    yo_quic_conn_touch(conn);
}

static void unknown_capsules_are_skipped(void **state)
{
    (void)state;
    capsules("\x40\x99\x05grea", 7);
    world_for(&world, 100 * YO_MS);
    capsules("s\x00\x00\x68", 4); /* an empty one, and the start of a CLOSE */
    world_for(&world, 100 * YO_MS);
    capsules("\x43\x06\x00\x00\x00\x05ok", 8);
    UNTIL(&world, at_server.ended);
    assert_true(at_server.end.clean);
    assert_int_equal(at_server.end.code, 5);
    assert_string_equal(at_server.end_text, "ok");
}

static void a_broken_capsule_ends_the_connection(void **state)
{
    (void)state;
    capsules("\x68\x43\x03\x00\x00\x00", 6); /* a CLOSE too short for its code */
    UNTIL(&world, at_server.ended && at_client.ended);
    assert_false(at_server.end.clean);
    assert_int_equal(at_server.end.error, YOMO_ERR_PROTO);
    assert_non_null(strstr(at_client.end_text, "0x10e"));
}

static void a_session_id_that_cannot_be_one_ends_the_connection(void **state)
{
    (void)state;
    struct heard *stream = peer_open(&at_client, false);
    struct yo_wt_stream *wt = stream->stream;
    yo_sendqueue_finish(&wt->out); /* another header */
    assert_int_equal(yo_sendqueue_push(&wt->out, yo_span("\x40\x54\x03", 3), NULL),
                     YOMO_OK);
    UNTIL(&world, at_server.ended && at_client.ended);
    assert_non_null(strstr(at_client.end_text, "0x108"));
}

static void a_datagram_without_session_ends_the_connection(void **state)
{
    (void)state;
    struct yo_quic_conn *conn = at_client.session->conn;
    uint8_t packet[1500];
    int accepted = 0;
    ngtcp2_vec vec = {(uint8_t *)"\xc0", 1}; /* a varint that is cut short */
    world_for(&world, YO_SECOND);
    ngtcp2_ssize n =
        ngtcp2_conn_writev_datagram(conn->quic, NULL, NULL, packet, sizeof(packet),
                                    &accepted, 0, 0, &vec, 1, world.now);
    assert_true(n > 0 && accepted);
    world_inject(server, client, yo_span(packet, (size_t)n));
    UNTIL(&world, at_server.ended && at_client.ended);
    assert_non_null(strstr(at_client.end_text, "0x33"));
}

static void a_second_connect_is_rejected(void **state)
{
    struct yo_h3_ask ask = {yo_span_of("localhost"), yo_span_of("/v1"), YO_SPAN_NONE};
    int64_t id;
    (void)state;
    struct yo_quic_conn *conn = at_client.session->conn;
    assert_int_equal(ngtcp2_conn_open_bidi_stream(conn->quic, &id, &yo_stream_http), 0);
    assert_int_equal(yo_h3_connect(conn->h3, id, &ask), YOMO_OK);
    yo_quic_conn_touch(conn);
    world_for(&world, YO_SECOND);
    assert_int_equal(server->requests, 1);
    peer_datagram(&at_client, "still here", 0);
    UNTIL(&world, at_server.datagram_count == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define OPEN(name) cmocka_unit_test_setup_teardown(name, begin_open, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_tells_who_wants_what),
        TEST(all_headers_are_told_both_ways),
        TEST(a_subprotocol_is_agreed),
        TEST(a_subprotocol_that_was_not_offered_is_ignored),
        TEST(a_refused_client_learns_the_status),
        TEST(a_dismissed_client_opens_and_is_told_why),
        TEST(a_client_that_gives_up_takes_its_request_with_it),
        TEST(a_server_that_never_answers_is_given_up),
        TEST(a_connection_that_never_asks_is_closed),
        TEST(an_empty_packet_is_counted_and_no_more),
        OPEN(datagrams_pass_both_ways_and_tell_their_fate),
        OPEN(small_datagrams_share_packets),
        OPEN(the_largest_datagram_passes_and_a_larger_one_does_not),
        OPEN(the_oldest_datagram_gives_way),
        OPEN(a_datagram_that_waits_too_long_is_not_sent),
        TEST(datagrams_before_the_answer_are_kept),
        TEST(too_many_early_streams_are_rejected),
        TEST(capsules_before_a_late_answer_are_heeded_after_it),
        TEST(capsules_without_end_before_a_late_answer_end_the_connection),
        OPEN(a_clients_streams_of_both_kinds_pass),
        OPEN(a_servers_streams_of_both_kinds_pass),
        OPEN(an_empty_stream_is_seen),
        OPEN(streams_past_the_limit_wait_for_permission),
        OPEN(a_stream_longer_than_its_window_passes),
        OPEN(streams_go_in_their_order),
        OPEN(a_reader_that_takes_little_holds_the_writer_back),
        OPEN(a_reader_that_takes_nothing_costs_a_window),
        OPEN(a_reset_carries_its_code),
        OPEN(a_reset_at_once_still_tells_whose_stream_it_was),
        OPEN(a_stopped_writer_is_told),
        OPEN(a_stop_in_the_turn_that_opened_the_stream_is_told),
        OPEN(a_stop_without_an_applications_code_is_told_as_one),
        OPEN(everything_stopped_at_once_is_told_with_its_code),
        OPEN(stopping_inside_on_data_is_legal),
        OPEN(statistics_say_how_it_went),
        OPEN(a_client_closes_with_code_and_reason),
        OPEN(a_server_closes_with_code_and_reason),
        OPEN(a_long_reason_is_cut_between_characters),
        OPEN(a_peer_that_never_acknowledges_the_end_is_not_waited_for),
        OPEN(a_broken_connection_is_no_clean_end),
        OPEN(an_aborted_peer_is_missed_when_it_has_been_silent),
        OPEN(a_reset_of_the_connect_stream_is_the_end),
        OPEN(a_fin_alone_is_a_clean_end),
        OPEN(a_drain_is_told_and_nothing_ends),
        OPEN(unknown_capsules_are_skipped),
        OPEN(a_broken_capsule_ends_the_connection),
        OPEN(a_session_id_that_cannot_be_one_ends_the_connection),
        OPEN(a_datagram_without_session_ends_the_connection),
        OPEN(a_second_connect_is_rejected),
    };
    return cmocka_run_group_tests_name("transport/webtransport/session", tests,
                                       world_begin_tls, world_end_tls);
}
