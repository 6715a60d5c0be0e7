/* SPDX-License-Identifier: MIT */
/* numbers.h - the lanes and close codes of transport/transport.h that sessions speak
 * of; pure folders do not see that header. A unit test compares the two. */
#ifndef YO_SESSION_NUMBERS_H
#define YO_SESSION_NUMBERS_H

enum { LANE_DATAGRAM = 0, LANE_CONTROL = 1, LANE_ROOMS = 2 };

enum { CODE_PROTOCOL = 1002, CODE_SLOW = 3001, CODE_SILENT = 3002 };

#endif
