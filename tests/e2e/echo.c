/* SPDX-License-Identifier: MIT */
/* echo.c - /echo of a real server, met by sessions that open streams of every kind,
 * read slowly, break off, and close with a code. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>
#include <yomo/server.h>

#include "server/echo_session.h"
#include "server/handle.h"
#include "support/until.h"
#include "transport/dial_quic.h"
#include "transport/webtransport/session.h"

#define MEGABYTE 1000000
#define FLOWS_MAX 600

static char state_dir[] = "/tmp/yomo-echo-XXXXXX";

/* One stream of the client's, or one that the server opened. What is written and read
 * is a pattern, so that a byte says where it belongs. */
struct flow {
    struct guest *guest;
    struct yo_wt_stream *stream; /* NULL once it has gone */
    size_t size, written;        /* what is to be written, and was */
    bool fin;                    /* and then FIN */
    size_t heard;
    size_t room; /* what on_data may take still */
    bool ended, reset, stopped;
    uint32_t code, stop_code; /* of the reset, of the stop */
};

struct guest {
    struct yo_loop *loop;
    struct yo_wt_session *session;
    bool open, drained, over;
    struct yo_wt_end end;
    char text[64];
    size_t datagrams, datagram_bytes;
    struct flow flows[FLOWS_MAX];
    size_t count;
};

struct scene {
    yomo_server *server;
    struct yo_loop *loop;
    struct yo_tls_client *tls;
};

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

/* --- A client --------------------------------------------------------------------- */

static struct flow *new_flow(struct guest *guest)
{
    assert_true(guest->count < FLOWS_MAX);
    struct flow *flow = &guest->flows[guest->count++];
    *flow = (struct flow){.guest = guest, .room = SIZE_MAX};
    return flow;
}

/* Write as much as 64 KiB of queue take. */
static void pump(struct flow *flow)
{
    uint8_t bytes[8192];
    size_t taken = 1;

    while (flow->stream && flow->written < flow->size && taken > 0) {
        size_t n = flow->size - flow->written;
        n = n < sizeof(bytes) ? n : sizeof(bytes);
        for (size_t i = 0; i < n; i++) {
            bytes[i] = pattern(flow->written + i);
        }
        if (yo_wt_stream_write(flow->stream, yo_span(bytes, n), 65536, &taken) !=
            YOMO_OK) {
            return;
        }
        flow->written += taken;
    }
    if (flow->stream && flow->written == flow->size && flow->fin) {
        flow->fin = false;
        yo_wt_stream_end(flow->stream);
    }
}

static size_t on_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct flow *flow = user;
    size_t n = bytes.size < flow->room ? bytes.size : flow->room;

    (void)stream;
    (void)now;
    for (size_t i = 0; i < n; i++) {
        if (bytes.data[i] != pattern(flow->heard + i)) {
            fail_msg("byte %zu is another one", flow->heard + i);
        }
    }
    flow->room -= flow->room == SIZE_MAX ? 0 : n;
    flow->heard += n;
    flow->ended = end && n == bytes.size;
    return n;
}

static void on_reset(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                     yo_time now)
{
    struct flow *flow = user;

    (void)stream;
    (void)now;
    flow->reset = true;
    flow->code = code ? *code : UINT32_MAX;
}

static void on_stop(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                    yo_time now)
{
    struct flow *flow = user;

    (void)stream;
    (void)now;
    flow->stopped = true;
    flow->stop_code = code ? *code : UINT32_MAX;
}

static void on_acked(void *user, struct yo_wt_stream *stream, size_t size, yo_time now)
{
    (void)stream;
    (void)size;
    (void)now;
    pump(user);
}

static void on_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    (void)stream;
    (void)now;
    ((struct flow *)user)->stream = NULL;
}

static const struct yo_wt_stream_events stream_events = {
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stop = on_stop,
    .on_acked = on_acked,
    .on_gone = on_gone,
};

static struct flow *open_flow(struct guest *guest, bool bidirectional, size_t size,
                              bool fin)
{
    struct flow *flow = new_flow(guest);

    flow->size = size;
    flow->fin = fin;
    assert_int_equal(yo_wt_session_open(guest->session, bidirectional, &stream_events,
                                        flow, &flow->stream),
                     YOMO_OK);
    pump(flow);
    return flow;
}

static void on_open(void *user, yo_time now)
{
    (void)now;
    ((struct guest *)user)->open = true;
}

static void on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct flow *flow = new_flow(user);

    (void)now;
    assert_false(yo_wt_stream_bidirectional(stream));
    flow->stream = stream;
    yo_wt_stream_listen(stream, &stream_events, flow);
}

static void on_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct guest *guest = user;

    (void)now;
    for (size_t i = 0; i < bytes.size; i++) {
        assert_int_equal(bytes.data[i], pattern(i));
    }
    guest->datagrams++;
    guest->datagram_bytes += bytes.size;
}

static void on_drain(void *user, yo_time now)
{
    (void)now;
    ((struct guest *)user)->drained = true;
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct guest *guest = user;

    (void)now;
    guest->over = true;
    guest->end = *end;
    snprintf(guest->text, sizeof(guest->text), "%.*s", (int)end->text.size,
             (const char *)end->text.data);
}

static const struct yo_wt_session_events session_events = {
    .on_open = on_open,
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_drain = on_drain,
    .on_end = on_end,
};

/* `protocols`: as in subprotocol.h. */
static struct guest *enter_with(struct scene *scene, const char *path,
                                struct yo_span protocols)
{
    struct guest *guest = calloc(1, sizeof(*guest));
    struct yo_dial_options options = {
        .transport = YOMO_TRANSPORT_WEBTRANSPORT,
        .secure = true,
        .host = "localhost",
        .port = yomo_server_port(scene->server),
        .path = path,
        .protocols = protocols,
        .tls = scene->tls,
        .handshake_ms = 8000,
        .idle_ms = 30000,
    };
    union yo_address remote;
    struct yo_dialed *dialed;

    assert_non_null(guest);
    assert_int_equal(yo_address_parse(&remote, "127.0.0.1", options.port), YOMO_OK);
    guest->loop = scene->loop;
    assert_int_equal(yo_dial_quic_session(&guest->session, &dialed, scene->loop,
                                          &options, &remote, NULL, NULL),
                     YOMO_OK);
    yo_wt_session_listen(guest->session, &session_events, guest);
    UNTIL(scene->loop, guest->open || guest->over);
    return guest;
}

static struct guest *enter(struct scene *scene, const char *path)
{
    return enter_with(scene, path, YO_SPAN_NONE);
}

static void leave(struct guest *guest)
{
    if (!guest->over) {
        yo_wt_session_close(guest->session, 0, YO_SPAN_NONE);
    }
    UNTIL(guest->loop, guest->over);
    free(guest);
}

static bool all_ended(const struct guest *guest, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < guest->count; i++) {
        n += guest->flows[i].ended;
    }
    return n == count;
}

/* --- A server --------------------------------------------------------------------- */

static void open_scene(struct scene *scene)
{
    struct yo_tls_client_options tls = {.dev_state_dir = state_dir};
    yomo_options *options;
    struct yo_buf why;

    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "workers", "2"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "http-port", "none"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", state_dir), YOMO_OK);
    assert_int_equal(yomo_server_create(&scene->server, options, NULL, NULL), YOMO_OK);
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

#define counted(scene, field) sum((scene)->server, offsetof(struct yo_metrics, field))
static uint64_t sum(const yomo_server *server, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < server->worker_count; i++) {
        const char *metrics = (const char *)&server->metrics[i];
        total += yo_metric_get((const yo_metric *)(const void *)(metrics + offset));
    }
    return total;
}

/* --- Tests ------------------------------------------------------------------------ */

static void datagrams_come_back(void **unused)
{
    struct scene scene;
    uint8_t bytes[1000];

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = pattern(i);
    }
    for (size_t i = 0; i < 3; i++) { /* the empty one too */
        struct yo_blob *blob =
            yo_blob_create(&yo_mem_libc, yo_span(bytes, i * sizeof(bytes) / 2));
        assert_int_equal(yo_wt_session_send(guest->session, blob, 0), YOMO_OK);
        yo_blob_unref(blob);
    }
    UNTIL(scene.loop, guest->datagrams == 3);
    assert_int_equal(guest->datagram_bytes, 1500);
    assert_int_equal(counted(&scene, echo_datagram_bytes), 1500);
    leave(guest);
    close_scene(&scene);
}

/* A megabyte through one stream, and as much with FIN only behind it. */
static void streams_come_back_whole(void **unused)
{
    struct scene scene;

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo?yomo=1");
    struct flow *bidi = open_flow(guest, true, MEGABYTE, true);
    UNTIL(scene.loop, bidi->ended);
    assert_int_equal(bidi->heard, MEGABYTE);
    struct flow *empty = open_flow(guest, true, 0, true);
    UNTIL(scene.loop, empty->ended);
    assert_int_equal(empty->heard, 0);

    struct flow *uni = open_flow(guest, false, MEGABYTE, true);
    UNTIL(scene.loop, guest->count == 4 && guest->flows[3].ended && !uni->stream);
    assert_int_equal(guest->flows[3].heard, MEGABYTE);
    open_flow(guest, false, 0, true);
    UNTIL(scene.loop, guest->count == 6 && guest->flows[5].ended);
    assert_int_equal(guest->flows[5].heard, 0);
    assert_int_equal(counted(&scene, echo_stream_bytes), 2 * MEGABYTE);
    UNTIL(scene.loop, counted(&scene, echo_streams) == 0);
    leave(guest);
    close_scene(&scene);
}

/* More than may be open at once, of both kinds together. */
static void many_streams_come_back(void **unused)
{
    struct scene scene;

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo");
    for (size_t i = 0; i < 400; i++) {
        open_flow(guest, i % 2 == 0, i * 10, true);
    }
    UNTIL(scene.loop, all_ended(guest, 400)); /* 200 of them the server's */
    assert_int_equal(guest->count, 600);
    assert_int_equal(counted(&scene, echo_stream_bytes), 10 * 399 * 400 / 2);
    leave(guest);
    close_scene(&scene);
}

static void a_reset_comes_back_with_its_code(void **unused)
{
    struct scene scene;

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo");
    struct flow *bidi = open_flow(guest, true, 10, false);
    struct flow *uni = open_flow(guest, false, 10, false);
    UNTIL(scene.loop,
          bidi->heard == 10 && guest->count == 3 && guest->flows[2].heard == 10);
    yo_wt_stream_reset(bidi->stream, 77);
    yo_wt_stream_reset(uni->stream, 4294967295u);
    UNTIL(scene.loop, bidi->reset && guest->flows[2].reset);
    assert_int_equal(bidi->code, 77);
    assert_int_equal(guest->flows[2].code, 4294967295u);
    UNTIL(scene.loop, !bidi->stream && !uni->stream && !guest->flows[2].stream);
    UNTIL(scene.loop, counted(&scene, echo_streams) == 0);
    leave(guest);
    close_scene(&scene);
}

static void who_reads_no_more_is_read_no_more(void **unused)
{
    struct scene scene;

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo");
    struct flow *bidi = open_flow(guest, true, 10, false);
    struct flow *uni = open_flow(guest, false, 10, false);
    UNTIL(scene.loop,
          bidi->heard == 10 && guest->count == 3 && guest->flows[2].heard == 10);
    yo_wt_stream_stop(bidi->stream, 5);
    yo_wt_stream_stop(guest->flows[2].stream, 4294967295u);
    UNTIL(scene.loop, bidi->stopped && uni->stopped);
    assert_int_equal(bidi->stop_code, 5);
    assert_int_equal(uni->stop_code, 4294967295u);
    UNTIL(scene.loop, !bidi->stream && !uni->stream && !guest->flows[2].stream);
    UNTIL(scene.loop, counted(&scene, echo_streams) == 0);
    leave(guest);
    close_scene(&scene);
}

/* Five that nobody reads take all the room that a session has, and no more than that;
 * another one passes all the same. */
static void who_does_not_read_holds_up_himself_alone(void **unused)
{
    struct scene scene;
    struct flow *slow[5];

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo");
    for (size_t i = 0; i < 5; i++) {
        slow[i] = open_flow(guest, true, MEGABYTE, true);
        slow[i]->room = 0;
    }
    struct flow *uni = open_flow(guest, false, MEGABYTE, true);
    uni->fin = false; /* pump has not come so far */
    struct flow *quick = open_flow(guest, true, MEGABYTE, true);
    UNTIL(scene.loop, quick->ended);
    /* Our window, their queue, and their window, which is no wider than twice what they
     * have read: the former two. */
    for (size_t i = 0; i < 5; i++) {
        size_t gone = slow[i]->written - yo_wt_stream_queued(slow[i]->stream);
        assert_true(gone <= 3 * (YO_WT_STREAM_WINDOW + YO_ECHO_STREAM_ROOM));
        assert_int_equal(slow[i]->heard, 0);
    }
    UNTIL(scene.loop, guest->count == 8);
    for (size_t i = 0; i < 5; i++) {
        slow[i]->room = SIZE_MAX;
        yo_wt_stream_resume(slow[i]->stream);
    }
    UNTIL(scene.loop, all_ended(guest, 6));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(slow[i]->heard, MEGABYTE);
    }
    UNTIL(scene.loop, guest->flows[7].heard == MEGABYTE);
    assert_false(guest->flows[7].ended);
    leave(guest);
    UNTIL(scene.loop, counted(&scene, echo_streams) == 0);
    close_scene(&scene);
}

static void of_subprotocols_the_first_is_agreed_to(void **unused)
{
    struct scene scene;

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter_with(&scene, "/echo", yo_span("b\0a", 4));
    assert_string_equal(yo_wt_session_protocol(guest->session), "b");
    leave(guest);
    guest = enter(&scene, "/echo");
    assert_string_equal(yo_wt_session_protocol(guest->session), "");
    leave(guest);
    close_scene(&scene);
}

static void a_session_ends_clean_from_either_side(void **unused)
{
    struct scene scene;

    (void)unused;
    open_scene(&scene);
    struct guest *guest = enter(&scene, "/echo");
    struct flow *flow = open_flow(guest, true, 10, false);
    UNTIL(scene.loop, flow->heard == 10);
    assert_int_equal(counted(&scene, echoes_webtransport), 1);
    yo_wt_session_close(guest->session, 4242, yo_span_of("enough"));
    UNTIL(scene.loop, guest->over);
    assert_true(guest->end.clean);
    UNTIL(scene.loop, counted(&scene, echoes_webtransport) == 0);
    free(guest);

    guest = enter(&scene, "/echo");
    yomo_server_drain(scene.server, 500);
    UNTIL(scene.loop, guest->over);
    assert_true(guest->drained && guest->end.clean && guest->end.remote);
    assert_int_equal(guest->end.code, YO_CODE_GOING_AWAY);
    assert_string_equal(guest->text, "going away");
    free(guest);
    close_scene(&scene);
}

static int remove_state(void **unused)
{
    DIR *folder = opendir(state_dir);
    struct dirent *entry;

    (void)unused;
    while (folder && (entry = readdir(folder)) != NULL) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
    return rmdir(state_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_come_back),
        cmocka_unit_test(streams_come_back_whole),
        cmocka_unit_test(many_streams_come_back),
        cmocka_unit_test(a_reset_comes_back_with_its_code),
        cmocka_unit_test(who_reads_no_more_is_read_no_more),
        cmocka_unit_test(who_does_not_read_holds_up_himself_alone),
        cmocka_unit_test(of_subprotocols_the_first_is_agreed_to),
        cmocka_unit_test(a_session_ends_clean_from_either_side),
    };
    if (!mkdtemp(state_dir)) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, remove_state);
}
