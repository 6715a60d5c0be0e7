/* SPDX-License-Identifier: MIT */
/* options.c - a set of values, and where they are read.
 *
 * Invariants:
 *  1. values[i] is NULL (the default counts) or a text that row i of the table takes;
 *  2. the set's own memory comes from `home`; values and transports come from `mem`,
 *     which is what a handle made from the set uses too;
 *  3. transports have different schemes. */
#include <yomo/error.h>

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/text.h"
#include "options/inside.h"
#include "options/nearest.h"
#include "options/value.h"

#define TRANSPORTS_MAX 16
#define ERROR_SIZE_MAX 600

struct transport {
    char *scheme;
    struct yo_custom_transport custom;
};

struct yomo_options {
    int32_t scope;
    struct yomo_mem home, mem;
    struct yo_log log;
    char *values[YO_OPTIONS_MAX];
    struct transport transports[TRANSPORTS_MAX];
    size_t transport_count;
    char error[ERROR_SIZE_MAX];
};

static yomo_options *create(const struct yomo_mem *home, int32_t scope)
{
    yomo_options *options = yo_calloc(home, 1, sizeof(*options));
    if (options) {
        options->scope = scope;
        options->home = options->mem = *home;
        atomic_init(&options->log.level, YOMO_LOG_INFO);
    }
    return options;
}

int32_t yomo_options_create(yomo_options **out, int32_t scope)
{
    YO_REQUIRE(out && (scope == YOMO_SCOPE_CLIENT || scope == YOMO_SCOPE_SERVER));
    *out = create(&yo_mem_libc, scope);
    return *out ? YOMO_OK : YOMO_ERR_NOMEM;
}

static void free_contents(yomo_options *options)
{
    for (size_t i = 0; i < YO_OPTIONS_MAX; i++) {
        yo_free(&options->mem, options->values[i]);
    }
    for (size_t i = 0; i < options->transport_count; i++) {
        yo_free(&options->mem, options->transports[i].scheme);
    }
}

void yomo_options_free(yomo_options *options)
{
    struct yomo_mem home;

    if (!options) {
        return;
    }
    free_contents(options);
    home = options->home;
    yo_free(&home, options);
}

static int copy_text(const struct yomo_mem *mem, char **to, const char *from)
{
    *to = from ? yo_strndup(mem, from, strlen(from)) : NULL;
    return from && !*to ? YOMO_ERR_NOMEM : YOMO_OK;
}

/* Fill `to`, which is empty and has its allocators. On failure it holds a part. */
static int copy_contents(yomo_options *to, const yomo_options *from)
{
    for (size_t i = 0; i < YO_OPTIONS_MAX; i++) {
        if (copy_text(&to->mem, &to->values[i], from->values[i]) != YOMO_OK) {
            return YOMO_ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < from->transport_count; i++) {
        struct transport *transport = &to->transports[i];
        transport->custom = from->transports[i].custom;
        if (copy_text(&to->mem, &transport->scheme, from->transports[i].scheme) !=
            YOMO_OK) {
            return YOMO_ERR_NOMEM;
        }
        to->transport_count++;
    }
    to->log.fn = from->log.fn;
    to->log.record = from->log.record;
    to->log.user = from->log.user;
    atomic_init(&to->log.level,
                atomic_load_explicit(&from->log.level, memory_order_relaxed));
    return YOMO_OK;
}

yomo_options *yo_options_copy(const yomo_options *options)
{
    yomo_options *copy = create(&options->mem, options->scope);
    if (copy && copy_contents(copy, options) != YOMO_OK) {
        yomo_options_free(copy);
        return NULL;
    }
    return copy;
}

int yo_options_complain(yomo_options *options, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(options->error, sizeof(options->error), format, args);
    va_end(args);
    return error;
}

/* `text` for a sentence: one line, at most 60 bytes of it, whole characters. */
static const char *shown(char out[64], struct yo_span text)
{
    size_t size = text.size < 60 ? text.size : 60;

    while (size > 0 && size < text.size && (text.data[size] & 0xc0) == 0x80) {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text.data[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[size] = '\0';
    return out;
}

static int unknown(yomo_options *options, struct yo_span name)
{
    static const char *const whose[] = {"clients", "servers"};
    char text[64];
    int32_t other = 1 - options->scope;
    const char *nearest = yo_option_nearest(options->scope, name);

    shown(text, name);
    if (yo_option_find(other, name) >= 0) {
        return yo_options_complain(options, YOMO_ERR_OPTION,
                                   "'%s' is an option of %s, not of %s", text,
                                   whose[other], whose[options->scope]);
    }
    if (nearest) {
        return yo_options_complain(options, YOMO_ERR_OPTION,
                                   "there is no option '%s'; did you mean '%s'?", text,
                                   nearest);
    }
    return yo_options_complain(options, YOMO_ERR_OPTION, "there is no option '%s'",
                               text);
}

/* The new value of a list: the words of the old one, if it was set, then those of
 * `value`, with single commas between them. NULL when out of memory. */
static char *join(const yomo_options *options, const char *old, struct yo_span value)
{
    struct yo_buf buf;
    struct yo_span word;
    char *joined = NULL;

    yo_buf_init(&buf, &options->mem);
    if (old) {
        yo_buf_append_text(&buf, old);
    }
    while (yo_value_word(&value, &word)) {
        if (buf.size > 0) {
            yo_buf_append_byte(&buf, ',');
        }
        yo_buf_append_span(&buf, word);
    }
    if (!buf.failed) {
        joined = yo_strndup(&options->mem, buf.data, buf.size);
    }
    yo_buf_finish(&buf);
    return joined;
}

int yo_options_assign(yomo_options *options, struct yo_span name, struct yo_span value)
{
    int index = yo_option_find(options->scope, name);
    const struct yo_option *option;
    char text[64], wanted[200];
    char *copy;

    if (index < 0) {
        return unknown(options, name);
    }
    option = yo_option_at(options->scope, (size_t)index);
    if (yo_value_check(option, value, wanted, sizeof(wanted)) != YOMO_OK) {
        return yo_options_complain(options, YOMO_ERR_OPTION,
                                   "'%s' does not take '%s': it takes %s", option->name,
                                   shown(text, value), wanted);
    }
    copy = option->type == YOMO_TYPE_LIST
               ? join(options, options->values[index], value)
               : yo_strndup(&options->mem, value.data, value.size);
    if (!copy) {
        return YOMO_ERR_NOMEM;
    }
    yo_free(&options->mem, options->values[index]);
    options->values[index] = copy;
    return YOMO_OK;
}

int32_t yomo_options_set(yomo_options *options, const char *name, const char *value)
{
    int index;

    YO_REQUIRE(options && name);
    if (value) {
        return yo_options_assign(options, yo_span_of(name), yo_span_of(value));
    }
    index = yo_option_find(options->scope, yo_span_of(name));
    if (index < 0) {
        return unknown(options, yo_span_of(name));
    }
    yo_free(&options->mem, options->values[index]);
    options->values[index] = NULL;
    return YOMO_OK;
}

const char *yomo_options_get(const yomo_options *options, const char *name)
{
    int index;

    if (!options || !name) {
        return NULL;
    }
    index = yo_option_find(options->scope, yo_span_of(name));
    if (index < 0) {
        return NULL;
    }
    return options->values[index] ? options->values[index]
                                  : yo_option_at(options->scope, (size_t)index)->value;
}

const char *yomo_options_error(const yomo_options *options)
{
    return options ? options->error : "";
}

/* What is there already moves to the new allocator. */
int32_t yomo_options_set_mem(yomo_options *options, const yomo_mem *mem)
{
    yomo_options moved, old;

    YO_REQUIRE(options && mem && mem->malloc && mem->realloc && mem->free);
    memset(&moved, 0, sizeof(moved));
    moved.mem = *mem;
    if (copy_contents(&moved, options) != YOMO_OK) {
        free_contents(&moved);
        return YOMO_ERR_NOMEM;
    }
    old = *options;
    options->mem = *mem;
    memcpy(options->values, moved.values, sizeof(moved.values));
    memcpy(options->transports, moved.transports, sizeof(moved.transports));
    free_contents(&old);
    return YOMO_OK;
}

int32_t yomo_options_set_log(yomo_options *options, yomo_log_fn fn, void *user,
                             int32_t level)
{
    YO_REQUIRE(options && level >= YOMO_LOG_ERROR && level <= YOMO_LOG_TRACE);
    options->log.fn = fn;
    options->log.record = NULL;
    options->log.user = user;
    atomic_init(&options->log.level, level);
    return YOMO_OK;
}

int32_t yomo_options_set_log_record(yomo_options *options, yomo_log_record_fn fn,
                                    void *user, int32_t level)
{
    int rv = yomo_options_set_log(options, NULL, user, level);

    if (rv == YOMO_OK) {
        options->log.record = fn;
    }
    return rv;
}

/* RFC 3986 3.1. */
static bool is_scheme(const char *text)
{
    for (const char *at = text; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        bool later =
            (*at >= '0' && *at <= '9') || *at == '+' || *at == '-' || *at == '.';
        if (!letter && (at == text || !later)) {
            return false;
        }
    }
    return text[0] != '\0';
}

static bool is_builtin(struct yo_span scheme)
{
    static const char *const builtin[] = {"https", "http", "wss", "ws"};

    for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
        if (yo_span_equal_nocase(scheme, yo_span_of(builtin[i]))) {
            return true;
        }
    }
    return false;
}

int32_t yomo_options_set_transport(yomo_options *options, const char *scheme,
                                   const yomo_transport *transport,
                                   yomo_transport_connect_fn connect, void *user)
{
    struct transport *place;

    YO_REQUIRE(options && options->scope == YOMO_SCOPE_CLIENT && scheme &&
               is_scheme(scheme) && transport && connect);
    YO_REQUIRE(transport->size >= sizeof(*transport) && transport->send &&
               transport->close);
    if (is_builtin(yo_span_of(scheme)) ||
        yo_options_transport(options, yo_span_of(scheme))) {
        return YOMO_ERR_EXISTS;
    }
    if (options->transport_count == TRANSPORTS_MAX) {
        return YOMO_ERR_NOMEM;
    }
    place = &options->transports[options->transport_count];
    if (copy_text(&options->mem, &place->scheme, scheme) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    place->custom.transport = *transport;
    place->custom.transport.size = sizeof(*transport);
    place->custom.connect = connect;
    place->custom.user = user;
    options->transport_count++;
    return YOMO_OK;
}

const struct yo_custom_transport *yo_options_transport(const yomo_options *options,
                                                       struct yo_span scheme)
{
    for (size_t i = 0; i < options->transport_count; i++) {
        const struct transport *transport = &options->transports[i];
        if (yo_span_equal_nocase(scheme, yo_span_of(transport->scheme))) {
            return &transport->custom;
        }
    }
    return NULL;
}

int32_t yo_options_scope(const yomo_options *options)
{
    return options->scope;
}

const struct yomo_mem *yo_options_mem(const yomo_options *options)
{
    return &options->mem;
}

void yo_options_set_log_level(yomo_options *options, int level)
{
    atomic_store_explicit(&options->log.level, level, memory_order_relaxed);
}

const struct yo_log *yo_options_log(const yomo_options *options)
{
    return &options->log;
}

/* The text of an option that our own code asks for, which is there and of a type that
 * it expects; an absent span when it has no value. */
static struct yo_span read_as(const yomo_options *options, const char *name,
                              enum yomo_option_type type)
{
    int index = yo_option_find(options->scope, yo_span_of(name));

    assert(index >= 0);
    assert(yo_option_at(options->scope, (size_t)index)->type == type);
    return yo_span_of(yomo_options_get(options, name));
}

const char *yo_options_text(const yomo_options *options, const char *name)
{
    return (const char *)read_as(options, name, YOMO_TYPE_TEXT).data;
}

uint64_t yo_options_number(const yomo_options *options, const char *name)
{
    struct yo_span text = read_as(options, name, YOMO_TYPE_NUMBER);
    uint64_t number = 0;
    int rv = yo_value_number(text, &number);

    assert(rv == YOMO_OK); /* every number has a default */
    (void)rv;
    return number;
}

uint64_t yo_options_ms(const yomo_options *options, const char *name)
{
    struct yo_span text = read_as(options, name, YOMO_TYPE_DURATION);
    uint64_t ms = 0;
    int rv = yo_value_ms(text, &ms);

    assert(rv == YOMO_OK);
    (void)rv;
    return ms;
}

bool yo_options_switch(const yomo_options *options, const char *name)
{
    struct yo_span text = read_as(options, name, YOMO_TYPE_SWITCH);
    bool on = false;

    if (text.data) {
        int rv = yo_value_switch(text, &on);
        assert(rv == YOMO_OK);
        (void)rv;
    }
    return on;
}

int yo_options_choice(const yomo_options *options, const char *name)
{
    struct yo_span text = read_as(options, name, YOMO_TYPE_CHOICE);
    int index = yo_option_find(options->scope, yo_span_of(name));

    return yo_value_choice(yo_option_at(options->scope, (size_t)index)->choices, text);
}

bool yo_options_is_set(const yomo_options *options, const char *name)
{
    int index = yo_option_find(options->scope, yo_span_of(name));

    assert(index >= 0);
    return options->values[index] != NULL;
}

struct yo_span yo_options_item(const yomo_options *options, const char *name,
                               size_t index)
{
    struct yo_span rest = read_as(options, name, YOMO_TYPE_LIST);
    struct yo_span word;

    while (yo_value_word(&rest, &word)) {
        if (index-- == 0) {
            return word;
        }
    }
    return YO_SPAN_NONE;
}
