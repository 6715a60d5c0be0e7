/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "raw.h"
#include "support/bytes.h"
#include "transport/listen_tcp.h"

#define UPGRADE                                                                  \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HOST "Host: localhost\r\n"

static struct yo_loop *loop;
static struct yo_tcp_door *door;
static uint16_t port;
static bool door_closed;

/* What happened. */
static struct {
    int requests, gone, pages, opened, closed, messages;
    struct yo_incoming *waiting;
    struct yo_conn *conn;
    char path[64], query[64], host[64], origin[64], address[64];
    bool secure, has_origin;
    uint32_t close_code;
    struct yo_buf heard;
    size_t page_size;
} seen;

static enum { ANSWER_ACCEPT, ANSWER_WAIT, ANSWER_REFUSE, ANSWER_DISMISS } answer;

static void keep(char out[64], struct yo_span text)
{
    snprintf(out, 64, "%.*s", (int)text.size, text.data ? (const char *)text.data : "");
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    (void)user;
    (void)conn;
    (void)lane;
    (void)now;
    seen.messages++;
    yo_buf_append_span(&seen.heard, message);
}

static void on_conn_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                           yo_time now)
{
    (void)user;
    (void)now;
    assert_ptr_equal(conn, seen.conn);
    seen.conn = NULL;
    seen.closed++;
    seen.close_code = why->code;
}

static const struct yo_conn_events conn_events = {.on_message = on_message,
                                                  .on_closed = on_conn_closed};

static void let_in(struct yo_incoming *incoming)
{
    static const char *const headers[] = {"X-Prscd-Version", "v2.0.0-alpha", NULL};
    struct yo_response response = {.status = 200, .headers = headers};
    seen.conn = incoming->ops->accept(incoming, &response, &conn_events, NULL);
    assert_non_null(seen.conn);
}

static void on_request(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now)
{
    static const char *const headers[] = {"X-Prscd-MeshID", "dev", NULL};
    struct yo_response no = {
        .status = 403, .text = yo_span_of("not you"), .headers = headers};
    struct yo_close out = {.kind = YO_CLOSE_FINAL,
                           .code = YO_CODE_AUTH,
                           .text = yo_span_of("no such key")};
    (void)user;
    (void)now;
    seen.requests++;
    switch (answer) {
    case ANSWER_ACCEPT:
        let_in(incoming);
        break;
    case ANSWER_WAIT:
        seen.waiting = incoming;
        break;
    case ANSWER_REFUSE:
        incoming->ops->refuse(incoming, &no);
        break;
    case ANSWER_DISMISS:
        incoming->ops->dismiss(incoming, &out);
        break;
    }
    /* The request is lent for the whole call, also when it was answered in it. */
    keep(seen.path, request->path);
    keep(seen.query, request->query);
    keep(seen.host, request->authority);
    keep(seen.origin, request->origin);
    keep(seen.address, request->address);
    seen.has_origin = request->origin.data != NULL;
    seen.secure = request->secure;
}

static void on_gone(void *user, struct yo_incoming *incoming, yo_time now)
{
    (void)user;
    (void)now;
    assert_ptr_equal(incoming, seen.waiting);
    seen.waiting = NULL;
    seen.gone++;
}

static void on_http(void *user, struct yo_exchange *exchange, yo_time now)
{
    static const char *const headers[] = {"Content-Type", "text/plain", NULL};
    (void)user;
    (void)now;
    seen.pages++;
    assert_true(yo_exchange_plain(exchange));
    if (yo_span_is(yo_exchange_path(exchange), "/large")) {
        yo_exchange_answer(exchange, 200, headers,
                           bytes_repeat("0123456789abcdef", 300000));
    } else if (yo_span_is(yo_exchange_path(exchange), "/body")) {
        yo_exchange_answer(exchange, 200, headers, yo_exchange_body(exchange));
    } else if (!yo_span_is(yo_exchange_path(exchange), "/unanswered")) {
        yo_exchange_answer(exchange, 200, headers,
                           yo_exchange_header(exchange, "X-Say"));
    }
}

static const struct yo_listener_events events = {
    .on_request = on_request, .on_gone = on_gone, .on_http = on_http};

static struct yo_listener_options options;

static void on_door_closed(void *user)
{
    (void)user;
    door_closed = true;
}

static int start_with(void)
{
    door_closed = false;
    return yo_loop_create(&loop, &yo_mem_libc, NULL, NULL) != 0 ||
           yo_tcp_door_create(&door, loop, &options, &events, NULL) != 0 ||
           yo_tcp_door_add(door, raw_bound(&port), false) != 0;
}

static int start(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    yo_buf_init(&seen.heard, &yo_mem_libc);
    answer = ANSWER_ACCEPT;
    options = (struct yo_listener_options){.message_size_max = 100000,
                                           .queue_size_max = 100000,
                                           .handshake_ms = 10000,
                                           .keepalive_ms = 10000,
                                           .silence_ms = 30000};
    return start_with();
}

static void stop_door(void)
{
    yo_tcp_door_close(door, on_door_closed, NULL);
    assert_false(door_closed);
    UNTIL(loop, door_closed);
}

static int stop(void **state)
{
    (void)state;
    if (!door_closed) {
        stop_door();
    }
    until_closed(loop);
    yo_buf_finish(&seen.heard);
    return 0;
}

/* Start again with other options. */
static void restart(void)
{
    stop_door();
    until_closed(loop);
    assert_int_equal(start_with(), 0);
}

static void a_page_is_asked_for_and_answered(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /x HTTP/1.1\r\n" HOST "X-Say: one\r\n\r\n");
    UNTIL(loop, raw_has(&raw, "\r\n\r\none"));
    assert_memory_equal(raw.got.data, "HTTP/1.1 200 OK\r\nDate: ", 23);
    assert_true(raw_has(&raw, "Content-Length: 3\r\n"));
    /* The connection stays, for two requests at once too. */
    raw_say(&raw,
            "HEAD /x HTTP/1.1\r\n" HOST "X-Say: two\r\n\r\n"
            "GET /x HTTP/1.1\r\n" HOST "X-Say: three\r\nConnection: close\r\n\r\n");
    UNTIL(loop, raw_ended(&raw));
    assert_true(raw_has(&raw, "\r\n\r\nthree"));
    assert_false(raw_has(&raw, "\r\n\r\ntwo"));
    assert_false(raw.reset);
    assert_int_equal(seen.pages, 3);
    struct yo_listener_stats stats = {0};
    yo_tcp_door_stats(door, &stats);
    assert_int_equal(stats.bytes_out, raw.got.size);
    assert_true(stats.bytes_in > 100 && stats.bytes_in < 300);
    raw_close(&raw);
}

static void a_body_comes_through(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "POST /body HTTP/1.0\r\nContent-Length: 4\r\n\r\nbo");
    until_turn(loop, 10);
    raw_say(&raw, "dy");
    /* HTTP/1.0 has no Host, which is fine for a page but not on the plain listener. */
    UNTIL(loop, raw_ended(&raw));
    assert_true(raw_has(&raw, "HTTP/1.1 421"));
    raw_close(&raw);
    raw_connect(&raw, port);
    raw_say(&raw, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbo");
    until_turn(loop, 10);
    raw_say(&raw, "dy");
    UNTIL(loop, raw_has(&raw, "\r\n\r\nbody"));
    raw_close(&raw);
}

static void a_page_that_nobody_answers_is_an_error(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /unanswered HTTP/1.1\r\n" HOST "\r\n");
    UNTIL(loop, raw_ended(&raw));
    assert_true(raw_has(&raw, "HTTP/1.1 500"));
    raw_close(&raw);
}

static void a_large_page_waits_for_a_slow_reader(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    for (int i = 0; i < 5; i++) { /* five times 4.8 MB, asked for at once */
        raw_say(&raw, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    }
    for (int i = 0; i < 20; i++) {
        until_turn(loop, 5);
    }
    assert_true(seen.pages < 5); /* not all are made before the first ones are read */
    UNTIL(loop, (raw_read(&raw), raw.got.size > 5 * 4800000));
    assert_int_equal(seen.pages, 5);
    raw_close(&raw);
}

static void a_reader_that_is_slow_but_reads_gets_all_of_it(void **state)
{
    (void)state;
    for (int close_it = 0; close_it < 2; close_it++) {
        struct raw raw;
        size_t got = 0;
        options.handshake_ms = 300;
        restart();
        raw_connect(&raw, port);
        raw_say(&raw, "GET /large HTTP/1.1\r\n" HOST);
        raw_say(&raw, close_it ? "Connection: close\r\n\r\n" : "\r\n");
        uint64_t start_ms = yo_wall_ms();
        static uint8_t piece[40000];
        while (got < 4800000) { /* some three seconds, longer than either patience */
            ssize_t n = recv(raw.fd, piece, sizeof(piece), MSG_DONTWAIT);
            got += n > 0 ? (size_t)n : 0;
            if (n == 0 || (n < 0 && errno != EAGAIN)) {
                fail_msg("cut off after %zu bytes", got);
            }
            until_turn(loop, 1);
            until_turn(loop, 20);
            assert_true(yo_wall_ms() < start_ms + 30000);
        }
        raw_close(&raw);
    }
}

static void what_is_not_http_is_answered_and_left(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "\x16\x03\x01\x02\x00\x01garbage");
    UNTIL(loop, raw_ended(&raw));
    assert_memory_equal(raw.got.data, "HTTP/1.1 501 ", 13);
    assert_true(raw_has(&raw, "Connection: close\r\n"));
    raw_close(&raw);
}

static void a_page_elsewhere_cannot_reach_the_plain_listener(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "GET / HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n");
    UNTIL(loop, raw_ended(&raw));
    assert_memory_equal(raw.got.data, "HTTP/1.1 421 ", 13);
    raw_close(&raw);
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\nHost: evil.example\r\n" UPGRADE "\r\n");
    UNTIL(loop, raw_ended(&raw));
    assert_memory_equal(raw.got.data, "HTTP/1.1 421 ", 13);
    assert_int_equal(seen.requests + seen.pages, 0);
    raw_close(&raw);
    options.allow_host_any = true;
    restart();
    raw_connect(&raw, port);
    raw_say(&raw, "GET / HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n");
    UNTIL(loop, raw_has(&raw, "HTTP/1.1 200 "));
    raw_close(&raw);
}

static void a_websocket_is_let_in_with_the_answers_headers(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1?publickey=k&id=a%20b HTTP/1.1\r\nHost: 127.0.0.1:9\r\n"
                  "Origin: http://localhost:3000\r\n" UPGRADE "\r\n");
    /* The first frames come right behind, before the answer is known. */
    raw_send(&raw, bytes_hex("8281 00000000 61 8281 00000000 62"));
    UNTIL(loop, seen.messages == 2);
    UNTIL(loop, raw_has(&raw, "\r\n\r\n"));
    assert_memory_equal(raw.got.data, "HTTP/1.1 101 ", 13);
    assert_true(raw_has(&raw, ACCEPT));
    assert_true(raw_has(&raw, "X-Prscd-Version: v2.0.0-alpha\r\n"));
    assert_string_equal(seen.path, "/v1");
    assert_string_equal(seen.query, "publickey=k&id=a%20b");
    assert_string_equal(seen.host, "127.0.0.1:9");
    assert_string_equal(seen.origin, "http://localhost:3000");
    assert_memory_equal(seen.address, "127.0.0.1:", 10);
    assert_false(seen.secure);
    assert_text(yo_buf_span(&seen.heard), "ab");
    yo_buf_clear(&raw.got);
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("hi"));
    assert_int_equal(yo_conn_send(seen.conn, YO_LANE_CONTROL, blob, 0), YOMO_OK);
    yo_blob_unref(blob);
    UNTIL(loop, raw_has(&raw, "\x82\x02hi"));
    raw_close(&raw);
    UNTIL(loop, seen.closed == 1);
}

static void messages_of_a_turn_arrive_in_one_piece(void **state)
{
    (void)state;
    struct raw raw;
    struct yo_listener_stats stats = {0};
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, raw_has(&raw, "\r\n\r\n"));
    assert_false(seen.has_origin);
    yo_tcp_door_stats(door, &stats);
    assert_int_equal(stats.accepted_websocket, 1);
    assert_int_equal(stats.connections_now, 1);
    assert_int_equal(stats.handshakes_now, 0);
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("x"));
    for (int i = 0; i < 100; i++) {
        yo_conn_send(seen.conn, YO_LANE_CONTROL, blob, 0);
    }
    yo_blob_unref(blob);
    uint8_t piece[1000];
    until_turn(loop, 0);
    until_turn(loop, 0);
    assert_int_equal(recv(raw.fd, piece, sizeof(piece), MSG_DONTWAIT), 300);
    raw_close(&raw);
}

static void a_request_may_wait_for_its_answer(void **state)
{
    (void)state;
    struct raw raw;
    answer = ANSWER_WAIT;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, seen.waiting);
    raw_send(&raw, bytes_hex("8281 00000000 61"));
    until_turn(loop, 10);
    until_turn(loop, 10);
    let_in(seen.waiting);
    assert_int_equal(seen.messages, 0); /* from the loop */
    UNTIL(loop, seen.messages == 1);
    raw_close(&raw);
    UNTIL(loop, seen.closed == 1);
    assert_int_equal(seen.gone, 0);
}

static void a_client_that_does_not_wait_is_told_of(void **state)
{
    (void)state;
    struct raw raw;
    answer = ANSWER_WAIT;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, seen.waiting);
    raw_close(&raw);
    UNTIL(loop, seen.gone == 1);
}

static void a_refusal_is_an_http_answer(void **state)
{
    (void)state;
    struct raw raw;
    answer = ANSWER_REFUSE;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, raw_ended(&raw));
    assert_memory_equal(raw.got.data, "HTTP/1.1 403 ", 13);
    assert_true(raw_has(&raw, "X-Prscd-MeshID: dev\r\n"));
    assert_true(raw_has(&raw, "\r\n\r\nnot you"));
    raw_close(&raw);
}

static void a_dismissal_is_a_websocket_that_closes(void **state)
{
    (void)state;
    struct raw raw;
    answer = ANSWER_DISMISS;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, raw_has(&raw, "\x88\x0d\x11\x31no such key"));
    assert_memory_equal(raw.got.data, "HTTP/1.1 101 ", 13);
    raw_send(&raw, bytes_hex("8882 00000000 1131"));
    UNTIL(loop, raw_ended(&raw));
    assert_false(raw.reset);
    raw_close(&raw);
}

static void a_wrong_version_is_told_the_right_one(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw,
            "GET /v1 HTTP/1.1\r\n" HOST
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    UNTIL(loop, raw_ended(&raw));
    assert_memory_equal(raw.got.data, "HTTP/1.1 426 ", 13);
    assert_true(raw_has(&raw, "Sec-WebSocket-Version: 13\r\n"));
    raw_close(&raw);
}

static void slow_ones_are_closed_and_delay_nobody(void **state)
{
    (void)state;
    struct raw silent, slow, idle, waiting, quick;
    options.handshake_ms = 1500;
    restart();
    answer = ANSWER_WAIT;
    raw_connect(&silent, port);
    raw_connect(&slow, port);
    raw_say(&slow, "GET / HT");
    raw_connect(&waiting, port);
    raw_say(&waiting, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    raw_connect(&idle, port);
    raw_say(&idle, "GET / HTTP/1.1\r\n" HOST "X-Say: served\r\n\r\n");
    raw_connect(&quick, port);
    raw_say(&quick, "GET / HTTP/1.1\r\n" HOST "X-Say: quick\r\n\r\n");
    UNTIL(loop, raw_has(&quick, "\r\n\r\nquick"));
    assert_false(raw_ended(&silent) || raw_ended(&slow) || raw_ended(&waiting));
    UNTIL(loop, raw_ended(&silent) && raw_ended(&slow) && raw_ended(&idle) &&
                    raw_ended(&waiting));
    assert_int_equal(silent.got.size, 0);
    assert_memory_equal(slow.got.data, "HTTP/1.1 408 ", 13);
    assert_memory_equal(waiting.got.data, "HTTP/1.1 503 ", 13);
    assert_int_equal(seen.gone, 1);
    assert_true(raw_has(&idle, "\r\n\r\nserved"));
    assert_false(idle.reset);
    raw_close(&silent);
    raw_close(&slow);
    raw_close(&idle);
    raw_close(&waiting);
    raw_close(&quick);
}

static void expect_full_after(int count)
{
    struct raw raws[8], late;
    for (int i = 0; i < count; i++) {
        raw_connect(&raws[i], port);
        raw_say(&raws[i], "GET / HTTP/1.1\r\n" HOST "X-Say: in\r\n\r\n");
        UNTIL(loop, raw_has(&raws[i], "\r\n\r\nin"));
    }
    raw_connect(&late, port);
    UNTIL(loop, raw_ended(&late));
    assert_int_equal(late.got.size, 0);
    raw_close(&late);
    /* One leaves, and there is room for another. */
    struct yo_listener_stats stats = {0};
    raw_close(&raws[0]);
    UNTIL(loop, (memset(&stats, 0, sizeof(stats)), yo_tcp_door_stats(door, &stats),
                 stats.connections_now == (uint64_t)count - 1));
    assert_true(stats.refused > 0);
    raw_connect(&late, port);
    raw_say(&late, "GET / HTTP/1.1\r\n" HOST "X-Say: late\r\n\r\n");
    UNTIL(loop, raw_has(&late, "\r\n\r\nlate"));
    raw_close(&late);
    for (int i = 1; i < count; i++) {
        raw_close(&raws[i]);
    }
}

static void past_each_limit_nobody_is_let_in(void **state)
{
    (void)state;
    options.connections_max = 3;
    restart();
    expect_full_after(3);
    options.connections_max = 0;
    options.connections_per_address_max = 2;
    restart();
    expect_full_after(2);
    options.connections_per_address_max = 0;
    options.handshakes_max = 4;
    restart();
    expect_full_after(4);
}

/* Ask for a WebSocket with these headers; what was told of the client's address. */
static const char *address_told(struct raw *raw, const char *headers)
{
    char head[512];
    int requests = seen.requests;
    raw_connect(raw, port);
    snprintf(head, sizeof(head), "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "%s\r\n", headers);
    raw_say(raw, head);
    UNTIL(loop, seen.requests == requests + 1 || raw_ended(raw));
    return seen.requests == requests + 1 ? seen.address : "refused";
}

static void expect_address(const char *headers, const char *address)
{
    struct raw raw;
    assert_string_equal(address_told(&raw, headers), address);
    raw_close(&raw);
    UNTIL(loop, !seen.conn);
}

static struct yo_network proxies[2];

static void trust(const char *first, const char *second)
{
    assert_int_equal(yo_network_parse(&proxies[0], yo_span_of(first)), 0);
    assert_int_equal(yo_network_parse(&proxies[1], yo_span_of(second)), 0);
    options.trusted_proxies = (struct yo_networks){proxies, 2};
    restart();
}

static void a_trusted_proxy_tells_whose_a_request_is(void **state)
{
    (void)state;
    trust("127.0.0.0/8", "10.0.0.0/8");
    expect_address("X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7");
    expect_address("x-forwarded-for: 6.6.6.6, 2001:db8::7, 10.0.0.1\r\n",
                   "[2001:db8::7]");
    /* A second line stands behind the first; who sent the first is not known. */
    expect_address("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n",
                   "203.0.113.7");
    expect_address("X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.0.0.1\r\n",
                   "203.0.113.7");
    /* What is no address says nothing. */
    expect_address("X-Forwarded-For: <script>\r\n", "127.0.0.1");
    expect_address("X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.1\r\n", "10.0.0.1");
    expect_address("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: unknown\r\n",
                   "127.0.0.1");
    expect_address("", "127.0.0.1");
}

static void anybody_else_tells_nothing(void **state)
{
    (void)state;
    struct raw raw;
    trust("10.0.0.0/8", "::/0");
    const char *address = address_told(&raw, "X-Forwarded-For: 203.0.113.7\r\n");
    assert_memory_equal(address, "127.0.0.1:", 10);
    raw_close(&raw);
}

static void clients_of_a_proxy_are_counted_one_by_one(void **state)
{
    (void)state;
    struct raw raws[5];
    options.connections_per_address_max = 1;
    trust("127.0.0.1", "10.0.0.1");
    answer = ANSWER_WAIT;
    assert_string_equal(address_told(&raws[0], "X-Forwarded-For: 1.0.0.1\r\n"),
                        "1.0.0.1");
    answer = ANSWER_REFUSE; /* is not asked */
    assert_string_equal(address_told(&raws[1], "X-Forwarded-For: 1.0.0.1\r\n"),
                        "refused");
    assert_true(raw_has(&raws[1], "HTTP/1.1 429"));
    assert_string_equal(address_told(&raws[2], "X-Forwarded-For: 1.0.0.2\r\n"),
                        "1.0.0.2");
    UNTIL(loop, raw_ended(&raws[2])); /* refused: its place is free again */
    assert_string_equal(address_told(&raws[3], "X-Forwarded-For: 1.0.0.2\r\n"),
                        "1.0.0.2");
    UNTIL(loop, raw_ended(&raws[3]));
    /* The requests of one connection may be those of several clients. */
    raw_connect(&raws[4], port);
    raw_say(&raws[4], "GET /x HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.0.0.3\r\n"
                      "X-Say: three\r\n\r\nGET /x HTTP/1.1\r\n" HOST
                      "X-Forwarded-For: 1.0.0.4\r\nX-Say: four\r\n\r\n");
    UNTIL(loop, raw_has(&raws[4], "four"));
    assert_true(raw_has(&raws[4], "three"));
    raw_say(&raws[4], "GET /x HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.0.0.1\r\n\r\n");
    UNTIL(loop, raw_ended(&raws[4]));
    assert_true(raw_has(&raws[4], "HTTP/1.1 429"));
    raw_close(&raws[0]);
    UNTIL(loop, !seen.waiting);
    for (size_t i = 1; i < 5; i++) {
        raw_close(&raws[i]);
    }
}

static void a_door_that_drains_lets_nobody_in_and_nobody_out(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, port);
    raw_say(&raw, "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, raw_has(&raw, "\r\n\r\n"));
    yo_tcp_door_drain(door);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    union yo_address remote;
    yo_address_parse(&remote, "127.0.0.1", port);
    until_turn(loop, 0);
    assert_int_equal(connect(fd, &remote.sa, sizeof(remote.in)), -1);
    close(fd);
    raw_send(&raw, bytes_hex("8281 00000000 61"));
    UNTIL(loop, seen.messages == 1);
    raw_close(&raw);
}

static void a_door_that_closes_tells_everybody(void **state)
{
    (void)state;
    struct raw raws[3];
    raw_connect(&raws[0], port);
    raw_say(&raws[0], "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, raw_has(&raws[0], "\r\n\r\n"));
    answer = ANSWER_WAIT;
    raw_connect(&raws[1], port);
    raw_say(&raws[1], "GET /v1 HTTP/1.1\r\n" HOST UPGRADE "\r\n");
    UNTIL(loop, seen.waiting);
    raw_connect(&raws[2], port);
    raw_say(&raws[2], "GET /v1 HT");
    until_turn(loop, 10);
    stop_door();
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.gone, 1);
    for (int i = 0; i < 3; i++) {
        UNTIL(loop, raw_ended(&raws[i]));
        raw_close(&raws[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_asked_for_and_answered),
        TEST(a_body_comes_through),
        TEST(a_page_that_nobody_answers_is_an_error),
        TEST(a_large_page_waits_for_a_slow_reader),
        TEST(a_reader_that_is_slow_but_reads_gets_all_of_it),
        TEST(what_is_not_http_is_answered_and_left),
        TEST(a_page_elsewhere_cannot_reach_the_plain_listener),
        TEST(a_websocket_is_let_in_with_the_answers_headers),
        TEST(messages_of_a_turn_arrive_in_one_piece),
        TEST(a_request_may_wait_for_its_answer),
        TEST(a_client_that_does_not_wait_is_told_of),
        TEST(a_refusal_is_an_http_answer),
        TEST(a_dismissal_is_a_websocket_that_closes),
        TEST(a_wrong_version_is_told_the_right_one),
        TEST(slow_ones_are_closed_and_delay_nobody),
        TEST(past_each_limit_nobody_is_let_in),
        TEST(a_trusted_proxy_tells_whose_a_request_is),
        TEST(anybody_else_tells_nothing),
        TEST(clients_of_a_proxy_are_counted_one_by_one),
        TEST(a_door_that_drains_lets_nobody_in_and_nobody_out),
        TEST(a_door_that_closes_tells_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
