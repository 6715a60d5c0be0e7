/* SPDX-License-Identifier: MIT */
/* sqlite.c - histories in a file of SQLite.
 *
 * The file is in write-ahead mode with `synchronous` FULL: a batch whose commit has
 * returned is on the disk, whatever happens then to this process or to the machine's
 * power. A second process that uses the same file would give places twice, so there is
 * a lock file beside it, which the kernel lets go of with the process.
 *
 * Whatever fails, the connection is closed and opened anew with the next call: that is
 * what repairs a file that was removed, moved or put back. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/check.h"
#include "server/history/backend.h"

#define APPLICATION_ID 0x796f6d6f /* "yomo" */
#define SCHEMA_VERSION 1
#define BUSY_MS 200            /* somebody else writes: a backup, a person */
#define MESSAGE_MAX (16 << 20) /* bytes; more is not ours */
#define TIDY_ROOMS 200
#define TIDY_MESSAGES 5000
#define TIDY_ROOMS_MS (300 * 1000) /* between two looks for old rooms */
#define ROOM_AGE_MS                                                   \
    (UINT64_C(24) * 3600 * 1000) /* at least so long an order is kept \
                                  */

enum statement {
    BEGIN,
    COMMIT,
    FIND,
    USE,
    ROOM,
    KEEP,
    TOUCH,
    FORGET,
    TRIMMED,
    REST,
    READ,
    NEXT_TOUCHED,
    TRIM,
    TRIMMED_ROOM,
    UNTOUCH,
    OLD_TRIMMED,
    OLD_MESSAGES,
    OLD_ROOMS,
    STATEMENTS
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [FIND] = "SELECT epoch, place, in_use, trimmed FROM rooms WHERE key = ?1",
    [USE] = "UPDATE rooms SET in_use = 1, place = max(place, ?2), seen = ?3 "
            "WHERE key = ?1",
    [ROOM] = "INSERT INTO rooms (key, epoch, place, in_use, seen, trimmed) "
             "VALUES (?1, ?2, ?3, 1, ?4, ?5) ON CONFLICT (key) DO UPDATE SET "
             "place = max(place, excluded.place), seen = excluded.seen RETURNING id",
    [KEEP] = "INSERT OR IGNORE INTO messages "
             "(room, place, at, session, number, priority, message) "
             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [TOUCH] = "INSERT OR IGNORE INTO temp.touched (room) VALUES (?1)",
    [FORGET] =
        "DELETE FROM messages WHERE room = (SELECT id FROM rooms WHERE key = ?1) "
        "AND place <= ?2",
    [TRIMMED] = "UPDATE rooms SET trimmed = 1 WHERE key = ?1",
    [REST] = "UPDATE rooms SET in_use = 0, place = max(place, ?2), seen = ?3 "
             "WHERE key = ?1",
    [READ] = "SELECT place, at, session, number, priority, message FROM messages "
             "WHERE room = (SELECT id FROM rooms WHERE key = ?1) AND place < ?2 "
             "ORDER BY place DESC",
    [NEXT_TOUCHED] = "SELECT room FROM temp.touched LIMIT 1",
    [TRIM] = "DELETE FROM messages WHERE room = ?1 AND place <= "
             "(SELECT place FROM messages WHERE room = ?1 "
             "ORDER BY place DESC LIMIT 1 OFFSET ?2)",
    [TRIMMED_ROOM] = "UPDATE rooms SET trimmed = 1 WHERE id = ?1",
    [UNTOUCH] = "DELETE FROM temp.touched WHERE room = ?1",
    [OLD_TRIMMED] = "UPDATE rooms SET trimmed = 1 WHERE id IN "
                    "(SELECT room FROM messages WHERE at < ?1 ORDER BY at LIMIT ?2)",
    [OLD_MESSAGES] = "DELETE FROM messages WHERE (room, place) IN "
                     "(SELECT room, place FROM messages WHERE at < ?1 "
                     "ORDER BY at LIMIT ?2)",
    [OLD_ROOMS] = "DELETE FROM rooms WHERE id IN (SELECT id FROM rooms WHERE "
                  "in_use = 0 AND seen < ?1 AND NOT EXISTS "
                  "(SELECT 1 FROM messages WHERE messages.room = rooms.id) LIMIT ?2)",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS rooms (id INTEGER PRIMARY KEY, key BLOB NOT NULL "
    "UNIQUE, "
    " epoch INTEGER NOT NULL, place INTEGER NOT NULL, in_use INTEGER NOT NULL, "
    " seen INTEGER NOT NULL, trimmed INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX IF NOT EXISTS rooms_seen ON rooms (in_use, seen);"
    "CREATE TABLE IF NOT EXISTS messages (room INTEGER NOT NULL, place INTEGER NOT "
    "NULL, "
    " at INTEGER NOT NULL, session INTEGER NOT NULL, number INTEGER NOT NULL, "
    " priority INTEGER NOT NULL, message BLOB NOT NULL, PRIMARY KEY (room, place)) "
    " WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS messages_at ON messages (at);"
    "PRAGMA application_id = 2037345647;"
    "PRAGMA user_version = 1;";

struct sqlite {
    struct yo_backend backend; /* first */
    const struct yomo_mem *mem;
    struct yo_store_bounds bounds;
    char *path, *lock_path;
    int lock;    /* descriptor, or -1 */
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t rooms_tidied_ms;
};

static struct sqlite *of(struct yo_backend *backend)
{
    return YO_CONTAINER(backend, struct sqlite, backend);
}

bool yo_sqlite_there(void)
{
    return true;
}

/* --- open and close -------------------------------------------------------------- */

static void shut(struct sqlite *sqlite)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(sqlite->statements[i]);
        sqlite->statements[i] = NULL;
    }
    (void)sqlite3_close(sqlite->db);
    sqlite->db = NULL;
    if (sqlite->lock >= 0) {
        (void)close(sqlite->lock);
        sqlite->lock = -1;
    }
}

/* The sentence, and the end of the connection. */
static int fail(struct sqlite *sqlite, struct yo_buf *why)
{
    int code = sqlite->db ? sqlite3_errcode(sqlite->db) : SQLITE_NOMEM;

    (void)yo_buf_printf(why, "%s: %s", sqlite->path,
                        sqlite->db ? sqlite3_errmsg(sqlite->db)
                                   : sqlite3_errstr(SQLITE_NOMEM));
    shut(sqlite);
    return (code & 0xff) == SQLITE_NOMEM ? YOMO_ERR_NOMEM : YOMO_ERR_FILE;
}

static int take_lock(struct sqlite *sqlite, struct yo_buf *why)
{
    sqlite->lock = open(sqlite->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (sqlite->lock < 0 && (errno == EROFS || errno == EACCES)) {
        return YOMO_OK; /* to be read only, which any number of processes may do */
    }
    if (sqlite->lock < 0) {
        (void)yo_buf_printf(why, "%s: %s", sqlite->lock_path, strerror(errno));
        return YOMO_ERR_FILE;
    }
    if (flock(sqlite->lock, LOCK_EX | LOCK_NB) != 0) {
        (void)yo_buf_printf(why, "%s: another process uses this store",
                            sqlite->lock_path);
        return YOMO_ERR_IN_USE;
    }
    return YOMO_OK;
}

static int pragma_number(struct sqlite *sqlite, const char *text, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int rv = sqlite3_prepare_v2(sqlite->db, text, -1, &statement, NULL);

    if (rv == SQLITE_OK) {
        rv = sqlite3_step(statement);
        *out = rv == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        rv = rv == SQLITE_ROW || rv == SQLITE_DONE ? SQLITE_OK : rv;
    }
    sqlite3_finalize(statement);
    return rv;
}

static int check_file(struct sqlite *sqlite, struct yo_buf *why)
{
    int64_t application = 0, version = 0, tables = 0;

    if (pragma_number(sqlite, "PRAGMA application_id", &application) != SQLITE_OK ||
        pragma_number(sqlite, "PRAGMA user_version", &version) != SQLITE_OK ||
        pragma_number(sqlite, "SELECT count(*) FROM sqlite_schema", &tables) !=
            SQLITE_OK) {
        return fail(sqlite, why);
    }
    if ((tables > 0 && application != APPLICATION_ID) || version > SCHEMA_VERSION) {
        (void)yo_buf_printf(why, "%s: is a database of %s", sqlite->path,
                            version > SCHEMA_VERSION ? "a later version of yomo"
                                                     : "something else");
        shut(sqlite);
        return YOMO_ERR_FILE;
    }
    if (tables == 0 &&
        sqlite3_exec(sqlite->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
        return fail(sqlite, why);
    }
    return YOMO_OK;
}

static int connect_file(struct sqlite *sqlite, struct yo_buf *why)
{
    static const char setup[] = "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA temp_store = MEMORY;"
                                "PRAGMA trusted_schema = OFF;"
                                "PRAGMA cell_size_check = ON;"
                                "PRAGMA journal_size_limit = 67108864;"
                                "CREATE TEMP TABLE touched (room INTEGER PRIMARY KEY);";
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int fd = open(sqlite->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rv;

    /* What is said is nobody else's; SQLite gives the files beside it the same mode. */
    if (fd >= 0) {
        (void)close(fd);
    }
    rv = sqlite3_open_v2(sqlite->path, &sqlite->db, flags, NULL);
    if (rv != SQLITE_OK) {
        return fail(sqlite, why);
    }
    (void)sqlite3_busy_timeout(sqlite->db, BUSY_MS);
    (void)sqlite3_limit(sqlite->db, SQLITE_LIMIT_ATTACHED, 0);
    rv = check_file(sqlite, why);
    if (rv != YOMO_OK) {
        return rv;
    }
    if (sqlite3_exec(sqlite->db, setup, NULL, NULL, NULL) != SQLITE_OK &&
        sqlite3_db_readonly(sqlite->db, "main") != 1) {
        return fail(sqlite, why);
    }
    return YOMO_OK;
}

/* Has somebody taken the file away from under us? What we wrote would be nowhere. */
static bool is_gone(const struct sqlite *sqlite)
{
    struct stat there;

    return stat(sqlite->path, &there) != 0 && errno == ENOENT;
}

static int ready(struct sqlite *sqlite, struct yo_buf *why)
{
    int rv;

    if (sqlite->db && is_gone(sqlite)) {
        shut(sqlite);
    }
    if (sqlite->db) {
        return YOMO_OK;
    }
    rv = take_lock(sqlite, why);
    rv = rv == YOMO_OK ? connect_file(sqlite, why) : rv;
    if (rv != YOMO_OK) {
        shut(sqlite);
    }
    return rv;
}

/* --- statements ------------------------------------------------------------------ */

static sqlite3_stmt *statement(struct sqlite *sqlite, enum statement which)
{
    sqlite3_stmt **slot = &sqlite->statements[which];

    if (!*slot &&
        sqlite3_prepare_v3(sqlite->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                           slot, NULL) != SQLITE_OK) {
        return NULL;
    }
    sqlite3_reset(*slot);
    return *slot;
}

static void bind_bytes(sqlite3_stmt *statement, int at, struct yo_span bytes)
{
    (void)sqlite3_bind_blob64(statement, at, bytes.data ? (const void *)bytes.data : "",
                              bytes.size, SQLITE_STATIC);
}

static void bind_number(sqlite3_stmt *statement, int at, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, at, (sqlite3_int64)number);
}

static uint64_t number_at(sqlite3_stmt *statement, int at)
{
    return (uint64_t)sqlite3_column_int64(statement, at);
}

/* Run one that gives no rows. */
static int run(struct sqlite *sqlite, sqlite3_stmt *statement, struct yo_buf *why)
{
    if (!statement || sqlite3_step(statement) != SQLITE_DONE) {
        return fail(sqlite, why);
    }
    sqlite3_reset(statement);
    return YOMO_OK;
}

/* --- batches --------------------------------------------------------------------- */

static int begin(struct yo_backend *backend, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    int rv = ready(sqlite, why);

    return rv == YOMO_OK ? run(sqlite, statement(sqlite, BEGIN), why) : rv;
}

static int commit(struct yo_backend *backend, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);

    return run(sqlite, statement(sqlite, COMMIT), why);
}

/* Closing the connection, which each failure has done, gives the batch up. */
static void rollback(struct yo_backend *backend)
{
    shut(of(backend));
}

static int find(struct yo_backend *backend, struct yo_span room,
                struct yo_stored_order *order, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    sqlite3_stmt *one;
    int rv = ready(sqlite, why);

    *order = (struct yo_stored_order){.epoch = 0};
    if (rv != YOMO_OK) {
        return rv;
    }
    one = statement(sqlite, FIND);
    if (!one) {
        return fail(sqlite, why);
    }
    bind_bytes(one, 1, room);
    rv = sqlite3_step(one);
    if (rv == SQLITE_ROW) {
        order->epoch = number_at(one, 0);
        order->place = number_at(one, 1);
        order->in_use = number_at(one, 2) != 0;
        order->trimmed = number_at(one, 3) != 0;
    } else if (rv != SQLITE_DONE) {
        return fail(sqlite, why);
    }
    sqlite3_reset(one);
    return YOMO_OK;
}

static int use(struct yo_backend *backend, struct yo_span room, uint64_t place,
               uint64_t now_ms, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    sqlite3_stmt *one = statement(sqlite, USE);

    if (one) {
        bind_bytes(one, 1, room);
        bind_number(one, 2, place);
        bind_number(one, 3, now_ms);
    }
    return run(sqlite, one, why);
}

/* The room's number, which is made if need be. */
static int know(struct sqlite *sqlite, struct yo_span room, uint64_t epoch,
                const struct yo_stored *message, uint64_t *id, struct yo_buf *why)
{
    sqlite3_stmt *one = statement(sqlite, ROOM);

    if (!one) {
        return fail(sqlite, why);
    }
    bind_bytes(one, 1, room);
    bind_number(one, 2, epoch);
    bind_number(one, 3, message->place);
    bind_number(one, 4, message->at_ms);
    bind_number(one, 5, !message->first);
    if (sqlite3_step(one) != SQLITE_ROW) {
        return fail(sqlite, why);
    }
    *id = number_at(one, 0);
    sqlite3_reset(one);
    return YOMO_OK;
}

static int keep(struct yo_backend *backend, struct yo_span room, uint64_t epoch,
                const struct yo_stored *message, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    sqlite3_stmt *one;
    uint64_t id = 0;
    int rv = know(sqlite, room, epoch, message, &id, why);

    if (rv != YOMO_OK) {
        return rv;
    }
    one = statement(sqlite, KEEP);
    if (one) {
        bind_number(one, 1, id);
        bind_number(one, 2, message->place);
        bind_number(one, 3, message->at_ms);
        bind_number(one, 4, message->session);
        bind_number(one, 5, message->number);
        bind_number(one, 6, message->priority);
        bind_bytes(one, 7, yo_blob_span(message->message));
    }
    rv = run(sqlite, one, why);
    if (rv == YOMO_OK) {
        one = statement(sqlite, TOUCH);
        if (one) {
            bind_number(one, 1, id);
        }
        rv = run(sqlite, one, why);
    }
    return rv;
}

static int forget(struct yo_backend *backend, struct yo_span room, uint64_t place,
                  struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    sqlite3_stmt *one = statement(sqlite, FORGET);
    int rv;

    if (one) {
        bind_bytes(one, 1, room);
        bind_number(one, 2, place);
    }
    rv = run(sqlite, one, why);
    if (rv == YOMO_OK) {
        one = statement(sqlite, TRIMMED);
        if (one) {
            bind_bytes(one, 1, room);
        }
        rv = run(sqlite, one, why);
    }
    return rv;
}

static int rest(struct yo_backend *backend, struct yo_span room, uint64_t place,
                uint64_t now_ms, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    sqlite3_stmt *one = statement(sqlite, REST);

    if (one) {
        bind_bytes(one, 1, room);
        bind_number(one, 2, place);
        bind_number(one, 3, now_ms);
    }
    return run(sqlite, one, why);
}

/* --- reading --------------------------------------------------------------------- */

static int read_messages(struct yo_backend *backend, struct yo_span room,
                         uint64_t before,
                         bool (*take)(void *user, const struct yo_stored *message,
                                      struct yo_span bytes),
                         void *user, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    sqlite3_stmt *one;
    int rv = ready(sqlite, why);

    if (rv != YOMO_OK) {
        return rv;
    }
    one = statement(sqlite, READ);
    if (!one) {
        return fail(sqlite, why);
    }
    bind_bytes(one, 1, room);
    bind_number(one, 2, before == 0 || before > INT64_MAX ? INT64_MAX : before);
    while ((rv = sqlite3_step(one)) == SQLITE_ROW) {
        const struct yo_stored message = {.place = number_at(one, 0),
                                          .at_ms = number_at(one, 1),
                                          .session = number_at(one, 2),
                                          .number = number_at(one, 3),
                                          .priority = (uint32_t)number_at(one, 4)};
        const void *bytes = sqlite3_column_blob(one, 5);
        int size = sqlite3_column_bytes(one, 5);
        if (!bytes || size <= 0 || size > MESSAGE_MAX || message.place == 0) {
            continue; /* somebody else wrote that */
        }
        if (!take(user, &message, yo_span(bytes, (size_t)size))) {
            sqlite3_reset(one);
            return YOMO_OK;
        }
    }
    if (rv != SQLITE_DONE) {
        return fail(sqlite, why);
    }
    sqlite3_reset(one);
    return YOMO_OK;
}

/* --- what is past the bounds ----------------------------------------------------- */

static int run_for(struct sqlite *sqlite, enum statement which, uint64_t room,
                   struct yo_buf *why)
{
    sqlite3_stmt *one = statement(sqlite, which);

    if (one) {
        bind_number(one, 1, room);
    }
    return run(sqlite, one, why);
}

static int trim(struct sqlite *sqlite, uint64_t room, struct yo_buf *why)
{
    sqlite3_stmt *one = statement(sqlite, TRIM);
    int rv;

    if (one) {
        bind_number(one, 1, room);
        bind_number(one, 2, sqlite->bounds.messages);
    }
    rv = run(sqlite, one, why);
    if (rv == YOMO_OK && sqlite3_changes(sqlite->db) > 0) {
        rv = run_for(sqlite, TRIMMED_ROOM, room, why);
    }
    return rv == YOMO_OK ? run_for(sqlite, UNTOUCH, room, why) : rv;
}

static int trim_touched(struct sqlite *sqlite, struct yo_buf *why)
{
    for (int i = 0; i < TIDY_ROOMS && sqlite->bounds.messages > 0; i++) {
        sqlite3_stmt *one = statement(sqlite, NEXT_TOUCHED);
        uint64_t room;
        int rv = one ? sqlite3_step(one) : SQLITE_ERROR;
        if (rv == SQLITE_DONE) {
            sqlite3_reset(one);
            break;
        }
        if (rv != SQLITE_ROW) {
            return fail(sqlite, why);
        }
        room = number_at(one, 0);
        sqlite3_reset(one);
        rv = trim(sqlite, room, why);
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return YOMO_OK;
}

static int delete_older(struct sqlite *sqlite, enum statement which, uint64_t than_ms,
                        uint64_t most, struct yo_buf *why)
{
    sqlite3_stmt *one = statement(sqlite, which);

    if (one) {
        bind_number(one, 1, than_ms);
        bind_number(one, 2, most);
    }
    return run(sqlite, one, why);
}

static int tidy(struct yo_backend *backend, uint64_t now_ms, struct yo_buf *why)
{
    struct sqlite *sqlite = of(backend);
    uint64_t age = sqlite->bounds.age_ms;
    uint64_t room_age = age > ROOM_AGE_MS ? age : ROOM_AGE_MS;
    int rv;

    if (!sqlite->db || sqlite3_db_readonly(sqlite->db, "main") == 1) {
        return YOMO_OK; /* nobody has needed it yet */
    }
    rv = begin(backend, why);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = trim_touched(sqlite, why);
    if (rv == YOMO_OK && age != 0 && age < now_ms) {
        rv = delete_older(sqlite, OLD_TRIMMED, now_ms - age, TIDY_MESSAGES, why);
        rv = rv == YOMO_OK
                 ? delete_older(sqlite, OLD_MESSAGES, now_ms - age, TIDY_MESSAGES, why)
                 : rv;
    }
    if (rv == YOMO_OK && room_age < now_ms &&
        (now_ms < sqlite->rooms_tidied_ms || /* the clock was set back */
         now_ms - sqlite->rooms_tidied_ms >= TIDY_ROOMS_MS)) {
        sqlite->rooms_tidied_ms = now_ms;
        rv = delete_older(sqlite, OLD_ROOMS, now_ms - room_age, TIDY_ROOMS, why);
    }
    return rv == YOMO_OK ? commit(backend, why) : rv;
}

/* --- life ------------------------------------------------------------------------ */

static void close_all(struct yo_backend *backend)
{
    struct sqlite *sqlite = of(backend);
    const struct yomo_mem *mem = sqlite->mem;

    shut(sqlite);
    yo_free(mem, sqlite->path);
    yo_free(mem, sqlite->lock_path);
    yo_free(mem, sqlite);
}

static const struct yo_backend_ops ops = {
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .find = find,
    .use = use,
    .keep = keep,
    .forget = forget,
    .rest = rest,
    .read = read_messages,
    .tidy = tidy,
    .close = close_all,
};

int yo_sqlite_create(struct yo_backend **out, const struct yomo_mem *mem,
                     const char *path, const struct yo_store_bounds *bounds)
{
    struct sqlite *sqlite = yo_calloc(mem, 1, sizeof(*sqlite));
    struct yo_buf lock;

    if (!sqlite) {
        return YOMO_ERR_NOMEM;
    }
    sqlite->backend.ops = &ops;
    sqlite->mem = mem;
    sqlite->bounds = *bounds;
    sqlite->lock = -1;
    yo_buf_init(&lock, mem);
    (void)yo_buf_printf(&lock, "%s.lock", path);
    sqlite->path = yo_strndup(mem, path, strlen(path));
    sqlite->lock_path = lock.failed ? NULL : yo_strndup(mem, lock.data, lock.size);
    yo_buf_finish(&lock);
    if (!sqlite->path || !sqlite->lock_path) {
        close_all(&sqlite->backend);
        return YOMO_ERR_NOMEM;
    }
    *out = &sqlite->backend;
    return YOMO_OK;
}
