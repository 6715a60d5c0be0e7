/* SPDX-License-Identifier: MIT */
/* error.c - the two texts of each line of YOMO_ERROR_MAP. */
#include <yomo/error.h>

const char *yomo_strerror(int32_t error)
{
    switch (error) {
    case YOMO_OK:
        return "no error";
#define TEXT_CASE(name, number, text) \
    case YOMO_ERR_##name:             \
        return text;
        YOMO_ERROR_MAP(TEXT_CASE)
#undef TEXT_CASE
    default:
        return "unknown error";
    }
}

const char *yomo_error_name(int32_t error)
{
    switch (error) {
    case YOMO_OK:
        return "OK";
#define NAME_CASE(name, number, text) \
    case YOMO_ERR_##name:             \
        return #name;
        YOMO_ERROR_MAP(NAME_CASE)
#undef NAME_CASE
    default:
        return "UNKNOWN";
    }
}
