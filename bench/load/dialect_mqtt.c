/* SPDX-License-Identifier: MIT */
/* dialect_mqtt.c - MQTT 3.1.1 (OASIS) at quality of service 0, a stream of packets in
 * WebSocket frames. A publisher that subscribed gets its own messages too. */
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { CONNACK = 0x20, PUBLISH = 0x30, SUBACK = 0x90 };

static size_t put_string(char *out, const char *text)
{
    size_t size = strlen(text);

    out[0] = (char)(size >> 8);
    out[1] = (char)size;
    memcpy(out + 2, text, size);
    return size + 2;
}

static void opened(struct member *member)
{
    char text[64] = {0x10};
    char id[16];
    size_t size = 2;

    snprintf(id, sizeof(id), "m%u", member->number);
    size += put_string(text + size, "MQTT");
    text[size++] = 4; /* level 3.1.1 */
    text[size++] = 2; /* clean session */
    text[size++] = 0; /* no keep-alive */
    text[size++] = 0;
    size += put_string(text + size, id);
    text[1] = (char)(size - 2);
    member_send(member, text, size);
}

static void join(struct member *member)
{
    char text[64] = {(char)0x82, 0, 0, 1};
    size_t size = 4;

    size += put_string(text + size, member_room(member));
    text[size++] = 0;
    text[1] = (char)(size - 2);
    member_send(member, text, size);
}

static size_t publish(struct member *member, const char *payload, char *out)
{
    const char *room = member_room(member);
    size_t length = 2 + strlen(room) + member_plan(member)->size, size = 0;

    out[size++] = PUBLISH;
    if (length < 128) {
        out[size++] = (char)length;
    } else {
        out[size++] = (char)(128 | (length & 127));
        out[size++] = (char)(length >> 7);
    }
    size += put_string(out + size, room);
    memcpy(out + size, payload, member_plan(member)->size);
    return size + member_plan(member)->size;
}

static void take(struct member *member, uint8_t kind, const uint8_t *bytes, size_t size)
{
    switch (kind & 0xf0) {
    case CONNACK:
        if (size == 2 && bytes[1] == 0) {
            member_connected(member);
        } else {
            member_broken(member, "CONNACK with a refusal");
        }
        break;
    case SUBACK:
        member_joined(member);
        break;
    case PUBLISH: {
        size_t topic = size < 2 ? 0 : (size_t)bytes[0] << 8 | bytes[1];
        bool whole = size >= 2 + topic;
        member_payload(member, (const char *)bytes + (whole ? 2 + topic : 0),
                       whole ? size - 2 - topic : 0);
        break;
    }
    default:
        break;
    }
}

static void received(struct member *member, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    bytes = member_gather(member, bytes, &size);
    while (size - done >= 2) {
        size_t at = done + 1, length = 0;
        unsigned shift = 0;
        bool whole = false;

        while (at < size && shift < 28 && !whole) {
            length |= (size_t)(bytes[at] & 127) << shift;
            shift += 7;
            whole = (bytes[at++] & 128) == 0;
        }
        if (!whole || size - at < length) {
            break;
        }
        take(member, bytes[done], bytes + at, length);
        done = at + length;
    }
    member_keep(member, bytes + done, size - done);
}

const struct dialect dialect_mqtt = {
    .name = "mqtt",
    .path = "/",
    .protocol = "mqtt",
    .echoes = true,
    .opened = opened,
    .join = join,
    .publish = publish,
    .received = received,
};
