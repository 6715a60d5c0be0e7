/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/bytes.h"
#include "transport/websocket/handshake.h"

#define GOOD_KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3, and its answer */
#define GOOD_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static struct yo_http_reader *read_head(const char *text, bool response)
{
    struct yo_http_reader *reader;
    struct yo_span in = yo_span_of(text);
    assert_int_equal(yo_http_reader_create(&reader, &yo_mem_libc, response), YOMO_OK);
    assert_int_equal(yo_http_reader_feed(reader, &in), YO_HTTP_DONE);
    return reader;
}

static int check(const char *line, const char *headers, char *accept)
{
    char text[512];
    snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", line,
             headers);
    struct yo_http_reader *reader = read_head(text, false);
    int rv = yo_websocket_check_request(reader, accept);
    yo_http_reader_destroy(reader);
    return rv;
}

#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: " GOOD_KEY "\r\n"

static void a_browsers_request_is_let_in(void **state)
{
    (void)state;
    char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
    assert_int_equal(check("GET /v1", UPGRADE VERSION KEY, accept), 101);
    assert_string_equal(accept, GOOD_ACCEPT);
    /* As Firefox writes it, and with extensions that are not taken. */
    assert_int_equal(
        check("GET /v1",
              "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
              "Sec-WebSocket-Extensions: permessage-deflate\r\n" VERSION KEY,
              accept),
        101);
}

static void what_is_no_websocket_is_told_so(void **state)
{
    (void)state;
    char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
    assert_int_equal(check("GET /", "", accept), 0);
    assert_int_equal(check("GET /", "Upgrade: websocket\r\n", accept), 0);
    assert_int_equal(check("GET /", "Connection: Upgrade\r\nUpgrade: h2c\r\n", accept),
                     0);
    assert_int_equal(check("POST /", UPGRADE VERSION KEY, accept), 400);
    assert_int_equal(check("GET /", UPGRADE KEY, accept), 426);
    assert_int_equal(check("GET /", UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY, accept),
                     426);
    assert_int_equal(check("GET /", UPGRADE VERSION, accept), 400);
    assert_int_equal(
        check("GET /", UPGRADE VERSION "Sec-WebSocket-Key: short\r\n", accept), 400);
    assert_int_equal(check("GET /",
                           UPGRADE VERSION
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=x\r\n",
                           accept),
                     400);
    assert_int_equal(check("GET /",
                           UPGRADE VERSION
                           "Sec-WebSocket-Key: dGhlIHNh!XBsZSBub25jZQ==\r\n",
                           accept),
                     400);
}

static void the_answer_has_the_callers_headers(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-Prscd-Version", "v2.0.0-alpha", NULL};
    struct yo_buf out;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_websocket_write_answer(&out, GOOD_ACCEPT, headers), YOMO_OK);
    assert_text(yo_buf_span(&out),
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Accept: " GOOD_ACCEPT
                "\r\nX-Prscd-Version: v2.0.0-alpha\r\n\r\n");
    yo_buf_finish(&out);
}

static void both_sides_understand_each_other(void **state)
{
    (void)state;
    struct yo_websocket_ask ask = {"2001:db8::1", 8080, false, "/v1?yomo=1",
                                   "http://here"};
    char key[YO_WEBSOCKET_KEY_SIZE + 1], accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
    struct yo_buf out;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_websocket_write_request(&out, &ask, key), YOMO_OK);
    yo_buf_append_byte(&out, 0);
    struct yo_http_reader *request = read_head((char *)out.data, false);
    assert_text(yo_http_reader_header(request, "Host"), "[2001:db8::1]:8080");
    assert_text(yo_http_reader_header(request, "Origin"), "http://here");
    assert_null(yo_http_reader_header(request, "Sec-WebSocket-Extensions").data);
    assert_int_equal(yo_websocket_check_request(request, accept), 101);
    yo_buf_clear(&out);
    assert_int_equal(yo_websocket_write_answer(&out, accept, NULL), YOMO_OK);
    yo_buf_append_byte(&out, 0);
    struct yo_http_reader *answer = read_head((char *)out.data, true);
    yo_buf_clear(&out);
    assert_int_equal(yo_websocket_check_answer(answer, key, &out), YOMO_OK);
    key[0] = key[0] == 'A' ? 'B' : 'A';
    assert_int_equal(yo_websocket_check_answer(answer, key, &out), YOMO_ERR_PROTO);
    yo_http_reader_destroy(request);
    yo_http_reader_destroy(answer);
    yo_buf_finish(&out);
}

static void a_default_port_goes_without_saying(void **state)
{
    (void)state;
    struct yo_websocket_ask ask = {"rooms.example.org", 443, true, "/v1", NULL};
    char key[YO_WEBSOCKET_KEY_SIZE + 1];
    struct yo_buf out;
    yo_buf_init(&out, &yo_mem_libc);
    yo_websocket_write_request(&out, &ask, key);
    assert_memory_equal(out.data, "GET /v1 HTTP/1.1\r\nHost: rooms.example.org\r\n",
                        43);
    yo_buf_finish(&out);
}

static void nothing_can_be_smuggled_into_a_request(void **state)
{
    (void)state;
    static const struct yo_websocket_ask asks[] = {
        {"a", 80, false, "/v1\r\nX: y", NULL}, {"a", 80, false, "/v1 x", NULL},
        {"a", 80, false, "v1", NULL},          {"a\r\nX: y", 80, false, "/v1", NULL},
        {"a", 80, false, "/v1", "o\r\nX: y"},
    };
    for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
        char key[YO_WEBSOCKET_KEY_SIZE + 1];
        struct yo_buf out;
        yo_buf_init(&out, &yo_mem_libc);
        assert_int_equal(yo_websocket_write_request(&out, &asks[i], key),
                         YOMO_ERR_INVALID);
        assert_int_equal(out.size, 0);
        yo_buf_finish(&out);
    }
}

static void a_refusal_is_an_error_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int error;
        const char *why;
    } answers[] = {
        {"401 x", YOMO_ERR_AUTH, "the server answered 401 Unauthorized"},
        {"403 x", YOMO_ERR_DENIED, "the server answered 403 Forbidden"},
        {"404 x", YOMO_ERR_DENIED, "the server answered 404 Not Found"},
        {"429 x", YOMO_ERR_FULL, "the server answered 429 Too Many Requests"},
        {"503 x", YOMO_ERR_FULL, "the server answered 503 Service Unavailable"},
        {"200 x", YOMO_ERR_PROTO, "the server answered 200 OK"},
        {"101 x", YOMO_ERR_PROTO, "the server's answer is not a WebSocket's"},
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        char text[64];
        struct yo_buf why;
        yo_buf_init(&why, &yo_mem_libc);
        snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n\r\n", answers[i].line);
        struct yo_http_reader *answer = read_head(text, true);
        assert_int_equal(yo_websocket_check_answer(answer, GOOD_KEY, &why),
                         answers[i].error);
        assert_text(yo_buf_span(&why), answers[i].why);
        yo_http_reader_destroy(answer);
        yo_buf_finish(&why);
    }
}

static void an_extension_that_was_not_offered_is_an_error(void **state)
{
    (void)state;
    struct yo_buf why;
    yo_buf_init(&why, &yo_mem_libc);
    struct yo_http_reader *answer =
        read_head("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: " GOOD_ACCEPT "\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                  true);
    assert_int_equal(yo_websocket_check_answer(answer, GOOD_KEY, &why), YOMO_ERR_PROTO);
    yo_http_reader_destroy(answer);
    yo_buf_finish(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_browsers_request_is_let_in),
        cmocka_unit_test(what_is_no_websocket_is_told_so),
        cmocka_unit_test(the_answer_has_the_callers_headers),
        cmocka_unit_test(both_sides_understand_each_other),
        cmocka_unit_test(a_default_port_goes_without_saying),
        cmocka_unit_test(nothing_can_be_smuggled_into_a_request),
        cmocka_unit_test(a_refusal_is_an_error_with_a_sentence),
        cmocka_unit_test(an_extension_that_was_not_offered_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
