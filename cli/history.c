/* SPDX-License-Identifier: MIT */
/* history.c - what was said in a room, one JSON object a line, the oldest first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "log.h"
#include "output.h"
#include "session.h"

#define ASK_MAX 1000 /* at once; the backend gives no more */

struct history {
    uint64_t max, before;
    const char *event;
    /* An answer is older than the one before it: kept until the last one is there. */
    struct text *answers;
    size_t answer_count;
    bool asked;
};

static void ask(struct session *session)
{
    struct history *history = session->user;
    uint32_t max = history->max < ASK_MAX ? (uint32_t)history->max : ASK_MAX;
    int32_t rv = yomo_room_history(session->room, history->before, max, NULL);

    if (rv != YOMO_OK) {
        session_fail(session, rv, NULL);
    }
}

static void on_joined(struct session *session)
{
    struct history *history = session->user;

    if (!history->asked) { /* a question that a lost connection left open comes again */
        history->asked = true;
        ask(session);
    }
}

static void put_message(struct text *line, const yomo_message *message)
{
    size_t size;
    const char *json = yomo_message_json(message, &size);

    text_format(line, "{\"place\":%" PRIu64 ",\"at\":%" PRIu64 ",\"event\":",
                yomo_message_sequence(message), yomo_message_at_ms(message));
    text_put_string(line, yomo_message_event(message));
    text_put(line, ",\"from\":");
    text_put_string(line, yomo_message_from(message));
    text_put(line, ",\"data\":");
    text_put_json(line, json, size);
    text_put(line, "}\n");
}

static void print(struct session *session)
{
    struct history *history = session->user;

    for (size_t i = history->answer_count; i > 0; i--) {
        if (history->answers[i - 1].size > 0 &&
            !output_flush(&history->answers[i - 1])) {
            break;
        }
    }
    session_end(session, EXIT_DONE);
}

static struct text *new_answer(struct history *history)
{
    size_t count = history->answer_count + 1;
    struct text *answers = realloc(history->answers, count * sizeof(*answers));

    if (!answers) {
        return NULL;
    }
    memset(&answers[count - 1], 0, sizeof(*answers));
    history->answers = answers;
    history->answer_count = count;
    return &answers[count - 1];
}

static void on_history(struct session *session, yomo_history *answer)
{
    struct history *history = session->user;
    size_t count = yomo_history_count(answer);
    struct text *lines;

    if (yomo_history_error(answer) != YOMO_OK) {
        session_fail(session, yomo_history_error(answer), NULL);
        return;
    }
    lines = new_answer(history);
    for (size_t i = 0; lines && i < count; i++) {
        const yomo_message *message = yomo_history_at(answer, i);
        if (!message) {
            lines->failed = true;
        } else if (!history->event ||
                   strcmp(yomo_message_event(message), history->event) == 0) {
            put_message(lines, message);
        }
    }
    if (!lines || lines->failed) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
        return;
    }
    history->max -= count < history->max ? count : history->max;
    history->before = yomo_history_before(answer);
    if (history->max == 0 || history->before == 0) {
        print(session);
    } else {
        ask(session);
    }
}

/* Nobody need see who only reads. */
static int32_t prepare(struct session *session, yomo_join *join)
{
    (void)session;
    return yomo_join_set_observe(join, 1);
}

static int run(struct args *args)
{
    static const struct session_events events = {
        .on_joined = on_joined,
        .on_history = on_history,
        .prepare = prepare,
    };
    struct history history = {
        .max = args_number(args, "max"),
        .before = args_number(args, "before"),
        .event = args_text(args, "event"),
    };
    struct session session = {
        .args = args,
        .events = &events,
        .user = &history,
        .watch_output = true,
        .signal_code = EXIT_DONE,
    };
    int code;

    if (history.max == 0) {
        return EXIT_DONE;
    }
    code = session_run(&session, args->arguments[1], NULL);
    for (size_t i = 0; i < history.answer_count; i++) {
        text_finish(&history.answers[i]);
    }
    free(history.answers);
    return code;
}

static const struct flag flags[] = {
    {"max", YOMO_TYPE_NUMBER, "100", NULL, "N", "At most so many messages."},
    {"before", YOMO_TYPE_NUMBER, "0", NULL, "PLACE",
     "Only those before this place in the room's order. 0: the newest."},
    {"event", YOMO_TYPE_TEXT, NULL, NULL, "EVENT", "Only messages of this event."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command history_command = {
    .name = "history",
    .arguments = "URL ROOM",
    .summary = "Print what was said in a room, one JSON object a line.",
    .text =
        "URL is where the backend is, such as https://localhost:8443; ROOM is the "
        "name of a room, which is joined for as long as that takes. The oldest "
        "message comes first:\n"
        "\n"
        "  {\"place\":..,\"at\":..,\"event\":..,\"from\":..,\"data\":..}\n"
        "\n"
        "place is its place in the room's order, at when it was said, in milliseconds "
        "since 1970. A backend keeps as many as its option history-messages says.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
