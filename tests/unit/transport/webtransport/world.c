/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <yomo/error.h>

#include "transport/tls/devcert.h"

struct carried {
    struct yo_link link;
    yo_time due;
    struct node *to;
    struct sockaddr_in from;
    uint8_t ecn;
    size_t size;
    uint8_t bytes[];
};

/* --- TLS -------------------------------------------------------------------------- */

struct yo_tls_server *world_server_tls;
struct yo_tls_client *world_client_tls;
static char dir[64];

int world_begin_tls(void **state)
{
    struct yo_buf cert, key;
    struct yo_tls_client_options client = {.insecure_no_verify = true};
    bool fresh;
    (void)state;
    strcpy(dir, "/tmp/yomo-wt-XXXXXX");
    assert_non_null(mkdtemp(dir));
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    assert_int_equal(
        yo_devcert_ready(dir, (uint64_t)time(NULL) * 1000, &cert, &key, &fresh, NULL),
        YOMO_OK);
    struct yo_tls_server_options server = {.cert_file = (char *)cert.data,
                                           .key_file = (char *)key.data};
    assert_int_equal(
        yo_tls_server_create(&world_server_tls, &yo_mem_libc, &server, NULL), YOMO_OK);
    assert_int_equal(
        yo_tls_client_create(&world_client_tls, &yo_mem_libc, &client, NULL), YOMO_OK);
    unlink((char *)cert.data);
    unlink((char *)key.data);
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    return 0;
}

int world_end_tls(void **state)
{
    (void)state;
    yo_tls_server_unref(world_server_tls);
    yo_tls_client_unref(world_client_tls);
    char path[128];
    snprintf(path, sizeof(path), "%s/dev.lock", dir);
    unlink(path);
    rmdir(dir);
    return 0;
}

/* --- The network ------------------------------------------------------------------ */

void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->mem = &yo_mem_libc;
    world->now = 1000 * YO_SECOND;
    world->delay = 10 * YO_MS;
    yo_rand_seed(&world->rand, seed);
    yo_list_init(&world->packets);
}

static void drop_packets(struct world *world)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&world->packets))) {
        free(YO_CONTAINER(link, struct carried, link));
    }
}

void world_finish(struct world *world)
{
    drop_packets(world);
    for (size_t i = 0; i < world->count; i++) {
        yo_endpoint_destroy(world->nodes[i]->endpoint);
        yo_buf_finish(&world->nodes[i]->last);
        free(world->nodes[i]);
    }
}

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static struct node *node_at(struct world *world, const struct sockaddr *to)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)to;
    for (size_t i = 0; i < world->count; i++) {
        struct node *node = world->nodes[i];
        if (same(&node->outside, in) || same(&node->heard_at, in)) {
            return node;
        }
    }
    return NULL; /* an address that somebody has left */
}

static void put(struct world *world, struct node *to, const struct sockaddr_in *from,
                uint8_t ecn, struct yo_span bytes, yo_time due)
{
    struct carried *carried = malloc(sizeof(*carried) + bytes.size);
    carried->due = due;
    carried->to = to;
    carried->from = *from;
    carried->ecn = ecn;
    carried->size = bytes.size;
    memcpy(carried->bytes, bytes.data, bytes.size);
    struct yo_link *at = world->packets.prev;
    while (at != &world->packets && YO_CONTAINER(at, struct carried, link)->due > due) {
        at = at->prev;
    }
    yo_list_push_front(at, &carried->link);
}

static bool chance(struct world *world, unsigned of_1000)
{
    return of_1000 > 0 && yo_rand_below(&world->rand, 1000) < of_1000;
}

static uint8_t mark(const struct world *world, uint8_t ecn)
{
    if (ecn == 0 || world->marks == MARKS_KEPT) {
        return ecn;
    }
    return world->marks == MARKS_CONGESTED ? 3 : 0;
}

static void carry(struct node *from, const struct sockaddr *address, uint8_t ecn,
                  struct yo_span bytes)
{
    struct world *world = from->world;
    struct node *to = node_at(world, address);
    from->sent++;
    world->carried++;
    world->marked[ecn & 3]++;
    world->stray_bytes += to ? 0 : bytes.size;
    bool large = world->mtu && bytes.size > world->mtu;
    if (!to || from->cut || to->cut || large || chance(world, world->loss)) {
        world->lost++;
        return;
    }
    int copies = chance(world, world->repeat) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        yo_time jitter = world->jitter ? yo_rand_below(&world->rand, world->jitter) : 0;
        put(world, to, &from->outside, mark(world, ecn), bytes,
            world->now + world->delay + jitter);
    }
}

void world_inject(struct node *to, const struct node *from, struct yo_span bytes)
{
    put(to->world, to, &from->outside, 0, bytes, to->world->now);
}

/* --- The endpoint's events -------------------------------------------------------- */

static uint8_t *on_space(void *user, void *socket, size_t size)
{
    struct node *node = user;
    assert_ptr_equal(socket, node);
    assert_true(size <= sizeof(node->space));
    return node->blocked ? NULL : node->space;
}

static void on_commit(void *user, void *socket, const struct sockaddr *local,
                      const struct sockaddr *remote, uint8_t ecn, size_t size,
                      size_t segment)
{
    struct node *node = user;
    (void)socket, (void)local;
    assert_true(size > 0 && segment > 0);
    size_t train = 0;
    for (size_t at = 0; at < size; at += segment, train++) {
        size_t n = size - at < segment ? size - at : segment;
        carry(node, remote, ecn, yo_span(node->space + at, n));
    }
    node->longest = train > node->longest ? train : node->longest;
}

static void on_send(void *user, const struct yo_quic_packet *packet)
{
    carry(user, packet->remote, packet->ecn, packet->bytes);
}

static void on_wake(void *user)
{
    struct node *node = user;
    node->woken = true;
}

void world_keep(char *out, size_t size, struct yo_span text)
{
    assert_true(text.size < size);
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

static void on_request(void *user, struct yo_wt_session *session,
                       const struct yo_request *request, yo_time now)
{
    struct node *node = user;
    (void)now;
    node->requests++;
    node->request = session;
    yo_quic_set_user(session, node);
    assert_int_equal(request->transport, YOMO_TRANSPORT_WEBTRANSPORT);
    assert_true(request->secure);
    world_keep(node->authority, sizeof(node->authority), request->authority);
    world_keep(node->path, sizeof(node->path), request->path);
    world_keep(node->query, sizeof(node->query), request->query);
    world_keep(node->origin, sizeof(node->origin), request->origin);
    world_keep(node->address, sizeof(node->address), request->address);
    assert_true(request->fields.size <= sizeof(node->fields));
    memcpy(node->fields, request->fields.data, request->fields.size);
    node->fields_size = request->fields.size;
    if (node->on_request) {
        node->on_request(node, session);
    }
}

static void on_gone(void *user, struct yo_wt_session *session, yo_time now)
{
    struct node *node = user;
    (void)now;
    assert_ptr_equal(yo_quic_user(session), node);
    node->gone++;
    if (node->request == session) {
        node->request = NULL;
    }
}

static void on_foreign(void *user, uint16_t worker, const struct yo_quic_packet *packet,
                       yo_time now)
{
    struct node *node = user;
    struct yo_quic_packet foreign = *packet;
    node->foreign++;
    assert_int_equal(worker, 1);
    if (node->other) {
        foreign.socket = node->other;
        yo_endpoint_packet(node->other->endpoint, &foreign, true, now);
    }
}

static void on_empty(void *user)
{
    struct node *node = user;
    assert_false(node->empty);
    node->empty = true;
}

static const struct yo_endpoint_events events = {
    .space = on_space,
    .commit = on_commit,
    .send = on_send,
    .on_wake = on_wake,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_foreign = on_foreign,
    .on_empty = on_empty,
};

/* --- Nodes ------------------------------------------------------------------------ */

struct yo_endpoint_options world_options(struct world *world, bool server)
{
    static const uint8_t secret[YO_SECRET_SIZE] = {1, 2, 3, 4};
    static const struct yo_log silent;
    return (struct yo_endpoint_options){
        .mem = world->mem,
        .log = &silent,
        .server = server,
        .workers = 2,
        .secret = secret,
        .handshake = 10 * YO_SECOND,
        .idle = 30 * YO_SECOND,
        .handshakes_max = 100,
        .connections_max = 100,
        .connections_per_address_max = 100,
    };
}

static struct node *add_node(struct world *world, bool server,
                             const struct yo_endpoint_options *options)
{
    struct yo_endpoint_options usual = world_options(world, server);
    struct node *node = calloc(1, sizeof(*node));
    assert_true(world->count < NODES_MAX);
    node->world = world;
    node->queue_size_max = QUEUE_MAX;
    node->inside.sin_family = AF_INET;
    node->inside.sin_port = htons((uint16_t)(4000 + world->count));
    node->inside.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
    node->outside = node->inside;
    yo_buf_init(&node->last, &yo_mem_libc);
    assert_int_equal(
        yo_endpoint_create(&node->endpoint, options ? options : &usual, &events, node),
        YOMO_OK);
    world->nodes[world->count++] = node;
    return node;
}

struct node *world_server(struct world *world,
                          const struct yo_endpoint_options *options)
{
    struct node *node = add_node(world, true, options);
    yo_endpoint_set_tls(node->endpoint, world_server_tls);
    return node;
}

struct node *world_client(struct world *world,
                          const struct yo_endpoint_options *options)
{
    return add_node(world, false, options);
}

static void deliver(struct world *world)
{
    struct carried *carried = YO_CONTAINER(world->packets.next, struct carried, link);
    struct node *to = carried->to;
    yo_list_remove(&carried->link);
    yo_buf_clear(&to->last);
    yo_buf_append(&to->last, carried->bytes, carried->size);
    if (to->endpoint) {
        struct yo_quic_packet packet = {
            .socket = to,
            .local = (const struct sockaddr *)&to->inside,
            .remote = (const struct sockaddr *)&carried->from,
            .ecn = carried->ecn,
            .bytes = yo_span(carried->bytes, carried->size),
        };
        yo_endpoint_packet(to->endpoint, &packet, false, world->now);
    }
    free(carried);
}

static bool turns(struct world *world)
{
    bool any = false;
    for (size_t i = 0; i < world->count; i++) {
        struct node *node = world->nodes[i];
        if (node->woken && node->endpoint) {
            node->woken = false;
            yo_endpoint_turn(node->endpoint, world->now);
            any = true;
        }
    }
    return any;
}

bool world_step(struct world *world)
{
    if (turns(world)) {
        return true;
    }
    yo_time next = YO_NEVER;
    if (!yo_list_empty(&world->packets)) {
        next = YO_CONTAINER(world->packets.next, struct carried, link)->due;
    }
    yo_time packet = next;
    struct node *timer = NULL;
    for (size_t i = 0; i < world->count; i++) {
        struct node *node = world->nodes[i];
        yo_time due = node->endpoint ? yo_endpoint_deadline(node->endpoint) : YO_NEVER;
        if (due < next) {
            next = due;
            timer = node;
        }
    }
    if (next == YO_NEVER) {
        return false;
    }
    if (next > world->now) {
        world->now = next;
    }
    if (timer) {
        yo_endpoint_tick(timer->endpoint, world->now);
    } else if (packet <= world->now) {
        deliver(world);
    }
    return true;
}

void world_for(struct world *world, yo_time span)
{
    yo_time end = world->now + span;
    for (;;) {
        if (turns(world)) {
            continue;
        }
        yo_time next = YO_NEVER;
        if (!yo_list_empty(&world->packets)) {
            next = YO_CONTAINER(world->packets.next, struct carried, link)->due;
        }
        for (size_t i = 0; i < world->count; i++) {
            struct node *node = world->nodes[i];
            if (node->endpoint) {
                next = yo_time_min(next, yo_endpoint_deadline(node->endpoint));
            }
        }
        if (next > end) {
            world->now = end;
            return;
        }
        world_step(world);
    }
}
