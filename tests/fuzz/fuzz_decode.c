/* SPDX-License-Identifier: MIT */
/* fuzz_decode.c - what is decoded is encoded and decoded to the same bytes again; and
 * what is lent from a payload or a snapshot can be read. */
#include <stdlib.h>

#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void read_members(struct yo_span members)
{
    struct yo_mp_reader reader;
    struct yo_wire_member member;
    uint32_t count;

    if (yo_members_init(&reader, members, &count) != 0) {
        return;
    }
    while (count-- > 0 && yo_members_next(&reader, &member) == 0) {
        (void)yo_check_state(member.state);
    }
}

/* What is read of the past can be written. */
static void read_past(struct yo_span messages)
{
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_span event;
    struct yo_buf out;
    uint32_t count;

    if (yo_members_init(&reader, messages, &count) != 0) {
        return;
    }
    yo_buf_init(&out, &yo_mem_libc);
    while (count-- > 0 && yo_past_next(&reader, &past, &event) == 0) {
        require(past.sequence != 0 && event.size <= YO_EVENT_SIZE_MAX);
        require(yo_past_write(&out, &past) == 0);
    }
    yo_buf_finish(&out);
}

/* What yo_decode has let through can be walked to its end. */
static void read_targets(struct yo_span targets)
{
    struct yo_mp_reader reader;
    struct yo_wire_target target;
    uint32_t count = targets.data ? yo_targets_init(&reader, targets) : 0;

    require(count <= YO_TARGETS_MAX);
    while (count-- > 0) {
        require(yo_targets_next(&reader, &target));
        require((target.session != 0) != (target.user.size > 0));
    }
}

static void read_payload(struct yo_span payload)
{
    struct yo_content content;
    struct yo_span event;
    struct yo_buf json;
    int rv = yo_content_read(payload, &content);

    if (yo_check_data(payload, &event) == 0) {
        require(rv == 0 && yo_span_equal(event, content.event));
    }
    if (rv != 0 || !content.in_mp) {
        return;
    }
    yo_buf_init(&json, &yo_mem_libc);
    if (yo_mp_to_json(&json, content.bytes) == 0) {
        require(yo_json_check(yo_buf_span(&json)) == 0);
    }
    yo_buf_finish(&json);
}

/* One round makes the form canonical, the second must change nothing. */
static void encode_again(const struct yo_message *message)
{
    struct yo_message back;
    struct yo_buf first, second;

    yo_buf_init(&first, &yo_mem_libc);
    yo_buf_init(&second, &yo_mem_libc);
    if (message->op != YO_OP_UNKNOWN) {
        require(yo_encode(&first, YO_DIALECT_YOMO, message) == 0);
        require(yo_decode(yo_buf_span(&first), &back) == 0);
        require(back.op == message->op &&
                yo_span_equal(back.payload, message->payload));
        require(yo_encode(&second, YO_DIALECT_YOMO, &back) == 0);
        require(yo_span_equal(yo_buf_span(&first), yo_buf_span(&second)));
    }
    yo_buf_finish(&first);
    yo_buf_finish(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span bytes = yo_span(data, size);
    struct yo_message message;

    read_payload(bytes);
    read_members(bytes);
    read_past(bytes);
    (void)yo_check_state(bytes);
    if (yo_decode(bytes, &message) == 0) {
        encode_again(&message);
        read_members(message.members);
        read_past(message.members);
        read_targets(message.targets);
        if (message.payload.data) {
            read_payload(message.payload);
        }
    }
    return 0;
}
