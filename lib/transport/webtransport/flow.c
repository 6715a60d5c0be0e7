/* SPDX-License-Identifier: MIT */
/* flow.c - invariants: used <= max, both ways; done <= used. */
#include "transport/webtransport/flow.h"

#include <assert.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/capsule.h"

#define STREAMS_MAX (UINT64_C(1) << 60)

/* In the order of the bits of `due`: limits by kind, then what is blocked by kind. */
static const uint64_t types[2 * YO_FLOW_KINDS] = {
    YO_CAPSULE_MAX_DATA,
    YO_CAPSULE_MAX_STREAMS_BIDI,
    YO_CAPSULE_MAX_STREAMS_UNI,
    YO_CAPSULE_DATA_BLOCKED,
    YO_CAPSULE_STREAMS_BLOCKED_BIDI,
    YO_CAPSULE_STREAMS_BLOCKED_UNI,
};

void yo_flow_init(struct yo_flow *flow, const struct yo_wt_limits *ours,
                  const struct yo_wt_limits *theirs)
{
    const uint64_t in[] = {ours->data, ours->bidirectional, ours->unidirectional};
    const uint64_t out[] = {theirs->data, theirs->bidirectional,
                            theirs->unidirectional};
    *flow = (struct yo_flow){.due = 0};
    for (int kind = 0; kind < YO_FLOW_KINDS; kind++) {
        flow->in[kind].max = flow->in[kind].window = in[kind];
        flow->out[kind].max = out[kind];
    }
}

uint64_t yo_flow_left(const struct yo_flow *flow, enum yo_flow_kind kind)
{
    return flow->out[kind].max - flow->out[kind].used;
}

void yo_flow_use(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count)
{
    assert(count <= yo_flow_left(flow, kind));
    flow->out[kind].used += count;
}

void yo_flow_blocked(struct yo_flow *flow, enum yo_flow_kind kind)
{
    if (flow->out[kind].told != flow->out[kind].max + 1) {
        flow->out[kind].told = flow->out[kind].max + 1;
        flow->due |= 1u << (YO_FLOW_KINDS + kind);
    }
}

int yo_flow_take(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count)
{
    if (count > flow->in[kind].max - flow->in[kind].used) {
        return YOMO_ERR_PROTO;
    }
    flow->in[kind].used += count;
    return YOMO_OK;
}

/* The limit that could be given now. */
static uint64_t limit(const struct yo_flow *flow, enum yo_flow_kind kind)
{
    uint64_t top = kind == YO_FLOW_DATA ? YO_VARINT_MAX : STREAMS_MAX;
    uint64_t done = flow->in[kind].done, window = flow->in[kind].window;
    return done < top - window ? done + window : top;
}

/* Is it worth saying? */
static void note_due(struct yo_flow *flow, enum yo_flow_kind kind)
{
    if (limit(flow, kind) - flow->in[kind].max >= (flow->in[kind].window + 1) / 2 &&
        limit(flow, kind) > flow->in[kind].max) {
        flow->due |= 1u << kind;
    }
}

void yo_flow_done(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count)
{
    assert(count <= flow->in[kind].used - flow->in[kind].done);
    flow->in[kind].done += count;
    note_due(flow, kind);
}

void yo_flow_widen(struct yo_flow *flow, enum yo_flow_kind kind, uint64_t count)
{
    flow->in[kind].window += count;
    note_due(flow, kind);
}

int yo_flow_hear(struct yo_flow *flow, uint64_t type, uint64_t number, bool *raised)
{
    *raised = false;
    for (int kind = 0; kind < YO_FLOW_KINDS; kind++) {
        if (types[kind] != type) {
            continue;
        }
        if (number <= flow->out[kind].max ||
            (kind != YO_FLOW_DATA && number > STREAMS_MAX)) {
            return YOMO_ERR_PROTO;
        }
        flow->out[kind].max = number;
        flow->due &= ~(1u << (YO_FLOW_KINDS + kind));
        *raised = true;
        return YOMO_OK;
    }
    /* That the peer is held back we know; it says so for whoever reads along. */
    bool streams = type != YO_CAPSULE_DATA_BLOCKED;
    return streams && number > STREAMS_MAX ? YOMO_ERR_PROTO : YOMO_OK;
}

bool yo_flow_say(const struct yo_flow *flow, uint64_t *type, uint64_t *number)
{
    for (int i = 0; i < 2 * YO_FLOW_KINDS; i++) {
        if ((flow->due & 1u << i) != 0) {
            *type = types[i];
            *number =
                i < YO_FLOW_KINDS ? limit(flow, i) : flow->out[i - YO_FLOW_KINDS].max;
            return true;
        }
    }
    return false;
}

void yo_flow_said(struct yo_flow *flow, uint64_t type)
{
    for (int i = 0; i < 2 * YO_FLOW_KINDS; i++) {
        if (types[i] == type) {
            flow->due &= ~(1u << i);
            if (i < YO_FLOW_KINDS) {
                flow->in[i].max = limit(flow, i);
            }
        }
    }
}
