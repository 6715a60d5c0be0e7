/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

uint64_t rig_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void changed(struct rig *rig)
{
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

/* --- Streams ---------------------------------------------------------------------- */

static void *need(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

static struct pipe *new_pipe(struct end *end, yomo_wt_stream *stream)
{
    struct pipe *pipe = need(calloc(1, sizeof(*pipe)));
    pipe->end = end;
    pipe->take = end->take == 0 && !end->hold ? SIZE_MAX : end->take;
    if (stream) {
        pipe->stream = yomo_wt_stream_ref(stream);
        pipe->local = yomo_wt_stream_local(stream);
        pipe->bidirectional = yomo_wt_stream_bidirectional(stream);
    }
    return pipe;
}

/* With the lock. */
static void add_pipe(struct end *end, struct pipe *pipe)
{
    if (end->pipe_count == STREAMS_MAX) {
        abort();
    }
    end->pipes[end->pipe_count++] = pipe;
}

static void append(struct pipe *pipe, const void *data, size_t size)
{
    if (pipe->size + size > pipe->capacity) {
        pipe->capacity = (pipe->size + size) * 2;
        pipe->data = need(realloc(pipe->data, pipe->capacity));
    }
    if (size > 0) {
        memcpy(pipe->data + pipe->size, data, size);
    }
    pipe->size += size;
}

/* Send back what has come, as far as it is taken. Inside a callback. */
static void echo(struct pipe *pipe)
{
    struct pipe *back = pipe->back;
    if (!back || back->closed) {
        return;
    }
    while (pipe->echoed < pipe->size) {
        size_t taken = 0;
        int32_t rv = yomo_wt_stream_write(back->stream, pipe->data + pipe->echoed,
                                          pipe->size - pipe->echoed, &taken);
        if (rv == YOMO_ERR_NOMEM) {
            yomo_wt_session_close(pipe->end->session, 99, "out of memory");
        }
        if (rv != YOMO_OK || taken == 0) {
            return;
        }
        pipe->echoed += taken;
    }
    if (pipe->fin && !pipe->echo_ended) {
        pipe->echo_ended = true;
        yomo_wt_stream_finish(back->stream);
    }
}

static size_t on_data(void *user, yomo_wt_stream *stream, const void *data, size_t size,
                      int32_t fin)
{
    struct pipe *pipe = user;
    struct rig *rig = pipe->end->rig;
    (void)stream;
    pthread_mutex_lock(&rig->lock);
    size_t taken = size < pipe->take ? size : pipe->take;
    append(pipe, data, taken);
    pipe->offers++;
    if (fin && taken == size && !pipe->fin) {
        pipe->fin = true;
        pipe->fin_place = ++pipe->end->fins;
    }
    changed(rig);
    if (pipe->end->echo) {
        echo(pipe);
    }
    if (pipe->end->on_data) {
        pipe->end->on_data(pipe);
    }
    return taken;
}

static void on_reset(void *user, yomo_wt_stream *stream, int64_t code)
{
    struct pipe *pipe = user;
    (void)stream;
    pthread_mutex_lock(&pipe->end->rig->lock);
    pipe->got_reset = true;
    pipe->reset = code;
    changed(pipe->end->rig);
    if (pipe->end->echo && pipe->back && code >= 0) {
        yomo_wt_stream_reset(pipe->back->stream, (uint32_t)code);
    }
}

static void on_stopped(void *user, yomo_wt_stream *stream, int64_t code)
{
    struct pipe *pipe = user;
    (void)stream;
    pthread_mutex_lock(&pipe->end->rig->lock);
    pipe->got_stopped = true;
    pipe->stopped = code;
    changed(pipe->end->rig);
}

static void on_writable(void *user, yomo_wt_stream *stream)
{
    struct pipe *pipe = user;
    (void)stream;
    pthread_mutex_lock(&pipe->end->rig->lock);
    pipe->writable++;
    changed(pipe->end->rig);
    if (!pipe->end->echo) {
        return;
    }
    struct pipe *from = NULL;
    pthread_mutex_lock(&pipe->end->rig->lock);
    for (size_t i = 0; i < pipe->end->pipe_count && !from; i++) {
        from = pipe->end->pipes[i]->back == pipe ? pipe->end->pipes[i] : NULL;
    }
    pthread_mutex_unlock(&pipe->end->rig->lock);
    if (from) {
        echo(from);
    }
}

static void on_finished(void *user, yomo_wt_stream *stream)
{
    struct pipe *pipe = user;
    (void)stream;
    pthread_mutex_lock(&pipe->end->rig->lock);
    pipe->finished = true;
    changed(pipe->end->rig);
}

static void on_stream_closed(void *user, yomo_wt_stream *stream)
{
    struct pipe *pipe = user;
    (void)stream;
    pthread_mutex_lock(&pipe->end->rig->lock);
    if (pipe->closed || pipe->end->closed) {
        abort(); /* once, and before the session's */
    }
    pipe->closed = true;
    changed(pipe->end->rig);
}

yomo_wt_stream_callbacks rig_stream_callbacks(void)
{
    return (yomo_wt_stream_callbacks){
        .size = sizeof(yomo_wt_stream_callbacks),
        .on_data = on_data,
        .on_reset = on_reset,
        .on_stopped = on_stopped,
        .on_writable = on_writable,
        .on_finished = on_finished,
        .on_closed = on_stream_closed,
    };
}

static void open_back(struct pipe *pipe)
{
    struct end *end = pipe->end;
    yomo_wt_stream_callbacks callbacks = rig_stream_callbacks();
    yomo_wt_stream *stream;
    if (pipe->bidirectional) {
        pipe->back = pipe;
        return;
    }
    struct pipe *back = new_pipe(end, NULL);
    back->local = true;
    if (yomo_wt_session_open_unidirectional(end->session, &callbacks, back, &stream) !=
        YOMO_OK) {
        free(back);
        yomo_wt_session_close(end->session, 99, "out of memory");
        return;
    }
    back->stream = yomo_wt_stream_ref(stream);
    pipe->back = back;
    pthread_mutex_lock(&end->rig->lock);
    add_pipe(end, back);
    changed(end->rig);
}

/* --- Sessions --------------------------------------------------------------------- */

static void on_open(void *user, yomo_wt_session *session)
{
    struct end *end = user;
    (void)session;
    pthread_mutex_lock(&end->rig->lock);
    end->open = true;
    changed(end->rig);
    if (end->on_open) {
        end->on_open(end);
    }
}

static void on_stream(void *user, yomo_wt_session *session, yomo_wt_stream *stream)
{
    struct end *end = user;
    (void)session;
    if (end->refuse_streams) {
        return;
    }
    yomo_wt_stream_callbacks callbacks = rig_stream_callbacks();
    struct pipe *pipe = new_pipe(end, stream);
    yomo_wt_stream_listen(stream, &callbacks, pipe);
    pthread_mutex_lock(&end->rig->lock);
    add_pipe(end, pipe);
    changed(end->rig);
    if (end->echo) {
        open_back(pipe);
    }
}

static void on_datagram(void *user, yomo_wt_session *session, const void *data,
                        size_t size)
{
    struct end *end = user;
    pthread_mutex_lock(&end->rig->lock);
    end->datagrams++;
    end->last_size = size;
    memcpy(end->last, data, size < sizeof(end->last) ? size : sizeof(end->last));
    changed(end->rig);
    if (end->echo) {
        (void)yomo_wt_session_send(session, data, size, 0);
    }
    if (end->on_datagram) {
        end->on_datagram(end);
    }
}

static void on_fate(void *user, yomo_wt_session *session, uint64_t token, int32_t error)
{
    struct end *end = user;
    (void)session;
    pthread_mutex_lock(&end->rig->lock);
    end->fates_acked += error == YOMO_OK;
    end->fates_lost += error == YOMO_ERR_TIMEOUT;
    end->fates_again += error == YOMO_ERR_AGAIN;
    end->fate_token = token;
    changed(end->rig);
}

static void on_session_writable(void *user, yomo_wt_session *session)
{
    struct end *end = user;
    (void)session;
    pthread_mutex_lock(&end->rig->lock);
    end->writable++;
    changed(end->rig);
}

static void on_draining(void *user, yomo_wt_session *session)
{
    struct end *end = user;
    (void)session;
    pthread_mutex_lock(&end->rig->lock);
    end->draining = true;
    changed(end->rig);
}

static void on_session_closed(void *user, yomo_wt_session *session,
                              const yomo_wt_end *how)
{
    struct end *end = user;
    (void)session;
    pthread_mutex_lock(&end->rig->lock);
    if (end->closed) {
        abort();
    }
    end->closed = true;
    end->error = yomo_wt_end_error(how);
    end->remote = yomo_wt_end_remote(how);
    end->status = yomo_wt_end_status(how);
    end->code = yomo_wt_end_code(how);
    snprintf(end->reason, sizeof(end->reason), "%s", yomo_wt_end_reason(how));
    for (size_t i = 0; i < end->pipe_count; i++) {
        if (!end->pipes[i]->closed) {
            abort(); /* streams come first */
        }
    }
    changed(end->rig);
    if (end->on_closed) {
        end->on_closed(end);
    }
}

yomo_wt_session_callbacks rig_session_callbacks(void)
{
    return (yomo_wt_session_callbacks){
        .size = sizeof(yomo_wt_session_callbacks),
        .on_open = on_open,
        .on_stream = on_stream,
        .on_datagram = on_datagram,
        .on_datagram_fate = on_fate,
        .on_writable = on_session_writable,
        .on_draining = on_draining,
        .on_closed = on_session_closed,
    };
}

struct end *rig_end(struct rig *rig, bool server)
{
    struct end *end = need(calloc(1, sizeof(*end)));
    if (server) {
        *end = rig->server_template;
    }
    end->rig = rig;
    end->server = server;
    pthread_mutex_lock(&rig->lock);
    struct end **last = &rig->ends;
    while (*last) {
        last = &(*last)->next;
    }
    *last = end;
    pthread_mutex_unlock(&rig->lock);
    return end;
}

void rig_begin(struct end *end, yomo_wt_request *request)
{
    struct rig *rig = end->rig;
    yomo_wt_session_callbacks callbacks = rig_session_callbacks();
    pthread_mutex_lock(&rig->lock); /* so that on_closed does not come before the ref */
    int rv =
        yomo_wt_request_connect(request, rig->client, &callbacks, end, &end->session);
    if (rv == YOMO_OK) {
        yomo_wt_session_ref(end->session);
    }
    pthread_mutex_unlock(&rig->lock);
    assert_int_equal(rv, YOMO_OK);
}

struct end *rig_connect(struct rig *rig, const char *path)
{
    char url[256];
    yomo_wt_request *request;
    struct end *end = rig_end(rig, false);
    snprintf(url, sizeof(url), "%s%s", rig->base, path);
    assert_int_equal(yomo_wt_request_create(&request, url), YOMO_OK);
    rig_begin(end, request);
    return end;
}

/* On the worker, or any thread. */
struct end *rig_accept(struct rig *rig, yomo_wt_request *request, const char *protocol)
{
    yomo_wt_session_callbacks callbacks = rig_session_callbacks();
    struct end *end = rig_end(rig, true);
    yomo_wt_session *session;
    /* Its first event may come before the call returns, if it is called outside. */
    pthread_mutex_lock(&rig->lock);
    int rv = yomo_wt_request_accept(request, protocol, &callbacks, end, &session);
    if (rv == YOMO_OK) {
        end->session = yomo_wt_session_ref(session);
        end->open = true;
        rig->accepted++;
    } else {
        end->closed = true;
        end->error = rv;
    }
    changed(rig);
    return end;
}

static void on_request(void *user, yomo_wt_request *request)
{
    struct rig *rig = user;
    pthread_mutex_lock(&rig->lock);
    rig->requests++;
    changed(rig);
    if (rig->on_request) {
        rig->on_request(rig, request);
    } else {
        rig_accept(rig, request, NULL);
    }
}

/* With the lock held or not: the list only grows. */
struct end *rig_server_end(struct rig *rig, size_t index)
{
    for (struct end *end = rig->ends; end; end = end->next) {
        if (end->server && end->open && index-- == 0) {
            return end;
        }
    }
    return NULL;
}

void rig_pair(struct rig *rig, struct end **client, struct end **server)
{
    pthread_mutex_lock(&rig->lock);
    size_t before = rig->accepted;
    pthread_mutex_unlock(&rig->lock);
    *client = rig_connect(rig, "/app/one?x=1");
    UNTIL(rig, (*client)->open && rig->accepted > before);
    *server = rig_server_end(rig, before);
    assert_non_null(*server);
}

struct pipe *rig_try_stream(struct end *end, bool bidirectional)
{
    yomo_wt_stream_callbacks callbacks = rig_stream_callbacks();
    struct pipe *pipe = new_pipe(end, NULL);
    pipe->local = true;
    pipe->bidirectional = bidirectional;
    pthread_mutex_lock(&end->rig->lock);
    int rv = bidirectional
                 ? yomo_wt_session_open_bidirectional(end->session, &callbacks, pipe,
                                                      &pipe->stream)
                 : yomo_wt_session_open_unidirectional(end->session, &callbacks, pipe,
                                                       &pipe->stream);
    if (rv == YOMO_OK) {
        yomo_wt_stream_ref(pipe->stream);
        add_pipe(end, pipe);
    }
    pthread_mutex_unlock(&end->rig->lock);
    if (rv != YOMO_OK) {
        free(pipe);
        pipe = NULL;
    }
    return pipe;
}

struct pipe *rig_stream(struct end *end, bool bidirectional)
{
    struct pipe *pipe = rig_try_stream(end, bidirectional);
    assert_non_null(pipe);
    return pipe;
}

struct pipe *rig_pipe(struct end *end, bool local, size_t index)
{
    for (size_t i = 0; i < end->pipe_count; i++) {
        if (end->pipes[i]->local == local && index-- == 0) {
            return end->pipes[i];
        }
    }
    return NULL;
}

/* --- The whole -------------------------------------------------------------------- */

static void on_client_closed(void *user, yomo_wt_client *client)
{
    struct rig *rig = user;
    (void)client;
    pthread_mutex_lock(&rig->lock);
    rig->client_closed = true;
    for (struct end *end = rig->ends; end; end = end->next) {
        if (!end->server && !end->closed) {
            abort();
        }
    }
    changed(rig);
}

static void on_server_closed(void *user, yomo_server *server)
{
    struct rig *rig = user;
    (void)server;
    pthread_mutex_lock(&rig->lock);
    rig->server_closed = true;
    changed(rig);
}

static void set_all(yomo_options *options, const char *const *settings)
{
    for (size_t i = 0; settings && settings[i]; i += 2) {
        if (yomo_options_set(options, settings[i], settings[i + 1]) != YOMO_OK) {
            fail_msg("%s", yomo_options_error(options));
        }
    }
}

static void on_log(void *user, int32_t level, const char *module, const char *text)
{
    (void)user, (void)level;
    if (getenv("RIG_LOG")) {
        fprintf(stderr, "%s: %s\n", module, text);
    }
}

void rig_open(struct rig *rig, enum way way, const char *workers,
              const char *const *client_options)
{
    yomo_options *options;
    yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                   .on_closed = on_server_closed};
    void (*hook)(struct rig *, yomo_wt_request *) = rig->on_request;
    struct end template = rig->server_template;
    const yomo_mem *server_mem = rig->server_mem;
    const char *sessions = rig->sessions ? rig->sessions : "1";
    pthread_condattr_t attributes;

    memset(rig, 0, sizeof(*rig));
    rig->way = way;
    rig->on_request = hook;
    rig->server_template = template;
    rig->server_mem = server_mem;
    rig->sessions = sessions;
    pthread_mutex_init(&rig->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&rig->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    snprintf(rig->state_dir, sizeof(rig->state_dir), "/tmp/yomo-sessions-XXXXXX");
    assert_non_null(mkdtemp(rig->state_dir));

    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    const char *const server_options[] = {"port",
                                          "0",
                                          "http-port",
                                          "none",
                                          "state-dir",
                                          rig->state_dir,
                                          "workers",
                                          workers,
                                          "tls-groups",
                                          "X25519",
                                          "connections-per-address-max",
                                          "10000",
                                          "handshakes-max",
                                          "2000",
                                          NULL};
    set_all(options, server_options);
    assert_int_equal(yomo_options_set(options, "webtransport-sessions", sessions),
                     YOMO_OK);
    yomo_options_set_log(options, on_log, NULL, YOMO_LOG_DEBUG);
    if (server_mem) {
        assert_int_equal(yomo_options_set_mem(options, server_mem), YOMO_OK);
    }
    assert_int_equal(yomo_server_create(&rig->server, options, &hooks, rig), YOMO_OK);
    yomo_options_free(options);
    assert_int_equal(yomo_server_claim(rig->server, "/app/", on_request, rig), YOMO_OK);
    assert_int_equal(yomo_server_claim(rig->server, "/app/", on_request, rig),
                     YOMO_ERR_EXISTS);
    assert_int_equal(yomo_server_claim(rig->server, "/v1", on_request, rig),
                     YOMO_ERR_INVALID);
    if (yomo_server_listen(rig->server) != YOMO_OK) {
        fail_msg("%s", yomo_server_error(rig->server));
    }
    assert_int_equal(yomo_server_claim(rig->server, "/x", on_request, rig),
                     YOMO_ERR_STATE);
    snprintf(rig->base, sizeof(rig->base), "https://127.0.0.1:%u",
             yomo_server_port(rig->server));

    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", rig->state_dir), YOMO_OK);
    set_all(options, client_options);
    yomo_options_set_log(options, on_log, NULL, YOMO_LOG_DEBUG);
    assert_int_equal(
        yomo_wt_client_create(&rig->client, options, on_client_closed, rig), YOMO_OK);
    yomo_options_free(options);
    if (way == WAY_THREAD) {
        assert_int_equal(yomo_wt_client_start(rig->client), YOMO_OK);
    } else if (way == WAY_HOST) {
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        assert_int_equal(yomo_wt_client_start_on(rig->client, &rig->loop), YOMO_OK);
    }
}

static void wait_changed(struct rig *rig, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&rig->lock);
    pthread_cond_timedwait(&rig->changed, &rig->lock, &until);
    pthread_mutex_unlock(&rig->lock);
}

/* Wait for `fd` at most as long as it says, and 5 ms: the server has threads of its
 * own. */
static void wait_fd(int fd, int timeout)
{
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    (void)poll(&watch, 1, timeout < 0 || timeout > 5 ? 5 : timeout);
}

void rig_turn(struct rig *rig)
{
    if (rig->way == WAY_THREAD || rig->client_closed) {
        wait_changed(rig, 5);
    } else if (rig->way == WAY_HOST) {
        wait_fd(uv_backend_fd(&rig->loop), uv_backend_timeout(&rig->loop));
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    } else {
        wait_fd(yomo_wt_client_fd(rig->client), yomo_wt_client_timeout_ms(rig->client));
        int32_t rv = yomo_wt_client_poll(rig->client);
        assert_true(rv == YOMO_OK || rv == YOMO_ERR_CLOSED);
    }
}

static void remove_state(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[512];
    while (dir && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
            unlink(name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(path);
}

void rig_close(struct rig *rig)
{
    if (!rig->client_freed) {
        yomo_wt_client_close(rig->client);
    }
    UNTIL(rig, rig->client_closed);
    if (!rig->client_freed) {
        yomo_wt_client_free(rig->client);
    }
    if (rig->way == WAY_HOST) {
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
    }
    yomo_server_close(rig->server);
    UNTIL(rig, rig->server_closed);
    yomo_server_free(rig->server);
    while (rig->ends) {
        struct end *end = rig->ends;
        rig->ends = end->next;
        assert_true(end->closed);
        for (size_t i = 0; i < end->pipe_count; i++) {
            assert_true(end->pipes[i]->closed);
            yomo_wt_stream_unref(end->pipes[i]->stream);
            free(end->pipes[i]->data);
            free(end->pipes[i]);
        }
        yomo_wt_session_unref(end->session);
        free(end);
    }
    assert_int_equal(rig->faults, 0);
    remove_state(rig->state_dir);
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->lock);
}
