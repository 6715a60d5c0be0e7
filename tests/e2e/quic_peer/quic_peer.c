/* SPDX-License-Identifier: MIT */
/* quic_peer.c - packets are read until there are none, then written until nothing is
 * left or congestion control says so. Bytes to send are kept until the end of it all:
 * ngtcp2 points into them, and a test sends little. */
#include "quic_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 1452
#define PACKETS_A_RUN 64 /* then what was told meanwhile is looked at */

struct piece { /* to be sent on a stream, or as a datagram, or as frames */
    struct piece *next;
    const uint8_t *bytes;
    size_t size, sent;
    bool frames;
};

struct stream {
    struct stream *next;
    int64_t id;
    char name[24];
    struct piece *first, **last;
    bool end, end_sent, blocked, over;
    bool reset; /* once all of it is sent */
    uint64_t reset_code;
};

struct kept { /* bytes that live as long as the peer */
    struct kept *next;
    uint8_t bytes[];
};

struct quic_peer {
    struct quic_peer_options options;
    int fd;
    struct sockaddr_in local, remote;
    SSL_CTX *tls;
    SSL *ssl;
    ngtcp2_crypto_ossl_ctx *crypto;
    ngtcp2_crypto_conn_ref ref;
    ngtcp2_conn *quic;
    ngtcp2_cid scid;
    struct stream *streams;
    struct piece *datagrams, **datagrams_last;
    struct kept *kept;
    uint64_t datagram_id, garble;
    struct {
        uint64_t left, open; /* to be opened; opened, but not done */
        bool active, bidirectional;
        const uint8_t *bytes;
        size_t size;
        enum quic_peer_last last;
    } flood;
    struct {
        char name[24]; /* "": none */
        bool bidirectional;
    } wanted; /* a stream that the server does not allow yet */
    bool hanging, over, close_due;
    uint64_t close_code;
};

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

static void ensure(bool holds)
{
    if (!holds) {
        abort();
    }
}

static const uint8_t *keep(struct quic_peer *peer, const uint8_t *bytes, size_t size)
{
    struct kept *kept = must(malloc(sizeof(*kept) + size));
    kept->next = peer->kept;
    peer->kept = kept;
    if (size > 0) {
        memcpy(kept->bytes, bytes, size);
    }
    return kept->bytes;
}

static void say_hex(const uint8_t *bytes, size_t size)
{
    printf("\"hex\":\"");
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\"");
}

static ngtcp2_tstamp clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (ngtcp2_tstamp)now.tv_sec * NGTCP2_SECONDS + (ngtcp2_tstamp)now.tv_nsec;
}

/* --- Streams ---------------------------------------------------------------------- */

static struct stream *by_id(struct quic_peer *peer, int64_t id)
{
    for (struct stream *s = peer->streams; s; s = s->next) {
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static struct stream *add_stream(struct quic_peer *peer, int64_t id, const char *name)
{
    struct stream *s = must(calloc(1, sizeof(*s)));
    s->id = id;
    s->last = &s->first;
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->next = peer->streams;
    peer->streams = s;
    return s;
}

static struct stream *find(struct quic_peer *peer, const char *name)
{
    char *end;
    long long id = strtoll(name, &end, 10);
    for (struct stream *s = peer->streams; s; s = s->next) {
        if (*name && strcmp(s->name, name) == 0) {
            return s;
        }
    }
    if (*end != '\0' || end == name) {
        return NULL;
    }
    struct stream *s = by_id(peer, id);
    return s ? s : add_stream(peer, id, "");
}

static void drop_pieces(struct piece **first, struct piece ***last)
{
    while (*first) {
        struct piece *next = (*first)->next;
        free(*first);
        *first = next;
    }
    *last = first;
}

static void push(struct piece ***last, const uint8_t *bytes, size_t size)
{
    struct piece *piece = must(calloc(1, sizeof(*piece)));
    piece->bytes = bytes;
    piece->size = size;
    **last = piece;
    *last = &piece->next;
}

static void drop_stream(struct stream *s)
{
    s->over = true;
    drop_pieces(&s->first, &s->last);
}

/* --- What ngtcp2 tells ------------------------------------------------------------ */

static int on_handshake(ngtcp2_conn *quic, void *user)
{
    struct quic_peer *peer = user;
    const ngtcp2_cid *server = ngtcp2_conn_get_dcid(quic);
    printf("{\"event\":\"ready\",\"server\":{"); /* the IDs of both ends */
    say_hex(server->data, server->datalen);
    printf("},\"client\":{");
    say_hex(peer->scid.data, peer->scid.datalen);
    puts("}}");
    return 0;
}

static int on_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset,
                   const uint8_t *bytes, size_t size, void *user, void *stream)
{
    struct quic_peer *peer = user;
    (void)offset, (void)stream;
    printf("{\"event\":\"data\",\"stream\":%" PRId64 ",\"end\":%s,", id,
           flags & NGTCP2_STREAM_DATA_FLAG_FIN ? "true" : "false");
    say_hex(bytes, size);
    puts("}");
    if (!peer->options.hold) {
        ngtcp2_conn_extend_max_stream_offset(quic, id, size);
        ngtcp2_conn_extend_max_offset(quic, size);
    }
    return 0;
}

static int on_reset(ngtcp2_conn *quic, int64_t id, uint64_t size, uint64_t code,
                    void *user, void *stream)
{
    (void)quic, (void)size, (void)user, (void)stream;
    printf("{\"event\":\"reset\",\"stream\":%" PRId64 ",\"code\":%" PRIu64 "}\n", id,
           code);
    return 0;
}

/* `code` is the one of RESET_STREAM or STOP_SENDING, whichever came. */
static int on_stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code,
                           void *user, void *stream)
{
    struct quic_peer *peer = user;
    struct stream *s = by_id(peer, id);
    (void)stream;
    if (!ngtcp2_conn_is_local_stream(quic, id)) {
        ngtcp2_conn_extend_max_streams_uni(quic, (id & 2) != 0);
        ngtcp2_conn_extend_max_streams_bidi(quic, (id & 2) == 0);
    }
    if (s) {
        drop_stream(s);
    }
    if (s && s->name[0] == '\0' && ngtcp2_conn_is_local_stream(quic, id)) {
        return 0; /* one of a flood: nobody wants to know */
    }
    printf("{\"event\":\"closed\",\"stream\":%" PRId64, id);
    if (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) {
        printf(",\"code\":%" PRIu64, code);
    }
    puts("}");
    return 0;
}

static int on_acked(ngtcp2_conn *quic, int64_t id, uint64_t offset, uint64_t size,
                    void *user, void *stream)
{
    struct stream *s = by_id(user, id);
    (void)quic, (void)stream;
    if (s && s->name[0] != '\0') {
        printf("{\"event\":\"acked\",\"stream\":%" PRId64 ",\"size\":%" PRIu64 "}\n",
               id, offset + size);
    }
    return 0;
}

static int on_unblocked(ngtcp2_conn *quic, int64_t id, uint64_t max, void *user,
                        void *stream)
{
    struct stream *s = by_id(user, id);
    (void)quic, (void)max, (void)stream;
    if (s) {
        s->blocked = false;
    }
    return 0;
}

static int on_datagram(ngtcp2_conn *quic, uint32_t flags, const uint8_t *bytes,
                       size_t size, void *user)
{
    (void)quic, (void)flags, (void)user;
    printf("{\"event\":\"datagram\",");
    say_hex(bytes, size);
    puts("}");
    return 0;
}

/* Frames that take the place of those in the packet that is being written. ngtcp2 gives
 * this call nothing of ours. */
static const struct piece *smuggled;

static int on_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                      const ngtcp2_crypto_aead_ctx *context, const uint8_t *plain,
                      size_t size, const uint8_t *nonce, size_t nonce_size,
                      const uint8_t *header, size_t header_size)
{
    uint8_t frames[PACKET_MAX] = {0}; /* and PADDING */
    if (smuggled) {
        ensure(smuggled->size <= size && size <= sizeof(frames));
        memcpy(frames, smuggled->bytes, smuggled->size);
        plain = frames;
    }
    return ngtcp2_crypto_encrypt_cb(dest, aead, context, plain, size, nonce, nonce_size,
                                    header, header_size);
}

static void on_rand(uint8_t *dest, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    ensure(RAND_bytes(dest, (int)size) == 1);
}

static int on_new_id(ngtcp2_conn *quic, ngtcp2_cid *cid,
                     ngtcp2_stateless_reset_token *token, size_t size, void *user)
{
    (void)quic, (void)user;
    cid->datalen = size;
    ensure(RAND_bytes(cid->data, (int)size) == 1 &&
           RAND_bytes(token->data, sizeof(token->data)) == 1);
    return 0;
}

static int on_stateless_reset(ngtcp2_conn *quic,
                              const ngtcp2_pkt_stateless_reset2 *reset, void *user)
{
    struct quic_peer *peer = user;
    (void)quic, (void)reset;
    puts("{\"event\":\"end\",\"kind\":\"stateless reset\"}");
    peer->over = true;
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = on_handshake,
    .encrypt = on_encrypt,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = on_data,
    .acked_stream_data_offset = on_acked,
    .stream_close = on_stream_close,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .rand = on_rand,
    .update_key = ngtcp2_crypto_update_key_cb,
    .stream_reset = on_reset,
    .extend_max_stream_data = on_unblocked,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .recv_datagram = on_datagram,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .recv_stateless_reset2 = on_stateless_reset,
    .get_new_connection_id2 = on_new_id,
    .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
};

/* --- Life ------------------------------------------------------------------------- */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct quic_peer *)((char *)ref - offsetof(struct quic_peer, ref)))->quic;
}

static void open_socket(struct quic_peer *peer)
{
    socklen_t size = sizeof(peer->local);
    peer->remote.sin_family = AF_INET;
    peer->remote.sin_port = htons(peer->options.port);
    peer->remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ensure(peer->fd >= 0 &&
           connect(peer->fd, (struct sockaddr *)&peer->remote, sizeof(peer->remote)) ==
               0 &&
           getsockname(peer->fd, (struct sockaddr *)&peer->local, &size) == 0);
}

static void open_tls(struct quic_peer *peer)
{
    static const uint8_t alpn[] = {2, 'h', '3'};
    ensure(ngtcp2_crypto_ossl_init() == 0);
    peer->tls = must(SSL_CTX_new(TLS_client_method()));
    peer->ssl = must(SSL_new(peer->tls));
    ensure(ngtcp2_crypto_ossl_ctx_new(&peer->crypto, peer->ssl) == 0 &&
           ngtcp2_crypto_ossl_configure_client_session(peer->ssl) == 0 &&
           SSL_set_alpn_protos(peer->ssl, alpn, sizeof(alpn)) == 0 &&
           SSL_set_tlsext_host_name(peer->ssl, "localhost") == 1);
    peer->ref.get_conn = get_conn;
    SSL_set_app_data(peer->ssl, &peer->ref);
    SSL_set_connect_state(peer->ssl);
}

static ngtcp2_path path_of(struct quic_peer *peer)
{
    return (ngtcp2_path){
        .local = {(ngtcp2_sockaddr *)&peer->local, sizeof(peer->local)},
        .remote = {(ngtcp2_sockaddr *)&peer->remote, sizeof(peer->remote)}};
}

struct quic_peer *quic_peer_create(const struct quic_peer_options *options)
{
    struct quic_peer *peer = must(calloc(1, sizeof(*peer)));
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid dcid = {.datalen = 16}, scid = {.datalen = 8};

    peer->options = *options;
    peer->datagrams_last = &peer->datagrams;
    open_socket(peer);
    open_tls(peer);
    ensure(RAND_bytes(dcid.data, 16) == 1 && RAND_bytes(scid.data, 8) == 1);
    peer->scid = scid;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = clock_now();
    ngtcp2_transport_params_default(&params);
    params.initial_max_stream_data_bidi_local = options->window;
    params.initial_max_stream_data_bidi_remote = options->window;
    params.initial_max_stream_data_uni = options->window;
    params.initial_max_data = options->all ? options->all : 4 * options->window;
    params.initial_max_streams_bidi = options->streams;
    params.initial_max_streams_uni = options->streams;
    params.max_datagram_frame_size = options->no_datagrams ? 0 : 65535;
    ngtcp2_path path = path_of(peer);
    ensure(ngtcp2_conn_client_new(&peer->quic, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
                                  &callbacks, &settings, &params, NULL, peer) == 0);
    ngtcp2_conn_set_tls_native_handle(peer->quic, peer->crypto);
    return peer;
}

void quic_peer_destroy(struct quic_peer *peer)
{
    while (peer->streams) {
        struct stream *s = peer->streams;
        peer->streams = s->next;
        drop_stream(s);
        free(s);
    }
    drop_pieces(&peer->datagrams, &peer->datagrams_last);
    ngtcp2_conn_del(peer->quic);
    ngtcp2_crypto_ossl_ctx_del(peer->crypto);
    SSL_set_app_data(peer->ssl, NULL);
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->tls);
    while (peer->kept) {
        struct kept *kept = peer->kept;
        peer->kept = kept->next;
        free(kept);
    }
    close(peer->fd);
    free(peer);
}

/* --- What it is told -------------------------------------------------------------- */

static struct stream *open_one(struct quic_peer *peer, const char *name, bool bidi)
{
    int64_t id;
    int rv = bidi ? ngtcp2_conn_open_bidi_stream(peer->quic, &id, NULL)
                  : ngtcp2_conn_open_uni_stream(peer->quic, &id, NULL);
    ensure(rv == 0 || rv == NGTCP2_ERR_STREAM_ID_BLOCKED);
    return rv == 0 ? add_stream(peer, id, name) : NULL;
}

static void open_wanted(struct quic_peer *peer)
{
    struct stream *s;
    if (peer->wanted.name[0] &&
        (s = open_one(peer, peer->wanted.name, peer->wanted.bidirectional)) != NULL) {
        printf("{\"event\":\"opened\",\"name\":\"%s\",\"stream\":%" PRId64 "}\n",
               s->name, s->id);
        peer->wanted.name[0] = '\0';
    }
}

void quic_peer_open(struct quic_peer *peer, const char *name, bool bidirectional)
{
    ensure(!peer->wanted.name[0]);
    snprintf(peer->wanted.name, sizeof(peer->wanted.name), "%s", name);
    peer->wanted.bidirectional = bidirectional;
    open_wanted(peer);
}

bool quic_peer_write(struct quic_peer *peer, const char *name, const uint8_t *bytes,
                     size_t size, bool end)
{
    struct stream *s = find(peer, name);
    if (s && !s->over) {
        push(&s->last, keep(peer, bytes, size), size);
        s->end = end;
    }
    return s != NULL;
}

bool quic_peer_reset(struct quic_peer *peer, const char *name, uint64_t code)
{
    struct stream *s = find(peer, name);
    if (s) {
        drop_pieces(&s->first, &s->last);
        ngtcp2_conn_shutdown_stream_write(peer->quic, 0, s->id, code);
    }
    return s != NULL;
}

bool quic_peer_stop(struct quic_peer *peer, const char *name, uint64_t code)
{
    struct stream *s = find(peer, name);
    if (s) {
        ngtcp2_conn_shutdown_stream_read(peer->quic, 0, s->id, code);
    }
    return s != NULL;
}

bool quic_peer_credit(struct quic_peer *peer, const char *name, uint64_t size)
{
    struct stream *s = find(peer, name);
    if (s) {
        ngtcp2_conn_extend_max_stream_offset(peer->quic, s->id, size);
        ngtcp2_conn_extend_max_offset(peer->quic, size);
    }
    return s != NULL;
}

void quic_peer_datagram(struct quic_peer *peer, const uint8_t *bytes, size_t size)
{
    push(&peer->datagrams_last, keep(peer, bytes, size), size);
}

void quic_peer_frames(struct quic_peer *peer, const uint8_t *bytes, size_t size)
{
    quic_peer_datagram(peer, bytes, size);
    for (struct piece *piece = peer->datagrams; piece; piece = piece->next) {
        piece->frames = piece->frames || !piece->next;
    }
}

void quic_peer_flood(struct quic_peer *peer, uint64_t count, bool bidirectional,
                     const uint8_t *bytes, size_t size, enum quic_peer_last last)
{
    peer->flood.active = true;
    peer->flood.left = count;
    peer->flood.bidirectional = bidirectional;
    peer->flood.bytes = keep(peer, bytes, size);
    peer->flood.size = size;
    peer->flood.last = last;
}

void quic_peer_raw(struct quic_peer *peer, const uint8_t *bytes, size_t size)
{
    (void)!send(peer->fd, bytes, size, 0); /* it may be lost: UDP */
}

void quic_peer_garble(struct quic_peer *peer, uint64_t count)
{
    peer->garble = count;
}

void quic_peer_hang(struct quic_peer *peer)
{
    peer->hanging = true;
}

void quic_peer_close(struct quic_peer *peer, uint64_t code)
{
    peer->close_due = true;
    peer->close_code = code;
}

/* --- Packets ---------------------------------------------------------------------- */

static void send_packet(struct quic_peer *peer, uint8_t *packet, size_t size)
{
    if (peer->garble > 0) {
        peer->garble--;
        packet[size - 1] ^= 1;
    }
    (void)!send(peer->fd, packet, size, 0); /* what is lost is sent again */
}

static void tell_end(struct quic_peer *peer, int rv)
{
    const ngtcp2_ccerr *error = ngtcp2_conn_get_ccerr(peer->quic);
    peer->over = true;
    if (rv == NGTCP2_ERR_DRAINING) {
        printf("{\"event\":\"end\",\"kind\":\"%s\",\"code\":%" PRIu64
               ",\"reason\":\"%.*s\"}\n",
               error->type == NGTCP2_CCERR_TYPE_APPLICATION ? "application"
                                                            : "transport",
               error->error_code, (int)error->reasonlen,
               error->reasonlen ? (const char *)error->reason : "");
    } else if (rv == NGTCP2_ERR_IDLE_CLOSE || rv == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        puts("{\"event\":\"end\",\"kind\":\"silence\"}");
    } else {
        printf("{\"event\":\"end\",\"kind\":\"error\",\"reason\":\"%s\"}\n",
               ngtcp2_strerror(rv));
    }
}

static void read_packets(struct quic_peer *peer)
{
    uint8_t packet[65536];
    ngtcp2_pkt_info pi = {0};
    ngtcp2_path path = path_of(peer);
    for (int i = 0; i < PACKETS_A_RUN && !peer->over; i++) {
        ssize_t n = recv(peer->fd, packet, sizeof(packet), 0);
        if (n <= 0) {
            return; /* nothing there, or ICMP says that nobody is: time will tell */
        }
        int rv = ngtcp2_conn_read_pkt(peer->quic, &path, &pi, packet, (size_t)n,
                                      clock_now());
        if (rv != 0 && !peer->over) {
            tell_end(peer, rv);
        }
    }
}

static void flood(struct quic_peer *peer)
{
    struct stream *s;
    if (!peer->flood.active) {
        return;
    }
    while (peer->flood.left > 0 &&
           (s = open_one(peer, "", peer->flood.bidirectional)) != NULL) {
        peer->flood.left--;
        push(&s->last, peer->flood.bytes, peer->flood.size);
        s->end = peer->flood.last == QUIC_PEER_END;
        s->reset = peer->flood.last == QUIC_PEER_RESET;
        s->reset_code = 1;
    }
}

/* Streams that are over go; a flood is over when none of its own waits. */
static void sweep(struct quic_peer *peer)
{
    bool waits = peer->flood.left > 0;
    for (struct stream **at = &peer->streams; *at;) {
        struct stream *s = *at;
        if (s->over && s->name[0] == '\0') {
            *at = s->next;
            free(s);
            continue;
        }
        waits = waits || (s->name[0] == '\0' && (s->first || (s->end && !s->end_sent)));
        at = &s->next;
    }
    if (peer->flood.active && !waits) {
        peer->flood.active = false;
        puts("{\"event\":\"flooded\"}");
    }
}

/* Some of `s`. False: no packet may go now. */
static bool write_stream(struct quic_peer *peer, struct stream *s)
{
    while (!s->over && !s->blocked && (s->first || (s->end && !s->end_sent))) {
        uint8_t packet[PACKET_MAX];
        ngtcp2_ssize taken = -1;
        struct piece *piece = s->first;
        ngtcp2_vec vec = {NULL, 0};
        if (piece) {
            vec.base = (uint8_t *)(uintptr_t)piece->bytes + piece->sent;
            vec.len = piece->size - piece->sent;
        }
        bool end = s->end && (!piece || !piece->next);
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(
            peer->quic, NULL, NULL, packet, sizeof(packet), &taken,
            end ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE, s->id,
            &vec, 1, clock_now());
        if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
            s->blocked = true;
            return true;
        }
        if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
            drop_stream(s);
            return true;
        }
        if (n < 0) {
            tell_end(peer, (int)n);
            return false;
        }
        if (n > 0) {
            send_packet(peer, packet, (size_t)n);
        }
        if (taken >= 0 && piece) {
            piece->sent += (size_t)taken;
            if (piece->sent == piece->size) {
                s->first = piece->next;
                s->last = s->first ? s->last : &s->first;
                free(piece);
            }
        }
        s->end_sent = s->end_sent || (taken >= 0 && end && !s->first);
        if (n == 0 || taken < 0) {
            return n > 0;
        }
    }
    if (!s->over && !s->first && s->reset) {
        s->reset = false;
        ngtcp2_conn_shutdown_stream_write(peer->quic, 0, s->id, s->reset_code);
    }
    return true;
}

static bool write_datagrams(struct quic_peer *peer)
{
    while (peer->datagrams && ngtcp2_conn_get_handshake_completed(peer->quic)) {
        uint8_t packet[PACKET_MAX];
        struct piece *piece = peer->datagrams;
        ngtcp2_vec vec = {(uint8_t *)(uintptr_t)piece->bytes, piece->size};
        int accepted = 0;
        smuggled = piece->frames ? piece : NULL;
        ngtcp2_ssize n = ngtcp2_conn_writev_datagram(
            peer->quic, NULL, NULL, packet, sizeof(packet), &accepted,
            NGTCP2_WRITE_DATAGRAM_FLAG_NONE, peer->datagram_id++, &vec, 1, clock_now());
        smuggled = NULL;
        if (n < 0) {
            tell_end(peer, (int)n);
            return false;
        }
        if (n > 0) {
            send_packet(peer, packet, (size_t)n);
        }
        if (accepted) {
            peer->datagrams = piece->next;
            peer->datagrams_last =
                peer->datagrams ? peer->datagrams_last : &peer->datagrams;
            free(piece);
        } else if (n == 0) {
            return false;
        }
    }
    return true;
}

static void write_packets(struct quic_peer *peer)
{
    uint8_t packet[PACKET_MAX];
    bool room = true;
    if (ngtcp2_conn_get_handshake_completed(peer->quic)) {
        room = write_datagrams(peer);
        for (struct stream *s = peer->streams; s && room; s = s->next) {
            room = write_stream(peer, s);
        }
    }
    for (int i = 0; i < PACKETS_A_RUN && !peer->over; i++) {
        ngtcp2_ssize n = ngtcp2_conn_write_pkt(peer->quic, NULL, NULL, packet,
                                               sizeof(packet), clock_now());
        if (n < 0) {
            tell_end(peer, (int)n);
        }
        if (n <= 0) {
            break;
        }
        send_packet(peer, packet, (size_t)n);
    }
    ngtcp2_conn_update_pkt_tx_time(peer->quic, clock_now());
}

void quic_peer_print_first(const struct quic_peer_options *options)
{
    struct quic_peer *peer = quic_peer_create(options);
    uint8_t packet[PACKET_MAX];
    ngtcp2_ssize n = ngtcp2_conn_write_pkt(peer->quic, NULL, NULL, packet,
                                           sizeof(packet), clock_now());
    ensure(n > 0);
    for (ngtcp2_ssize i = 0; i < n; i++) {
        printf("%02x", packet[i]);
    }
    puts("");
    quic_peer_destroy(peer);
}

static void write_close(struct quic_peer *peer)
{
    uint8_t packet[PACKET_MAX];
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    ngtcp2_ccerr_set_application_error(&error, peer->close_code, NULL, 0);
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(
        peer->quic, NULL, NULL, packet, sizeof(packet), &error, clock_now());
    if (n > 0) {
        send_packet(peer, packet, (size_t)n);
    }
    puts("{\"event\":\"end\",\"kind\":\"closed\"}");
    peer->over = true;
}

int quic_peer_fd(const struct quic_peer *peer)
{
    return peer->fd;
}

int quic_peer_timeout_ms(const struct quic_peer *peer)
{
    ngtcp2_tstamp due = ngtcp2_conn_get_expiry(peer->quic), now = clock_now();
    if (peer->hanging || due == UINT64_MAX) {
        return -1;
    }
    if (due <= now) {
        return 0;
    }
    uint64_t ms = (due - now + NGTCP2_MILLISECONDS - 1) / NGTCP2_MILLISECONDS;
    return ms > 60000 ? 60000 : (int)ms;
}

bool quic_peer_run(struct quic_peer *peer)
{
    if (peer->hanging) {
        return true;
    }
    read_packets(peer);
    if (!peer->over && ngtcp2_conn_get_expiry(peer->quic) <= clock_now()) {
        int rv = ngtcp2_conn_handle_expiry(peer->quic, clock_now());
        if (rv != 0) {
            tell_end(peer, rv);
        }
    }
    if (!peer->over) {
        open_wanted(peer);
        flood(peer);
        write_packets(peer);
        sweep(peer);
    }
    if (!peer->over && peer->close_due) {
        write_close(peer);
    }
    peer->hanging = peer->hanging || peer->options.stop_halfway;
    return !peer->over;
}
