/* SPDX-License-Identifier: MIT */
/* memory.h - our allocator as ngtcp2 and nghttp3 want it. */
#ifndef YO_WEBTRANSPORT_MEMORY_H
#define YO_WEBTRANSPORT_MEMORY_H

#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>

#include "base/mem.h"

struct yo_quic_mem {
    ngtcp2_mem quic;
    nghttp3_mem http;
};

/* `mem` must outlive whatever is made with them. */
void yo_quic_mem_init(struct yo_quic_mem *out, const struct yomo_mem *mem);

#endif
