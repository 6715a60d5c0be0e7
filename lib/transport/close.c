/* SPDX-License-Identifier: MIT */
/* close.c - what a close code means, for every transport (docs/protocol.md has the
 * table). A library of its own, since the engines stand below the rest of transport/.
 */
#include "transport/transport.h"

enum yo_close_kind yo_close_kind_of(uint32_t code)
{
    switch (code) {
    case YO_CODE_NORMAL:
        return YO_CLOSE_DONE;
    case YO_CODE_PROTOCOL:
    case YO_CODE_UNSUPPORTED:
    case 1007: /* not UTF-8 */
    case 1008: /* policy */
    case YO_CODE_TOO_BIG:
    case 1010: /* an extension is missing */
        return YO_CLOSE_FINAL;
    default:
        return code >= 4000 ? YO_CLOSE_FINAL : YO_CLOSE_RETRY;
    }
}

bool yo_close_is_farewell(uint32_t code)
{
    return code == 0 || code == YO_CODE_NORMAL || code == YO_CODE_GOING_AWAY;
}

int yo_close_error_of(uint32_t code)
{
    switch (code) {
    case YO_CODE_NORMAL:
        return YOMO_OK;
    case YO_CODE_GOING_AWAY:
        return YOMO_ERR_DRAINING;
    case YO_CODE_PROTOCOL:
    case YO_CODE_UNSUPPORTED:
        return YOMO_ERR_PROTO;
    case 1007:
        return YOMO_ERR_MALFORMED;
    case YO_CODE_TOO_BIG:
        return YOMO_ERR_TOO_BIG;
    case YO_CODE_TRY_LATER:
        return YOMO_ERR_FULL;
    case YO_CODE_SLOW:
        return YOMO_ERR_SLOW;
    case YO_CODE_SILENT:
        return YOMO_ERR_TIMEOUT;
    case YO_CODE_AUTH:
        return YOMO_ERR_AUTH;
    case 1008:
    case YO_CODE_DENIED:
        return YOMO_ERR_DENIED;
    case YO_CODE_KICKED:
        return YOMO_ERR_KICKED;
    default:
        return code >= 4000 ? YOMO_ERR_DENIED : YOMO_ERR_CLOSED;
    }
}
