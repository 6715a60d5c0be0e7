/* SPDX-License-Identifier: MIT */
/* request.c - ask a member of a room, or the program around the backend, and print the
 * answer. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "log.h"
#include "output.h"
#include "session.h"

struct request {
    const char *to; /* a user; NULL: the backend */
    bool asked;
    struct text line;
};

static void on_reply(void *user, yomo_room *room, int32_t error,
                     const yomo_message *reply)
{
    struct session *session = user;
    struct request *request = session->user;
    const char *json;
    size_t size;

    (void)room;
    if (error != YOMO_OK) {
        session_fail(session, error, reply ? yomo_message_text(reply) : NULL);
        return;
    }
    json = yomo_message_json(reply, &size);
    text_put(&request->line, "{\"from\":");
    text_put_string(&request->line, yomo_message_from(reply));
    text_put(&request->line, ",\"data\":");
    text_put_json(&request->line, json, size);
    text_put(&request->line, "}\n");
    if (request->line.failed) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
    } else {
        (void)output_flush(&request->line);
        session_end(session, EXIT_DONE);
    }
}

static void on_joined(struct session *session)
{
    const struct args *args = session->args;
    struct request *request = session->user;
    const char *json = args->arguments[3];
    yomo_send *how = NULL;
    int32_t rv;

    if (request->asked) {
        return; /* a question that a lost connection took along has its outcome */
    }
    request->asked = true;
    rv = yomo_send_create(&how, session->client);
    if (rv == YOMO_OK) {
        rv = request->to ? yomo_send_to_user(how, request->to)
                         : yomo_send_to_server(how);
    }
    if (rv == YOMO_OK) {
        rv = yomo_room_request(session->room, how, args->arguments[2], json,
                               strlen(json), YOMO_JSON, args_ms(args, "patience"),
                               on_reply, session);
    }
    yomo_send_free(how);
    if (rv != YOMO_OK) {
        session_fail(session, rv, NULL);
    }
}

static int run(struct args *args)
{
    static const struct session_events events = {.on_joined = on_joined};
    struct request request = {.to = args_text(args, "to")};
    struct session session = {
        .args = args,
        .events = &events,
        .user = &request,
        .signal_code = EXIT_FAILED,
    };
    int code = session_run(&session, args->arguments[1], args_text(args, "state"));

    text_finish(&request.line);
    return code;
}

static const struct flag flags[] = {
    {"to", YOMO_TYPE_TEXT, NULL, NULL, "ID",
     "Whom to ask: a user in the room, whose first device that answers counts. The "
     "program around the backend when not given."},
    {"patience", YOMO_TYPE_DURATION, "10s", NULL, NULL,
     "How long to wait for the answer."},
    {"state", YOMO_TYPE_TEXT, NULL, NULL, "JSON",
     "This member's own state while it is there, a JSON object that others see."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command request_command = {
    .name = "request",
    .arguments = "URL ROOM EVENT JSON",
    .summary =
        "Ask a member of a room, or the backend's program, and print the answer.",
    .text =
        "JSON is what is asked, such as '{\"x\":1}'. The answer is one line:\n"
        "\n"
        "  {\"from\":..,\"data\":..}\n"
        "\n"
        "Ends with 0 then; with 4 when it was refused, with 5 when nobody answered in "
        "time. `yomo serve` itself answers nothing: such a question is refused as not "
        "there.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
