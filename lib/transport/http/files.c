/* SPDX-License-Identifier: MIT */
#include "transport/http/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/text.h"

#ifdef __APPLE__
#define MTIME st_mtimespec
#else
#define MTIME st_mtim
#endif

#define DEPTH_MAX 16
#define HEADERS_MAX 16

struct yo_files {
    const struct yomo_mem *mem;
    int root;
};

int yo_files_open(struct yo_files **out, const struct yomo_mem *mem, const char *folder,
                  struct yo_buf *why)
{
    int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        if (why) {
            yo_buf_printf(why, "%s: %s", folder, strerror(errno));
        }
        return YOMO_ERR_FILE;
    }
    struct yo_files *files = yo_calloc(mem, 1, sizeof(*files));
    if (!files) {
        close(root);
        return YOMO_ERR_NOMEM;
    }
    files->mem = mem;
    files->root = root;
    *out = files;
    return YOMO_OK;
}

void yo_files_close(struct yo_files *files)
{
    if (files) {
        close(files->root);
        yo_free(files->mem, files);
    }
}

const char *yo_http_content_type(struct yo_span name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/plain; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".woff", "font/woff"},
        {".wasm", "application/wasm"},
        {".pdf", "application/pdf"},
        {".mp3", "audio/mpeg"},
        {".mp4", "video/mp4"},
        {".webm", "video/webm"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        size_t size = strlen(types[i].ending);
        if (name.size > size &&
            yo_span_equal_nocase(yo_span_skip(name, name.size - size),
                                 yo_span_of(types[i].ending))) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

/* One name of a path, decoded: not empty, not hidden, no way out. */
static bool good_name(const char *name, size_t size)
{
    return size > 0 && size < 256 && name[0] != '.' &&
           memchr(name, '/', size) == NULL && memchr(name, '\\', size) == NULL &&
           strlen(name) == size;
}

/* Open `name` below `parent` without following a link; `parent` is closed unless it is
 * the root. */
static int step(const struct yo_files *files, int parent, const char *name)
{
    /* Not blocking, so that a FIFO does not hold us. */
    int fd =
        openat(parent, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (parent != files->root) {
        close(parent);
    }
    return fd;
}

enum found { FOUND_FILE, FOUND_FOLDER, FOUND_NOTHING };

/* Walk `path`. A folder that is named without its last slash is FOUND_FOLDER. */
static enum found find(const struct yo_files *files, struct yo_span path, int *out,
                       struct stat *st, struct yo_buf *name)
{
    int fd = files->root;
    bool slash = false;
    for (int depth = 0; path.size > 0 && depth < DEPTH_MAX; depth++) {
        if (path.data[0] != '/') {
            break;
        }
        path = yo_span_skip(path, 1);
        const uint8_t *end = path.size ? memchr(path.data, '/', path.size) : NULL;
        size_t size = end ? (size_t)(end - path.data) : path.size;
        slash = size == 0;
        if (slash) {
            if (path.size > 0) {
                break; /* "//" */
            }
            continue;
        }
        yo_buf_clear(name);
        if (yo_percent_decode(name, yo_span(path.data, size)) != YOMO_OK ||
            yo_buf_append_byte(name, 0) != YOMO_OK ||
            !good_name((const char *)name->data, name->size - 1)) {
            break;
        }
        name->size--;
        path = yo_span_skip(path, size);
        fd = step(files, fd, (const char *)name->data);
        if (fd < 0) {
            return FOUND_NOTHING;
        }
    }
    if (path.size == 0 && slash) { /* a folder: its index */
        yo_buf_clear(name);
        if (yo_buf_append(name, "index.html", 11) == YOMO_OK) {
            name->size--;
            fd = step(files, fd, "index.html");
        }
    }
    if (fd >= 0 && fd != files->root && path.size == 0 && fstat(fd, st) == 0) {
        if (S_ISREG(st->st_mode) && st->st_size <= YO_HTTP_FILE_MAX) {
            *out = fd;
            return FOUND_FILE;
        }
        if (S_ISDIR(st->st_mode) && !slash) {
            close(fd);
            return FOUND_FOLDER;
        }
    }
    if (fd >= 0 && fd != files->root) {
        close(fd);
    }
    return FOUND_NOTHING;
}

static int read_all(int fd, struct yo_buf *body, size_t size)
{
    int rv = yo_buf_reserve(body, size ? size : 1);
    while (rv == YOMO_OK && body->size < size) {
        ssize_t n = read(fd, body->data + body->size, size - body->size);
        if (n > 0) {
            body->size += (size_t)n;
        } else if (n == 0) { /* it shrank meanwhile */
            break;
        } else if (errno != EINTR) {
            rv = YOMO_ERR_FILE;
        }
    }
    return rv;
}

static void answer_text(struct yo_exchange *exchange, int status, const char *text)
{
    static const char *const headers[] = {"Content-Type", "text/plain; charset=utf-8",
                                          NULL};
    yo_exchange_answer(exchange, status, headers, yo_span_of(text));
}

/* Relative links of a page need the slash behind a folder's name; what was asked of the
 * page stays. */
static void answer_redirect(struct yo_exchange *exchange, struct yo_buf *scratch)
{
    struct yo_span query = yo_exchange_query(exchange);

    yo_buf_clear(scratch);
    (void)yo_buf_append_span(scratch, yo_exchange_path(exchange));
    (void)yo_buf_append(scratch, "/?", query.size > 0 ? 2 : 1);
    (void)yo_buf_append_span(scratch, query);
    (void)yo_buf_append(scratch, "", 1);
    if (scratch->failed || scratch->data[1] == '/') {
        answer_text(exchange, 404, "not found\n");
        return;
    }
    const char *headers[] = {"Location", (const char *)scratch->data, NULL};
    yo_exchange_answer(exchange, 301, headers, YO_SPAN_NONE);
}

static void answer_file(struct yo_files *files, struct yo_exchange *exchange, int fd,
                        const struct stat *st, struct yo_span name,
                        const char *const *extra)
{
    char etag[64];
    snprintf(etag, sizeof(etag), "\"%" PRIx64 "-%" PRIx64 "-%lx\"",
             (uint64_t)st->st_size, (uint64_t)st->MTIME.tv_sec,
             (unsigned long)st->MTIME.tv_nsec);
    const char *headers[HEADERS_MAX * 2 + 1] = {
        "Content-Type", yo_http_content_type(name), "ETag",   etag, "Cache-Control",
        "no-cache",     "X-Content-Type-Options",   "nosniff"};
    size_t count = 8;
    for (; extra && extra[0] && extra[1] && count < HEADERS_MAX * 2; extra += 2) {
        headers[count++] = extra[0];
        headers[count++] = extra[1];
    }
    headers[count] = NULL;
    if (yo_span_is(yo_exchange_header(exchange, "If-None-Match"), etag)) {
        yo_exchange_answer(exchange, 304, headers + 2, YO_SPAN_NONE);
        return;
    }
    struct yo_buf body;
    yo_buf_init(&body, files->mem);
    if (read_all(fd, &body, (size_t)st->st_size) == YOMO_OK) {
        yo_exchange_answer(exchange, 200, headers, yo_buf_span(&body));
    } else {
        answer_text(exchange, 500, "the file cannot be read\n");
    }
    yo_buf_finish(&body);
}

void yo_files_serve(struct yo_files *files, struct yo_exchange *exchange,
                    struct yo_span path, const char *const *headers)
{
    struct yo_span method = yo_exchange_method(exchange);
    if (!yo_span_is(method, "GET") && !yo_span_is(method, "HEAD")) {
        static const char *const allow[] = {"Allow", "GET, HEAD", NULL};
        yo_exchange_answer(exchange, 405, allow, YO_SPAN_NONE);
        return;
    }
    struct yo_buf name;
    struct stat st;
    int fd = -1;
    yo_buf_init(&name, files->mem);
    switch (find(files, path, &fd, &st, &name)) {
    case FOUND_FILE:
        answer_file(files, exchange, fd, &st, yo_buf_span(&name), headers);
        close(fd);
        break;
    case FOUND_FOLDER:
        answer_redirect(exchange, &name);
        break;
    case FOUND_NOTHING:
        answer_text(exchange, 404, "not found\n");
        break;
    }
    yo_buf_finish(&name);
}
