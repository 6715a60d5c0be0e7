/* SPDX-License-Identifier: MIT */
/* output.h - lines on stdout, each one written at once and whole. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

#include "text.h"

/* Write `text` and forget it. False when nobody reads any more. */
bool output_flush(struct text *text);

#endif
