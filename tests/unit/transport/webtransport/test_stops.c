/* SPDX-License-Identifier: MIT */
/* STOP_SENDING among every other frame of QUIC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/webtransport/stops.h"

static const uint8_t stop[] = {0x05, 0x04, 0x40, 0x41}; /* stream 4, code 0x41 */

/* One of each kind, with all its numbers; those that have no length are not here. */
static const struct {
    const char *name;
    uint8_t size;
    uint8_t bytes[48];
} frames[] = {
    {"padding", 3, {0, 0, 0}},
    {"ping", 1, {1}},
    {"ack", 8, {2, 0x40, 0x80, 1, 1, 2, 3, 4}},
    {"ack with ecn", 8, {3, 9, 0, 0, 1, 1, 2, 3}},
    {"reset", 4, {4, 8, 7, 6}},
    {"crypto", 5, {6, 0, 2, 5, 5}},
    {"token", 4, {7, 2, 5, 5}},
    {"stream with a length", 5, {0x0a, 4, 2, 5, 5}},
    {"stream with all", 6, {0x0f, 4, 9, 2, 5, 5}},
    {"max_data", 2, {0x10, 9}},
    {"max_stream_data", 3, {0x11, 4, 9}},
    {"max_streams", 2, {0x12, 9}},
    {"max_streams", 2, {0x13, 9}},
    {"data_blocked", 2, {0x14, 9}},
    {"stream_data_blocked", 3, {0x15, 4, 9}},
    {"streams_blocked", 2, {0x16, 9}},
    {"streams_blocked", 2, {0x17, 9}},
    {"new_connection_id", 22, {0x18, 1, 0, 2, 5, 5, 1, 2, 3, 4, 5}},
    {"retire", 2, {0x19, 5}},
    {"challenge", 9, {0x1a, 1, 2, 3, 4, 5, 6, 7, 8}},
    {"response", 9, {0x1b, 1, 2, 3, 4, 5, 6, 7, 8}},
    {"close", 6, {0x1c, 1, 5, 2, 5, 5}},
    {"close of the application", 5, {0x1d, 1, 2, 5, 5}},
    {"done", 1, {0x1e}},
    {"datagram", 4, {0x31, 2, 5, 5}},
};

static void it_is_found_behind_every_other_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct yo_stops stops = {0};
        uint8_t packet[64];
        size_t n = frames[i].size;
        memcpy(packet, frames[i].bytes, n);
        memcpy(packet + n, stop, sizeof(stop));
        yo_stops_read(&stops, yo_span(packet, n + sizeof(stop)));
        if (stops.count != 1) {
            fail_msg("not behind %s", frames[i].name);
        }
        assert_int_equal(stops.stops[0].stream, 4);
        assert_int_equal(stops.stops[0].code, 0x41);
    }
}

static void what_only_wants_an_acknowledgement_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct yo_stops stops = {0};
        uint8_t type = frames[i].bytes[0];
        bool quiet = type <= 3 || type == 0x31;
        yo_stops_read(&stops, yo_span(frames[i].bytes, frames[i].size));
        assert_int_equal(stops.more, !quiet);
    }
    static const uint8_t end[] = {0x01, 0x30, 5, 5}, cut[] = {0x31, 2, 5};
    struct yo_stops stops = {0};
    yo_stops_read(&stops, yo_span(end, sizeof(end)));
    assert_false(stops.more);
    yo_stops_read(&stops, yo_span(cut, sizeof(cut)));
    assert_true(stops.more);
}

static void what_goes_on_to_the_end_hides_nothing(void **state)
{
    static const uint8_t content[][5] = {{0x30, 0x05, 4, 7, 0}, {0x08, 4, 0x05, 4, 7}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct yo_stops stops = {0};
        yo_stops_read(&stops, yo_span(content[i], sizeof(content[i])));
        assert_int_equal(stops.count, 0);
    }
}

static void cut_anywhere_it_reads_no_further(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        for (size_t n = 0; n < frames[i].size; n++) {
            struct yo_stops stops = {0};
            uint8_t *exact = test_malloc(n + 1); /* so that the sanitizer sees */
            memcpy(exact, frames[i].bytes, n);
            yo_stops_read(&stops, yo_span(exact, n));
            assert_int_equal(stops.count, 0);
            test_free(exact);
        }
    }
    for (size_t n = 0; n < sizeof(stop); n++) {
        struct yo_stops stops = {0};
        yo_stops_read(&stops, yo_span(stop, n));
        assert_int_equal(stops.count, 0);
    }
}

static void nonsense_ends_the_reading(void **state)
{
    static const uint8_t unknown[] = {0x2f, 0x05, 4, 7};
    static const uint8_t ranges[] = {0x02, 9, 0, 0xbf, 0xff, 0xff, 0xff, 0, 0x05, 4, 7};
    static const uint8_t length[] = {0x06, 0, 0x7f, 0xff, 0x05, 4, 7};
    struct yo_stops stops = {0};
    (void)state;
    yo_stops_read(&stops, yo_span(unknown, sizeof(unknown)));
    yo_stops_read(&stops, yo_span(ranges, sizeof(ranges)));
    yo_stops_read(&stops, yo_span(length, sizeof(length)));
    assert_int_equal(stops.count, 0);
}

static void there_is_room_for_a_packet_full(void **state)
{
    static struct yo_stops stops;
    static uint8_t packet[3 * (YO_STOPS_MAX + 10)];
    (void)state;
    for (size_t i = 0; i < sizeof(packet); i += 3) {
        memcpy(packet + i, "\x05\x08\x07", 3);
    }
    stops.count = 0;
    yo_stops_read(&stops, yo_span(packet, sizeof(packet)));
    assert_int_equal(stops.count, YO_STOPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_behind_every_other_frame),
        cmocka_unit_test(what_only_wants_an_acknowledgement_is_known),
        cmocka_unit_test(what_goes_on_to_the_end_hides_nothing),
        cmocka_unit_test(cut_anywhere_it_reads_no_further),
        cmocka_unit_test(nonsense_ends_the_reading),
        cmocka_unit_test(there_is_room_for_a_packet_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
