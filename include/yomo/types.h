/* SPDX-License-Identifier: MIT */
#ifndef YOMO_TYPES_H
#define YOMO_TYPES_H

/** @file types.h
 * What every public header needs: visibility, handles, enumerations, the allocator and
 * the log function.
 *
 * Only pointers and fixed-width integers (and size_t) cross the boundary. Enumerations
 * cross it as int32_t, so that a binding needs no compiler to know their width. */

#include <stddef.h>
#include <stdint.h>

#if defined(YOMO_STATIC)
#define YOMO_API
#elif defined(__GNUC__)
#define YOMO_API __attribute__((visibility("default")))
#else
#define YOMO_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct yomo_options yomo_options; /**< names and values, see options.h */
typedef struct yomo_client yomo_client;   /**< one connection to a backend, client.h */
typedef struct yomo_room yomo_room;       /**< one room a client is in, client.h */
typedef struct yomo_join yomo_join;       /**< what a join asks for, client.h */
typedef struct yomo_peer yomo_peer;       /**< one member of a room, client.h */
typedef struct yomo_user yomo_user;       /**< one person in a room, client.h */
typedef struct yomo_users yomo_users;     /**< the persons at one moment, client.h */
typedef struct yomo_peers yomo_peers;     /**< the members at one moment, client.h */
typedef struct yomo_message yomo_message; /**< one received message, client.h */
typedef struct yomo_history yomo_history; /**< what was said before, client.h */
typedef struct yomo_gap yomo_gap;         /**< what is missing, client.h */
typedef struct yomo_value yomo_value;     /**< a shared value or a lock, client.h */
typedef struct yomo_values yomo_values;   /**< a copy of several, client.h */
typedef struct yomo_send yomo_send;       /**< how a message is sent, client.h */
typedef struct yomo_request yomo_request; /**< one that waits for an answer, request.h */
typedef struct yomo_status yomo_status;   /**< how a connection is doing, client.h */
typedef struct yomo_server yomo_server;   /**< an embedded backend, server.h */

struct uv_loop_s; /* libuv's uv_loop_t, for programs that have one */

/** What the library promises for a message. */
enum yomo_delivery {
    /** Every message while connected, in order for each sender, room and priority. */
    YOMO_RELIABLE = 0,
    /** At most once; old ones give way when there is no room. */
    YOMO_UNRELIABLE = 1,
    /** The newest value for each (sender, event, key); older ones may vanish. */
    YOMO_LATEST = 2
};

/** Which messages go first where several wait for one receiver. */
enum yomo_priority {
    YOMO_NORMAL = 0,
    YOMO_URGENT = 1, /**< before all others */
    YOMO_BULK = 2    /**< when nothing else waits */
};

/** What the bytes of a message or of a state are. */
enum yomo_encoding {
    YOMO_JSON = 0, /**< JSON text in UTF-8 (RFC 8259) */
    YOMO_BYTES = 1 /**< bytes that mean something to the programs only */
};

/** How a client is connected. */
enum yomo_transport_kind {
    YOMO_TRANSPORT_NONE = 0,
    YOMO_TRANSPORT_WEBTRANSPORT = 1, /**< HTTP/3 over QUIC */
    YOMO_TRANSPORT_WEBSOCKET = 2,    /**< over TCP, with or without TLS */
    YOMO_TRANSPORT_MEMORY = 3,       /**< inside this process */
    YOMO_TRANSPORT_CUSTOM = 4        /**< one that the host registered, transport.h */
};

enum yomo_log_level {
    YOMO_LOG_ERROR = 0,
    YOMO_LOG_WARN = 1,
    YOMO_LOG_INFO = 2,
    YOMO_LOG_DEBUG = 3,
    YOMO_LOG_TRACE = 4
};

/** Something that a line of log is about, apart from what it says. */
typedef struct yomo_log_field {
    const char *name; /**< one of those below: lower case letters and '_' */
    const char *text; /**< NULL: it is `number` */
    uint64_t number;
} yomo_log_field;

/** A line of log in its parts.
 *
 * Fields are there where the library knows them: `connection` (a number that no other
 * connection of this server has), `address`, `app`, `id`, `room`, `transport`, `client`
 * (presencejs or yomo), `session` (text), `code` (of a close), `error` (a name as
 * yomo_error_name has it), and others that docs/operating.md lists. More may be added.
 *
 * What peers said may be in `message` and in texts of fields: both are UTF-8, without control
 * characters and without bytes that are not UTF-8, which are escaped as \n, \t, \r or \x1b. In
 * fields a backslash is escaped as well, so that no two texts look alike, and what is longer
 * than 300 bytes is cut, and ends with "...". */
typedef struct yomo_log_record {
    uint32_t size;                /**< of this struct: more may come behind what is here */
    int32_t level;                /**< one of enum yomo_log_level */
    const char *module;           /**< as for yomo_log_fn */
    const char *message;          /**< at most 1,000 bytes */
    const yomo_log_field *fields; /**< each name at most once */
    uint32_t field_count;         /**< at most 16 */
} yomo_log_record;

/** Receives one line of log in its parts (yomo_options_set_log_record).
 *
 * Ownership: all of it is borrowed for the call.
 * Thread:    as for yomo_log_fn. */
typedef void (*yomo_log_record_fn)(void *user, const yomo_log_record *record);

/** Receives one line of log, preformatted, without a newline: the message, and behind it the
 * fields (yomo_log_field) as ` name=value`, the value in quotes where it has blanks, quotes
 * or '=' in it, or nothing.
 *
 * `module` is the part of the library that speaks (`"server"`, `"webtransport"`, ...).
 * Message payloads never appear above YOMO_LOG_DEBUG; queries and tokens never at all.
 *
 * Ownership: both strings are borrowed for the call.
 * Thread:    the thread that runs the client or worker concerned: a server calls from
 *            several threads at once. */
typedef void (*yomo_log_fn)(void *user, int32_t level, const char *module,
                            const char *text);

/** Where the library takes memory from. All three are called from any thread that runs
 * a client or worker with this allocator; `realloc` and `free` accept NULL.
 *
 * What libuv, OpenSSL and the HTTP libraries allocate for the whole process does not
 * pass through here; what ngtcp2 and nghttp3 allocate for a connection does. */
typedef struct yomo_mem {
    void *user;
    void *(*malloc)(void *user, size_t size);
    void *(*realloc)(void *user, void *old, size_t size);
    void (*free)(void *user, void *memory);
} yomo_mem;

#ifdef __cplusplus
}
#endif

#endif
