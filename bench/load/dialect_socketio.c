/* SPDX-License-Identifier: MIT */
/* dialect_socketio.c - Socket.IO 5 in Engine.IO 4, WebSocket from the start: the first
 * digit is Engine.IO's (0 open, 2 ping, 3 pong, 4 message), the next Socket.IO's (0
 * connect, 2 event, 3 acknowledgement, 4 refusal). */
#include "load.h"

#include <stdio.h>
#include <string.h>

static void opened(struct member *member)
{
    (void)member; /* the server speaks first */
}

static void join(struct member *member)
{
    char text[64];
    int size =
        snprintf(text, sizeof(text), "421[\"join\",\"%s\"]", member_room(member));

    member_send(member, text, (size_t)size);
}

static size_t publish(struct member *member, const char *payload, char *out)
{
    return (size_t)snprintf(out, MESSAGE_MAX, "42[\"m\",\"%.*s\"]",
                            (int)member_plan(member)->size, payload);
}

static void received(struct member *member, const uint8_t *bytes, size_t size)
{
    static const char mark[] = "42[\"m\",\"", tail[] = "\"]";
    const char *text = (const char *)bytes;

    if (size > sizeof(mark) + 1 && memcmp(text, mark, sizeof(mark) - 1) == 0) {
        size_t length = size - (sizeof(mark) - 1) - (sizeof(tail) - 1);
        bool whole = memcmp(text + size - 2, tail, 2) == 0;
        member_payload(member, text + sizeof(mark) - 1, whole ? length : 0);
    } else if (size > 0 && text[0] == '0') {
        member_send(member, "40", 2);
    } else if (size > 0 && text[0] == '2') {
        member_send(member, "3", 1);
    } else if (size > 1 && memcmp(text, "40", 2) == 0) {
        member_connected(member);
    } else if (size > 2 && memcmp(text, "431", 3) == 0) {
        member_joined(member);
    } else {
        member_broken(member, "an answer that is not known");
    }
}

const struct dialect dialect_socketio = {
    .name = "socketio",
    .path = "/socket.io/?EIO=4&transport=websocket",
    .text = true,
    .opened = opened,
    .join = join,
    .publish = publish,
    .received = received,
};
