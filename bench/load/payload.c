/* SPDX-License-Identifier: MIT */
/* payload.c - what is in a payload, and whether it came before.
 *
 * 16 hexadecimal digits of time, 8 of number, 6 of place, 2 of stage, then a part of
 * one long pattern that begins where number and place say. */
#include "load.h"

#include <string.h>

#define PATTERN_STEPS 64

static char pattern[PAYLOAD_MAX + PATTERN_STEPS];

void payload_prepare(void)
{
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (char)('A' + (i * i + i / 7) % 26);
    }
}

static const char *pattern_of(const struct payload *payload)
{
    return pattern + (payload->number + payload->place) % PATTERN_STEPS;
}

static void put_hex(char *out, int digits, uint64_t value)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

static bool get_hex(const char *text, int digits, uint64_t *value)
{
    uint64_t sum = 0;

    for (int i = 0; i < digits; i++) {
        unsigned c = (unsigned char)text[i];
        unsigned digit = c - '0' < 10 ? c - '0' : c - 'a' < 6 ? c - 'a' + 10 : 16;
        if (digit > 15) {
            return false;
        }
        sum = sum << 4 | digit;
    }
    *value = sum;
    return true;
}

void payload_write(const struct payload *payload, char *out, size_t size)
{
    put_hex(out, 16, payload->at);
    put_hex(out + 16, 8, payload->number);
    put_hex(out + 24, 6, payload->place);
    put_hex(out + 30, 2, payload->stage);
    memcpy(out + PAYLOAD_HEAD, pattern_of(payload), size - PAYLOAD_HEAD);
}

bool payload_read(struct payload *payload, const char *text, size_t size)
{
    uint64_t number, place, stage;

    if (size < PAYLOAD_HEAD || size > PAYLOAD_MAX || !get_hex(text, 16, &payload->at) ||
        !get_hex(text + 16, 8, &number) || !get_hex(text + 24, 6, &place) ||
        !get_hex(text + 30, 2, &stage) || stage >= STAGES_MAX) {
        return false;
    }
    payload->number = (uint32_t)number;
    payload->place = (uint32_t)place;
    payload->stage = (unsigned)stage;
    return memcmp(text + PAYLOAD_HEAD, pattern_of(payload), size - PAYLOAD_HEAD) == 0;
}

enum track_news track_note(struct track *track, uint32_t number)
{
    uint32_t behind;

    if (number >= track->next) {
        uint32_t ahead = number - track->next + 1;
        track->before = ahead >= 64 ? 0 : track->before << ahead;
        track->before |= 1;
        track->next = number + 1;
        return TRACK_NEW;
    }
    behind = track->next - 1 - number;
    if (behind >= 64) {
        return TRACK_LATE; /* by so much that nothing is known */
    }
    if ((track->before >> behind & 1) != 0) {
        return TRACK_AGAIN;
    }
    track->before |= UINT64_C(1) << behind;
    return TRACK_LATE;
}
