/* SPDX-License-Identifier: MIT */
/* session.h - one client in one room, from connecting to the exit code.
 *
 * What sub, pub, chat and ping have in common, and how a host program runs a polled
 * client beside descriptors of its own: see session_run. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "args.h"

struct session;

/* What a command does. Any member but on_joined may be NULL. All but on_input, on_tick
 * and on_resize are called inside yomo_client_poll. */
struct session_events {
    void (*on_joined)(struct session *session); /* again after each lost connection */
    void (*on_message)(struct session *session, const yomo_message *message);
    void (*on_peer)(struct session *session, const yomo_peer *peer, int32_t change);
    void (*on_user)(struct session *session, const yomo_user *who, int32_t change);
    void (*on_sent)(struct session *session, uint64_t id, int32_t error);
    void (*on_history)(struct session *session, yomo_history *history);
    void (*on_gap)(struct session *session, const yomo_gap *gap);
    void (*on_lock)(struct session *session, const char *key, int32_t held,
                    uint64_t version);
    /* Before the join: ask for more than a state. YOMO_OK, or an error. */
    int32_t (*prepare)(struct session *session, yomo_join *join);
    /* The connection was lost, or came back: a sentence. NULL: it goes to stderr. */
    void (*on_notice)(struct session *session, const char *text);
    /* stdin is readable; NULL: it is not watched. */
    void (*on_input)(struct session *session);
    void (*on_resize)(struct session *session);
    void (*on_ending)(struct session *session); /* once, before a last line on stderr */
    /* Do what is due at `now` and say when to come again: milliseconds of a clock that
     * only goes forward, UINT64_MAX for never. */
    uint64_t (*on_tick)(struct session *session, uint64_t now);
};

struct session {
    const struct args *args;
    const struct session_events *events;
    void *user;
    yomo_client *client;
    yomo_room *room;   /* NULL before the join and after on_left */
    bool joined;       /* at least once */
    bool away;         /* the connection is lost, and looked for */
    bool watch_output; /* end when nobody reads stdout any more */
    bool input_ended;  /* stdin is not watched any more */
    uint64_t deadline; /* for the first join; UINT64_MAX: none */
    bool ending, closed;
    int code;        /* with which the program will end */
    int signal_code; /* with which it ends when a signal says so */
};

/* The flags that every client command has. */
/* clang-format off */
#define SESSION_FLAGS                                                            \
    {"timeout", YOMO_TYPE_DURATION, "10s", NULL, NULL,                           \
     "How long connecting and joining may take together. 0: for ever."}
/* clang-format on */

/* Connect to the first argument, join `room` with `state` (may be NULL), and run until
 * session_end, a signal, or an error. `session` is zeroed but for args, events, user,
 * watch_output and signal_code. Returns the exit code. */
int session_run(struct session *session, const char *room, const char *state);

/* End with `code`. Reliable messages that were sent still go out. The first call
 * counts. */
void session_end(struct session *session, int code);

/* End with the exit code of `error`, and one line on stderr. */
void session_fail(struct session *session, int32_t error, const char *text);

uint64_t now_ms(void);

#endif
