/* SPDX-License-Identifier: MIT */
/* capsule.h - the capsules of a WebTransport session (RFC 9297 3.2): bytes in any
 * pieces come in, whole capsules that we know come out.
 *
 * What we do not know is skipped without being kept, however long it is. */
#ifndef YO_WEBTRANSPORT_CAPSULE_H
#define YO_WEBTRANSPORT_CAPSULE_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/span.h"

#define YO_CAPSULE_CLOSE UINT64_C(0x2843)
#define YO_CAPSULE_DRAIN UINT64_C(0x78ae)
/* Flow control (draft-ietf-webtrans-http3-16 5.6): each has one number. */
#define YO_CAPSULE_MAX_DATA UINT64_C(0x190b4d3d)
#define YO_CAPSULE_MAX_STREAM_DATA UINT64_C(0x190b4d3e) /* HTTP/2's: forbidden */
#define YO_CAPSULE_MAX_STREAMS_BIDI UINT64_C(0x190b4d3f)
#define YO_CAPSULE_MAX_STREAMS_UNI UINT64_C(0x190b4d40)
#define YO_CAPSULE_DATA_BLOCKED UINT64_C(0x190b4d41)
#define YO_CAPSULE_STREAM_DATA_BLOCKED UINT64_C(0x190b4d42) /* forbidden */
#define YO_CAPSULE_STREAMS_BLOCKED_BIDI UINT64_C(0x190b4d43)
#define YO_CAPSULE_STREAMS_BLOCKED_UNI UINT64_C(0x190b4d44)

#define YO_CLOSE_TEXT_MAX 1024 /* bytes, draft-ietf-webtrans-http3-16 6 */
#define YO_CAPSULE_SIZE_MAX (3 + 2 + 4 + YO_CLOSE_TEXT_MAX)

struct yo_capsules {
    const struct yomo_mem *mem;
    bool flow_control; /* heed its capsules; else they are skipped */
    enum { YO_CAPSULE_HEAD, YO_CAPSULE_VALUE, YO_CAPSULE_SKIP } state;
    uint8_t head[16]; /* type and length as far as they have come; then a number */
    uint8_t head_size;
    bool closed; /* a CLOSE has come: nothing may follow */
    uint64_t type, left;
    size_t value_size;
    uint8_t *value; /* of a CLOSE, once one comes */
};

enum yo_capsule_event {
    YO_CAPSULE_NONE,
    YO_CAPSULE_IS_CLOSE,
    YO_CAPSULE_IS_DRAIN,
    YO_CAPSULE_IS_FLOW,      /* `type` and `number` say what */
    YO_CAPSULE_IS_FORBIDDEN, /* one that only HTTP/2 has */
};

struct yo_capsule {
    enum yo_capsule_event event;
    uint32_t code;       /* CLOSE */
    struct yo_span text; /* CLOSE; good until yo_capsules_finish */
    uint64_t type, number;
};

void yo_capsules_init(struct yo_capsules *capsules, const struct yomo_mem *mem);
void yo_capsules_finish(struct yo_capsules *capsules);

/* Read from the front of `bytes` until a capsule that we know is complete or all is
 * read; `bytes` is moved on. YOMO_ERR_PROTO: a CLOSE that is too short, too long or not
 * UTF-8, bytes behind one, or one of flow control that is not a number. YOMO_ERR_NOMEM.
 */
int yo_capsules_read(struct yo_capsules *capsules, struct yo_span *bytes,
                     struct yo_capsule *capsule);

/* Is a capsule cut short, should the stream end here? */
bool yo_capsules_partial(const struct yo_capsules *capsules);

/* Write a CLOSE; `out` has YO_CAPSULE_SIZE_MAX bytes, `text` at most YO_CLOSE_TEXT_MAX.
 * Returns the number written. */
size_t yo_capsule_write_close(uint8_t *out, uint32_t code, struct yo_span text);
size_t yo_capsule_write_drain(uint8_t *out);
#define YO_CAPSULE_FLOW_SIZE_MAX (4 + 1 + 8)
size_t yo_capsule_write_flow(uint8_t *out, uint64_t type, uint64_t number);

#endif
