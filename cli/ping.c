/* SPDX-License-Identifier: MIT */
/* ping.c - how long a message takes to the server and its confirmation back.
 *
 * Not a ping of the network: the message goes the whole way that any other goes,
 * through the server's room, in a room of its own where nobody else is. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "log.h"
#include "output.h"
#include "session.h"

struct ping {
    uint64_t interval; /* ms */
    uint64_t wanted;   /* 0: no end */
    uint64_t next;     /* when the next one is due */
    uint64_t id;       /* the one under way; 0: none */
    uint64_t began_ns;
    uint64_t count;
    double min, max, sum; /* ms */
    struct text line;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t on_tick(struct session *session, uint64_t now)
{
    struct ping *ping = session->user;
    int32_t rv;

    if (ping->id != 0 || session->away) {
        return UINT64_MAX; /* on_sent follows */
    }
    if (now < ping->next) {
        return ping->next;
    }
    ping->next = now + ping->interval;
    ping->began_ns = now_ns();
    rv = yomo_room_send(session->room, "ping", "{}", 2, YOMO_JSON, YOMO_RELIABLE, NULL,
                        &ping->id);
    if (rv != YOMO_OK) {
        session_fail(session, rv, NULL);
    }
    return UINT64_MAX;
}

static void count(struct ping *ping, double ms)
{
    ping->min = ping->count == 0 || ms < ping->min ? ms : ping->min;
    ping->max = ping->count == 0 || ms > ping->max ? ms : ping->max;
    ping->sum += ms;
    ping->count++;
}

static void on_sent(struct session *session, uint64_t id, int32_t error)
{
    struct ping *ping = session->user;
    double ms = (double)(now_ns() - ping->began_ns) / 1e6;

    if (id != ping->id) {
        return;
    }
    ping->id = 0;
    if (error != YOMO_OK) {
        text_format(&ping->line, "lost: %s\n", yomo_strerror(error));
    } else {
        count(ping, ms);
        text_format(&ping->line, "%" PRIu64 ": %s rtt %.3f ms", ping->count,
                    yomo_transport_name(yomo_client_transport(session->client)), ms);
        if (yomo_client_rtt_us(session->client) > 0) {
            text_format(&ping->line, " (connection %.3f ms)",
                        (double)yomo_client_rtt_us(session->client) / 1000);
        }
        text_put(&ping->line, "\n");
    }
    if (!output_flush(&ping->line) || (ping->wanted && ping->count >= ping->wanted)) {
        session_end(session, EXIT_DONE);
    }
}

static void on_joined(struct session *session)
{
    struct ping *ping = session->user;

    ping->id = 0; /* one that was under way has lost its clock with the connection */
}

static void summarize(struct ping *ping)
{
    text_format(&ping->line, "%" PRIu64 " answered: min %.3f, mean %.3f, max %.3f ms\n",
                ping->count, ping->min, ping->sum / (double)ping->count, ping->max);
    output_flush(&ping->line);
}

static int run(struct args *args)
{
    static const struct session_events events = {
        .on_joined = on_joined,
        .on_sent = on_sent,
        .on_tick = on_tick,
    };
    struct ping ping = {
        .interval = args_ms(args, "interval"),
        .wanted = args_number(args, "count"),
    };
    struct session session = {
        .args = args,
        .events = &events,
        .user = &ping,
        .watch_output = true,
        .signal_code = EXIT_DONE,
    };
    char room[64];
    int code;

    snprintf(room, sizeof(room), "ping-%ld-%" PRIu64, (long)getpid(), now_ns());
    code = session_run(&session, room, NULL);
    if (ping.count > 0) {
        summarize(&ping);
    }
    text_finish(&ping.line);
    return code;
}

static const struct flag flags[] = {
    {"count", YOMO_TYPE_NUMBER, NULL, NULL, "N", "End after N answers."},
    {"interval", YOMO_TYPE_DURATION, "1s", NULL, NULL, "From one message to the next."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command ping_command = {
    .name = "ping",
    .arguments = "URL",
    .summary = "Measure round trips to a backend.",
    .text =
        "Joins a room of its own, sends small reliable messages and prints how long "
        "each took until the server confirmed it; in parentheses the round-trip time "
        "that the transport reckons with. Runs until --count or a signal.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
