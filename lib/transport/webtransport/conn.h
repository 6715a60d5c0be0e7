/* SPDX-License-Identifier: MIT */
/* conn.h - one QUIC connection, its HTTP/3 and its session; for the files of this
 * folder.
 *
 * conn.c: life, packets in, expiry, the end. setup.c: how ngtcp2 and OpenSSL are set
 * up. streams.c: what comes on streams and datagrams. requests.c: HTTP/3's events.
 * write.c: packets out. patience.c: when there is no hurry to write any. sessions.c:
 * the sessions of a connection, what comes before they are open, and their ends.
 * session.c, stream.c: one session. */
#ifndef YO_WEBTRANSPORT_CONN_H
#define YO_WEBTRANSPORT_CONN_H

#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>

#include "base/heap.h"
#include "transport/webtransport/address.h"
#include "transport/webtransport/capsule.h"
#include "transport/webtransport/cid_map.h"
#include "transport/webtransport/datagram.h"
#include "transport/webtransport/endpoint.h"
#include "transport/webtransport/flow.h"
#include "transport/webtransport/h3.h"
#include "transport/webtransport/priority.h"
#include "transport/webtransport/sendqueue.h"
#include "transport/webtransport/session.h"
#include "transport/webtransport/stops.h"
#include "transport/webtransport/window.h"

enum yo_quic_state {
    YO_QUIC_HANDSHAKE, /* TLS is not done */
    YO_QUIC_READY,     /* TLS is; no session asked for yet */
    YO_QUIC_ASKED,     /* server: a request was handed up; client: it was sent */
    YO_QUIC_SESSION,   /* one has been open */
    YO_QUIC_LEAVING,   /* the end of its only session waits to be acknowledged */
    YO_QUIC_OVER       /* it goes in the next turn */
};

enum yo_quic_farewell {                    /* how it goes */
                        YO_QUIC_SILENT,    /* without a word */
                        YO_QUIC_SAY_CLOSE, /* CONNECTION_CLOSE with `error` */
                        YO_QUIC_DRAINING   /* the peer has said it */
};

enum yo_stream_kind { YO_STREAM_HTTP, YO_STREAM_HELD, YO_STREAM_WT, YO_STREAM_DISCARD };
struct yo_stream { /* first member of whatever is QUIC's stream_user_data; NULL: new */
    enum yo_stream_kind kind;
};

/* A server's: what was asked for, while nobody has answered. */
struct yo_wt_asked {
    struct yo_buf fields;   /* base/pairs.h */
    struct yo_buf capsules; /* what came before the answer */
    void *user;             /* of whoever answers */
};
/* A client's: what to ask for. */
struct yo_wt_ask {
    char *authority, *path;
    struct yo_buf fields;
};
#define YO_EARLY_CAPSULES_MAX 4096

struct yo_wt_stream {
    struct yo_stream base;
    struct yo_wt_session *session;
    struct yo_link link;   /* in session->streams, ->unopened or ->early */
    struct yo_place place; /* in session->turns while it can send */
    int64_t id;            /* -1: not opened yet */
    bool bidirectional, local;
    const struct yo_wt_stream_events *events; /* NULL: nobody listens */
    void *user;
    /* Out. */
    struct yo_sendqueue out;
    bool writable;  /* our side is open */
    bool blocked;   /* the peer's window is full */
    bool stopped;   /* on_stop was told */
    bool end_alone; /* FIN was sent without bytes in its frame, ... */
    bool end_acked; /* ... and was acknowledged */
    uint8_t header_unsent, header_unacked;
    bool reset_due; /* once the header is acknowledged */
    uint64_t reset_code;
    /* In. */
    struct yo_buf in; /* not taken yet */
    struct yo_window window;
    bool readable; /* on_data may still come */
    bool ended;    /* FIN has come */
    bool resume;   /* offer `in` again in the next turn */
    bool stop_due; /* yo_wt_stream_stop came before the ID */
    uint32_t stop_code;
    bool in_event;
    bool early;        /* in session->early */
    bool counted;      /* flow control counts it */
    uint8_t header_in; /* size of the header that came */
    bool closed;       /* QUIC has forgotten it; `in` has not been taken yet, ... */
    bool held;         /* ... or yo_wt_stream_hold keeps it */
    uint64_t received, done; /* bytes that came; that nobody keeps any more */
};

enum yo_wt_phase {
    YO_WT_EXPECTED,  /* server: streams or datagrams came before its request */
    YO_WT_WANTED,    /* client: not asked for yet */
    YO_WT_REQUESTED, /* server: the request is there, the client's SETTINGS may not be
                      */
    YO_WT_ASKED,     /* server: it was handed up; client: it was sent */
    YO_WT_OPEN,
    YO_WT_LEAVING, /* its end was sent and waits to be acknowledged */
    YO_WT_OVER     /* told in the next turn; gone when QUIC has forgotten its streams */
};

struct yo_wt_session {
    struct yo_quic_conn *conn;
    struct yo_link link;    /* in conn->sessions */
    struct yo_link sending; /* in conn->sending while it may have something to send */
    int64_t id;             /* -1: none yet */
    enum yo_wt_phase phase;
    bool open;                                 /* as the phase says */
    bool told;                                 /* its end was */
    const struct yo_wt_session_events *events; /* NULL: nobody listens yet */
    void *user;
    struct yo_datagrams datagrams;
    size_t datagram_safe; /* what fits on any path of QUIC's, once open */
    struct yo_link streams, unopened, early;
    struct yo_turns turns; /* of streams that can send */
    size_t unopened_count;
    struct yo_link early_datagrams;
    struct yo_flow *flow;    /* NULL: not negotiated */
    struct yo_window window; /* of that: when it is to grow */
    yo_time alarm;           /* of its owner */
    yo_time give_up;   /* while it leaves: when it has waited for long enough, ... */
    yo_time leave_for; /* ... which the turn makes of this; 0: it has */
    struct yo_capsules capsules;
    struct yo_wt_asked *asked;
    struct yo_wt_ask *ask;
    struct yo_buf offered;  /* a client's subprotocols, until the answer */
    struct yo_buf answered; /* a client's: the fields of the answer */
    char *protocol;         /* NULL: none */
    bool wake, resume, progress, want_progress;
    bool drain_due;     /* a DRAIN came before anybody listened */
    bool shut;          /* a stream was found to be closed for writing */
    bool streams_first; /* in the next packet */
    struct {
        uint64_t stream_out, stream_in, datagram_out, datagram_in; /* bytes */
        uint64_t opened, accepted, received, acked, lost;
    } counts;
    bool ended; /* its end was decided: */
    struct yo_wt_end end;
    char end_text[128]; /* end.text, unless it lies in the capsule that brought it */
};

#define YO_WT_DEAD_MAX 16
struct yo_wt_dead { /* the last sessions that ended: nothing of theirs is early */
    int64_t ids[YO_WT_DEAD_MAX];
    size_t count;
};

struct yo_quic_conn {
    struct yo_cid_owner owner; /* first */
    struct yo_endpoint *endpoint;
    const struct yomo_mem *mem;
    struct yo_link link;  /* in endpoint->conns */
    struct yo_link dirty; /* in endpoint->dirty */
    struct yo_heap_node timer;
    enum yo_quic_state state;
    yo_time now; /* of the call at hand */

    ngtcp2_conn *quic;
    ngtcp2_crypto_ossl_ctx *tls;
    ngtcp2_crypto_conn_ref ref;
    bool server, counted_handshake, bound, want_bind;
    bool drained;           /* at its last write ngtcp2 had nothing more to say */
    bool busy;              /* inside its turn, or a call that hands up what came */
    struct yo_guest *guest; /* as whom it is counted; NULL: not at all */
    char address[64];
    void *socket; /* where the last packet came from */

    struct yo_h3 *h3;        /* from the time on when TLS has keys */
    struct yo_link sessions; /* the first is the first that was there */
    struct yo_link sending;
    struct yo_link held; /* streams that have not said what they are */
    size_t early_streams, early_datagrams; /* of all sessions */
    struct yo_window window;
    struct yo_budget growth; /* of its windows */
    struct yo_wt_dead *dead; /* NULL: none yet */
    bool going_away;         /* the peer's GOAWAY has come */

    ngtcp2_cid trace_id; /* the client's first one: names the qlog */
    bool has_next_keys;
    uint64_t packets_out; /* with the keys of now */
    yo_time heard;        /* when the last packet came */
    yo_time due;          /* what ngtcp2 waits for, as far as it is waited for */
    yo_time alarm;        /* the first of its sessions' */
    yo_time give_up; /* of the connection itself: no request, or no acknowledgement */

    /* Whether what came needs an answer (patience.c). */
    bool confirmed;  /* the handshake is (RFC 9001 4.1.2) */
    bool wanting;    /* more than the last pass could send, or than it knew of */
    bool calm;       /* since ngtcp2 last had nothing to say, nothing came or rang */
    uint64_t lost;   /* packets, as far as it was looked at */
    yo_time unacked; /* since when an acknowledgement may be due; YO_NEVER: it is not */
    bool waits;      /* for longer than ngtcp2 would let it: until `due` */
    struct {         /* since the last one, packets that ... */
        uint32_t size, packets;
        bool more; /* had other frames than datagrams, too */
    } owed;
    uint8_t next_number; /* the last byte of that of a packet in order */

    /* The end. */
    enum yo_quic_farewell farewell;
    ngtcp2_ccerr error;
    char reason[128]; /* error.reason points here */
    struct yo_wt_end end;
    char end_text[128]; /* end.text */
    bool ended;         /* that was decided, for all sessions that had not ended */
};

/* conn.c */
int yo_quic_conn_create(struct yo_quic_conn **out, struct yo_endpoint *endpoint,
                        bool server);
void yo_quic_conn_destroy(struct yo_quic_conn *conn); /* tells whoever listens */
int yo_quic_conn_read(struct yo_quic_conn *conn, const struct yo_quic_packet *packet,
                      yo_time now); /* what ngtcp2 said */
void yo_quic_conn_expire(struct yo_quic_conn *conn, yo_time now);
void yo_quic_conn_expired(struct yo_quic_conn *conn, yo_time now); /* tell ngtcp2 */
void yo_quic_conn_turn(struct yo_quic_conn *conn, yo_time now);    /* may destroy it */
/* Write what is queued now, while it is fresh in the processor's caches, unless there
 * is more to do than that: then in the turn. Calls nobody. */
void yo_quic_conn_flush(struct yo_quic_conn *conn, yo_time now);
yo_time
yo_quic_conn_due(const struct yo_quic_conn *conn); /* when it must be looked at */
void yo_quic_conn_touch(struct yo_quic_conn *conn);
/* Decide the end: the first to call wins. `error` and so on as in yo_wt_end. */
void yo_quic_conn_note_end(struct yo_quic_conn *conn, const struct yo_wt_end *end);
void yo_quic_conn_over(struct yo_quic_conn *conn, enum yo_quic_farewell farewell);
/* CONNECTION_CLOSE with an HTTP/3 error. */
void yo_quic_conn_fail(struct yo_quic_conn *conn, uint64_t h3_code, const char *reason);
void yo_quic_conn_fail_quic(struct yo_quic_conn *conn, int liberr);
/* The session is over at both ends. A server that ended it leaves the last word to the
 * client for a moment: Chromium takes a CONNECTION_CLOSE that comes before it has told
 * its page of the CLOSE for a connection that was lost. */
void yo_quic_conn_part(struct yo_quic_conn *conn);
void yo_quic_conn_rearm(struct yo_quic_conn *conn);

/* setup.c */
int yo_quic_setup_server(struct yo_quic_conn *conn, const struct yo_quic_packet *packet,
                         const ngtcp2_pkt_hd *header, const ngtcp2_cid *original_dcid,
                         const ngtcp2_cid *scid, ngtcp2_token_type token_type,
                         yo_time now);
int yo_quic_setup_client(struct yo_quic_conn *conn,
                         const struct yo_endpoint_connect *options, yo_time now);
struct yo_quic_content { /* of a packet that is read */
    struct yo_stops stops;
    uint8_t number; /* the last byte of its number */
};
void yo_quic_collect(struct yo_quic_content *into); /* NULL: no more */
/* Change the keys (RFC 9001 6), if that is possible now. */
void yo_quic_conn_renew_keys(struct yo_quic_conn *conn, yo_time now);
int yo_quic_conn_migrate(struct yo_quic_conn *conn, void *socket,
                         const struct sockaddr *local, bool gone, yo_time now);
void yo_quic_path(ngtcp2_path *path, void *socket, const struct sockaddr *local,
                  const struct sockaddr *remote);

/* patience.c */
#define YO_QUIC_ACK_DELAY (100 * YO_MS) /* how long one may be put off at most */
bool yo_quic_conn_settled(struct yo_quic_conn *conn,
                          const struct yo_quic_packet *packet,
                          const struct yo_quic_content *content, yo_time now);
void yo_quic_conn_passed(struct yo_quic_conn *conn, size_t sent, bool more,
                         yo_time now);

/* streams.c */
int yo_quic_on_stream_data(struct yo_quic_conn *conn, int64_t id,
                           struct yo_stream *stream, struct yo_span bytes, bool end);
int yo_quic_on_stream_reset(struct yo_quic_conn *conn, int64_t id,
                            struct yo_stream *stream, uint64_t final_size,
                            uint64_t code);
int yo_quic_on_stream_close(struct yo_quic_conn *conn, int64_t id,
                            struct yo_stream *stream, const uint64_t *code);
struct yo_stop;
void yo_quic_on_stopped(struct yo_quic_conn *conn, const struct yo_stop *stop);
void yo_quic_on_acked(struct yo_quic_conn *conn, int64_t id, struct yo_stream *stream,
                      uint64_t size);
void yo_quic_on_unblocked(struct yo_quic_conn *conn, int64_t id,
                          struct yo_stream *stream);
/* The peer may send `size` bytes more on the connection, if not at once. */
void yo_quic_give_credit(struct yo_quic_conn *conn, size_t size);
void yo_quic_allow_stream(struct yo_quic_conn *conn,
                          int64_t id); /* another for this one */
int yo_quic_on_datagram(struct yo_quic_conn *conn, struct yo_span bytes);
void yo_quic_free_held(struct yo_quic_conn *conn);
int yo_quic_bind_http(struct yo_quic_conn *conn); /* our three streams of HTTP/3 */
extern struct yo_stream yo_stream_http, yo_stream_discard;

/* requests.c */
extern const struct yo_h3_events yo_quic_h3_events;
void yo_quic_progress(struct yo_quic_conn *conn); /* after each packet: what is due? */
void yo_wt_asked_free(struct yo_wt_session *session);
void yo_wt_ask_free(struct yo_wt_session *session);
void yo_wt_read_capsules(struct yo_wt_session *session, struct yo_span bytes);
void yo_wt_peer_finished(struct yo_wt_session *session); /* FIN on its CONNECT stream */

/* write.c */
int yo_quic_conn_write(struct yo_quic_conn *conn, yo_time now); /* YOMO_ERR_AGAIN */
size_t yo_quic_write_close(struct yo_quic_conn *conn, uint8_t *out, size_t size,
                           ngtcp2_path *path, yo_time now);

/* sessions.c */
extern const struct yo_wt_limits
    yo_wt_own_limits; /* what each session may send at first */
/* May the connection have several sessions, as both sides' SETTINGS say? */
bool yo_quic_conn_several(const struct yo_quic_conn *conn);
struct yo_wt_session *yo_wt_session_create(struct yo_quic_conn *conn,
                                           int64_t id);    /* NULL: no memory */
void yo_wt_session_discard(struct yo_wt_session *session); /* nobody knows it yet */
struct yo_wt_session *yo_wt_session_find(const struct yo_quic_conn *conn, int64_t id);
/* For something of a session that is not open: NULL, and `code` says why not. */
struct yo_wt_session *yo_wt_session_expect(struct yo_quic_conn *conn, int64_t id,
                                           uint64_t *code);
/* A client's: may another one be asked for? `counted`: those that wait do not count.
 * YOMO_ERR_VERSION: there can only be one; YOMO_ERR_FULL. */
int yo_wt_sessions_room(const struct yo_quic_conn *conn, bool counted);
size_t yo_wt_sessions_live(const struct yo_quic_conn *conn); /* that count */
int yo_wt_session_hold_datagram(struct yo_wt_session *session, struct yo_span bytes);
void yo_wt_session_adopt_early(struct yo_wt_session *session, yo_time now);
/* What came early for it is refused. */
void yo_wt_session_reject_early(struct yo_wt_session *session, uint64_t code);
void yo_wt_session_drop_streams(struct yo_wt_session *session, uint64_t code);
/* Is there nothing on its connection but this session, nor can there be? Then both end
 * together. */
bool yo_wt_session_alone(const struct yo_wt_session *session);
/* Decide its end: the first to call wins. */
void yo_wt_session_note_end(struct yo_wt_session *session, const struct yo_wt_end *end);
/* It ends with an error of HTTP/3's: alone, or with its connection if it has no other.
 */
void yo_wt_session_fail(struct yo_wt_session *session, uint64_t code,
                        const char *reason);
/* The peer has ended it. */
void yo_wt_session_left(struct yo_wt_session *session, const struct yo_wt_end *end);
void yo_wt_session_over(struct yo_wt_session *session); /* nothing is left to be said */
/* Tell ends, and free what is free. May end the connection. */
void yo_wt_sessions_reap(struct yo_quic_conn *conn, yo_time now);
void yo_wt_sessions_finish(struct yo_quic_conn *conn); /* all of it, told */
void yo_wt_sessions_alarm(struct yo_quic_conn *conn);  /* conn->alarm anew */
/* It was told its end: it stays for so long, or until the peer has answered. */
void yo_wt_session_leave(struct yo_wt_session *session, yo_time span);
void yo_wt_sessions_run(struct yo_quic_conn *conn, yo_time now);
bool yo_wt_sessions_deferred(const struct yo_quic_conn *conn, yo_time now);

/* session.c */
void yo_wt_session_forget(struct yo_wt_session *session);
int yo_wt_session_begin(struct yo_wt_session *session); /* it is open; YOMO_ERR_NOMEM */
void yo_wt_session_announce(struct yo_wt_session *session, struct yo_wt_stream *stream,
                            yo_time now);
void yo_wt_session_sends(struct yo_wt_session *session); /* it may have something */
/* Capsules of flow control that are due and have room. True: some went. */
bool yo_wt_session_say_flow(struct yo_wt_session *session);
/* The peer does not heed the limits. */
void yo_wt_session_overrun(struct yo_wt_session *session);
void yo_wt_session_run(struct yo_wt_session *session,
                       yo_time now); /* deferred events */
bool yo_wt_session_deferred(const struct yo_wt_session *session,
                            yo_time now); /* are there any? */
void yo_wt_session_datagram(struct yo_wt_session *session, struct yo_span bytes,
                            yo_time now); /* hand it up */
void yo_wt_session_tell_unsent(struct yo_wt_session *session, yo_time now);

/* stream.c */
struct yo_wt_stream *yo_wt_stream_new(struct yo_wt_session *session, int64_t id,
                                      bool bidirectional, bool local);
void yo_wt_stream_free(struct yo_wt_stream *stream, yo_time now);   /* with on_gone */
void yo_wt_stream_closed(struct yo_wt_stream *stream, yo_time now); /* by QUIC */
void yo_wt_stream_receive(struct yo_wt_stream *stream, struct yo_span bytes, bool end,
                          yo_time now);
/* What is kept; may free the stream. */
void yo_wt_stream_offer(struct yo_wt_stream *stream, yo_time now);
void yo_wt_stream_ready(struct yo_wt_stream *stream);
void yo_wt_stream_settle(struct yo_wt_stream *stream); /* nobody keeps what came */
void yo_wt_stream_acked(struct yo_wt_stream *stream, size_t size, yo_time now);
/* The peer reads no more, and gave `code`, or none (NULL). */
void yo_wt_stream_shut_write(struct yo_wt_stream *stream, const uint32_t *code,
                             yo_time now);

#endif
