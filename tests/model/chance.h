/* SPDX-License-Identifier: MIT */
/* chance.h - the clock, and all that the library takes for chance: a run is made again
 * from its seed. The executable is linked with --wrap for what stands here. */
#ifndef TESTS_MODEL_CHANCE_H
#define TESTS_MODEL_CHANCE_H

#include <stdbool.h>

#include "base/rand.h"
#include "base/time.h"

extern yo_time model_now; /* what every clock says */

void chance_seed(uint64_t seed);
uint64_t chance_below(uint64_t limit);
bool chance_of(unsigned percent);

#endif
