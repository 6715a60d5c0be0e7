/* SPDX-License-Identifier: MIT */
/* signals.h - signals as bytes in a pipe, to be watched beside everything else.
 *
 * Only the program does this: the library never touches a signal's disposition. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* Catch SIGINT, SIGTERM, SIGQUIT and SIGHUP, and SIGWINCH; ignore SIGPIPE. Returns the
 * descriptor to watch, or -1. */
int signals_catch(void);

/* The next signal that came, or 0. */
int signals_take(void);

/* Has one come that asks the program to end? A call that waits asks this when it was
 * interrupted. */
bool signals_ending(void);

/* Put `number` into the pipe as if it were a signal: safe from any thread and from a
 * signal handler. */
void signals_post(int number);

#endif
