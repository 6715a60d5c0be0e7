/* SPDX-License-Identifier: MIT */
/* value.c - one value that a room shares: printed, set, taken away, or counted with;
 * and all of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "log.h"
#include "output.h"
#include "session.h"

struct value {
    const char *key; /* NULL: all of them */
    const char *set;
    bool take_away, conditional;
    uint64_t version;
    bool counts;
    int64_t add;
    uint64_t left; /* how often, still */
    uint64_t id;   /* of what is under way */
};

static void put_value(struct text *line, const yomo_value *value)
{
    size_t size;
    const void *data = yomo_value_data(value, &size);

    text_put(line, "{\"key\":");
    text_put_string(line, yomo_value_key(value));
    text_format(line, ",\"version\":%" PRIu64 ",\"from\":", yomo_value_version(value));
    text_put_string(line, yomo_value_from(value));
    text_format(line, ",\"session\":%" PRIu64, yomo_value_session(value));
    if (yomo_value_is_lock(value)) {
        text_put(line, ",\"lock\":true");
    } else if (yomo_value_encoding(value) == YOMO_JSON) {
        text_put(line, ",\"value\":");
        text_put_json(line, data, size);
    } else {
        text_format(line, ",\"bytes\":%zu", size);
    }
    text_put(line, "}\n");
}

/* Print what is in `values`, and give it back. */
static void print(struct session *session, yomo_values *values)
{
    struct text lines = {0};

    for (size_t i = 0; i < yomo_values_count(values); i++) {
        put_value(&lines, yomo_values_at(values, i));
    }
    yomo_values_free(values);
    if (lines.failed) {
        session_fail(session, YOMO_ERR_NOMEM, NULL);
    } else if (lines.size > 0 && !output_flush(&lines)) {
        session_end(session, EXIT_FAILED);
    }
    text_finish(&lines);
    session_end(session, EXIT_DONE);
}

static void show(struct session *session)
{
    const struct value *value = session->user;
    yomo_values *values = NULL;
    int32_t rv = value->key ? yomo_room_value(session->room, value->key, &values)
                            : yomo_room_values(session->room, &values);

    if (rv == YOMO_OK) {
        print(session, values);
    } else {
        session_fail(session, rv, NULL);
    }
}

/* The number that the value is now, and its version; a value that is none is 0. */
static int64_t number_now(struct session *session, uint64_t *version)
{
    const struct value *value = session->user;
    yomo_values *values = NULL;
    int64_t number = 0;

    *version = 0;
    if (yomo_room_value(session->room, value->key, &values) == YOMO_OK) {
        const yomo_value *now = yomo_values_at(values, 0);
        const char *text = yomo_value_data(now, NULL);
        number = text ? strtoll(text, NULL, 10) : 0;
        *version = yomo_value_version(now);
        yomo_values_free(values);
    }
    return number;
}

static void count(struct session *session)
{
    struct value *value = session->user;
    uint64_t version;
    int64_t number = number_now(session, &version);
    char text[32];
    int size = snprintf(text, sizeof(text), "%lld",
                        (long long)((uint64_t)number + (uint64_t)value->add));
    int32_t rv = yomo_room_set_value_if(session->room, value->key, text, (size_t)size,
                                        YOMO_JSON, version, &value->id);

    if (rv != YOMO_OK) {
        session_fail(session, rv, NULL);
    }
}

static void change(struct session *session)
{
    struct value *value = session->user;
    yomo_room *room = session->room;
    size_t size = value->set ? strlen(value->set) : 0;
    int32_t rv =
        value->set && value->conditional
            ? yomo_room_set_value_if(room, value->key, value->set, size, YOMO_JSON,
                                     value->version, &value->id)
        : value->set ? yomo_room_set_value(room, value->key, value->set, size,
                                           YOMO_JSON, &value->id)
        : value->conditional
            ? yomo_room_delete_value_if(room, value->key, value->version, &value->id)
            : yomo_room_delete_value(room, value->key, &value->id);

    if (rv != YOMO_OK) {
        session_fail(session, rv, NULL);
    }
}

static void on_joined(struct session *session)
{
    struct value *value = session->user;

    if (value->id != 0) {
        return; /* joined again: on_sent says what became of it */
    }
    if (value->counts) {
        count(session);
    } else if (value->set || value->take_away) {
        change(session);
    } else {
        show(session);
    }
}

static void on_sent(struct session *session, uint64_t id, int32_t error)
{
    struct value *value = session->user;

    if (id != value->id) {
        return;
    }
    if (value->counts && (error == YOMO_ERR_CONFLICT || error == YOMO_ERR_RATE)) {
        count(session);
    } else if (error != YOMO_OK) {
        session_fail(session, error, NULL);
    } else if (value->counts && --value->left > 0) {
        count(session);
    } else if (value->take_away) {
        session_end(session, EXIT_DONE);
    } else {
        show(session);
    }
}

static int run_session(struct args *args, struct value *value)
{
    static const struct session_events events = {
        .on_joined = on_joined,
        .on_sent = on_sent,
    };
    struct session session = {
        .args = args,
        .events = &events,
        .user = value,
        .watch_output = true,
        .signal_code = EXIT_FAILED,
    };

    return session_run(&session, args->arguments[1], NULL);
}

static int run(struct args *args)
{
    struct value value = {
        .key = args->arguments[2],
        .set = args_text(args, "set"),
        .take_away = args_switch(args, "delete"),
        .conditional = args_given(args, "if-version"),
        .version = args_number(args, "if-version"),
        .counts = args_given(args, "add"),
        .left = args_number(args, "repeat"),
    };
    const char *add = args_text(args, "add");
    char *end = NULL;

    value.add = add ? strtoll(add, &end, 10) : 0;
    if ((add && (end == add || *end)) ||
        (value.set != NULL) + value.take_away + value.counts > 1 ||
        (value.conditional && !value.set && !value.take_away) ||
        (value.take_away && value.conditional && value.version == 0)) {
        fprintf(stderr, "yomo value: one of --set, --delete and --add; --if-version "
                        "with the first two; a whole number for --add\n");
        return EXIT_USAGE;
    }
    if (value.counts && value.left == 0) {
        return EXIT_DONE;
    }
    return run_session(args, &value);
}

static int run_all(struct args *args)
{
    struct value value = {0};

    return run_session(args, &value);
}

static const struct flag flags[] = {
    {"set", YOMO_TYPE_TEXT, NULL, NULL, "JSON", "Set it to this."},
    {"delete", YOMO_TYPE_SWITCH, "false", NULL, NULL, "Take it away."},
    {"if-version", YOMO_TYPE_NUMBER, "0", NULL, "N",
     "Only if its version is N; 0: only if there is none of that name."},
    {"add", YOMO_TYPE_TEXT, NULL, NULL, "N",
     "Add N to the number that it is, again until nobody was faster."},
    {"repeat", YOMO_TYPE_NUMBER, "1", NULL, "N", "With --add: so many times."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

static const struct flag all_flags[] = {
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command value_command = {
    .name = "value",
    .arguments = "URL ROOM KEY",
    .summary = "Print, set or take away a value that a room shares.",
    .text =
        "URL is where the backend is, such as https://localhost:8443; ROOM is the "
        "name of a room, which is joined for as long as that takes; KEY names the "
        "value. It is printed as it is at the end:\n"
        "\n"
        "  {\"key\":..,\"version\":..,\"from\":..,\"session\":..,\"value\":..}\n"
        "\n"
        "version is the place of its last change in the room's order. The exit code "
        "is 1 when there is no such value, or when it has another version than "
        "--if-version says.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};

const struct command values_command = {
    .name = "values",
    .arguments = "URL ROOM",
    .summary = "Print all values and locks of a room, one JSON object a line.",
    .text =
        "URL is where the backend is, such as https://localhost:8443; ROOM is the "
        "name of a room, which is joined for as long as that takes. They come in no "
        "order, as yomo value prints them; a lock that somebody holds has "
        "\"lock\":true instead of a value.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = all_flags,
    .run = run_all,
};
