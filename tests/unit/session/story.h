/* SPDX-License-Identifier: MIT */
/* story.h - messages and effects as lines that a human reads and a test compares:
 *
 *     send 1: channel_join c=room p= q=7
 *     joined room q=7
 *
 * Payloads are shown as JSON, absent values not at all. */
#ifndef TESTS_UNIT_SESSION_STORY_H
#define TESTS_UNIT_SESSION_STORY_H

#include "base/buf.h"
#include "session/effects.h"
#include "wire/message.h"

/* Append one message, without a line's end. */
void story_message(struct yo_buf *out, const struct yo_message *message);

/* Append each effect as a line; `prefix` before each (may be ""). */
void story_effects(struct yo_buf *out, const char *prefix,
                   const struct yo_effects *effects);

/* Fail the test, showing both, unless the effects are `lines`. */
void assert_effects(const struct yo_effects *effects, const char *lines);

/* Encode {op, ...}; the bytes live until the program ends. */
struct yo_span story_encode(const struct yo_message *message);

/* A payload from JSON, living until the program ends; absent for NULL. */
struct yo_span story_payload(const char *json);

#endif
