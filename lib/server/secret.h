/* SPDX-License-Identifier: MIT */
/* secret.h - the 32 bytes that a server keeps to itself, from one start to the next.
 *
 * Connection IDs, stateless resets and retry tokens are made with them; a server that
 * comes back with the same secret can tell the clients of its former self to let go. */
#ifndef YO_SERVER_SECRET_H
#define YO_SERVER_SECRET_H

#include <stdint.h>

#include "base/buf.h"

#define YO_SECRET_SIZE 32

/* Read `dir`/secret, or make it (0600) when it is missing; several processes may do so
 * at once and all get the same. Refuses a file that others may read. YOMO_ERR_FILE with
 * a sentence in `why`, YOMO_ERR_NOMEM. */
int yo_secret_ready(const char *dir, const struct yomo_mem *mem,
                    uint8_t secret[YO_SECRET_SIZE], struct yo_buf *why);

#endif
