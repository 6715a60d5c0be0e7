/* SPDX-License-Identifier: MIT */
/* rig_listener.h - transport/listen.h without a network, for one process of tests. */
#ifndef TESTS_UNIT_SERVER_RIG_LISTENER_H
#define TESTS_UNIT_SERVER_RIG_LISTENER_H

#include "transport/listen.h"

struct client;

/* Ask the listener's owner; what it answers is written into `client`. */
struct yo_incoming *rig_listener_knock(struct yo_listener *listener,
                                       struct client *client,
                                       const struct yo_request *request);

/* The client went away before the answer. */
void rig_listener_go(struct yo_incoming *incoming);

void rig_listener_forget(struct yo_incoming *incoming);

#endif
