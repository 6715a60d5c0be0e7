/* SPDX-License-Identifier: MIT */
/* files.h - a folder's files as HTTP answers, and nothing outside the folder.
 *
 * A path is taken apart and each name opened below the one before, never through a
 * symbolic link: "..", a link, a hidden file or anything that is not a regular file is
 * simply not there. Files are read when they are asked for; what a page is made of is
 * small. Thread: one at a time. */
#ifndef YO_HTTP_FILES_H
#define YO_HTTP_FILES_H

#include "base/buf.h"
#include "base/mem.h"
#include "transport/http/exchange.h"

#define YO_HTTP_FILE_MAX (16 << 20) /* larger ones are not served */

struct yo_files;

/* The folder is opened now; what is renamed over it later is not followed.
 * YOMO_ERR_FILE with the reason in `why`, YOMO_ERR_NOMEM. */
int yo_files_open(struct yo_files **out, const struct yomo_mem *mem, const char *folder,
                  struct yo_buf *why);
void yo_files_close(struct yo_files *files); /* accepts NULL */

/* Answer `exchange` with the file at `path` below the folder ("/app.js"; "/" and names
 * of folders mean their index.html): 200, 304 when the client has it, 404, or 405.
 * `headers` are added to what is found; may be NULL. */
void yo_files_serve(struct yo_files *files, struct yo_exchange *exchange,
                    struct yo_span path, const char *const *headers);

/* By the name's ending; "application/octet-stream" when it is not known. */
const char *yo_http_content_type(struct yo_span name);

#endif
