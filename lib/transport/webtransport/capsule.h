/* SPDX-License-Identifier: MIT */
/* capsule.h - the capsules of a WebTransport session (RFC 9297 3.2): bytes in any
 * pieces come in, whole capsules that we know come out.
 *
 * What we do not know is skipped without being kept, however long it is. */
#ifndef YO_WEBTRANSPORT_CAPSULE_H
#define YO_WEBTRANSPORT_CAPSULE_H

#include <stdbool.h>

#include "base/span.h"

#define YO_CAPSULE_CLOSE UINT64_C(0x2843)
#define YO_CAPSULE_DRAIN UINT64_C(0x78ae)

#define YO_CLOSE_TEXT_MAX 1024 /* bytes, draft-ietf-webtrans-http3-16 6 */
#define YO_CAPSULE_SIZE_MAX (3 + 2 + 4 + YO_CLOSE_TEXT_MAX)

struct yo_capsules {
    enum { YO_CAPSULE_HEAD, YO_CAPSULE_VALUE, YO_CAPSULE_SKIP } state;
    uint8_t head[16]; /* type and length as far as they have come */
    uint8_t head_size;
    bool closed; /* a CLOSE has come: nothing may follow */
    uint64_t type, left;
    size_t value_size;
    uint8_t value[4 + YO_CLOSE_TEXT_MAX]; /* of a CLOSE */
};

enum yo_capsule_event { YO_CAPSULE_NONE, YO_CAPSULE_IS_CLOSE, YO_CAPSULE_IS_DRAIN };

struct yo_capsule {
    enum yo_capsule_event event;
    uint32_t code;       /* CLOSE */
    struct yo_span text; /* CLOSE; good until the next call */
};

void yo_capsules_init(struct yo_capsules *capsules);

/* Read from the front of `bytes` until a capsule that we know is complete or all is
 * read; `bytes` is moved on. YOMO_ERR_PROTO: a CLOSE that is too short, too long or not
 * UTF-8, or bytes behind one. */
int yo_capsules_read(struct yo_capsules *capsules, struct yo_span *bytes,
                     struct yo_capsule *capsule);

/* Is a capsule cut short, should the stream end here? */
bool yo_capsules_partial(const struct yo_capsules *capsules);

/* Write a CLOSE; `out` has YO_CAPSULE_SIZE_MAX bytes, `text` at most YO_CLOSE_TEXT_MAX.
 * Returns the number written. */
size_t yo_capsule_write_close(uint8_t *out, uint32_t code, struct yo_span text);
size_t yo_capsule_write_drain(uint8_t *out);

#endif
