/* SPDX-License-Identifier: MIT */
/* keylog.c - TLS secrets in a file, for those who look into packets (the format is that
 * of draft-ietf-tls-keylogfile, which Wireshark reads). By option only: a library that
 * heeds SSLKEYLOGFILE lets the environment read its host's traffic. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <yomo/error.h>

#include "transport/tls/inside.h"

static int keylog_index; /* where an SSL_CTX keeps its file */

/* The descriptor is kept plus one, so that NULL means none. It is the context's own and
 * goes with it: a connection may outlive whoever made the context. */
static void close_file(void *parent, void *kept, CRYPTO_EX_DATA *all, int index,
                       long number, void *user)
{
    (void)parent, (void)all, (void)index, (void)number, (void)user;
    if (kept) {
        close((int)(intptr_t)kept - 1);
    }
}

void yo_tls_keylog_once(void)
{
    keylog_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, close_file);
}

static void log_key(const SSL *ssl, const char *line)
{
    void *kept = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keylog_index);
    char text[512];
    size_t size = strlen(line);
    if (!kept || size + 1 > sizeof(text)) {
        return;
    }
    int fd = (int)(intptr_t)kept - 1;
    memcpy(text, line, size);
    text[size] = '\n';
    ssize_t n = write(fd, text, size + 1); /* one write: lines of threads do not mix */
    (void)n;
}

static int open_file(SSL_CTX *ctx, const char *path, struct yo_buf *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        return yo_tls_file_error(why, path, strerror(errno));
    }
    int rv = yo_tls_check_private(fd, path, why);
    if (rv == YOMO_OK &&
        SSL_CTX_set_ex_data(ctx, keylog_index, (void *)(intptr_t)(fd + 1)) != 1) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        close(fd);
    }
    return rv;
}

int yo_tls_keylog_open(struct yo_tls_base *base, const char *path, struct yo_buf *why)
{
    SSL_CTX *both[2] = {base->tcp, base->quic};
    int rv = YOMO_OK;
    for (size_t i = 0; i < 2 && rv == YOMO_OK; i++) {
        rv = path ? open_file(both[i], path, why) : YOMO_OK;
        /* Also without a file: then OpenSSL sets no callback of its own. */
        SSL_CTX_set_keylog_callback(both[i], log_key);
    }
    return rv;
}
