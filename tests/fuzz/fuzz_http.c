/* SPDX-License-Identifier: MIT */
/* fuzz_http.c - an HTTP/1.1 reader that is fed anything, in pieces of any size.
 *
 * The first byte of the input chooses requests or responses and the size of the pieces.
 * What comes whole and what comes in pieces must be taken apart alike. */
#include <stdlib.h>

#include "transport/http/reader.h"
#include "transport/http/writer.h"
#include "transport/websocket/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

struct story {
    size_t messages, sum;
    bool bad;
};

static void add(struct story *story, struct yo_span span)
{
    story->sum = story->sum * 31 + span.size;
    for (size_t i = 0; i < span.size; i++) {
        story->sum = story->sum * 31 + span.data[i];
    }
}

static void look(struct story *story, const struct yo_http_reader *reader,
                 bool responses)
{
    static const char *const names[] = {"Host", "Origin", "Upgrade", "If-None-Match"};
    story->messages++;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        add(story, yo_http_reader_header(reader, names[i]));
    }
    if (responses) {
        struct yo_buf why;
        yo_buf_init(&why, &yo_mem_libc);
        (void)yo_websocket_check_answer(reader, "dGhlIHNhbXBsZSBub25jZQ==", &why);
        yo_buf_finish(&why);
        story->sum += (size_t)yo_http_reader_status(reader);
        return;
    }
    char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
    struct yo_span path = yo_http_reader_path(reader);
    require(path.size > 0 && path.data[0] == '/');
    require(yo_http_reader_body(reader).size <= YO_HTTP_BODY_MAX);
    add(story, path);
    add(story, yo_http_reader_method(reader));
    add(story, yo_http_reader_query(reader));
    add(story, yo_http_reader_body(reader));
    story->sum += (size_t)yo_websocket_check_request(reader, accept);
    story->sum += yo_http_reader_keep_alive(reader);
    story->sum += yo_http_host_loopback(yo_http_reader_header(reader, "Host"));
}

static struct story run(struct yo_span input, size_t piece, bool responses)
{
    struct story story = {0};
    struct yo_http_reader *reader;
    require(yo_http_reader_create(&reader, &yo_mem_libc, responses) == 0);
    while (input.size > 0 && !story.bad) {
        size_t size = input.size < piece ? input.size : piece;
        struct yo_span part = yo_span(input.data, size);
        input = yo_span_skip(input, size);
        while (part.size > 0 && !story.bad) {
            switch (yo_http_reader_feed(reader, &part)) {
            case YO_HTTP_MORE:
                require(part.size == 0);
                break;
            case YO_HTTP_DONE:
                look(&story, reader, responses);
                yo_http_reader_next(reader);
                break;
            case YO_HTTP_BAD:
                require(responses || yo_http_reader_status(reader) >= 400);
                story.bad = true;
                break;
            }
        }
    }
    yo_http_reader_destroy(reader);
    return story;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    bool responses = (data[0] & 0x80) != 0;
    size_t piece = (data[0] & 0x7f) + 1u;
    struct yo_span input = yo_span(data + 1, size - 1);
    struct story whole = run(input, SIZE_MAX, responses);
    struct story pieces = run(input, piece, responses);
    require(whole.messages == pieces.messages && whole.sum == pieces.sum &&
            whole.bad == pieces.bad);
    return 0;
}
