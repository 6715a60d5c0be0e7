/* SPDX-License-Identifier: MIT */
/* wpt_server.c - the server that the W3C's web-platform-tests of WebTransport need, on
 * the public API: the handlers that their tests name, at
 * https://HOST:PORT/webtransport/handlers/NAME?QUERY (NAME.py too), and two of our own.
 *
 *     wpt_server PORT STATE-DIR [OPTION VALUE]...
 *
 * It writes `listening {json}` to stderr when it stands and ends with its input. What
 * the handlers do is in README.md beside this file. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yomo/yomo.h>

#include "notes.h"

#define FOLDER "/webtransport/handlers/"

enum { FIELD_SIZE = 1100 };

struct handler;

struct session {
    const struct handler *handler;
    yomo_wt_session *session;
    char token[96];
    int64_t code; /* for streams; -1: none */
};

/* A stream, and where its bytes go back: the same one, or another that we opened. */
struct copy {
    struct session *session;
    yomo_wt_stream *in, *out;
    bool ended; /* the bytes that came were the last */
};

struct handler {
    const char *name;
    /* The session is open. `query` is what stands behind the '?', as it came. */
    void (*on_open)(struct session *session, const char *query);
    /* Bytes came on a stream; how many were taken. */
    size_t (*on_data)(struct copy *copy, const unsigned char *data, size_t size,
                      bool fin);
    void (*on_datagram)(struct session *session, const void *data, size_t size);
    void (*on_reset)(struct copy *copy, int64_t code);
    void (*on_stopped)(struct copy *copy, int64_t code);
    void (*on_closed)(struct session *session, const yomo_wt_end *end);
};

/* --- The query --- */

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode `size` bytes; what does not fit is cut. */
static void decode(char *out, size_t room, const char *text, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < size && at + 1 < room; i++) {
        int high = -1, low = -1;

        if (text[i] == '%' && i + 2 < size) {
            high = hex(text[i + 1]);
            low = hex(text[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[at++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[at++] = text[i];
        }
    }
    out[at] = '\0';
}

/* The next `name=value` of the query; false at its end. */
static bool next_field(const char **query, char *name, char *value)
{
    size_t size = strcspn(*query, "&");
    size_t split = strcspn(*query, "=&");

    if (size == 0) {
        return false;
    }
    decode(name, FIELD_SIZE, *query, split);
    decode(value, FIELD_SIZE, *query + split + (split < size),
           size - split - (split < size));
    *query += size + ((*query)[size] == '&');
    return true;
}

static bool field(const char *query, const char *wanted, char *value)
{
    char name[FIELD_SIZE];

    while (next_field(&query, name, value)) {
        if (strcmp(name, wanted) == 0) {
            return true;
        }
    }
    value[0] = '\0';
    return false;
}

static uint64_t number(const char *query, const char *name, uint64_t otherwise)
{
    char value[FIELD_SIZE];

    return field(query, name, value) ? strtoull(value, NULL, 10) : otherwise;
}

/* WebTransport's code from HTTP/3's (draft-ietf-webtrans-http3, section 4.4). */
static uint32_t from_h3(uint64_t code)
{
    uint64_t shifted = code - 0x52e4a40fa8dbU;

    return (uint32_t)(shifted - shifted / 0x1f);
}

/* --- Streams --- */

static size_t on_data(void *user, yomo_wt_stream *stream, const void *data, size_t size,
                      int32_t fin)
{
    struct copy *copy = user;

    (void)stream;
    if (!copy->session->handler->on_data) {
        return size;
    }
    return copy->session->handler->on_data(copy, data, size, fin);
}

static void on_reset(void *user, yomo_wt_stream *stream, int64_t code)
{
    struct copy *copy = user;

    (void)stream;
    if (copy->session->handler->on_reset) {
        copy->session->handler->on_reset(copy, code);
    }
}

static void on_stopped(void *user, yomo_wt_stream *stream, int64_t code)
{
    struct copy *copy = user;

    (void)stream;
    if (copy->session->handler->on_stopped) {
        copy->session->handler->on_stopped(copy, code);
    }
}

static void on_stream_writable(void *user, yomo_wt_stream *stream)
{
    struct copy *copy = user;

    (void)stream;
    if (copy->in) {
        (void)yomo_wt_stream_resume(copy->in);
    }
}

static void on_stream_closed(void *user, yomo_wt_stream *stream)
{
    struct copy *copy = user;

    if (copy->in == stream) {
        copy->in = NULL;
    }
    if (copy->out == stream) {
        copy->out = NULL;
    }
    if (!copy->in && !copy->out) {
        free(copy);
    }
}

static const yomo_wt_stream_callbacks stream_callbacks = {
    .size = sizeof(stream_callbacks),
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stopped = on_stopped,
    .on_writable = on_stream_writable,
    .on_closed = on_stream_closed,
};

static struct copy *new_copy(struct session *session)
{
    struct copy *copy = calloc(1, sizeof(*copy));

    if (copy) {
        copy->session = session;
    }
    return copy;
}

/* Open a stream of ours; NULL when that cannot be. */
static struct copy *open_stream(struct session *session, bool bidirectional)
{
    struct copy *copy = new_copy(session);
    int32_t error;

    if (!copy) {
        return NULL;
    }
    error = bidirectional ? yomo_wt_session_open_bidirectional(
                                session->session, &stream_callbacks, copy, &copy->out)
                          : yomo_wt_session_open_unidirectional(
                                session->session, &stream_callbacks, copy, &copy->out);
    if (error != YOMO_OK) {
        free(copy);
        return NULL;
    }
    if (bidirectional) {
        copy->in = copy->out;
    }
    return copy;
}

/* Send a text on a unidirectional stream. */
static void say(struct session *session, const char *text)
{
    struct copy *copy = open_stream(session, false);

    if (copy) {
        (void)yomo_wt_stream_write(copy->out, text, strlen(text), NULL);
        (void)yomo_wt_stream_finish(copy->out);
    }
}

/* --- The handlers --- */

static void open_one(struct session *session, const char *query)
{
    (void)query;
    (void)open_stream(session, true);
}

static size_t echo_data(struct copy *copy, const unsigned char *data, size_t size,
                        bool fin)
{
    size_t taken = 0;

    if (!copy->out && !copy->ended) { /* a unidirectional one's first bytes */
        if (yomo_wt_session_open_unidirectional(copy->session->session,
                                                &stream_callbacks, copy,
                                                &copy->out) != YOMO_OK) {
            (void)yomo_wt_stream_stop(copy->in, 0);
            return size;
        }
    }
    if (!copy->out ||
        (size && yomo_wt_stream_write(copy->out, data, size, &taken) != YOMO_OK)) {
        return size; /* nobody reads it any more */
    }
    if (fin && taken == size) {
        copy->ended = true;
        (void)yomo_wt_stream_finish(copy->out);
    }
    return taken;
}

static void echo_reset(struct copy *copy, int64_t code)
{
    copy->ended = true;
    if (copy->out) {
        (void)yomo_wt_stream_reset(copy->out, code < 0 ? 0 : (uint32_t)code);
    }
}

static void echo_stopped(struct copy *copy, int64_t code)
{
    copy->ended = true;
    if (copy->in) {
        (void)yomo_wt_stream_stop(copy->in, code < 0 ? 0 : (uint32_t)code);
    }
}

static void echo_datagram(struct session *session, const void *data, size_t size)
{
    (void)yomo_wt_session_send(session->session, data, size, 0);
}

static size_t note_data(struct copy *copy, const unsigned char *data, size_t size,
                        bool fin)
{
    (void)data;
    if (size > 0) {
        notes_stream_open(copy->session->token);
    }
    if (fin) {
        notes_stream_close(copy->session->token, NULL);
    }
    return size;
}

static void note_reset(struct copy *copy, int64_t code)
{
    notes_stream_close(copy->session->token, &code);
}

static void note_stopped(struct copy *copy, int64_t code)
{
    notes_stream_stop(copy->session->token, code);
}

static void note_end(struct session *session, const yomo_wt_end *end)
{
    bool orderly = yomo_wt_end_error(end) == YOMO_OK;

    notes_session_close(session->token, yomo_wt_end_code(end),
                        orderly ? yomo_wt_end_reason(end) : NULL);
}

static void tell_notes(struct session *session, const char *query)
{
    char *text = notes_take(session->token);

    (void)query;
    say(session, text ? text : "{}");
    free(text);
}

static void close_at_once(struct session *session, const char *query)
{
    char reason[FIELD_SIZE];

    (void)field(query, "reason", reason);
    yomo_wt_session_close(session->session, (uint32_t)number(query, "code", 0), reason);
}

static void abort_now_or_open(struct session *session, const char *query)
{
    if (strstr(query, "now")) {
        yomo_wt_session_abort(session->session);
    } else {
        (void)open_stream(session, true);
    }
}

static size_t abort_session_on_data(struct copy *copy, const unsigned char *data,
                                    size_t size, bool fin)
{
    (void)data, (void)fin;
    yomo_wt_session_abort(copy->session->session);
    return size;
}

static size_t close_on_data(struct copy *copy, const unsigned char *data, size_t size,
                            bool fin)
{
    (void)data, (void)fin;
    yomo_wt_session_close(copy->session->session, 0, NULL);
    return size;
}

static void drain(struct session *session, const char *query)
{
    if (strstr(query, "drain")) {
        (void)yomo_wt_session_drain(session->session);
    }
}

static size_t abort_on_data(struct copy *copy, const unsigned char *data, size_t size,
                            bool fin)
{
    (void)data, (void)fin;
    (void)yomo_wt_stream_stop(copy->in, (uint32_t)copy->session->code);
    if (copy->out) {
        (void)yomo_wt_stream_reset(copy->out, (uint32_t)copy->session->code);
    }
    return size;
}

static void tell_length(struct session *session, const void *data, size_t size)
{
    char text[48];
    int length = snprintf(text, sizeof(text), "{\"length\": %zu}", size);

    (void)data;
    (void)yomo_wt_session_send(session->session, text, (size_t)length, 0);
}

static size_t count_token(struct copy *copy, const unsigned char *data, size_t size,
                          bool fin)
{
    char token[96], text[16];

    if (size > 0) {
        snprintf(token, sizeof(token), "count %.*s", (int)(size > 64 ? 64 : size),
                 data);
        snprintf(text, sizeof(text), "%u", notes_count(token));
        if (!copy->out) {
            (void)yomo_wt_session_open_unidirectional(
                copy->session->session, &stream_callbacks, copy, &copy->out);
        }
        if (copy->out) {
            (void)yomo_wt_stream_write(copy->out, text, strlen(text), NULL);
        }
    }
    if (fin && copy->out) {
        (void)yomo_wt_stream_finish(copy->out);
    }
    return size;
}

static size_t note_order(struct copy *copy, const unsigned char *data, size_t size,
                         bool fin)
{
    (void)fin;
    if (size > 0) {
        notes_order(copy->session->token, data[0]);
    }
    return size;
}

static void create_streams(struct session *session, const char *query)
{
    char type[FIELD_SIZE], text[32];
    bool bidirectional = !field(query, "type", type) || strcmp(type, "unidi") != 0;
    uint64_t count = number(query, "count", 3);

    for (uint64_t i = 0; i < count && i < 100; i++) {
        struct copy *copy = open_stream(session, bidirectional);

        if (copy) {
            int size =
                snprintf(text, sizeof(text), "stream%llu", (unsigned long long)i);
            (void)yomo_wt_stream_write(copy->out, text, (size_t)size, NULL);
            (void)yomo_wt_stream_finish(copy->out);
        }
    }
}

static const struct handler handlers[] = {
    {.name = "echo",
     .on_open = open_one,
     .on_data = echo_data,
     .on_datagram = echo_datagram,
     .on_reset = echo_reset,
     .on_stopped = echo_stopped},
    {.name = "client-close",
     .on_open = open_one,
     .on_data = note_data,
     .on_reset = note_reset,
     .on_stopped = note_stopped,
     .on_closed = note_end},
    {.name = "query", .on_open = tell_notes},
    {.name = "server-close", .on_open = close_at_once},
    {.name = "server-connection-close",
     .on_open = abort_now_or_open,
     .on_data = abort_session_on_data},
    {.name = "server-read-then-close", .on_open = open_one, .on_data = close_on_data},
    {.name = "server-drain", .on_open = drain},
    {.name = "abort-stream-from-server", .on_data = abort_on_data},
    {.name = "custom-response"},
    {.name = "echo-request-headers"}, /* said before it is open */
    {.name = "echo_datagram_length", .on_datagram = tell_length},
    {.name = "token-count", .on_open = open_one, .on_data = count_token},
    {.name = "sendorder", .on_data = note_order, .on_datagram = echo_datagram},
    {.name = "server-create-multiple-streams", .on_open = create_streams},
    /* Ours. */
    {.name = "subprotocol",
     .on_data = echo_data,
     .on_datagram = echo_datagram,
     .on_reset = echo_reset,
     .on_stopped = echo_stopped},
};

/* --- Sessions --- */

static void on_stream(void *user, yomo_wt_session *unused, yomo_wt_stream *stream)
{
    struct session *session = user;
    struct copy *copy = new_copy(session);

    (void)unused;
    if (copy) {
        copy->in = stream;
        if (yomo_wt_stream_bidirectional(stream)) {
            copy->out = stream;
        }
        yomo_wt_stream_listen(stream, &stream_callbacks, copy);
    }
}

static void on_datagram(void *user, yomo_wt_session *unused, const void *data,
                        size_t size)
{
    struct session *session = user;

    (void)unused;
    if (session->handler->on_datagram) {
        session->handler->on_datagram(session, data, size);
    }
}

static void on_closed(void *user, yomo_wt_session *unused, const yomo_wt_end *end)
{
    struct session *session = user;

    (void)unused;
    if (session->handler->on_closed) {
        session->handler->on_closed(session, end);
    }
    free(session);
}

static const yomo_wt_session_callbacks session_callbacks = {
    .size = sizeof(session_callbacks),
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

/* --- Requests --- */

static const struct handler *find_handler(const char *path)
{
    const char *name = path + strlen(FOLDER);
    size_t size;

    if (strncmp(path, FOLDER, strlen(FOLDER)) != 0) {
        return NULL;
    }
    size = strlen(name);
    if (size > 3 && strcmp(name + size - 3, ".py") == 0) {
        size -= 3;
    }
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (strlen(handlers[i].name) == size &&
            strncmp(name, handlers[i].name, size) == 0) {
            return &handlers[i];
        }
    }
    return NULL;
}

/* The headers of the request, as a JSON object for free(). */
static char *headers_as_json(const yomo_wt_request *request, bool lists)
{
    size_t size = 65536, at = 1;
    char *out = malloc(size), *name = malloc(size), *value = malloc(size);

    if (out && name && value) {
        out[0] = '{';
        for (uint32_t i = 0; yomo_wt_request_header_name(request, i); i++) {
            json_string(name, size / 4, yomo_wt_request_header_name(request, i));
            json_string(value, size / 4, yomo_wt_request_header_value(request, i));
            if (at + strlen(name) + strlen(value) + 8 > size) {
                break;
            }
            at += (size_t)sprintf(out + at, lists ? "%s%s:[%s]" : "%s%s:%s",
                                  i ? "," : "", name, value);
        }
        out[at++] = '}';
        out[at] = '\0';
    }
    free(name);
    free(value);
    return out;
}

/* custom-response: the query's fields are the answer's headers. Answers the request
 * where it is to be refused. */
static bool set_answer(yomo_wt_request *request)
{
    const char *query = yomo_wt_request_query(request);
    char name[FIELD_SIZE], value[FIELD_SIZE];
    int32_t status = 200;

    while (next_field(&query, name, value)) {
        if (strcmp(name, ":status") == 0) {
            status = atoi(value);
        } else {
            (void)yomo_wt_request_set_header(request, name, value);
        }
    }
    if (status >= 300) {
        (void)yomo_wt_request_refuse(request, status);
        return false;
    }
    (void)yomo_wt_request_set_status(request, status);
    return true;
}

static void on_request(void *user, yomo_wt_request *request)
{
    const struct handler *handler = find_handler(yomo_wt_request_path(request));
    struct session *session = calloc(1, sizeof(*session));
    char query[4096], value[FIELD_SIZE];
    const char *protocol = NULL;
    char *headers = NULL;

    (void)user;
    if (!handler || !session) {
        free(session);
        (void)yomo_wt_request_refuse(request, handler ? 503 : 404);
        return;
    }
    snprintf(query, sizeof(query), "%s", yomo_wt_request_query(request));
    session->handler = handler;
    (void)field(query, "token", value);
    snprintf(session->token, sizeof(session->token), "%.90s", value);
    session->code = (int64_t)number(query, "wt", 0);
    if (field(query, "code", value)) {
        session->code = from_h3(strtoull(value, NULL, 10));
    }
    if (strcmp(handler->name, "custom-response") == 0 && !set_answer(request)) {
        free(session);
        return;
    }
    if (strcmp(handler->name, "echo-request-headers") == 0) {
        headers = headers_as_json(request, strstr(query, "format=list") != NULL);
    }
    if (field(query, "pick", value)) {
        protocol = yomo_wt_request_offered(request, (uint32_t)atoi(value));
    }
    if (yomo_wt_request_accept(request, protocol, &session_callbacks, session,
                               &session->session) != YOMO_OK) {
        free(session);
        free(headers);
        return;
    }
    if (headers) {
        say(session, headers);
        free(headers);
    } else if (handler->on_open) {
        handler->on_open(session, query);
    }
}

/* --- The program --- */

static void on_log(void *user, int32_t level, const char *module, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s: %s\n", module, text);
}

static void check(int32_t error, const char *what)
{
    if (error != YOMO_OK) {
        fprintf(stderr, "%s: %s\n", what, yomo_strerror(error));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    yomo_options *options;
    yomo_server *server;
    char byte;

    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: wpt_server PORT STATE-DIR [OPTION VALUE]...\n");
        return 2;
    }
    check(yomo_options_create(&options, YOMO_SCOPE_SERVER), "options");
    check(yomo_options_set(options, "port", argv[1]), "port");
    check(yomo_options_set(options, "http-port", "none"), "http-port");
    check(yomo_options_set(options, "state-dir", argv[2]), "state-dir");
    for (int i = 3; i < argc; i += 2) {
        check(yomo_options_set(options, argv[i], argv[i + 1]), argv[i]);
    }
    check(yomo_options_set_log(options, on_log, NULL, YOMO_LOG_WARN), "log");
    check(yomo_server_create(&server, options, NULL, NULL), "server");
    yomo_options_free(options);
    check(yomo_server_claim(server, FOLDER, on_request, NULL), "claim");
    if (yomo_server_listen(server) != YOMO_OK) {
        fprintf(stderr, "%s\n", yomo_server_error(server));
        yomo_server_free(server);
        return 1;
    }
    fprintf(stderr, "listening %s\n", yomo_server_listening(server));
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    yomo_server_free(server);
    notes_forget_all();
    return 0;
}
