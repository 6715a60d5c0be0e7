/* SPDX-License-Identifier: MIT */
/* settings.c - RFC 9114 7.2.4: pairs of varints in the first frame of a control stream.
 *
 * MAX_SESSIONS stays 1 in every dialect: more would declare session flow control in
 * drafts 13 and 14 (5.1), which we do not need with one session for each connection. */
#include "transport/webtransport/settings.h"

#include <yomo/error.h>

#include "base/varint.h"

#define SETTING_DRAFT02 UINT64_C(0x2b603742)
#define SETTING_DRAFT07 UINT64_C(0xc671706a)
#define SETTING_DRAFT13 UINT64_C(0x14e9cd29)
#define SETTING_DRAFT15 UINT64_C(0x2c7cf000)
#define SETTING_CONNECT_PROTOCOL 0x08 /* RFC 9220 3 */
#define SETTING_H3_DATAGRAM 0x33      /* RFC 9297 2.1.1 */
#define SETTING_H3_DATAGRAM_04 0xffd277
#define FRAME_SETTINGS 0x04

static void note(struct yo_peer_settings *settings, uint64_t id, uint64_t value)
{
    if (id == SETTING_DRAFT02 && value == 1) {
        settings->webtransport |= YO_WT_DRAFT02;
    } else if (id == SETTING_DRAFT07 && value > 0) {
        settings->webtransport |= YO_WT_DRAFT07;
    } else if (id == SETTING_DRAFT13 && value > 0) {
        settings->webtransport |= YO_WT_DRAFT13;
    } else if (id == SETTING_DRAFT15 && value > 0) {
        settings->webtransport |= YO_WT_DRAFT15;
    } else if (id == SETTING_CONNECT_PROTOCOL) {
        settings->connect_protocol = value == 1;
    } else if ((id == SETTING_H3_DATAGRAM || id == SETTING_H3_DATAGRAM_04) &&
               value == 1) {
        settings->h3_datagram = true;
    }
}

/* One more byte of a varint; true when it is complete. */
static bool collect(struct yo_settings_tee *tee, uint8_t byte, uint64_t *value)
{
    tee->partial[tee->partial_size++] = byte;
    if (yo_varint_read(yo_span(tee->partial, tee->partial_size), value) == 0) {
        return false;
    }
    tee->partial_size = 0;
    return true;
}

static void take_number(struct yo_settings_tee *tee, uint64_t value,
                        struct yo_peer_settings *settings)
{
    switch (tee->state) {
    case YO_TEE_TYPE:
        tee->state = YO_TEE_FRAME;
        break;
    case YO_TEE_FRAME:
        if (!tee->have_type) {
            tee->have_type = true;
            tee->id = value;
            if (value != FRAME_SETTINGS) {
                tee->state = YO_TEE_DONE; /* nghttp3 will complain */
            }
            break;
        }
        tee->left = value;
        tee->state = YO_TEE_PAIRS;
        break;
    case YO_TEE_PAIRS:
        if (!tee->have_id) {
            tee->have_id = true;
            tee->id = value;
        } else {
            tee->have_id = false;
            note(settings, tee->id, value);
        }
        break;
    case YO_TEE_DONE:
        break;
    }
}

void yo_settings_tee_read(struct yo_settings_tee *tee, struct yo_span bytes,
                          struct yo_peer_settings *settings)
{
    for (size_t i = 0; i < bytes.size && tee->state != YO_TEE_DONE; i++) {
        uint64_t value;
        if (tee->state == YO_TEE_PAIRS) {
            tee->left--;
        }
        if (collect(tee, bytes.data[i], &value)) {
            take_number(tee, value, settings);
        }
        if (tee->state == YO_TEE_PAIRS && tee->left == 0) {
            tee->state = YO_TEE_DONE;
            settings->seen = true;
        }
    }
}

int yo_settings_splice(struct yo_buf *out, struct yo_span head)
{
    static const uint64_t ours[] = {SETTING_DRAFT02, SETTING_DRAFT07, SETTING_DRAFT13,
                                    SETTING_DRAFT15};
    uint8_t extra[sizeof(ours) / sizeof(ours[0]) * (YO_VARINT_SIZE_MAX + 1)];
    uint8_t start[2 + YO_VARINT_SIZE_MAX] = {0x00, FRAME_SETTINGS};
    size_t extra_size = 0;
    uint64_t length = 0;

    if (head.size < 3 || head.data[0] != 0x00 || head.data[1] != FRAME_SETTINGS) {
        return YOMO_ERR_STATE;
    }
    struct yo_span rest = yo_span_skip(head, 2);
    size_t n = yo_varint_read(rest, &length);
    rest = yo_span_skip(rest, n);
    if (n == 0 || length > rest.size) {
        return YOMO_ERR_STATE;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        extra_size += yo_varint_write(extra + extra_size, ours[i]);
        extra_size += yo_varint_write(extra + extra_size, 1);
    }
    n = 2 + yo_varint_write(start + 2, length + extra_size);
    int rv = yo_buf_reserve(out, n + extra_size + rest.size);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_append(out, start, n);
    yo_buf_append(out, rest.data, (size_t)length);
    yo_buf_append(out, extra, extra_size);
    return yo_buf_append_span(out, yo_span_skip(rest, (size_t)length));
}
