/* SPDX-License-Identifier: MIT */
/* session.c - the happy path: connect, join, whatever the command does, close, closed.
 *
 * Before the first join every failure ends the program, with a code that tells what
 * kind it was; scripts rely on that. After it lost connections are made again by the
 * library and only noted. A client that does not close within CLOSE_MS is left to its
 * fate. */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "signals.h"

#define CLOSE_MS 5000

uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t after(uint64_t now, uint64_t ms)
{
    return ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
}

static void begin_ending(struct session *session)
{
    session->ending = true;
    if (session->events->on_ending) {
        session->events->on_ending(session);
    }
}

static void end(struct session *session, int code)
{
    session->code = code;
    session->deadline = after(now_ms(), CLOSE_MS);
    yomo_client_close(session->client);
}

void session_end(struct session *session, int code)
{
    if (!session->ending) {
        begin_ending(session);
        end(session, code);
    }
}

void session_fail(struct session *session, int32_t error, const char *text)
{
    if (session->ending) {
        return;
    }
    begin_ending(session);
    fprintf(stderr, "yomo %s: %s%s%s\n", session->args->command->name,
            yomo_strerror(error), text && *text ? ": " : "", text ? text : "");
    end(session, exit_code_of(error));
}

static void notice(struct session *session, const char *text)
{
    if (session->events->on_notice) {
        session->events->on_notice(session, text);
    } else {
        fprintf(stderr, "yomo %s: %s\n", session->args->command->name, text);
    }
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct session *session = user;
    int32_t state = yomo_status_state(status);
    int32_t error = yomo_status_error(status);
    char text[512];

    (void)client;
    if (session->ending) {
        return;
    }
    if (state == YOMO_CLIENT_OPEN && session->away) {
        session->away = false;
        notice(session, "connected again");
    }
    if (error == YOMO_OK ||
        (state != YOMO_CLIENT_WAITING && state != YOMO_CLIENT_CLOSED)) {
        return;
    }
    if (!session->joined || state == YOMO_CLIENT_CLOSED) {
        session_fail(session, error, yomo_status_text(status));
        return;
    }
    if (!session->away) {
        session->away = true;
        snprintf(text, sizeof(text), "connection lost (%s); it is being made again",
                 yomo_strerror(error));
        notice(session, text);
    }
}

static void on_joined(void *user, yomo_room *room)
{
    struct session *session = user;

    (void)room;
    session->joined = true;
    if (!session->ending) {
        session->deadline = UINT64_MAX;
        session->events->on_joined(session);
    }
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_message && !session->ending) {
        session->events->on_message(session, message);
    }
}

static void on_history(void *user, yomo_room *room, yomo_history *history)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_history && !session->ending) {
        session->events->on_history(session, history);
    }
}

static void on_user(void *user, yomo_room *room, const yomo_user *who, int32_t change)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_user && !session->ending) {
        session->events->on_user(session, who, change);
    }
}

static void on_gap(void *user, yomo_room *room, const yomo_gap *gap)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_gap && !session->ending) {
        session->events->on_gap(session, gap);
    }
}

static void on_lock(void *user, yomo_room *room, const char *key, int32_t held,
                    uint64_t version)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_lock && !session->ending) {
        session->events->on_lock(session, key, held, version);
    }
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_peer && !session->ending) {
        session->events->on_peer(session, peer, change);
    }
}

static void on_sent(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    struct session *session = user;

    (void)room;
    if (session->events->on_sent && !session->ending) {
        session->events->on_sent(session, id, error);
    }
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct session *session = user;

    (void)room;
    session->room = NULL;
    session_fail(session, error != YOMO_OK ? error : YOMO_ERR_CLOSED, text);
}

static void on_closed(void *user, yomo_client *client)
{
    struct session *session = user;

    (void)client;
    session->closed = true;
}

static int32_t join(struct session *session, const char *room, const char *state)
{
    yomo_join *join;
    int32_t rv = yomo_join_create(&join, session->client);

    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yomo_join_set_state(join, state);
    if (rv == YOMO_OK && session->events->prepare) {
        rv = session->events->prepare(session, join);
    }
    if (rv == YOMO_OK) {
        rv = yomo_client_join_with(session->client, room, join, &session->room);
    }
    yomo_join_free(join);
    return rv;
}

/* The client, connecting and joining. An error is told on stderr. */
static int begin(struct session *session, const char *room, const char *state)
{
    static const yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_status = on_status,
        .on_joined = on_joined,
        .on_message = on_message,
        .on_peer = on_peer,
        .on_sent = on_sent,
        .on_left = on_left,
        .on_closed = on_closed,
        .on_history = on_history,
        .on_gap = on_gap,
        .on_user = on_user,
        .on_lock = on_lock,
    };
    const struct args *args = session->args;
    const char *about = args->arguments[0];
    uint64_t timeout = args_ms(args, "timeout");
    int32_t rv;

    log_begin(args);
    rv = yomo_options_set(args->options, "url", args->arguments[0]);
    if (rv == YOMO_OK) {
        rv = yomo_client_create(&session->client, args->options, &callbacks, session);
    }
    if (rv == YOMO_OK) {
        about = room;
        rv = join(session, room, state);
    }
    if (rv == YOMO_OK) {
        rv = yomo_client_connect(session->client);
    }
    if (rv != YOMO_OK) {
        fprintf(stderr, "yomo %s: %s: %s\n", args->command->name,
                rv == YOMO_ERR_JSON ? "--state" : about, yomo_strerror(rv));
        return exit_code_of(rv);
    }
    session->deadline = timeout ? after(now_ms(), timeout) : UINT64_MAX;
    return EXIT_DONE;
}

static void take_signals(struct session *session)
{
    int number;

    while ((number = signals_take()) != 0) {
        if (number == SIGWINCH) {
            if (session->events->on_resize) {
                session->events->on_resize(session);
            }
        } else if (session->ending) {
            session->closed = true; /* the second one: at once */
        } else {
            session_end(session, session->signal_code);
        }
    }
}

static void check_deadline(struct session *session)
{
    if (now_ms() < session->deadline) {
        return;
    }
    if (session->ending) {
        session->closed = true;
        return;
    }
    session_fail(session, YOMO_ERR_TIMEOUT,
                 yomo_client_transport(session->client) == YOMO_TRANSPORT_NONE
                     ? "not connected"
                     : "connected, but not in the room");
}

/* How long poll may wait: for the client, for the deadline, for the command. */
static int wait_ms(const struct session *session, uint64_t tick)
{
    uint64_t due = session->deadline < tick ? session->deadline : tick;
    uint64_t now = now_ms();
    uint64_t wait = due <= now ? 0 : due - now;
    int32_t client = yomo_client_timeout_ms(session->client);

    if (client >= 0 && (uint64_t)client < wait) {
        wait = (uint64_t)client;
    }
    return due == UINT64_MAX && client < 0 ? -1 : wait > 60000 ? 60000 : (int)wait;
}

/* One turn: wait for the client, a signal, input, or the end of whoever reads stdout;
 * then let each do what it has to do. */
static void turn(struct session *session, int signals, uint64_t tick)
{
    bool input = session->events->on_input && !session->input_ended && !session->ending;
    struct pollfd watch[] = {
        {.fd = yomo_client_fd(session->client), .events = POLLIN},
        {.fd = signals, .events = POLLIN},
        {.fd = input ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = session->watch_output ? STDOUT_FILENO : -1},
    };

    if (poll(watch, 4, wait_ms(session, tick)) < 0 && errno != EINTR) {
        session_fail(session, YOMO_ERR_SYSTEM, strerror(errno));
    }
    take_signals(session);
    if (watch[2].revents) {
        session->events->on_input(session);
    }
    if (watch[3].revents & (POLLERR | POLLHUP)) {
        session_end(session, EXIT_DONE);
    }
    yomo_client_poll(session->client);
    check_deadline(session);
}

int session_run(struct session *session, const char *room, const char *state)
{
    int signals = signals_catch();
    int code;

    if (signals < 0) {
        fprintf(stderr, "yomo %s: %s\n", session->args->command->name, strerror(errno));
        return EXIT_FAILED;
    }
    code = begin(session, room, state);
    if (code != EXIT_DONE) {
        session->ending = true; /* closing it is not worth a word */
        yomo_client_free(session->client);
        return code;
    }
    while (!session->closed) {
        uint64_t tick = UINT64_MAX;
        if (session->events->on_tick && session->joined && !session->ending) {
            tick = session->events->on_tick(session, now_ms());
        }
        turn(session, signals, tick);
    }
    yomo_client_free(session->client);
    return session->code;
}
