/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>

#include "raw.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "transport/dial_tcp.h"
#include "transport/listen_tcp.h"
#include "transport/tls/devcert.h"

static struct yo_loop *loop;
static char dir[64];
static struct yo_tls_server *server_tls;
static struct yo_tls_client *client_tls, *stranger_tls;

/* --- A client and what happens to it ---------------------------------------------- */

struct client {
    struct yo_conn *conn;
    int opened, closed;
    struct yo_close why;
    char text[128];
};

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    ((struct client *)user)->opened++;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct client *client = user;
    (void)conn;
    (void)now;
    client->closed++;
    client->why = *why;
    snprintf(client->text, sizeof(client->text), "%.*s", (int)why->text.size,
             why->text.data ? (const char *)why->text.data : "");
}

static const struct yo_conn_events client_events = {.on_open = on_open,
                                                    .on_closed = on_closed};

static struct yo_dial_options options;

static int dial(struct client *client)
{
    memset(client, 0, sizeof(*client));
    return yo_dial_tcp(&client->conn, loop, &options, &client_events, client);
}

static void expect_end(struct client *client, int error, enum yo_close_kind kind)
{
    UNTIL(loop, client->closed || client->opened);
    assert_int_equal(client->opened, 0);
    assert_int_equal(client->closed, 1);
    if (client->why.error != error) {
        fail_msg("error %d instead of %d: %s", client->why.error, error, client->text);
    }
    assert_int_equal(client->why.kind, kind);
}

/* --- A bare server ---------------------------------------------------------------- */

static int listener;
static struct raw peer;

static bool peer_here(void)
{
    if (peer.fd >= 0 && raw_ended(&peer) && peer.got.size == 0) {
        raw_close(&peer); /* an attempt that was given up; the next one is behind it */
    }
    if (peer.fd < 0) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            raw_take(&peer, fd);
        }
    }
    return peer.fd >= 0;
}

static int start(void **state)
{
    uint16_t port;
    (void)state;
    memset(&peer, 0, sizeof(peer));
    peer.fd = -1;
    if (yo_loop_create(&loop, &yo_mem_libc, NULL, NULL) != YOMO_OK) {
        return 1;
    }
    listener = raw_bound(&port);
    if (listen(listener, 8) != 0) {
        return 1;
    }
    (void)fcntl(listener, F_SETFL, O_NONBLOCK);
    options = (struct yo_dial_options){.transport = YOMO_TRANSPORT_WEBSOCKET,
                                       .host = "127.0.0.1",
                                       .port = port,
                                       .path = "/v1?id=a",
                                       .tls = client_tls,
                                       .message_size_max = 10000,
                                       .queue_size_max = 10000,
                                       .handshake_ms = 10000,
                                       .keepalive_ms = 10000,
                                       .silence_ms = 30000};
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (peer.fd >= 0) {
        raw_close(&peer);
    }
    close(listener);
    until_closed(loop);
    return 0;
}

/* --- Answers of a bare server ----------------------------------------------------- */

static void answer_with(struct client *client, const char *answer)
{
    assert_int_equal(dial(client), YOMO_OK);
    UNTIL(loop, peer_here() && raw_has(&peer, "\r\n\r\n"));
    raw_say(&peer, answer);
}

static void a_refusal_is_told_with_its_status(void **state)
{
    (void)state;
    struct client client;
    answer_with(&client, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nauth");
    expect_end(&client, YOMO_ERR_AUTH, YO_CLOSE_FINAL);
    assert_string_equal(client.text, "the server answered 401 Unauthorized");
}

static void a_server_that_is_too_busy_is_to_come_back_to(void **state)
{
    (void)state;
    struct client client;
    answer_with(&client, "HTTP/1.1 503 Busy\r\n\r\n");
    expect_end(&client, YOMO_ERR_FULL, YO_CLOSE_RETRY);
}

static void what_is_no_websocket_is_an_error(void **state)
{
    (void)state;
    struct client client;
    answer_with(&client, "HTTP/1.1 200 OK\r\n\r\n<html>");
    expect_end(&client, YOMO_ERR_PROTO, YO_CLOSE_RETRY);
}

static void what_is_not_http_is_an_error(void **state)
{
    (void)state;
    struct client client;
    answer_with(&client, "SSH-2.0-OpenSSH\r\n");
    expect_end(&client, YOMO_ERR_PROTO, YO_CLOSE_RETRY);
}

static void a_server_that_hangs_up_is_an_error(void **state)
{
    (void)state;
    struct client client;
    answer_with(&client, "HTTP/1.1 101 Switch");
    raw_close(&peer);
    expect_end(&client, YOMO_ERR_CLOSED, YO_CLOSE_RETRY);
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    struct client client;
    options.handshake_ms = 200;
    assert_int_equal(dial(&client), YOMO_OK);
    expect_end(&client, YOMO_ERR_TIMEOUT, YO_CLOSE_RETRY);
    options.secure = true;
    assert_int_equal(dial(&client), YOMO_OK);
    expect_end(&client, YOMO_ERR_TIMEOUT, YO_CLOSE_RETRY);
}

static void nobody_at_home_is_unreachable(void **state)
{
    (void)state;
    struct client client;
    uint16_t port;
    int fd = raw_bound(&port); /* bound, but nobody listens */
    options.port = port;
    options.host = "localhost"; /* both families are tried */
    assert_int_equal(dial(&client), YOMO_OK);
    expect_end(&client, YOMO_ERR_UNREACHABLE, YO_CLOSE_RETRY);
    close(fd);
}

static void a_name_that_is_none_cannot_be_resolved(void **state)
{
    (void)state;
    struct client client;
    options.host = "no-such-name.invalid";
    assert_int_equal(dial(&client), YOMO_OK);
    expect_end(&client, YOMO_ERR_RESOLVE, YO_CLOSE_RETRY);
}

static void wrong_options_are_refused_at_once(void **state)
{
    (void)state;
    struct client client;
    options.path = "/v1 HTTP/1.1\r\nX: y";
    assert_int_equal(dial(&client), YOMO_ERR_INVALID);
    options.path = "/v1";
    options.proxy = "socks5://localhost:1080";
    assert_int_equal(dial(&client), YOMO_ERR_INVALID);
    options.proxy = NULL;
    options.secure = true;
    options.tls = NULL;
    assert_int_equal(dial(&client), YOMO_ERR_INVALID);
    until_turn(loop, 0);
}

static void a_wrong_answer_is_not_followed(void **state)
{
    (void)state;
    struct client client;
    assert_int_equal(dial(&client), YOMO_OK);
    UNTIL(loop, peer_here() && raw_has(&peer, "\r\n\r\n"));
    /* The key is not known here, so the answer is wrong, which is the point: what
     * follows must not be taken for frames. */
    raw_say(&peer,
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x82\x01x");
    expect_end(&client, YOMO_ERR_PROTO, YO_CLOSE_RETRY);
}

static void giving_up_is_possible_at_any_time(void **state)
{
    (void)state;
    struct client client;
    struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};
    /* Before anything has happened. */
    assert_int_equal(dial(&client), YOMO_OK);
    yo_conn_abort(client.conn);
    assert_int_equal(client.closed, 0);
    UNTIL(loop, client.closed == 1);
    /* While TCP connects, or has just connected. */
    assert_int_equal(dial(&client), YOMO_OK);
    until_turn(loop, 0);
    yo_conn_close(client.conn, &how);
    yo_conn_abort(client.conn);
    UNTIL(loop, client.closed == 1);
    assert_int_equal(client.why.kind, YO_CLOSE_DONE);
    /* While the name is being resolved. */
    options.host = "no-such-name.invalid";
    assert_int_equal(dial(&client), YOMO_OK);
    yo_conn_close(client.conn, &how);
    UNTIL(loop, client.closed == 1);
    /* While the answer is awaited. */
    options.host = "127.0.0.1";
    assert_int_equal(dial(&client), YOMO_OK);
    UNTIL(loop, peer_here() && raw_has(&peer, "\r\n\r\n"));
    yo_conn_abort(client.conn);
    UNTIL(loop, client.closed == 1);
    assert_int_equal(client.opened, 0);
}

/* --- A proxy ---------------------------------------------------------------------- */

static void a_proxy_that_refuses_is_named(void **state)
{
    (void)state;
    struct client client;
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://localhost:%u", options.port);
    options.proxy = proxy;
    options.host = "rooms.example.org";
    options.port = 443;
    options.secure = true;
    assert_int_equal(dial(&client), YOMO_OK);
    UNTIL(loop, peer_here() && raw_has(&peer, "\r\n\r\n"));
    assert_text(yo_buf_span(&peer.got), "CONNECT rooms.example.org:443 HTTP/1.1\r\n"
                                        "Host: rooms.example.org:443\r\n\r\n");
    raw_say(&peer, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    expect_end(&client, YOMO_ERR_UNREACHABLE, YO_CLOSE_RETRY);
    assert_memory_equal(client.text, "the proxy answered 407", 22);
}

/* --- A real server ---------------------------------------------------------------- */

struct server {
    struct yo_tcp_door *door;
    struct yo_conn *conn;
    uint16_t port;
    int closed;
    bool door_closed;
};

static void on_server_conn_closed(void *user, struct yo_conn *conn,
                                  const struct yo_close *why, yo_time now)
{
    struct server *server = user;
    (void)conn;
    (void)why;
    (void)now;
    server->closed++;
    server->conn = NULL;
}

static const struct yo_conn_events server_conn_events = {.on_closed =
                                                             on_server_conn_closed};

static void on_request(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now)
{
    struct server *server = user;
    struct yo_response response = {.status = 200};
    (void)request;
    (void)now;
    server->conn =
        incoming->ops->accept(incoming, &response, &server_conn_events, server);
}

static const struct yo_listener_events listener_events = {.on_request = on_request};

static void on_door_closed(void *user)
{
    ((struct server *)user)->door_closed = true;
}

static int server_start(struct server *server, struct yo_loop *on, bool secure)
{
    struct yo_listener_options listener_options = {
        .message_size_max = 10000, .queue_size_max = 10000, .handshake_ms = 10000};
    memset(server, 0, sizeof(*server));
    int rv = yo_tcp_door_create(&server->door, on, &listener_options, &listener_events,
                                server);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_tcp_door_set_tls(server->door, server_tls);
    return yo_tcp_door_add(server->door, raw_bound(&server->port), secure);
}

static void server_stop(struct server *server, struct yo_loop *on)
{
    if (server->door) {
        yo_tcp_door_close(server->door, on_door_closed, server);
        UNTIL(on, server->door_closed);
    }
}

static void a_server_that_is_not_trusted_is_an_error(void **state)
{
    (void)state;
    struct server server;
    struct client client;
    assert_int_equal(server_start(&server, loop, true), YOMO_OK);
    options.port = server.port;
    options.secure = true;
    options.tls = stranger_tls;
    assert_int_equal(dial(&client), YOMO_OK);
    expect_end(&client, YOMO_ERR_CERT, YO_CLOSE_RETRY);
    assert_string_equal(client.text, "self-signed certificate");
    server_stop(&server, loop);
}

static void tls_against_a_plain_server_is_an_error(void **state)
{
    (void)state;
    struct server server;
    struct client client;
    assert_int_equal(server_start(&server, loop, false), YOMO_OK);
    options.port = server.port;
    options.secure = true;
    assert_int_equal(dial(&client), YOMO_OK);
    expect_end(&client, YOMO_ERR_TLS, YO_CLOSE_RETRY);
    server_stop(&server, loop);
}

/* Carry bytes between the client's connection to us and one to the server. */
static void carry(struct raw *from, struct raw *to)
{
    raw_read(from);
    if (from->got.size > 0) {
        raw_send(to, yo_buf_span(&from->got));
        yo_buf_clear(&from->got);
    }
}

static void a_tunnel_leads_to_the_server(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct server server;
        struct client client;
        struct raw onward;
        char proxy[64];
        peer.fd = -1;
        assert_int_equal(server_start(&server, loop, secure != 0), YOMO_OK);
        snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", options.port);
        uint16_t proxy_port = options.port;
        options.proxy = proxy;
        options.host = "rooms.example.org"; /* the proxy knows where that is */
        options.port = server.port;
        options.secure = secure != 0;
        struct yo_tls_client_options tls_options = {.pin_count = 1};
        yo_tls_server_hash(server_tls, tls_options.pins[0]);
        struct yo_tls_client *pinned;
        yo_tls_client_create(&pinned, &yo_mem_libc, &tls_options, NULL);
        options.tls = pinned;
        assert_int_equal(dial(&client), YOMO_OK);
        yo_tls_client_unref(pinned);
        UNTIL(loop, peer_here() && raw_has(&peer, "\r\n\r\n"));
        yo_buf_clear(&peer.got);
        raw_connect(&onward, server.port);
        raw_say(&peer, "HTTP/1.1 200 Connection established\r\n\r\n");
        if (!secure) { /* the plain listener is for this machine's names only */
            UNTIL(loop, (raw_read(&peer), peer.got.size > 0));
            carry(&peer, &onward);
            UNTIL(loop, raw_has(&onward, "421"));
            carry(&onward, &peer);
            expect_end(&client, YOMO_ERR_DENIED, YO_CLOSE_FINAL);
        } else {
            UNTIL(loop, (carry(&peer, &onward), carry(&onward, &peer),
                         client.opened || client.closed));
            assert_int_equal(client.opened, 1);
            yo_conn_abort(client.conn);
            UNTIL(loop, client.closed);
        }
        raw_close(&onward);
        raw_close(&peer);
        server_stop(&server, loop);
        options.port = proxy_port;
    }
}

static void no_descriptor_is_inherited(void **state)
{
    (void)state;
    struct server server;
    struct client client;
    bool before[1024];
    for (int fd = 0; fd < 1024; fd++) {
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    }
    assert_int_equal(server_start(&server, loop, true), YOMO_OK);
    options.port = server.port;
    options.secure = true;
    options.host = "localhost";
    assert_int_equal(dial(&client), YOMO_OK);
    UNTIL(loop, client.opened && server.conn);
    int fresh = 0;
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !before[fd]) {
            fresh++;
            assert_true(flags & FD_CLOEXEC);
        }
    }
    assert_true(fresh >= 3); /* a listener and two ends */
    yo_conn_abort(client.conn);
    UNTIL(loop, client.closed && server.closed);
    server_stop(&server, loop);
}

/* --- Without memory --------------------------------------------------------------- */

static void meet(struct fault *fault, void *user)
{
    struct yo_loop *own;
    struct server server;
    struct client client;
    struct yo_conn *conn = NULL;
    (void)user;
    memset(&client, 0, sizeof(client));
    memset(&server, 0, sizeof(server));
    if (yo_loop_create(&own, &fault->mem, NULL, NULL) != YOMO_OK) {
        return;
    }
    int rv = server_start(&server, own, true);
    if (rv == YOMO_OK) {
        options.port = server.port;
        options.secure = true;
        options.handshake_ms = UNTIL_MS; /* however busy the machine is */
        rv = yo_dial_tcp(&conn, own, &options, &client_events, &client);
    }
    if (rv == YOMO_OK) {
        /* A server without memory may not answer. */
        uint64_t patience = yo_wall_ms() + 300;
        client.conn = conn;
        UNTIL(own, client.opened || client.closed ||
                       (fault->failed && yo_wall_ms() > patience));
        assert_true(client.opened || fault->failed);
        if (!client.opened && !client.closed) {
            yo_conn_abort(conn);
            UNTIL(own, client.closed);
        } else if (!client.closed) {
            struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("message"));
            (void)yo_conn_send(conn, YO_LANE_CONTROL, blob, 0);
            yo_blob_unref(blob);
            struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};
            yo_conn_close(conn, &how);
            UNTIL(own, client.closed);
        }
    } else {
        assert_true(fault->failed);
    }
    server_stop(&server, own);
    assert_null(server.conn);
    until_closed(own);
}

static void it_all_survives_every_failing_allocation(void **state)
{
    (void)state;
    fault_each(meet, NULL);
}

static int start_group(void **state)
{
    struct yo_buf cert, key;
    bool fresh;
    (void)state;
    strcpy(dir, "/tmp/yomo-dial-XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    int rv = yo_devcert_ready(dir, yo_wall_ms(), &cert, &key, &fresh, NULL);
    if (rv == YOMO_OK) {
        struct yo_tls_server_options server_options = {
            .cert_file = (char *)cert.data, .key_file = (char *)key.data};
        struct yo_tls_client_options trusting = {.dev_state_dir = dir};
        struct yo_tls_client_options strange = {.dev_state_dir = "/nonexistent"};
        rv = yo_tls_server_create(&server_tls, &yo_mem_libc, &server_options, NULL) |
             yo_tls_client_create(&client_tls, &yo_mem_libc, &trusting, NULL) |
             yo_tls_client_create(&stranger_tls, &yo_mem_libc, &strange, NULL);
    }
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    return rv;
}

static int stop_group(void **state)
{
    static const char *const names[] = {"dev-cert.pem", "dev-key.pem", "dev.lock"};
    char path[128];
    (void)state;
    yo_tls_server_unref(server_tls);
    yo_tls_client_unref(client_tls);
    yo_tls_client_unref(stranger_tls);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refusal_is_told_with_its_status),
        TEST(a_server_that_is_too_busy_is_to_come_back_to),
        TEST(what_is_no_websocket_is_an_error),
        TEST(what_is_not_http_is_an_error),
        TEST(a_server_that_hangs_up_is_an_error),
        TEST(a_server_that_says_nothing_is_given_up),
        TEST(nobody_at_home_is_unreachable),
        TEST(a_name_that_is_none_cannot_be_resolved),
        TEST(wrong_options_are_refused_at_once),
        TEST(a_wrong_answer_is_not_followed),
        TEST(giving_up_is_possible_at_any_time),
        TEST(a_proxy_that_refuses_is_named),
        TEST(a_server_that_is_not_trusted_is_an_error),
        TEST(tls_against_a_plain_server_is_an_error),
        TEST(a_tunnel_leads_to_the_server),
        TEST(no_descriptor_is_inherited),
        TEST(it_all_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, start_group, stop_group);
}
