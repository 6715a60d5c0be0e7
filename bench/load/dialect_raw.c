/* SPDX-License-Identifier: MIT */
/* dialect_raw.c - for servers that are libraries with a small program of ours on top:
 * the first message names the room and is answered with `joined`; all others are
 * payloads, relayed to the others in the room. */
#include "load.h"

#include <stdio.h>
#include <string.h>

static void opened(struct member *member)
{
    member_connected(member);
}

static void join(struct member *member)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "join %s", member_room(member));

    member_send(member, text, (size_t)size);
}

static size_t publish(struct member *member, const char *payload, char *out)
{
    size_t size = member_plan(member)->size;

    memcpy(out, payload, size);
    return size;
}

static void received(struct member *member, const uint8_t *bytes, size_t size)
{
    if (size == 6 && memcmp(bytes, "joined", 6) == 0) {
        member_joined(member);
    } else {
        member_payload(member, (const char *)bytes, size);
    }
}

const struct dialect dialect_raw = {
    .name = "raw",
    .path = "/room",
    .opened = opened,
    .join = join,
    .publish = publish,
    .received = received,
};
