/* SPDX-License-Identifier: MIT */
/* codes.c - 2^32 codes in a row, but for one of 31, which HTTP/3 keeps for grease. */
#include "transport/webtransport/codes.h"

#define FIRST UINT64_C(0x52e4a40fa8db)
#define LAST UINT64_C(0x52e5ac983162)

uint64_t yo_wt_code_to_h3(uint32_t code)
{
    return FIRST + code + code / 0x1e;
}

bool yo_wt_code_from_h3(uint64_t h3, uint32_t *code)
{
    if (h3 < FIRST || h3 > LAST || (h3 - 0x21) % 0x1f == 0) {
        return false;
    }
    *code = (uint32_t)(h3 - FIRST - (h3 - FIRST) / 0x1f);
    return true;
}
