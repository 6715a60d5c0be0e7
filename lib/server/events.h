/* SPDX-License-Identifier: MIT */
/* events.h - what a home tells of its rooms to the world outside of them, through one
 * door: webhooks listen there (notify.c), and so may others.
 *
 * A room opens with the first who is let in and closes when it is gone; members with a
 * seat come and leave. Being stale is neither. */
#ifndef YO_SERVER_EVENTS_H
#define YO_SERVER_EVENTS_H

#include "server/home.h"
#include "server/webhooks/event.h"

/* Where they go. Thread: any, several at once; it must not wait. */
struct yo_event_door {
    void (*tell)(void *user, const struct yo_event *event, yo_time now);
    void *user;
    unsigned wants; /* 1 << kind: what somebody listens for */
};

/* `member` was let in; the room opens with it if it is the first. */
void yo_home_tell_came(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_member *member);

/* It leaves, with `error` as the cause: YOMO_OK if it wanted to. */
void yo_home_tell_left(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_member *member, int error);

/* The room is gone; `ending`: with the server. */
void yo_home_tell_gone(struct yo_home *home, struct yo_home_room *hr, bool ending);

/* A shared value is `value` from now on (absent: gone), by `session` (0: the host). */
struct yo_value_wish;
void yo_home_tell_value(struct yo_home *home, const struct yo_home_room *hr,
                        const struct yo_value_wish *wish, struct yo_span who,
                        uint64_t version);

/* Data as others read it: JSON text or bytes; `scratch` may back them. */
int yo_event_content(struct yo_span payload, struct yo_buf *scratch,
                     struct yo_span *data, bool *bytes);

/* What the program's on_event is shown of it (host.c). */
void yo_server_tell_host(struct yomo_server *server, const struct yo_event *event);

struct yo_webhooks_change;
struct yo_webhook_secrets;

/* Webhooks, if the options ask for them (notify.c). YOMO_ERR_OPTION, YOMO_ERR_FILE,
 * YOMO_ERR_TLS_SETUP with a sentence in `why`; YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_server_open_webhooks(struct yomo_server *server, struct yo_buf *why);

/* What webhooks are to be from now on, by other options; nothing of it counts yet. Only
 * where there are some. The same errors. Thread: any. */
int yo_server_prepare_webhooks(struct yomo_server *server, const yomo_options *options,
                               struct yo_webhooks_change **out, struct yo_buf *why);

/* The secrets, as their file has them now; they are to be forgotten. YOMO_ERR_FILE with
 * a sentence in `why`, YOMO_ERR_NOMEM. Thread: any. */
int yo_server_load_webhook_secrets(struct yomo_server *server,
                                   struct yo_webhook_secrets *secrets,
                                   struct yo_buf *why);

#endif
