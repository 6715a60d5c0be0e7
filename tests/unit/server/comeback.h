/* SPDX-License-Identifier: MIT */
/* comeback.h - clients of the rig that come back to their sessions, and what they are
 * told, in words. */
#ifndef TESTS_UNIT_SERVER_COMEBACK_H
#define TESTS_UNIT_SERVER_COMEBACK_H

#include "rig.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define TOKEN_MAX 80

/* What a connection is told by the answer to `resume`, and what comes then. */
struct story {
    char text[4096];
    char token[TOKEN_MAX];
    bool whole;
    int code;
    uint64_t place; /* of the last RELIABLE message */
};

/* One that has its hello, whose token goes to `token` unless it is NULL. */
struct client *knock(struct rig *rig, uint32_t worker, enum yomo_transport_kind kind,
                     const char *id, char token[TOKEN_MAX]);

/* Returns the place of the join. */
uint64_t join(struct client *client, const char *room);

/* RELIABLE, with a number unless it is 0. */
void say(struct client *client, const char *room, int value, uint64_t number);

/* `resume` for one room, and the one with the token. */
void claim(struct client *client, const char *room, uint64_t place);
void ask(struct client *client, const char *token);

/* All that it has heard since the last time. */
struct story hear(struct client *client);

#define expect_story(client, expected)              \
    do {                                            \
        struct story story_ = hear(client);         \
        assert_string_equal(story_.text, expected); \
    } while (0)

#endif
