/* SPDX-License-Identifier: MIT */
/* notes.h - what the handlers write down of one session for another to read: by token,
 * in one process, on any of its threads. */
#ifndef INTEROP_NOTES_H
#define INTEROP_NOTES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes came on a stream. */
void notes_stream_open(const char *token);
/* How a stream that the client wrote on ended: with FIN (`code` NULL), or with
 * RESET_STREAM and its code, -1 for none of WebTransport's. */
void notes_stream_close(const char *token, const int64_t *code);
void notes_stream_stop(const char *token, int64_t code);
/* How the session ended; `reason` NULL: abruptly. */
void notes_session_close(const char *token, uint32_t code, const char *reason);
/* A byte that came: the order in which streams were served. */
void notes_order(const char *token, unsigned char byte);
/* How often this token has come, this time counted. */
unsigned notes_count(const char *token);

/* Everything that is noted under `token`, as one JSON object for free(); it is
 * forgotten. */
char *notes_take(const char *token);
void notes_forget_all(void);

/* `text` as a JSON string, quotes included, cut at `size`. */
void json_string(char *out, size_t size, const char *text);

#endif
