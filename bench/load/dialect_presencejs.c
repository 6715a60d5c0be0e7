/* SPDX-License-Identifier: MIT */
/* dialect_presencejs.c - presencejs 2: one MessagePack map for each message, the same
 * over both transports (docs/protocol.md).
 *
 * A page answers each peer_online of others with its own state, to all: N joins are
 * then N squared answers to N members. This one does not answer. It announces itself
 * only where joining is what is measured, or where the backend waits for it
 * (WebTransport). */
#include "load.h"

#include <stdio.h>
#include <string.h>

struct out {
    uint8_t *bytes;
    size_t size;
};

static void put_text(struct out *out, const char *text)
{
    size_t size = strlen(text);

    out->bytes[out->size++] = (uint8_t)(0xa0 | size); /* all of ours are short */
    memcpy(out->bytes + out->size, text, size);
    out->size += size;
}

static void put_control(struct out *out, const struct member *member, const char *op,
                        bool state)
{
    char id[16];

    snprintf(id, sizeof(id), "m%u", member->number);
    out->bytes[out->size++] = state ? 0x84 : 0x83;
    put_text(out, "t");
    put_text(out, "control");
    put_text(out, "op");
    put_text(out, op);
    put_text(out, "c");
    put_text(out, member_room(member));
    if (state) { /* {id} */
        put_text(out, "pl");
        out->bytes[out->size++] = 0xc4;
        out->bytes[out->size++] = (uint8_t)(5 + strlen(id));
        out->bytes[out->size++] = 0x81;
        put_text(out, "id");
        put_text(out, id);
    }
}

static void send_control(struct member *member, const char *op, bool state)
{
    uint8_t bytes[128];
    struct out out = {.bytes = bytes};

    put_control(&out, member, op, state);
    member_send(member, bytes, out.size);
}

static void opened(struct member *member)
{
    member_connected(member); /* presencejs knows no greeting */
}

static void join(struct member *member)
{
    send_control(member, "channel_join", true);
}

static size_t publish(struct member *member, const char *payload, char *text)
{
    size_t size = member_plan(member)->size;
    struct out out = {.bytes = (uint8_t *)text};
    size_t length_at;

    out.bytes[out.size++] = 0x83;
    put_text(&out, "t");
    put_text(&out, "data");
    put_text(&out, "c");
    put_text(&out, member_room(member));
    put_text(&out, "pl");
    out.bytes[out.size++] = 0xc5; /* {event, data}, in 2 bytes of length */
    length_at = out.size;
    out.size += 2;
    out.bytes[out.size++] = 0x82;
    put_text(&out, "event");
    put_text(&out, "m");
    put_text(&out, "data");
    out.bytes[out.size++] = 0xda;
    out.bytes[out.size++] = (uint8_t)(size >> 8);
    out.bytes[out.size++] = (uint8_t)size;
    memcpy(out.bytes + out.size, payload, size);
    out.size += size;
    out.bytes[length_at] = (uint8_t)((out.size - length_at - 2) >> 8);
    out.bytes[length_at + 1] = (uint8_t)(out.size - length_at - 2);
    return out.size;
}

/* The payload is the string behind the key `data` in `pl`, which is relayed as it was.
 */
static bool take_data(struct member *member, const char *bytes, size_t size)
{
    static const char mark[] = "\xa4"
                               "data\xda";
    const char *at = find_text(bytes, size, mark);
    size_t rest, length;

    if (!at) {
        return false;
    }
    at += sizeof(mark) - 1;
    rest = size - (size_t)(at - bytes);
    length = rest < 2 ? 0 : (size_t)(uint8_t)at[0] << 8 | (uint8_t)at[1];
    if (rest < 2 + length) {
        return false;
    }
    member_payload(member, at + 2, length);
    return true;
}

static void received(struct member *member, const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;

    if (find_text(text, size,
                  "\xa1"
                  "t\xa4"
                  "data") != NULL) {
        if (!take_data(member, text, size)) {
            member_payload(member, text, 0); /* counted as damaged */
        }
    } else if (find_text(text, size, "channel_join") != NULL) {
        const struct plan *plan = member_plan(member);
        if (plan->announce || plan->webtransport) {
            send_control(member, "peer_online", false);
        }
        if (plan->announce) {
            send_control(member, "peer_state", true);
        }
        member_joined(member);
    }
}

const struct dialect dialect_presencejs = {
    .name = "presencejs",
    .path = "/v1?publickey=bench&id=m%u",
    .opened = opened,
    .join = join,
    .publish = publish,
    .received = received,
};
