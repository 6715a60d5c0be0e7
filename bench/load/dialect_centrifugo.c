/* SPDX-License-Identifier: MIT */
/* dialect_centrifugo.c - Centrifugo's JSON protocol, which its JavaScript client speaks
 * unless told otherwise: commands with ids, replies and pushes, several in a frame with
 * a newline between. A publisher gets its own message too. An empty command is a ping.
 */
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { CONNECT = 1, SUBSCRIBE = 2, PUBLISH = 3 };

static void opened(struct member *member)
{
    static const char hello[] = "{\"connect\":{},\"id\":1}";

    member_send(member, hello, sizeof(hello) - 1);
}

static void join(struct member *member)
{
    char text[96];
    int size =
        snprintf(text, sizeof(text), "{\"subscribe\":{\"channel\":\"%s\"},\"id\":2}",
                 member_room(member));

    member_send(member, text, (size_t)size);
}

static size_t publish(struct member *member, const char *payload, char *out)
{
    return (size_t)snprintf(
        out, MESSAGE_MAX,
        "{\"publish\":{\"channel\":\"%s\",\"data\":\"%.*s\"},\"id\":3}",
        member_room(member), (int)member_plan(member)->size, payload);
}

static void take(struct member *member, const char *text, size_t size)
{
    static const char mark[] = "\"data\":\"";
    const char *at;

    if (size <= 2) {
        member_send(member, "{}", 2);
    } else if (size > 8 && memcmp(text, "{\"push\":", 8) == 0) {
        at = find_text(text, size, mark);
        if (at) {
            const char *end;
            at += sizeof(mark) - 1;
            end = memchr(at, '"', size - (size_t)(at - text));
            member_payload(member, at, end ? (size_t)(end - at) : 0);
        }
    } else if (find_text(text, size, "\"error\":") != NULL) {
        char why[96];
        snprintf(why, sizeof(why), "refused: %.*s", size < 80 ? (int)size : 80, text);
        member_broken(member, why);
    } else if (find_text(text, size, "\"connect\":") != NULL) {
        member_connected(member);
    } else if (find_text(text, size, "\"subscribe\":") != NULL) {
        member_joined(member);
    }
}

static void received(struct member *member, const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;

    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t line = end ? (size_t)(end - text) : size;
        if (line > 0) {
            take(member, text, line);
        }
        line += end != NULL;
        text += line;
        size -= line;
    }
}

const struct dialect dialect_centrifugo = {
    .name = "centrifugo",
    .path = "/connection/websocket",
    .text = true,
    .echoes = true,
    .opened = opened,
    .join = join,
    .publish = publish,
    .received = received,
};
