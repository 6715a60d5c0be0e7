/* SPDX-License-Identifier: MIT */
/* notes.c - a list under a lock. It is bounded: a token more than NOTES_MAX is not
 * kept. */
#include "notes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 4096, ORDER_MAX = 4096, TOKEN_SIZE = 96 };

struct note {
    struct note *next;
    char token[TOKEN_SIZE];
    bool stream_open;
    char stream_close[64];
    char stream_stop[40];
    char *session_close; /* JSON */
    unsigned char *order;
    size_t order_count;
    unsigned count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct note *first;
static size_t noted;

/* With the lock held. NULL: no room. */
static struct note *find(const char *token, bool make)
{
    struct note *note = first;

    while (note && strncmp(note->token, token, TOKEN_SIZE - 1) != 0) {
        note = note->next;
    }
    if (!note && make && noted < NOTES_MAX) {
        note = calloc(1, sizeof(*note));
        if (note) {
            snprintf(note->token, sizeof(note->token), "%s", token);
            note->next = first;
            first = note;
            noted++;
        }
    }
    return note;
}

void json_string(char *out, size_t size, const char *text)
{
    size_t at = 0;

    if (size < 3) {
        return;
    }
    out[at++] = '"';
    for (; *text && at + 8 < size; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == '"' || c == '\\') {
            at += (size_t)snprintf(out + at, 7, "\\u%04x", c);
        } else {
            out[at++] = (char)c;
        }
    }
    out[at++] = '"';
    out[at] = '\0';
}

static void put_code(char *out, size_t size, int64_t code)
{
    if (code < 0) {
        snprintf(out, size, "null");
    } else {
        snprintf(out, size, "%lld", (long long)code);
    }
}

void notes_stream_open(const char *token)
{
    struct note *note;

    pthread_mutex_lock(&lock);
    note = find(token, true);
    if (note) {
        note->stream_open = true;
    }
    pthread_mutex_unlock(&lock);
}

void notes_stream_close(const char *token, const int64_t *code)
{
    struct note *note;

    pthread_mutex_lock(&lock);
    note = find(token, true);
    if (note && code) {
        char number[24];

        put_code(number, sizeof(number), *code);
        snprintf(note->stream_close, sizeof(note->stream_close),
                 "{\"source\":\"reset\",\"code\":%s}", number);
    } else if (note) {
        snprintf(note->stream_close, sizeof(note->stream_close),
                 "{\"source\":\"FIN\"}");
    }
    pthread_mutex_unlock(&lock);
}

void notes_stream_stop(const char *token, int64_t code)
{
    struct note *note;
    char number[24];

    put_code(number, sizeof(number), code);
    pthread_mutex_lock(&lock);
    note = find(token, true);
    if (note) {
        snprintf(note->stream_stop, sizeof(note->stream_stop), "{\"code\":%s}", number);
    }
    pthread_mutex_unlock(&lock);
}

void notes_session_close(const char *token, uint32_t code, const char *reason)
{
    size_t size = 128 + (reason ? strlen(reason) * 6 : 0);
    char *text = malloc(size), *quoted = malloc(size);
    struct note *note = NULL;

    if (text && quoted && reason) {
        json_string(quoted, size - 96, reason);
        snprintf(text, size,
                 "{\"abruptly\":false,\"close_info\":{\"code\":%u,\"reason\":%s}}",
                 code, quoted);
    } else if (text) {
        snprintf(text, size, "{\"abruptly\":true,\"close_info\":null}");
    }
    free(quoted);
    pthread_mutex_lock(&lock);
    note = find(token, true);
    if (note) {
        free(note->session_close);
        note->session_close = text;
        text = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(text);
}

void notes_order(const char *token, unsigned char byte)
{
    struct note *note;

    pthread_mutex_lock(&lock);
    note = find(token, true);
    if (note && !note->order) {
        note->order = malloc(ORDER_MAX);
    }
    if (note && note->order && note->order_count < ORDER_MAX) {
        note->order[note->order_count++] = byte;
    }
    pthread_mutex_unlock(&lock);
}

unsigned notes_count(const char *token)
{
    struct note *note;
    unsigned count = 0;

    pthread_mutex_lock(&lock);
    note = find(token, true);
    if (note) {
        count = ++note->count;
    }
    pthread_mutex_unlock(&lock);
    return count;
}

static void forget(struct note *note)
{
    struct note **at = &first;

    while (*at != note) {
        at = &(*at)->next;
    }
    *at = note->next;
    noted--;
    free(note->session_close);
    free(note->order);
    free(note);
}

static void add(char *out, size_t *at, const char *name, const char *value)
{
    if (value && *value) {
        *at +=
            (size_t)sprintf(out + *at, "%s\"%s\":%s", *at > 1 ? "," : "", name, value);
    }
}

char *notes_take(const char *token)
{
    struct note *note;
    char *out;
    size_t at = 1;

    pthread_mutex_lock(&lock);
    note = find(token, false);
    out = malloc(256 + sizeof(*note) +
                 (note ? note->order_count * 4 +
                             (note->session_close ? strlen(note->session_close) : 0)
                       : 0));
    if (out) {
        out[0] = '{';
        if (note) {
            add(out, &at, "stream-open-info", note->stream_open ? "{}" : NULL);
            add(out, &at, "stream-close-info", note->stream_close);
            add(out, &at, "stream-stop-info", note->stream_stop);
            add(out, &at, "session-close-info", note->session_close);
        }
        if (note && note->order_count > 0) {
            add(out, &at, "order", "[");
            for (size_t i = 0; i < note->order_count; i++) {
                at += (size_t)sprintf(out + at, "%s%u", i ? "," : "", note->order[i]);
            }
            out[at++] = ']';
        }
        out[at++] = '}';
        out[at] = '\0';
    }
    if (note) {
        forget(note);
    }
    pthread_mutex_unlock(&lock);
    return out;
}

void notes_forget_all(void)
{
    while (first) {
        forget(first);
    }
}
