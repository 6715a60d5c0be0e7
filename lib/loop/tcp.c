/* SPDX-License-Identifier: MIT */
/* tcp.c
 *
 * The happy path: a socket is connected or accepted, uv_poll tells when there is
 * something to read, and writes go to the kernel at once. What the kernel does not take
 * is kept in `out`, and POLLOUT is asked for until it is gone. Own sendmsg instead of
 * libuv's streams, because those raise SIGPIPE in a host that did not ask for it.
 *
 * Failure modes: a failed write marks the socket `broken` and on_error comes at the end
 * of the turn, never inside yo_tcp_write; an accept that finds no descriptors left
 * rests for a while, and clients wait in the kernel's queue. */
#include "loop/tcp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/buf.h"
#include "loop/inside.h"

#define READS_AT_ONCE 4    /* of YO_LOOP_READ_SIZE, then the others have their turn */
#define ACCEPTS_AT_ONCE 64 /* the same for a listener */
#define ACCEPT_REST (100 * YO_MS)
#define UNSENT_MAX 131072
#define OUT_KEEP 4096 /* capacity that an empty `out` may keep */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE does it there */
#endif

struct yo_tcp {
    struct yo_loop *loop;
    uv_poll_t poll;
    int fd;
    int watched; /* what uv_poll waits for now */
    const struct yo_tcp_events *events;
    void *user;
    union yo_address remote;
    struct yo_buf out; /* from `out_start` on: not taken by the kernel yet */
    size_t out_start;
    struct yo_task task; /* on_connect or on_error is due */
    int error;           /* what the task reports */
    bool connecting, started, paused;
    bool ended;  /* the peer's FIN has come */
    bool ending; /* FIN goes out after `out` */
    bool broken; /* nothing can be written any more */
    bool closed;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct yo_tcp *tcp)
{
    if (tcp->closed) {
        return;
    }
    int wanted = 0;
    if (tcp->started && !tcp->paused && !tcp->ended && !tcp->connecting &&
        !tcp->broken) {
        wanted |= UV_READABLE;
    }
    if (tcp->connecting || (tcp->out.size > 0 && !tcp->broken)) {
        wanted |= UV_WRITABLE;
    }
    if (wanted == tcp->watched) {
        return;
    }
    tcp->watched = wanted;
    if (wanted) {
        uv_poll_start(&tcp->poll, wanted, on_poll);
    } else {
        uv_poll_stop(&tcp->poll);
    }
    yo_loop_touch(tcp->loop);
}

/* Say it at the end of the turn. */
static void report(struct yo_tcp *tcp, int error)
{
    tcp->error = error;
    yo_loop_defer(tcp->loop, &tcp->task);
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct yo_tcp *tcp = YO_CONTAINER(task, struct yo_tcp, task);
    if (tcp->connecting) {
        tcp->connecting = false;
        if (tcp->events->on_connect) {
            tcp->events->on_connect(tcp->user, tcp, tcp->error, now);
        }
    } else if (tcp->started && tcp->events->on_error) {
        tcp->events->on_error(tcp->user, tcp, tcp->error, now);
    }
}

static void fail(struct yo_tcp *tcp, int number)
{
    if (tcp->broken) {
        return;
    }
    tcp->broken = true;
    yo_buf_finish(&tcp->out);
    yo_buf_init(&tcp->out, tcp->loop->mem);
    tcp->out_start = 0;
    report(tcp, yo_socket_error(number));
    watch(tcp);
}

/* Returns how much of `bytes` the kernel took. */
static size_t push(struct yo_tcp *tcp, struct yo_span bytes)
{
    size_t sent = 0;
    while (sent < bytes.size) {
        ssize_t n = send(tcp->fd, bytes.data + sent, bytes.size - sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
                fail(tcp, errno);
            }
            break;
        }
    }
    return sent;
}

static void finish_ending(struct yo_tcp *tcp)
{
    if (tcp->ending && tcp->out.size == 0 && !tcp->broken) {
        shutdown(tcp->fd, SHUT_WR);
    }
}

static void write_more(struct yo_tcp *tcp, yo_time now)
{
    if (tcp->broken || tcp->out.size == 0) {
        return;
    }
    struct yo_span rest = yo_span_skip(yo_buf_span(&tcp->out), tcp->out_start);
    tcp->out_start += push(tcp, rest);
    if (tcp->broken || tcp->out_start < tcp->out.size) {
        return;
    }
    tcp->out_start = 0;
    yo_buf_clear(&tcp->out);
    yo_buf_shrink(&tcp->out, OUT_KEEP);
    finish_ending(tcp);
    watch(tcp);
    if (tcp->events->on_drain) {
        tcp->events->on_drain(tcp->user, tcp, now);
    }
}

static void read_more(struct yo_tcp *tcp, yo_time now)
{
    uint8_t *buffer = yo_loop_read_buffer(tcp->loop);
    if (!buffer) {
        fail(tcp, ENOMEM);
        return;
    }
    for (int i = 0; i < READS_AT_ONCE && (tcp->watched & UV_READABLE) && !tcp->closed;
         i++) {
        ssize_t n = recv(tcp->fd, buffer, YO_LOOP_READ_SIZE, MSG_DONTWAIT);
        if (n > 0) {
            if (tcp->events->on_read) {
                tcp->events->on_read(tcp->user, tcp, yo_span(buffer, (size_t)n), now);
            }
            if (n < YO_LOOP_READ_SIZE) {
                return;
            }
        } else if (n == 0) {
            tcp->ended = true;
            watch(tcp);
            if (tcp->events->on_end) {
                tcp->events->on_end(tcp->user, tcp, now);
            }
            return;
        } else if (errno != EINTR) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                fail(tcp, errno);
            }
            return;
        }
    }
}

static void finish_connect(struct yo_tcp *tcp, yo_time now)
{
    int number = 0;
    socklen_t size = sizeof(number);
    if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0) {
        number = errno;
    }
    tcp->connecting = false;
    tcp->broken = number != 0;
    watch(tcp);
    if (tcp->events->on_connect) {
        tcp->events->on_connect(tcp->user, tcp,
                                number ? yo_socket_error(number) : YOMO_OK, now);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct yo_tcp *tcp = poll->data;
    yo_time now = yo_loop_enter(tcp->loop);
    if (status < 0) {
        /* POLLERR: libuv has stopped the watcher; the read or the write will say why.
         */
        events = tcp->watched;
        tcp->watched = 0;
        watch(tcp);
    }
    if (tcp->connecting) {
        finish_connect(tcp, now);
        return;
    }
    if (events & UV_WRITABLE) {
        write_more(tcp, now);
    }
    if ((events & UV_READABLE) && !tcp->closed) {
        read_more(tcp, now);
    }
}

static void set_options(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
#ifdef TCP_NOTSENT_LOWAT
    /* What cannot be sent yet waits above us, where it is counted and may be replaced
     * by something newer, and not in megabytes of the kernel's. */
    int unsent = UNSENT_MAX;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
#endif
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
}

/* Takes `fd`, also when there is no memory. */
static struct yo_tcp *create(struct yo_loop *loop, int fd,
                             const union yo_address *remote)
{
    struct yo_tcp *tcp = yo_calloc(loop->mem, 1, sizeof(*tcp));
    if (!tcp || uv_poll_init(loop->uv, &tcp->poll, fd) != 0) {
        yo_free(loop->mem, tcp);
        close(fd);
        return NULL;
    }
    tcp->loop = loop;
    tcp->poll.data = tcp;
    tcp->fd = fd;
    tcp->remote = *remote;
    yo_buf_init(&tcp->out, loop->mem);
    yo_task_init(&tcp->task, on_task);
    yo_loop_hold(loop);
    set_options(fd);
    return tcp;
}

int yo_tcp_connect(struct yo_tcp **out, struct yo_loop *loop,
                   const union yo_address *remote, const struct yo_tcp_events *events,
                   void *user)
{
    int fd = yo_socket_open(remote->sa.sa_family, SOCK_STREAM);
    if (fd < 0) {
        return yo_socket_error(errno);
    }
    struct yo_tcp *tcp = create(loop, fd, remote);
    if (!tcp) {
        return YOMO_ERR_NOMEM;
    }
    tcp->events = events;
    tcp->user = user;
    tcp->started = true;
    tcp->connecting = true;
    if (connect(fd, &remote->sa, yo_address_size(remote)) < 0 && errno != EINPROGRESS) {
        tcp->broken = true;
        report(tcp, yo_socket_error(errno));
    } else {
        watch(tcp); /* one that is connected already is writable at once */
    }
    *out = tcp;
    return YOMO_OK;
}

void yo_tcp_start(struct yo_tcp *tcp, const struct yo_tcp_events *events, void *user)
{
    tcp->events = events;
    tcp->user = user;
    tcp->started = true;
    watch(tcp);
}

const union yo_address *yo_tcp_remote(const struct yo_tcp *tcp)
{
    return &tcp->remote;
}

int yo_tcp_write(struct yo_tcp *tcp, struct yo_span bytes)
{
    if (tcp->broken || tcp->ending || tcp->closed) {
        return YOMO_ERR_CLOSED;
    }
    if (tcp->out.size == 0 && !tcp->connecting) {
        bytes = yo_span_skip(bytes, push(tcp, bytes));
        if (tcp->broken) {
            return YOMO_ERR_CLOSED;
        }
        if (bytes.size == 0) {
            return YOMO_OK;
        }
    }
    if (tcp->out_start > 0 && tcp->out_start >= tcp->out.size / 2) {
        yo_buf_consume(&tcp->out, tcp->out_start);
        tcp->out_start = 0;
    }
    if (yo_buf_append_span(&tcp->out, bytes) != YOMO_OK) {
        /* Part of it may be gone: the stream cannot be mended. */
        fail(tcp, ENOMEM);
        return YOMO_ERR_NOMEM;
    }
    watch(tcp);
    return YOMO_OK;
}

size_t yo_tcp_queued(const struct yo_tcp *tcp)
{
    return tcp->out.size - tcp->out_start;
}

void yo_tcp_pause(struct yo_tcp *tcp, bool paused)
{
    tcp->paused = paused;
    watch(tcp);
}

void yo_tcp_end(struct yo_tcp *tcp)
{
    if (!tcp->ending) {
        tcp->ending = true;
        finish_ending(tcp);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct yo_tcp *tcp = handle->data;
    struct yo_loop *loop = tcp->loop;
    yo_free(loop->mem, tcp);
    yo_loop_drop(loop);
}

void yo_tcp_close(struct yo_tcp *tcp)
{
    if (!tcp || tcp->closed) {
        return;
    }
    tcp->closed = true;
    yo_task_cancel(&tcp->task);
    yo_buf_finish(&tcp->out);
    uv_close((uv_handle_t *)&tcp->poll, on_closed);
    close(tcp->fd);
}

void yo_tcp_reset(struct yo_tcp *tcp)
{
    if (!tcp || tcp->closed) {
        return;
    }
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    yo_tcp_close(tcp);
}

/* --- Listeners -------------------------------------------------------------------- */

struct yo_tcp_listener {
    struct yo_loop *loop;
    uv_poll_t poll;
    int fd;
    union yo_address local;
    struct yo_timer rest; /* no descriptors: look again then */
    void (*on_accept)(void *user, struct yo_tcp *tcp, yo_time now);
    void *user;
    bool closed;
};

static int accept_one(int fd, union yo_address *remote)
{
    socklen_t size = sizeof(*remote);
#ifdef SOCK_CLOEXEC
    return accept4(fd, &remote->sa, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
    int accepted = accept(fd, &remote->sa, &size);
    if (accepted >= 0 && yo_socket_adopt(accepted) < 0) {
        close(accepted);
        errno = ECONNABORTED;
        return -1;
    }
    return accepted;
#endif
}

static bool out_of_descriptors(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS ||
           number == ENOMEM;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct yo_tcp_listener *listener = poll->data;
    yo_time now = yo_loop_enter(listener->loop);
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_AT_ONCE && !listener->closed; i++) {
        union yo_address remote;
        memset(&remote, 0, sizeof(remote));
        int fd = accept_one(listener->fd, &remote);
        if (fd >= 0) {
            struct yo_tcp *tcp = create(listener->loop, fd, &remote);
            if (tcp) {
                listener->on_accept(listener->user, tcp, now);
            }
        } else if (out_of_descriptors(errno)) {
            YO_LOG(&listener->loop->log, YOMO_LOG_WARN, "loop",
                   "cannot accept: no descriptors left; clients wait");
            uv_poll_stop(&listener->poll);
            yo_timer_set(&listener->rest, yo_time_after(now, ACCEPT_REST));
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* else: that client has gone already (ECONNABORTED, ...) */
    }
}

static void look_again(struct yo_timer *timer, yo_time now)
{
    struct yo_tcp_listener *listener =
        YO_CONTAINER(timer, struct yo_tcp_listener, rest);
    (void)now;
    uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    yo_loop_touch(listener->loop);
}

/* Returns 0, or the errno of what failed. */
static int bind_and_listen(int fd, const union yo_address *local, bool reuse_port)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) {
        return errno;
    }
    if (local->sa.sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    return bind(fd, &local->sa, yo_address_size(local)) < 0 ? errno : 0;
}

int yo_tcp_listen(struct yo_tcp_listener **out, struct yo_loop *loop, int fd,
                  const union yo_address *local, bool reuse_port,
                  void (*on_accept)(void *user, struct yo_tcp *tcp, yo_time now),
                  void *user)
{
    struct yo_tcp_listener *listener = yo_calloc(loop->mem, 1, sizeof(*listener));
    int number = 0;
    if (fd < 0) {
        fd = yo_socket_open(local->sa.sa_family, SOCK_STREAM);
        number = fd < 0 ? errno : bind_and_listen(fd, local, reuse_port);
    } else if (yo_socket_adopt(fd) < 0) {
        number = errno;
    }
    if (number == 0 && listen(fd, SOMAXCONN) < 0) {
        number = errno;
    }
    if (!listener || number != 0 || yo_loop_reserve_timer(loop) != YOMO_OK) {
        goto failed;
    }
    listener->loop = loop;
    listener->fd = fd;
    listener->on_accept = on_accept;
    listener->user = user;
    socklen_t size = sizeof(listener->local);
    getsockname(fd, &listener->local.sa, &size);
    yo_timer_init(&listener->rest, loop, look_again);
    if (uv_poll_init(loop->uv, &listener->poll, fd) != 0) {
        yo_loop_release_timer(loop);
        number = ENOMEM;
        goto failed;
    }
    listener->poll.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    yo_loop_hold(loop);
    yo_loop_touch(loop);
    *out = listener;
    return YOMO_OK;

failed:
    if (fd >= 0) {
        close(fd);
    }
    yo_free(loop->mem, listener);
    return number ? yo_socket_error(number) : YOMO_ERR_NOMEM;
}

const union yo_address *yo_tcp_listener_local(const struct yo_tcp_listener *listener)
{
    return &listener->local;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct yo_tcp_listener *listener = handle->data;
    struct yo_loop *loop = listener->loop;
    yo_free(loop->mem, listener);
    yo_loop_drop(loop);
}

void yo_tcp_listener_close(struct yo_tcp_listener *listener)
{
    if (!listener || listener->closed) {
        return;
    }
    listener->closed = true;
    yo_timer_stop(&listener->rest);
    yo_loop_release_timer(listener->loop);
    uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    close(listener->fd);
}
