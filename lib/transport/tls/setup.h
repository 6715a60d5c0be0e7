/* SPDX-License-Identifier: MIT */
/* setup.h - OpenSSL and files as this library wants them; for the files of tls/, and for
 * who reads keys of another kind. */
#ifndef YO_TLS_SETUP_H
#define YO_TLS_SETUP_H

#include <openssl/ssl.h>

#include "base/buf.h"

/* Once for the process, before anything else of OpenSSL: no configuration file of the
 * host's, nothing at exit. Thread: any. */
void yo_tls_setup(void);

/* Append what OpenSSL's error queue says last, and empty it. */
void yo_tls_explain(struct yo_buf *why);

/* "PATH: REASON" in `why` (may be NULL); YOMO_ERR_FILE. */
int yo_tls_file_error(struct yo_buf *why, const char *path, const char *reason);

/* The whole of `path`, at most 1 MiB. YOMO_ERR_FILE, YOMO_ERR_NOMEM. */
int yo_tls_read_file(struct yo_buf *out, const char *path, struct yo_buf *why);

/* Is the open file a regular one of this user's that nobody else may read or write?
 * YOMO_ERR_FILE; `why` says what would help. */
int yo_tls_check_private(int fd, const char *path, struct yo_buf *why);
/* As yo_tls_read_file, of such a file only. */
int yo_tls_read_private_file(struct yo_buf *out, const char *path, struct yo_buf *why);
/* Put `bytes` there, mode 0600, all or nothing, in place of what is there. */
int yo_tls_write_private_file(const char *path, struct yo_span bytes,
                              const struct yomo_mem *mem, struct yo_buf *why);

/* Wait for the lock that the file `path` is (made if missing). Returns a descriptor:
 * close it to let go; -1 after an error. A file system without locks has none. */
int yo_tls_lock(const char *path, struct yo_buf *why);

/* The folder belongs to this user and nobody else may write in it. */
bool yo_state_dir_private(const char *dir);

#endif
