/* SPDX-License-Identifier: MIT */
/* floor_quic.c - datagrams to many peers, encrypted as QUIC does it (RFC 9001 5).
 *
 * One thread sends and is measured. Another plays all the peers: it takes the packets off
 * the sockets and answers every second one with an acknowledgement that was made before
 * the clock ran. The sender keeps at most WINDOW packets unacknowledged, so nothing is
 * lost and both run at the pace of the slower one; only the sender's CPU time counts. */
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CID_SIZE = 8,     /* of the peer's connection ID in each packet */
    HEADER_SIZE = 1 + CID_SIZE + 2, /* flags, connection ID, packet number */
    TAG_SIZE = 16,
    ACK_SIZE = 6,     /* an ACK frame with one range */
    BATCH = 64,
    WINDOW = 2048,
    PACKET_MAX = 1500
};

struct peer {
    int fd;
    struct sockaddr_in address;
    EVP_CIPHER_CTX *seal, *open; /* AEAD: one key for each direction */
    EVP_CIPHER_CTX *mask_out, *mask_in;
    uint8_t iv[12];
    uint64_t number;             /* of the next packet */
    uint8_t ack[HEADER_SIZE + ACK_SIZE + TAG_SIZE];
    unsigned unacknowledged;     /* the peers' thread: packets since the last ack */
};

struct stage {
    struct peer *peers;
    unsigned count;
    int server;
    atomic_bool stop;
};

static EVP_CIPHER_CTX *cipher(const EVP_CIPHER *kind, int encrypt, bool padding)
{
    static const uint8_t key[16] = "a key for floors";
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    FLOOR_CHECK(ctx && EVP_CipherInit_ex(ctx, kind, NULL, key, NULL, encrypt) == 1);
    EVP_CIPHER_CTX_set_padding(ctx, padding);
    return ctx;
}

static void nonce_of(uint8_t nonce[12], const uint8_t iv[12], uint64_t number)
{
    memcpy(nonce, iv, 12);
    for (int i = 0; i < 8; i++) {
        nonce[11 - i] ^= (uint8_t)(number >> (8 * i));
    }
}

static void protect(EVP_CIPHER_CTX *mask_ctx, uint8_t *packet)
{
    uint8_t mask[16];
    int size;
    FLOOR_CHECK(EVP_EncryptUpdate(mask_ctx, mask, &size, packet + 1 + CID_SIZE + 4, 16) == 1);
    packet[0] ^= mask[0] & 0x1f;
    packet[1 + CID_SIZE] ^= mask[1];
    packet[2 + CID_SIZE] ^= mask[2];
}

static size_t seal(EVP_CIPHER_CTX *aead, EVP_CIPHER_CTX *mask, const uint8_t iv[12],
                   uint64_t number, const uint8_t *payload, size_t size, uint8_t *packet)
{
    uint8_t nonce[12];
    int done;
    packet[0] = 0x41; /* short header, two bytes of packet number */
    memset(packet + 1, 0xc1, CID_SIZE);
    packet[1 + CID_SIZE] = (uint8_t)(number >> 8);
    packet[2 + CID_SIZE] = (uint8_t)number;
    nonce_of(nonce, iv, number);
    FLOOR_CHECK(EVP_EncryptInit_ex(aead, NULL, NULL, NULL, nonce) == 1);
    FLOOR_CHECK(EVP_EncryptUpdate(aead, NULL, &done, packet, HEADER_SIZE) == 1);
    FLOOR_CHECK(EVP_EncryptUpdate(aead, packet + HEADER_SIZE, &done, payload,
                                  (int)size) == 1);
    FLOOR_CHECK(EVP_EncryptFinal_ex(aead, packet + HEADER_SIZE + done, &done) == 1);
    FLOOR_CHECK(EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE,
                                    packet + HEADER_SIZE + size) == 1);
    protect(mask, packet);
    return HEADER_SIZE + size + TAG_SIZE;
}

static void open_ack(struct peer *peer, uint8_t *packet, size_t size)
{
    uint8_t nonce[12], plain[PACKET_MAX];
    int done;
    FLOOR_CHECK(size > HEADER_SIZE + TAG_SIZE);
    protect(peer->mask_in, packet); /* XOR takes it off again */
    nonce_of(nonce, peer->iv, 0);
    FLOOR_CHECK(EVP_DecryptInit_ex(peer->open, NULL, NULL, NULL, nonce) == 1);
    FLOOR_CHECK(EVP_DecryptUpdate(peer->open, NULL, &done, packet, HEADER_SIZE) == 1);
    FLOOR_CHECK(EVP_DecryptUpdate(peer->open, plain, &done, packet + HEADER_SIZE,
                                  (int)(size - HEADER_SIZE - TAG_SIZE)) == 1);
    FLOOR_CHECK(EVP_CIPHER_CTX_ctrl(peer->open, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE,
                                    packet + size - TAG_SIZE) == 1);
    FLOOR_CHECK(EVP_DecryptFinal_ex(peer->open, plain + done, &done) == 1);
}

static int udp_socket(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int buffer = 4 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    FLOOR_CHECK(fd >= 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    FLOOR_CHECK(bind(fd, (struct sockaddr *)address, sizeof(*address)) == 0);
    FLOOR_CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    return fd;
}

static void prepare(struct stage *stage, unsigned count)
{
    struct sockaddr_in server;
    stage->count = count;
    stage->peers = calloc(count, sizeof(*stage->peers));
    FLOOR_CHECK(stage->peers);
    stage->server = udp_socket(&server);
    for (unsigned i = 0; i < count; i++) {
        static const uint8_t frame[ACK_SIZE] = {0x02, 0, 0, 0, 0, 0};
        struct peer *peer = &stage->peers[i];
        EVP_CIPHER_CTX *seal_ack = cipher(EVP_aes_128_gcm(), 1, true);
        peer->fd = udp_socket(&peer->address);
        FLOOR_CHECK(connect(peer->fd, (struct sockaddr *)&server, sizeof(server)) == 0);
        peer->seal = cipher(EVP_aes_128_gcm(), 1, true);
        peer->open = cipher(EVP_aes_128_gcm(), 0, true);
        peer->mask_out = cipher(EVP_aes_128_ecb(), 1, false);
        peer->mask_in = cipher(EVP_aes_128_ecb(), 1, false);
        seal(seal_ack, peer->mask_in, peer->iv, 0, frame, sizeof(frame), peer->ack);
        EVP_CIPHER_CTX_free(seal_ack);
    }
}

static void put_away(struct stage *stage)
{
    for (unsigned i = 0; i < stage->count; i++) {
        struct peer *peer = &stage->peers[i];
        close(peer->fd);
        EVP_CIPHER_CTX_free(peer->seal);
        EVP_CIPHER_CTX_free(peer->open);
        EVP_CIPHER_CTX_free(peer->mask_out);
        EVP_CIPHER_CTX_free(peer->mask_in);
    }
    close(stage->server);
    free(stage->peers);
}

static void receive(struct peer *peer)
{
    uint8_t bytes[PACKET_MAX];
    while (recv(peer->fd, bytes, sizeof(bytes), 0) > 0) {
        if (++peer->unacknowledged == 2) {
            peer->unacknowledged = 0;
            while (send(peer->fd, peer->ack, sizeof(peer->ack), MSG_NOSIGNAL) < 0) {
                FLOOR_CHECK(errno == EAGAIN || errno == EINTR || errno == ENOBUFS);
            }
        }
    }
}

static void *play_peers(void *arg)
{
    struct stage *stage = arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    FLOOR_CHECK(epoll >= 0);
    for (unsigned i = 0; i < stage->count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        FLOOR_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, stage->peers[i].fd, &event) == 0);
    }
    while (!atomic_load(&stage->stop)) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 10);
        for (int i = 0; i < ready; i++) {
            receive(&stage->peers[events[i].data.u32]);
        }
    }
    close(epoll);
    return NULL;
}

/* Take the acknowledgements that are there; each stands for two packets. */
static unsigned take_acks(struct stage *stage, const unsigned *by_port)
{
    static uint8_t bytes[BATCH][PACKET_MAX];
    struct sockaddr_in from[BATCH];
    struct iovec vectors[BATCH];
    struct mmsghdr heads[BATCH];
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){bytes[i], PACKET_MAX};
        heads[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
                                                .msg_namelen = sizeof(from[i]),
                                                .msg_iov = &vectors[i],
                                                .msg_iovlen = 1}};
    }
    int count = recvmmsg(stage->server, heads, BATCH, 0, NULL);
    for (int i = 0; i < count; i++) {
        open_ack(&stage->peers[by_port[ntohs(from[i].sin_port)]], bytes[i],
                 heads[i].msg_len);
    }
    return count > 0 ? (unsigned)count * 2 : 0;
}

static void send_batch(struct stage *stage, unsigned first, unsigned count,
                       const uint8_t *payload, size_t size)
{
    static uint8_t bytes[BATCH][PACKET_MAX];
    struct iovec vectors[BATCH];
    struct mmsghdr heads[BATCH];
    for (unsigned i = 0; i < count; i++) {
        struct peer *peer = &stage->peers[(first + i) % stage->count];
        size_t length = seal(peer->seal, peer->mask_out, peer->iv, peer->number, payload,
                             size, bytes[i]);
        peer->number++;
        vectors[i] = (struct iovec){bytes[i], length};
        heads[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &peer->address,
                                                .msg_namelen = sizeof(peer->address),
                                                .msg_iov = &vectors[i],
                                                .msg_iovlen = 1}};
    }
    for (unsigned sent = 0; sent < count;) {
        int rv = sendmmsg(stage->server, heads + sent, count - sent, MSG_NOSIGNAL);
        FLOOR_CHECK(rv > 0 || errno == EAGAIN || errno == EINTR || errno == ENOBUFS);
        sent += rv > 0 ? (unsigned)rv : 0;
    }
}

void floor_quic(const struct floor_options *options, struct floor_result *result)
{
    struct stage stage = {0};
    pthread_t peers;
    uint8_t payload[PACKET_MAX] = {0x31};
    unsigned *by_port = calloc(65536, sizeof(*by_port));
    unsigned next = 0;
    uint64_t flying = 0;

    FLOOR_CHECK(by_port && options->size + HEADER_SIZE + TAG_SIZE < PACKET_MAX);
    prepare(&stage, options->peers);
    for (unsigned i = 0; i < stage.count; i++) {
        by_port[ntohs(stage.peers[i].address.sin_port)] = i;
    }
    FLOOR_CHECK(pthread_create(&peers, NULL, play_peers, &stage) == 0);

    /* Each peer holds back its last odd packet, so that many stay unacknowledged. */
    uint64_t window = WINDOW + stage.count;
    double wall = floor_clock(CLOCK_MONOTONIC);
    double cpu = floor_clock(CLOCK_THREAD_CPUTIME_ID);
    double end = wall + options->seconds;
    while (floor_clock(CLOCK_MONOTONIC) < end) {
        unsigned acked = take_acks(&stage, by_port);
        flying = acked < flying ? flying - acked : 0;
        if (flying + BATCH > window) {
            struct pollfd watch = {.fd = stage.server, .events = POLLIN};
            if (acked == 0 && poll(&watch, 1, 10) == 0) {
                flying = 0; /* the kernel dropped some; go on */
            }
            continue;
        }
        send_batch(&stage, next, BATCH, payload, options->size);
        next = (next + BATCH) % stage.count;
        flying += BATCH;
        result->deliveries += BATCH;
    }
    result->cpu_seconds = floor_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
    result->wall_seconds = floor_clock(CLOCK_MONOTONIC) - wall;
    atomic_store(&stage.stop, true);
    pthread_join(peers, NULL);
    put_away(&stage);
    free(by_port);
}
