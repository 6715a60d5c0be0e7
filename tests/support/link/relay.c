/* SPDX-License-Identifier: MIT */
/* relay.c - the happy path: what comes is asked of its path when it arrives, waits in
 * one heap for both protocols, and is sent when that moment has come. What is at its
 * end of the line when its flow is gone is thrown away. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65535
#define BURST 64 /* packets read from one socket before the next one's turn */
#define TCP_PIECE 4096
#define TCP_WAITING_MAX (1u << 20) /* bytes under way on one connection's direction */

struct address {
    struct sockaddr_storage ss;
    socklen_t size;
};

struct piece { /* what is under way */
    uint64_t at, order;
    bool tcp;
    int way;
    size_t flow;
    uint64_t life; /* of the flow: another one may have its place by then */
    size_t size;   /* 0, TCP: the end of that direction */
    uint8_t bytes[];
};

struct udp_flow {
    struct address client;
    int fd; /* towards the target; -1: free */
    uint64_t life, used;
};

struct tcp_flow {
    int fds[RELAY_WAYS]; /* where what goes up comes from, and what goes down; -1: free
                          */
    bool read_ended[RELAY_WAYS], write_ended[RELAY_WAYS];
    size_t waiting[RELAY_WAYS];
    struct piece *stuck[RELAY_WAYS]; /* in part; the socket takes no more */
    size_t stuck_at[RELAY_WAYS];
    uint64_t life;
};

struct relay {
    struct address target;
    int udp, tcp;
    uint16_t port;
    struct path paths[RELAY_WAYS], tcp_paths[RELAY_WAYS];
    struct udp_flow flows[RELAY_FLOWS_MAX];
    struct tcp_flow connections[RELAY_FLOWS_MAX];
    struct piece **heap;
    size_t count, capacity;
    uint64_t next_order, next_life;
    bool stalled;
    uint8_t buffer[PACKET_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- What is under way ------------------------------------------------------------ */

static bool before(const struct piece *a, const struct piece *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct relay *relay, struct piece *piece)
{
    if (relay->count == relay->capacity) {
        relay->capacity = relay->capacity ? relay->capacity * 2 : 256;
        relay->heap = realloc(relay->heap, relay->capacity * sizeof(struct piece *));
        if (!relay->heap) {
            abort();
        }
    }
    size_t i = relay->count++;
    for (; i > 0 && before(piece, relay->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        relay->heap[i] = relay->heap[(i - 1) / 2];
    }
    relay->heap[i] = piece;
}

static struct piece *heap_pop(struct relay *relay)
{
    struct piece *top = relay->heap[0];
    struct piece *last = relay->heap[--relay->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < relay->count; i = child) {
        if (child + 1 < relay->count &&
            before(relay->heap[child + 1], relay->heap[child])) {
            child++;
        }
        if (!before(relay->heap[child], last)) {
            break;
        }
        relay->heap[i] = relay->heap[child];
    }
    relay->heap[i] = last;
    return top;
}

static void put_piece(struct relay *relay, bool tcp, int way, size_t flow,
                      uint64_t life, const uint8_t *bytes, size_t size, uint64_t at)
{
    struct piece *piece = malloc(sizeof(*piece) + size);
    if (!piece) {
        abort();
    }
    *piece = (struct piece){.at = at,
                            .order = relay->next_order++,
                            .tcp = tcp,
                            .way = way,
                            .flow = flow,
                            .life = life,
                            .size = size};
    if (size > 0) {
        memcpy(piece->bytes, bytes, size);
    }
    heap_push(relay, piece);
}

/* --- UDP -------------------------------------------------------------------------- */

static int udp_towards(const struct address *target)
{
    int size = 1 << 20;
    int fd = socket(target->ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (const struct sockaddr *)&target->ss, target->size) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    return fd;
}

/* The flow of a client; the one that was silent for longest gives way. -1: no socket.
 */
static int flow_of(struct relay *relay, const struct address *client, uint64_t now)
{
    int oldest = 0, free_one = -1;
    for (int i = 0; i < RELAY_FLOWS_MAX; i++) {
        struct udp_flow *flow = &relay->flows[i];
        if (flow->fd < 0) {
            free_one = free_one < 0 ? i : free_one;
        } else if (flow->client.size == client->size &&
                   memcmp(&flow->client.ss, &client->ss, client->size) == 0) {
            flow->used = now;
            return i;
        } else if (relay->flows[oldest].fd < 0 ||
                   flow->used < relay->flows[oldest].used) {
            oldest = i;
        }
    }
    int fd = udp_towards(&relay->target);
    if (fd < 0) {
        return -1;
    }
    int i = free_one >= 0 ? free_one : oldest;
    if (relay->flows[i].fd >= 0) {
        close(relay->flows[i].fd);
    }
    relay->flows[i] = (struct udp_flow){
        .client = *client, .fd = fd, .life = ++relay->next_life, .used = now};
    return i;
}

static void udp_take(struct relay *relay, int way, size_t index, size_t size,
                     uint64_t now)
{
    uint64_t at[2];
    int copies = path_take(&relay->paths[way], size, now, false, at);
    for (int i = 0; i < copies; i++) {
        put_piece(relay, false, way, index, relay->flows[index].life, relay->buffer,
                  size, at[i]);
    }
}

static void udp_from_clients(struct relay *relay)
{
    for (int i = 0; i < BURST; i++) {
        struct address client = {.size = sizeof(client.ss)};
        memset(&client.ss, 0, sizeof(client.ss));
        ssize_t size = recvfrom(relay->udp, relay->buffer, PACKET_MAX, 0,
                                (struct sockaddr *)&client.ss, &client.size);
        if (size < 0) {
            return;
        }
        uint64_t now = now_ns();
        int flow = flow_of(relay, &client, now);
        if (flow >= 0) {
            udp_take(relay, RELAY_UP, (size_t)flow, (size_t)size, now);
        }
    }
}

static void udp_from_target(struct relay *relay, size_t index)
{
    for (int i = 0; i < BURST; i++) {
        ssize_t size = recv(relay->flows[index].fd, relay->buffer, PACKET_MAX, 0);
        if (size < 0) {
            return; /* also what ICMP says */
        }
        udp_take(relay, RELAY_DOWN, index, (size_t)size, now_ns());
    }
}

static void udp_arrive(struct relay *relay, const struct piece *piece)
{
    const struct udp_flow *flow = &relay->flows[piece->flow];
    if (flow->fd < 0 || flow->life != piece->life) {
        return;
    }
    if (piece->way == RELAY_UP) {
        (void)!send(flow->fd, piece->bytes, piece->size, MSG_NOSIGNAL);
    } else {
        (void)!sendto(relay->udp, piece->bytes, piece->size, MSG_NOSIGNAL,
                      (const struct sockaddr *)&flow->client.ss, flow->client.size);
    }
}

void relay_rebind(struct relay *relay)
{
    for (int i = 0; i < RELAY_FLOWS_MAX; i++) {
        struct udp_flow *flow = &relay->flows[i];
        int fd = flow->fd >= 0 ? udp_towards(&relay->target) : -1;
        if (fd >= 0) { /* made first, so that it is another port */
            close(flow->fd);
            flow->fd = fd;
        }
    }
}

/* --- TCP -------------------------------------------------------------------------- */

static void tcp_drop(struct relay *relay, size_t index)
{
    struct tcp_flow *flow = &relay->connections[index];
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    bool ended = flow->write_ended[RELAY_UP] && flow->write_ended[RELAY_DOWN];
    for (int way = 0; way < RELAY_WAYS; way++) {
        if (!ended) {
            setsockopt(flow->fds[way], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        }
        close(flow->fds[way]);
        free(flow->stuck[way]);
    }
    memset(flow, 0, sizeof(*flow));
    flow->fds[0] = flow->fds[1] = -1;
}

static void tcp_accept(struct relay *relay)
{
    int client = accept4(relay->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    int server = socket(relay->target.ss.ss_family,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    for (size_t i = 0; server >= 0 && i < RELAY_FLOWS_MAX; i++) {
        struct tcp_flow *flow = &relay->connections[i];
        if (flow->fds[0] >= 0) {
            continue;
        }
        if (connect(server, (const struct sockaddr *)&relay->target.ss,
                    relay->target.size) != 0 &&
            errno != EINPROGRESS) {
            break;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        *flow = (struct tcp_flow){.fds = {client, server}, .life = ++relay->next_life};
        return;
    }
    close(client);
    if (server >= 0) {
        close(server);
    }
}

/* False: the connection is gone. */
static bool tcp_read(struct relay *relay, size_t index, int way)
{
    struct tcp_flow *flow = &relay->connections[index];
    uint64_t at[2];
    ssize_t size = recv(flow->fds[way], relay->buffer, TCP_PIECE, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (size < 0) {
        tcp_drop(relay, index);
        return false;
    }
    flow->read_ended[way] = size == 0;
    flow->waiting[way] += (size_t)size;
    /* TCP's own sender sees nothing of a block: `stall` is for that. */
    if (path_take(&relay->tcp_paths[way], (size_t)size, now_ns(), true, at) > 0) {
        put_piece(relay, true, way, index, flow->life, relay->buffer, (size_t)size,
                  at[0]);
    }
    return true;
}

/* Write `piece` on; it is freed, or stuck. */
static void tcp_arrive(struct relay *relay, struct piece *piece)
{
    struct tcp_flow *flow = &relay->connections[piece->flow];
    int way = piece->way, to = flow->fds[1 - way];
    if (to < 0 || flow->life != piece->life) {
        free(piece);
        return;
    }
    size_t at = flow->stuck[way] == piece ? flow->stuck_at[way] : 0;
    while (at < piece->size) {
        ssize_t sent = send(to, piece->bytes + at, piece->size - at, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINTR)) {
            flow->stuck[way] = piece;
            flow->stuck_at[way] = at;
            return;
        }
        if (sent < 0) {
            if (flow->stuck[way] != piece) {
                free(piece);
            }
            tcp_drop(relay, piece->flow);
            return;
        }
        at += (size_t)sent;
    }
    flow->stuck[way] = NULL;
    flow->waiting[way] -= piece->size;
    if (piece->size == 0) {
        flow->write_ended[way] = true;
        shutdown(to, SHUT_WR);
    }
    size_t index = piece->flow;
    free(piece);
    if (flow->write_ended[RELAY_UP] && flow->write_ended[RELAY_DOWN]) {
        tcp_drop(relay, index);
    }
}

void relay_stall(struct relay *relay, bool stalled)
{
    relay->stalled = stalled;
}

void relay_cut(struct relay *relay)
{
    for (size_t i = 0; i < RELAY_FLOWS_MAX; i++) {
        if (relay->connections[i].fds[0] >= 0) {
            tcp_drop(relay, i);
        }
    }
}

/* --- A turn ----------------------------------------------------------------------- */

/* A piece of a connection that takes no more now waits behind the one that is stuck. */
static bool may_arrive(const struct relay *relay, const struct piece *piece)
{
    const struct tcp_flow *flow = &relay->connections[piece->flow];
    return !piece->tcp ||
           (!relay->stalled && (flow->life != piece->life || !flow->stuck[piece->way]));
}

static void do_what_is_due(struct relay *relay)
{
    uint64_t now = now_ns();
    while (relay->count > 0 && relay->heap[0]->at <= now) {
        struct piece *piece = heap_pop(relay);
        if (!may_arrive(relay, piece)) {
            piece->at = now + 1000000; /* look again */
            heap_push(relay, piece);
        } else if (piece->tcp) {
            tcp_arrive(relay, piece);
        } else {
            udp_arrive(relay, piece);
            free(piece);
        }
    }
}

static int timeout_ms(const struct relay *relay)
{
    if (relay->count == 0) {
        return -1;
    }
    uint64_t now = now_ns(), at = relay->heap[0]->at;
    return at <= now ? 0 : (int)((at - now) / 1000000 + 1);
}

struct watch {
    struct pollfd fds[3 + RELAY_FLOWS_MAX + RELAY_WAYS * RELAY_FLOWS_MAX];
    size_t flows[3 + RELAY_FLOWS_MAX + RELAY_WAYS * RELAY_FLOWS_MAX];
    size_t count;
};

static void watch(struct watch *watch, int fd, short events, size_t flow)
{
    watch->fds[watch->count] = (struct pollfd){.fd = fd, .events = events};
    watch->flows[watch->count++] = flow;
}

static void serve_tcp(struct relay *relay, size_t index, int way, short revents)
{
    struct tcp_flow *flow = &relay->connections[index];
    if ((revents & POLLOUT) && flow->stuck[1 - way] && !relay->stalled) {
        uint64_t life = flow->life;
        tcp_arrive(relay, flow->stuck[1 - way]);
        if (flow->life != life) {
            return;
        }
    }
    if ((revents & (POLLIN | POLLHUP | POLLERR)) && !flow->read_ended[way] &&
        flow->waiting[way] < TCP_WAITING_MAX && !relay->stalled) {
        (void)tcp_read(relay, index, way);
    }
}

bool relay_turn(struct relay *relay, int fd)
{
    struct watch w = {.count = 0};
    size_t udp_end, tcp_begin;
    watch(&w, fd, POLLIN, 0);
    watch(&w, relay->udp, POLLIN, 0);
    watch(&w, relay->tcp, POLLIN, 0);
    for (size_t i = 0; i < RELAY_FLOWS_MAX; i++) {
        if (relay->flows[i].fd >= 0) {
            watch(&w, relay->flows[i].fd, POLLIN, i);
        }
    }
    udp_end = tcp_begin = w.count;
    for (size_t i = 0; i < RELAY_FLOWS_MAX; i++) {
        struct tcp_flow *flow = &relay->connections[i];
        for (int way = 0; flow->fds[0] >= 0 && way < RELAY_WAYS; way++) {
            bool in = !flow->read_ended[way] && flow->waiting[way] < TCP_WAITING_MAX;
            short events =
                (short)((in ? POLLIN : 0) | (flow->stuck[1 - way] ? POLLOUT : 0));
            watch(&w, relay->stalled || !events ? -1 : flow->fds[way], events,
                  i * RELAY_WAYS + (size_t)way);
        }
    }
    (void)poll(w.fds, (nfds_t)w.count, timeout_ms(relay));
    do_what_is_due(relay);
    if (w.fds[1].revents) {
        udp_from_clients(relay);
    }
    for (size_t i = 3; i < udp_end; i++) {
        if (w.fds[i].revents && relay->flows[w.flows[i]].fd == w.fds[i].fd) {
            udp_from_target(relay, w.flows[i]);
        }
    }
    for (size_t i = tcp_begin; i < w.count; i++) {
        size_t index = w.flows[i] / RELAY_WAYS;
        int way = (int)(w.flows[i] % RELAY_WAYS);
        if (w.fds[i].revents && w.fds[i].fd >= 0 &&
            relay->connections[index].fds[way] == w.fds[i].fd) {
            serve_tcp(relay, index, way, w.fds[i].revents);
        }
    }
    if (w.fds[2].revents) {
        tcp_accept(relay);
    }
    return w.fds[0].revents != 0;
}

/* --- Life ------------------------------------------------------------------------- */

static bool parse_address(const char *host, uint16_t port, struct address *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->ss;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        out->size = sizeof(*v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        out->size = sizeof(*v6);
        return true;
    }
    return false;
}

static uint16_t port_of(int fd)
{
    struct address own = {.size = sizeof(own.ss)};
    getsockname(fd, (struct sockaddr *)&own.ss, &own.size);
    return ntohs(own.ss.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)&own.ss)->sin6_port
                     : ((struct sockaddr_in *)&own.ss)->sin_port);
}

/* One port for both protocols. */
static bool listen_on(struct relay *relay, const char *host, uint16_t port)
{
    int size = 1 << 20, one = 1;
    for (int i = 0; i < 100; i++) {
        struct address own;
        if (!parse_address(host, port, &own)) {
            return false;
        }
        relay->tcp =
            socket(own.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        relay->udp =
            socket(own.ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        setsockopt(relay->tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        setsockopt(relay->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        if (bind(relay->tcp, (struct sockaddr *)&own.ss, own.size) == 0) {
            relay->port = port_of(relay->tcp);
            (void)parse_address(host, relay->port, &own);
            if (bind(relay->udp, (struct sockaddr *)&own.ss, own.size) == 0 &&
                listen(relay->tcp, RELAY_FLOWS_MAX) == 0) {
                return true;
            }
        }
        close(relay->tcp);
        close(relay->udp);
        if (port != 0) {
            break;
        }
    }
    return false;
}

struct relay *relay_create(const struct relay_options *options, const char **why)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay) {
        abort();
    }
    for (size_t i = 0; i < RELAY_FLOWS_MAX; i++) {
        relay->flows[i].fd = -1;
        relay->connections[i].fds[0] = relay->connections[i].fds[1] = -1;
    }
    for (int way = 0; way < RELAY_WAYS; way++) {
        relay->paths[way].seed = options->seed * 4 + (uint64_t)way;
        relay->tcp_paths[way].seed = options->seed * 4 + 2 + (uint64_t)way;
    }
    if (!parse_address(options->target_host, options->target_port, &relay->target)) {
        *why = "the target is no numeric address";
    } else if (!listen_on(relay, options->host, options->port)) {
        *why = "cannot listen there";
    } else {
        return relay;
    }
    free(relay);
    return NULL;
}

void relay_destroy(struct relay *relay)
{
    relay_cut(relay);
    for (size_t i = 0; i < RELAY_FLOWS_MAX; i++) {
        if (relay->flows[i].fd >= 0) {
            close(relay->flows[i].fd);
        }
    }
    while (relay->count > 0) {
        free(heap_pop(relay));
    }
    free(relay->heap);
    close(relay->udp);
    close(relay->tcp);
    free(relay);
}

uint16_t relay_port(const struct relay *relay)
{
    return relay->port;
}

struct path *relay_path(struct relay *relay, int way)
{
    return &relay->paths[way];
}

struct path *relay_tcp_path(struct relay *relay, int way)
{
    return &relay->tcp_paths[way];
}
