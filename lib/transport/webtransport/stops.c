/* SPDX-License-Identifier: MIT */
/* stops.c - RFC 9000 19: every frame is a type and so many numbers, some with bytes
 * behind them. A frame without a length goes on to the end of the packet.
 *
 * Each packet is walked through here, so what is passed over is not decoded. */
#include "transport/webtransport/stops.h"

#include "base/varint.h"

#define STOP_SENDING 0x05

static bool bytes(struct yo_span *rest, uint64_t size)
{
    if (size > rest->size) {
        return false;
    }
    rest->data += size;
    rest->size -= (size_t)size;
    return true;
}

static bool number(struct yo_span *rest, uint64_t *value)
{
    if (rest->size > 0 && rest->data[0] < 0x40) { /* it is one byte, as types are */
        *value = rest->data[0];
        return bytes(rest, 1);
    }
    size_t n = yo_varint_read(*rest, value);
    return n > 0 && bytes(rest, n);
}

/* So many of them, whatever they are. */
static bool numbers(struct yo_span *rest, uint64_t count)
{
    while (count > 0 && rest->size > 0 &&
           bytes(rest, UINT64_C(1) << (rest->data[0] >> 6))) {
        count--;
    }
    return count == 0;
}

/* A length, and so many bytes. */
static bool sized(struct yo_span *rest)
{
    uint64_t size;
    return number(rest, &size) && bytes(rest, size);
}

static bool to_the_end(struct yo_span *rest)
{
    *rest = YO_SPAN_NONE;
    return true;
}

static bool ack(struct yo_span *rest, bool ecn)
{
    uint64_t ranges;
    return numbers(rest, 2) && number(rest, &ranges) && numbers(rest, 1) &&
           ranges <= rest->size && numbers(rest, 2 * ranges) &&
           (!ecn || numbers(rest, 3));
}

static bool stream(struct yo_span *rest, uint64_t type)
{
    return numbers(rest, 1) && ((type & 4) == 0 || numbers(rest, 1)) &&
           ((type & 2) != 0 ? sized(rest) : to_the_end(rest));
}

static bool new_connection_id(struct yo_span *rest)
{
    if (!numbers(rest, 2) || rest->size == 0) {
        return false;
    }
    return bytes(rest, (uint64_t)1 + rest->data[0] + 16);
}

static bool skip(struct yo_span *rest, uint64_t type)
{
    switch (type) {
    case 0x00: /* PADDING */
    case 0x01: /* PING */
    case 0x1e: /* HANDSHAKE_DONE */
        return true;
    case 0x02:
    case 0x03:
        return ack(rest, type == 0x03);
    case 0x04: /* RESET_STREAM */
        return numbers(rest, 3);
    case 0x06: /* CRYPTO */
        return numbers(rest, 1) && sized(rest);
    case 0x07: /* NEW_TOKEN */
    case 0x31: /* DATAGRAM, RFC 9221 4 */
        return sized(rest);
    case 0x10: /* MAX_DATA */
    case 0x12: /* MAX_STREAMS */
    case 0x13:
    case 0x14: /* DATA_BLOCKED */
    case 0x16: /* STREAMS_BLOCKED */
    case 0x17:
    case 0x19: /* RETIRE_CONNECTION_ID */
        return numbers(rest, 1);
    case 0x11: /* MAX_STREAM_DATA */
    case 0x15: /* STREAM_DATA_BLOCKED */
        return numbers(rest, 2);
    case 0x18:
        return new_connection_id(rest);
    case 0x1a: /* PATH_CHALLENGE */
    case 0x1b: /* PATH_RESPONSE */
        return bytes(rest, 8);
    case 0x1c: /* CONNECTION_CLOSE */
        return numbers(rest, 2) && sized(rest);
    case 0x1d:
        return numbers(rest, 1) && sized(rest);
    case 0x30: /* DATAGRAM */
        return to_the_end(rest);
    default:
        return (type & ~UINT64_C(7)) == 0x08 && stream(rest, type);
    }
}

/* PADDING, PING, ACK, DATAGRAM: to all of them there is nothing to say but ACK. */
static bool quiet(uint64_t type)
{
    return type <= 0x03 || type == 0x30 || type == 0x31;
}

void yo_stops_read(struct yo_stops *stops, struct yo_span payload)
{
    uint64_t type, id, code;
    while (payload.size > 0 && number(&payload, &type)) {
        stops->more = stops->more || !quiet(type);
        if (type != STOP_SENDING) {
            if (!skip(&payload, type)) {
                stops->more = true;
                return;
            }
            continue;
        }
        if (!number(&payload, &id) || !number(&payload, &code)) {
            return;
        }
        if (stops->count < YO_STOPS_MAX) {
            stops->stops[stops->count++] = (struct yo_stop){(int64_t)id, code};
        }
    }
}
