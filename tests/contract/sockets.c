/* SPDX-License-Identifier: MIT */
/* sockets.c - the transports over real sockets of this machine, through listen and
 * dial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contract.h"
#include "support/until.h"
#include "transport/dial.h"
#include "transport/listen.h"
#include "transport/tls/devcert.h"

struct inside {
    struct yo_listener *listener;
    struct yo_tls_server *server_tls;
    struct yo_tls_client *client_tls;
    uint16_t port;
    bool listener_closed;
};

static enum yomo_transport_kind kind;
static bool secure;
static char dir[64];

static void on_request(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now)
{
    struct contract_world *world = user;
    static const char *const headers[] = {"X-Test", "yes", NULL};
    struct yo_response response = {
        .status = 200, .headers = headers, .extension = true};
    (void)now;
    assert_int_equal(request->transport, kind);
    assert_int_equal(request->secure, secure);
    assert_true(yo_span_is(request->path, "/v1"));
    assert_true(yo_span_is(request->query, "publickey=k&id=a%20b&yomo=1"));
    assert_true(request->address.size > 0);
    assert_null(world->server.conn);
    world->server.conn =
        yo_incoming_accept(incoming, &response, &contract_events, &world->server);
}

static const struct yo_listener_events listener_events = {.on_request = on_request};

static struct yo_tls_server *make_server_tls(void)
{
    struct yo_buf cert, key;
    struct yo_tls_server *tls = NULL;
    bool fresh;
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    assert_int_equal(yo_devcert_ready(dir, yo_wall_ms(), &cert, &key, &fresh, NULL),
                     YOMO_OK);
    struct yo_tls_server_options options = {
        .cert_file = (char *)cert.data, .key_file = (char *)key.data};
    assert_int_equal(yo_tls_server_create(&tls, &yo_mem_libc, &options, NULL), YOMO_OK);
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    return tls;
}

static int bound(int type, uint16_t *port)
{
    union yo_address local;
    socklen_t size = sizeof(local);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_int_equal(yo_address_parse(&local, "127.0.0.1", 0), YOMO_OK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &local.sa, yo_address_size(&local)), 0);
    assert_int_equal(getsockname(fd, &local.sa, &size), 0);
    *port = yo_address_port(&local);
    return fd;
}

static void start(struct contract_world *world)
{
    static const uint8_t secret[32] = {1, 2, 3};
    struct inside *inside = calloc(1, sizeof(*inside));
    struct yo_listener_options options = {
        .workers = 1,
        .secret = secret,
        .message_size_max = CONTRACT_MESSAGE_MAX,
        .queue_size_max = CONTRACT_QUEUE_MAX,
        .handshake_ms = 10000,
        .idle_ms = world->silence_ms,
        .keepalive_ms = world->silence_ms / 3,
        .silence_ms = world->silence_ms,
        .handshakes_max = 100,
        .connections_max = 100,
        .connections_per_address_max = 100,
    };
    struct yo_tls_client_options tls_options = {.dev_state_dir = dir};
    world->inside = inside;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(yo_loop_create(&world->loops[i], &yo_mem_libc, NULL, NULL),
                         YOMO_OK);
    }
    assert_int_equal(yo_listener_create(&inside->listener, world->loops[0], &options,
                                        &listener_events, world),
                     YOMO_OK);
    inside->server_tls = make_server_tls();
    assert_int_equal(
        yo_tls_client_create(&inside->client_tls, &yo_mem_libc, &tls_options, NULL),
        YOMO_OK);
    yo_listener_set_tls(inside->listener, inside->server_tls);
    if (kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        int fd = bound(SOCK_DGRAM, &inside->port);
        assert_int_equal(yo_listener_add_udp(inside->listener, fd), YOMO_OK);
    } else if (secure) {
        int fd = bound(SOCK_STREAM, &inside->port);
        assert_int_equal(yo_listener_add_tls(inside->listener, fd), YOMO_OK);
    } else {
        int fd = bound(SOCK_STREAM, &inside->port);
        assert_int_equal(yo_listener_add_plain(inside->listener, fd), YOMO_OK);
    }
}

static void connect_pair(struct contract_world *world)
{
    struct inside *inside = world->inside;
    struct yo_dial_options options = {
        .transport = kind,
        .secure = secure,
        .host = "localhost",
        .port = inside->port,
        .path = "/v1?publickey=k&id=a%20b&yomo=1",
        .extension = true,
        .tls = inside->client_tls,
        .message_size_max = CONTRACT_MESSAGE_MAX,
        .queue_size_max = CONTRACT_QUEUE_MAX,
        .handshake_ms = 10000,
        .idle_ms = world->silence_ms,
        .keepalive_ms = world->silence_ms / 3,
        .silence_ms = world->silence_ms,
    };
    assert_int_equal(yo_dial(&world->client.conn, world->loops[1], &options,
                             &contract_events, &world->client),
                     YOMO_OK);
    assert_int_equal(world->client.opened, 0);
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("early"));
    assert_int_equal(yo_conn_send(world->client.conn, YO_LANE_CONTROL, blob, 0),
                     YOMO_ERR_AGAIN); /* on_open is the sign */
    yo_blob_unref(blob);
    CONTRACT_UNTIL(world, (world->client.opened && world->server.conn) ||
                              world->client.closed);
    if (world->client.closed) {
        fail_msg("not connected: %d %s", world->client.why.error, world->client.text);
    }
}

static void on_listener_closed(void *user)
{
    ((struct inside *)user)->listener_closed = true;
}

static void stop(struct contract_world *world)
{
    struct inside *inside = world->inside;
    yo_listener_close(inside->listener, on_listener_closed, inside);
    CONTRACT_UNTIL(world, inside->listener_closed);
    yo_tls_server_unref(inside->server_tls);
    yo_tls_client_unref(inside->client_tls);
    free(inside);
}

static void clean_up(void)
{
    static const char *const names[] = {"dev-cert.pem", "dev-key.pem", "dev.lock"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(int argc, char **argv)
{
    struct contract contract = {
        .sockets = true, .start = start, .connect = connect_pair, .stop = stop};
    const char *which = argc > 1 ? argv[1] : "";
    if (strcmp(which, "webtransport") == 0) {
        kind = YOMO_TRANSPORT_WEBTRANSPORT;
        secure = true;
    } else if (strcmp(which, "websocket-tls") == 0) {
        kind = YOMO_TRANSPORT_WEBSOCKET;
        secure = true;
    } else if (strcmp(which, "websocket") == 0) {
        kind = YOMO_TRANSPORT_WEBSOCKET;
    } else {
        fprintf(stderr, "usage: %s websocket|websocket-tls|webtransport\n", argv[0]);
        return 2;
    }
    contract.name = which;
    contract.kind = kind;
    contract.secure = secure;
    strcpy(dir, "/tmp/yomo-contract-XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    int failed = contract_run(&contract);
    clean_up();
    return failed;
}
