/* SPDX-License-Identifier: MIT */
/* tickets.c - the file: a line that says what it is, then up to YO_TICKET_KEYS_MAX
 * keys, the newest first, each the second it was made in (8 bytes, big-endian) and 32
 * random bytes. It is read and written under a lock beside it, and replaced as a whole.
 *
 * Failure modes: the file cannot be written when a new key is due: the key is used all
 * the same, and tickets of this process are worth nothing to the next one; the clock
 * was set back: keys of the future are taken as they are for an hour, then replaced.
 *
 * Invariants, under `lock`:
 *  1. there is at least one key;
 *  2. the newest key is in front. */
#include "transport/tls/tickets.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "base/text.h"
#include "transport/tls/context.h"
#include "transport/tls/setup.h"

#define SECRET_SIZE 32
#define RECORD_SIZE (8 + SECRET_SIZE)
#define MAGIC "yomo ticket keys 1\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define FILE_SIZE_MAX (MAGIC_SIZE + YO_TICKET_KEYS_MAX * RECORD_SIZE)
#define OLD_FILE_SIZE 48 /* of the format before this one: replaced */
#define CLOCK_SLACK_S 3600

struct key {
    uint64_t made_s;
    uint8_t secret[SECRET_SIZE];
    struct yo_ticket_seal seals[2]; /* by use */
};

struct yo_ticket_keys {
    const struct yomo_mem *mem;
    atomic_uint refs;
    pthread_mutex_t lock;
    char *path; /* NULL: none */
    struct key keys[YO_TICKET_KEYS_MAX];
    size_t count;
    uint64_t looked_s; /* when the file was last looked at for an unknown name */
    ino_t inode;       /* of the file as it was read, */
    time_t written;    /* and its time */
};

/* Stretch the secret, for each use with a label of its own. */
static void derive(struct key *key)
{
    static const char *const labels[2] = {"yomo tcp", "yomo quic"};
    for (int use = 0; use < 2; use++) {
        struct yo_ticket_seal *seal = &key->seals[use];
        uint8_t hash[32], text[16 + SECRET_SIZE] = {0};
        memcpy(text, labels[use], strlen(labels[use]));
        memcpy(text + 16, key->secret, SECRET_SIZE);
        yo_sha256(hash, yo_span(text, sizeof(text)));
        memcpy(seal->name, hash, sizeof(seal->name));
        text[15] = 1;
        yo_sha256(seal->mac, yo_span(text, sizeof(text)));
        text[15] = 2;
        yo_sha256(seal->cipher, yo_span(text, sizeof(text)));
        OPENSSL_cleanse(text, sizeof(text));
    }
}

static bool alive(const struct key *key, uint64_t now_s)
{
    return key->made_s <= now_s + CLOCK_SLACK_S &&
           now_s < key->made_s + 2 * YO_TICKET_KEY_S;
}

static bool due(const struct yo_ticket_keys *keys, uint64_t now_s)
{
    const struct key *newest = &keys->keys[0];
    return keys->count == 0 || newest->made_s + YO_TICKET_KEY_S <= now_s ||
           newest->made_s > now_s + CLOCK_SLACK_S;
}

static void add_new(struct yo_ticket_keys *keys, uint64_t now_s)
{
    size_t keep = 0;
    struct key fresh = {.made_s = now_s};
    while (keep < keys->count && keep < YO_TICKET_KEYS_MAX - 1 &&
           alive(&keys->keys[keep], now_s)) {
        keep++;
    }
    memmove(keys->keys + 1, keys->keys, keep * sizeof(keys->keys[0]));
    yo_rand_bytes(fresh.secret, sizeof(fresh.secret));
    derive(&fresh);
    keys->keys[0] = fresh;
    keys->count = keep + 1;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    OPENSSL_cleanse(keys->keys + keys->count,
                    (YO_TICKET_KEYS_MAX - keys->count) * sizeof(keys->keys[0]));
}

/* --- The file --------------------------------------------------------------------- */

static int parse(struct yo_ticket_keys *keys, struct yo_span bytes, struct yo_buf *why)
{
    bool good = bytes.size >= MAGIC_SIZE && bytes.size <= FILE_SIZE_MAX &&
                memcmp(bytes.data, MAGIC, MAGIC_SIZE) == 0 &&
                (bytes.size - MAGIC_SIZE) % RECORD_SIZE == 0;
    keys->count = 0;
    if (bytes.size == OLD_FILE_SIZE && !good) {
        return YOMO_OK;
    }
    if (!good) {
        return yo_tls_file_error(why, keys->path,
                                 "does not hold ticket keys; remove it, and a new one "
                                 "is made");
    }
    bytes = yo_span_skip(bytes, MAGIC_SIZE);
    for (; bytes.size > 0; bytes = yo_span_skip(bytes, RECORD_SIZE)) {
        struct key *key = &keys->keys[keys->count++];
        key->made_s = 0;
        for (int i = 0; i < 8; i++) {
            key->made_s = key->made_s << 8 | bytes.data[i];
        }
        memcpy(key->secret, bytes.data + 8, SECRET_SIZE);
        derive(key);
    }
    return YOMO_OK;
}

/* No keys when there is no file. */
static int load(struct yo_ticket_keys *keys, struct yo_buf *why)
{
    struct yo_buf bytes;
    struct stat st;
    yo_buf_init(&bytes, keys->mem);
    if (lstat(keys->path, &st) < 0 && errno == ENOENT) {
        return YOMO_OK;
    }
    int rv = yo_tls_read_private_file(&bytes, keys->path, why);
    if (rv == YOMO_OK) {
        keys->inode = st.st_ino;
        keys->written = st.st_mtime;
        rv = parse(keys, yo_buf_span(&bytes), why);
    }
    if (bytes.data) {
        OPENSSL_cleanse(bytes.data, bytes.capacity);
    }
    yo_buf_finish(&bytes);
    return rv;
}

static int save(struct yo_ticket_keys *keys, struct yo_buf *why)
{
    uint8_t bytes[FILE_SIZE_MAX];
    size_t size = MAGIC_SIZE;
    struct stat st;

    memcpy(bytes, MAGIC, MAGIC_SIZE);
    for (size_t i = 0; i < keys->count; i++) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            bytes[size++] = (uint8_t)(keys->keys[i].made_s >> shift);
        }
        memcpy(bytes + size, keys->keys[i].secret, SECRET_SIZE);
        size += SECRET_SIZE;
    }
    int rv =
        yo_tls_write_private_file(keys->path, yo_span(bytes, size), keys->mem, why);
    if (rv == YOMO_OK && stat(keys->path, &st) == 0) {
        keys->inode = st.st_ino;
        keys->written = st.st_mtime;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return rv;
}

/* -1: there is none to be had. */
static int lock_file(const struct yo_ticket_keys *keys)
{
    struct yo_buf path;
    int fd = -1;
    yo_buf_init(&path, keys->mem);
    yo_buf_printf(&path, "%s.lock", keys->path);
    if (yo_buf_append_byte(&path, 0) == YOMO_OK && !path.failed) {
        fd = yo_tls_lock((const char *)path.data, NULL);
    }
    yo_buf_finish(&path);
    return fd;
}

/* What the file has, and a new key if that is due, written down. A folder that cannot
 * be written is good enough as long as there is a file with keys in it. */
static int refresh(struct yo_ticket_keys *keys, uint64_t now_s, struct yo_buf *why)
{
    if (!keys->path) {
        add_new(keys, now_s);
        return YOMO_OK;
    }
    struct yo_ticket_keys now = {.mem = keys->mem, .path = keys->path};
    int lock = lock_file(keys);
    int rv = load(&now, why);
    bool had_some = now.count > 0;
    if (rv == YOMO_OK && due(&now, now_s)) {
        add_new(&now, now_s);
        rv = save(&now, had_some ? NULL : why);
        rv = had_some ? YOMO_OK : rv;
    }
    if (lock >= 0) {
        close(lock);
    }
    if (rv == YOMO_OK) {
        memcpy(keys->keys, now.keys, sizeof(keys->keys));
        keys->count = now.count;
        keys->inode = now.inode;
        keys->written = now.written;
    }
    OPENSSL_cleanse(&now, sizeof(now));
    return rv;
}

/* --- Use -------------------------------------------------------------------------- */

int yo_ticket_keys_open(struct yo_ticket_keys **out, const struct yomo_mem *mem,
                        const char *path, uint64_t now_s, struct yo_buf *why)
{
    struct yo_ticket_keys *keys = yo_calloc(mem, 1, sizeof(*keys));
    if (!keys) {
        return YOMO_ERR_NOMEM;
    }
    keys->mem = mem;
    atomic_init(&keys->refs, 1);
    if (pthread_mutex_init(&keys->lock, NULL) != 0) {
        yo_free(mem, keys);
        return YOMO_ERR_SYSTEM;
    }
    int rv = YOMO_OK;
    if (path) {
        keys->path = yo_strndup(mem, path, strlen(path));
        rv = keys->path ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK) {
        rv = refresh(keys, now_s, why);
    }
    if (rv != YOMO_OK) {
        yo_ticket_keys_close(keys);
        return rv;
    }
    *out = keys;
    return YOMO_OK;
}

void yo_ticket_keys_ref(struct yo_ticket_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
}

void yo_ticket_keys_close(struct yo_ticket_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys->keys, sizeof(keys->keys));
    yo_free(keys->mem, keys->path);
    yo_free(keys->mem, keys);
}

void yo_ticket_keys_newest(struct yo_ticket_keys *keys, enum yo_ticket_use use,
                           uint64_t now_s, struct yo_ticket_seal *seal)
{
    pthread_mutex_lock(&keys->lock);
    if (due(keys, now_s) && refresh(keys, now_s, NULL) != YOMO_OK) {
        add_new(keys, now_s);
    }
    *seal = keys->keys[0].seals[use];
    pthread_mutex_unlock(&keys->lock);
}

static bool look_up(const struct yo_ticket_keys *keys, enum yo_ticket_use use,
                    const uint8_t name[YO_TICKET_NAME_SIZE], uint64_t now_s,
                    struct yo_ticket_seal *seal, bool *renew)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->keys[i];
        if (alive(key, now_s) &&
            CRYPTO_memcmp(key->seals[use].name, name, YO_TICKET_NAME_SIZE) == 0) {
            *seal = key->seals[use];
            *renew = i > 0;
            return true;
        }
    }
    return false;
}

/* Has another process written a newer file? Asked once a second at most. */
static bool outdated(struct yo_ticket_keys *keys, uint64_t now_s)
{
    struct stat st;
    if (!keys->path || keys->looked_s == now_s) {
        return false;
    }
    keys->looked_s = now_s;
    return stat(keys->path, &st) == 0 &&
           (st.st_ino != keys->inode || st.st_mtime != keys->written);
}

bool yo_ticket_keys_find(struct yo_ticket_keys *keys, enum yo_ticket_use use,
                         const uint8_t name[YO_TICKET_NAME_SIZE], uint64_t now_s,
                         struct yo_ticket_seal *seal, bool *renew)
{
    pthread_mutex_lock(&keys->lock);
    bool found = look_up(keys, use, name, now_s, seal, renew);
    if (!found && outdated(keys, now_s) && refresh(keys, now_s, NULL) == YOMO_OK) {
        found = look_up(keys, use, name, now_s, seal, renew);
    }
    pthread_mutex_unlock(&keys->lock);
    return found;
}
