/* SPDX-License-Identifier: MIT */
/* secret.c - a new secret is written under a name of its own and then linked to its
 * place, which fails when another process was first: then that one's is read. */
#include "server/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/rand.h"

static int fail(struct yo_buf *why, const char *path, const char *what)
{
    (void)yo_buf_printf(why, "%s: %s", path, what);
    return YOMO_ERR_FILE;
}

/* YOMO_ERR_NOT_FOUND when there is none. */
static int read_secret(const char *path, uint8_t secret[YO_SECRET_SIZE],
                       struct yo_buf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    ssize_t got;

    if (fd < 0) {
        return errno == ENOENT ? YOMO_ERR_NOT_FOUND : fail(why, path, strerror(errno));
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077) != 0) {
        (void)close(fd);
        return fail(why, path, "is not a file of this user's alone (mode 0600)");
    }
    got = read(fd, secret, YO_SECRET_SIZE);
    (void)close(fd);
    return got == YO_SECRET_SIZE ? YOMO_OK : fail(why, path, "is too short");
}

static int write_secret(const char *path, const char *temporary, struct yo_buf *why)
{
    uint8_t secret[YO_SECRET_SIZE];
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good;
    int error;

    if (fd < 0) {
        return fail(why, temporary, strerror(errno));
    }
    yo_rand_bytes(secret, sizeof(secret));
    good =
        write(fd, secret, sizeof(secret)) == (ssize_t)sizeof(secret) && fsync(fd) == 0;
    good = good && (link(temporary, path) == 0 || errno == EEXIST);
    error = errno;
    (void)close(fd);
    (void)unlink(temporary);
    return good ? YOMO_OK : fail(why, path, strerror(error));
}

int yo_secret_ready(const char *dir, const struct yomo_mem *mem,
                    uint8_t secret[YO_SECRET_SIZE], struct yo_buf *why)
{
    struct yo_buf path, temporary;
    int rv = YOMO_ERR_NOMEM;

    yo_buf_init(&path, mem);
    yo_buf_init(&temporary, mem);
    (void)yo_buf_printf(&path, "%s/secret", dir);
    (void)yo_buf_printf(&temporary, "%s/secret.%" PRIx64, dir, yo_rand_session());
    (void)yo_buf_append_byte(&path, 0);
    (void)yo_buf_append_byte(&temporary, 0);
    if (!path.failed && !temporary.failed) {
        const char *name = (const char *)path.data;
        rv = read_secret(name, secret, why);
        if (rv == YOMO_ERR_NOT_FOUND) {
            rv = write_secret(name, (const char *)temporary.data, why);
            rv = rv == YOMO_OK ? read_secret(name, secret, why) : rv;
            rv = rv == YOMO_ERR_NOT_FOUND ? fail(why, name, "went away") : rv;
        }
    }
    yo_buf_finish(&path);
    yo_buf_finish(&temporary);
    return rv;
}
