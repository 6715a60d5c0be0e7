/* SPDX-License-Identifier: MIT */
/* serve.c - the backend as a process: its signals, its log, and where its pages are.
 *
 * The happy path: listen, say so, wait for a signal, drain, closed. Everything that
 * could hang has an end: draining is cut short LATE_MS after its time, and closing is
 * waited for that long once more. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "log.h"
#include "pages.h"
#include "session.h"
#include "signals.h"

#define LATE_MS 900
#define CLOSED 255 /* in the pipe of signals: the server is over */

enum phase {
    SERVING,
    DRAINING, /* asked to come to an end */
    CLOSING   /* asked to end now */
};

struct serve {
    yomo_server *server;
    const struct args *args;
    enum phase phase;
    uint64_t drain_ms;
    uint64_t deadline; /* for this phase; UINT64_MAX: none */
    int signals;
};

/* On a thread of the server's. */
static void on_closed(void *user, yomo_server *server)
{
    (void)user;
    (void)server;
    signals_post(CLOSED);
}

static void enter(struct serve *serve, enum phase phase)
{
    serve->phase = phase;
    if (phase == DRAINING) {
        uint32_t grace =
            serve->drain_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)serve->drain_ms;
        serve->deadline = now_ms() + serve->drain_ms + LATE_MS;
        yomo_server_drain(serve->server, grace);
    } else {
        serve->deadline = now_ms() + LATE_MS;
        yomo_server_close(serve->server);
    }
}

static int prepare(const struct args *args);

/* The command line and the file that it names, once more. */
static void reload(struct serve *serve)
{
    enum log_format before = log_format();
    const char *why = NULL;
    struct args args;
    int32_t rv = YOMO_OK;

    if (args_parse(&args, serve->args->command, serve->args->argc, serve->args->argv) !=
        EXIT_DONE) {
        why = args.error;
    } else if (prepare(&args) != YOMO_OK) {
        why = yomo_strerror(YOMO_ERR_NOMEM);
    } else {
        log_begin_serve(&args);
        rv = yomo_server_reload_options(serve->server, args.options);
    }
    if (rv != YOMO_OK) {
        why = yomo_server_error(serve->server);
        why = *why ? why : yomo_strerror(rv);
    }
    if (why) {
        log_set_format(before);
        log_say(YOMO_LOG_ERROR, "what was in use stays in use: %s", why);
    } else {
        read_ms(yomo_options_get(args.options, "drain-timeout"), &serve->drain_ms);
        log_say(YOMO_LOG_INFO, "options, certificate and keys were read again");
    }
    args_finish(&args);
}

/* True when the server is over. */
static bool take_signals(struct serve *serve)
{
    int number;

    while ((number = signals_take()) != 0) {
        switch (number) {
        case CLOSED:
            return true;
        case SIGHUP:
            reload(serve);
            break;
        case SIGWINCH:
            break;
        default:
            enter(serve, serve->phase == SERVING ? DRAINING : CLOSING);
        }
    }
    return false;
}

/* Until the server is over. EXIT_FAILED when it did not end in time. */
static int wait_closed(struct serve *serve)
{
    struct pollfd watch = {.fd = serve->signals, .events = POLLIN};

    while (!take_signals(serve)) {
        uint64_t now = now_ms();
        int wait = serve->deadline == UINT64_MAX   ? -1
                   : serve->deadline <= now        ? 0
                   : serve->deadline - now > 60000 ? 60000
                                                   : (int)(serve->deadline - now);
        if (poll(&watch, 1, wait) < 0 && errno != EINTR) {
            log_say(YOMO_LOG_ERROR, "%s", strerror(errno));
            return EXIT_FAILED;
        }
        if (now_ms() < serve->deadline) {
            continue;
        }
        if (serve->phase == CLOSING) {
            log_say(YOMO_LOG_ERROR, "ended without waiting any longer");
            return EXIT_FAILED;
        }
        enter(serve, CLOSING);
    }
    return EXIT_DONE;
}

/* What a person wants to know first. Programs read the line before it. */
static void say_what_to_open(const struct serve *serve)
{
    if (yomo_server_http_port(serve->server) != 0 && log_format() == LOG_TEXT) {
        fprintf(stderr, "open http://localhost:%u in two windows\n",
                (unsigned)yomo_server_http_port(serve->server));
    }
}

/* The options that the program fills in: where its own pages lie. */
static int prepare(const struct args *args)
{
    char folder[PAGES_PATH_MAX];
    const char *root = yomo_options_get(args->options, "web-root");

    if (!root && pages_find(folder)) {
        return yomo_options_set(args->options, "web-root", folder);
    }
    return YOMO_OK;
}

static int exit_code_of_start(int32_t error)
{
    return error == YOMO_ERR_OPTION || error == YOMO_ERR_INVALID ? EXIT_USAGE
                                                                 : EXIT_FAILED;
}

static int run(struct args *args)
{
    static const yomo_server_callbacks callbacks = {.size = sizeof(callbacks),
                                                    .on_closed = on_closed};
    struct serve serve = {.deadline = UINT64_MAX, .args = args};
    const char *sentence;
    int32_t rv;
    int code;

    serve.signals = signals_catch();
    if (serve.signals < 0) {
        fprintf(stderr, "yomo serve: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    log_begin_serve(args);
    read_ms(yomo_options_get(args->options, "drain-timeout"), &serve.drain_ms);
    rv = prepare(args);
    if (rv == YOMO_OK) {
        rv = yomo_server_create(&serve.server, args->options, &callbacks, NULL);
    }
    if (rv == YOMO_OK) {
        rv = yomo_server_listen(serve.server);
    }
    if (rv != YOMO_OK) {
        sentence = serve.server ? yomo_server_error(serve.server) : "";
        log_say(YOMO_LOG_ERROR, "%s", *sentence ? sentence : yomo_strerror(rv));
        yomo_server_free(serve.server);
        return exit_code_of_start(rv);
    }
    log_listening(yomo_server_listening(serve.server));
    say_what_to_open(&serve);
    code = wait_closed(&serve);
    if (code == EXIT_DONE) {
        yomo_server_free(serve.server);
    }
    return code;
}

static const struct flag flags[] = {
    {"config", YOMO_TYPE_TEXT, NULL, NULL, "FILE",
     "Read options from FILE, one `name = value` a line; # begins a comment. Flags win "
     "over it."},
    {"log", YOMO_TYPE_CHOICE, NULL, "error|warn|info|debug|trace", NULL,
     "The same as --log-level, and wins over it."},
    {0},
};

const struct command serve_command = {
    .name = "serve",
    .arguments = "",
    .summary = "Run the backend.",
    .text =
        "Without any flag this is for development: it listens on loopback only, makes "
        "a certificate for itself, lets everybody in, and serves a demo page on "
        "http://localhost:8080.\n"
        "\n"
        "The log goes to stderr. When it listens it writes one line there, `listening` "
        "and a JSON object: port, http_port, addresses, certificate_sha256, "
        "development, workers, pid. With --log-format json every line is an object: "
        "time, level, module, message, and that one has the same in `listening`.\n"
        "\n"
        "/healthz, /readyz and, where it is on, /metrics are served over HTTPS on the "
        "same port (TCP) and over HTTP on http-port; over HTTP/3 there are sessions "
        "only, at /v1 and /echo.\n"
        "\n"
        "SIGTERM and SIGINT: no new connections, clients are told to come back later "
        "or to go to drain-url, then it ends, after drain-timeout at the latest; a "
        "second signal ends it at once. SIGHUP: certificate and key, the keys for "
        "tokens, and the configuration file are read again; what changed and may "
        "(docs/options.md, "
        "live) counts from then on, without a connection lost. If anything is wrong, "
        "everything stays as it was.",
    .scope = YOMO_SCOPE_SERVER,
    .flags = flags,
    .run = run,
};
