/* SPDX-License-Identifier: MIT */
/* Frames of a packet, cut anywhere: what was found in the shorter one is found first in
 * the longer one. */
#include <stdlib.h>
#include <string.h>

#include "transport/webtransport/stops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct yo_stops whole, half;
    whole.count = half.count = 0;
    yo_stops_read(&whole, yo_span(data, size));
    yo_stops_read(&half, yo_span(data, size / 2));
    if (half.count > whole.count || whole.count > YO_STOPS_MAX) {
        abort();
    }
    for (size_t i = 0; i < half.count; i++) {
        if (memcmp(&half.stops[i], &whole.stops[i], sizeof(half.stops[i])) != 0) {
            abort();
        }
    }
    return 0;
}
