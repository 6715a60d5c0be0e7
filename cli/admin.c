/* SPDX-License-Identifier: MIT */
/* admin.c - what an operator asks of a backend: over HTTP, by the library's own call.
 *
 * A list is fetched page by page and printed as a table, or as what the backend said,
 * one line a page (--json). */
#include "admin.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "output.h"

enum shape { LIST, DONE, OBJECT };

static const struct call {
    const char *name;
    bool changes;
    enum shape shape;
    unsigned takes; /* of arguments, by their place there */
} calls[] = {
    {"rooms", false, LIST, 1u << 0 | 1u << 9 | 1u << 10},
    {"members", false, LIST, 1u << 0 | 1u << 1 | 1u << 10},
    {"bans", false, LIST, 1u << 0 | 1u << 10},
    {"apps", false, LIST, 1u << 9 | 1u << 10},
    {"stats", false, OBJECT, 0},
    {"value", false, OBJECT, 1u << 0 | 1u << 1 | 1u << 13},
    {"kick", true, DONE, 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 6},
    {"ban", true, DONE, 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6},
    {"unban", true, DONE, 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4},
    {"close", true, DONE, 1u << 0 | 1u << 1 | 1u << 6},
    {"publish", true, DONE,
     1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 7 | 1u << 8 | 1u << 11 | 1u << 12},
    {"set-value", true, OBJECT,
     1u << 0 | 1u << 1 | 1u << 8 | 1u << 11 | 1u << 13 | 1u << 14},
    {"delete-value", true, DONE, 1u << 0 | 1u << 1 | 1u << 11 | 1u << 13 | 1u << 14},
};

/* Flags, and what they are called on the wire. */
static const struct argument {
    const char *flag, *name;
    enum { AS_TEXT, AS_SECONDS, AS_NUMBER, AS_JSON } as;
} arguments[] = {
    {"app", "app", AS_TEXT},
    {"room", "room", AS_TEXT},
    {"user", "id", AS_TEXT},
    {"session", "session", AS_TEXT},
    {"address", "address", AS_TEXT},
    {"for", "seconds", AS_SECONDS},
    {"reason", "reason", AS_TEXT},
    {"event", "event", AS_TEXT},
    {"data", "data", AS_JSON},
    {"prefix", "prefix", AS_TEXT},
    {"max", "max", AS_NUMBER},
    {"from", "from", AS_TEXT},
    {"delivery", "delivery", AS_TEXT},
    {"key", "key", AS_TEXT},
    {"if-version", "version", AS_NUMBER},
};
#define ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))

/* --- asking ---------------------------------------------------------------------- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool here;
    int32_t error, status;
    struct text body, text;
};

static void on_answer(void *user, int32_t error, int32_t status, const char *body,
                      uint64_t size, const char *text)
{
    struct answer *answer = user;

    pthread_mutex_lock(&answer->lock);
    answer->error = error;
    answer->status = status;
    text_add(&answer->body, body, (size_t)size);
    text_put(&answer->text, text);
    answer->here = true;
    pthread_cond_signal(&answer->came);
    pthread_mutex_unlock(&answer->lock);
}

/* The answer to one call, waited for: it has its own time limit. */
static int32_t ask(struct args *args, const char *call, const char *body,
                   struct answer *answer)
{
    int32_t rv;

    answer->here = false;
    text_clear(&answer->body);
    text_clear(&answer->text);
    rv = yomo_admin_ask(args->options, call, body, on_answer, answer);
    if (rv != YOMO_OK) {
        return rv;
    }
    pthread_mutex_lock(&answer->lock);
    while (!answer->here) {
        pthread_cond_wait(&answer->came, &answer->lock);
    }
    pthread_mutex_unlock(&answer->lock);
    return answer->body.failed ? YOMO_ERR_NOMEM : answer->error;
}

static int code_of_status(int32_t status)
{
    switch (status) {
    case 400:
    case 413:
        return EXIT_USAGE;
    case 401:
    case 403:
    case 429:
    case 503:
        return EXIT_REFUSED;
    default:
        return status >= 200 && status < 300 ? EXIT_DONE : EXIT_FAILED;
    }
}

/* What went wrong, if anything did, on stderr. */
static int judge(const struct args *args, int32_t error, const struct answer *answer)
{
    struct text said = {0};
    int code = error != YOMO_OK ? exit_code_of(error) : code_of_status(answer->status);

    if (error != YOMO_OK) {
        fprintf(stderr, "yomo admin: %s: %s%s%s\n", args->arguments[1],
                yomo_strerror(error), answer->text.size > 0 ? ": " : "",
                answer->text.size > 0 ? answer->text.data : "");
    } else if (code != EXIT_DONE) {
        struct text clean = {0};
        if (answer->body.size > 0 &&
            text_put_member(&said, answer->body.data, "text") && said.data) {
            text_put_harmless(&clean, said.data);
        }
        fprintf(stderr, "yomo admin: the backend answered %d%s%s\n",
                (int)answer->status, clean.data ? ": " : "",
                clean.data ? clean.data : "");
        text_finish(&clean);
    }
    text_finish(&said);
    return code;
}

/* --- what is asked --------------------------------------------------------------- */

static void put_encoded(struct text *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
            (*at >= '0' && *at <= '9') || strchr("-._~", *at)) {
            text_add(out, (const char *)at, 1);
        } else {
            text_format(out, "%%%02X", *at);
        }
    }
}

static void put_value(struct text *out, const struct args *args,
                      const struct argument *argument)
{
    const char *value = args_text(args, argument->flag);

    switch (argument->as) {
    case AS_SECONDS: /* a part of one counts as one */
        text_format(out, "%llu",
                    (unsigned long long)(args_ms(args, argument->flag) / 1000 +
                                         (args_ms(args, argument->flag) % 1000 > 0)));
        break;
    case AS_NUMBER:
        text_format(out, "%llu", (unsigned long long)args_number(args, argument->flag));
        break;
    case AS_JSON:
        text_put_json(out, value, strlen(value));
        break;
    case AS_TEXT:
        text_put_string(out, value);
        break;
    }
}

/* The call with its query, or the JSON object. False: a flag is not for this call. */
static bool write_call(const struct args *args, const struct call *call,
                       const char *after, struct text *path, struct text *body)
{
    char sign = call->changes ? '{' : '?';

    text_put(path, call->name);
    for (size_t i = 0; i < ARGUMENTS; i++) {
        const struct argument *argument = &arguments[i];
        if (!args_given(args, argument->flag)) {
            continue;
        }
        if (!(call->takes & 1u << i)) {
            fprintf(stderr, "yomo admin: --%s is not for %s\n", argument->flag,
                    call->name);
            return false;
        }
        if (call->changes) {
            text_format(body, "%c\"%s\":", sign, argument->name);
            put_value(body, args, argument);
            sign = ',';
        } else {
            text_format(path, "%c%s=", sign, argument->name);
            put_encoded(path, args_text(args, argument->flag));
            sign = '&';
        }
    }
    if (call->changes) {
        text_put(body, sign == '{' ? "{}" : "}");
    } else if (after) {
        text_format(path, "%cafter=", sign);
        put_encoded(path, after);
    }
    return true;
}

static int print_answer(const struct args *args, const struct call *call,
                        struct answer *answer, struct table *table)
{
    struct text out = {0};
    bool good = true;

    if (args_switch(args, "json")) {
        text_add(&out, answer->body.data, answer->body.size);
        good = output_flush(&out);
    } else if (call->shape == LIST) {
        good = table_add(table, call->name, answer->body.data);
    } else {
        good = object_print(&out, answer->body.data) && output_flush(&out);
    }
    text_finish(&out);
    return good ? EXIT_DONE : EXIT_FAILED;
}

/* One call, or one after the other as long as there are further pages. */
static int carry_out(struct args *args, const struct call *call, struct answer *answer,
                     struct table *table)
{
    struct text after = {0};
    bool more = true;
    int code = EXIT_DONE;

    while (code == EXIT_DONE && more) {
        struct text path = {0}, body = {0};
        if (!write_call(args, call, after.size > 0 ? after.data : NULL, &path, &body)) {
            code = EXIT_USAGE;
        } else if (path.failed || body.failed) {
            code = EXIT_FAILED;
        } else {
            int32_t error =
                ask(args, path.data, call->changes ? body.data : NULL, answer);
            code = judge(args, error, answer);
        }
        code = code == EXIT_DONE ? print_answer(args, call, answer, table) : code;
        text_clear(&after);
        more = code == EXIT_DONE && call->shape == LIST && !args_given(args, "max") &&
               text_put_member(&after, answer->body.data, "next");
        text_finish(&path);
        text_finish(&body);
    }
    text_finish(&after);
    if (code == EXIT_DONE && call->shape == LIST && !args_switch(args, "json") &&
        !table_print(table, call->name)) {
        code = EXIT_FAILED;
    }
    return code;
}

/* The first line of the file is the secret. */
static int read_secret(struct args *args)
{
    const char *path = args_text(args, "token-file");
    char secret[8193];
    FILE *file;
    int code = EXIT_DONE;

    if (!path) {
        return EXIT_DONE;
    }
    file = fopen(path, "re");
    if (!file || !fgets(secret, sizeof(secret), file)) {
        fprintf(stderr, "yomo admin: %s: %s\n", path,
                file && !ferror(file) ? "is empty" : strerror(errno));
        code = EXIT_FAILED;
    } else {
        secret[strcspn(secret, "\r\n")] = '\0';
        if (yomo_options_set(args->options, "token", secret) != YOMO_OK) {
            fprintf(stderr, "yomo admin: %s: %s\n", path,
                    yomo_options_error(args->options));
            code = EXIT_USAGE;
        }
    }
    memset(secret, 0, sizeof(secret));
    if (file) {
        fclose(file);
    }
    return code;
}

static const struct call *find(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0) {
            return &calls[i];
        }
    }
    return NULL;
}

static int run(struct args *args)
{
    const struct call *call = find(args->arguments[0]);
    struct answer answer = {.here = false};
    struct table table = {0};
    int code;

    if (!call) {
        fprintf(stderr,
                "yomo admin: there is no '%.40s'; there are rooms, members, bans, "
                "apps, stats, value, kick, ban, unban, close, publish, set-value and "
                "delete-value\n",
                args->arguments[0]);
        return EXIT_USAGE;
    }
    if (yomo_options_set(args->options, "url", args->arguments[1]) != YOMO_OK) {
        fprintf(stderr, "yomo admin: %s\n", yomo_options_error(args->options));
        return EXIT_USAGE;
    }
    code = read_secret(args);
    if (code != EXIT_DONE) {
        return code;
    }
    log_begin(args);
    pthread_mutex_init(&answer.lock, NULL);
    pthread_cond_init(&answer.came, NULL);
    code = carry_out(args, call, &answer, &table);
    pthread_cond_destroy(&answer.came);
    pthread_mutex_destroy(&answer.lock);
    text_finish(&answer.body);
    text_finish(&answer.text);
    table_finish(&table);
    return code;
}

static const struct flag flags[] = {
    {"token-file", YOMO_TYPE_TEXT, NULL, NULL, "FILE",
     "File with the secret (the backend's admin-token-file) or a token in its first "
     "line."},
    {"json", YOMO_TYPE_SWITCH, "false", NULL, NULL, "Print what the backend says."},
    {"app", YOMO_TYPE_TEXT, NULL, NULL, "APP",
     "The application, where there are several."},
    {"room", YOMO_TYPE_TEXT, NULL, NULL, "ROOM",
     "members, close, publish, values: which one. kick, ban, unban: only from this "
     "one."},
    {"user", YOMO_TYPE_TEXT, NULL, NULL, "ID",
     "kick, ban, unban: whom. publish: only to this one."},
    {"session", YOMO_TYPE_TEXT, NULL, NULL, "N",
     "kick, publish: one connection of somebody's."},
    {"address", YOMO_TYPE_TEXT, NULL, NULL, "ADDRESS",
     "ban, unban: from where: 192.0.2.1 or 2001:db8::/64."},
    {"for", YOMO_TYPE_DURATION, NULL, NULL, NULL, "ban: how long."},
    {"reason", YOMO_TYPE_TEXT, NULL, NULL, "TEXT",
     "What those who are put out are told."},
    {"prefix", YOMO_TYPE_TEXT, NULL, NULL, "TEXT",
     "rooms, apps: those that begin with it."},
    {"max", YOMO_TYPE_NUMBER, NULL, NULL, "N", "Lists: no more than N."},
    {"event", YOMO_TYPE_TEXT, NULL, NULL, "EVENT", "publish: its event."},
    {"data", YOMO_TYPE_TEXT, NULL, NULL, "JSON",
     "publish: its data; null when not given. set-value: what it is then."},
    {"from", YOMO_TYPE_TEXT, NULL, NULL, "ID",
     "publish, set-value, delete-value: who is said to have done it."},
    {"key", YOMO_TYPE_TEXT, NULL, NULL, "KEY", "Shared values: which one."},
    {"if-version", YOMO_TYPE_NUMBER, NULL, NULL, "N",
     "set-value, delete-value: only if this is its version; 0: only if there is none."},
    {"delivery", YOMO_TYPE_CHOICE, NULL, "reliable|unreliable|latest", NULL,
     "publish: how it goes out."},
    LOG_FLAG("warn"),
    {0},
};

const struct command admin_command = {
    .name = "admin",
    .arguments = "WHAT URL",
    .summary = "Look into a running backend; kick, ban, close rooms, speak into them.",
    .text =
        "WHAT is one of rooms, members, bans, apps, stats, value, kick, ban, unban, "
        "close, publish, set-value and delete-value; URL is where the backend listens "
        "to operators (its admin-port), such "
        "as http://127.0.0.1:9000, with the secret in --token-file:\n"
        "\n"
        "  yomo admin members http://127.0.0.1:9000 --token-file F --room lobby\n"
        "  yomo admin ban http://127.0.0.1:9000 --token-file F --user mallory --for "
        "1h\n"
        "\n"
        "docs/admin.md says what each of them does.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
