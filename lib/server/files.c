/* SPDX-License-Identifier: MIT */
/* files.c - static pages from one folder: small files, read whole at each request, for
 * the demo and for pages of that size. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/text.h"
#include "server/site.h"

static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *path)
{
    size_t size = strlen(path);

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t suffix = strlen(types[i].suffix);
        if (size > suffix && strcmp(path + size - suffix, types[i].suffix) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

/* Only names that begin with something else than a dot, and single slashes between. */
static bool harmless(struct yo_span path)
{
    if (path.size == 0 || path.data[0] != '/' || memchr(path.data, '\0', path.size) ||
        memchr(path.data, '\\', path.size)) {
        return false;
    }
    for (size_t i = 1; i < path.size; i++) {
        if (path.data[i - 1] == '/' && (path.data[i] == '.' || path.data[i] == '/')) {
            return false;
        }
    }
    return true;
}

static int read_whole(int fd, struct yo_buf *out)
{
    struct stat st;
    size_t size;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
        st.st_size > (off_t)YO_FILE_SIZE_MAX) {
        return YOMO_ERR_NOT_FOUND;
    }
    size = (size_t)st.st_size;
    if (yo_buf_reserve(out, size) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    while (size > 0) {
        ssize_t got = read(fd, out->data + out->size, size);
        if (got <= 0) {
            return YOMO_ERR_NOT_FOUND;
        }
        out->size += (size_t)got;
        size -= (size_t)got;
    }
    return YOMO_OK;
}

int yo_site_file(const char *root, struct yo_span path, struct yo_buf *out,
                 const char **type)
{
    struct yo_buf name;
    int rv = YOMO_ERR_NOT_FOUND, fd;

    yo_buf_init(&name, out->mem);
    (void)yo_buf_append_text(&name, root);
    if (yo_percent_decode(&name, path) == YOMO_OK &&
        harmless(yo_span_skip(yo_buf_span(&name), strlen(root)))) {
        if (name.data[name.size - 1] == '/') {
            (void)yo_buf_append_text(&name, "index.html");
        }
        (void)yo_buf_append_byte(&name, 0);
        fd = name.failed ? -1
                         : open((const char *)name.data,
                                O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd >= 0) {
            rv = read_whole(fd, out);
            *type = type_of((const char *)name.data);
            (void)close(fd);
        }
    }
    rv = name.failed ? YOMO_ERR_NOMEM : rv;
    yo_buf_finish(&name);
    return rv;
}
