/* SPDX-License-Identifier: MIT */
#include "transport/tls/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "base/rand.h"

#define FILE_SIZE_MAX (1 << 20)

static void set_up(void)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
}

void yo_tls_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
}

void yo_tls_explain(struct yo_buf *why)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (why) {
        yo_buf_append_text(why, reason ? reason : "the TLS library gives no reason");
    }
    ERR_clear_error();
}

int yo_tls_file_error(struct yo_buf *why, const char *path, const char *reason)
{
    if (why) {
        yo_buf_printf(why, "%s: %s", path, reason);
    }
    return YOMO_ERR_FILE;
}

/* --- Reading ---------------------------------------------------------------------- */

static int read_all(int fd, struct yo_buf *out, const char *path, struct yo_buf *why)
{
    for (;;) {
        if (out->size > FILE_SIZE_MAX) {
            return yo_tls_file_error(why, path, "too large for what it should be");
        }
        int rv = yo_buf_reserve(out, 4096);
        if (rv != YOMO_OK) {
            return rv;
        }
        ssize_t n = read(fd, out->data + out->size, 4096);
        if (n == 0) {
            return YOMO_OK;
        }
        if (n < 0 && errno != EINTR) {
            return yo_tls_file_error(why, path, strerror(errno));
        }
        out->size += n > 0 ? (size_t)n : 0;
    }
}

int yo_tls_read_file(struct yo_buf *out, const char *path, struct yo_buf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return yo_tls_file_error(why, path, strerror(errno));
    }
    int rv = read_all(fd, out, path, why);
    close(fd);
    return rv;
}

int yo_tls_check_private(int fd, const char *path, struct yo_buf *why)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return yo_tls_file_error(why, path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
        return yo_tls_file_error(why, path, "is not a file of this user's");
    }
    if ((st.st_mode & 077) != 0) {
        if (why) {
            yo_buf_printf(why,
                          "%s: others may read or write it (mode %04o): remove it, or "
                          "make it 0600 if nobody has",
                          path, (unsigned)(st.st_mode & 07777));
        }
        return YOMO_ERR_FILE;
    }
    return YOMO_OK;
}

int yo_tls_read_private_file(struct yo_buf *out, const char *path, struct yo_buf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return yo_tls_file_error(why, path, strerror(errno));
    }
    int rv = yo_tls_check_private(fd, path, why);
    if (rv == YOMO_OK) {
        rv = read_all(fd, out, path, why);
    }
    close(fd);
    return rv;
}

/* --- Writing ---------------------------------------------------------------------- */

static int write_whole(int fd, struct yo_span bytes)
{
    while (bytes.size > 0) {
        ssize_t n = write(fd, bytes.data, bytes.size);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        bytes = yo_span_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

/* The new name is on the disk only when its folder is. A folder that may not be opened,
 * or a file system that knows no such thing: as well as we can. */
static int sync_folder(const char *path, const struct yomo_mem *mem)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == path ? 1 : slash ? (size_t)(slash - path) : 1;
    char *folder = yo_strndup(mem, slash ? path : ".", size);
    int fd = folder ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    bool failed = fd >= 0 && fsync(fd) < 0 && errno != EINVAL && errno != ENOTSUP;
    int error = errno;

    if (fd >= 0) {
        close(fd);
    }
    yo_free(mem, folder);
    errno = error;
    return failed ? -1 : 0;
}

int yo_tls_write_private_file(const char *path, struct yo_span bytes,
                              const struct yomo_mem *mem, struct yo_buf *why)
{
    struct yo_buf name;
    int rv = YOMO_OK;
    yo_buf_init(&name, mem);
    yo_buf_printf(&name, "%s.%" PRIx64 ".new", path, yo_rand_session());
    if (yo_buf_append_byte(&name, 0) != YOMO_OK || name.failed) {
        yo_buf_finish(&name);
        return YOMO_ERR_NOMEM;
    }
    const char *beside = (const char *)name.data;
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write_whole(fd, bytes) < 0 || fsync(fd) < 0 ||
        rename(beside, path) < 0 || sync_folder(path, mem) < 0) {
        rv = yo_tls_file_error(why, path, strerror(errno));
        if (fd >= 0) {
            (void)unlink(beside);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    yo_buf_finish(&name);
    return rv;
}

int yo_tls_lock(const char *path, struct yo_buf *why)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)yo_tls_file_error(why, path, strerror(errno));
        return -1;
    }
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR) { /* a file system without locks: go on without */
            break;
        }
    }
    return fd;
}
