/* SPDX-License-Identifier: MIT */
/* pages.h - where the demo's pages lie. */
#ifndef CLI_PAGES_H
#define CLI_PAGES_H

#include <stdbool.h>

#define PAGES_PATH_MAX 4096

/* Beside the installed program, where it was to be installed, or in the source tree
 * that it was built from and has not left. False when they are nowhere. */
bool pages_find(char folder[PAGES_PATH_MAX]);

#endif
