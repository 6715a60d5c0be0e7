/* SPDX-License-Identifier: MIT */
/* handle.h - the handles of webtransport.h: what is behind a session and a stream.
 *
 * A handle is a counted shell around the engine's object (transport/webtransport). Its
 * first half is reached by calls from any thread and guarded by the hub's lock; its
 * second half is the loop's. The engine's object is the loop's alone: when it is gone,
 * `engine` is NULL and the handle is over.
 *
 * References: the library's, from the beginning until on_closed has returned; the
 * slip's while it is due; a stream's to its session; and the program's own. */
#ifndef YO_SESSIONS_HANDLE_H
#define YO_SESSIONS_HANDLE_H

#include <yomo/webtransport.h>

#include "base/buf.h"
#include "base/text.h"
#include "sessions/hub.h"
#include "transport/webtransport/session.h"

#define YO_STREAM_BUFFER 262144     /* bytes that may wait, unless told otherwise */
#define YO_SESSION_DATAGRAMS 256    /* datagrams, the same */
#define YO_SESSION_OPENING_MAX 1024 /* streams that other threads may open ahead */
#define YO_SESSION_REASON_MAX 1024  /* bytes, draft-ietf-webtrans-http3-16 6 */

struct yomo_wt_end {
    int32_t error, remote, status;
    uint32_t code;
    const char *reason;
};

enum yo_session_phase {
    YO_SESSION_ASKING, /* a client's: no answer yet */
    YO_SESSION_OPEN,
    YO_SESSION_OVER
};

/* A datagram that another thread has sent and the engine has not taken, or whose fate
 * is still to be told. */
struct yo_session_datagram {
    struct yo_link link;
    struct yo_blob *blob;
    uint64_t token;
    int error; /* its fate */
};

/* A list of fields as text: name NUL value NUL, one behind the other. */
struct yo_session_fields {
    struct yo_buf text;
    uint32_t count;
};

struct yo_house;
struct yo_reach;

struct yomo_wt_session {
    struct yo_hub *hub; /* a reference */
    atomic_uint refs;
    yomo_wt_session_callbacks on;
    void *user;
    bool server;

    /* With the hub's lock. */
    struct yo_slip slip;
    enum yo_session_phase phase;
    bool begin_due, close_asked, close_due, abrupt, drain_due, datagrams_due, policy_due;
    bool look_due;
    bool want_writable; /* a datagram was refused for want of room */
    uint32_t close_code;
    char *close_reason;
    struct yo_link outbox, fates; /* of yo_session_datagram */
    size_t outbox_count, fate_count, opening;
    uint32_t datagrams_max, age_ms;
    int32_t drop;
    uint64_t gave_way;   /* datagrams of the outbox */
    size_t datagram_max; /* as of the loop's last look, as what follows */
    char address[64];
    yomo_wt_stats stats;
    struct yo_session_fields answer; /* a client's: set before it is open */
    char *protocol;

    /* The loop's. */
    struct yo_wt_session *engine;
    struct yo_house *house;
    struct yo_link in_house;
    struct yo_link lost; /* streams that could not be opened and were not told so */
    struct yomo_wt_request *request; /* a client's, until it is over */
    struct yo_reach *reach;          /* a client's, until there is an engine */
    bool joined;                     /* it went onto a connection that was there */
    yo_time looked_at;
    size_t full_at; /* bytes of datagrams that waited when one was refused */
    bool was_open;
    int why; /* the end's, when the house is to tell it */
    const char *why_text;
};

struct yomo_wt_stream {
    struct yomo_wt_session *session; /* a reference */
    atomic_uint refs;
    bool bidirectional, local;
    yomo_wt_stream_callbacks on;
    void *user;

    /* With the hub's lock. */
    struct yo_slip slip;
    bool over;
    bool shut;          /* nothing more can be written */
    bool want_writable; /* a write took less than was offered */
    bool open_due, end_due, reset_due, stop_due, resume_due, priority_due;
    uint32_t reset_code, stop_code, group;
    int64_t order;
    size_t held, buffer;   /* bytes written and not acknowledged; how many may be */
    struct yo_buf pending; /* written by other threads, not taken by the loop yet */
    uint64_t id;           /* UINT64_MAX: not known yet */

    /* The loop's. */
    struct yo_wt_stream *engine;
    struct yo_link lost; /* in session->lost */
    bool listening, end_given, finished;
};

/* session.c. `callbacks` may be NULL. The handle has one reference: the library's.
 * YOMO_ERR_NOMEM. */
int yo_session_create(struct yomo_wt_session **out, struct yo_hub *hub, bool server,
                      const yomo_wt_session_callbacks *callbacks, void *user);

/* Thread, for what follows: the loop's. */

/* From now on `engine` is what it stands for. */
void yo_session_bind(struct yomo_wt_session *session, struct yo_wt_session *engine);

/* A client's was accepted, or a server's has begun. */
void yo_session_opened(struct yomo_wt_session *session, bool tell, yo_time now);

/* Something has happened to it: what other threads see may be due to be renewed. */
void yo_session_look(struct yomo_wt_session *session, yo_time now);

/* What the server has answered, as the program will see it. YOMO_ERR_NOMEM. */
int yo_session_read_answer(struct yomo_wt_session *session, struct yo_span fields,
                           const char *protocol);
/* A client's: the engine's session is open. */
void yo_session_answered(struct yomo_wt_session *session, yo_time now);

/* The end, told. Gives the library's reference back. Not inside a call of the
 * program's. */
void yo_session_over(struct yomo_wt_session *session, const struct yo_wt_end *end,
                     yo_time now);

/* What yomo_wt_session_close asks for. */
void yo_session_close(struct yomo_wt_session *session, uint32_t code,
                      struct yo_span reason);

/* With the hub's lock: the loop must look at it. */
void yo_session_post(struct yomo_wt_session *session);

/* With the hub's lock: begin, as soon as the loop comes to it (house.h). */
void yo_session_post_begin(struct yomo_wt_session *session);

/* facts.c: what the engine knows of it. */
void yo_session_read_stats(const struct yomo_wt_session *session, yomo_wt_stats *stats);

/* stream.c */
void yo_stream_announce(struct yomo_wt_session *session, struct yo_wt_stream *engine,
                        yo_time now);
void yo_stream_tell_lost(struct yomo_wt_stream *stream);

/* fields.c */
void yo_fields_init(struct yo_session_fields *fields, const struct yomo_mem *mem);
void yo_fields_finish(struct yo_session_fields *fields);
int yo_fields_add(struct yo_session_fields *fields, struct yo_span name,
                  struct yo_span value); /* YOMO_ERR_NOMEM */
/* To and from the form that the engine has (base/pairs.h). YOMO_ERR_NOMEM. */
int yo_fields_read(struct yo_session_fields *fields, struct yo_span pairs);
int yo_fields_write(const struct yo_session_fields *fields, struct yo_buf *pairs);
/* NULL past the last. */
const char *yo_fields_name(const struct yo_session_fields *fields, uint32_t index);
const char *yo_fields_value(const struct yo_session_fields *fields, uint32_t index);

#endif
