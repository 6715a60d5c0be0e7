/* SPDX-License-Identifier: MIT */
/* check.h - what callers owe us, and what we owe ourselves.
 *
 * YO_REQUIRE guards public entry points: a wrong argument is the caller's error and
 * comes back as YOMO_ERR_INVALID. Our own invariants use assert(), which stays on in
 * release builds; those that cost more than a comparison use YO_CHECK and -Dchecks=true. */
#ifndef YO_BASE_CHECK_H
#define YO_BASE_CHECK_H

#include <assert.h>
#include <yomo/error.h>

#define YO_REQUIRE(condition)                                                            \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            return YOMO_ERR_INVALID;                                                     \
        }                                                                                \
    } while (0)

#ifdef YO_CHECKS
#define YO_CHECK(call) (call)
#else
#define YO_CHECK(call) ((void)0)
#endif

#endif
