/* SPDX-License-Identifier: MIT */
/* Whole decrypted packets into the engine: QUIC's frames, HTTP/3, sessions, all that is
 * behind the keys. Packets are not encrypted at all: the three calls of ngtcp2's crypto
 * library that do it are replaced at link time (--wrap), and the handshake is a real
 * one.
 *
 * The first byte says who is attacked (a server or a client), what stands by then (half
 * a handshake, a connection, a session, rooms' messages), and how many sessions there
 * may be. Then packets follow: two bytes of kind and size, and the payload, to which
 * only the header is added. The real peer is silent from then on.
 *
 * Limits must hold throughout, memory stays within a bound, and all of it ends. */
#include <stdlib.h>
#include <yomo/error.h>

#include "support/fault.h"
/* The endpoints that hand each other packets, of the unit tests. */
#include "unit/transport/webtransport/world.c"
#include "unit/transport/webtransport/world_ends.c"

#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define SESSIONS 4
#define PACKETS_MAX 64
#define MEMORY_MAX (4u << 20) /* 1 MiB is what windows and a stuck echo come to */
#define TAG_SIZE 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TO_CLIENT = 1, SEVERAL = 2, MESSAGES = 4, STAGE_SHIFT = 3 };
enum stage { HALFWAY, CONNECTED, IN_SESSION };
enum kind { ONE_RTT, ONE_RTT_NEXT_KEYS, HANDSHAKE, INITIAL, KINDS };

static struct world world;
static struct fault memory;
static struct node *server, *client;
static struct side messages;
static bool mute; /* what the real peer says behind the handshake is made PADDING */
static unsigned mode;
static size_t sessions; /* that have not been told their end */
static bool opened;     /* the client's */

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* --- No encryption ---------------------------------------------------------------- */

int __wrap_ngtcp2_crypto_encrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                                    const ngtcp2_crypto_aead_ctx *context,
                                    const uint8_t *plain, size_t size,
                                    const uint8_t *nonce, size_t nonce_size,
                                    const uint8_t *header, size_t header_size);
int __wrap_ngtcp2_crypto_decrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                                    const ngtcp2_crypto_aead_ctx *context,
                                    const uint8_t *cipher, size_t size,
                                    const uint8_t *nonce, size_t nonce_size,
                                    const uint8_t *header, size_t header_size);
int __wrap_ngtcp2_crypto_hp_mask_cb(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                                    const ngtcp2_crypto_cipher_ctx *context,
                                    const uint8_t *sample);

int __wrap_ngtcp2_crypto_encrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                                    const ngtcp2_crypto_aead_ctx *context,
                                    const uint8_t *plain, size_t size,
                                    const uint8_t *nonce, size_t nonce_size,
                                    const uint8_t *header, size_t header_size)
{
    (void)aead, (void)context, (void)nonce, (void)nonce_size;
    memmove(dest, plain, size);
    if (mute && header_size > 0 && (header[0] & 0x80) == 0) {
        memset(dest, 0, size);
    }
    memset(dest + size, 0, TAG_SIZE);
    return 0;
}

int __wrap_ngtcp2_crypto_decrypt_cb(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                                    const ngtcp2_crypto_aead_ctx *context,
                                    const uint8_t *cipher, size_t size,
                                    const uint8_t *nonce, size_t nonce_size,
                                    const uint8_t *header, size_t header_size)
{
    (void)aead, (void)context, (void)nonce, (void)nonce_size;
    (void)header, (void)header_size;
    if (size < TAG_SIZE) {
        return NGTCP2_ERR_DECRYPT;
    }
    memmove(dest, cipher, size - TAG_SIZE);
    return 0;
}

int __wrap_ngtcp2_crypto_hp_mask_cb(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                                    const ngtcp2_crypto_cipher_ctx *context,
                                    const uint8_t *sample)
{
    (void)hp, (void)context, (void)sample;
    memset(dest, 0, NGTCP2_HP_MASKLEN);
    return 0;
}

/* --- Who is attacked: it echoes, so that there is something to acknowledge ---------
 */

static size_t on_echo_data(void *user, struct yo_wt_stream *stream,
                           struct yo_span bytes, bool end, yo_time now)
{
    size_t taken = bytes.size;
    (void)user, (void)now;
    if (yo_wt_stream_bidirectional(stream)) {
        if (yo_wt_stream_write(stream, bytes, 4096, &taken) != YOMO_OK) {
            taken = bytes.size;
        }
        if (end && taken == bytes.size) {
            yo_wt_stream_end(stream);
        }
    }
    return taken;
}

static void on_echo_acked(void *user, struct yo_wt_stream *stream, size_t size,
                          yo_time now)
{
    (void)user, (void)size, (void)now;
    yo_wt_stream_resume(stream);
}

static const struct yo_wt_stream_events echo = {.on_data = on_echo_data,
                                                .on_acked = on_echo_acked};

static void on_echo_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    (void)user, (void)now;
    yo_wt_stream_listen(stream, &echo, NULL);
}

static void on_echo_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_wt_session *session = user;
    struct yo_blob *blob = yo_blob_create(world.mem, bytes);
    (void)now;
    if (blob && yo_wt_session_datagrams_queued(session) < 4096) {
        yo_wt_session_send(session, blob, 1);
    }
    yo_blob_unref(blob);
}

static void on_echo_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    (void)user, (void)end, (void)now;
    must(sessions-- > 0);
}

/* Something of its own under way, of each kind. */
static void speak(struct yo_wt_session *session)
{
    struct yo_wt_stream *stream;
    size_t taken;
    for (int i = 0; i < 2; i++) {
        if (yo_wt_session_open(session, i == 0, &echo, NULL, &stream) == YOMO_OK) {
            yo_wt_stream_write(stream, yo_span_of("something to acknowledge"), SIZE_MAX,
                               &taken);
        }
    }
    on_echo_datagram(session, yo_span_of("and a datagram"), world.now);
}

static void on_echo_open(void *user, yo_time now)
{
    (void)now;
    opened = true;
    if ((mode & TO_CLIENT) != 0) {
        speak(user);
    }
}

static const struct yo_wt_session_events echo_session = {.on_open = on_echo_open,
                                                         .on_stream = on_echo_stream,
                                                         .on_datagram =
                                                             on_echo_datagram,
                                                         .on_end = on_echo_end};

static void answer(struct node *node, struct yo_wt_session *session)
{
    struct yo_response yes = {.status = 200, .extension = true}, no = {.status = 404};
    node->request = NULL;
    if ((mode & MESSAGES) != 0 && messages.conn) {
        yo_quic_refuse(session, &no);
    } else if ((mode & MESSAGES) != 0) {
        side_finish(&messages);
        side_init(&messages, &world);
        messages.unchecked = true;
        node->request = session;
        side_accept(&messages, node, &yes);
    } else if ((session = yo_quic_accept_session(session, &yes)) != NULL) {
        sessions++;
        yo_wt_session_listen(session, &echo_session, session);
        speak(session);
    }
}

/* --- Packets -----------------------------------------------------------------------
 */

static size_t put_header(uint8_t *out, enum kind kind, const ngtcp2_cid *dcid,
                         uint32_t number, size_t payload)
{
    static const uint8_t first[KINDS] = {0x43, 0x47, 0xe3, 0xc3};
    size_t n = 0;
    out[n++] = first[kind];
    if (kind >= HANDSHAKE) {
        memcpy(out + n, "\0\0\0\1", 4);
        n += 4;
        out[n++] = (uint8_t)dcid->datalen;
    }
    memcpy(out + n, dcid->data, dcid->datalen);
    n += dcid->datalen;
    if (kind >= HANDSHAKE) {
        out[n++] = 0; /* a source ID of no length, as our clients have */
    }
    if (kind == INITIAL) {
        out[n++] = 0; /* nor a token */
    }
    if (kind >= HANDSHAKE) {
        size_t rest = 4 + payload + TAG_SIZE;
        out[n++] = (uint8_t)(0x40 | rest >> 8);
        out[n++] = (uint8_t)rest;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        out[n++] = (uint8_t)(number >> shift);
    }
    return n;
}

static void inject(struct node *to, struct node *from, enum kind kind,
                   struct yo_span payload)
{
    static const ngtcp2_cid none;
    static uint32_t number = 1000; /* behind all of the real one's */
    const ngtcp2_cid *dcid = &none;
    uint8_t packet[2048];
    if (to == server) {
        if (!client->endpoint->only) {
            return;
        }
        dcid = ngtcp2_conn_get_dcid(client->endpoint->only->quic);
    }
    size_t n = put_header(packet, kind, dcid, number++, payload.size);
    if (payload.size > 0) {
        memcpy(packet + n, payload.data, payload.size);
    }
    n += payload.size;
    memset(packet + n, 0, TAG_SIZE);
    n += TAG_SIZE;
    if (kind == INITIAL && n < 1200) { /* RFC 9000 14.1 */
        memset(packet + n, 0, 1200 - n);
        n = 1200;
    }
    world_inject(to, from, yo_span(packet, n));
}

static void check(struct node *node)
{
    must(atomic_load(&memory.bytes) < MEMORY_MAX);
    YO_LIST_EACH(at, next_conn, &node->endpoint->conns)
    {
        struct yo_quic_conn *conn = YO_CONTAINER(at, struct yo_quic_conn, link);
        size_t early = 0, live = 0, expected = 0;
        YO_LIST_EACH(link, next, &conn->sessions)
        {
            struct yo_wt_session *session =
                YO_CONTAINER(link, struct yo_wt_session, link);
            live += session->phase != YO_WT_EXPECTED;
            expected += session->phase == YO_WT_EXPECTED;
            YO_LIST_EACH(stream_link, next_stream, &session->early)
            {
                early++;
            }
        }
        must(live <= ((mode & SEVERAL) != 0 ? SESSIONS : 1));
        must(early == conn->early_streams && early <= YO_WT_EARLY_STREAMS_MAX);
        must(conn->early_datagrams <= YO_WT_EARLY_DATAGRAMS_MAX);
        must(expected <= YO_WT_EARLY_STREAMS_MAX + YO_WT_EARLY_DATAGRAMS_MAX);
    }
}

static bool is_ready(struct node *node)
{
    YO_LIST_EACH(at, next, &node->endpoint->conns)
    {
        return YO_CONTAINER(at, struct yo_quic_conn, link)->state >= YO_QUIC_READY;
    }
    return false;
}

/* Two endpoints, and what stands between them before the attack. */
static void begin(void)
{
    world_init(&world, 1);
    world.mem = &memory.mem;
    struct yo_endpoint_options options = world_options(&world, true);
    options.sessions = (mode & SEVERAL) != 0 ? SESSIONS : 1;
    server = world_server(&world, &options);
    server->on_request = answer;
    options = world_options(&world, false);
    options.sessions = (mode & SEVERAL) != 0 ? SESSIONS : 1;
    client = world_client(&world, &options);
    side_init(&messages, &world);
    enum stage stage = (mode >> STAGE_SHIFT) % 3;
    struct yo_endpoint_connect connect = connect_options(client, server);
    struct yo_wt_session *session;
    must(yo_endpoint_connect_session(client->endpoint, &connect, &session, world.now) ==
         YOMO_OK);
    sessions = 1;
    opened = false;
    mute = stage == CONNECTED;
    yo_wt_session_listen(session, &echo_session, session);
    if (stage == HALFWAY) {
        UNTIL(&world, !yo_list_empty(&server->endpoint->conns));
        world_for(&world, 15 * YO_MS); /* the server's first flight is there */
    } else if (stage == CONNECTED) {
        UNTIL(&world, is_ready(server) && is_ready(client));
    } else {
        UNTIL(&world, opened);
    }
    mute = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span bytes = yo_span(data, size);
    if (!world_server_tls) {
        world_begin_tls(NULL);
        atexit((void (*)(void))world_end_tls);
    }
    if (size < 1) {
        return 0;
    }
    fault_init(&memory, 0, FAULT_ONCE);
    mode = data[0];
    bytes = yo_span_skip(bytes, 1);
    begin();
    struct node *to = (mode & TO_CLIENT) != 0 ? client : server;
    struct node *from = to == client ? server : client;
    from->cut = true;
    for (int packets = 0; packets < PACKETS_MAX && bytes.size > 2; packets++) {
        enum kind kind = bytes.data[0] >> 6;
        size_t n = (size_t)(bytes.data[0] & 7) << 8 | bytes.data[1];
        bool late = (bytes.data[0] & 0x20) != 0;
        n = n < 1400 ? n : 1400;
        bytes = yo_span_skip(bytes, 2);
        n = n < bytes.size ? n : bytes.size;
        inject(to, from, kind, yo_span(bytes.data, n));
        bytes = yo_span_skip(bytes, n);
        world_for(&world, late ? 100 * YO_MS : YO_MS);
        check(to);
    }
    world_for(&world, 120 * YO_SECOND);
    must(yo_endpoint_empty(to->endpoint)); /* nothing lives for ever */
    world_finish(&world);
    must(sessions == 0);
    side_finish(&messages);
    fault_assert_no_leak(&memory);
    return 0;
}
