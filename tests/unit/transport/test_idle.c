/* SPDX-License-Identifier: MIT */
/* What one idle WebSocket costs a server, TLS objects included: the bytes that were
 * asked for, from the library's allocator and from OpenSSL's, by the side that asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "raw.h"
#include "support/fault.h"
#include "transport/dial_tcp.h"
#include "transport/listen_tcp.h"
#include "transport/tls/devcert.h"

#define CONNECTIONS 50

/* --- OpenSSL's memory, counted ---------------------------------------------------- */

static bool at_server; /* whose turn it is */
static size_t tls_bytes;

struct block {
    size_t size;
    bool server;
    _Alignas(max_align_t) uint8_t data[];
};

static void *tls_malloc(size_t size, const char *file, int line)
{
    struct block *block = malloc(sizeof(*block) + size);
    (void)file;
    (void)line;
    if (!block) {
        return NULL;
    }
    block->size = size;
    block->server = at_server;
    tls_bytes += at_server ? size : 0;
    return block->data;
}

static void tls_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (memory) {
        struct block *block = YO_CONTAINER(memory, struct block, data);
        tls_bytes -= block->server ? block->size : 0;
        free(block);
    }
}

static void *tls_realloc(void *old, size_t size, const char *file, int line)
{
    void *fresh = tls_malloc(size, file, line);
    if (fresh && old) {
        size_t before = YO_CONTAINER(old, struct block, data)->size;
        memcpy(fresh, old, before < size ? before : size);
        tls_free(old, file, line);
    }
    return fresh;
}

/* --- A server and its clients ----------------------------------------------------- */

static int opened, accepted, closed_conns;
static struct yo_conn *conns[2 * CONNECTIONS];

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user;
    (void)conn;
    (void)now;
    opened++;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    (void)user;
    (void)conn;
    (void)why;
    (void)now;
    closed_conns++;
}

static const struct yo_conn_events client_events = {.on_open = on_open,
                                                    .on_closed = on_closed};
static const struct yo_conn_events server_events = {.on_open = NULL};

static void on_request(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now)
{
    struct yo_response response = {.status = 200};
    (void)user;
    (void)request;
    (void)now;
    conns[accepted++] =
        incoming->ops->accept(incoming, &response, &server_events, NULL);
}

static const struct yo_listener_events listener_events = {.on_request = on_request};

static void turn(struct yo_loop *server, struct yo_loop *client)
{
    at_server = true;
    until_turn(server, 1);
    at_server = false;
    until_turn(client, 1);
}

static void on_door_closed(void *user)
{
    *(bool *)user = true;
}

/* The bytes that one connection costs, with key exchange `group`. */
static size_t measure(const char *dir, const char *group, bool secure)
{
    struct fault memory;
    struct yo_loop *server, *client;
    struct yo_tcp_door *door;
    struct yo_tls_server *server_tls;
    struct yo_tls_client *client_tls;
    struct yo_buf cert, key;
    struct yo_conn *conn;
    bool fresh, closed = false;
    uint16_t port;
    fault_init(&memory, 0, FAULT_ONCE);
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    opened = accepted = closed_conns = 0;
    assert_int_equal(yo_devcert_ready(dir, yo_wall_ms(), &cert, &key, &fresh, NULL), 0);
    struct yo_tls_server_options server_options = {
        .cert_file = (char *)cert.data, .key_file = (char *)key.data};
    struct yo_tls_client_options client_options = {.dev_state_dir = dir};
    struct yo_listener_options options = {.message_size_max = 65536,
                                          .queue_size_max = 65536,
                                          .handshake_ms = 60000,
                                          .keepalive_ms = 60000,
                                          .silence_ms = 90000};
    assert_int_equal(yo_loop_create(&server, &memory.mem, NULL, NULL), 0);
    assert_int_equal(yo_loop_create(&client, &yo_mem_libc, NULL, NULL), 0);
    assert_int_equal(
        yo_tls_server_create(&server_tls, &memory.mem, &server_options, NULL), 0);
    assert_int_equal(
        yo_tls_client_create(&client_tls, &yo_mem_libc, &client_options, NULL), 0);
    assert_int_equal(SSL_CTX_set1_groups_list(yo_tls_client_tcp(client_tls), group), 1);
    assert_int_equal(
        yo_tcp_door_create(&door, server, &options, &listener_events, NULL), 0);
    yo_tcp_door_set_tls(door, server_tls);
    assert_int_equal(yo_tcp_door_add(door, raw_bound(&port), secure), 0);
    struct yo_dial_options dial = {.transport = YOMO_TRANSPORT_WEBSOCKET,
                                   .secure = secure,
                                   .host = "127.0.0.1",
                                   .port = port,
                                   .path = "/v1",
                                   .tls = client_tls,
                                   .message_size_max = 65536,
                                   .queue_size_max = 65536,
                                   .handshake_ms = 60000};
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("message"));
    size_t before = 0;
    for (int round = 0; round < 2; round++) { /* the first one fills what is shared */
        before = memory.bytes + tls_bytes;
        for (int i = 0; i < CONNECTIONS; i++) {
            assert_int_equal(yo_dial_tcp(&conn, client, &dial, &client_events, NULL),
                             0);
            int wanted = opened + 1;
            while (opened < wanted) {
                turn(server, client);
            }
            assert_int_equal(
                yo_conn_send(conns[accepted - 1], YO_LANE_CONTROL, blob, 0), 0);
            (void)yo_conn_send(conn, YO_LANE_CONTROL, blob, 0);
            turn(server, client);
            turn(server, client);
        }
    }
    size_t cost = (memory.bytes + tls_bytes - before) / CONNECTIONS;
    yo_blob_unref(blob);
    yo_tcp_door_close(door, on_door_closed, &closed);
    while (!closed) {
        turn(server, client);
    }
    UNTIL(client, closed_conns == 2 * CONNECTIONS);
    at_server = true;
    until_closed(server);
    yo_tls_server_unref(server_tls);
    at_server = false;
    until_closed(client);
    yo_tls_client_unref(client_tls);
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    fault_assert_no_leak(&memory);
    return cost;
}

static void an_idle_connection_costs_no_more_than_it_should(void **state)
{
    char dir[] = "/tmp/yomo-idle-XXXXXX", path[128];
    static const char *const names[] = {"dev-cert.pem", "dev-key.pem", "dev.lock"};
    (void)state;
    assert_non_null(mkdtemp(dir));
    size_t plain = measure(dir, "X25519", false);
    size_t secure = measure(dir, "X25519", true);
    size_t hybrid = measure(dir, "X25519MLKEM768", true);
    print_message("bytes: plain %zu, TLS with X25519 %zu, with X25519MLKEM768 %zu\n",
                  plain, secure, hybrid);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
    assert_true(plain < 3 * 1024);
    assert_true(secure < 24 * 1024);
    assert_true(hybrid < 32 * 1024); /* OpenSSL keeps the peer's ML-KEM key */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_costs_no_more_than_it_should),
    };
    if (CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free) != 1) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
