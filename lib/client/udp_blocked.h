/* SPDX-License-Identifier: MIT */
/* udp_blocked.h - hosts to which UDP did not get through shortly before.
 *
 * One small table for the whole process, since what stands in the way (a firewall, a
 * proxy) stands in the way of every client in it. It only tells a race when WebSocket
 * should start; nothing depends on it being right. A full table forgets what would have
 * been forgotten first.
 *
 * Thread: any. */
#ifndef YO_CLIENT_UDP_BLOCKED_H
#define YO_CLIENT_UDP_BLOCKED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/time.h"

#define YO_UDP_BLOCKED_MAX 32                /* hosts remembered */
#define YO_UDP_BLOCKED_FOR (300 * YO_SECOND) /* after a failure */
#define YO_UDP_SLOW_FOR (60 * YO_SECOND)     /* after a race that was merely lost */

/* Remember `host` and `port` until `until`, or longer if that is known already. */
void yo_udp_blocked_note(struct yo_span host, uint16_t port, yo_time until);

/* UDP did get through. */
void yo_udp_blocked_clear(struct yo_span host, uint16_t port);

bool yo_udp_blocked(struct yo_span host, uint16_t port, yo_time now);

#endif
