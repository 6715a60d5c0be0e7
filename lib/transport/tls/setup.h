/* SPDX-License-Identifier: MIT */
/* setup.h - OpenSSL as this library wants it; for the files of tls/, and for who reads
 * keys of another kind. */
#ifndef YO_TLS_SETUP_H
#define YO_TLS_SETUP_H

#include <openssl/ssl.h>

#include "base/buf.h"

/* Once for the process, before anything else of OpenSSL: no configuration file of the
 * host's, nothing at exit. Thread: any. */
void yo_tls_setup(void);

/* Append what OpenSSL's error queue says last, and empty it. */
void yo_tls_explain(struct yo_buf *why);

/* The whole of `path`, at most 1 MiB. YOMO_ERR_FILE, YOMO_ERR_NOMEM. */
int yo_tls_read_file(struct yo_buf *out, const char *path, struct yo_buf *why);

/* The folder belongs to this user and nobody else may write in it. */
bool yo_state_dir_private(const char *dir);

#endif
