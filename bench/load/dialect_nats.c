/* SPDX-License-Identifier: MIT */
/* dialect_nats.c - the NATS client protocol, a stream of lines, in WebSocket frames.
 * The sender does not get its own messages (echo: false). */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GREETED = 1, HELLO_SENT, SUBSCRIBED };

static void opened(struct member *member)
{
    member->progress = GREETED; /* INFO comes first */
}

static void join(struct member *member)
{
    char text[64];
    int size =
        snprintf(text, sizeof(text), "SUB %s 1\r\nPING\r\n", member_room(member));

    member->progress = SUBSCRIBED;
    member_send(member, text, (size_t)size);
}

static size_t publish(struct member *member, const char *payload, char *out)
{
    size_t size = member_plan(member)->size;

    return (size_t)snprintf(out, MESSAGE_MAX, "PUB %s %zu\r\n%.*s\r\n",
                            member_room(member), size, (int)size, payload);
}

/* One line at `text`, of `size` bytes without its end; `rest` bytes follow it. Returns
 * how many of those belong to it, or -1 when they are not there yet. */
static long take(struct member *member, const char *text, size_t size, size_t rest)
{
    static const char hello[] =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"lang\":\"c\","
        "\"version\":\"0\",\"protocol\":1}\r\nPING\r\n";

    if (size > 4 && memcmp(text, "MSG ", 4) == 0) {
        size_t at = size, length;
        while (at > 0 && text[at - 1] != ' ') {
            at--;
        }
        length = strtoul(text + at, NULL, 10);
        if (length > MESSAGE_MAX || rest < length + 2) {
            return length > MESSAGE_MAX ? 0 : -1;
        }
        member_payload(member, text + size + 2, length);
        return (long)length + 2;
    }
    if (size >= 5 && memcmp(text, "INFO ", 5) == 0 && member->progress == GREETED) {
        member->progress = HELLO_SENT;
        member_send(member, hello, sizeof(hello) - 1);
    } else if (size >= 4 && memcmp(text, "PING", 4) == 0) {
        member_send(member, "PONG\r\n", 6);
    } else if (size >= 4 && memcmp(text, "PONG", 4) == 0) {
        if (member->progress == SUBSCRIBED) {
            member_joined(member);
        } else {
            member_connected(member);
        }
    } else if (size >= 4 && memcmp(text, "-ERR", 4) == 0) {
        char why[96];
        snprintf(why, sizeof(why), "%.*s", size < 80 ? (int)size : 80, text);
        member_broken(member, why);
    }
    return 0;
}

static void received(struct member *member, const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)member_gather(member, bytes, &size);
    size_t done = 0;

    while (done < size) {
        const char *end = find_text(text + done, size - done, "\r\n");
        size_t line;
        long more;

        if (!end) {
            break;
        }
        line = (size_t)(end - text) - done;
        more = take(member, text + done, line, size - done - line - 2);
        if (more < 0) {
            break;
        }
        done += line + 2 + (size_t)more;
    }
    member_keep(member, (const uint8_t *)text + done, size - done);
}

const struct dialect dialect_nats = {
    .name = "nats",
    .path = "/",
    .opened = opened,
    .join = join,
    .publish = publish,
    .received = received,
};
