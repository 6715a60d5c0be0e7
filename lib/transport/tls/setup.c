/* SPDX-License-Identifier: MIT */
#include "transport/tls/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

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

static int file_error(struct yo_buf *why, const char *path, const char *reason)
{
    if (why) {
        yo_buf_printf(why, "%s: %s", path, reason);
    }
    return YOMO_ERR_FILE;
}

int yo_tls_read_file(struct yo_buf *out, const char *path, struct yo_buf *why)
{
    int rv = YOMO_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return file_error(why, path, strerror(errno));
    }
    for (;;) {
        if (out->size > FILE_SIZE_MAX) {
            rv = file_error(why, path, "too large for what it should be");
            break;
        }
        rv = yo_buf_reserve(out, 4096);
        if (rv != YOMO_OK) {
            break;
        }
        ssize_t n = read(fd, out->data + out->size, 4096);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            rv = file_error(why, path, strerror(errno));
            break;
        }
        out->size += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    return rv;
}
