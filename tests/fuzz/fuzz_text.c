/* SPDX-License-Identifier: MIT */
/* fuzz_text.c - what is encoded decodes to the same; what is decoded from a stranger's
 * text is no longer than it. */
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "base/varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*append_fn)(struct yo_buf *out, struct yo_span text);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void there_and_back(append_fn encode, append_fn decode, struct yo_span bytes)
{
    struct yo_buf text, back;

    yo_buf_init(&text, &yo_mem_libc);
    yo_buf_init(&back, &yo_mem_libc);
    require(encode(&text, bytes) == 0);
    require(decode(&back, yo_buf_span(&text)) == 0);
    require(yo_span_equal(yo_buf_span(&back), bytes));
    yo_buf_clear(&back);
    require(decode(&back, bytes) == 0 || back.size == 0);
    require(back.size <= bytes.size);
    yo_buf_finish(&text);
    yo_buf_finish(&back);
}

static void check_line(void *user, int32_t level, const char *module, const char *text)
{
    struct yo_span line = yo_span_of(text);

    (void)user;
    (void)level;
    (void)module;
    require(line.size <= 2000 && yo_utf8_valid(line));
    for (size_t i = 0; i < line.size; i++) {
        require(line.data[i] >= 0x20 && line.data[i] != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct yo_log log = {.fn = check_line, .level = YOMO_LOG_TRACE};
    struct yo_log_fields fields = {.count = 0};
    struct yo_span text = yo_span(data, size);
    uint8_t digits[16], varint[YO_VARINT_SIZE_MAX];
    uint64_t number;

    there_and_back(yo_base64_encode, yo_base64_decode, text);
    there_and_back(yo_percent_encode, yo_percent_decode, text);
    (void)yo_hex_decode(digits, sizeof(digits), text);
    (void)yo_parse_u64(text, &number);
    if (yo_varint_read(text, &number) > 0) {
        require(yo_varint_write(varint, number) <= size);
    }
    (void)yo_log_text(&fields, "id", text);
    yo_log_write(&log, YOMO_LOG_INFO, "fuzz", &fields, "%.*s", (int)size,
                 (const char *)data);
    return 0;
}
