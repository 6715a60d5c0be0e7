/* SPDX-License-Identifier: MIT */
/* WebTransport without rooms, both ends of it, over loopback: what webtransport.h
 * promises, in each of the three ways to run a client. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum way way;

static void open_rig(struct rig *rig)
{
    rig_open(rig, way, "1", NULL);
}

/* Bytes that tell where they are. */
static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
    }
    return bytes;
}

static bool holds_pattern(const struct pipe *pipe, size_t size)
{
    uint8_t *bytes = pattern(size);
    bool same =
        pipe->size == size && (size == 0 || memcmp(pipe->data, bytes, size) == 0);
    free(bytes);
    return same;
}

/* Write all of it, as room comes, and FIN. */
static void write_all(struct pipe *pipe, const void *data, size_t size)
{
    struct rig *rig = pipe->end->rig;
    size_t done = 0;
    while (done < size) {
        size_t taken = 0;
        pthread_mutex_lock(&rig->lock);
        unsigned writable = pipe->writable;
        pthread_mutex_unlock(&rig->lock);
        assert_int_equal(yomo_wt_stream_write(pipe->stream,
                                              (const uint8_t *)data + done, size - done,
                                              &taken),
                         YOMO_OK);
        done += taken;
        if (done < size) {
            UNTIL(rig, pipe->writable > writable);
        }
    }
    assert_int_equal(yomo_wt_stream_finish(pipe->stream), YOMO_OK);
}

static void a_session_opens_and_closes(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    char address[64];
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    assert_string_equal(yomo_wt_session_protocol(client->session), "");
    assert_ptr_equal(yomo_wt_session_user(client->session), client);
    yomo_wt_session_address(client->session, address, sizeof(address));
    assert_string_equal(address, rig.base + strlen("https://"));
    yomo_wt_session_close(client->session, 77, "enough");
    yomo_wt_session_close(client->session, 78, "twice");
    UNTIL(&rig, client->closed && server->closed);
    assert_int_equal(server->error, YOMO_OK);
    assert_int_equal(server->code, 77);
    assert_string_equal(server->reason, "enough");
    assert_true(server->remote);
    assert_int_equal(client->error, YOMO_OK);
    assert_int_equal(client->code, 77);
    assert_false(client->remote);
    /* A handle that is over says so. */
    assert_int_equal(yomo_wt_session_send(client->session, "x", 1, 0), YOMO_ERR_CLOSED);
    assert_int_equal(
        yomo_wt_session_open_bidirectional(client->session, NULL, NULL, NULL),
        YOMO_ERR_CLOSED);
    assert_int_equal(yomo_wt_session_drain(client->session), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_wt_session_datagram_max(client->session), 0);
    rig_close(&rig);
}

static void a_server_closes_with_a_reason_that_is_cut(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    char reason[1100];
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    memset(reason, 'a', sizeof(reason));
    memcpy(reason + 1023, "\xc3\xa9", 2); /* a character across the 1,024th byte */
    reason[1099] = '\0';
    yomo_wt_session_close(server->session, 4294967295u, reason);
    UNTIL(&rig, client->closed && server->closed);
    assert_int_equal(client->error, YOMO_OK);
    assert_true(client->code == 4294967295u);
    assert_int_equal(strlen(client->reason), 1023);
    assert_true(client->remote);
    assert_false(server->remote);
    rig_close(&rig);
}

static void a_session_that_is_aborted_is_lost_to_the_peer(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rig rig = {0};
        struct end *client, *server, *here, *there;
        open_rig(&rig);
        rig_pair(&rig, &client, &server);
        here = i == 0 ? server : client;
        there = i == 0 ? client : server;
        yomo_wt_session_abort(here->session);
        UNTIL(&rig, client->closed && server->closed);
        assert_int_equal(there->error, YOMO_ERR_CLOSED);
        assert_true(there->remote);
        assert_false(here->remote);
        rig_close(&rig);
    }
}

static void datagrams_go_both_ways(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    rig.server_template.echo = true;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    size_t max = yomo_wt_session_datagram_max(client->session);
    assert_in_range(max, 1000, 65535);
    uint8_t *bytes = pattern(65536);
    assert_int_equal(yomo_wt_session_send(client->session, bytes, 65536, 0),
                     YOMO_ERR_TOO_BIG);
    assert_int_equal(yomo_wt_session_send(client->session, bytes, max, 9), YOMO_OK);
    UNTIL(&rig, client->datagrams == 1 && client->fates_acked == 1);
    assert_int_equal(client->last_size, max);
    assert_memory_equal(client->last, bytes, max);
    assert_int_equal(client->fate_token, 9);
    assert_int_equal(yomo_wt_session_send(client->session, "", 0, 0), YOMO_OK);
    UNTIL(&rig, client->datagrams == 2);
    assert_int_equal(client->last_size, 0);
    assert_int_equal(yomo_wt_session_send(server->session, "srv", 3, 0), YOMO_OK);
    UNTIL(&rig, client->datagrams == 3);
    assert_memory_equal(client->last, "srv", 3);
    free(bytes);
    rig_close(&rig);
}

static void all_kinds_of_streams_carry_bytes(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 300000};
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    rig.server_template.echo = true;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    size_t unis = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = pattern(sizes[i]);
        for (int bidirectional = 0; bidirectional < 2; bidirectional++) {
            struct pipe *out = rig_stream(client, bidirectional);
            assert_int_equal(yomo_wt_stream_bidirectional(out->stream), bidirectional);
            assert_true(yomo_wt_stream_local(out->stream));
            assert_ptr_equal(yomo_wt_stream_session(out->stream), client->session);
            write_all(out, bytes, sizes[i]);
            struct pipe *in = out;
            if (!bidirectional) {
                size_t index = unis++;
                UNTIL(&rig, rig_pipe(client, false, index) != NULL);
                in = rig_pipe(client, false, index);
            }
            UNTIL(&rig, in->fin && out->finished && out->closed && in->closed);
            assert_true(holds_pattern(in, sizes[i]));
        }
        free(bytes);
    }
    rig_close(&rig);
}

static void a_server_opens_streams_too(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    struct pipe *uni = rig_stream(server, false);
    struct pipe *bidi = rig_stream(server, true);
    write_all(uni, "one", 3);
    assert_int_equal(yomo_wt_stream_write(bidi->stream, "two", 3, NULL), YOMO_OK);
    UNTIL(&rig, client->pipe_count == 2 && client->pipes[0]->size == 3 &&
                    client->pipes[1]->size == 3);
    struct pipe *at_client =
        client->pipes[0]->bidirectional ? client->pipes[0] : client->pipes[1];
    assert_memory_equal(at_client->data, "two", 3);
    assert_false(yomo_wt_stream_local(at_client->stream));
    assert_int_equal(yomo_wt_stream_id(at_client->stream) % 4, 1);
    write_all(at_client, "answer", 6);
    UNTIL(&rig, bidi->fin);
    assert_memory_equal(bidi->data, "answer", 6);
    write_all(bidi, "", 0);
    UNTIL(&rig, uni->closed && bidi->closed && at_client->closed);
    /* What is over says so. */
    assert_int_equal(yomo_wt_stream_write(bidi->stream, "x", 1, NULL), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_wt_stream_finish(bidi->stream), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_wt_stream_reset(bidi->stream, 1), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_wt_stream_stop(bidi->stream, 1), YOMO_ERR_CLOSED);
    rig_close(&rig);
}

static void a_reader_takes_one_byte_at_a_time(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    rig.server_template.take = 1;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    struct pipe *out = rig_stream(client, false);
    write_all(out, "abcdef", 6);
    UNTIL(&rig, server->pipe_count == 1);
    struct pipe *in = server->pipes[0];
    for (size_t i = 1; i <= 6; i++) {
        UNTIL(&rig, in->size == i);
        assert_int_equal(in->fin, i == 6);
        assert_int_equal(in->offers, i);
        if (i < 6) {
            assert_int_equal(yomo_wt_stream_resume(in->stream), YOMO_OK);
        }
    }
    rig_close(&rig);
}

static void a_reader_that_does_not_read_holds_back_only_its_own_stream(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    rig.server_template.hold = true;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    const size_t size = 4 << 20;
    uint8_t *bytes = pattern(size);
    struct pipe *out = rig_stream(client, false);
    size_t total = 0, taken = 1;
    uint64_t until = rig_now_ms() + 300;
    assert_int_equal(yomo_wt_stream_set_buffer(out->stream, 100000), YOMO_OK);
    /* However long one tries, no more is taken than the buffer and the peer's window.
     */
    while (rig_now_ms() < until) {
        assert_int_equal(
            yomo_wt_stream_write(out->stream, bytes + total, size - total, &taken),
            YOMO_OK);
        total += taken;
        rig_turn(&rig);
    }
    assert_in_range(total, 100000, 100000 + 2 * 65536);
    assert_int_equal(yomo_wt_stream_write(out->stream, bytes, 100000, NULL),
                     YOMO_ERR_AGAIN);
    assert_int_equal(yomo_wt_stream_write(out->stream, bytes, 100001, NULL),
                     YOMO_ERR_TOO_BIG);
    /* Another stream goes on. */
    pthread_mutex_lock(&rig.lock);
    struct pipe *held = server->pipes[0];
    server->hold = false;
    pthread_mutex_unlock(&rig.lock);
    struct pipe *other = rig_stream(client, false);
    write_all(other, bytes, 1 << 20);
    UNTIL(&rig, server->pipe_count == 2 && server->pipes[1]->fin);
    assert_true(holds_pattern(server->pipes[1], 1 << 20));
    /* And so does the first, once it is read. */
    pthread_mutex_lock(&rig.lock);
    held->take = SIZE_MAX;
    pthread_mutex_unlock(&rig.lock);
    assert_int_equal(yomo_wt_stream_resume(held->stream), YOMO_OK);
    write_all(out, bytes + total, size - total);
    UNTIL(&rig, held->fin && out->finished);
    assert_true(holds_pattern(held, size));
    free(bytes);
    rig_close(&rig);
}

static void resets_and_stops_carry_their_codes(void **state)
{
    static const uint32_t codes[] = {0, 1, 29, 30, 7, 4294967295u};
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct pipe *out = rig_stream(client, true);
        assert_int_equal(yomo_wt_stream_write(out->stream, "x", 1, NULL), YOMO_OK);
        UNTIL(&rig, rig_pipe(server, false, i) && rig_pipe(server, false, i)->size);
        struct pipe *in = rig_pipe(server, false, i);
        assert_int_equal(yomo_wt_stream_reset(out->stream, codes[i]), YOMO_OK);
        assert_int_equal(yomo_wt_stream_write(out->stream, "y", 1, NULL),
                         YOMO_ERR_CLOSED);
        UNTIL(&rig, in->got_reset);
        assert_true(in->reset == (int64_t)codes[i]);
        assert_int_equal(yomo_wt_stream_stop(out->stream, codes[i]), YOMO_OK);
        UNTIL(&rig, in->got_stopped);
        assert_true(in->stopped == (int64_t)codes[i]);
        UNTIL(&rig, in->closed && out->closed);
        assert_false(in->fin);
        /* And from the other side. */
        struct pipe *back = rig_stream(server, false);
        UNTIL(&rig, rig_pipe(client, false, i) != NULL);
        assert_int_equal(yomo_wt_stream_reset(back->stream, codes[i]), YOMO_OK);
        struct pipe *there = rig_pipe(client, false, i);
        UNTIL(&rig, there->got_reset && back->closed && there->closed);
        assert_true(there->reset == (int64_t)codes[i]);
    }
    rig_close(&rig);
}

static void a_stream_that_nobody_listens_to_is_refused(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    rig.server_template.refuse_streams = true;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    struct pipe *out = rig_stream(client, true);
    assert_int_equal(yomo_wt_stream_write(out->stream, "x", 1, NULL), YOMO_OK);
    UNTIL(&rig, out->got_reset && out->got_stopped && out->closed);
    assert_int_equal(out->reset, 0);
    assert_int_equal(out->stopped, 0);
    rig_close(&rig);
}

static void draining_is_told(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    rig.server_template.echo = true;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    assert_int_equal(yomo_wt_session_drain(client->session), YOMO_OK);
    UNTIL(&rig, server->draining);
    assert_int_equal(yomo_wt_session_drain(server->session), YOMO_OK);
    UNTIL(&rig, client->draining);
    /* Nothing else changes. */
    assert_int_equal(yomo_wt_session_send(client->session, "x", 1, 0), YOMO_OK);
    UNTIL(&rig, client->datagrams == 1);
    rig_close(&rig);
}

/* --- Requests --------------------------------------------------------------------- */

/* On a worker's thread, where a test cannot be failed. */
static void expect(struct rig *rig, bool met)
{
    pthread_mutex_lock(&rig->lock);
    rig->faults += !met;
    pthread_mutex_unlock(&rig->lock);
}

static void refuse_request(struct rig *rig, yomo_wt_request *request)
{
    expect(rig, strcmp(yomo_wt_request_path(request), "/app/secret") == 0);
    expect(rig, strcmp(yomo_wt_request_query(request), "token=a%20b") == 0);
    expect(rig, strcmp(yomo_wt_request_origin(request), "http://localhost:7") == 0);
    expect(rig, strstr(yomo_wt_request_authority(request), "127.0.0.1:") != NULL);
    expect(rig, strncmp(yomo_wt_request_address(request), "127.0.0.1:", 10) == 0);
    expect(rig, yomo_wt_request_set_header(request, "x-why", "because") == YOMO_OK);
    expect(rig, yomo_wt_request_refuse(request, 418) == YOMO_OK);
}

static void a_request_is_refused_with_a_status(void **state)
{
    static const char *const options[] = {"origin", "http://localhost:7", NULL};
    struct rig rig = {.on_request = refuse_request};
    (void)state;
    rig_open(&rig, way, "1", options);
    struct end *client = rig_connect(&rig, "/app/secret?token=a%20b");
    assert_int_equal(yomo_wt_session_send(client->session, "x", 1, 0), YOMO_ERR_STATE);
    UNTIL(&rig, client->closed);
    assert_false(client->open);
    assert_int_equal(client->status, 418);
    assert_int_equal(client->error, YOMO_ERR_DENIED);
    assert_true(client->remote);
    /* What nobody has claimed is not there. */
    client = rig_connect(&rig, "/nowhere");
    UNTIL(&rig, client->closed);
    assert_int_equal(client->status, 404);
    rig_close(&rig);
}

static yomo_wt_request *kept;

static void accept_with_204(struct rig *rig, yomo_wt_request *request)
{
    expect(rig, yomo_wt_request_set_status(request, 199) == YOMO_ERR_INVALID);
    expect(rig, yomo_wt_request_set_status(request, 300) == YOMO_ERR_INVALID);
    expect(rig, yomo_wt_request_set_status(request, 204) == YOMO_OK);
    rig_accept(rig, request, NULL);
}

static void a_request_is_accepted_with_another_status(void **state)
{
    struct rig rig = {.on_request = accept_with_204};
    struct end *client, *server;
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    assert_string_equal(yomo_wt_session_header_name(client->session, 0), ":status");
    assert_string_equal(yomo_wt_session_header_value(client->session, 0), "204");
    rig_close(&rig);
}

static void keep_request(struct rig *rig, yomo_wt_request *request)
{
    pthread_mutex_lock(&rig->lock);
    kept = request;
    pthread_mutex_unlock(&rig->lock);
}

static void a_request_is_answered_later_from_another_thread(void **state)
{
    struct rig rig = {.on_request = keep_request};
    (void)state;
    kept = NULL;
    open_rig(&rig);
    struct end *client = rig_connect(&rig, "/app/");
    UNTIL(&rig, kept != NULL);
    struct end *server = rig_accept(&rig, kept, NULL);
    /* It is open for calls before the client knows. */
    struct pipe *out = rig_stream(server, false);
    assert_int_equal(yomo_wt_session_send(server->session, "now", 3, 0), YOMO_OK);
    write_all(out, "hello", 5);
    UNTIL(&rig, client->open && client->datagrams == 1 && client->pipe_count == 1 &&
                    client->pipes[0]->fin);
    assert_memory_equal(client->pipes[0]->data, "hello", 5);
    kept = NULL;
    client = rig_connect(&rig, "/app/");
    UNTIL(&rig, kept != NULL);
    assert_int_equal(yomo_wt_request_refuse(kept, 299), YOMO_ERR_INVALID);
    UNTIL(&rig, client->closed);
    assert_int_equal(client->status, 500);
    rig_close(&rig);
}

static void a_client_goes_before_the_answer(void **state)
{
    struct rig rig = {.on_request = keep_request};
    (void)state;
    kept = NULL;
    open_rig(&rig);
    struct end *client = rig_connect(&rig, "/app/");
    UNTIL(&rig, kept != NULL);
    yomo_wt_session_close(client->session, 0, NULL);
    UNTIL(&rig, client->closed);
    assert_int_equal(client->error, YOMO_ERR_CLOSED);
    /* The server may or may not have heard of it by now: the session ends either way.
     */
    struct end *server = rig_accept(&rig, kept, NULL);
    UNTIL(&rig, server->closed);
    rig_close(&rig);
}

static void a_server_ends_before_the_answer(void **state)
{
    struct rig rig = {.on_request = keep_request};
    (void)state;
    kept = NULL;
    open_rig(&rig);
    struct end *client = rig_connect(&rig, "/app/");
    UNTIL(&rig, kept != NULL);
    yomo_server_close(rig.server);
    UNTIL(&rig, client->closed && rig.server_closed);
    assert_true(client->status == 503 || client->error != YOMO_OK);
    struct end *server = rig_accept(&rig, kept, NULL);
    assert_int_equal(server->error, YOMO_ERR_CLOSED);
    rig_close(&rig);
}

static void a_server_is_not_there(void **state)
{
    static const char *const options[] = {"connect-timeout", "300ms", NULL};
    struct rig rig = {0};
    (void)state;
    rig_open(&rig, way, "1", options);
    snprintf(rig.base, sizeof(rig.base), "https://127.0.0.1:9"); /* discard */
    struct end *client = rig_connect(&rig, "/");
    UNTIL(&rig, client->closed);
    assert_true(client->error == YOMO_ERR_UNREACHABLE ||
                client->error == YOMO_ERR_TIMEOUT);
    assert_int_equal(client->status, 0);
    assert_true(client->reason[0] != '\0');
    rig_close(&rig);
}

static void urls_and_headers_are_looked_at(void **state)
{
    yomo_wt_request *request;
    char name[16];
    (void)state;
    assert_int_equal(yomo_wt_request_create(&request, "http://a/"), YOMO_ERR_URL);
    assert_int_equal(yomo_wt_request_create(&request, "https:///x"), YOMO_ERR_URL);
    assert_int_equal(yomo_wt_request_create(&request, "https://a/#f"), YOMO_ERR_URL);
    assert_int_equal(yomo_wt_request_create(&request, "https://a"), YOMO_OK);
    static const char *const bad[] = {"",           ":path",   "Upper",
                                      "with space", "wt-x",    "sec-what",
                                      "origin",     "upgrade", "host"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(yomo_wt_request_set_header(request, bad[i], "x"),
                         YOMO_ERR_INVALID);
    }
    static const char *const bad_values[] = {"a\nb", " a", "a\t", "a\x7f"};
    for (size_t i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++) {
        assert_int_equal(yomo_wt_request_set_header(request, "x", bad_values[i]),
                         YOMO_ERR_INVALID);
    }
    assert_int_equal(yomo_wt_request_set_header(request, "x-a", "1"), YOMO_OK);
    assert_int_equal(yomo_wt_request_set_header(request, "x-a", ""), YOMO_OK);
    char *large = calloc(1, 16385);
    assert_non_null(large);
    memset(large, 'x', 16384);
    assert_int_equal(yomo_wt_request_set_header(request, "x-b", large), YOMO_ERR_FULL);
    free(large);
    assert_int_equal(yomo_wt_request_offer(request, "a\"b"), YOMO_OK);
    assert_int_equal(yomo_wt_request_offer(request, "a\"b"), YOMO_ERR_INVALID);
    assert_int_equal(yomo_wt_request_offer(request, ""), YOMO_ERR_INVALID);
    assert_int_equal(yomo_wt_request_offer(request, "\xc3\xa9"), YOMO_ERR_INVALID);
    for (int i = 1; i < 32; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        assert_int_equal(yomo_wt_request_offer(request, name), YOMO_OK);
    }
    assert_int_equal(yomo_wt_request_offer(request, "one too many"), YOMO_ERR_FULL);
    yomo_wt_request_free(request);
    yomo_wt_request_free(NULL);
}

/* --- The ends of all -------------------------------------------------------------- */

static void a_server_drains(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    yomo_server_drain(rig.server, 60000);
    UNTIL(&rig, client->draining);
    assert_false(client->closed);
    /* The last to leave ends the grace time. */
    yomo_wt_session_close(client->session, 5, "as you wish");
    UNTIL(&rig, rig.server_closed);
    assert_int_equal(server->code, 5);
    rig_close(&rig);
}

static void a_server_closes_and_its_sessions_end(void **state)
{
    struct rig rig = {0};
    struct end *client, *server;
    (void)state;
    open_rig(&rig);
    rig_pair(&rig, &client, &server);
    struct pipe *out = rig_stream(client, true);
    assert_int_equal(yomo_wt_stream_write(out->stream, "x", 1, NULL), YOMO_OK);
    UNTIL(&rig, server->pipe_count == 1);
    yomo_server_close(rig.server);
    UNTIL(&rig, client->closed && server->closed && rig.server_closed);
    assert_int_equal(client->error, YOMO_OK);
    assert_int_equal(client->code, 0);
    assert_string_equal(client->reason, "the server is going away");
    rig_close(&rig);
}

static void hundreds_of_sessions_stand_side_by_side(void **state)
{
    enum { COUNT = 200 };
    struct rig rig = {0};
    static struct end *clients[COUNT];
    (void)state;
    rig.server_template.echo = true;
    rig_open(&rig, way, "2", NULL);
    for (size_t i = 0; i < COUNT; i++) {
        clients[i] = rig_connect(&rig, "/app/many");
        if (i % 20 == 19) { /* each handshake costs a millisecond */
            UNTIL(&rig, clients[i]->open || clients[i]->closed);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        UNTIL(&rig, clients[i]->open);
        struct pipe *pipe = rig_stream(clients[i], true);
        write_all(pipe, &i, sizeof(i));
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct pipe *pipe = clients[i]->pipes[0];
        UNTIL(&rig, pipe->fin);
        assert_int_equal(pipe->size, sizeof(i));
        assert_memory_equal(pipe->data, &i, sizeof(i));
    }
    char metrics[65536];
    assert_int_equal(yomo_server_metrics(rig.server, metrics, sizeof(metrics), NULL),
                     YOMO_OK);
    assert_non_null(
        strstr(metrics, "yomo_connections{transport=\"webtransport\"} 200\n"));
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"thread", "host", "poll"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_opens_and_closes),
        cmocka_unit_test(a_server_closes_with_a_reason_that_is_cut),
        cmocka_unit_test(a_session_that_is_aborted_is_lost_to_the_peer),
        cmocka_unit_test(datagrams_go_both_ways),
        cmocka_unit_test(all_kinds_of_streams_carry_bytes),
        cmocka_unit_test(a_server_opens_streams_too),
        cmocka_unit_test(a_reader_takes_one_byte_at_a_time),
        cmocka_unit_test(a_reader_that_does_not_read_holds_back_only_its_own_stream),
        cmocka_unit_test(resets_and_stops_carry_their_codes),
        cmocka_unit_test(a_stream_that_nobody_listens_to_is_refused),
        cmocka_unit_test(draining_is_told),
        cmocka_unit_test(a_request_is_refused_with_a_status),
        cmocka_unit_test(a_request_is_accepted_with_another_status),
        cmocka_unit_test(a_request_is_answered_later_from_another_thread),
        cmocka_unit_test(a_client_goes_before_the_answer),
        cmocka_unit_test(a_server_ends_before_the_answer),
        cmocka_unit_test(a_server_is_not_there),
        cmocka_unit_test(urls_and_headers_are_looked_at),
        cmocka_unit_test(a_server_drains),
        cmocka_unit_test(a_server_closes_and_its_sessions_end),
        cmocka_unit_test(hundreds_of_sessions_stand_side_by_side),
    };
    for (int i = 0; i < 3 && argc > 1; i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            way = (enum way)i;
        }
    }
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
