/* SPDX-License-Identifier: MIT */
#ifndef YOMO_ERROR_H
#define YOMO_ERROR_H

/** @file error.h
 * One table of errors. A call that can fail returns 0 (YOMO_OK) or one of these
 * negative numbers; the numbers are stable, and their band says whose fault it was. */

#include <stdint.h>

#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define YOMO_ERROR_MAP(X)                                                                \
    /* -1..: this machine */                                                             \
    X(NOMEM,        -1, "out of memory")                                                 \
    X(SYSTEM,       -2, "the operating system refused")                                  \
    X(TLS_SETUP,    -3, "the TLS library could not be set up")                           \
    X(IN_USE,       -4, "the address is already in use")                                 \
    X(FILE,         -5, "a file could not be read or written")                           \
    /* -100..: the calling code */                                                       \
    X(INVALID,    -100, "invalid argument")                                              \
    X(STATE,      -101, "not possible in this state")                                    \
    X(OPTION,     -102, "unknown option, or a value it does not take")                   \
    X(JSON,       -103, "not well-formed JSON")                                          \
    X(TOO_BIG,    -104, "larger than the limit")                                         \
    X(EXISTS,     -105, "already there")                                                 \
    X(NOT_FOUND,  -106, "not there")                                                     \
    X(URL,        -107, "not a URL this library understands")                            \
    X(CONFLICT,   -108, "somebody else was first")                                       \
    /* -200..: the peer */                                                               \
    X(PROTO,      -200, "the peer broke the protocol")                                   \
    X(MALFORMED,  -201, "malformed message")                                             \
    X(VERSION,    -202, "no common protocol version")                                    \
    /* -300..: the network */                                                            \
    X(CLOSED,     -300, "connection closed")                                             \
    X(UNREACHABLE,-301, "the server cannot be reached")                                  \
    X(TIMEOUT,    -302, "timed out")                                                     \
    X(RESOLVE,    -303, "the host name cannot be resolved")                              \
    X(TLS,        -304, "the TLS handshake failed")                                      \
    X(CERT,       -305, "the server's certificate is not trusted")                       \
    X(AGAIN,      -306, "no room now; try again when writable")                          \
    X(UNSURE,     -307, "it may have arrived or not; the answer is lost")                \
    /* -400..: policy and limits */                                                      \
    X(FULL,       -400, "limit reached")                                                 \
    X(DENIED,     -401, "refused by the server")                                         \
    X(AUTH,       -402, "authentication failed")                                         \
    X(KICKED,     -403, "removed by an operator")                                        \
    X(SLOW,       -404, "the receiver was too slow")                                     \
    X(RATE,       -405, "too many messages in too short a time")                         \
    X(DRAINING,   -406, "the server is going away; come back elsewhere or later")
/* clang-format on */

enum yomo_error {
    YOMO_OK = 0,
#define YOMO_ERROR_ENUM(name, number, text) YOMO_ERR_##name = (number),
    YOMO_ERROR_MAP(YOMO_ERROR_ENUM)
#undef YOMO_ERROR_ENUM
};

/** The sentence for `error`, in English, without a full stop.
 *
 * Ownership: static; never NULL, also for numbers that are not in the table.
 * Thread:    any. */
YOMO_API const char *yomo_strerror(int32_t error);

/** The name for `error`, such as `"TOO_BIG"`; `"OK"` for 0, `"UNKNOWN"` for a number
 * that is not in the table.
 *
 * Ownership: static.
 * Thread:    any. */
YOMO_API const char *yomo_error_name(int32_t error);

#ifdef __cplusplus
}
#endif

#endif
