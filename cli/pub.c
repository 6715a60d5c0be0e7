/* SPDX-License-Identifier: MIT */
/* pub.c - a message, or the same one many times, into a room.
 *
 * Done means confirmed: the server gave each message its place (extension), or the
 * transport acknowledged it. A LATEST value that a newer one took the place of is done
 * with that one. What may be lost is not waited for without end.
 *
 * A server that refuses messages because too many came is waited for, and gets them
 * again: fewer at once, and with longer pauses while it takes none at all. Which of
 * them it refused makes no difference, they are all the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "log.h"
#include "session.h"

#define IN_FLIGHT_MAX 256 /* messages that wait for their answer */
#define IN_FLIGHT_MIN 16  /* that many even at a server which refuses some */
#define PAUSE_MIN_MS 200  /* after messages were refused */
#define PAUSE_MAX_MS 3200
#define LOST_MS 2000 /* after that an unreliable message counts as lost */

struct pub {
    const char *event, *json;
    yomo_send *how; /* once there is a client */
    int32_t delivery;
    uint64_t wanted, sent, confirmed, lost;
    uint64_t begin;     /* when the first one went */
    double per_ms;      /* 0: as fast as it goes */
    uint64_t last_sent; /* when the last one went */

    /* How the server's own rate is met. */
    uint64_t window;   /* how many may wait for their answer */
    uint64_t growth;   /* confirmed since it grew */
    uint64_t pause_ms; /* how long the next pause is */
    uint64_t resume;   /* when the last one ends; 0: there was none */
};

static void finish(struct session *session)
{
    const struct pub *pub = session->user;

    if (pub->lost == 0) {
        session_end(session, EXIT_DONE);
        return;
    }
    fprintf(stderr, "yomo pub: %llu of %llu messages were not confirmed\n",
            (unsigned long long)pub->lost, (unsigned long long)pub->wanted);
    session_end(session, EXIT_FAILED);
}

/* How many may have been sent by `now`. */
static uint64_t allowed(const struct pub *pub, uint64_t now)
{
    uint64_t window = pub->confirmed + pub->lost + pub->window;
    uint64_t paced = UINT64_MAX;

    if (now < pub->resume) {
        return pub->sent;
    }
    if (pub->per_ms > 0) {
        double due = (double)(now - pub->begin) * pub->per_ms + 1;
        paced = due < 1e18 ? (uint64_t)due : UINT64_MAX;
    }
    if (paced > window) {
        paced = window;
    }
    return paced < pub->wanted ? paced : pub->wanted;
}

/* The users that --to names, with commas between them. */
static int32_t read_names(yomo_send *how, const char *names)
{
    int32_t rv = YOMO_OK;

    while (rv == YOMO_OK && *names) {
        char id[256] = "";
        size_t size = strcspn(names, ",");
        if (size >= sizeof(id)) {
            return YOMO_ERR_INVALID;
        }
        memcpy(id, names, size);
        rv = yomo_send_to_user(how, id);
        names += size + (names[size] == ',');
    }
    return rv;
}

static int32_t priority_of(const char *name)
{
    return strcmp(name, "urgent") == 0 ? YOMO_URGENT
           : strcmp(name, "bulk") == 0 ? YOMO_BULK
                                       : YOMO_NORMAL;
}

/* What the flags say about how it is sent. */
static int32_t make_how(struct session *session)
{
    struct pub *pub = session->user;
    const struct args *args = session->args;
    const char *to = args_text(args, "to");
    int32_t rv = yomo_send_create(&pub->how, session->client);

    if (rv == YOMO_OK && to) {
        rv = read_names(pub->how, to);
    }
    if (rv == YOMO_OK) {
        rv = yomo_send_set_key(pub->how, args_text(args, "latest-key"));
    }
    if (rv == YOMO_OK) {
        (void)yomo_send_set_me(pub->how, args_switch(args, "me"));
        (void)yomo_send_set_delivery(pub->how, pub->delivery);
        (void)yomo_send_set_ttl(pub->how, args_ms(args, "ttl"));
        (void)yomo_send_set_priority(pub->how,
                                     priority_of(args_text(args, "priority")));
    }
    return rv;
}

static void send_due(struct session *session, uint64_t now)
{
    struct pub *pub = session->user;
    uint64_t due = allowed(pub, now);

    if (!pub->how) {
        int32_t rv = make_how(session);
        if (rv != YOMO_OK) {
            session_fail(session, rv, NULL);
            return;
        }
    }

    while (pub->sent < due && !session->ending) {
        uint64_t id;
        int32_t rv = yomo_room_send_with(session->room, pub->how, pub->event, pub->json,
                                         strlen(pub->json), YOMO_JSON, &id);
        if (rv == YOMO_ERR_FULL && pub->sent > pub->confirmed + pub->lost) {
            break; /* when some of those were confirmed */
        }
        if (rv != YOMO_OK) {
            session_fail(session, rv, NULL);
            return;
        }
        pub->sent++;
        pub->last_sent = now;
    }
}

/* When the next message is due, if nothing is heard until then. */
static uint64_t next_due(const struct pub *pub, uint64_t now)
{
    if (now < pub->resume) {
        return pub->resume;
    }
    return pub->per_ms > 0 && pub->sent < allowed(pub, UINT64_MAX - 1)
               ? pub->begin + (uint64_t)((double)pub->sent / pub->per_ms) + 1
               : UINT64_MAX;
}

/* When to come again: for the next message; past the last one, to stop waiting. */
static uint64_t on_tick(struct session *session, uint64_t now)
{
    struct pub *pub = session->user;

    if (pub->sent == 0 && pub->begin == 0) {
        pub->begin = now;
    }
    if (!session->away) {
        send_due(session, now);
    }
    if (pub->sent < pub->wanted) {
        return next_due(pub, now);
    }
    if (pub->delivery == YOMO_RELIABLE) {
        return UINT64_MAX;
    }
    if (now >= pub->last_sent + LOST_MS) {
        pub->lost = pub->wanted - pub->confirmed;
        finish(session);
    }
    return pub->last_sent + LOST_MS;
}

static void confirmed(struct pub *pub)
{
    pub->confirmed++;
    pub->pause_ms = PAUSE_MIN_MS;
    if (pub->window < IN_FLIGHT_MAX && ++pub->growth >= pub->window) {
        pub->growth = 0;
        pub->window++;
    }
}

/* One message goes again, later. All that were under way with it are one refusal. */
static void refused(struct pub *pub, uint64_t now)
{
    pub->sent--;
    if (now < pub->resume) {
        return;
    }
    if (pub->resume == 0) {
        fprintf(stderr,
                "yomo pub: the server takes fewer messages a second; they go as "
                "it takes them (--rate slows down)\n");
    }
    pub->resume = now + pub->pause_ms;
    pub->pause_ms = pub->pause_ms < PAUSE_MAX_MS ? 2 * pub->pause_ms : PAUSE_MAX_MS;
    pub->window = pub->window / 2 > IN_FLIGHT_MIN ? pub->window / 2 : IN_FLIGHT_MIN;
    pub->growth = 0;
}

static void on_sent(struct session *session, uint64_t id, int32_t error)
{
    struct pub *pub = session->user;

    (void)id;
    if (error == YOMO_OK ||
        (error == YOMO_ERR_EXISTS && pub->delivery == YOMO_LATEST)) {
        confirmed(pub);
    } else if (error == YOMO_ERR_RATE) {
        refused(pub, now_ms());
        return;
    } else if (pub->delivery == YOMO_RELIABLE) {
        session_fail(session, error, "it was not confirmed");
        return;
    } else {
        pub->lost++;
    }
    if (pub->confirmed + pub->lost >= pub->wanted) {
        finish(session);
    }
}

static void on_joined(struct session *session)
{
    (void)session; /* on_tick sends, from now on */
}

/* A positive number, with a fraction or without. */
static bool read_rate(const char *text, double *rate)
{
    char *end;

    *rate = strtod(text, &end);
    return end != text && *end == '\0' && *rate > 0 && *rate < 1e9;
}

static int32_t delivery_of(const char *name)
{
    return strcmp(name, "latest") == 0       ? YOMO_LATEST
           : strcmp(name, "unreliable") == 0 ? YOMO_UNRELIABLE
                                             : YOMO_RELIABLE;
}

static int run(struct args *args)
{
    static const struct session_events events = {
        .on_joined = on_joined,
        .on_sent = on_sent,
        .on_tick = on_tick,
    };
    const char *rate = args_text(args, "rate");
    double hz = 0;
    int code;
    struct pub pub = {
        .event = args->arguments[2],
        .json = args->arguments[3],
        .delivery = delivery_of(args_text(args, "class")),
        .wanted = args_number(args, "repeat"),
        .window = IN_FLIGHT_MAX,
        .pause_ms = PAUSE_MIN_MS,
    };
    struct session session = {
        .args = args,
        .events = &events,
        .user = &pub,
        .signal_code = EXIT_FAILED, /* not all was confirmed */
    };

    if (rate && !read_rate(rate, &hz)) {
        fprintf(stderr,
                "yomo pub: --rate does not take '%.40s': it takes messages a "
                "second, such as 20 or 0.5\n",
                rate);
        return EXIT_USAGE;
    }
    if (args_text(args, "latest-key") && pub.delivery != YOMO_LATEST) {
        fprintf(stderr, "yomo pub: --latest-key goes with --class latest\n");
        return EXIT_USAGE;
    }
    if (pub.wanted == 0) {
        fprintf(stderr, "yomo pub: --repeat takes a number from 1\n");
        return EXIT_USAGE;
    }
    pub.per_ms = hz / 1000;
    code = session_run(&session, args->arguments[1], args_text(args, "state"));
    yomo_send_free(pub.how);
    return code;
}

static const struct flag flags[] = {
    {"class", YOMO_TYPE_CHOICE, "reliable", "reliable|unreliable|latest", NULL,
     "What is promised: reliable, every message in order; unreliable, at most once; "
     "latest, the newest value for each key."},
    {"latest-key", YOMO_TYPE_TEXT, NULL, NULL, "KEY",
     "With --class latest: which value is replaced. One for each event when not "
     "given."},
    {"to", YOMO_TYPE_TEXT, NULL, NULL, "ID,..",
     "Only to these users, on all their devices; nobody else gets it. Fails when none "
     "of "
     "them is in the room."},
    {"me", YOMO_TYPE_SWITCH, "false", NULL, NULL, "To this client itself as well."},
    {"ttl", YOMO_TYPE_DURATION, "0", NULL, NULL,
     "Leave it out when it has waited longer than this. 0: never."},
    {"priority", YOMO_TYPE_CHOICE, "normal", "normal|urgent|bulk", NULL,
     "What goes first where several messages wait for one receiver."},
    {"repeat", YOMO_TYPE_NUMBER, "1", NULL, "N", "Send it N times."},
    {"rate", YOMO_TYPE_TEXT, NULL, NULL, "HZ",
     "With --repeat: messages a second. As fast as the server takes them when not "
     "given."},
    {"state", YOMO_TYPE_TEXT, NULL, NULL, "JSON",
     "This member's own state while it is there, a JSON object that others see."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command pub_command = {
    .name = "pub",
    .arguments = "URL ROOM EVENT JSON",
    .summary = "Send a message to a room.",
    .text =
        "JSON is the message's data, such as '{\"x\":1}' or '\"hello\"'. Ends with 0 "
        "when the server confirmed every message, or the transport acknowledged it "
        "where the server does not speak the extension.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
