/* SPDX-License-Identifier: MIT */
/* quic_link.c
 *
 * The happy path: a batch of packets goes into the endpoint, which asks to be woken; at
 * the end of the loop's turn the endpoint writes into the sockets' batches, which are
 * then flushed, and the timer is set to what the endpoint waits for. */
#include "transport/quic_link.h"

#include <fcntl.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/text.h"

/* What the kernel may keep for us while we do something else: a thousand receivers of
 * one message acknowledge it within milliseconds, and each small packet counts for 768
 * bytes there. The kernel gives less where net.core.rmem_max says so. */
#define SERVER_BUFFER (8 << 20)
#define CLIENT_BUFFER (1 << 20)

static union yo_address *address(const struct sockaddr *sa)
{
    return (union yo_address *)(uintptr_t)sa; /* all of them have room for IPv6 */
}

static struct yo_udp *udp_of(void *socket)
{
    return ((struct yo_quic_socket *)socket)->udp;
}

static void set_timer(struct yo_quic_link *link)
{
    yo_timer_set(&link->timer, yo_endpoint_deadline(link->endpoint)); /* reserved */
}

/* --- For the endpoint ------------------------------------------------------------- */

uint8_t *yo_quic_link_space(void *user, void *socket, size_t size)
{
    (void)user;
    return yo_udp_space(udp_of(socket), size);
}

void yo_quic_link_commit(void *user, void *socket, const struct sockaddr *local,
                         const struct sockaddr *remote, uint8_t ecn, size_t size,
                         size_t segment)
{
    (void)user;
    yo_udp_commit(udp_of(socket), address(local), address(remote), ecn, size, segment);
}

void yo_quic_link_send(void *user, const struct yo_quic_packet *packet)
{
    struct yo_quic_link *link = user;
    struct yo_udp *udp = udp_of(packet->socket);
    if (udp && yo_udp_send(udp, address(packet->local), address(packet->remote),
                           packet->ecn, packet->bytes, packet->bytes.size) == YOMO_OK) {
        yo_loop_defer(link->loop, &link->task); /* which flushes */
    }
}

void yo_quic_link_wake(void *user)
{
    struct yo_quic_link *link = user;
    yo_loop_defer(link->loop, &link->task);
}

/* For looking into things only: one open and close for each piece. */
void yo_quic_link_qlog(void *user, struct yo_span id, struct yo_span bytes, bool last)
{
    struct yo_quic_link *link = user;
    char hex[2 * 20 + 1];
    struct yo_buf path;
    (void)last;
    if (!link->qlog_dir || id.size > 20) {
        return;
    }
    yo_hex_encode(hex, id);
    yo_buf_init(&path, yo_loop_mem(link->loop));
    yo_buf_printf(&path, "%s/%s.sqlog", link->qlog_dir, hex);
    yo_buf_append_byte(&path, 0);
    if (!path.failed) {
        int fd = open((const char *)path.data,
                      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) {
            if (write(fd, bytes.data, bytes.size) < 0) {
                YO_LOG(yo_loop_log(link->loop), YOMO_LOG_DEBUG, "webtransport",
                       "a qlog could not be written");
            }
            close(fd);
        }
    }
    yo_buf_finish(&path);
}

/* --- From the loop ---------------------------------------------------------------- */

static void on_packet(void *user, const struct yo_packet *packet, yo_time now)
{
    struct yo_quic_socket *socket = user;
    struct yo_quic_packet quic = {.socket = socket,
                                  .local = &packet->local->sa,
                                  .remote = &packet->remote->sa,
                                  .ecn = packet->ecn,
                                  .bytes = packet->bytes};
    yo_endpoint_packet(socket->link->endpoint, &quic, false, now);
}

static void on_writable(void *user, yo_time now)
{
    struct yo_quic_socket *socket = user;
    (void)now;
    yo_endpoint_writable(socket->link->endpoint);
}

static void on_error(void *user, int error, yo_time now)
{
    struct yo_quic_socket *socket = user;
    yo_endpoint_unreachable(socket->link->endpoint, error);
    if (socket->link->on_no_way) {
        socket->link->on_no_way(socket->link, now);
    }
}

static const struct yo_udp_events udp_events = {
    .on_packet = on_packet,
    .on_writable = on_writable,
    .on_error = on_error,
};

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_quic_link *link = YO_CONTAINER(timer, struct yo_quic_link, timer);
    yo_endpoint_tick(link->endpoint, now);
    yo_loop_defer(link->loop, &link->task);
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct yo_quic_link *link = YO_CONTAINER(task, struct yo_quic_link, task);
    yo_endpoint_turn(link->endpoint, now);
    for (size_t i = 0; i < link->count; i++) {
        if (link->sockets[i].udp) {
            yo_udp_flush(link->sockets[i].udp);
        }
    }
    set_timer(link);
    if (link->after_turn) {
        link->after_turn(link, now);
    }
}

/* --- Life ------------------------------------------------------------------------- */

int yo_quic_link_init(struct yo_quic_link *link, struct yo_loop *loop,
                      struct yo_endpoint_options *options,
                      const struct yo_endpoint_events *events, const char *qlog_dir)
{
    const struct yomo_mem *mem = yo_loop_mem(loop);
    memset(link, 0, sizeof(*link));
    link->loop = loop;
    options->mem = mem;
    options->log = yo_loop_log(loop);
    options->qlog = qlog_dir != NULL;
    if (qlog_dir) {
        link->qlog_dir = yo_strndup(mem, qlog_dir, strlen(qlog_dir));
        if (!link->qlog_dir) {
            return YOMO_ERR_NOMEM;
        }
    }
    int rv = yo_loop_reserve_timer(loop);
    if (rv == YOMO_OK) {
        rv = yo_endpoint_create(&link->endpoint, options, events, link);
        if (rv != YOMO_OK) {
            yo_loop_release_timer(loop);
        }
    }
    if (rv != YOMO_OK) {
        yo_free(mem, link->qlog_dir);
        return rv;
    }
    yo_timer_init(&link->timer, loop, on_timer);
    yo_task_init(&link->task, on_task);
    return YOMO_OK;
}

void yo_quic_link_finish(struct yo_quic_link *link)
{
    yo_endpoint_destroy(link->endpoint);
    yo_timer_stop(&link->timer);
    yo_loop_release_timer(link->loop);
    yo_task_cancel(&link->task);
    for (size_t i = 0; i < link->count; i++) {
        yo_udp_close(link->sockets[i].udp);
    }
    yo_free(yo_loop_mem(link->loop), link->qlog_dir);
}

int yo_quic_link_add(struct yo_quic_link *link, int fd, const union yo_address *remote,
                     struct yo_quic_socket **out)
{
    struct yo_udp_options options = {
        .connected = remote != NULL,
        .buffer_size = remote ? CLIENT_BUFFER : SERVER_BUFFER,
    };
    union yo_address any;
    size_t i = 0;
    while (i < link->count && link->sockets[i].udp) {
        i++;
    }
    if (i == YO_QUIC_LINK_SOCKETS_MAX) {
        if (fd >= 0) {
            close(fd);
        }
        return YOMO_ERR_FULL;
    }
    memset(&any, 0, sizeof(any));
    any.sa.sa_family = remote ? remote->sa.sa_family : AF_INET;
    struct yo_quic_socket *socket = &link->sockets[i];
    socket->link = link;
    int rv = yo_udp_open(&socket->udp, link->loop, fd, &any, remote, &options,
                         &udp_events, socket);
    if (rv == YOMO_OK) {
        link->count += i == link->count;
        *out = socket;
    } else {
        socket->udp = NULL;
    }
    return rv;
}

void yo_quic_link_drop(struct yo_quic_socket *socket)
{
    yo_udp_close(socket->udp);
    socket->udp = NULL;
}
