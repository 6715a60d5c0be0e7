/* SPDX-License-Identifier: MIT */
/* settings.c - RFC 9114 7.2.4: pairs of varints in the first frame of a control stream.
 *
 * Drafts 07 to 14 give a number of sessions, -15 and later only flow control: where
 * that is not wanted each number stays 1, since more would declare it in -13 and -14
 * (5.1). */
#include "transport/webtransport/settings.h"

#include <yomo/error.h>

#include "base/varint.h"

#define SETTING_TABLE 0x01    /* RFC 9204 5 */
#define SETTING_HEAD_MAX 0x06 /* RFC 9114 7.2.4.1 */
#define SETTING_BLOCKED 0x07
#define SETTING_DRAFT02 UINT64_C(0x2b603742)
#define SETTING_DRAFT07 UINT64_C(0xc671706a)
#define SETTING_DRAFT13 UINT64_C(0x14e9cd29)
#define SETTING_DRAFT15 UINT64_C(0x2c7cf000)
#define SETTING_QUINN UINT64_C(0x2b603743)
#define SETTING_MAX_DATA 0x2b61
#define SETTING_MAX_STREAMS_UNI 0x2b64
#define SETTING_MAX_STREAMS_BIDI 0x2b65
#define STREAMS_MAX (UINT64_C(1) << 60)
#define SETTING_CONNECT_PROTOCOL 0x08 /* RFC 9220 3 */
#define SETTING_H3_DATAGRAM 0x33      /* RFC 9297 2.1.1 */
#define SETTING_H3_DATAGRAM_04 0xffd277
#define FRAME_SETTINGS 0x04

static const struct {
    uint64_t id, max;
} known[] = {
    /* those that a frame may have once, and their greatest value */
    {SETTING_TABLE, UINT64_MAX},
    {SETTING_HEAD_MAX, UINT64_MAX},
    {SETTING_BLOCKED, UINT64_MAX},
    {SETTING_CONNECT_PROTOCOL, 1},
    {SETTING_H3_DATAGRAM, 1},
    {SETTING_H3_DATAGRAM_04, 1},
    {SETTING_DRAFT02, 1},
    {SETTING_DRAFT07, UINT64_MAX},
    {SETTING_DRAFT13, UINT64_MAX},
    {SETTING_DRAFT15, 1},
    {SETTING_QUINN, UINT64_MAX},
    {SETTING_MAX_DATA, UINT64_MAX},
    {SETTING_MAX_STREAMS_UNI, STREAMS_MAX},
    {SETTING_MAX_STREAMS_BIDI, STREAMS_MAX},
};

/* RFC 9114 7.2.4: none twice, and none that HTTP/2 had and HTTP/3 has not. */
static bool may_be(struct yo_settings_tee *tee, uint64_t id, uint64_t value)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].id == id) {
            uint32_t bit = UINT32_C(1) << i;
            bool twice = (tee->known & bit) != 0;
            tee->known |= bit;
            return !twice && value <= known[i].max;
        }
    }
    return id > 0x05;
}

static void count_sessions(struct yo_peer_settings *settings, unsigned dialect,
                           uint64_t value)
{
    if (value > 0) {
        settings->webtransport |= dialect;
        settings->sessions = value > settings->sessions ? value : settings->sessions;
    }
}

static void note(struct yo_peer_settings *settings, uint64_t id, uint64_t value)
{
    switch (id) {
    case SETTING_DRAFT02:
        settings->webtransport |= value == 1 ? YO_WT_DRAFT02 : 0;
        break;
    case SETTING_DRAFT07:
        count_sessions(settings, YO_WT_DRAFT07, value);
        break;
    case SETTING_DRAFT13:
        count_sessions(settings, YO_WT_DRAFT13, value);
        settings->flow_control = settings->flow_control || value > 1;
        break;
    case SETTING_DRAFT15:
        settings->webtransport |= value == 1 ? YO_WT_DRAFT15 : 0;
        break;
    case SETTING_QUINN:
        count_sessions(settings, YO_WT_QUINN, value);
        break;
    case SETTING_MAX_DATA:
        settings->limits.data = value;
        break;
    case SETTING_MAX_STREAMS_UNI:
        settings->limits.unidirectional = value;
        break;
    case SETTING_MAX_STREAMS_BIDI:
        settings->limits.bidirectional = value;
        break;
    case SETTING_CONNECT_PROTOCOL:
        settings->connect_protocol = value == 1;
        break;
    case SETTING_H3_DATAGRAM:
    case SETTING_H3_DATAGRAM_04:
        settings->h3_datagram = settings->h3_datagram || value == 1;
        break;
    default:
        return;
    }
    settings->flow_control = settings->flow_control ||
                             (settings->limits.data | settings->limits.bidirectional |
                              settings->limits.unidirectional) != 0;
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
                tee->state = YO_TEE_DONE; /* h3_frames.c will complain */
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
            settings->wrong = settings->wrong || !may_be(tee, tee->id, value);
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

bool yo_settings_suffice(const struct yo_peer_settings *settings, bool of_server)
{
    return settings->webtransport != YO_WT_DRAFT15 ||
           (settings->h3_datagram && (settings->connect_protocol || !of_server));
}

int yo_settings_write(struct yo_buf *out, uint64_t head_max, bool server,
                      const struct yo_own_settings *own)
{
    const uint64_t pairs[][2] = {
        {SETTING_HEAD_MAX, head_max},
        {SETTING_TABLE, 0},
        {SETTING_BLOCKED, 0},
        {SETTING_H3_DATAGRAM, 1},
        {SETTING_CONNECT_PROTOCOL, server},
        {SETTING_DRAFT02, 1},
        {SETTING_DRAFT07, own->sessions},
        {SETTING_DRAFT13, own->sessions},
        {SETTING_DRAFT15, 1},
        /* From here on it is flow control. */
        {SETTING_MAX_DATA, own->limits.data},
        {SETTING_MAX_STREAMS_UNI, own->limits.unidirectional},
        {SETTING_MAX_STREAMS_BIDI, own->limits.bidirectional},
    };
    const size_t all = sizeof(pairs) / sizeof(pairs[0]);
    uint8_t bytes[sizeof(pairs) / sizeof(pairs[0]) * 2 * YO_VARINT_SIZE_MAX];
    uint8_t head[1 + YO_VARINT_SIZE_MAX] = {FRAME_SETTINGS};
    size_t size = 0;

    for (size_t i = 0; i < (own->sessions > 1 ? all : all - 3); i++) {
        if (pairs[i][0] != SETTING_CONNECT_PROTOCOL || server) { /* a server's alone */
            size += yo_varint_write(bytes + size, pairs[i][0]);
            size += yo_varint_write(bytes + size, pairs[i][1]);
        }
    }
    yo_buf_append(out, head, 1 + yo_varint_write(head + 1, size));
    return yo_buf_append(out, bytes, size);
}
