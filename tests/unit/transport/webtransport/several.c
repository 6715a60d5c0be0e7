/* SPDX-License-Identifier: MIT */
#include "several.h"

#include <yomo/error.h>

struct world world;
struct node *server, *client;
struct peer at_server[COUNT + 1], at_client[COUNT + 1];

void begin_with(const struct yomo_mem *mem, uint32_t server_sessions,
                uint32_t client_sessions)
{
    world_init(&world, 1);
    world.mem = mem;
    struct yo_endpoint_options options = world_options(&world, true);
    options.sessions = server_sessions;
    server = world_server(&world, &options);
    options = world_options(&world, false);
    options.sessions = client_sessions;
    client = world_client(&world, &options);
    for (int i = 0; i <= COUNT; i++) {
        peer_init(&at_server[i], &world);
        peer_init(&at_client[i], &world);
    }
}

int begin(void **state)
{
    (void)state;
    begin_with(&yo_mem_libc, COUNT, COUNT);
    return 0;
}

int open_two(void **state)
{
    begin(state);
    for (int i = 0; i < 2; i++) {
        peer_pair(&at_client[i], client, &at_server[i], server);
    }
    return 0;
}

int end(void **state)
{
    (void)state;
    world_finish(&world);
    for (int i = 0; i <= COUNT; i++) {
        peer_finish(&at_server[i]);
        peer_finish(&at_client[i]);
    }
    return 0;
}

struct yo_quic_conn *conn_of(struct peer *peer)
{
    return peer->session->conn;
}

size_t sessions_of(struct yo_quic_conn *conn)
{
    size_t count = 0;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        count++;
    }
    return count;
}

void works(int i)
{
    struct peer *c = &at_client[i], *s = &at_server[i];
    size_t streams = s->stream_count, datagrams = s->datagram_count;
    struct heard *asked = peer_open(c, true);
    peer_write(asked, "question", true);
    peer_datagram(c, "ping", 1);
    UNTIL(&world, s->stream_count > streams && s->streams[streams].ended &&
                      s->datagram_count > datagrams);
    peer_write(&s->streams[streams], "answer", true);
    UNTIL(&world, asked->ended && asked->gone);
    assert_true(yo_span_is(yo_buf_span(&asked->bytes), "answer"));
}

void capsules(struct peer *peer, const char *bytes, size_t size)
{
    struct yo_quic_conn *conn = conn_of(peer);
    assert_int_equal(
        yo_h3_capsules(conn->h3, peer->session->id, yo_span(bytes, size), false),
        YOMO_OK);
    yo_quic_conn_touch(conn);
}

void flow_capsule(struct peer *peer, uint64_t type, uint64_t number)
{
    uint8_t bytes[YO_CAPSULE_FLOW_SIZE_MAX];
    size_t n = yo_capsule_write_flow(bytes, type, number);
    capsules(peer, (const char *)bytes, n);
}
