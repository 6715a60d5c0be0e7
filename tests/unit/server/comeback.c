/* SPDX-License-Identifier: MIT */
#include "comeback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/decode.h"

struct client *knock(struct rig *rig, uint32_t worker, enum yomo_transport_kind kind,
                     const char *id, char token[TOKEN_MAX])
{
    char query[64];
    snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    struct client *client = rig_connect(rig, worker, kind, query);
    struct heard *hello = client_next(client);
    assert_non_null(hello);
    assert_int_equal(hello->message.op, YO_OP_HELLO);
    if (token) {
        snprintf(token, TOKEN_MAX, "%.*s", (int)hello->message.token.size,
                 (const char *)hello->message.token.data);
    }
    return client;
}

uint64_t join(struct client *client, const char *room)
{
    client_join(client, room, NULL);
    struct heard *heard = expect_op(client, YO_OP_CHANNEL_JOIN);
    uint64_t place = heard->message.sequence;
    client_forget(client);
    return place;
}

void say(struct client *client, const char *room, int value, uint64_t number)
{
    char text[32];
    struct yo_buf payload;
    yo_buf_init(&payload, &yo_mem_libc);
    snprintf(text, sizeof(text), "%d", value);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of(text)),
        YOMO_OK);
    client_send(client, &(struct yo_message){.op = YO_OP_DATA,
                                             .channel = yo_span_of(room),
                                             .payload = yo_buf_span(&payload),
                                             .number = number});
    yo_buf_finish(&payload);
    rig_settle(client->rig);
}

void claim(struct client *client, const char *room, uint64_t place)
{
    client_send(client, &(struct yo_message){.op = YO_OP_RESUME,
                                             .channel = yo_span_of(room),
                                             .sequence = place});
}

void ask(struct client *client, const char *token)
{
    client_send(client,
                &(struct yo_message){.op = YO_OP_RESUME, .token = yo_span_of(token)});
    rig_settle(client->rig);
}

__attribute__((format(printf, 2, 3))) static void add(struct story *story,
                                                      const char *format, ...)
{
    size_t used = strlen(story->text);
    va_list args;
    va_start(args, format);
    vsnprintf(story->text + used, sizeof(story->text) - used, format, args);
    va_end(args);
}

static void read_value(char out[32], struct yo_span payload)
{
    struct yo_content content;
    assert_int_equal(yo_content_read(payload, &content), YOMO_OK);
    snprintf(out, 32, "%.*s", (int)content.bytes.size,
             (const char *)content.bytes.data);
}

struct story hear(struct client *client)
{
    struct story story = {.whole = false};
    struct heard *heard;
    while ((heard = client_next(client)) != NULL) {
        const struct yo_message *m = &heard->message;
        char value[32];
        uint32_t members = 0;
        struct yo_mp_reader reader;
        switch (m->op) {
        case YO_OP_RESUMED:
            if (m->channel.data) {
                add(&story, m->code ? "gone:%.*s/%d " : "in:%.*s/%d ",
                    (int)m->channel.size, (const char *)m->channel.data,
                    (int)m->number);
                break;
            }
            assert_false(story.whole);
            story.whole = true;
            story.code = (int)m->code;
            snprintf(story.token, TOKEN_MAX, "%.*s", (int)m->token.size,
                     m->token.size ? (const char *)m->token.data : "");
            add(&story, "whole ");
            break;
        case YO_OP_DATA:
            read_value(value, m->payload);
            story.place = m->sequence ? m->sequence : story.place;
            add(&story, "%s%s ", m->delivery == YOMO_LATEST ? "latest:" : "", value);
            break;
        case YO_OP_ACK:
            add(&story, m->read ? "read:%d " : "ack:%d ",
                (int)(m->read ? m->read : m->number));
            break;
        case YO_OP_GAP:
            add(&story, "gap:%d-%d ", (int)m->from, (int)m->sequence);
            break;
        case YO_OP_SNAPSHOT:
            assert_int_equal(yo_members_init(&reader, m->members, &members), YOMO_OK);
            add(&story, "there:%u ", members);
            break;
        default:
            add(&story, "%s ", yo_op_name(m->op));
            break;
        }
    }
    return story;
}
