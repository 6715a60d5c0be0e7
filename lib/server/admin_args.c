/* SPDX-License-Identifier: MIT */
/* admin_args.c - all texts go into one buffer whose room is reserved first, so that
 * pointers into it stay: nothing is longer than how it was written. */
#include "server/admin_args.h"

#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"
#include "wire/json.h"
#include "wire/msgpack.h"

#define SPARE (YO_ARGS + 257u) /* NULs, and an application that was not given */

enum form { FORM_TEXT, FORM_NUMBER, FORM_EITHER, FORM_DATA, FORM_BASE64 };

static const struct {
    const char *name;
    enum form form;
} table[YO_ARGS] = {
    [YO_ARG_APP] = {"app", FORM_TEXT},
    [YO_ARG_ROOM] = {"room", FORM_TEXT},
    [YO_ARG_ID] = {"id", FORM_TEXT},
    [YO_ARG_SESSION] = {"session", FORM_EITHER},
    [YO_ARG_ADDRESS] = {"address", FORM_TEXT},
    [YO_ARG_REASON] = {"reason", FORM_TEXT},
    [YO_ARG_SECONDS] = {"seconds", FORM_NUMBER},
    [YO_ARG_FROM] = {"from", FORM_TEXT},
    [YO_ARG_EVENT] = {"event", FORM_TEXT},
    [YO_ARG_DATA] = {"data", FORM_DATA},
    [YO_ARG_BASE64] = {"base64", FORM_BASE64},
    [YO_ARG_DELIVERY] = {"delivery", FORM_TEXT},
    [YO_ARG_PREFIX] = {"prefix", FORM_TEXT},
    [YO_ARG_AFTER] = {"after", FORM_TEXT},
    [YO_ARG_MAX] = {"max", FORM_NUMBER},
    [YO_ARG_KEY] = {"key", FORM_TEXT},
    [YO_ARG_VERSION] = {"version", FORM_EITHER},
};

void yo_admin_args_init(struct yo_admin_args *args, const struct yomo_mem *mem)
{
    memset(args, 0, sizeof(*args));
    yo_buf_init(&args->text, mem);
    yo_buf_init(&args->payload, mem);
}

void yo_admin_args_finish(struct yo_admin_args *args)
{
    yo_buf_finish(&args->text);
    yo_buf_finish(&args->payload);
}

static int fault(struct yo_admin_args *args, const char *name, const char *what)
{
    snprintf(args->why, sizeof(args->why), "%s: %s", name, what);
    return YOMO_ERR_INVALID;
}

/* Which one, or YO_ARGS with a sentence. */
static enum yo_admin_arg find(struct yo_admin_args *args, struct yo_span name,
                              unsigned takes)
{
    for (int i = 0; i < YO_ARGS; i++) {
        if (!yo_span_is(name, table[i].name) || !(takes & YO_ARG_BIT(i))) {
            continue;
        }
        if (args->given & YO_ARG_BIT(i)) {
            (void)fault(args, table[i].name, "is there twice");
            return YO_ARGS;
        }
        args->given |= YO_ARG_BIT(i);
        return (enum yo_admin_arg)i;
    }
    /* What it is called may be anything: it is not said again. */
    snprintf(args->why, sizeof(args->why),
             "there is something that this does not take");
    for (int i = 0; i < YO_ARGS; i++) {
        if (yo_span_is(name, table[i].name)) {
            (void)fault(args, table[i].name, "is not for this");
        }
    }
    return YO_ARGS;
}

static int keep(struct yo_admin_args *args, enum yo_admin_arg arg, struct yo_span text)
{
    size_t at = args->text.size;

    if (!text.data || memchr(text.data, '\0', text.size) || !yo_utf8_valid(text)) {
        return fault(args, table[arg].name, "takes a text in UTF-8 without NUL");
    }
    if (yo_buf_append_span(&args->text, text) != YOMO_OK ||
        yo_buf_append_byte(&args->text, 0) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    args->texts[arg] = (const char *)args->text.data + at;
    return YOMO_OK;
}

static int number_of(struct yo_admin_args *args, enum yo_admin_arg arg,
                     struct yo_span digits)
{
    return yo_parse_u64(digits, &args->numbers[arg]) == YOMO_OK
               ? YOMO_OK
               : fault(args, table[arg].name, "takes a number that is not negative");
}

static int bytes_of(struct yo_admin_args *args, struct yo_span text)
{
    int rv = text.data ? yo_base64_decode(&args->payload, text) : YOMO_ERR_INVALID;

    args->data = yo_buf_span(&args->payload);
    if (rv == YOMO_OK && !args->data.data) {
        args->data = yo_span("", 0);
    }
    return rv == YOMO_ERR_INVALID ? fault(args, "base64", "takes bytes in base64") : rv;
}

static int complete(struct yo_admin_args *args, unsigned needs)
{
    for (int i = 0; i < YO_ARGS; i++) {
        if ((needs & YO_ARG_BIT(i)) && !(args->given & YO_ARG_BIT(i))) {
            return fault(args, table[i].name, "is missing");
        }
    }
    return YOMO_OK;
}

int yo_admin_args_default_app(struct yo_admin_args *args, struct yo_span app)
{
    return args->texts[YO_ARG_APP] ? YOMO_OK : keep(args, YO_ARG_APP, app);
}

/* --- a query --------------------------------------------------------------------- */

static int take_parameter(struct yo_admin_args *args, struct yo_span pair,
                          unsigned takes)
{
    const uint8_t *sign = memchr(pair.data, '=', pair.size);
    size_t size = sign ? (size_t)(sign - pair.data) : pair.size;
    enum yo_admin_arg arg = find(args, yo_span(pair.data, size), takes);
    struct yo_buf value;
    int rv;

    if (arg == YO_ARGS) {
        return YOMO_ERR_INVALID;
    }
    yo_buf_init(&value, args->text.mem);
    rv = yo_percent_decode(&value, yo_span_skip(pair, size + 1));
    if (rv == YOMO_ERR_INVALID) {
        rv = fault(args, table[arg].name, "is not percent-encoded well");
    } else if (rv == YOMO_OK && table[arg].form == FORM_TEXT) {
        rv = keep(args, arg, value.data ? yo_buf_span(&value) : yo_span("", 0));
    } else if (rv == YOMO_OK) {
        rv = number_of(args, arg, yo_buf_span(&value));
    }
    yo_buf_finish(&value);
    return rv;
}

int yo_admin_args_query(struct yo_admin_args *args, struct yo_span query,
                        unsigned takes, unsigned needs)
{
    if (yo_buf_reserve(&args->text, query.size + SPARE) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    while (query.size > 0) {
        const uint8_t *end = memchr(query.data, '&', query.size);
        struct yo_span pair =
            yo_span(query.data, end ? (size_t)(end - query.data) : query.size);
        int rv = pair.size > 0 ? take_parameter(args, pair, takes) : YOMO_OK;
        if (rv != YOMO_OK) {
            return rv;
        }
        query = yo_span_skip(query, pair.size + 1);
    }
    return complete(args, needs);
}

/* --- a JSON object --------------------------------------------------------------- */

static int take_member(struct yo_admin_args *args, enum yo_admin_arg arg,
                       struct yo_span value)
{
    struct yo_span text = yo_mp_as_str(value);
    struct yo_mp_reader reader;

    switch (table[arg].form) {
    case FORM_TEXT:
        return keep(args, arg, text);
    case FORM_DATA:
        if (yo_mp_to_json(&args->payload, value) != YOMO_OK) {
            return YOMO_ERR_NOMEM; /* it was JSON before */
        }
        args->data = yo_buf_span(&args->payload);
        return YOMO_OK;
    case FORM_BASE64:
        return bytes_of(args, text);
    case FORM_EITHER:
        if (text.data) {
            return number_of(args, arg, text);
        }
        break;
    case FORM_NUMBER:
        break;
    }
    yo_mp_reader_init(&reader, value);
    args->numbers[arg] = yo_mp_read_uint(&reader);
    return reader.error
               ? fault(args, table[arg].name, "takes a number that is not negative")
               : YOMO_OK;
}

static int take_members(struct yo_admin_args *args, struct yo_span map, unsigned takes)
{
    struct yo_mp_reader reader;
    uint32_t count;

    yo_mp_reader_init(&reader, map);
    count = yo_mp_read_map(&reader);
    if (reader.error) {
        snprintf(args->why, sizeof(args->why), "the body is not a JSON object");
        return YOMO_ERR_INVALID;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum yo_admin_arg arg = find(args, yo_mp_as_str(yo_mp_skip(&reader)), takes);
        int rv = arg == YO_ARGS ? YOMO_ERR_INVALID
                                : take_member(args, arg, yo_mp_skip(&reader));
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    if ((args->given & YO_ARG_BIT(YO_ARG_DATA)) &&
        (args->given & YO_ARG_BIT(YO_ARG_BASE64))) {
        return fault(args, "data", "and base64 are two of which one is enough");
    }
    return YOMO_OK;
}

int yo_admin_args_json(struct yo_admin_args *args, struct yo_span body, unsigned takes,
                       unsigned needs)
{
    struct yo_buf map;
    int rv;

    yo_buf_init(&map, args->text.mem);
    rv = yo_buf_reserve(&args->text, body.size + SPARE);
    rv = rv == YOMO_OK ? yo_json_to_mp(&map, body) : rv;
    if (rv == YOMO_ERR_JSON) {
        snprintf(args->why, sizeof(args->why), "the body is not well-formed JSON");
    }
    rv = rv == YOMO_OK ? take_members(args, yo_buf_span(&map), takes) : rv;
    yo_buf_finish(&map);
    return rv == YOMO_OK ? complete(args, needs) : rv;
}
