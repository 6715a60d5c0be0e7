/* SPDX-License-Identifier: MIT */
/* One conversation, as the other side's bytes would have it.
 *
 * The first byte says which side we are (bit 0: the client), whether the extension was
 * asked for (bit 1) and whether there are datagrams (bit 2). Then come messages: a byte
 * for the lane, two for the length, the bytes. A length past the end is what is left.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "session/client_side.h"
#include "session/server_side.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct yo_effects effects;
static yo_time now;

static struct yo_span next_message(struct yo_span *input, uint32_t *lane)
{
    struct yo_span message;
    size_t size;

    *lane = input->data[0] % 3;
    size = input->size >= 3 ? (size_t)(input->data[1] << 8 | input->data[2]) : 0;
    *input = yo_span_skip(*input, 3);
    message = yo_span(input->data, size < input->size ? size : input->size);
    *input = yo_span_skip(*input, message.size);
    return message;
}

/* Every byte that an effect lends can be read. */
static void touch(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < effects.count; i++) {
        const struct yo_effect *effect = &effects.list[i];
        const struct yo_span spans[] = {effect->room,  effect->peer,  effect->payload,
                                        effect->event, effect->key,   effect->label,
                                        effect->text,  effect->bytes, effect->targets};
        for (size_t s = 0; s < sizeof(spans) / sizeof(spans[0]); s++) {
            for (size_t b = 0; b < spans[s].size; b++) {
                sum += spans[s].data[b];
            }
        }
    }
    assert(sum != UINT64_MAX);
}

/* Joins are answered, every third with a refusal; so is every other leave. */
static void answer(struct yo_server_session *session, struct yo_effects *answers,
                   unsigned turn)
{
    for (size_t i = 0; i < effects.count; i++) {
        const struct yo_effect *effect = &effects.list[i];
        yo_effects_clear(answers);
        if (effect->kind == YO_EFFECT_JOIN && turn % 3 == 2) {
            yo_server_refused(session, effect->room, YOMO_ERR_FULL, YO_SPAN_NONE,
                              answers);
            break; /* the room is gone, and its name with it */
        }
        if (effect->kind == YO_EFFECT_JOIN) {
            yo_server_joined(session, effect->room, turn, turn, now, answers);
        } else if (effect->kind == YO_EFFECT_LEAVE && turn % 2) {
            yo_server_left(session, effect->room, 0, YO_SPAN_NONE, answers);
            break;
        }
    }
}

static void be_server(struct yo_span input, bool extension, bool datagrams)
{
    const struct yo_server_identity identity = {.id = yo_span_of("alice"),
                                                .session = 7,
                                                .extension = extension,
                                                .datagrams_only =
                                                    !extension && datagrams,
                                                .mesh = yo_span_of("dev")};
    const struct yo_server_limits limits = {.message_size = 65536,
                                            .datagram_size = 1000,
                                            .rooms = 3,
                                            .state_size = 1000,
                                            .messages_per_second = 100,
                                            .messages_burst = 50,
                                            .silence_ms = 15000};
    struct yo_server_session *session;
    struct yo_effects answers;

    yo_effects_init(&answers, &yo_mem_libc);
    if (yo_server_session_create(&session, &yo_mem_libc, &identity, &limits, now,
                                 &effects) != YOMO_OK) {
        abort();
    }
    for (unsigned turn = 0; input.size > 0; turn++) {
        uint32_t lane;
        struct yo_span message = next_message(&input, &lane);
        now += 20 * YO_MS;
        yo_effects_clear(&effects);
        yo_server_session_recv(session, lane, message, now, &effects);
        touch();
        answer(session, &answers, turn);
        if (yo_server_session_deadline(session) <= now) {
            yo_effects_clear(&effects);
            yo_server_session_tick(session, now, &effects);
        }
    }
    yo_server_session_destroy(session);
    yo_effects_finish(&answers);
}

static void be_client(struct yo_span input, bool datagrams)
{
    const struct yo_client_identity identity = {.id = yo_span_of("alice"),
                                                .datagrams = datagrams};
    struct yo_client_session *session;

    if (yo_client_session_create(&session, &yo_mem_libc, &identity, now) != YOMO_OK) {
        abort();
    }
    for (unsigned turn = 0; input.size > 0; turn++) {
        uint32_t lane;
        struct yo_span message = next_message(&input, &lane);
        now += 20 * YO_MS;
        yo_effects_clear(&effects);
        yo_client_session_recv(session, lane, message, now, &effects);
        touch();
        yo_effects_clear(&effects);
        if (turn % 8 == 6) {
            yo_client_leave(session, yo_span_of("room-1"), now, &effects);
        } else {
            yo_client_join(session, yo_span_of("room-1"), YO_SPAN_NONE, NULL, now,
                           &effects);
        }
        if (yo_client_session_deadline(session) <= now) {
            yo_effects_clear(&effects);
            yo_client_session_tick(session, now, &effects);
        }
    }
    yo_client_session_destroy(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    now = YO_SECOND;
    yo_effects_init(&effects, &yo_mem_libc);
    if (data[0] & 1) {
        be_client(yo_span(data + 1, size - 1), data[0] & 4);
    } else {
        be_server(yo_span(data + 1, size - 1), data[0] & 2, data[0] & 4);
    }
    yo_effects_finish(&effects);
    return 0;
}
