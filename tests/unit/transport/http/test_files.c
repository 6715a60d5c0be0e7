/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "support/bytes.h"
#include "transport/http/exchange_type.h"
#include "transport/http/files.h"

/* An exchange that remembers its answer. */
struct asked {
    struct yo_exchange exchange;
    const char *if_none_match;
    int status;
    char type[64], etag[64], location[64], extra[64];
    struct yo_buf body;
};

static struct yo_span asked_header(const struct yo_exchange *exchange, const char *name)
{
    const struct asked *asked = (const struct asked *)exchange;
    return strcmp(name, "If-None-Match") == 0 ? yo_span_of(asked->if_none_match)
                                              : YO_SPAN_NONE;
}

static void keep(char *out, const char *value)
{
    snprintf(out, 64, "%s", value);
}

static void asked_answer(struct yo_exchange *exchange, int status,
                         const char *const *headers, struct yo_span body)
{
    struct asked *asked = (struct asked *)exchange;
    assert_int_equal(asked->status, 0); /* one answer */
    asked->status = status;
    for (; headers && headers[0]; headers += 2) {
        char *out = strcmp(headers[0], "Content-Type") == 0 ? asked->type
                    : strcmp(headers[0], "ETag") == 0       ? asked->etag
                    : strcmp(headers[0], "Location") == 0   ? asked->location
                    : strcmp(headers[0], "X-Extra") == 0    ? asked->extra
                                                            : NULL;
        if (out) {
            keep(out, headers[1]);
        }
    }
    yo_buf_clear(&asked->body);
    yo_buf_append_span(&asked->body, body);
}

static const struct yo_exchange_ops ops = {.header = asked_header,
                                           .answer = asked_answer};

static char dir[64], outside[80];
static struct yo_files *files;
static struct asked asked;
static const char *asked_query;

static void ask_with(const char *method, const char *path, const char *if_none_match)
{
    static const char *const extra[] = {"X-Extra", "yes", NULL};
    yo_buf_finish(&asked.body);
    memset(&asked, 0, sizeof(asked));
    yo_buf_init(&asked.body, &yo_mem_libc);
    asked.exchange.ops = &ops;
    asked.exchange.method = yo_span_of(method);
    asked.exchange.path = bytes_copy(yo_span_of(path));
    asked.exchange.query = asked_query ? yo_span_of(asked_query) : YO_SPAN_NONE;
    asked.if_none_match = if_none_match;
    yo_files_serve(files, &asked.exchange, asked.exchange.path, extra);
    assert_int_not_equal(asked.status, 0);
}

static void ask(const char *path)
{
    ask_with("GET", path, NULL);
}

static void put(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int start(void **state)
{
    char path[160];
    (void)state;
    strcpy(dir, "/tmp/yomo-files-XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    snprintf(outside, sizeof(outside), "%s-secret", dir);
    FILE *file = fopen(outside, "w");
    fputs("secret", file);
    fclose(file);
    put("index.html", "<!doctype html>");
    put("app.js", "let a;");
    put("a b.txt", "blank");
    put(".hidden", "hidden");
    put("data.unknown", "?");
    snprintf(path, sizeof(path), "%s/sub", dir);
    mkdir(path, 0755);
    put("sub/index.html", "sub");
    put("sub/style.css", "css");
    snprintf(path, sizeof(path), "%s/link", dir);
    if (symlink(outside, path) != 0) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/up", dir);
    if (symlink("..", path) != 0) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/fifo", dir);
    if (mkfifo(path, 0644) != 0) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/none", dir);
    mkdir(path, 0755);
    return yo_files_open(&files, &yo_mem_libc, dir, NULL);
}

static int stop(void **state)
{
    static const char *const names[] = {
        "index.html",     "app.js",        "a b.txt", ".hidden", "data.unknown",
        "sub/index.html", "sub/style.css", "link",    "up",      "fifo"};
    char path[160];
    (void)state;
    yo_buf_finish(&asked.body);
    yo_files_close(files);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/sub", dir);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/none", dir);
    rmdir(path);
    unlink(outside);
    return rmdir(dir);
}

static void files_are_served_with_their_types(void **state)
{
    (void)state;
    ask("/app.js");
    assert_int_equal(asked.status, 200);
    assert_string_equal(asked.type, "text/javascript; charset=utf-8");
    assert_string_equal(asked.extra, "yes");
    assert_text(yo_buf_span(&asked.body), "let a;");
    ask("/sub/style.css");
    assert_string_equal(asked.type, "text/css; charset=utf-8");
    ask("/a%20b.txt");
    assert_text(yo_buf_span(&asked.body), "blank");
    ask("/data.unknown");
    assert_string_equal(asked.type, "application/octet-stream");
}

static void a_folder_is_its_index(void **state)
{
    (void)state;
    ask("/");
    assert_int_equal(asked.status, 200);
    assert_text(yo_buf_span(&asked.body), "<!doctype html>");
    assert_string_equal(asked.type, "text/html; charset=utf-8");
    ask("/sub/");
    assert_text(yo_buf_span(&asked.body), "sub");
    ask("/sub");
    assert_int_equal(asked.status, 301);
    assert_string_equal(asked.location, "/sub/");
    asked_query = "room=a&id=b";
    ask("/sub");
    assert_string_equal(asked.location, "/sub/?room=a&id=b");
    asked_query = NULL;
    ask("/none/");
    assert_int_equal(asked.status, 404);
}

static void nothing_outside_the_folder_is_there(void **state)
{
    (void)state;
    char around[200];
    static const char *const paths[] = {"/..",
                                        "/../",
                                        "/../app.js",
                                        "/sub/../app.js",
                                        "/sub/..",
                                        "/%2e%2e/app.js",
                                        "/%2e%2e%2fapp.js",
                                        "/sub%2fstyle.css",
                                        "/..%5capp.js",
                                        "/.",
                                        "/./app.js",
                                        "/.hidden",
                                        "/%2ehidden",
                                        "//app.js",
                                        "/sub//style.css",
                                        "/app.js/",
                                        "/app.js/x",
                                        "/app.js%00",
                                        "/app.js%00.html",
                                        "/link",
                                        "/up",
                                        "/up/",
                                        "/fifo",
                                        "/absent",
                                        "/%",
                                        "/%zz",
                                        "",
                                        "app.js",
                                        "/none",
                                        "/~root",
                                        "/C:/x"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        ask(paths[i]);
        if (asked.status == 200 ||
            (asked.status != 404 && strcmp(paths[i], "/none") != 0)) {
            fail_msg("%d for %s", asked.status, paths[i]);
        }
    }
    snprintf(around, sizeof(around), "/up/%s", strrchr(outside, '/') + 1);
    ask(around);
    assert_int_equal(asked.status, 404);
}

static void what_the_client_has_is_not_sent_again(void **state)
{
    (void)state;
    char etag[64];
    ask("/app.js");
    strcpy(etag, asked.etag);
    ask_with("GET", "/app.js", etag);
    assert_int_equal(asked.status, 304);
    assert_int_equal(asked.body.size, 0);
    put("app.js", "let a = 1;");
    ask_with("GET", "/app.js", etag);
    assert_int_equal(asked.status, 200);
    assert_string_not_equal(asked.etag, etag);
    put("app.js", "let a;");
}

static void files_are_only_read(void **state)
{
    (void)state;
    ask_with("HEAD", "/app.js", NULL);
    assert_int_equal(asked.status, 200);
    ask_with("POST", "/app.js", NULL);
    assert_int_equal(asked.status, 405);
    ask_with("DELETE", "/app.js", NULL);
    assert_int_equal(asked.status, 405);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct yo_files *none;
    struct yo_buf why;
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_files_open(&none, &yo_mem_libc, "/nonexistent", &why),
                     YOMO_ERR_FILE);
    assert_text(yo_buf_span(&why), "/nonexistent: No such file or directory");
    yo_buf_finish(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_served_with_their_types),
        cmocka_unit_test(a_folder_is_its_index),
        cmocka_unit_test(nothing_outside_the_folder_is_there),
        cmocka_unit_test(what_the_client_has_is_not_sent_again),
        cmocka_unit_test(files_are_only_read),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
