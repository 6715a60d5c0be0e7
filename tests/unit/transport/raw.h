/* SPDX-License-Identifier: MIT */
/* raw.h - a bare TCP client or server for tests: bytes out, bytes in, no manners. */
#ifndef TESTS_UNIT_TRANSPORT_RAW_H
#define TESTS_UNIT_TRANSPORT_RAW_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/udp.h" /* union yo_address */
#include "support/until.h"

struct raw {
    int fd;
    struct yo_buf got;
    bool ended; /* FIN or reset has come */
    bool reset;
};

/* A socket bound to 127.0.0.1, and its port. */
static inline int raw_bound(uint16_t *port)
{
    union yo_address local;
    socklen_t size = sizeof(local);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(yo_address_parse(&local, "127.0.0.1", 0), 0);
    assert_int_equal(bind(fd, &local.sa, yo_address_size(&local)), 0);
    assert_int_equal(getsockname(fd, &local.sa, &size), 0);
    *port = yo_address_port(&local);
    return fd;
}

static inline void raw_connect(struct raw *raw, uint16_t port)
{
    union yo_address remote;
    memset(raw, 0, sizeof(*raw));
    yo_buf_init(&raw->got, &yo_mem_libc);
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(yo_address_parse(&remote, "127.0.0.1", port), 0);
    assert_int_equal(connect(raw->fd, &remote.sa, yo_address_size(&remote)), 0);
}

static inline void raw_take(struct raw *raw, int fd)
{
    memset(raw, 0, sizeof(*raw));
    yo_buf_init(&raw->got, &yo_mem_libc);
    raw->fd = fd;
}

/* What has come so far. */
static inline void raw_read(struct raw *raw)
{
    while (!raw->ended) {
        assert_int_equal(yo_buf_reserve(&raw->got, 65536), 0);
        ssize_t n = recv(raw->fd, raw->got.data + raw->got.size, 65536, MSG_DONTWAIT);
        if (n > 0) {
            raw->got.size += (size_t)n;
        } else if (n == 0) {
            raw->ended = true;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else {
            raw->ended = raw->reset = true;
        }
    }
}

static inline void raw_send(struct raw *raw, struct yo_span bytes)
{
    assert_int_equal(send(raw->fd, bytes.data, bytes.size, MSG_NOSIGNAL), bytes.size);
}

static inline void raw_say(struct raw *raw, const char *text)
{
    raw_send(raw, yo_span_of(text));
}

static inline bool raw_has(struct raw *raw, const char *text)
{
    raw_read(raw);
    return raw->got.size > 0 &&
           memmem(raw->got.data, raw->got.size, text, strlen(text)) != NULL;
}

static inline bool raw_ended(struct raw *raw)
{
    raw_read(raw);
    return raw->ended;
}

static inline void raw_close(struct raw *raw)
{
    if (raw->fd >= 0) {
        close(raw->fd);
    }
    raw->fd = -1;
    yo_buf_finish(&raw->got);
}

#endif
