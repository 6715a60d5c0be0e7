/* SPDX-License-Identifier: MIT */
/* order.h - what a member with the right `admin` in a room does to others in it. */
#ifndef YO_SERVER_ORDER_H
#define YO_SERVER_ORDER_H

#include "session/effects.h"

struct yo_peer;

/* Carried out, or refused: its client is told if it numbered the order. */
void yo_order_take(struct yo_peer *peer, const struct yo_effect *order);

#endif
