/* SPDX-License-Identifier: MIT */
/* sub.c - what happens in a room, one JSON object a line. */
#include <inttypes.h>
#include <string.h>

#include "args.h"
#include "log.h"
#include "output.h"
#include "session.h"

struct sub {
    const char *event; /* NULL: all */
    bool presence, users, observe;
    uint64_t left; /* messages still to come; 0 with `counted` false: no end */
    bool counted;
    uint32_t history; /* how many of the last messages */
    struct text line;
};

/* Nobody reads any more: that is how `yomo sub ... | head -1` ends. */
static void print(struct session *session)
{
    struct sub *sub = session->user;

    text_put(&sub->line, "}\n");
    if (sub->line.failed) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
    } else if (!output_flush(&sub->line)) {
        session_end(session, EXIT_DONE);
    }
}

static void begin_line(struct session *session, const char *type)
{
    struct sub *sub = session->user;

    text_clear(&sub->line);
    text_put(&sub->line, "{\"type\":");
    text_put_string(&sub->line, type);
    text_put(&sub->line, ",\"room\":");
    text_put_string(&sub->line, session->args->arguments[1]);
}

static void print_peer(struct session *session, const char *type, const yomo_peer *peer)
{
    struct sub *sub = session->user;
    size_t size;
    const char *state = yomo_peer_state(peer, &size);

    begin_line(session, type);
    text_put(&sub->line, ",\"from\":");
    text_put_string(&sub->line, yomo_peer_id(peer));
    text_put(&sub->line, ",\"state\":");
    text_put_json(&sub->line, state, size);
    print(session);
}

static void print_present(struct session *session)
{
    yomo_peers *peers;

    if (yomo_room_peers(session->room, &peers) != YOMO_OK) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
        return;
    }
    for (size_t i = 0; i < yomo_peers_count(peers) && !session->ending; i++) {
        print_peer(session, "join", yomo_peers_at(peers, i));
    }
    yomo_peers_free(peers);
}

static void print_user(struct session *session, const char *type, const yomo_user *who)
{
    struct sub *sub = session->user;
    size_t size;
    const char *state = yomo_user_state(who, &size);

    begin_line(session, type);
    text_put(&sub->line, ",\"from\":");
    text_put_string(&sub->line, yomo_user_id(who));
    text_format(&sub->line,
                ",\"devices\":%" PRIu64 ",\"state\":", yomo_user_devices(who));
    text_put_json(&sub->line, state, size);
    print(session);
}

static void print_users(struct session *session)
{
    yomo_users *users;

    if (yomo_room_users(session->room, &users) != YOMO_OK) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
        return;
    }
    for (size_t i = 0; i < yomo_users_count(users) && !session->ending; i++) {
        print_user(session, "user_join", yomo_users_at(users, i));
    }
    yomo_users_free(users);
}

static void on_user(struct session *session, const yomo_user *who, int32_t change)
{
    struct sub *sub = session->user;

    if (sub->users && session->joined) {
        print_user(session, change == YOMO_PEER_LEFT ? "user_leave" : "user_join", who);
    }
}

/* Who was there when the room was joined for the first time stands behind the "joined"
 * line; after a lost connection only the differences are told, as they come. */
static void on_joined(struct session *session)
{
    struct sub *sub = session->user;
    bool first = !sub->line.data;

    begin_line(session, "joined");
    text_put(&sub->line, ",\"transport\":");
    text_put_string(&sub->line,
                    yomo_transport_name(yomo_client_transport(session->client)));
    print(session);
    if (first && sub->presence && !session->ending) {
        print_present(session);
    }
    if (first && sub->users && !session->ending) {
        print_users(session);
    }
}

static void on_peer(struct session *session, const yomo_peer *peer, int32_t change)
{
    struct sub *sub = session->user;

    if (!sub->presence || !session->joined) {
        return;
    }
    print_peer(session,
               change == YOMO_PEER_LEFT    ? "leave"
               : change == YOMO_PEER_STATE ? "state"
               : change == YOMO_PEER_STALE ? "stale"
               : change == YOMO_PEER_BACK  ? "back"
                                           : "join",
               peer);
}

static void on_message(struct session *session, const yomo_message *message)
{
    struct sub *sub = session->user;
    const char *event = yomo_message_event(message);
    const char *json;
    size_t size;

    if (sub->event && strcmp(event, sub->event) != 0) {
        return;
    }
    json = yomo_message_json(message, &size);
    if (!json) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
        return;
    }
    begin_line(session, "message");
    text_put(&sub->line, ",\"event\":");
    text_put_string(&sub->line, event);
    text_put(&sub->line, ",\"from\":");
    text_put_string(&sub->line, yomo_message_from(message));
    if (yomo_message_direct(message)) {
        text_put(&sub->line, ",\"direct\":true");
    }
    text_put(&sub->line, ",\"data\":");
    text_put_json(&sub->line, json, size);
    if (yomo_message_past(message)) {
        text_format(&sub->line, ",\"past\":true,\"at\":%" PRIu64,
                    yomo_message_at_ms(message));
    }
    print(session);
    if (sub->counted && --sub->left == 0) {
        session_end(session, EXIT_DONE);
    }
}

/* Messages that this member should have had, and will not. */
static void on_gap(struct session *session, const yomo_gap *gap)
{
    struct sub *sub = session->user;

    begin_line(session, "gap");
    text_format(&sub->line, ",\"first\":%" PRIu64 ",\"last\":%" PRIu64,
                yomo_gap_first(gap), yomo_gap_last(gap));
    print(session);
}

static int32_t prepare(struct session *session, yomo_join *join)
{
    struct sub *sub = session->user;

    yomo_join_set_observe(join, sub->observe);
    return yomo_join_set_history(join, sub->history);
}

static int run(struct args *args)
{
    static const struct session_events events = {
        .on_gap = on_gap,
        .prepare = prepare,
        .on_joined = on_joined,
        .on_message = on_message,
        .on_peer = on_peer,
        .on_user = on_user,
    };
    struct sub sub = {
        .event = args_text(args, "event"),
        .presence = args_switch(args, "presence"),
        .users = args_switch(args, "users"),
        .observe = args_switch(args, "observe"),
        .left = args_number(args, "count"),
        .history = args_number(args, "history") > UINT32_MAX
                       ? UINT32_MAX
                       : (uint32_t)args_number(args, "history"),
    };
    struct session session = {
        .args = args,
        .events = &events,
        .user = &sub,
        .watch_output = true,
        .signal_code = EXIT_DONE,
    };
    int code;

    sub.counted = sub.left > 0;
    code = session_run(&session, args->arguments[1], args_text(args, "state"));
    text_finish(&sub.line);
    return code;
}

static const struct flag flags[] = {
    {"event", YOMO_TYPE_TEXT, NULL, NULL, "EVENT", "Only messages of this event."},
    {"count", YOMO_TYPE_NUMBER, NULL, NULL, "N", "End after N messages."},
    {"history", YOMO_TYPE_NUMBER, "0", NULL, "N",
     "The last N messages of the room first, as far as the backend keeps them."},
    {"presence", YOMO_TYPE_SWITCH, "false", NULL, NULL,
     "Who is there too: join, state, stale, back and leave."},
    {"users", YOMO_TYPE_SWITCH, "false", NULL, NULL,
     "Who is there, one person on several devices once: user_join and user_leave."},
    {"observe", YOMO_TYPE_SWITCH, "false", NULL, NULL,
     "Hear the room without being seen in it."},
    {"state", YOMO_TYPE_TEXT, NULL, NULL, "JSON",
     "This member's own state, a JSON object that others see."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command sub_command = {
    .name = "sub",
    .arguments = "URL ROOM",
    .summary = "Print what happens in a room, one JSON object a line.",
    .text =
        "URL is where the backend is, such as https://localhost:8443; ROOM is the "
        "name of a room. Each line is written at once:\n"
        "\n"
        "  {\"type\":\"joined\",\"room\":..,\"transport\":..}\n"
        "  {\"type\":\"message\",\"room\":..,\"event\":..,\"from\":..,\"data\":..}\n"
        "\n"
        "A message of --history, or of the time in which the connection was lost, also "
        "has \"past\":true and \"at\":, the milliseconds since 1970 at which it was "
        "said. "
        "What was said then and is not known any more shows as\n"
        "\n"
        "  {\"type\":\"gap\",\"room\":..,\"first\":..,\"last\":..}\n"
        "\n"
        "With --presence there are also\n"
        "\n"
        "  {\"type\":\"join\",\"room\":..,\"from\":..,\"state\":..}\n"
        "  {\"type\":\"state\",\"room\":..,\"from\":..,\"state\":..}\n"
        "  {\"type\":\"stale\",\"room\":..,\"from\":..,\"state\":..}\n"
        "  {\"type\":\"back\",\"room\":..,\"from\":..,\"state\":..}\n"
        "  {\"type\":\"leave\",\"room\":..,\"from\":..,\"state\":..}\n"
        "\n"
        "The joined line comes first, then a join line for each member present. Bytes "
        "are printed as {\"base64\":\"..\"}. Runs until --count or a signal, both of "
        "which end it with 0; after a lost connection it joins again and says so.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
