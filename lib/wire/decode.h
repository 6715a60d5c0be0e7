/* SPDX-License-Identifier: MIT */
/* decode.h - bytes to messages. */
#ifndef YO_WIRE_DECODE_H
#define YO_WIRE_DECODE_H

#include "wire/message.h"
#include "wire/msgpack.h"

/* Take `bytes` apart: exactly one map with string keys. A known key with a value of the
 * wrong type, a string that is not UTF-8, a name over its limit, a second value of the
 * same key or bytes behind the map are YOMO_ERR_MALFORMED; `pl` may be bin or nil (then
 * it is absent) and its inside is not looked at: see yo_check_*. psig's own sid (a
 * string) and app are accepted and ignored. Allocates nothing. */
int yo_decode(struct yo_span bytes, struct yo_message *message);

/* A state: exactly one well-formed map that presencejs can decode as well (see
 * yo_mp_check_portable), with one `id` at most: presencejs would see the last of several,
 * we the first. YOMO_ERR_MALFORMED. */
int yo_check_state(struct yo_span payload);

/* A data payload: exactly one such map with exactly one `event`, a string of at most
 * YO_EVENT_SIZE_MAX bytes, which is lent in `event`. YOMO_ERR_MALFORMED. */
int yo_check_data(struct yo_span payload, struct yo_span *event);

/* What a data payload carries. */
struct yo_content {
    struct yo_span event;
    enum yomo_encoding encoding;
    struct yo_span bytes; /* JSON text or bytes, lent by the payload ... */
    bool in_mp;           /* ... or, in the shape of 2.2.0 (`payload`), or when `data` is
                             neither string nor bin: an encoded value to turn to JSON */
};

/* Read both shapes: 2.2.18 {event, data} and 2.2.0 {event, state, payload}. With
 * neither it is a null. That a `data` string is JSON is not checked: presencejs does not
 * insist on it either. YOMO_ERR_MALFORMED. */
int yo_content_read(struct yo_span payload, struct yo_content *content);

/* Walk the targets of a message, which yo_decode has looked through. Init with
 * message->targets; returns false at the end. */
uint32_t yo_targets_init(struct yo_mp_reader *reader, struct yo_span targets);
bool yo_targets_next(struct yo_mp_reader *reader, struct yo_wire_target *target);

/* Walk the members of a snapshot. Init with message->members. */
int yo_members_init(struct yo_mp_reader *reader, struct yo_span members, uint32_t *count);
int yo_members_next(struct yo_mp_reader *reader, struct yo_wire_member *member);

/* Walk the messages of a page of history, after yo_members_init. One without a place, a
 * sender or data that yo_check_data takes (`event`) is YOMO_ERR_MALFORMED. */
int yo_past_next(struct yo_mp_reader *reader, struct yo_wire_past *past,
                 struct yo_span *event);

/* Walk the shared values and locks of a page, after yo_members_init. YOMO_ERR_MALFORMED also
 * unless each can be what it says: a name, a place, and data or somebody who holds it. */
int yo_values_next(struct yo_mp_reader *reader, struct yo_wire_value *value);

#endif
