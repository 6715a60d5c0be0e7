/* SPDX-License-Identifier: MIT */
/* rooms.c - a real server on real sockets, met by connections that say exactly what
 * this test wants: one room over the transport that the argument names, together with a
 * presencejs page over plain WebSocket, on two workers. */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <yomo/server.h>

#include "support/bytes.h"
#include "support/until.h"
#include "transport/dial.h"
#include "wire/decode.h"
#include "wire/encode.h"

static enum yomo_transport_kind kind = YOMO_TRANSPORT_WEBSOCKET;
static bool secure;
static char state_dir[] = "/tmp/yomo-e2e-XXXXXX";

struct scene {
    yomo_server *server;
    struct yo_loop *loop;
    struct yo_tls_client *tls;
};

/* One client: counts what comes, keeps the last message of each kind. */
struct guest {
    struct scene *scene;
    struct yo_conn *conn;
    bool extension, open, closed;
    bool datagrams; /* it speaks in them */
    struct yo_close why;
    unsigned count[YO_OP_UNKNOWN + 1];
    unsigned came; /* others, alone or with changes of others */
    uint64_t session;
    char peer[64];  /* of the last message that had one */
    char data[512]; /* of the last DATA */
    unsigned data_bytes;
    bool in_order;
    long newest;
};

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    struct guest *guest = user;

    (void)conn;
    (void)now;
    guest->open = true;
}

static void count_changes(struct guest *guest, struct yo_span changes)
{
    struct yo_wire_member member;
    struct yo_mp_reader reader;
    uint32_t count;

    assert_int_equal(yo_members_init(&reader, changes, &count), YOMO_OK);
    while (count-- > 0) {
        assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
        guest->came += member.change == YO_WIRE_CAME && member.session != guest->session;
    }
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span bytes, yo_time now)
{
    struct guest *guest = user;
    struct yo_message message;
    struct yo_content content;

    (void)conn;
    (void)lane;
    (void)now;
    assert_int_equal(yo_decode(bytes, &message), YOMO_OK);
    guest->count[message.op]++;
    guest->came += message.op == YO_OP_PEER_ONLINE;
    if (message.op == YO_OP_CHANGES) {
        count_changes(guest, message.members);
    }
    if (message.op == YO_OP_HELLO) {
        guest->session = message.session;
    }
    if (message.peer.data) {
        snprintf(guest->peer, sizeof(guest->peer), "%.*s", (int)message.peer.size,
                 (const char *)message.peer.data);
    }
    if (message.op == YO_OP_DATA) {
        assert_int_equal(yo_content_read(message.payload, &content), YOMO_OK);
        guest->data_bytes = (unsigned)content.bytes.size;
        snprintf(guest->data, sizeof(guest->data), "%.*s", (int)content.bytes.size,
                 (const char *)content.bytes.data);
        if (content.bytes.size < 9) {
            guest->in_order &= atol(guest->data) == guest->newest + 1;
            guest->newest = atol(guest->data);
        }
    }
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct guest *guest = user;

    (void)conn;
    (void)now;
    guest->closed = true;
    guest->why = *why;
}

static const struct yo_conn_events events = {
    .on_open = on_open, .on_message = on_message, .on_closed = on_closed};

static void knock_as(struct guest *guest, struct scene *scene,
                     enum yomo_transport_kind transport, bool tls, const char *path)
{
    struct yo_dial_options options = {
        .transport = transport,
        .secure = tls,
        .host = "localhost",
        .port = tls ? yomo_server_port(scene->server)
                    : yomo_server_http_port(scene->server),
        .path = path,
        .extension = strstr(path, "yomo=1") != NULL,
        .tls = scene->tls,
        .message_size_max = 1 << 20,
        .queue_size_max = 1 << 20,
        .handshake_ms = 8000,
        .idle_ms = 30000,
        .keepalive_ms = 5000,
        .silence_ms = 15000,
    };

    memset(guest, 0, sizeof(*guest));
    guest->scene = scene;
    guest->extension = options.extension;
    guest->datagrams = transport == YOMO_TRANSPORT_WEBTRANSPORT;
    guest->in_order = true;
    guest->newest = -1;
    assert_int_equal(yo_dial(&guest->conn, scene->loop, &options, &events, guest),
                     YOMO_OK);
    UNTIL(scene->loop, guest->open || guest->closed);
}

/* By the transport under test. */
static void knock(struct guest *guest, struct scene *scene, const char *path)
{
    knock_as(guest, scene, kind, secure, path);
}

static void leave_all(struct guest *guest)
{
    struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};

    if (!guest->closed) {
        yo_conn_close(guest->conn, &how);
        UNTIL(guest->scene->loop, guest->closed);
    }
}

static void say(struct guest *guest, const struct yo_message *message)
{
    struct yo_blob *blob;
    uint32_t lane = !guest->extension && guest->datagrams ? YO_LANE_DATAGRAM
                    : guest->extension && message->op == YO_OP_DATA
                        ? (message->delivery == YOMO_RELIABLE || !guest->datagrams
                               ? YO_LANE_ROOMS
                               : YO_LANE_DATAGRAM)
                        : YO_LANE_CONTROL;
    int rv;

    assert_int_equal(
        yo_encode_blob(&blob, &yo_mem_libc,
                       guest->extension ? YO_DIALECT_YOMO : YO_DIALECT_PRESENCEJS,
                       message),
        YOMO_OK);
    while ((rv = yo_conn_send(guest->conn, lane, blob, 0)) == YOMO_ERR_AGAIN) {
        until_turn(guest->scene->loop, 50);
    }
    assert_int_equal(rv, YOMO_OK);
    yo_blob_unref(blob);
}

static void say_data(struct guest *guest, const char *json, enum yomo_delivery delivery)
{
    struct yo_message message = {.op = YO_OP_DATA,
                                 .channel = yo_span_of("r"),
                                 .delivery = delivery,
                                 .version = delivery == YOMO_LATEST};
    struct yo_buf payload;

    yo_buf_init(&payload, &yo_mem_libc);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of(json)),
        YOMO_OK);
    message.payload = yo_buf_span(&payload);
    say(guest, &message);
    yo_buf_finish(&payload);
}

static void join(struct guest *guest, const char *path)
{
    struct yo_message message = {.op = YO_OP_CHANNEL_JOIN, .channel = yo_span_of("r")};

    (void)path;
    say(guest, &message);
    UNTIL(guest->scene->loop, guest->count[YO_OP_CHANNEL_JOIN] > 0);
    if (guest->extension) {
        UNTIL(guest->scene->loop, guest->count[YO_OP_SNAPSHOT] > 0);
    }
}

/* --- servers --------------------------------------------------------------------- */

static void open_scene_with(struct scene *scene, const yomo_server_callbacks *hooks,
                            ...)
{
    struct yo_tls_client_options tls = {.dev_state_dir = state_dir};
    yomo_options *options;
    struct yo_buf why;
    const char *name;
    va_list args;

    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "workers", "2"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "http-port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", state_dir), YOMO_OK);
    va_start(args, hooks);
    while ((name = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        if (yomo_options_set(options, name, value) != YOMO_OK) {
            fail_msg("%s", yomo_options_error(options));
        }
    }
    va_end(args);
    assert_int_equal(yomo_server_create(&scene->server, options, hooks, NULL), YOMO_OK);
    yomo_options_free(options);
    if (yomo_server_listen(scene->server) != YOMO_OK) {
        fail_msg("%s", yomo_server_error(scene->server));
    }
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_tls_client_create(&scene->tls, &yo_mem_libc, &tls, &why),
                     YOMO_OK);
    yo_buf_finish(&why);
    assert_int_equal(
        yo_loop_create(&scene->loop, &yo_mem_libc, NULL, &(struct yo_log){0}), YOMO_OK);
}

static void close_scene(struct scene *scene)
{
    yomo_server_free(scene->server);
    yo_tls_client_unref(scene->tls);
    until_closed(scene->loop);
}

/* --- tests ----------------------------------------------------------------------- */

static void pages_and_programs_share_a_room(void **unused)
{
    struct scene scene;
    struct guest native[3], page, datagram_page;

    (void)unused;
    open_scene_with(&scene, NULL, NULL);
    for (int i = 0; i < 3; i++) { /* likely on both workers */
        char path[32];
        snprintf(path, sizeof(path), "/v1?yomo=1&id=n%d", i);
        knock(&native[i], &scene, path);
        assert_true(native[i].open);
        join(&native[i], "r");
        assert_int_equal(native[i].count[YO_OP_HELLO], 1);
    }
    knock_as(&page, &scene, YOMO_TRANSPORT_WEBSOCKET, false, "/v1?publickey=k&id=page");
    join(&page, "r");
    UNTIL(scene.loop, page.count[YO_OP_PEER_STATE] == 3);
    knock(&datagram_page, &scene, "/v1?publickey=k&id=other");
    join(&datagram_page, "r");
    UNTIL(scene.loop, datagram_page.count[YO_OP_PEER_STATE] == 4);
    UNTIL(scene.loop, page.count[YO_OP_PEER_STATE] == 4);
    UNTIL(scene.loop, native[0].came == 4);
    say_data(&native[0], "0", YOMO_RELIABLE);
    UNTIL(scene.loop, page.count[YO_OP_DATA] == 1 && native[2].count[YO_OP_DATA] == 1 &&
                          native[1].count[YO_OP_DATA] == 1 &&
                          datagram_page.count[YO_OP_DATA] == 1);
    assert_string_equal(page.peer, "n0");
    say_data(&page, "1", YOMO_RELIABLE);
    UNTIL(scene.loop,
          native[0].count[YO_OP_DATA] == 1 && native[2].count[YO_OP_DATA] == 2);
    assert_string_equal(native[0].peer, "page");
    assert_int_equal(page.count[YO_OP_DATA], 1); /* not its own */
    say_data(&native[1], "2", YOMO_LATEST);
    say_data(&native[1], "3", YOMO_UNRELIABLE);
    UNTIL(scene.loop, page.count[YO_OP_DATA] >= 2 && native[0].count[YO_OP_DATA] >= 2);
    for (int i = 0; i < 3; i++) {
        leave_all(&native[i]);
    }
    UNTIL(scene.loop, page.count[YO_OP_PEER_OFFLINE] == 3); /* at once */
    leave_all(&page);
    leave_all(&datagram_page);
    close_scene(&scene);
}

static void reliable_messages_all_come_in_order(void **unused)
{
    struct scene scene;
    struct guest a, b;
    char json[16];

    (void)unused;
    open_scene_with(&scene, NULL, "message-rate", "0", NULL);
    knock(&a, &scene, "/v1?yomo=1&id=a");
    knock(&b, &scene, "/v1?yomo=1&id=b");
    join(&a, "r");
    join(&b, "r");
    for (int i = 0; i < 2000; i++) {
        snprintf(json, sizeof(json), "%d", i);
        say_data(&a, json, YOMO_RELIABLE);
    }
    UNTIL(scene.loop, b.count[YO_OP_DATA] == 2000);
    assert_true(b.in_order);
    leave_all(&a);
    leave_all(&b);
    close_scene(&scene);
}

static void large_messages_arrive(void **unused)
{
    struct scene scene;
    struct guest a, b;
    static char json[60001];

    (void)unused;
    open_scene_with(&scene, NULL, NULL);
    knock(&a, &scene, "/v1?yomo=1&id=a");
    knock(&b, &scene, "/v1?yomo=1&id=b");
    join(&a, "r");
    join(&b, "r");
    memset(json, '1', 60000);
    for (int delivery = YOMO_RELIABLE; delivery <= YOMO_LATEST; delivery++) {
        struct yo_message message = {.op = YO_OP_DATA,
                                     .channel = yo_span_of("r"),
                                     .delivery = (enum yomo_delivery)delivery,
                                     .version = delivery == YOMO_LATEST};
        struct yo_blob *blob;
        struct yo_buf payload;
        yo_buf_init(&payload, &yo_mem_libc);
        (void)yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of(json));
        message.payload = yo_buf_span(&payload);
        assert_int_equal(yo_encode_blob(&blob, &yo_mem_libc, YO_DIALECT_YOMO, &message),
                         YOMO_OK);
        yo_buf_finish(&payload);
        assert_int_equal(yo_conn_send(a.conn, YO_LANE_ROOMS, blob, 0), YOMO_OK);
        yo_blob_unref(blob);
        UNTIL(scene.loop, b.count[YO_OP_DATA] == (unsigned)delivery + 1);
        assert_int_equal(b.data_bytes, 60000);
    }
    leave_all(&a);
    leave_all(&b);
    close_scene(&scene);
}

static void refusals_are_understood(void **unused)
{
    struct scene scene;
    struct guest guest;

    (void)unused;
    open_scene_with(&scene, NULL, "keys", "app=good", NULL);
    if (secure) { /* without development there is no plain listener unless asked for */
        knock(&guest, &scene, "/nowhere?publickey=good");
        assert_false(guest.open);
        assert_true(guest.closed);
        knock(&guest, &scene, "/v1?publickey=bad");
        UNTIL(scene.loop, guest.closed);
        assert_int_equal(guest.why.kind, YO_CLOSE_FINAL);
        assert_int_equal(guest.why.code, YO_CODE_AUTH);
        knock(&guest, &scene, "/v1?publickey=good");
        assert_true(guest.open);
        leave_all(&guest);
    }
    close_scene(&scene);
}

static void clients_are_told_when_the_server_goes_away(void **unused)
{
    struct scene scene;
    struct guest native, page;
    uint64_t began;

    (void)unused;
    open_scene_with(&scene, NULL, NULL);
    knock(&native, &scene, "/v1?yomo=1&id=native");
    knock(&page, &scene, "/v1?id=page");
    join(&native, "r");
    join(&page, "r");
    began = yo_wall_ms();
    yomo_server_drain(scene.server, 5000);
    UNTIL(scene.loop, native.count[YO_OP_GOAWAY] == 1);
    UNTIL(scene.loop, native.closed && page.closed);
    assert_int_equal(native.why.kind, YO_CLOSE_RETRY);
    assert_int_equal(page.why.kind, YO_CLOSE_RETRY);
    close_scene(&scene);
    assert_true(yo_wall_ms() - began < 10000);
}

static void a_silent_client_of_the_extension_is_closed(void **unused)
{
    struct scene scene;
    struct guest a, b;

    (void)unused;
    open_scene_with(&scene, NULL, "silence-timeout", "2s", NULL);
    knock(&b, &scene, "/v1?id=b"); /* a page, kept alive by the transport */
    knock(&a, &scene, "/v1?yomo=1&id=a");
    join(&b, "r");
    join(&a, "r");
    UNTIL(scene.loop, a.closed);
    assert_int_equal(a.why.kind, YO_CLOSE_RETRY);
    leave_all(&b);
    close_scene(&scene);
}

static void a_client_that_dies_is_gone_for_the_others(void **unused)
{
    struct scene scene;
    struct guest page, dead[2];

    (void)unused;
    open_scene_with(&scene, NULL, "silence-timeout", "3s", "grace-time", "1s", NULL);
    knock_as(&page, &scene, YOMO_TRANSPORT_WEBSOCKET, false, "/v1?id=page");
    join(&page, "r");
    knock(&dead[0], &scene, "/v1?yomo=1&id=native");
    join(&dead[0], "r");
    knock(&dead[1], &scene, "/v1?id=other");
    join(&dead[1], "r");
    for (int i = 0; i < 2; i++) { /* as if its process had died */
        yo_conn_abort(dead[i].conn);
        UNTIL(scene.loop, dead[i].closed);
    }
    UNTIL(scene.loop, page.count[YO_OP_PEER_OFFLINE] == 2);
    leave_all(&page);
    close_scene(&scene);
}

static int connect_plain(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* The other backend makes TLS inside its accept loop: one that stops halfway stops all.
 */
static void clients_that_stop_halfway_hold_up_nobody(void **unused)
{
    struct scene scene;
    struct guest guest;
    int fds[20];

    (void)unused;
    open_scene_with(&scene, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        fds[i] = connect_plain(i % 2 ? yomo_server_port(scene.server)
                                     : yomo_server_http_port(scene.server));
        if (i % 4 < 2) { /* half a TLS record, half a request */
            assert_int_equal(write(fds[i], i % 2 ? "\x16\x03\x01\x02" : "GET", 3), 3);
        }
    }
    knock(&guest, &scene, "/v1?yomo=1&id=a");
    join(&guest, "r");
    leave_all(&guest);
    for (int i = 0; i < 20; i++) {
        close(fds[i]);
    }
    close_scene(&scene);
}

/* --- pages ----------------------------------------------------------------------- */

static const char *get(uint16_t port, const char *request)
{
    static char answer[65536];
    size_t size = 0;
    ssize_t got;
    int fd = connect_plain(port);

    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while ((got = read(fd, answer + size, sizeof(answer) - 1 - size)) > 0) {
        size += (size_t)got;
    }
    answer[size] = '\0';
    close(fd);
    return answer;
}

#define GET(path) \
    "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

static void pages_are_served(void **unused)
{
    struct scene scene;
    char root[] = "/tmp/yomo-web-XXXXXX", name[64], expected[128];
    uint16_t port;
    FILE *file;

    (void)unused;
    assert_non_null(mkdtemp(root));
    snprintf(name, sizeof(name), "%s/index.html", root);
    file = fopen(name, "w");
    assert_non_null(file);
    fputs("<p>hello", file);
    fclose(file);
    open_scene_with(&scene, NULL, "web-root", root, NULL);
    port = yomo_server_http_port(scene.server);
    assert_non_null(strstr(get(port, GET("/healthz")), "200 OK"));
    assert_non_null(strstr(get(port, GET("/readyz")), "ready"));
    assert_non_null(strstr(get(port, GET("/metrics")), "\nyomo_workers 2\n"));
    assert_non_null(strstr(get(port, GET("/")), "<p>hello"));
    assert_non_null(strstr(get(port, GET("/missing")), " 404 "));
    assert_non_null(strstr(get(port, GET("/../secret")), " 404 "));
    assert_non_null(strstr(get(port, GET("/v1")), " 426 "));
    assert_non_null(
        strstr(get(port, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n"),
               " 405 "));
    snprintf(expected, sizeof(expected),
             "{\"port\":%u,\"http_port\":%u,\"certificate_sha256\"",
             yomo_server_port(scene.server), port);
    assert_non_null(strstr(get(port, GET("/config.json")), expected));
    /* A name that an attacker's DNS has pointed here. */
    assert_null(strstr(get(port, "GET /config.json HTTP/1.1\r\nHost: evil.example\r\n"
                                 "Connection: close\r\n\r\n"),
                       "200 OK"));
    close_scene(&scene);
    unlink(name);
    rmdir(root);
}

static int remove_state(void **unused)
{
    static const char *const names[] = {"dev-cert.pem", "dev-key.pem", "secret",
                                        "ticket-key", "dev.lock"};
    char path[128];

    (void)unused;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", state_dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(state_dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_and_programs_share_a_room),
        cmocka_unit_test(reliable_messages_all_come_in_order),
        cmocka_unit_test(large_messages_arrive),
        cmocka_unit_test(refusals_are_understood),
        cmocka_unit_test(clients_are_told_when_the_server_goes_away),
        cmocka_unit_test(a_silent_client_of_the_extension_is_closed),
        cmocka_unit_test(a_client_that_dies_is_gone_for_the_others),
        cmocka_unit_test(clients_that_stop_halfway_hold_up_nobody),
        cmocka_unit_test(pages_are_served),
    };

    if (argc > 1 && strcmp(argv[1], "websocket") != 0) {
        secure = true;
        kind = strcmp(argv[1], "webtransport") == 0 ? YOMO_TRANSPORT_WEBTRANSPORT
                                                    : YOMO_TRANSPORT_WEBSOCKET;
    }
    if (!mkdtemp(state_dir)) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, remove_state);
}
