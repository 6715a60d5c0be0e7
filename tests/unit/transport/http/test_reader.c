/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "transport/http/reader.h"

#define HOST "Host: localhost\r\n"

static struct yo_http_reader *new_reader(bool responses)
{
    struct yo_http_reader *reader = NULL;
    assert_int_equal(yo_http_reader_create(&reader, &yo_mem_libc, responses), 0);
    return reader;
}

static enum yo_http_progress feed(struct yo_http_reader *reader, const char *text,
                                  size_t *left)
{
    struct yo_span in = bytes_copy(yo_span_of(text));
    enum yo_http_progress progress = yo_http_reader_feed(reader, &in);
    if (left) {
        *left = in.size;
    }
    return progress;
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    assert_true(yo_http_reader_idle(reader));
    assert_int_equal(
        feed(reader,
             "GET /v1?publickey=k&id=a%20b HTTP/1.1\r\nhost: localhost:8080\r\n"
             "Origin:  http://localhost \r\nX-Empty:\r\n\r\n",
             NULL),
        YO_HTTP_DONE);
    assert_false(yo_http_reader_idle(reader));
    assert_text(yo_http_reader_method(reader), "GET");
    assert_text(yo_http_reader_path(reader), "/v1");
    assert_text(yo_http_reader_query(reader), "publickey=k&id=a%20b");
    assert_text(yo_http_reader_header(reader, "Host"), "localhost:8080");
    assert_text(yo_http_reader_header(reader, "ORIGIN"), "http://localhost");
    assert_int_equal(yo_http_reader_header(reader, "X-Empty").size, 0);
    assert_non_null(yo_http_reader_header(reader, "X-Empty").data);
    assert_null(yo_http_reader_header(reader, "X-Absent").data);
    assert_int_equal(yo_http_reader_body(reader).size, 0);
    assert_true(yo_http_reader_keep_alive(reader));
    assert_false(yo_http_reader_upgrade(reader));
    yo_http_reader_destroy(reader);
}

static const char *const whole =
    "POST /admin/kick?room=x HTTP/1.1\r\nHost: localhost\r\nX-Name: some value\r\n"
    "Content-Length: 5\r\n\r\nhello";

static void check_whole(const struct yo_http_reader *reader)
{
    assert_text(yo_http_reader_method(reader), "POST");
    assert_text(yo_http_reader_path(reader), "/admin/kick");
    assert_text(yo_http_reader_query(reader), "room=x");
    assert_text(yo_http_reader_header(reader, "X-Name"), "some value");
    assert_text(yo_http_reader_body(reader), "hello");
}

static void a_request_may_come_a_byte_at_a_time(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    for (size_t i = 0; whole[i]; i++) {
        char byte[2] = {whole[i], 0};
        assert_int_equal(feed(reader, byte, NULL),
                         whole[i + 1] ? YO_HTTP_MORE : YO_HTTP_DONE);
    }
    check_whole(reader);
    yo_http_reader_destroy(reader);
}

static void feed_cut(struct yo_span cut, void *user)
{
    (void)user;
    struct yo_http_reader *reader = new_reader(false);
    assert_int_equal(yo_http_reader_feed(reader, &cut), YO_HTTP_MORE);
    yo_http_reader_destroy(reader);
}

static void a_request_that_is_cut_short_wants_more(void **state)
{
    (void)state;
    bytes_each_cut(yo_span_of(whole), feed_cut, NULL);
}

static void what_comes_behind_a_request_is_left_alone(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    size_t left;
    assert_int_equal(feed(reader,
                          "GET /a HTTP/1.1\r\n" HOST "\r\n"
                          "GET /b HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
                          &left),
                     YO_HTTP_DONE);
    assert_text(yo_http_reader_path(reader), "/a");
    assert_int_equal(left,
                     strlen("GET /b HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    yo_http_reader_next(reader);
    assert_true(yo_http_reader_idle(reader));
    assert_int_equal(
        feed(reader, "GET /b HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", &left),
        YO_HTTP_DONE);
    assert_text(yo_http_reader_path(reader), "/b");
    assert_false(yo_http_reader_keep_alive(reader));
    assert_int_equal(left, 0);
    yo_http_reader_destroy(reader);
}

static void frames_behind_an_upgrade_are_left_alone(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    size_t left;
    assert_int_equal(feed(reader,
                          "GET /v1 HTTP/1.1\r\n" HOST
                          "Connection: keep-alive, Upgrade\r\n"
                          "Upgrade: websocket\r\n\r\n\x82\x01x",
                          &left),
                     YO_HTTP_DONE);
    assert_true(yo_http_reader_upgrade(reader));
    assert_int_equal(left, 3);
    yo_http_reader_destroy(reader);
}

static void chunks_are_put_together_and_trailers_forgotten(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    assert_int_equal(feed(reader,
                          "POST / HTTP/1.1\r\n" HOST
                          "Transfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\n2\r\nde\r\n0\r\nHost: evil\r\nX-Late: 1\r\n\r\n",
                          NULL),
                     YO_HTTP_DONE);
    assert_text(yo_http_reader_body(reader), "abcde");
    assert_text(yo_http_reader_header(reader, "Host"), "localhost");
    assert_null(yo_http_reader_header(reader, "X-Late").data);
    yo_http_reader_destroy(reader);
}

static void expect_status(const char *text, int status)
{
    struct yo_http_reader *reader = new_reader(false);
    enum yo_http_progress progress = feed(reader, text, NULL);
    if (progress != YO_HTTP_BAD) {
        fail_msg("taken: %.60s", text);
    }
    if (yo_http_reader_status(reader) != status) {
        fail_msg("%d instead of %d for: %.60s", yo_http_reader_status(reader), status,
                 text);
    }
    assert_int_equal(feed(reader, "GET / HTTP/1.1\r\n" HOST "\r\n", NULL), YO_HTTP_BAD);
    yo_http_reader_destroy(reader);
}

static void what_is_not_http_gets_its_status(void **state)
{
    (void)state;
    expect_status("\x16\x03\x01\x02", 501); /* no method that we know */
    expect_status("BREW /pot HTTP/1.1\r\n" HOST "\r\n", 501);
    expect_status("GET / HTTP/3.0\r\n" HOST "\r\n", 505);
    expect_status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    expect_status("GET / HTTP/1.1\r\n\r\n", 400);              /* no Host */
    expect_status("GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400); /* two */
    expect_status("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_status("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_status("GET v1 HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_status("GET http://a HTTP/1.1\r\n" HOST "\r\n", 400);
    expect_status("GET / HTTP/1.1\r\n" HOST "Bad Name: x\r\n\r\n", 400);
    expect_status("GET / HTTP/1.1\nHost: localhost\n\n", 505); /* bare newlines */
    /* What request smuggling is made of. */
    expect_status("POST / HTTP/1.1\r\n" HOST
                  "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                  400);
    expect_status("POST / HTTP/1.1\r\n" HOST
                  "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
                  400);
    expect_status("POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n", 400);
    expect_status("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400);
}

static void a_proxys_form_of_the_target_is_taken(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    assert_int_equal(feed(reader, "GET HTTP://h:1/v1?x HTTP/1.1\r\n" HOST "\r\n", NULL),
                     YO_HTTP_DONE);
    assert_text(yo_http_reader_path(reader), "/v1");
    assert_text(yo_http_reader_query(reader), "x");
    yo_http_reader_destroy(reader);
}

/* Head and body have their limits, whole or in pieces. */
static void expect_limit(const char *start, const char *piece, size_t most, int status)
{
    struct yo_http_reader *reader = new_reader(false);
    enum yo_http_progress progress = feed(reader, start, NULL);
    size_t fed = 0;
    while (progress == YO_HTTP_MORE) {
        progress = feed(reader, piece, NULL);
        fed += strlen(piece);
        assert_true(fed <= most);
    }
    assert_int_equal(progress, YO_HTTP_BAD);
    assert_int_equal(yo_http_reader_status(reader), status);
    yo_http_reader_destroy(reader);
}

static void nothing_grows_without_bound(void **state)
{
    (void)state;
    size_t most = YO_HTTP_HEAD_MAX + 1000;
    expect_limit("GET /", "aaaaaaaaaa", most, 414);
    expect_limit("GET / HTTP/1.1\r\n" HOST "X: ", "bbbbbbbbbb", most, 431);
    expect_limit("GET / HTTP/1.1\r\n" HOST, "cccccccccc", most, 431);
    expect_limit("GET / HTTP/1.1\r\n" HOST, "d: e\r\n", 400, 431); /* too many */
    expect_limit("GET / HTTP/1.1\r\n" HOST "X:", "          ", most, 431);
    expect_limit("", "\r\n\r\n\r\n", most, 431);
    expect_limit("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
                 "8\r\n01234567\r\n", 2 * YO_HTTP_BODY_MAX, 413);
    expect_status("POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", 413);
    expect_status("POST / HTTP/1.1\r\n" HOST
                  "Content-Length: 99999999999999999999999\r\n\r\n",
                  400);
}

static void a_body_of_the_largest_size_is_taken(void **state)
{
    (void)state;
    struct yo_http_reader *reader = new_reader(false);
    assert_int_equal(
        feed(reader, "POST / HTTP/1.1\r\n" HOST "Content-Length: 65536\r\n\r\n", NULL),
        YO_HTTP_MORE);
    struct yo_span body = bytes_repeat("x", YO_HTTP_BODY_MAX), in = body;
    assert_int_equal(yo_http_reader_feed(reader, &in), YO_HTTP_DONE);
    assert_true(yo_span_equal(yo_http_reader_body(reader), body));
    yo_http_reader_destroy(reader);
}

static void a_response_is_done_with_its_head(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\n\r\nAB",
        "HTTP/1.1 200 Connection established\r\n\r\nAB",
        "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nAB",
        "HTTP/1.0 503 No\r\n\r\nAB",
    };
    static const int statuses[] = {101, 200, 407, 503};
    for (size_t i = 0; i < 4; i++) {
        struct yo_http_reader *reader = new_reader(true);
        size_t left;
        assert_int_equal(feed(reader, answers[i], &left), YO_HTTP_DONE);
        assert_int_equal(yo_http_reader_status(reader), statuses[i]);
        assert_int_equal(left, 2);
        yo_http_reader_next(reader); /* a tunnel's reader has a second answer to read */
        assert_int_equal(feed(reader, answers[0], &left), YO_HTTP_DONE);
        assert_text(yo_http_reader_header(reader, "upgrade"), "websocket");
        yo_http_reader_destroy(reader);
    }
}

static void read_body(struct fault *fault, void *user)
{
    struct yo_http_reader *reader;
    (void)user;
    if (yo_http_reader_create(&reader, &fault->mem, false) != 0) {
        assert_true(fault->failed);
        return;
    }
    struct yo_span in = yo_span_of(whole);
    if (yo_http_reader_feed(reader, &in) != YO_HTTP_DONE) {
        assert_true(fault->failed);
        assert_int_equal(yo_http_reader_status(reader), 503);
    }
    yo_http_reader_destroy(reader);
}

static void reading_survives_every_failing_allocation(void **state)
{
    (void)state;
    fault_each(read_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(a_request_may_come_a_byte_at_a_time),
        cmocka_unit_test(a_request_that_is_cut_short_wants_more),
        cmocka_unit_test(what_comes_behind_a_request_is_left_alone),
        cmocka_unit_test(frames_behind_an_upgrade_are_left_alone),
        cmocka_unit_test(chunks_are_put_together_and_trailers_forgotten),
        cmocka_unit_test(what_is_not_http_gets_its_status),
        cmocka_unit_test(a_proxys_form_of_the_target_is_taken),
        cmocka_unit_test(nothing_grows_without_bound),
        cmocka_unit_test(a_body_of_the_largest_size_is_taken),
        cmocka_unit_test(a_response_is_done_with_its_head),
        cmocka_unit_test(reading_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
