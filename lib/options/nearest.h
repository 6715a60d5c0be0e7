/* SPDX-License-Identifier: MIT */
/* nearest.h - which option somebody probably meant. */
#ifndef YO_OPTIONS_NEAREST_H
#define YO_OPTIONS_NEAREST_H

#include "options/table.h"

/* The name in `scope` that is closest to `word`: few letters apart (swapped neighbours
 * count once), or one contains the other. NULL when none is close. */
const char *yo_option_nearest(int32_t scope, struct yo_span word);

#endif
