/* SPDX-License-Identifier: MIT */
/* WebTransport without rooms over a path of 100 ms: a stream that is read as fast as it
 * comes has much more than its first window under way, in either direction. The relay
 * of tests/support/link is the path. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../middle/link.h"

#define FIRST_WINDOW 65536 /* of a stream */
#define MUCH 4000000

struct scene {
    struct rig rig;
    struct link_child link;
    struct end *client, *server;
};

/* Both ends of a session through the relay. `sessions`: that may share a connection. */
static void open_scene(struct scene *scene, const char *sessions)
{
    static const char *const orders[] = {"delay 50", NULL};
    const char *options[] = {"webtransport-sessions", sessions, NULL};
    struct rig *rig = &scene->rig;
    unsigned port;
    *scene = (struct scene){.rig = {.sessions = sessions}};
    rig_open(rig, WAY_THREAD, "1", sessions ? options : NULL);
    assert_int_equal(sscanf(rig->base, "https://127.0.0.1:%u", &port), 1);
    link_begin(&scene->link, (uint16_t)port, orders);
    snprintf(rig->base, sizeof(rig->base), "https://127.0.0.1:%u", scene->link.port);
    rig_pair(rig, &scene->client, &scene->server);
}

static void close_scene(struct scene *scene)
{
    rig_close(&scene->rig);
    link_end(&scene->link);
}

/* The most that was on its way at a time when one stream carries much to `to`. */
static uint64_t most_in_flight(struct scene *scene, struct end *from, struct end *to)
{
    struct rig *rig = &scene->rig;
    struct pipe *out = rig_stream(from, false), *in = NULL;
    uint8_t *bytes = calloc(1, MUCH);
    uint64_t most = 0, limit = rig_now_ms() + 2 * RIG_MS;
    size_t taken, heard = 0;
    assert_non_null(bytes);
    assert_int_equal(yomo_wt_stream_set_buffer(out->stream, MUCH), YOMO_OK);
    assert_int_equal(yomo_wt_stream_write(out->stream, bytes, MUCH, &taken), YOMO_OK);
    assert_int_equal(taken, MUCH);
    free(bytes);
    UNTIL(rig, (in = rig_pipe(to, false, 0)) != NULL);
    while (heard < MUCH) {
        yomo_wt_stats stats = {.size = sizeof(stats)};
        assert_int_equal(yomo_wt_session_stats(from->session, &stats), YOMO_OK);
        most = stats.bytes_in_flight > most ? stats.bytes_in_flight : most;
        pthread_mutex_lock(&rig->lock);
        heard = in->size;
        pthread_mutex_unlock(&rig->lock);
        assert_true(rig_now_ms() < limit);
        rig_turn(rig);
    }
    print_message("at most %llu bytes under way\n", (unsigned long long)most);
    return most;
}

static void one_stream_fills_it(void **state)
{
    struct scene scene;
    (void)state;
    open_scene(&scene, NULL);
    assert_true(most_in_flight(&scene, scene.client, scene.server) > 4 * FIRST_WINDOW);
    assert_true(most_in_flight(&scene, scene.server, scene.client) > 4 * FIRST_WINDOW);
    close_scene(&scene);
}

static void one_stream_fills_it_where_sessions_have_flow_control(void **state)
{
    struct scene scene;
    (void)state;
    open_scene(&scene, "4");
    assert_true(most_in_flight(&scene, scene.client, scene.server) > 6 * FIRST_WINDOW);
    assert_true(most_in_flight(&scene, scene.server, scene.client) > 6 * FIRST_WINDOW);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream_fills_it),
        cmocka_unit_test(one_stream_fills_it_where_sessions_have_flow_control),
    };
    return cmocka_run_group_tests_name("sessions/long_path", tests, NULL, NULL);
}
