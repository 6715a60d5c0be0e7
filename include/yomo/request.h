/* SPDX-License-Identifier: MIT */
#ifndef YOMO_REQUEST_H
#define YOMO_REQUEST_H

/** @file request.h
 * Answering a request: what a client's program does with one that another member sent
 * (yomo_message_take_request), and a server's host with one that a member sent to it
 * (on_request). Asking is yomo_room_request.
 *
 * A request belongs to whoever has it, until it is answered or freed; either may be done
 * at once or later, from any thread, and only one of them once. Whoever asked waits no
 * longer than the timeout that he gave; an answer after that is dropped there. */

#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The answer. `data` is JSON text or bytes (`encoding`).
 *
 * Ownership: `data` is borrowed until the call returns. After YOMO_OK `request` is gone;
 *            after an error it is still the caller's.
 * Thread:    any.
 * Errors:    INVALID, JSON, TOO_BIG; FULL when too much waits to be sent; CLOSED when
 *            the room or the server is over; NOMEM. */
YOMO_API int32_t yomo_request_reply(yomo_request *request, const void *data, size_t size,
                                    int32_t encoding);

/** It cannot be answered: `error` is one of yomo/error.h, between -1 and -999, and `text`
 * a sentence, at most 1024 bytes (NULL: none). Everything else as above. */
YOMO_API int32_t yomo_request_refuse(yomo_request *request, int32_t error,
                                     const char *text);

/** Give it back without an answer: whoever asked will wait for nothing. Accepts NULL. */
YOMO_API void yomo_request_free(yomo_request *request);

#ifdef __cplusplus
}
#endif

#endif
