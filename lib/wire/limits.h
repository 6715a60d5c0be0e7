/* SPDX-License-Identifier: MIT */
/* limits.h - hard bounds of the wire format.
 *
 * What the protocol can never exceed, whatever is configured. The limits that an
 * operator sets lie below these and are enforced by session/. */
#ifndef YO_WIRE_LIMITS_H
#define YO_WIRE_LIMITS_H

#define YO_MESSAGE_SIZE_MAX (16u << 20) /* one message, and so one stream frame */
#define YO_CHANNEL_SIZE_MAX 255u        /* bytes of a room's name */
#define YO_ID_SIZE_MAX 255u             /* bytes of a user's id */
#define YO_APP_SIZE_MAX 255u             /* bytes of an application's name */
#define YO_EVENT_SIZE_MAX 255u          /* bytes of an event's name */
#define YO_KEY_SIZE_MAX 255u            /* bytes of a LATEST key */
#define YO_VALUE_KEY_MAX 255u           /* bytes of a shared value's or lock's name */
#define YO_TARGETS_MAX 100u             /* members that one message names (to) */
#define YO_TEXT_SIZE_MAX 1024u          /* bytes of an error's text */
#define YO_TOKEN_SIZE_MAX 8192u         /* bytes of a token of any kind */
#define YO_MEMBER_DATA_SIZE_MAX 4096u   /* bytes of what a token says of a member */
#define YO_NESTING_MAX 32u              /* maps and arrays inside each other */

#define YO_PROTOCOL_VERSION 1u

#endif
