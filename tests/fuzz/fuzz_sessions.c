/* SPDX-License-Identifier: MIT */
/* A client with several sessions on one connection that does what no good one does.
 * Each act is a byte of what, a byte of whose (session or stream), a size, and so many
 * bytes: CONNECT, streams with any header and content, datagrams for anybody, any
 * capsules, resets, stops, ends. The server's own limits must hold throughout, and all
 * of it must come to an end. */
#include <stdlib.h>
#include <yomo/error.h>

/* The endpoints that hand each other packets, of the unit tests. */
#include "unit/transport/webtransport/world.c"
#include "unit/transport/webtransport/world_ends.c"

#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define SESSIONS 4
#define ACTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct node *server, *client;
static struct peer theirs[SESSIONS], ours[SESSIONS];
static size_t answered;

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Every fourth request is refused. */
static void answer(struct node *node, struct yo_wt_session *session)
{
    struct yo_response yes = {.status = 200}, no = {.status = 404};
    struct peer *peer = &ours[answered++ % SESSIONS];
    node->request = NULL;
    if (peer->session || answered % 4 == 3) {
        yo_quic_refuse(session, &no);
        return;
    }
    struct yo_wt_session *open = yo_quic_accept_session(session, &yes);
    if (open) {
        peer_finish(peer);
        peer_init(peer, &world);
        peer_listen(peer, open);
    }
}

static struct peer *any(uint8_t whose)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        struct peer *peer = &theirs[(whose + i) % SESSIONS];
        if (peer->session && peer->session->open) {
            return peer;
        }
    }
    return NULL;
}

static void connect_another(uint8_t whose)
{
    struct peer *peer = &theirs[whose % SESSIONS];
    struct yo_endpoint_connect options = {.authority = "a", .path = "/"};
    struct yo_wt_session *session;
    if (!peer->session && client->endpoint->only &&
        yo_endpoint_connect_session(client->endpoint, &options, &session, world.now) ==
            YOMO_OK) {
        peer_finish(peer);
        peer_init(peer, &world);
        peer_listen(peer, session);
    }
}

static struct heard *new_stream(struct peer *peer, bool bidirectional)
{
    peer->stream_count %= STREAMS_MAX;
    return peer->streams[peer->stream_count].stream ? NULL
                                                    : peer_open(peer, bidirectional);
}

/* A stream that begins as `bytes` say, or (`good`) as it should. */
static void stream(struct peer *peer, bool good, bool bidirectional,
                   struct yo_span bytes)
{
    struct heard *heard = new_stream(peer, bidirectional);
    size_t taken;
    if (!heard) {
        return;
    }
    struct yo_wt_stream *wt = heard->stream;
    if (good) {
        yo_wt_stream_write(wt, bytes, SIZE_MAX, &taken);
    } else {
        yo_sendqueue_finish(&wt->out);
        wt->header_unsent = wt->header_unacked = 0;
        yo_sendqueue_push_bytes(&wt->out, bytes);
    }
    if (bytes.size % 2 == 0) {
        yo_wt_stream_end(wt);
    }
}

static void datagram(struct peer *peer, uint8_t whose, struct yo_span bytes)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, bytes);
    int64_t id = peer->session->id;
    peer->session->id = 4 * (whose % 32);
    yo_wt_session_send(peer->session, blob, 0);
    yo_endpoint_turn(client->endpoint, world.now);
    if (peer->session) {
        peer->session->id = id;
    }
    yo_blob_unref(blob);
}

static void end_stream(struct peer *peer, uint8_t which, uint8_t whose)
{
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        struct heard *heard = &peer->streams[(i + whose) % STREAMS_MAX];
        if (heard->stream) {
            if (which % 2 == 0) {
                yo_wt_stream_reset(heard->stream, whose);
            } else {
                yo_wt_stream_stop(heard->stream, whose);
            }
            return;
        }
    }
}

static void act(uint8_t what, uint8_t whose, struct yo_span bytes)
{
    struct peer *peer = any(whose);
    if (what % 12 == 0) {
        connect_another(whose);
        return;
    }
    if (!peer) {
        return;
    }
    struct yo_quic_conn *conn = peer->session->conn;
    switch (what % 12) {
    case 1:
    case 2:
    case 3:
    case 4:
        stream(peer, what % 12 < 3, what % 2, bytes);
        break;
    case 5:
        datagram(peer, whose, bytes);
        break;
    case 6:
    case 7:
        yo_h3_capsules(conn->h3, peer->session->id, bytes, false);
        break;
    case 8:
    case 9:
        end_stream(peer, what, whose);
        break;
    case 10: /* more than it may */
        if (peer->session->flow) {
            peer->session->flow->out[whose % YO_FLOW_KINDS].max += 100000;
        }
        break;
    default:
        if (whose % 2) {
            yo_wt_session_close(peer->session, whose, bytes);
        } else {
            yo_wt_session_abort(peer->session);
        }
    }
    yo_quic_conn_touch(conn);
}

static void check(void)
{
    YO_LIST_EACH(at, next_conn, &server->endpoint->conns)
    {
        struct yo_quic_conn *conn = YO_CONTAINER(at, struct yo_quic_conn, link);
        size_t early = 0, live = 0, expected = 0;
        YO_LIST_EACH(link, next, &conn->sessions)
        {
            struct yo_wt_session *session =
                YO_CONTAINER(link, struct yo_wt_session, link);
            live += session->phase != YO_WT_EXPECTED;
            expected += session->phase == YO_WT_EXPECTED;
            YO_LIST_EACH(stream_link, next_stream, &session->early)
            {
                early++;
            }
        }
        must(live <= SESSIONS && early == conn->early_streams);
        must(early <= YO_WT_EARLY_STREAMS_MAX);
        must(conn->early_datagrams <= YO_WT_EARLY_DATAGRAMS_MAX);
        must(expected <= YO_WT_EARLY_STREAMS_MAX + YO_WT_EARLY_DATAGRAMS_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span bytes = yo_span(data, size);
    if (!world_server_tls) {
        world_begin_tls(NULL);
        atexit((void (*)(void))world_end_tls);
    }
    world_init(&world, 1);
    struct yo_endpoint_options options = world_options(&world, true);
    options.sessions = SESSIONS;
    server = world_server(&world, &options);
    server->on_request = answer;
    options = world_options(&world, false);
    options.sessions = SESSIONS;
    client = world_client(&world, &options);
    answered = 0;
    for (size_t i = 0; i < SESSIONS; i++) {
        peer_init(&theirs[i], &world);
        peer_init(&ours[i], &world);
    }
    peer_connect(&theirs[0], client, server);
    UNTIL(&world, theirs[0].opened);
    for (int acts = 0; acts < ACTS_MAX && bytes.size > 2; acts++) {
        uint8_t what = bytes.data[0], whose = bytes.data[1];
        size_t n = bytes.data[2];
        bytes = yo_span_skip(bytes, 3);
        n = n < bytes.size ? n : bytes.size;
        act(what, whose, yo_span(bytes.data, n));
        bytes = yo_span_skip(bytes, n);
        world_for(&world, (what & 0x80) != 0 ? YO_MS : 50 * YO_MS);
        check();
    }
    client->cut = true;
    world_for(&world, 120 * YO_SECOND);
    must(yo_endpoint_empty(server->endpoint)); /* nothing lives for ever */
    world_finish(&world);
    for (size_t i = 0; i < SESSIONS; i++) {
        peer_finish(&theirs[i]);
        peer_finish(&ours[i]);
    }
    return 0;
}
