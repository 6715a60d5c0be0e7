/* SPDX-License-Identifier: MIT */
/* echo.h - /echo: every message goes back on the lane on which it came. For tests of
 * clients, networks and proxies. */
#ifndef YO_SERVER_ECHO_H
#define YO_SERVER_ECHO_H

#include "transport/listen.h"

struct yo_worker;

void yo_echo_accept(struct yo_worker *worker, struct yo_incoming *incoming,
                    bool extension);
void yo_echo_end_all(struct yo_worker *worker);   /* and their ends follow */
void yo_echo_abort_all(struct yo_worker *worker); /* those that did not */

#endif
