/* SPDX-License-Identifier: MIT */
/* path.h - a path whose instructions are counted.
 *
 * Callgrind counts while the statements of PATH are executed, and of that only what
 * stands in lib/ (count.py). What a path needs is made before. Clocks stand, and the
 * system's random numbers are a fixed sequence (still.c), so that tables are laid out
 * alike in each run. */
#ifndef TESTS_INSTRUCTIONS_PATH_H
#define TESTS_INSTRUCTIONS_PATH_H

#include <valgrind/callgrind.h>

#define PATH(name, ...)                \
    do {                               \
        CALLGRIND_TOGGLE_COLLECT;      \
        __VA_ARGS__;                   \
        CALLGRIND_TOGGLE_COLLECT;      \
        CALLGRIND_DUMP_STATS_AT(name); \
    } while (0)

#endif
