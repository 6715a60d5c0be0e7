/* SPDX-License-Identifier: MIT */
/* chat.c - a conversation in a terminal: who is there, and what they say.
 *
 * Messages are the event "chat" with a JSON string, or an object with a `text`; names
 * come from the members' state, {"name": "..."}. Where stdin or stdout is no terminal,
 * lines are read and written plainly, and the end of the input ends the program once
 * everything was confirmed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "log.h"
#include "output.h"
#include "session.h"
#include "terminal.h"

#define EVENT "chat"
#define NAMES_SHOWN 8
#define GONE_KEPT 16

/* Who has left: what it said last may still be on its way, since words and presence
 * come by streams of their own. */
struct gone {
    uint64_t session;
    char name[128];
};

struct chat {
    bool screen; /* a terminal, with a line below */
    struct terminal terminal;
    struct line line;
    struct text name;    /* our own */
    struct text plain;   /* input of which the end of the line is still to come */
    struct text scratch; /* for one line to be printed */
    struct gone gone[GONE_KEPT];
    size_t gone_next; /* which one is overwritten next */
    uint64_t sent, confirmed;
};

/* Print what is in `scratch`, a whole line. */
static void print(struct session *session)
{
    struct chat *chat = session->user;
    bool good;

    text_put(&chat->scratch, "\n");
    if (chat->screen) {
        good = terminal_print(&chat->terminal, chat->scratch.data, &chat->line);
        text_clear(&chat->scratch);
    } else {
        good = output_flush(&chat->scratch);
    }
    if (!good) {
        session_end(session, EXIT_DONE);
    }
}

static void put_time(struct chat *chat)
{
    char clock[8];
    time_t now = time(NULL);
    struct tm tm;

    if (chat->screen && localtime_r(&now, &tm)) {
        strftime(clock, sizeof(clock), "%H:%M ", &tm);
        text_put(&chat->scratch, clock);
    }
}

static bool colours(const struct chat *chat)
{
    return chat->screen && chat->terminal.colours;
}

/* The same name has the same colour, today and tomorrow. */
static int colour_of(const char *name)
{
    static const int palette[] = {31, 32, 33, 34, 35, 36, 91, 92, 94, 95, 96};
    unsigned hash = 2166136261u; /* FNV-1a */

    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    return palette[hash % (sizeof(palette) / sizeof(palette[0]))];
}

static void put_name(struct chat *chat, const char *name)
{
    if (colours(chat)) {
        text_format(&chat->scratch, "\033[1;%dm", colour_of(name));
    }
    text_put_harmless(&chat->scratch, name);
    if (colours(chat)) {
        text_put(&chat->scratch, "\033[0m");
    }
}

/* A line about the conversation, not in it. */
static void print_notice(struct session *session, const char *name, const char *text)
{
    struct chat *chat = session->user;

    put_time(chat);
    text_put(&chat->scratch, colours(chat) ? "\033[2m* " : "* ");
    text_put_harmless(&chat->scratch, name);
    text_put_harmless(&chat->scratch, text);
    text_put(&chat->scratch, colours(chat) ? "\033[0m" : "");
    print(session);
}

static void print_message(struct session *session, const char *name, const char *text)
{
    struct chat *chat = session->user;

    put_time(chat);
    put_name(chat, name);
    text_put(&chat->scratch, chat->screen ? "  " : ": ");
    text_put_harmless(&chat->scratch, text);
    print(session);
}

/* Append a member's name: the one in its state, or its id. */
static void put_peer_name(struct text *to, const yomo_peer *peer)
{
    size_t before = to->size;

    if (!text_put_member(to, yomo_peer_state(peer, NULL), "name") ||
        to->size == before) {
        text_put(to, yomo_peer_id(peer));
    }
}

static void keep_gone(struct chat *chat, const yomo_peer *peer, const char *name)
{
    struct gone *gone = &chat->gone[chat->gone_next++ % GONE_KEPT];

    gone->session = yomo_peer_session(peer);
    snprintf(gone->name, sizeof(gone->name), "%.*s",
             (int)text_fit(name, strlen(name), (int)sizeof(gone->name) / 4), name);
}

static const char *name_of_gone(const struct chat *chat, uint64_t session)
{
    for (size_t i = 0; i < GONE_KEPT && session != 0; i++) {
        if (chat->gone[i].session == session) {
            return chat->gone[i].name;
        }
    }
    return NULL;
}

/* The name that belongs to a message: its sender is one of the members, or was. */
static void put_sender_name(struct text *to, struct session *session,
                            const yomo_message *message)
{
    const char *from = yomo_message_from(message);
    uint64_t sender = yomo_message_session(message);
    const char *gone = name_of_gone(session->user, sender);
    yomo_peers *peers = NULL;
    bool found = false;

    if (yomo_room_peers(session->room, &peers) == YOMO_OK) {
        for (size_t i = 0; i < yomo_peers_count(peers) && !found; i++) {
            const yomo_peer *peer = yomo_peers_at(peers, i);
            found = sender ? yomo_peer_session(peer) == sender
                           : strcmp(yomo_peer_id(peer), from) == 0;
            if (found) {
                put_peer_name(to, peer);
            }
        }
    }
    yomo_peers_free(peers);
    if (!found) {
        text_put(to, gone ? gone : from);
    }
}

/* "Alice, Bob and 3 more" */
static void put_names(struct text *to, yomo_room *room)
{
    yomo_peers *peers = NULL;
    struct text name = {0};
    size_t count;

    if (!room || yomo_room_peers(room, &peers) != YOMO_OK) {
        return;
    }
    count = yomo_peers_count(peers);
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++) {
        text_clear(&name);
        put_peer_name(&name, yomo_peers_at(peers, i));
        text_put(to, i > 0 ? ", " : "");
        text_put_harmless(to, name.data ? name.data : "");
    }
    if (count > NAMES_SHOWN) {
        text_format(to, " and %zu more", count - NAMES_SHOWN);
    }
    if (count == 0) {
        text_put(to, "nobody else");
    }
    text_finish(&name);
    yomo_peers_free(peers);
}

static void update_status(struct session *session)
{
    struct chat *chat = session->user;
    struct text *status = &chat->terminal.status;

    if (!chat->screen) {
        return;
    }
    text_clear(status);
    text_put_harmless(status, session->args->arguments[1]);
    text_put(status, ": ");
    if (session->away || !session->joined) {
        text_put(status, session->away ? "connecting again" : "connecting");
    } else {
        put_names(status, session->room);
        text_format(status, " - %s",
                    yomo_transport_name(yomo_client_transport(session->client)));
    }
    terminal_draw(&chat->terminal, &chat->line);
}

static void on_joined(struct session *session)
{
    struct chat *chat = session->user;
    struct text names = {0};

    put_names(&names, session->room);
    text_put(&names, chat->screen ? ". /help for what else there is" : "");
    print_notice(session, "here: ", names.data ? names.data : "");
    text_finish(&names);
    update_status(session);
}

static void on_notice(struct session *session, const char *text)
{
    print_notice(session, text, "");
    update_status(session);
}

static void on_peer(struct session *session, const yomo_peer *peer, int32_t change)
{
    struct text name = {0};

    if (!session->joined) {
        return; /* on_joined tells all at once */
    }
    put_peer_name(&name, peer);
    if (change == YOMO_PEER_LEFT && name.data) {
        keep_gone(session->user, peer, name.data);
    }
    if (change != YOMO_PEER_STATE && name.data) {
        print_notice(session, name.data,
                     change == YOMO_PEER_LEFT    ? " left"
                     : change == YOMO_PEER_STALE ? " lost the connection"
                     : change == YOMO_PEER_BACK  ? " is back"
                                                 : " came");
    }
    text_finish(&name);
    update_status(session);
}

static void on_message(struct session *session, const yomo_message *message)
{
    struct text name = {0}, text = {0};
    const char *json;

    if (strcmp(yomo_message_event(message), EVENT) != 0) {
        return;
    }
    json = yomo_message_json(message, NULL);
    if (json &&
        (text_put_member(&text, json, NULL) || text_put_member(&text, json, "text")) &&
        text.data) {
        put_sender_name(&name, session, message);
        print_message(session, name.data ? name.data : "", text.data);
    }
    text_finish(&name);
    text_finish(&text);
}

static void end_when_confirmed(struct session *session)
{
    const struct chat *chat = session->user;

    if (session->input_ended && session->joined && chat->confirmed >= chat->sent) {
        session_end(session, EXIT_DONE);
    }
}

static void on_sent(struct session *session, uint64_t id, int32_t error)
{
    struct chat *chat = session->user;

    (void)id;
    chat->confirmed++;
    if (error != YOMO_OK) {
        print_notice(session, "not sent: ", yomo_strerror(error));
    }
    end_when_confirmed(session);
}

/* The end of plain input, and the room that it was for. */
static uint64_t on_tick(struct session *session, uint64_t now)
{
    (void)now;
    end_when_confirmed(session);
    return UINT64_MAX;
}

static void say(struct session *session, const char *text)
{
    struct chat *chat = session->user;
    struct text json = {0};
    uint64_t id;
    int32_t rv;

    text_put_string(&json, text);
    rv = json.failed ? YOMO_ERR_NOMEM
                     : yomo_room_send(session->room, EVENT, json.data, json.size,
                                      YOMO_JSON, YOMO_RELIABLE, NULL, &id);
    text_finish(&json);
    if (rv != YOMO_OK) {
        print_notice(session, "not sent: ", yomo_strerror(rv));
        return;
    }
    chat->sent++;
    if (chat->screen) {
        print_message(session, chat->name.data, text);
    }
}

static void put_state(struct text *to, const char *name)
{
    text_put(to, "{\"name\":");
    text_put_string(to, name);
    text_put(to, "}");
}

static void rename_self(struct session *session, const char *name)
{
    struct chat *chat = session->user;
    struct text state = {0};
    int32_t rv;

    put_state(&state, name);
    rv = state.failed ? YOMO_ERR_NOMEM : yomo_room_set_state(session->room, state.data);
    text_finish(&state);
    if (rv != YOMO_OK) {
        print_notice(session, "not renamed: ", yomo_strerror(rv));
        return;
    }
    text_clear(&chat->name);
    text_put(&chat->name, name);
    print_notice(session, "you are now ", name);
}

static void print_who(struct session *session)
{
    struct text names = {0};

    put_names(&names, session->room);
    print_notice(session, "here: ", names.data ? names.data : "");
    text_finish(&names);
}

static void command(struct session *session, const char *text)
{
    if (strcmp(text, "/quit") == 0) {
        session_end(session, EXIT_DONE);
    } else if (strcmp(text, "/who") == 0) {
        print_who(session);
    } else if (strncmp(text, "/name ", 6) == 0 && text[6]) {
        rename_self(session, text + 6);
    } else {
        print_notice(session, "/who, /name NAME, /quit (or Ctrl-D); ",
                     "anything else is said to the room");
    }
}

static void take_line(struct session *session, const char *text)
{
    if (!session->room || session->ending || *text == '\0') {
        return;
    }
    if (*text == '/') {
        command(session, text);
    } else {
        say(session, text);
    }
}

static void take_keys(struct session *session, const char *bytes, size_t size)
{
    struct chat *chat = session->user;

    for (size_t i = 0; i < size && !session->ending; i++) {
        char text[LINE_SIZE_MAX + 1];
        switch (line_feed(&chat->line, bytes[i])) {
        case LINE_NONE:
            break;
        case LINE_ENTERED:
            memcpy(text, chat->line.text, chat->line.size + 1);
            line_clear(&chat->line);
            take_line(session, text);
            break;
        case LINE_ENDED:
            session_end(session, EXIT_DONE);
            return;
        }
    }
    if (!session->ending) {
        terminal_draw(&chat->terminal, &chat->line);
    }
}

static void take_plain(struct session *session, const char *bytes, size_t size)
{
    struct chat *chat = session->user;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            text_add(&chat->plain, &bytes[i], 1);
        } else if (chat->plain.data) {
            take_line(session, chat->plain.data);
            text_clear(&chat->plain);
        }
    }
}

static void on_input(struct session *session)
{
    struct chat *chat = session->user;
    char bytes[4096];
    ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (size < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (size <= 0) {
        session->input_ended = true;
        if (chat->screen) {
            session_end(session, EXIT_DONE);
        } else if (chat->plain.size > 0) {
            take_line(session, chat->plain.data);
        }
        return;
    }
    if (chat->screen) {
        take_keys(session, bytes, (size_t)size);
    } else {
        take_plain(session, bytes, (size_t)size);
    }
}

static void on_resize(struct session *session)
{
    struct chat *chat = session->user;

    if (chat->screen && !session->ending) {
        terminal_resize(&chat->terminal);
        terminal_draw(&chat->terminal, &chat->line);
    }
}

static void on_ending(struct session *session)
{
    struct chat *chat = session->user;

    if (chat->screen) {
        terminal_end(&chat->terminal);
        chat->screen = false;
    }
}

static const char *name_of(const struct args *args)
{
    const char *name = args_text(args, "name");

    if (!name || !*name) {
        name = yomo_options_get(args->options, "id");
    }
    if (!name || !*name) {
        name = getenv("USER");
    }
    return name && *name ? name : "somebody";
}

static int run(struct args *args)
{
    static const struct session_events events = {
        .on_joined = on_joined,
        .on_message = on_message,
        .on_peer = on_peer,
        .on_sent = on_sent,
        .on_notice = on_notice,
        .on_input = on_input,
        .on_tick = on_tick,
        .on_resize = on_resize,
        .on_ending = on_ending,
    };
    static struct chat chat; /* large */
    struct session session = {
        .args = args,
        .events = &events,
        .user = &chat,
        .watch_output = true,
        .signal_code = EXIT_DONE,
    };
    struct text state = {0};
    int code;

    text_put(&chat.name, name_of(args));
    put_state(&state, chat.name.data ? chat.name.data : "");
    if (state.failed || chat.name.failed) {
        fprintf(stderr, "yomo chat: %s\n", yomo_strerror(YOMO_ERR_NOMEM));
        return EXIT_FAILED;
    }
    chat.screen = terminal_usable() && terminal_begin(&chat.terminal);
    update_status(&session);
    code = session_run(&session, args->arguments[1], state.data);
    on_ending(&session); /* when it ended before it began */
    text_finish(&state);
    text_finish(&chat.name);
    text_finish(&chat.plain);
    text_finish(&chat.scratch);
    return code;
}

static const struct flag flags[] = {
    {"name", YOMO_TYPE_TEXT, NULL, NULL, "NAME",
     "The name that others see. The id when not given, else $USER."},
    SESSION_FLAGS,
    LOG_FLAG("error"),
    {0},
};

const struct command chat_command = {
    .name = "chat",
    .arguments = "URL ROOM",
    .summary = "Talk with who is in a room.",
    .text =
        "In a terminal: messages scroll above, below them stand who is there and the "
        "line being typed. Otherwise lines are read from stdin and written to stdout, "
        "and the end of the input ends the conversation once everything was "
        "confirmed.\n"
        "\n"
        "Messages are the event `chat` with a JSON string, so that `yomo sub` and the "
        "demo page hear them too.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
