/* SPDX-License-Identifier: MIT */
/* floor_tls.c - TLS records to many sockets.
 *
 * One thread writes a record for each delivery and is measured; another takes the bytes
 * off the sockets without looking at them. The TLS sessions are real ones (TLS 1.3,
 * AES-128-GCM), made before the clock runs. */
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct line {
    int writer, reader;
    SSL *tls;
};

struct stage {
    struct line *lines;
    unsigned count;
    atomic_bool stop;
};

static SSL_CTX *server_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FLOOR_CHECK(ctx && key && cert);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    FLOOR_CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    FLOOR_CHECK(SSL_CTX_use_certificate(ctx, cert) == 1);
    FLOOR_CHECK(SSL_CTX_use_PrivateKey(ctx, key) == 1);
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    FLOOR_CHECK(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static void connect_pair(struct line *line, int listener, const struct sockaddr_in *address)
{
    int one = 1;
    line->reader = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FLOOR_CHECK(line->reader >= 0);
    FLOOR_CHECK(connect(line->reader, (const struct sockaddr *)address,
                        sizeof(*address)) == 0);
    line->writer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    FLOOR_CHECK(line->writer >= 0);
    setsockopt(line->writer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Both ends in one thread: the client's socket blocks, the server's does not, and each
 * side is stepped until both are done. */
static void handshake(struct line *line, SSL_CTX *server, SSL_CTX *client)
{
    SSL *reader = SSL_new(client);
    BIO *from = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
    char bytes[16384];
    int rv;
    line->tls = SSL_new(server);
    FLOOR_CHECK(reader && from && to && line->tls);
    SSL_set_bio(reader, from, to);
    SSL_set_connect_state(reader);
    SSL_set_fd(line->tls, line->writer);
    SSL_set_accept_state(line->tls);
    while (!SSL_is_init_finished(line->tls) || !SSL_is_init_finished(reader)) {
        SSL_do_handshake(reader);
        while ((rv = BIO_read(to, bytes, sizeof(bytes))) > 0) {
            FLOOR_CHECK(send(line->reader, bytes, (size_t)rv, MSG_NOSIGNAL) == rv);
        }
        SSL_do_handshake(line->tls);
        struct pollfd watch = {.fd = line->reader, .events = POLLIN};
        while (poll(&watch, 1, 1) == 1) {
            ssize_t got = recv(line->reader, bytes, sizeof(bytes), MSG_DONTWAIT);
            FLOOR_CHECK(got > 0);
            BIO_write(from, bytes, (int)got);
        }
    }
    SSL_free(reader);
}

static void prepare(struct stage *stage, unsigned count)
{
    SSL_CTX *server = server_context(), *client = SSL_CTX_new(TLS_client_method());
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FLOOR_CHECK(client && listener >= 0);
    FLOOR_CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    FLOOR_CHECK(listen(listener, 16) == 0);
    FLOOR_CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    stage->count = count;
    stage->lines = calloc(count, sizeof(*stage->lines));
    FLOOR_CHECK(stage->lines);
    for (unsigned i = 0; i < count; i++) {
        connect_pair(&stage->lines[i], listener, &address);
        handshake(&stage->lines[i], server, client);
    }
    close(listener);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void *drain(void *arg)
{
    struct stage *stage = arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    char bytes[65536];
    FLOOR_CHECK(epoll >= 0);
    for (unsigned i = 0; i < stage->count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        FLOOR_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, stage->lines[i].reader, &event) == 0);
    }
    while (!atomic_load(&stage->stop)) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 10);
        for (int i = 0; i < ready; i++) {
            (void)!recv(stage->lines[events[i].data.u32].reader, bytes, sizeof(bytes),
                        MSG_DONTWAIT);
        }
    }
    close(epoll);
    return NULL;
}

void floor_tls(const struct floor_options *options, struct floor_result *result)
{
    struct stage stage = {0};
    pthread_t readers;
    uint8_t frame[16384];

    FLOOR_CHECK(options->size <= sizeof(frame));
    memset(frame, 0x82, sizeof(frame));
    prepare(&stage, options->peers);
    FLOOR_CHECK(pthread_create(&readers, NULL, drain, &stage) == 0);

    double wall = floor_clock(CLOCK_MONOTONIC);
    double cpu = floor_clock(CLOCK_THREAD_CPUTIME_ID);
    double end = wall + options->seconds;
    while (floor_clock(CLOCK_MONOTONIC) < end) {
        for (unsigned i = 0; i < stage.count; i++) {
            struct line *line = &stage.lines[i];
            if (SSL_write(line->tls, frame, (int)options->size) > 0) {
                result->deliveries++;
                continue;
            }
            /* Full: let the readers run. Waiting costs no CPU time. */
            struct pollfd watch = {.fd = line->writer, .events = POLLOUT};
            FLOOR_CHECK(SSL_get_error(line->tls, -1) == SSL_ERROR_WANT_WRITE);
            poll(&watch, 1, 100);
        }
    }
    result->cpu_seconds = floor_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
    result->wall_seconds = floor_clock(CLOCK_MONOTONIC) - wall;
    atomic_store(&stage.stop, true);
    pthread_join(readers, NULL);
    for (unsigned i = 0; i < stage.count; i++) {
        SSL_free(stage.lines[i].tls);
        close(stage.lines[i].reader);
        close(stage.lines[i].writer);
    }
    free(stage.lines);
}
