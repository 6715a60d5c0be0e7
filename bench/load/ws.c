/* SPDX-License-Identifier: MIT */
/* ws.c - the happy path: connect to loopback, TLS, an upgrade (RFC 6455 4.1), then
 * frames.
 *
 * TLS 1.3 with X25519 and AES-128-GCM is offered, and nothing else, so that a handshake
 * and a record cost each server the same; no ticket is used, no extension of WebSocket
 * offered. The certificate is checked. Between frames a link holds no memory of its own
 * but what OpenSSL keeps; reading goes through the thread's buffer. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REST_MAX (1u << 20)    /* of a frame that is not whole */
#define QUEUE_MAX (256u << 10) /* bytes that the server does not take */
#define READS_MAX 8            /* of one link in a turn */

struct ws_link {
    struct watcher watcher;
    struct ws_kit *kit;
    struct member *member;
    SSL *ssl;
    int fd;
    enum { CONNECTING, SHAKING, ASKING, OPEN } state;
    bool awaits_room; /* EPOLLOUT is on */
    uint8_t *rest;    /* the begin of a frame, or of the answer */
    size_t rest_size;
    uint8_t *queue; /* what waits to be written */
    size_t queue_size, queue_room;
};

struct ws_kit {
    const struct plan *plan;
    SSL_CTX *tls;
};

struct ws_kit *ws_kit_create(const struct plan *plan)
{
    struct ws_kit *kit = calloc(1, sizeof(*kit));

    if (!kit) {
        return NULL;
    }
    kit->plan = plan;
    kit->tls = SSL_CTX_new(TLS_client_method());
    if (!kit->tls || SSL_CTX_set_min_proto_version(kit->tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(kit->tls, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(kit->tls, "X25519") != 1 ||
        SSL_CTX_load_verify_locations(kit->tls, plan->ca, NULL) != 1) {
        ERR_print_errors_fp(stderr);
        ws_kit_destroy(kit);
        return NULL;
    }
    SSL_CTX_set_verify(kit->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(kit->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(kit->tls, 1);
    SSL_CTX_set_mode(kit->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                   SSL_MODE_RELEASE_BUFFERS |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return kit;
}

void ws_kit_destroy(struct ws_kit *kit)
{
    if (kit) {
        SSL_CTX_free(kit->tls);
        free(kit);
    }
}

static void broken(struct ws_link *link, const char *what)
{
    char why[160];
    unsigned long error = ERR_peek_error();

    snprintf(why, sizeof(why), "%s%s%s", what, error ? ": " : "",
             error ? ERR_reason_error_string(error) : "");
    ERR_clear_error();
    epoll_ctl(crew_poll(member_crew(link->member)), EPOLL_CTL_DEL, link->fd, NULL);
    member_broken(link->member, why);
}

static bool over(const struct ws_link *link)
{
    return link->member->state == MEMBER_BROKEN;
}

static void await_room(struct ws_link *link, bool on)
{
    struct epoll_event event = {.events = EPOLLIN | (on ? EPOLLOUT : 0),
                                .data.ptr = &link->watcher};

    if (link->awaits_room != on) {
        link->awaits_room = on;
        epoll_ctl(crew_poll(member_crew(link->member)), EPOLL_CTL_MOD, link->fd,
                  &event);
    }
}

/* --- Writing ---------------------------------------------------------------------- */

static void flush(struct ws_link *link)
{
    size_t done = 0;

    while (done < link->queue_size) {
        int wrote =
            SSL_write(link->ssl, link->queue + done, (int)(link->queue_size - done));
        if (wrote <= 0) {
            if (SSL_get_error(link->ssl, wrote) != SSL_ERROR_WANT_WRITE) {
                broken(link, "writing");
                return;
            }
            break;
        }
        done += (size_t)wrote;
    }
    link->queue_size -= done;
    memmove(link->queue, link->queue + done, link->queue_size);
    if (link->queue_size == 0) {
        free(link->queue);
        link->queue = NULL;
        link->queue_room = 0;
    }
    await_room(link, link->queue_size > 0);
}

static bool write_bytes(struct ws_link *link, const void *bytes, size_t size)
{
    if (over(link) || link->queue_size + size > QUEUE_MAX) {
        return false;
    }
    if (link->queue_size == 0) {
        int wrote = SSL_write(link->ssl, bytes, (int)size);
        if (wrote == (int)size) {
            return true;
        }
        if (wrote <= 0 && SSL_get_error(link->ssl, wrote) != SSL_ERROR_WANT_WRITE) {
            broken(link, "writing");
            return false;
        }
        wrote = wrote > 0 ? wrote : 0;
        bytes = (const uint8_t *)bytes + wrote;
        size -= (size_t)wrote;
    }
    if (link->queue_size + size > link->queue_room) {
        size_t room = link->queue_size + size + 4096;
        uint8_t *more = realloc(link->queue, room);
        if (!more) {
            broken(link, "no memory");
            return false;
        }
        link->queue = more;
        link->queue_room = room;
    }
    memcpy(link->queue + link->queue_size, bytes, size);
    link->queue_size += size;
    await_room(link, true);
    return true;
}

static bool write_frame(struct ws_link *link, unsigned opcode, const uint8_t *bytes,
                        size_t size)
{
    static const uint8_t mask[4] = {0x1d, 0x5a, 0xc3,
                                    0x74}; /* nobody is to be fooled */
    uint8_t frame[MESSAGE_MAX + 8];
    size_t at = 0;

    if (size > MESSAGE_MAX) {
        return false;
    }
    frame[at++] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        frame[at++] = (uint8_t)(0x80 | size);
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(size >> 8);
        frame[at++] = (uint8_t)size;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++) {
        frame[at + i] = bytes[i] ^ mask[i & 3];
    }
    return write_bytes(link, frame, at + size);
}

bool ws_send(struct ws_link *link, const void *bytes, size_t size)
{
    return link->state == OPEN &&
           write_frame(link, link->kit->plan->dialect->text ? 1 : 2, bytes, size);
}

/* --- Reading ---------------------------------------------------------------------- */

/* One frame at the begin of `bytes`; how many of them it has, 0 when it is not whole.
 */
static size_t take_frame(struct ws_link *link, const uint8_t *bytes, size_t size)
{
    size_t head = 2, length;

    if (size < 2) {
        return 0;
    }
    length = bytes[1] & 127;
    if (length == 126) {
        head = 4;
        length = size < 4 ? 0 : (size_t)bytes[2] << 8 | bytes[3];
    } else if (length == 127) {
        head = 10;
        length = 0;
        for (size_t i = 2; i < 10 && size >= 10; i++) {
            length = length << 8 | bytes[i];
        }
    }
    if (length > REST_MAX || (bytes[1] & 128) != 0 || (bytes[0] & 0x70) != 0) {
        broken(link, "a frame that may not be");
        return 0;
    }
    if (size < head + length) {
        return 0;
    }
    switch (bytes[0]) {
    case 0x81:
    case 0x82:
        member_message(link->member, bytes + head, length);
        break;
    case 0x88:
        broken(link, "the server closed the WebSocket");
        break;
    case 0x89:
        write_frame(link, 10, bytes + head, length < 126 ? length : 0);
        break;
    case 0x8a:
        break;
    default:
        broken(link, "a fragment"); /* none of these servers sends such small ones */
    }
    return head + length;
}

/* The answer to the upgrade; how many bytes it has, 0 when it is not whole. */
static size_t take_answer(struct ws_link *link, const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes;
    const char *end = find_text(text, size, "\r\n\r\n");
    char why[64];

    if (!end) {
        return 0;
    }
    if (size < 12 || memcmp(text, "HTTP/1.1 101", 12) != 0) {
        snprintf(why, sizeof(why), "upgrade refused: %.12s", size < 12 ? "" : text);
        broken(link, why);
        return 0;
    }
    link->state = OPEN;
    member_opened(link->member);
    return (size_t)(end - text) + 4;
}

static void take_bytes(struct ws_link *link, const uint8_t *bytes, size_t size)
{
    size_t done = 0, step;

    do {
        step = link->state == ASKING ? take_answer(link, bytes + done, size - done)
                                     : take_frame(link, bytes + done, size - done);
        done += step;
    } while (step > 0 && done < size && !over(link));
    size -= done;
    if (over(link)) {
        return;
    }
    if (size > REST_MAX) {
        broken(link, "an answer that does not end");
        return;
    }
    free(link->rest);
    link->rest = NULL;
    link->rest_size = size;
    if (size > 0) {
        link->rest = malloc(size);
        if (!link->rest) {
            broken(link, "no memory");
            return;
        }
        memcpy(link->rest, bytes + done, size);
    }
}

static void read_some(struct ws_link *link)
{
    size_t room;
    uint8_t *buffer = crew_buffer(member_crew(link->member), &room);
    uint8_t *large = NULL;

    for (int reads = 0; reads < READS_MAX && !over(link); reads++) {
        size_t kept = link->rest_size;
        int got;

        if (kept + 16384 > room) { /* the rest of a large frame */
            free(large);
            room = kept + 65536;
            large = malloc(room);
            if (!large) {
                broken(link, "no memory");
                return;
            }
            buffer = large;
        }
        if (kept > 0) {
            memcpy(buffer, link->rest, kept);
        }
        got = SSL_read(link->ssl, buffer + kept, (int)(room - kept));
        if (got <= 0) {
            int error = SSL_get_error(link->ssl, got);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
                broken(link, error == SSL_ERROR_ZERO_RETURN ? "the server ended it"
                                                            : "reading");
            }
            break;
        }
        take_bytes(link, buffer, kept + (size_t)got);
        if (!SSL_has_pending(link->ssl)) {
            break; /* epoll tells when there is more */
        }
    }
    free(large);
}

/* --- Opening ---------------------------------------------------------------------- */

static void ask(struct ws_link *link)
{
    const struct dialect *dialect = link->kit->plan->dialect;
    char path[128], text[512], protocol[96] = "";
    int size;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(path, sizeof(path), dialect->path, link->member->number);
#pragma GCC diagnostic pop
    if (dialect->protocol) {
        snprintf(protocol, sizeof(protocol), "Sec-WebSocket-Protocol: %s\r\n",
                 dialect->protocol);
    }
    size = snprintf(text, sizeof(text),
                    "GET %s HTTP/1.1\r\nHost: localhost:%u\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: bGlieW9tbyBiZW5jaG1hcg==\r\n%s\r\n",
                    path, (unsigned)link->kit->plan->port, protocol);
    link->state = ASKING;
    write_bytes(link, text, (size_t)size);
}

static void shake(struct ws_link *link)
{
    int rv = SSL_do_handshake(link->ssl);

    if (rv == 1) {
        ask(link);
        return;
    }
    switch (SSL_get_error(link->ssl, rv)) {
    case SSL_ERROR_WANT_READ:
        await_room(link, false);
        break;
    case SSL_ERROR_WANT_WRITE:
        await_room(link, true);
        break;
    default:
        broken(link, "TLS");
    }
}

static void on_ready(struct watcher *watcher, uint32_t events)
{
    struct ws_link *link = (struct ws_link *)(void *)watcher;

    if (over(link)) {
        return;
    }
    ERR_clear_error();
    if (link->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof(error);
        getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            broken(link, strerror(error));
            return;
        }
        link->state = SHAKING;
    }
    if (link->state == SHAKING) {
        shake(link);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        flush(link);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !over(link)) {
        read_some(link);
    }
}

struct ws_link *ws_open(struct ws_kit *kit, struct member *member)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(kit->plan->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct ws_link *link = calloc(1, sizeof(*link));
    int on = 1;

    if (!link) {
        return NULL;
    }
    link->watcher.ready = on_ready;
    link->kit = kit;
    link->member = member;
    link->awaits_room = true;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    link->ssl = SSL_new(kit->tls);
    if (link->fd < 0 || !link->ssl || SSL_set_fd(link->ssl, link->fd) != 1 ||
        SSL_set1_host(link->ssl, "localhost") != 1 ||
        SSL_set_tlsext_host_name(link->ssl, "localhost") != 1) {
        ws_close(link);
        return NULL;
    }
    SSL_set_connect_state(link->ssl);
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(link->fd, (struct sockaddr *)&address, sizeof(address)) != 0 &&
        errno != EINPROGRESS) {
        ws_close(link);
        return NULL;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT,
                                .data.ptr = &link->watcher};
    epoll_ctl(crew_poll(member_crew(member)), EPOLL_CTL_ADD, link->fd, &event);
    return link;
}

void ws_close(struct ws_link *link)
{
    if (!link) {
        return;
    }
    SSL_free(link->ssl);
    if (link->fd >= 0) {
        close(link->fd);
    }
    free(link->rest);
    free(link->queue);
    free(link);
}
