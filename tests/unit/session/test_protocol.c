/* SPDX-License-Identifier: MIT */
/* The examples of docs/protocol.md: argument 1 is the page. Each is a fence
 *
 *     ```hex name=NAME [kind=KIND] [dialect=presencejs]
 *
 * with bytes, and behind it, unless it is malformed, a ```text fence with what they
 * mean, as story.h says it. The bytes must decode to that and encode to themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "support/bytes.h"
#include "transport/transport.h"
#include "unit/session/story.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/json.h"

#define LINE_MAX_ 4096

static const char *page_path;
static FILE *page;
static char line[LINE_MAX_];

struct example {
    char name[64], kind[16], dialect[16];
    char hex[LINE_MAX_], text[LINE_MAX_];
};

static int open_page(void **state)
{
    (void)state;
    page = fopen(page_path, "r");
    assert_non_null(page);
    return 0;
}

static int close_page(void **state)
{
    (void)state;
    fclose(page);
    return 0;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The lines up to the end of a fence, joined by blanks. */
static void read_fence(char *out, size_t size)
{
    out[0] = 0;
    while (fgets(line, sizeof(line), page) && !starts(line, "```")) {
        line[strcspn(line, "\n")] = 0;
        assert_true(strlen(out) + strlen(line) + 2 < size);
        strcat(out, out[0] ? " " : "");
        strcat(out, line);
    }
}

static void attribute(const char *from, const char *name, char *out, size_t size)
{
    const char *at = strstr(from, name);

    out[0] = 0;
    if (at) {
        snprintf(out, size, "%.*s", (int)strcspn(at + strlen(name), " \n"),
                 at + strlen(name));
    }
}

static bool next_example(struct example *example)
{
    do {
        if (!fgets(line, sizeof(line), page)) {
            return false;
        }
    } while (!starts(line, "```hex"));
    attribute(line, " name=", example->name, sizeof(example->name));
    attribute(line, " kind=", example->kind, sizeof(example->kind));
    attribute(line, " dialect=", example->dialect, sizeof(example->dialect));
    assert_true(example->name[0]);
    read_fence(example->hex, sizeof(example->hex));
    example->text[0] = 0;
    if (strcmp(example->kind, "malformed") != 0) {
        assert_non_null(fgets(line, sizeof(line), page));
        assert_string_equal(line, "```text\n");
        read_fence(example->text, sizeof(example->text));
    }
    return true;
}

static void check_message(const struct example *example, struct yo_span bytes)
{
    enum yo_dialect dialect = strcmp(example->dialect, "presencejs") == 0
                                  ? YO_DIALECT_PRESENCEJS
                                  : YO_DIALECT_YOMO;
    struct yo_message message;
    struct yo_span event;
    struct yo_buf out;

    assert_int_equal(yo_decode(bytes, &message), YOMO_OK);
    yo_buf_init(&out, &yo_mem_libc);
    story_message(&out, &message);
    assert_text(yo_buf_span(&out), example->text);
    yo_buf_clear(&out);
    assert_int_equal(yo_encode(&out, dialect, &message), YOMO_OK);
    assert_hex(yo_buf_span(&out), example->hex);
    yo_buf_finish(&out);
    if (message.op == YO_OP_DATA) {
        assert_int_equal(yo_check_data(message.payload, &event), YOMO_OK);
    } else if (message.payload.data) {
        assert_int_equal(yo_check_state(message.payload), YOMO_OK);
    }
}

static void check_frame(const struct example *example, struct yo_span bytes)
{
    uint64_t length = 0;
    size_t head = yo_varint_read(bytes, &length);
    struct example rest = *example;

    assert_true(head > 0);
    assert_int_equal(length, bytes.size - head);
    memmove(rest.hex, rest.hex + 3 * head, strlen(rest.hex) + 1 - 3 * head);
    check_message(&rest, yo_span_skip(bytes, head));
}

static void check_payload(const struct example *example, struct yo_span bytes)
{
    struct yo_content content;
    struct yo_buf out;

    assert_int_equal(yo_content_read(bytes, &content), YOMO_OK);
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(
        yo_content_write(&out, content.event, content.encoding, content.bytes),
        YOMO_OK);
    assert_hex(yo_buf_span(&out), example->hex);
    yo_buf_clear(&out);
    assert_int_equal(yo_mp_to_json(&out, bytes), YOMO_OK);
    assert_text(yo_buf_span(&out), example->text);
    yo_buf_finish(&out);
}

static void check(const struct example *example)
{
    struct yo_span bytes = bytes_hex(example->hex);
    struct yo_message message;

    print_message("  %s\n", example->name);
    if (strcmp(example->kind, "malformed") == 0) {
        assert_int_equal(yo_decode(bytes, &message), YOMO_ERR_MALFORMED);
    } else if (strcmp(example->kind, "frame") == 0) {
        check_frame(example, bytes);
    } else if (strcmp(example->kind, "payload") == 0) {
        check_payload(example, bytes);
    } else {
        check_message(example, bytes);
    }
}

static void every_example_is_what_it_says(void **state)
{
    static struct example example;
    int count = 0;

    (void)state;
    while (next_example(&example)) {
        check(&example);
        count++;
    }
    assert_true(count >= 35);
}

static void every_op_has_an_example(void **state)
{
    static struct example example;
    bool seen[YO_OP_UNKNOWN] = {false};
    struct yo_message message;

    (void)state;
    while (next_example(&example)) {
        if (!example.kind[0] &&
            yo_decode(bytes_hex(example.hex), &message) == YOMO_OK) {
            seen[message.op] = true;
        }
    }
    for (int op = 0; op < YO_OP_UNKNOWN; op++) {
        print_message("  %s\n", yo_op_name((enum yo_op)op));
        assert_true(seen[op]);
    }
}

/* The table of close codes against the code. */
static void the_close_codes_are_those_of_the_code(void **state)
{
    static const uint32_t codes[] = {
        YO_CODE_NORMAL,  YO_CODE_GOING_AWAY, YO_CODE_PROTOCOL, YO_CODE_UNSUPPORTED,
        YO_CODE_TOO_BIG, YO_CODE_TRY_LATER,  YO_CODE_SLOW,     YO_CODE_SILENT,
        YO_CODE_AUTH,    YO_CODE_DENIED,     YO_CODE_KICKED};
    static const char *const kinds[] = {"retry", "final", "done"};
    size_t found = 0;

    (void)state;
    while (fgets(line, sizeof(line), page)) {
        unsigned code = 0;
        char meaning[128] = "", reads[128] = "";
        if (sscanf(line, "| %u | %127[^|] | %127[^|\n]", &code, meaning, reads) != 3 ||
            code < 1000) {
            continue;
        }
        assert_true(found < sizeof(codes) / sizeof(codes[0]));
        assert_int_equal(code, codes[found++]);
        print_message("  %u %s\n", code, reads);
        assert_true(starts(reads, kinds[yo_close_kind_of(code)]));
    }
    assert_int_equal(found, sizeof(codes) / sizeof(codes[0]));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_page, close_page)
        TEST(every_example_is_what_it_says),
        TEST(every_op_has_an_example),
        TEST(the_close_codes_are_those_of_the_code),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: test_protocol PAGE\n");
        return 2;
    }
    page_path = argv[1];
    return cmocka_run_group_tests_name("session/protocol", tests, NULL, NULL);
}
