/* SPDX-License-Identifier: MIT */
#include "client/inside.h"

int32_t yomo_status_state(const yomo_status *status)
{
    return status ? status->state : YOMO_CLIENT_IDLE;
}

int32_t yomo_status_error(const yomo_status *status)
{
    return status ? status->error : YOMO_OK;
}

const char *yomo_status_text(const yomo_status *status)
{
    return status ? status->text : "";
}

int32_t yomo_status_transport(const yomo_status *status)
{
    return status ? status->transport : YOMO_TRANSPORT_NONE;
}

uint64_t yomo_status_retry_ms(const yomo_status *status)
{
    return status ? status->retry_ms : 0;
}

int32_t yomo_status_extension(const yomo_status *status)
{
    return status ? status->extension : 0;
}

int32_t yomo_status_resumed(const yomo_status *status)
{
    return status ? status->resumed : 0;
}

const char *yomo_transport_name(int32_t kind)
{
    switch (kind) {
    case YOMO_TRANSPORT_NONE:
        return "none";
    case YOMO_TRANSPORT_WEBTRANSPORT:
        return "webtransport";
    case YOMO_TRANSPORT_WEBSOCKET:
        return "websocket";
    case YOMO_TRANSPORT_MEMORY:
        return "memory";
    case YOMO_TRANSPORT_CUSTOM:
        return "custom";
    default:
        return "unknown";
    }
}
