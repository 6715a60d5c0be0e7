/* SPDX-License-Identifier: MIT */
/* crowd.h - how many connections there are, of whom, over all workers and doors.
 *
 * One for a server. Somebody who comes in is counted for all and under a key (an
 * address); past either limit he is not let in. What is shared between threads is this
 * and nothing else of a connection, and it is asked only when one comes or goes.
 *
 * Thread: any. */
#ifndef YO_TRANSPORT_CROWD_H
#define YO_TRANSPORT_CROWD_H

#include <stdint.h>

#include "base/mem.h"
#include "base/span.h"

#define YO_CROWD_KEY_MAX 16 /* bytes */

struct yo_crowd;
struct yo_guest; /* all with one key */

/* Limits of 0 are none. `mem` must outlive it and be fit for all threads.
 * YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_crowd_create(struct yo_crowd **out, const struct yomo_mem *mem, uint32_t max,
                    uint32_t max_of_one);
void yo_crowd_destroy(struct yo_crowd *crowd); /* when all have left; accepts NULL */

/* Count one more of `key`; without a key he is counted for all only. The handle is for
 * yo_crowd_leave. YOMO_ERR_FULL, YOMO_ERR_NOMEM. */
int yo_crowd_enter(struct yo_crowd *crowd, struct yo_span key, struct yo_guest **out);

/* He turns out to be of `key`. After an error he is still who he was. The same errors.
 */
int yo_crowd_rename(struct yo_crowd *crowd, struct yo_guest **guest,
                    struct yo_span key);

void yo_crowd_leave(struct yo_crowd *crowd, struct yo_guest *guest); /* accepts NULL */

#endif
