/* SPDX-License-Identifier: MIT */
/* client.c - our WebTransport client, on the public API, against a server with the
 * handlers of README.md.
 *
 *     client CERTIFICATE BASE CASE...
 *
 * Prints one JSON line for each case. It runs the client inside its own calls (poll),
 * so each case reads from top to bottom; nothing waits longer than DEADLINE_MS. */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <yomo/yomo.h>

enum { BIG = 204800, DEADLINE_MS = 15000, STREAMS = 16, DATAGRAMS = 10 };

struct stream {
    yomo_wt_stream *stream; /* NULL when it is over */
    unsigned char *data;    /* what came */
    size_t size;
    const unsigned char *rest; /* what is still to be written, and then FIN */
    size_t rest_size;
    bool bidirectional, local, fin, was_reset, was_stopped;
    int64_t reset_code, stop_code;
    uint64_t id; /* QUIC's, once something came */
};

/* One session and all that happened to it. */
struct world {
    yomo_wt_session *session; /* NULL when it is over */
    bool open, closed;
    int32_t error, remote, status;
    uint32_t code;
    char reason[1100], protocol[64];
    struct stream streams[STREAMS];
    size_t stream_count;
    bool came[DATAGRAMS]; /* by their first byte, when they are what was sent */
};

static yomo_wt_client *client;
static const char *base;
static char why[512]; /* what went wrong in this case; "" nothing */
static unsigned char big[BIG];
static bool share; /* sessions may have a connection together */

static bool fail(const char *text)
{
    if (!why[0]) {
        snprintf(why, sizeof(why), "%s", text);
    }
    return false;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Run the client once, waiting at most `most` milliseconds for something to happen. */
static void turn(int64_t most)
{
    struct pollfd watch = {.fd = yomo_wt_client_fd(client), .events = POLLIN};
    int32_t due = yomo_wt_client_timeout_ms(client);

    if (due >= 0 && due < most) {
        most = due;
    }
    (void)poll(&watch, 1, (int)most);
    (void)yomo_wt_client_poll(client);
}

static bool until(bool (*done)(struct world *world), struct world *world,
                  const char *what)
{
    int64_t deadline = now_ms() + DEADLINE_MS;

    while (!done(world)) {
        if (now_ms() >= deadline) {
            return fail(what);
        }
        turn(deadline - now_ms());
    }
    return true;
}

/* --- What happens --- */

static size_t on_data(void *user, yomo_wt_stream *stream, const void *data, size_t size,
                      int32_t fin)
{
    struct stream *s = user;
    unsigned char *all = realloc(s->data, s->size + size + 1);

    s->id = yomo_wt_stream_id(stream);
    if (!all) {
        abort();
    }
    s->data = all;
    memcpy(s->data + s->size, data ? data : "", size);
    s->size += size;
    s->data[s->size] = '\0';
    s->fin = s->fin || fin;
    return size;
}

static void on_reset(void *user, yomo_wt_stream *stream, int64_t code)
{
    struct stream *s = user;

    (void)stream;
    s->was_reset = true;
    s->reset_code = code;
}

static void on_stopped(void *user, yomo_wt_stream *stream, int64_t code)
{
    struct stream *s = user;

    (void)stream;
    s->was_stopped = true;
    s->stop_code = code;
}

static void write_rest(struct stream *s)
{
    size_t taken = 0;

    if (!s->rest) {
        return;
    }
    if (yomo_wt_stream_write(s->stream, s->rest, s->rest_size, &taken) != YOMO_OK) {
        s->rest = NULL;
        return;
    }
    s->rest += taken;
    s->rest_size -= taken;
    if (s->rest_size == 0) {
        s->rest = NULL;
        (void)yomo_wt_stream_finish(s->stream);
    }
}

static void on_stream_writable(void *user, yomo_wt_stream *stream)
{
    (void)stream;
    write_rest(user);
}

static void on_stream_closed(void *user, yomo_wt_stream *stream)
{
    struct stream *s = user;

    (void)stream;
    s->stream = NULL;
}

static const yomo_wt_stream_callbacks stream_callbacks = {
    .size = sizeof(stream_callbacks),
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stopped = on_stopped,
    .on_writable = on_stream_writable,
    .on_closed = on_stream_closed,
};

static void on_stream(void *user, yomo_wt_session *session, yomo_wt_stream *stream)
{
    struct world *world = user;
    struct stream *s = &world->streams[world->stream_count];

    (void)session;
    if (world->stream_count < STREAMS) {
        world->stream_count++;
        s->stream = stream;
        s->bidirectional = yomo_wt_stream_bidirectional(stream);
        yomo_wt_stream_listen(stream, &stream_callbacks, s);
    }
}

static void on_datagram(void *user, yomo_wt_session *session, const void *data,
                        size_t size)
{
    struct world *world = user;
    const unsigned char *bytes = data;

    (void)session;
    if (size == 0 || bytes[0] >= DATAGRAMS ||
        size != (bytes[0] ? bytes[0] * 100U : 1U)) {
        return;
    }
    for (size_t i = 1; i < size; i++) {
        if (bytes[i] != bytes[0]) {
            return;
        }
    }
    world->came[bytes[0]] = true;
}

static void on_open(void *user, yomo_wt_session *session)
{
    struct world *world = user;

    world->open = true;
    snprintf(world->protocol, sizeof(world->protocol), "%s",
             yomo_wt_session_protocol(session));
}

static void on_closed(void *user, yomo_wt_session *session, const yomo_wt_end *end)
{
    struct world *world = user;

    (void)session;
    world->session = NULL;
    world->closed = true;
    world->error = yomo_wt_end_error(end);
    world->remote = yomo_wt_end_remote(end);
    world->status = yomo_wt_end_status(end);
    world->code = yomo_wt_end_code(end);
    snprintf(world->reason, sizeof(world->reason), "%s", yomo_wt_end_reason(end));
}

static const yomo_wt_session_callbacks session_callbacks = {
    .size = sizeof(session_callbacks),
    .on_open = on_open,
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

/* --- Steps --- */

static bool is_settled(struct world *world)
{
    return world->open || world->closed;
}

static bool is_closed(struct world *world)
{
    return world->closed;
}

/* Ask for a session; whatever comes of it, leave() ends it. */
static struct world *ask(const char *handler, bool offer)
{
    struct world *world = calloc(1, sizeof(*world));
    yomo_wt_request *request;
    char url[512];

    snprintf(url, sizeof(url), "%s/%s", base, handler);
    if (!world || yomo_wt_request_create(&request, url) != YOMO_OK) {
        abort();
    }
    if (offer && (yomo_wt_request_offer(request, "first.v1") != YOMO_OK ||
                  yomo_wt_request_offer(request, "second.v2") != YOMO_OK)) {
        abort();
    }
    yomo_wt_request_share(request, share);
    if (yomo_wt_request_connect(request, client, &session_callbacks, world,
                                &world->session) != YOMO_OK) {
        abort();
    }
    (void)until(is_settled, world, "no answer to the request");
    return world;
}

static struct world *enter(const char *handler)
{
    struct world *world = ask(handler, false);

    if (world->closed && !world->open) {
        snprintf(why, sizeof(why), "refused: %.300s (error %d, status %d)",
                 world->reason, world->error, world->status);
    }
    return world;
}

static void leave(struct world *world)
{
    if (world->session) {
        yomo_wt_session_close(world->session, 0, NULL);
        (void)until(is_closed, world, "the session did not end");
    }
    for (size_t i = 0; i < world->stream_count; i++) {
        free(world->streams[i].data);
    }
    free(world);
}

static struct stream *open_stream(struct world *world, bool bidirectional)
{
    struct stream *s = &world->streams[world->stream_count++];
    int32_t error;

    s->bidirectional = bidirectional;
    s->local = true;
    error =
        world->session
            ? (bidirectional ? yomo_wt_session_open_bidirectional(
                                   world->session, &stream_callbacks, s, &s->stream)
                             : yomo_wt_session_open_unidirectional(
                                   world->session, &stream_callbacks, s, &s->stream))
            : YOMO_ERR_CLOSED;
    if (error != YOMO_OK) {
        (void)fail(yomo_strerror(error));
    }
    return s;
}

static void send_all(struct stream *s, const void *data, size_t size)
{
    if (s->stream) {
        s->rest = data;
        s->rest_size = size;
        write_rest(s);
    }
}

static void expect(bool holds, const char *what, long long got)
{
    if (!holds && !why[0]) {
        snprintf(why, sizeof(why), "%s (got %lld)", what, got);
    }
}

static bool first_came_back(struct world *world)
{
    return world->closed || world->streams[0].fin || world->streams[0].was_reset;
}

/* Wait until the server has noted all of `wanted` under `token`. */
static void noted(const char *token, const char *const *wanted)
{
    char handler[128], seen[4096] = "";

    snprintf(handler, sizeof(handler), "query?token=%s", token);
    for (int64_t deadline = now_ms() + DEADLINE_MS; now_ms() < deadline && !why[0];) {
        struct world *world = enter(handler);
        size_t missing = 0;

        (void)until(first_came_back, world, "no answer to the query");
        for (size_t i = 0, at = strlen(seen); i < world->streams[0].size; i++) {
            char c = (char)world->streams[0].data[i];

            if (c != ' ' && c != '\n' && at + 1 < sizeof(seen)) {
                seen[at++] = c;
                seen[at] = '\0';
            }
        }
        leave(world);
        for (size_t i = 0; wanted[i]; i++) {
            missing += !strstr(seen, wanted[i]);
        }
        if (!missing) {
            return;
        }
        for (int64_t pause = now_ms() + 50; now_ms() < pause;) {
            turn(10);
        }
    }
    if (!why[0]) {
        snprintf(why, sizeof(why), "the server noted %.400s", seen);
    }
}

static const char *new_token(void)
{
    static unsigned number;
    static char token[64];

    snprintf(token, sizeof(token), "%lld-%u", (long long)now_ms(), number++);
    return token;
}

/* --- The cases --- */

static void run_session(void)
{
    leave(enter("echo"));
}

static bool all_came(struct world *world)
{
    for (int i = 0; i < DATAGRAMS; i++) {
        if (!world->came[i]) {
            return world->closed;
        }
    }
    return true;
}

static void run_datagrams(void)
{
    struct world *world = enter("echo");
    unsigned char data[DATAGRAMS * 100];

    /* What was lost on the way is sent again. */
    for (int64_t deadline = now_ms() + DEADLINE_MS;
         !why[0] && !all_came(world) && now_ms() < deadline;) {
        for (int i = 0; i < DATAGRAMS; i++) {
            memset(data, i, sizeof(data));
            if (!world->came[i] && world->session) {
                (void)yomo_wt_session_send(world->session, data,
                                           i ? (size_t)i * 100 : 1, 0);
            }
        }
        for (int64_t pause = now_ms() + 200; now_ms() < pause && !all_came(world);) {
            turn(pause - now_ms());
        }
    }
    expect(all_came(world) && !world->closed, "not all datagrams came back", 0);
    leave(world);
}

static void run_bidi(void)
{
    struct world *world = enter("echo");
    struct stream *s = open_stream(world, true);

    send_all(s, big, sizeof(big));
    (void)until(first_came_back, world, "the echo did not end");
    expect(s->size == BIG && memcmp(s->data, big, BIG) == 0, "bytes differ",
           (long long)s->size);
    leave(world);
}

static bool second_came_back(struct world *world)
{
    return world->closed || world->streams[1].fin || world->streams[1].was_reset;
}

static void run_uni(void)
{
    struct world *world = enter("echo");
    struct stream *echo = &world->streams[1];

    send_all(open_stream(world, false), big, sizeof(big));
    (void)until(second_came_back, world, "the echo did not end");
    expect(echo->size == BIG && memcmp(echo->data, big, BIG) == 0 &&
               !echo->bidirectional,
           "bytes differ", (long long)echo->size);
    leave(world);
}

static bool five_came(struct world *world)
{
    size_t ended = 0;

    for (size_t i = 0; i < world->stream_count; i++) {
        ended += world->streams[i].fin;
    }
    return world->closed || ended >= 5;
}

static void many(const char *handler, bool bidirectional)
{
    struct world *world = enter(handler);
    unsigned seen = 0;

    (void)until(five_came, world, "not all streams came");
    for (size_t i = 0; i < world->stream_count; i++) {
        struct stream *s = &world->streams[i];

        if (s->size == 7 && memcmp(s->data, "stream", 6) == 0 && s->data[6] >= '0' &&
            s->data[6] < '5' && s->bidirectional == bidirectional) {
            seen |= 1U << (s->data[6] - '0');
        }
    }
    expect(seen == 0x1f && world->stream_count == 5, "what came differs", seen);
    leave(world);
}

static void run_bidi_from_server(void)
{
    many("server-create-multiple-streams?type=bidi&count=5", true);
}

static void run_uni_from_server(void)
{
    many("server-create-multiple-streams?type=unidi&count=5", false);
}

static void run_reset(void)
{
    static const uint32_t codes[] = {7, 0, UINT32_MAX};

    for (size_t i = 0; i < 3 && !why[0]; i++) {
        const char *token = new_token();
        char handler[128], code[32];
        const char *wanted[] = {"\"source\":\"reset\"", code, NULL};
        struct world *world;
        struct stream *s;

        snprintf(handler, sizeof(handler), "client-close?token=%s", token);
        snprintf(code, sizeof(code), "\"code\":%u", codes[i]);
        world = enter(handler);
        s = open_stream(world, false);
        if (s->stream) {
            (void)yomo_wt_stream_write(s->stream, "never finished", 14, NULL);
            (void)yomo_wt_stream_reset(s->stream, codes[i]);
        }
        noted(token, wanted);
        leave(world);
    }
}

static void run_stop(void)
{
    static const char *const wanted[] = {"\"stream-stop-info\":{\"code\":9}", NULL};
    const char *token = new_token();
    char handler[128];
    struct world *world;
    struct stream *s;

    snprintf(handler, sizeof(handler), "client-close?token=%s", token);
    world = enter(handler);
    s = open_stream(world, true);
    if (s->stream) {
        (void)yomo_wt_stream_write(s->stream, "x", 1, NULL);
        (void)yomo_wt_stream_stop(s->stream, 9);
    }
    noted(token, wanted);
    leave(world);
}

static void run_reset_from_server(void)
{
    struct world *world = enter("abort-stream-from-server?wt=29");
    struct stream *s = open_stream(world, true);

    if (s->stream) {
        (void)yomo_wt_stream_write(s->stream, "x", 1, NULL);
    }
    (void)until(first_came_back, world, "no reset came");
    expect(s->was_reset && s->reset_code == 29, "the code differs", s->reset_code);
    leave(world);
}

static bool first_stopped(struct world *world)
{
    return world->closed || world->streams[0].was_stopped;
}

static void run_stop_from_server(void)
{
    struct world *world = enter("abort-stream-from-server?wt=30");
    struct stream *s = open_stream(world, false);

    if (s->stream) {
        (void)yomo_wt_stream_write(s->stream, "x", 1, NULL);
    }
    (void)until(first_stopped, world, "nothing stopped it");
    expect(s->was_stopped && s->stop_code == 30, "the code differs", s->stop_code);
    leave(world);
}

static void run_close(void)
{
    static const char *const wanted[] = {
        "\"session-close-info\":", "\"abruptly\":false", "\"code\":77",
        "\"reason\":\"done,thankyou\"", NULL};
    const char *token = new_token();
    char handler[128];
    struct world *world;

    snprintf(handler, sizeof(handler), "client-close?token=%s", token);
    world = enter(handler);
    if (world->session) {
        yomo_wt_session_close(world->session, 77, "done, thank you");
        (void)until(is_closed, world, "the session did not end");
        expect(!world->remote && world->error == YOMO_OK, "how it ended here",
               world->error);
    }
    noted(token, wanted);
    leave(world);
}

static void run_close_from_server(void)
{
    struct world *world = enter("server-close?code=4294967295&reason=enough");

    (void)until(is_closed, world, "the session did not end");
    expect(world->code == UINT32_MAX, "the code differs", world->code);
    expect(strcmp(world->reason, "enough") == 0, "the reason differs", 0);
    expect(world->remote && world->error == YOMO_OK, "how it ended", world->error);
    leave(world);
}

static void run_refused(void)
{
    struct world *world = ask("there-is-nothing-here", false);

    expect(world->closed && !world->open, "it was accepted", 0);
    expect(world->status == 404, "the status differs", world->status);
    leave(world);
}

static void run_subprotocol(void)
{
    struct world *world = ask("subprotocol?pick=1", true);

    expect(strcmp(world->protocol, "second.v2") == 0, "the subprotocol differs", 0);
    leave(world);
}

static bool all_ended(struct world *world)
{
    return world->closed || world->streams[0].fin || world->streams[0].was_reset;
}

/* Sessions that share a connection: their streams have different IDs. Each sends and
 * gets more than it was allowed at first; one ends, and the others go on. */
static void run_several(void)
{
    enum { SEVERAL = 4 };
    struct world *worlds[SEVERAL];

    share = true;
    for (int i = 0; i < SEVERAL; i++) {
        worlds[i] = enter("echo");
    }
    for (int i = 0; i < SEVERAL; i++) {
        send_all(open_stream(worlds[i], true), big, sizeof(big));
    }
    for (int i = 0; i < SEVERAL; i++) {
        struct stream *s = &worlds[i]->streams[0];
        (void)until(all_ended, worlds[i], "the echo did not end");
        expect(s->size == BIG && memcmp(s->data, big, BIG) == 0, "bytes differ",
               (long long)s->size);
        for (int j = 0; j < i; j++) {
            expect(s->id != worlds[j]->streams[0].id, "they have a connection each",
                   (long long)s->id);
        }
    }
    leave(worlds[0]);
    for (int i = 1; i < SEVERAL; i++) {
        struct stream *s = open_stream(worlds[i], true);
        send_all(s, "still here", 10);
        (void)until(second_came_back, worlds[i], "it ended with the other one");
        expect(s->size == 10, "bytes differ", (long long)s->size);
        leave(worlds[i]);
    }
    share = false;
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"session", run_session},
    {"datagrams", run_datagrams},
    {"bidi", run_bidi},
    {"uni", run_uni},
    {"bidi-from-server", run_bidi_from_server},
    {"uni-from-server", run_uni_from_server},
    {"reset", run_reset},
    {"stop", run_stop},
    {"reset-from-server", run_reset_from_server},
    {"stop-from-server", run_stop_from_server},
    {"close", run_close},
    {"close-from-server", run_close_from_server},
    {"refused", run_refused},
    {"subprotocol", run_subprotocol},
    {"several", run_several},
};

static void check(int32_t error, const char *what)
{
    if (error != YOMO_OK) {
        fprintf(stderr, "%s: %s\n", what, yomo_strerror(error));
        exit(1);
    }
}

static void on_log(void *user, int32_t level, const char *module, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s: %s\n", module, text);
}

static void run_case(const char *name)
{
    why[0] = '\0';
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, name) == 0) {
            cases[i].run();
            break;
        }
        if (i + 1 == sizeof(cases) / sizeof(cases[0])) {
            (void)fail("there is no such case");
        }
    }
    if (why[0]) {
        for (char *c = why; *c; c++) {
            *c = *c == '"' || *c == '\\' || (unsigned char)*c < ' ' ? '\'' : *c;
        }
        printf("{\"case\":\"%s\",\"ok\":false,\"why\":\"%s\"}\n", name, why);
    } else {
        printf("{\"case\":\"%s\",\"ok\":true}\n", name);
    }
}

int main(int argc, char **argv)
{
    yomo_options *options;

    if (argc < 4) {
        fprintf(stderr, "usage: client CERTIFICATE BASE CASE...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (unsigned char)(i * 31 >> 3);
    }
    base = argv[2];
    check(yomo_options_create(&options, YOMO_SCOPE_CLIENT), "options");
    check(yomo_options_set(options, "ca", argv[1]), "ca");
    if (argc == 4 && strcmp(argv[3], "several") == 0) { /* others see no limits */
        check(yomo_options_set(options, "webtransport-sessions", "8"), "sessions");
    }
    check(yomo_options_set_log(options, on_log, NULL, YOMO_LOG_WARN), "log");
    check(yomo_wt_client_create(&client, options, NULL, NULL), "client");
    yomo_options_free(options);
    for (int i = 3; i < argc; i++) {
        run_case(argv[i]);
    }
    yomo_wt_client_free(client);
    return 0;
}
