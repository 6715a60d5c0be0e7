/* SPDX-License-Identifier: MIT */
/* codes.h - the error codes of HTTP/3 and WebTransport that we send or look for. */
#ifndef YO_WEBTRANSPORT_CODES_H
#define YO_WEBTRANSPORT_CODES_H

#include <stdbool.h>
#include <stdint.h>

enum { /* RFC 9114 8.1, RFC 9204 6, RFC 9297 5.2 */
       YO_H3_DATAGRAM_ERROR = 0x33,
       YO_H3_NO_ERROR = 0x100,
       YO_H3_GENERAL_PROTOCOL_ERROR = 0x101,
       YO_H3_INTERNAL_ERROR = 0x102,
       YO_H3_STREAM_CREATION_ERROR = 0x103,
       YO_H3_CLOSED_CRITICAL_STREAM = 0x104,
       YO_H3_FRAME_UNEXPECTED = 0x105,
       YO_H3_FRAME_ERROR = 0x106,
       YO_H3_EXCESSIVE_LOAD = 0x107,
       YO_H3_ID_ERROR = 0x108,
       YO_H3_SETTINGS_ERROR = 0x109,
       YO_H3_MISSING_SETTINGS = 0x10a,
       YO_H3_REQUEST_REJECTED = 0x10b,
       YO_H3_REQUEST_CANCELLED = 0x10c,
       YO_H3_REQUEST_INCOMPLETE = 0x10d,
       YO_H3_MESSAGE_ERROR = 0x10e,
       YO_H3_QPACK_DECOMPRESSION_FAILED = 0x200,
       YO_H3_QPACK_ENCODER_STREAM_ERROR = 0x201,
       YO_H3_QPACK_DECODER_STREAM_ERROR = 0x202
};

/* draft-ietf-webtrans-http3-16 9.5 */
#define YO_WT_BUFFERED_STREAM_REJECTED UINT64_C(0x3994bd84)
#define YO_WT_SESSION_GONE UINT64_C(0x170d7b68)
#define YO_WT_FLOW_CONTROL_ERROR UINT64_C(0x045d4487)
#define YO_WT_ALPN_ERROR UINT64_C(0x0817b3dd)
#define YO_WT_REQUIREMENTS_NOT_MET UINT64_C(0x212c0d48)

/* An application's error code of a stream as HTTP/3 carries it, and back (the same
 * draft, 4.4). */
uint64_t yo_wt_code_to_h3(uint32_t code);

/* False when `h3` carries none. */
bool yo_wt_code_from_h3(uint64_t h3, uint32_t *code);

#endif
