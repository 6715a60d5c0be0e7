/* SPDX-License-Identifier: MIT */
/* allowance.h - a rate that sessions on several threads share: so much in a second, and
 * as much at once.
 *
 * The same algorithm as quota.h, on one atomic moment: nobody waits for anybody, and
 * nothing runs when nothing happens. What is taken weighs more than 1 where bytes are
 * counted. Threads may be a little apart in their `now`; so much may one take less.
 *
 * Thread: any. */
#ifndef YO_SESSION_ALLOWANCE_H
#define YO_SESSION_ALLOWANCE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/time.h"

struct yo_allowance {
    _Atomic uint64_t per_second; /* 0: no limit */
    _Atomic uint64_t full;       /* when all of it will be there again */
};

/* What several sessions may send together (server_side.h). */
struct yo_rates {
    struct yo_allowance messages, bytes;
};

/* Zeroed memory limits nothing. Another rate than before begins anew. */
void yo_allowance_set(struct yo_allowance *allowance, uint64_t per_second);

/* Take `count`, if as much is there. More than a second's worth is given as well when
 * nothing was taken for long, and then owed: no message is too big for ever. */
bool yo_allowance_take(struct yo_allowance *allowance, uint64_t count, yo_time now);

/* It was not used after all. */
void yo_allowance_give_back(struct yo_allowance *allowance, uint64_t count);

#endif
