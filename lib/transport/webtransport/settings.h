/* SPDX-License-Identifier: MIT */
/* settings.h - what both sides' SETTINGS frames say.
 *
 * Every dialect of WebTransport announces itself with a setting of its own; a server
 * that sends them all is understood by every browser in the field. */
#ifndef YO_WEBTRANSPORT_SETTINGS_H
#define YO_WEBTRANSPORT_SETTINGS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/* What a peer's SETTINGS say of WebTransport, as bits. */
enum {
    YO_WT_DRAFT02 = 1 << 0, /* 0x2b603742 = 1: Chromium, Firefox */
    YO_WT_DRAFT07 = 1 << 1, /* 0xc671706a > 0 */
    YO_WT_DRAFT13 = 1 << 2, /* 0x14e9cd29 > 0: Safari */
    YO_WT_DRAFT15 = 1 << 3, /* 0x2c7cf000 = 1 */
    YO_WT_QUINN = 1 << 4 /* 0x2b603743 > 0: a count of sessions that is in no draft */
};

/* What one session may send at first (5.5, WT_INITIAL_MAX_...). */
struct yo_wt_limits {
    uint64_t data, bidirectional, unidirectional;
};

struct yo_peer_settings {
    bool seen;  /* the frame has been read to its end */
    bool wrong; /* what it says cannot be: YO_H3_SETTINGS_ERROR */
    unsigned webtransport;
    bool h3_datagram, connect_protocol;
    uint64_t sessions; /* at once, the largest number that it gave; 0: none */
    struct yo_wt_limits limits;
    bool flow_control; /* of sessions; it is on when both sides declare it (5.1) */
};

/* Does a peer that speaks drafts 15 and later alone give what they demand (-16 3.1):
 * the datagrams of HTTP/3, and at a server extended CONNECT? Of older ones nothing is
 * demanded: there are some in the field that say less than they do. */
bool yo_settings_suffice(const struct yo_peer_settings *settings, bool of_server);

/* What we say. With more than one session flow control is declared. */
struct yo_own_settings {
    uint32_t sessions; /* at once */
    struct yo_wt_limits limits;
};

/* Reads the SETTINGS frame at the start of a control stream, in pieces of any size. The
 * frame's place and length are h3_frames.c's business. */
struct yo_settings_tee {
    enum { YO_TEE_TYPE, YO_TEE_FRAME, YO_TEE_PAIRS, YO_TEE_DONE } state;
    uint8_t partial[8];
    uint8_t partial_size;
    bool have_id, have_type;
    uint32_t known; /* bits: which of those that we know have come */
    uint64_t id, left;
};

/* Feed what comes on the control stream from its first byte on (the stream's type). */
void yo_settings_tee_read(struct yo_settings_tee *tee, struct yo_span bytes,
                          struct yo_peer_settings *settings);

/* Append our SETTINGS frame; `head_max` is SETTINGS_MAX_FIELD_SECTION_SIZE.
 * YOMO_ERR_NOMEM. */
int yo_settings_write(struct yo_buf *out, uint64_t head_max, bool server,
                      const struct yo_own_settings *own);

#endif
