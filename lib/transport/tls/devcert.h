/* SPDX-License-Identifier: MIT */
/* devcert.h - the certificate for development: made here, trusted on this machine only.
 *
 * ECDSA P-256, valid for 13 days so that browsers take its hash (WebTransport's
 * serverCertificateHashes allow 14), subject alternative names localhost, 127.0.0.1 and
 * ::1. It lives in the state directory (0700) as dev-cert.pem and dev-key.pem (0600) and
 * is made anew when fewer than 2 days are left. */
#ifndef YO_TLS_DEVCERT_H
#define YO_TLS_DEVCERT_H

#include "base/buf.h"
#include "base/mem.h"

/* The usual state directory: $XDG_STATE_HOME/yomo, else ~/.local/state/yomo, else (no
 * home) YOMO_ERR_FILE. Appends a path with a NUL behind it. */
int yo_state_dir_default(struct yo_buf *out);

/* Make `dir` (and its parents) 0700 if it is missing; refuse one that others may write
 * or that is another user's. YOMO_ERR_FILE, `why` says it. */
int yo_state_dir_ready(const char *dir, struct yo_buf *why);

/* Make sure that a certificate that is good at `wall_ms` (milliseconds since 1970) lies
 * in `dir`; several processes may do so at once. Appends both paths, NUL-terminated.
 * `*fresh` tells that it was made now. YOMO_ERR_FILE, YOMO_ERR_TLS_SETUP, YOMO_ERR_NOMEM. */
int yo_devcert_ready(const char *dir, uint64_t wall_ms, struct yo_buf *cert_path,
                     struct yo_buf *key_path, bool *fresh, struct yo_buf *why);

#endif
