/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "support/bytes.h"
#include "transport/http/writer.h"

#define WALL_MS UINT64_C(784111777999) /* RFC 9110 5.6.7's moment */
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static void expect(const struct yo_http_answer *answer, const char *text)
{
    struct yo_buf out;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_http_answer_write(&out, answer), YOMO_OK);
    assert_text(yo_buf_span(&out), text);
    yo_buf_finish(&out);
}

static void an_answer_has_its_length_date_and_headers(void **state)
{
    (void)state;
    static const char *const headers[] = {"Content-Type", "text/plain", NULL};
    struct yo_http_answer answer = {.status = 200,
                                    .headers = headers,
                                    .body = yo_span_of("hello"),
                                    .keep_alive = true,
                                    .wall_ms = WALL_MS};
    expect(&answer, "HTTP/1.1 200 OK\r\n" DATE
                    "Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello");
    answer.keep_alive = false;
    answer.head_only = true;
    expect(&answer,
           "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\nConnection: close\r\n"
           "Content-Type: text/plain\r\n\r\n");
}

static void an_answer_without_a_body_has_no_length(void **state)
{
    (void)state;
    struct yo_http_answer answer = {.status = 304,
                                    .body = yo_span_of("not sent"),
                                    .keep_alive = true,
                                    .wall_ms = WALL_MS};
    expect(&answer, "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n");
    answer.status = 204;
    expect(&answer, "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
}

static void a_header_cannot_bring_another(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "X-A", "1\r\nX-Evil: 2", "X-B\n", "2", "X-C", "3", NULL};
    struct yo_http_answer answer = {
        .status = 404, .headers = headers, .keep_alive = true, .wall_ms = WALL_MS};
    expect(&answer,
           "HTTP/1.1 404 Not Found\r\n" DATE "Content-Length: 0\r\nX-C: 3\r\n\r\n");
}

static void only_hosts_of_this_machine_are_loopback(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "localhost", "LOCALHOST:8080", "demo.localhost:1",
        "127.0.0.1", "127.0.0.1:8080", "127.255.0.9",
        "[::1]",     "[::1]:8080"};
    static const char *const others[] = {"",
                                         ":80",
                                         "example.org",
                                         "localhost.example.org",
                                         "evil-localhost",
                                         ".localhost",
                                         "127.0.0.1.example.org",
                                         "127.0.0",
                                         "127.0.0.1.1",
                                         "127.0.0.256",
                                         "128.0.0.1",
                                         "127.0.0.1:",
                                         "127.0.0.1:x",
                                         "[::2]",
                                         "[::1",
                                         "[::1]x",
                                         "[::1]:",
                                         "localhost:80:80",
                                         "0x7f.0.0.1",
                                         "127.0.0.",
                                         "localhost,example.org",
                                         "192.168.0.1"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
        if (!yo_http_host_loopback(yo_span_of(ours[i]))) {
            fail_msg("refused: %s", ours[i]);
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (yo_http_host_loopback(bytes_copy(yo_span_of(others[i])))) {
            fail_msg("let in: %s", others[i]);
        }
    }
    assert_false(yo_http_host_loopback(YO_SPAN_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_its_length_date_and_headers),
        cmocka_unit_test(an_answer_without_a_body_has_no_length),
        cmocka_unit_test(a_header_cannot_bring_another),
        cmocka_unit_test(only_hosts_of_this_machine_are_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
