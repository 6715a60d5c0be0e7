/* SPDX-License-Identifier: MIT */
/* settled.h - the wall clock, believed only after a while when it leaps ahead.
 *
 * What is deleted because it is old does not come back when a clock turns out to have
 * been wrong. So a leap forward counts once it has stood for YO_SETTLE_MS; until then the
 * time goes on as before. A clock that is set back is believed at once: nothing is lost
 * by keeping it longer. Pure. */
#ifndef YO_SERVER_HISTORY_SETTLED_H
#define YO_SERVER_HISTORY_SETTLED_H

#include <stdbool.h>
#include <stdint.h>

#define YO_SETTLE_MS (UINT64_C(600) * 1000)

/* Zeroed: the first look is believed. */
struct yo_settled {
    int64_t offset;  /* of the believed wall clock from the steady one */
    int64_t claimed; /* the same of a leap that has not settled yet */
    uint64_t since;  /* steady: when it was first seen; 0: there is none */
    bool known;
};

/* What time it is, in milliseconds since 1970. `wall_ms` is what the wall clock says,
 * `steady_ms` a clock that nobody sets. */
uint64_t yo_settled_ms(struct yo_settled *settled, uint64_t wall_ms,
                       uint64_t steady_ms);

#endif
