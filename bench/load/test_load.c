/* SPDX-License-Identifier: MIT */
/* What the load generator makes of messages: payloads, their order, and every dialect,
 * with what comes in one piece or byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* --- In place of the fleet -------------------------------------------------------- */

static struct plan plan = {.size = 100, .senders = 4};
static struct payload last;
static unsigned good, bad, connected, joined, broken;
static char sent[MESSAGE_MAX];

const struct plan *member_plan(const struct member *member)
{
    (void)member;
    return &plan;
}

const char *member_room(const struct member *member)
{
    (void)member;
    return "r1";
}

void member_connected(struct member *member)
{
    (void)member;
    connected++;
}

void member_joined(struct member *member)
{
    (void)member;
    joined++;
}

void member_broken(struct member *member, const char *why)
{
    (void)member;
    (void)why;
    broken++;
}

void member_payload(struct member *member, const char *text, size_t size)
{
    (void)member;
    if (size == plan.size && payload_read(&last, text, size)) {
        good++;
    } else {
        bad++;
    }
}

void member_send(struct member *member, const void *bytes, size_t size)
{
    (void)member;
    assert_true(size < sizeof(sent));
    memcpy(sent, bytes, size);
    sent[size] = '\0';
}

static int begin(void **state)
{
    (void)state;
    payload_prepare();
    good = bad = connected = joined = broken = 0;
    sent[0] = '\0';
    return 0;
}

/* --- Payloads --------------------------------------------------------------------- */

static void a_payload_is_read_as_it_was_written(void **state)
{
    struct payload in = {.at = 123456789012345, .number = 77, .place = 3, .stage = 9},
                   out;
    char text[PAYLOAD_MAX];

    (void)state;
    for (size_t size = PAYLOAD_HEAD; size <= PAYLOAD_MAX; size += 121) {
        payload_write(&in, text, size);
        assert_true(payload_read(&out, text, size));
        assert_true(out.at == in.at && out.number == 77 && out.place == 3 &&
                    out.stage == 9);
    }
}

static void each_byte_that_is_another_is_noticed(void **state)
{
    struct payload in = {.at = 1, .number = 5, .place = 1, .stage = 2}, out;
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        payload_write(&in, text, sizeof(text));
        text[i] = text[i] == '7' ? '8' : '7';
        assert_true(!payload_read(&out, text, sizeof(text)) || out.at != in.at ||
                    out.number != in.number || out.place != in.place ||
                    out.stage != in.stage);
    }
}

static void what_came_before_and_what_is_late_are_told_apart(void **state)
{
    struct track track = {0};

    (void)state;
    assert_int_equal(track_note(&track, 0), TRACK_NEW);
    assert_int_equal(track_note(&track, 0), TRACK_AGAIN);
    assert_int_equal(track_note(&track, 3), TRACK_NEW);
    assert_int_equal(track_note(&track, 1), TRACK_LATE);
    assert_int_equal(track_note(&track, 1), TRACK_AGAIN);
    assert_int_equal(track_note(&track, 3), TRACK_AGAIN);
    assert_int_equal(track_note(&track, 2), TRACK_LATE);
    assert_int_equal(track_note(&track, 66), TRACK_NEW);
    assert_int_equal(track_note(&track, 3), TRACK_AGAIN); /* 63 behind */
    assert_int_equal(track_note(&track, 200), TRACK_NEW);
    assert_int_equal(track_note(&track, 199), TRACK_LATE);
}

/* --- Dialects --------------------------------------------------------------------- */

/* A published message, turned into what a server makes of it for others. */
static size_t relayed(const struct dialect *dialect, char *out)
{
    struct member member = {.number = 1};
    struct payload in = {.at = 42, .number = 6, .place = 2, .stage = 1};
    char payload[100], message[MESSAGE_MAX];
    size_t size;

    payload_write(&in, payload, sizeof(payload));
    size = dialect->publish(&member, payload, message);
    assert_true(size > 0 && size < MESSAGE_MAX);
    if (dialect == &dialect_nats) {
        return (size_t)snprintf(out, MESSAGE_MAX, "MSG r1 1 100\r\n%.100s\r\n",
                                payload);
    }
    if (dialect == &dialect_centrifugo) {
        return (size_t)snprintf(out, MESSAGE_MAX,
                                "{\"push\":{\"channel\":\"r1\",\"pub\":"
                                "{\"data\":\"%.100s\"}}}",
                                payload);
    }
    memcpy(out, message, size); /* the others relay what they got */
    return size;
}

static void every_dialect_finds_the_payload(void **state)
{
    static const struct dialect *const all[] = {&dialect_presencejs, &dialect_raw,
                                                &dialect_centrifugo, &dialect_socketio,
                                                &dialect_nats,       &dialect_mqtt};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        struct member member = {.number = 1};
        char bytes[MESSAGE_MAX];
        size_t size = relayed(all[i], bytes);

        begin(state);
        all[i]->received(&member, (const uint8_t *)bytes, size);
        assert_int_equal(good, 1);
        assert_int_equal(bad, 0);
        assert_true(last.at == 42 && last.number == 6 && last.place == 2);
        free(member.carry);
    }
}

static void streams_may_come_byte_by_byte_or_together(void **state)
{
    static const struct dialect *const streams[] = {&dialect_nats, &dialect_mqtt};

    for (size_t i = 0; i < 2; i++) {
        struct member member = {.number = 1};
        char bytes[2 * MESSAGE_MAX];
        size_t size = relayed(streams[i], bytes);

        begin(state);
        memcpy(bytes + size, bytes, size);
        for (size_t at = 0; at < 2 * size; at++) {
            streams[i]->received(&member, (const uint8_t *)bytes + at, 1);
        }
        assert_int_equal(good, 2);
        streams[i]->received(&member, (const uint8_t *)bytes, 2 * size);
        assert_int_equal(good, 4);
        assert_int_equal(bad + broken, 0);
        free(member.carry);
    }
}

static void say(struct member *member, const struct dialect *dialect, const char *text)
{
    dialect->received(member, (const uint8_t *)text, strlen(text));
}

static void centrifugo_is_greeted_and_joined(void **state)
{
    struct member member = {.number = 1};

    (void)state;
    dialect_centrifugo.opened(&member);
    assert_string_equal(sent, "{\"connect\":{},\"id\":1}");
    say(&member, &dialect_centrifugo, "{\"id\":1,\"connect\":{\"client\":\"x\"}}");
    assert_int_equal(connected, 1);
    say(&member, &dialect_centrifugo, "{}\n{\"id\":2,\"subscribe\":{}}");
    assert_string_equal(sent, "{}"); /* the ping's answer */
    assert_int_equal(joined, 1);
    say(&member, &dialect_centrifugo, "{\"id\":3,\"error\":{\"code\":103}}");
    assert_int_equal(broken, 1);
}

static void socketio_is_greeted_and_joined(void **state)
{
    struct member member = {.number = 1};

    (void)state;
    say(&member, &dialect_socketio, "0{\"sid\":\"x\"}");
    assert_string_equal(sent, "40");
    say(&member, &dialect_socketio, "40{\"sid\":\"y\"}");
    say(&member, &dialect_socketio, "431[]");
    assert_true(connected == 1 && joined == 1);
    say(&member, &dialect_socketio, "2");
    assert_string_equal(sent, "3");
}

static void nats_is_greeted_and_joined(void **state)
{
    struct member member = {.number = 1};

    (void)state;
    dialect_nats.opened(&member);
    say(&member, &dialect_nats, "INFO {\"x\":1}\r\n");
    say(&member, &dialect_nats, "PONG\r\n");
    dialect_nats.join(&member);
    assert_string_equal(sent, "SUB r1 1\r\nPING\r\n");
    say(&member, &dialect_nats, "PONG\r\n");
    assert_true(connected == 1 && joined == 1);
    say(&member, &dialect_nats, "-ERR 'no'\r\n");
    assert_int_equal(broken, 1);
    free(member.carry);
}

static void a_payload_that_is_cut_is_damage(void **state)
{
    struct member member = {.number = 1};
    char bytes[MESSAGE_MAX];

    (void)state;
    for (size_t cut = 1; cut < 60; cut++) {
        size_t size = relayed(&dialect_presencejs, bytes);
        dialect_presencejs.received(&member, (const uint8_t *)bytes, size - cut);
    }
    assert_true(good == 0 && bad == 59);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_payload_is_read_as_it_was_written, begin),
        cmocka_unit_test_setup(each_byte_that_is_another_is_noticed, begin),
        cmocka_unit_test_setup(what_came_before_and_what_is_late_are_told_apart, begin),
        cmocka_unit_test_setup(every_dialect_finds_the_payload, begin),
        cmocka_unit_test_setup(streams_may_come_byte_by_byte_or_together, begin),
        cmocka_unit_test_setup(centrifugo_is_greeted_and_joined, begin),
        cmocka_unit_test_setup(socketio_is_greeted_and_joined, begin),
        cmocka_unit_test_setup(nats_is_greeted_and_joined, begin),
        cmocka_unit_test_setup(a_payload_that_is_cut_is_damage, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
