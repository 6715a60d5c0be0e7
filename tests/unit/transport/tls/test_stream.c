/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yomo/error.h>

#include "support/bytes.h"
#include "support/fault.h"
#include "transport/tls/devcert.h"
#include "transport/tls/stream.h"

static char dir[64], cert_file[128], key_file[128], ticket_file[128];
static struct yo_tls_server *server_tls;

static int start_group(void **state)
{
    struct yo_buf cert, key;
    bool fresh;
    (void)state;
    strcpy(dir, "/tmp/yomo-stream-XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    int rv =
        yo_devcert_ready(dir, (uint64_t)time(NULL) * 1000, &cert, &key, &fresh, NULL);
    if (rv == YOMO_OK) {
        strcpy(cert_file, (char *)cert.data);
        strcpy(key_file, (char *)key.data);
        snprintf(ticket_file, sizeof(ticket_file), "%s/tickets", dir);
        struct yo_tls_server_options options = {.cert_file = cert_file,
                                                .key_file = key_file};
        rv = yo_tls_server_create(&server_tls, &yo_mem_libc, &options, NULL);
    }
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    return rv;
}

static int stop_group(void **state)
{
    char lock[160];
    (void)state;
    yo_tls_server_unref(server_tls);
    unlink(cert_file);
    unlink(key_file);
    unlink(ticket_file);
    snprintf(lock, sizeof(lock), "%s.lock", ticket_file);
    unlink(lock);
    snprintf(lock, sizeof(lock), "%s/dev.lock", dir);
    unlink(lock);
    rmdir(dir);
    return 0;
}

static struct yo_tls_client *new_client(const struct yo_tls_client_options *options)
{
    struct yo_tls_client *tls = NULL;
    assert_int_equal(yo_tls_client_create(&tls, &yo_mem_libc, options, NULL), YOMO_OK);
    return tls;
}

/* Two streams and the bytes between them. */
struct pair {
    struct yo_tls_stream *client, *server;
    struct yo_buf to_client, to_server, at_client, at_server;
    int client_error, server_error;
    size_t step; /* how many bytes are handed over at once; 0: all */
};

static void pair_init_port(struct pair *pair, struct yo_tls_client *tls,
                           const char *host, uint16_t port, bool loopback)
{
    struct yo_tls_peer peer = {host, port, loopback};
    memset(pair, 0, sizeof(*pair));
    struct yo_buf *bufs[] = {&pair->to_client, &pair->to_server, &pair->at_client,
                             &pair->at_server};
    for (size_t i = 0; i < 4; i++) {
        yo_buf_init(bufs[i], &yo_mem_libc);
    }
    assert_int_equal(yo_tls_stream_accept(&pair->server, &yo_mem_libc, server_tls),
                     YOMO_OK);
    assert_int_equal(yo_tls_stream_connect(&pair->client, &yo_mem_libc, tls, &peer),
                     YOMO_OK);
    pair->client_error = yo_tls_stream_feed(pair->client, YO_SPAN_NONE,
                                            &pair->at_client, &pair->to_server);
}

static void pair_init(struct pair *pair, struct yo_tls_client *tls, const char *host,
                      bool loopback)
{
    pair_init_port(pair, tls, host, 443, loopback);
}

static void pair_finish(struct pair *pair)
{
    yo_tls_stream_destroy(pair->client);
    yo_tls_stream_destroy(pair->server);
    yo_buf_finish(&pair->to_client);
    yo_buf_finish(&pair->to_server);
    yo_buf_finish(&pair->at_client);
    yo_buf_finish(&pair->at_server);
}

static void hand_over(struct yo_tls_stream *stream, struct yo_buf *from, size_t step,
                      struct yo_buf *plain, struct yo_buf *out, int *error)
{
    size_t size = step && step < from->size ? step : from->size;
    struct yo_span bytes = bytes_copy(yo_span(from->data, size));
    yo_buf_consume(from, size);
    if (*error == YOMO_OK && size > 0) {
        *error = yo_tls_stream_feed(stream, bytes, plain, out);
    }
}

static void exchange(struct pair *pair)
{
    while (pair->to_server.size > 0 || pair->to_client.size > 0) {
        hand_over(pair->server, &pair->to_server, pair->step, &pair->at_server,
                  &pair->to_client, &pair->server_error);
        hand_over(pair->client, &pair->to_client, pair->step, &pair->at_client,
                  &pair->to_server, &pair->client_error);
    }
}

static void talk(struct pair *pair)
{
    assert_int_equal(pair->client_error, YOMO_OK);
    assert_int_equal(pair->server_error, YOMO_OK);
    assert_true(yo_tls_stream_open(pair->client));
    assert_true(yo_tls_stream_open(pair->server));
    struct yo_span large = bytes_repeat("0123456789", 10000);
    assert_int_equal(
        yo_tls_stream_write(pair->client, yo_span_of("hello"), &pair->to_server),
        YOMO_OK);
    assert_int_equal(yo_tls_stream_write(pair->server, large, &pair->to_client),
                     YOMO_OK);
    exchange(pair);
    assert_text(yo_buf_span(&pair->at_server), "hello");
    assert_true(yo_span_equal(yo_buf_span(&pair->at_client), large));
    yo_tls_stream_end(pair->client, &pair->to_server);
    exchange(pair);
    assert_true(yo_tls_stream_ended(pair->server));
    assert_false(yo_tls_stream_ended(pair->client));
}

static const struct yo_tls_client_options trusting_dev = {.dev_state_dir = dir};

static void the_development_certificate_is_trusted_on_loopback(void **state)
{
    (void)state;
    struct yo_tls_client *tls = new_client(&trusting_dev);
    struct pair pair;
    pair_init(&pair, tls, "localhost", true);
    exchange(&pair);
    talk(&pair);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
}

static void bytes_may_come_one_at_a_time(void **state)
{
    (void)state;
    struct yo_tls_client *tls = new_client(&trusting_dev);
    struct pair pair;
    pair_init(&pair, tls, "127.0.0.1", true);
    pair.step = 1;
    exchange(&pair);
    pair.step = 977;
    talk(&pair);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
}

static void expect_refusal(const struct yo_tls_client_options *options,
                           const char *host, bool loopback, const char *text)
{
    struct yo_tls_client *tls = new_client(options);
    struct pair pair;
    struct yo_buf why;
    pair_init(&pair, tls, host, loopback);
    exchange(&pair);
    assert_int_equal(pair.client_error, YOMO_ERR_CERT);
    assert_int_equal(pair.server_error, YOMO_ERR_TLS); /* it got the alert */
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_tls_stream_failure(pair.client, &why), YOMO_ERR_CERT);
    assert_text(yo_buf_span(&why), text);
    yo_buf_finish(&why);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
}

static void the_development_certificate_is_not_trusted_elsewhere(void **state)
{
    (void)state;
    expect_refusal(&trusting_dev, "localhost", false, "self-signed certificate");
    struct yo_tls_client_options options = {.dev_state_dir = "/nonexistent"};
    expect_refusal(&options, "localhost", true, "self-signed certificate");
    chmod(dir, 0777); /* anybody could have put it there */
    expect_refusal(&trusting_dev, "localhost", true, "self-signed certificate");
    chmod(dir, 0700);
}

static void a_pinned_certificate_is_trusted_for_any_name(void **state)
{
    (void)state;
    struct yo_tls_client_options options = {.pin_count = 2};
    yo_tls_server_hash(server_tls, options.pins[1]);
    struct yo_tls_client *tls = new_client(&options);
    struct pair pair;
    pair_init(&pair, tls, "rooms.example.org", false);
    exchange(&pair);
    talk(&pair);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
}

static void another_certificate_than_the_pinned_one_is_refused(void **state)
{
    (void)state;
    struct yo_tls_client_options options = {.pin_count = 1, .dev_state_dir = dir};
    expect_refusal(&options, "localhost", true,
                   "the certificate is not the pinned one");
}

static void a_named_root_is_asked_for_the_name(void **state)
{
    (void)state;
    struct yo_tls_client_options options = {.ca_file = cert_file};
    struct yo_tls_client *tls = new_client(&options);
    struct pair pair;
    pair_init(&pair, tls, "::1", false);
    exchange(&pair);
    talk(&pair);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
    expect_refusal(&options, "rooms.example.org", false, "hostname mismatch");
    expect_refusal(&options, "192.0.2.1", false, "IP address mismatch");
}

static void files_that_are_no_use_are_named(void **state)
{
    (void)state;
    struct yo_tls_server *server;
    struct yo_tls_client *client;
    struct yo_buf why;
    yo_buf_init(&why, &yo_mem_libc);
    struct yo_tls_server_options options = {.cert_file = "/nonexistent.pem",
                                            .key_file = key_file};
    assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, &why),
                     YOMO_ERR_FILE);
    assert_memory_equal(why.data, "/nonexistent.pem: ", 18);
    yo_buf_clear(&why);
    options.cert_file = key_file;
    assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, &why),
                     YOMO_ERR_TLS_SETUP);
    assert_memory_equal(why.data, key_file, strlen(key_file));
    yo_buf_clear(&why);
    options.cert_file = cert_file;
    options.key_file = cert_file;
    assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, &why),
                     YOMO_ERR_TLS_SETUP);
    yo_buf_clear(&why);
    options.key_file = key_file;
    options.groups = "X25519:no-such-group";
    assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, &why),
                     YOMO_ERR_TLS_SETUP);
    assert_memory_equal(why.data, options.groups, strlen(options.groups));
    struct yo_tls_client_options wrong = {.ca_file = "/nonexistent.pem"};
    assert_int_equal(yo_tls_client_create(&client, &yo_mem_libc, &wrong, &why),
                     YOMO_ERR_FILE);
    yo_buf_finish(&why);
}

static SSL_SESSION *session;

static int keep_session(SSL *ssl, SSL_SESSION *fresh)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = fresh;
    return 1;
}

/* A bare OpenSSL client over memory BIOs. Returns whether the session was resumed; -1
 * when the handshake failed. */
static int bare_handshake(struct yo_tls_server *tls, SSL_CTX *ctx, SSL_SESSION *resume)
{
    struct yo_tls_stream *stream;
    struct yo_buf plain, out;
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, to);
    SSL_set_connect_state(ssl);
    if (resume) {
        SSL_set_session(ssl, resume);
    }
    yo_buf_init(&plain, &yo_mem_libc);
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_tls_stream_accept(&stream, &yo_mem_libc, tls), YOMO_OK);
    char byte;
    int rv = -1;
    for (int i = 0; i < 10; i++) {
        SSL_read(ssl, &byte, 1);
        char *data;
        long size = BIO_get_mem_data(to, &data);
        (void)yo_tls_stream_feed(stream, yo_span(data, (size_t)size), &plain, &out);
        (void)BIO_reset(to);
        BIO_write(in, out.data, (int)out.size);
        yo_buf_clear(&out);
    }
    if (SSL_is_init_finished(ssl) && yo_tls_stream_open(stream)) {
        rv = SSL_session_reused(ssl);
    }
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN); /* else the session is spoilt */
    SSL_free(ssl);
    yo_tls_stream_destroy(stream);
    yo_buf_finish(&plain);
    yo_buf_finish(&out);
    return rv;
}

static void a_ticket_is_good_for_all_servers_with_the_same_key_file(void **state)
{
    (void)state;
    struct yo_tls_server *first, *second;
    struct yo_tls_server_options options = {
        .cert_file = cert_file, .key_file = key_file, .ticket_key_file = ticket_file};
    struct stat st;
    assert_int_equal(yo_tls_server_create(&first, &yo_mem_libc, &options, NULL),
                     YOMO_OK);
    assert_int_equal(stat(ticket_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(yo_tls_server_create(&second, &yo_mem_libc, &options, NULL),
                     YOMO_OK);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    assert_int_equal(bare_handshake(first, ctx, NULL), 0);
    assert_non_null(session);
    assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
    SSL_SESSION *ticket = SSL_SESSION_dup(session);
    assert_int_equal(bare_handshake(second, ctx, ticket), 1);
    assert_int_equal(bare_handshake(server_tls, ctx, ticket), 0); /* another secret */
    SSL_SESSION_free(ticket);
    SSL_SESSION_free(session);
    session = NULL;
    SSL_CTX_free(ctx);
    yo_tls_server_unref(first);
    yo_tls_server_unref(second);
}

/* A handshake of our own client with `tls`; was it resumed? */
static bool shake(struct yo_tls_client *client, struct yo_tls_server *tls,
                  uint16_t port, bool loopback)
{
    struct yo_tls_server *usual = server_tls;
    struct pair pair;
    server_tls = tls;
    pair_init_port(&pair, client, "localhost", port, loopback);
    exchange(&pair);
    talk(&pair);
    bool resumed = yo_tls_stream_resumed(pair.client);
    assert_int_equal(yo_tls_stream_resumed(pair.server), resumed);
    pair_finish(&pair);
    server_tls = usual;
    return resumed;
}

static void our_client_comes_back_with_its_ticket(void **state)
{
    (void)state;
    struct yo_tls_client *tls = new_client(&trusting_dev);
    assert_false(shake(tls, server_tls, 443, true));
    for (int i = 0; i < 3; i++) { /* each handshake brings the next ticket */
        assert_true(shake(tls, server_tls, 443, true));
    }
    assert_false(shake(tls, server_tls, 8443, true)); /* another server */
    yo_tls_client_unref(tls);
    tls = new_client(&trusting_dev); /* and nothing outlives the client */
    assert_false(shake(tls, server_tls, 443, true));
    yo_tls_client_unref(tls);
}

static void a_server_that_was_started_anew_takes_its_tickets(void **state)
{
    (void)state;
    struct yo_tls_client *tls = new_client(&trusting_dev);
    struct yo_tls_server_options options = {
        .cert_file = cert_file, .key_file = key_file, .ticket_key_file = ticket_file};
    for (int i = 0; i < 3; i++) {
        struct yo_tls_server *server;
        assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, NULL),
                         YOMO_OK);
        assert_int_equal(shake(tls, server, 443, true), i > 0);
        yo_tls_server_unref(server);
    }
    assert_false(shake(tls, server_tls, 443, true)); /* this one has other keys */
    yo_tls_client_unref(tls);
}

static void a_ticket_does_not_outlive_trust_in_the_certificate(void **state)
{
    (void)state;
    struct yo_tls_client *tls = new_client(&trusting_dev);
    assert_false(shake(tls, server_tls, 443, true));
    char aside[160];
    snprintf(aside, sizeof(aside), "%s.aside", cert_file);
    assert_int_equal(rename(cert_file, aside), 0);
    /* Another one stands in the folder now, so the old one's ticket is not enough. */
    struct pair pair;
    pair_init_port(&pair, tls, "localhost", 443, true);
    exchange(&pair);
    assert_int_equal(pair.client_error, YOMO_ERR_CERT);
    pair_finish(&pair);
    assert_int_equal(rename(aside, cert_file), 0);
    assert_false(shake(tls, server_tls, 443, true));
    yo_tls_client_unref(tls);
}

static void keys_that_others_may_read_are_refused(void **state)
{
    (void)state;
    struct yo_tls_server *server;
    struct yo_buf why;
    struct yo_tls_server_options options = {
        .cert_file = cert_file, .key_file = key_file, .ticket_key_file = ticket_file};
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, NULL),
                     YOMO_OK);
    yo_tls_server_unref(server);
    for (unsigned i = 0; i < 4; i++) {
        static const mode_t modes[] = {0640, 0604, 0620, 0666};
        assert_int_equal(chmod(ticket_file, modes[i]), 0);
        yo_buf_clear(&why);
        assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, &why),
                         YOMO_ERR_FILE);
        yo_buf_append_byte(&why, 0);
        assert_memory_equal(why.data, ticket_file, strlen(ticket_file));
        assert_non_null(strstr((char *)why.data, "others may read or write it"));
    }
    assert_int_equal(chmod(ticket_file, 0600), 0);
    assert_int_equal(yo_tls_server_create(&server, &yo_mem_libc, &options, NULL),
                     YOMO_OK);
    yo_tls_server_unref(server);
    yo_buf_finish(&why);
}

static void only_http1_is_agreed_on_and_no_old_version(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    assert_int_equal(bare_handshake(server_tls, ctx, NULL), 0);
    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2", 3);
    assert_int_equal(bare_handshake(server_tls, ctx, NULL), -1);
    SSL_CTX_free(ctx);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    assert_int_equal(bare_handshake(server_tls, ctx, NULL), 0);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    assert_int_equal(bare_handshake(server_tls, ctx, NULL), -1);
    SSL_CTX_free(ctx);
}

static void garbage_is_an_error_and_nothing_more(void **state)
{
    (void)state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                          "\x16\x03\x01\xff\xff\x01\x00\x00",
                                          "\x80\x80"};
    for (size_t i = 0; i < 3; i++) {
        struct yo_tls_stream *stream;
        struct yo_buf plain, out;
        yo_buf_init(&plain, &yo_mem_libc);
        yo_buf_init(&out, &yo_mem_libc);
        yo_tls_stream_accept(&stream, &yo_mem_libc, server_tls);
        struct yo_span bytes = i == 1 ? yo_span(garbage[i], 8) : yo_span_of(garbage[i]);
        int rv = yo_tls_stream_feed(stream, bytes, &plain, &out);
        assert_true(rv == YOMO_ERR_TLS || i == 2);
        if (rv != YOMO_OK) {
            assert_int_equal(yo_tls_stream_feed(stream, bytes, &plain, &out), rv);
        }
        assert_int_equal(plain.size, 0);
        yo_tls_stream_destroy(stream);
        yo_buf_finish(&plain);
        yo_buf_finish(&out);
    }
}

static void a_key_log_is_written_only_where_the_option_says(void **state)
{
    (void)state;
    char log_file[128];
    struct stat st;
    snprintf(log_file, sizeof(log_file), "%s/keys", dir);
    setenv("SSLKEYLOGFILE", log_file, 1);
    struct yo_tls_client *tls = new_client(&trusting_dev);
    struct pair pair;
    pair_init(&pair, tls, "localhost", true);
    exchange(&pair);
    talk(&pair);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
    assert_int_equal(stat(log_file, &st), -1);
    unsetenv("SSLKEYLOGFILE");

    struct yo_tls_client_options options = {.dev_state_dir = dir,
                                            .keylog_file = log_file};
    tls = new_client(&options);
    pair_init(&pair, tls, "localhost", true);
    exchange(&pair);
    pair_finish(&pair);
    yo_tls_client_unref(tls);
    assert_int_equal(stat(log_file, &st), 0);
    assert_true(st.st_size > 100);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(chmod(log_file, 0644), 0); /* somebody else made it */
    assert_int_equal(yo_tls_client_create(&tls, &yo_mem_libc, &options, NULL),
                     YOMO_ERR_FILE);
    unlink(log_file);
}

static void handshake_body(struct fault *fault, void *user)
{
    struct yo_tls_client *tls = user;
    struct yo_tls_peer peer = {"localhost", 443, true};
    struct yo_tls_stream *server = NULL, *client = NULL;
    struct yo_buf a, b, plain;
    yo_buf_init(&a, &fault->mem);
    yo_buf_init(&b, &fault->mem);
    yo_buf_init(&plain, &fault->mem);
    int rv = yo_tls_stream_accept(&server, &fault->mem, server_tls);
    if (rv == YOMO_OK) {
        rv = yo_tls_stream_connect(&client, &fault->mem, tls, &peer);
    }
    for (int i = 0; i < 4 && rv == YOMO_OK; i++) {
        rv = yo_tls_stream_feed(client, yo_buf_span(&b), &plain, &a);
        yo_buf_clear(&b);
        if (rv == YOMO_OK) {
            rv = yo_tls_stream_feed(server, yo_buf_span(&a), &plain, &b);
            yo_buf_clear(&a);
        }
    }
    assert_true(rv == YOMO_OK || fault->failed);
    yo_tls_stream_destroy(server);
    yo_tls_stream_destroy(client);
    yo_buf_finish(&a);
    yo_buf_finish(&b);
    yo_buf_finish(&plain);
}

static void a_handshake_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct yo_tls_client *tls = new_client(&trusting_dev);
    fault_each(handshake_body, tls);
    yo_tls_client_unref(tls);
}

static void hashes_are_what_the_standards_say(void **state)
{
    (void)state;
    uint8_t hash[32];
    yo_sha1(hash,
            yo_span_of("dGhlIHNhbXBsZSBub25jZQ=="
                       "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")); /* RFC 6455 1.3 */
    assert_hex(yo_span(hash, 20), "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
    yo_sha256(hash, yo_span_of("abc"));
    assert_hex(yo_span(hash, 32),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_development_certificate_is_trusted_on_loopback),
        cmocka_unit_test(bytes_may_come_one_at_a_time),
        cmocka_unit_test(the_development_certificate_is_not_trusted_elsewhere),
        cmocka_unit_test(a_pinned_certificate_is_trusted_for_any_name),
        cmocka_unit_test(another_certificate_than_the_pinned_one_is_refused),
        cmocka_unit_test(a_named_root_is_asked_for_the_name),
        cmocka_unit_test(files_that_are_no_use_are_named),
        cmocka_unit_test(a_ticket_is_good_for_all_servers_with_the_same_key_file),
        cmocka_unit_test(our_client_comes_back_with_its_ticket),
        cmocka_unit_test(a_server_that_was_started_anew_takes_its_tickets),
        cmocka_unit_test(a_ticket_does_not_outlive_trust_in_the_certificate),
        cmocka_unit_test(keys_that_others_may_read_are_refused),
        cmocka_unit_test(only_http1_is_agreed_on_and_no_old_version),
        cmocka_unit_test(garbage_is_an_error_and_nothing_more),
        cmocka_unit_test(a_key_log_is_written_only_where_the_option_says),
        cmocka_unit_test(a_handshake_survives_every_failing_allocation),
        cmocka_unit_test(hashes_are_what_the_standards_say),
    };
    return cmocka_run_group_tests(tests, start_group, stop_group);
}
