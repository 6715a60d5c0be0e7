/* SPDX-License-Identifier: MIT */
/* flow.h - flow control of one session (draft-ietf-webtrans-http3-16 5): how much of
 * the streams' content, and how many streams, each side may send in all. Pure: it
 * counts, and says which capsules are due.
 *
 * Stream headers and datagrams do not count; what a stream that was reset had sent
 * does. */
#ifndef YO_WEBTRANSPORT_FLOW_H
#define YO_WEBTRANSPORT_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/webtransport/settings.h"

enum yo_flow_kind { YO_FLOW_DATA, YO_FLOW_BIDI, YO_FLOW_UNI, YO_FLOW_KINDS };

struct yo_flow {
    struct {
        uint64_t max, used;
        uint64_t
            told; /* the limit at which we last said that it holds us back, and 1 */
    } out[YO_FLOW_KINDS];
    struct {
        uint64_t max, used, done, window;
    } in[YO_FLOW_KINDS];
    unsigned due; /* capsules to be sent, as bits */
};

void yo_flow_init(struct yo_flow *flow, const struct yo_wt_limits *ours,
                  const struct yo_wt_limits *theirs);

/* --- What we send ----------------------------------------------------------------- */
uint64_t yo_flow_left(const struct yo_flow *flow, enum yo_flow_kind kind);
void yo_flow_use(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count);
void yo_flow_blocked(struct yo_flow *flow,
                     enum yo_flow_kind kind); /* it is too little */

/* --- What we take ----------------------------------------------------------------- */
/* YOMO_ERR_PROTO: more than was allowed. */
int yo_flow_take(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count);
/* So much of it is done with: the peer may send as much again, soon. */
void yo_flow_done(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count);

/* Of what we take there may be more at a time, by so much. */
void yo_flow_widen(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count);

/* --- Capsules --------------------------------------------------------------------- */
/* One of capsule.h has come. `raised`: we may send more. YOMO_ERR_PROTO: a limit that
 * does not grow, or more streams than there can be. */
int yo_flow_hear(struct yo_flow *flow, uint64_t type, uint64_t number, bool *raised);
/* The next one to send; false: none is due. yo_flow_said once it is on its way. */
bool yo_flow_say(const struct yo_flow *flow, uint64_t *type, uint64_t *number);
void yo_flow_said(struct yo_flow *flow, uint64_t type);

#endif
