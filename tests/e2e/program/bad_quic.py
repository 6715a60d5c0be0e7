#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input over QUIC, from outside, against a backend with guests: broken HTTP/3,
streams, capsules and datagrams. Each gets the code that docs/protocol.md names, and the
guests who sit in a room hear each other before, meanwhile and after."""
from h3 import *
from raw import control, data_of
from support import main
from wild import Quic

EARLY_STREAMS = 16 # as docs/protocol.md says


class Settings(Quic):
    def test_a_control_stream_that_is_none_ends_the_connection(self):
        self.open_house()
        common = settings(COMMON)
        cases = [
            ("reserved by HTTP/2", settings(COMMON + [(2, 0)]), SETTINGS_ERROR),
            ("datagrams 2", settings([(H3_DATAGRAM, 2)]), SETTINGS_ERROR),
            ("cut", frame(SETTINGS, b"\x40", 1), FRAME_ERROR),
            ("too late", frame(GOAWAY, b"\0") + common, MISSING_SETTINGS),
            ("twice", common + common, FRAME_UNEXPECTED),
            ("data", common + frame(DATA, b"x"), FRAME_UNEXPECTED),
            ("fields", common + frame(HEADERS, b"x"), FRAME_UNEXPECTED),
        ]
        for name, text, code in cases:
            with self.subTest(name):
                wild = self.wild()
                wild.event("ready")
                wild.open("control")
                wild.write("control", varint(CONTROL) + text)
                self.ends(wild, code)
        self.all_is_well()

    def test_a_critical_stream_must_stay(self):
        self.open_house()
        for name, kind in [("control", CONTROL), ("encoder", ENCODER), ("decoder", DECODER)]:
            for way in ["end", "reset"]:
                with self.subTest(name=name, way=way):
                    wild = self.wild()
                    wild.event("ready")
                    wild.open(name)
                    text = varint(kind) + (settings(COMMON) if kind == CONTROL else b"")
                    wild.write(name, text, end=way == "end")
                    if way == "reset":
                        wild.arrived(name) # or nobody knows which one it is
                        wild.say("reset", name, 0x100)
                    self.ends(wild, CLOSED_CRITICAL_STREAM)
        self.all_is_well()

    def test_there_is_one_of_each_and_no_push(self):
        self.open_house()
        for kind in [CONTROL, ENCODER, DECODER, PUSH]:
            with self.subTest(kind=kind):
                wild = self.wild()
                wild.hello()
                for name in ["first", "second"]:
                    wild.open(name)
                    wild.write(name, varint(kind))
                self.ends(wild, STREAM_CREATION)
        self.all_is_well()

    def test_tables_that_nobody_offered_are_not_filled(self):
        self.open_house()
        insert = b"\x42xy\x01z" # RFC 9204 4.3.3, into a table of no size
        for kind, text, code in [(ENCODER, insert, ENCODER_STREAM_ERROR),
                                 (ENCODER, b"\x3f\xe1\x1f", ENCODER_STREAM_ERROR),
                                 (DECODER, b"\x81", DECODER_STREAM_ERROR),
                                 (DECODER, b"\x01", DECODER_STREAM_ERROR)]:
            with self.subTest(kind=kind, text=text):
                wild = self.wild()
                wild.hello()
                wild.open("table")
                wild.write("table", varint(kind) + text)
                self.ends(wild, code)
        self.all_is_well()

    def test_who_never_sends_settings_is_not_let_in(self):
        self.open_house("--handshake-timeout", "500ms")
        wild = self.wild()
        wild.event("ready")
        wild.ask()
        self.ends(wild, NO_ERROR)
        self.all_is_well()


class Log(Quic):
    def test_each_fault_is_one_line_and_counted(self):
        self.open_house("--handshake-timeout", "500ms")
        bad = self.metrics()["yomo_frames_bad_total"]
        reserved = self.wild()
        reserved.hello([(2, 0)])
        self.ends(reserved, SETTINGS_ERROR)
        self.assertRegex(self.logged("0x109"),
                         r"closed \(HTTP/3 error 0x109\).* address=127\.0\.0\.1:\d+")
        session = self.wild().session() # one that was let in
        session.write("connect", frame(DATA, close_capsule(1, b"x" * 2000)))
        self.ends(session, MESSAGE_ERROR)
        self.logged("closed (HTTP/3 error 0x10e): capsule")
        silent = self.wild()
        silent.event("ready")
        self.ends(silent, NO_ERROR)
        self.logged("no request in time")
        self.assertEqual(self.counted("yomo_frames_bad_total", bad + 2), bad + 2)
        self.all_is_well()


class Requests(Quic):
    def test_requests_that_are_none_get_their_status(self):
        self.open_house()
        plain = {"without": (b":protocol",)}
        cases = [
            (request((b":path", b"/nothing")), 404),
            (request((b":path", b"/v1/")), 404),
            (request((b":protocol", b"websocket")), 501),
            (request((b":method", b"GET"), **plain), 404),
            (request((b":method", b"GET"), (b":path", b"/healthz"), **plain), 404),
            (request((b":method", b"BREW"), **plain), 404),
            (request((b":method", b"POST"), **plain) + frame(DATA, b"x" * 9000), 404),
            (request((b"cookie", b"x" * 20000)), 431),
            (request(*((b"x-%d" % i, b"x") for i in range(500))), 431),
            # Names and values out of the static table: one byte says up to 40.
            (frame(HEADERS, fields(REQUEST) + b"\xf4" * 4000), 431),
        ]
        for index, (section, status) in enumerate(cases):
            with self.subTest(index=index, section=section[:60]):
                wild = self.wild() # one that was refused has no other session
                wild.hello()
                wild.ask(section)
                self.assertEqual(wild.status(), status)
        self.all_is_well()

    def test_fields_that_are_not_well_formed_end_the_connection(self):
        self.open_house()
        cases = [
            request(without=(b":method",)),
            request(without=(b":scheme",)),
            request(without=(b":path",)),
            request((b":path", b"")),
            request((b":protocol", b"")),
            request((b":Method", b"x")),
            request((b":what", b"x")),
            request((b"X-Upper", b"x")),
            request((b"connection", b"upgrade")),
            frame(HEADERS, fields([(b"x", b"y")] + REQUEST)), # behind a regular one
            frame(HEADERS, fields(REQUEST + [(b":path", b"/v1")])), # twice
            request((b":method", b"GET")), # :protocol is CONNECT's
            request((b"content-length", b"-1")),
        ]
        for index, section in enumerate(cases):
            with self.subTest(index=index, section=section[:80]):
                wild = self.wild()
                wild.hello()
                wild.ask(section)
                self.ends(wild, MESSAGE_ERROR)
        self.all_is_well()

    def test_frames_in_the_wrong_place_end_the_connection(self):
        self.open_house()
        for text, code in [
                (frame(DATA, b"x"), FRAME_UNEXPECTED),
                (settings(COMMON), FRAME_UNEXPECTED),
                (frame(GOAWAY, b"\0"), FRAME_UNEXPECTED),
                (frame(2, b""), FRAME_UNEXPECTED), # reserved by HTTP/2
                (frame(HEADERS, b"\x01\0"), DECOMPRESSION_FAILED), # of a table of no size
                (frame(HEADERS, b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                 DECOMPRESSION_FAILED),
                (frame(HEADERS, b"\0\0\x80"), DECOMPRESSION_FAILED)]: # of the dynamic table
            with self.subTest(text=text):
                wild = self.wild()
                wild.hello()
                wild.ask(text)
                self.ends(wild, code)
        with self.subTest("cut"):
            wild = self.wild()
            wild.hello()
            wild.open("connect", bidi=True)
            wild.write("connect", request()[:-1], end=True)
            self.ends(wild, FRAME_ERROR)
        self.all_is_well()

    def test_a_connection_has_one_session(self):
        self.open_house()
        wild = self.wild().session()
        wild.ask(name="second")
        self.assertEqual(wild.event("reset", stream=wild.ids["second"])["code"],
                         REQUEST_REJECTED)
        wild.ask(request((b":method", b"GET"), without=(b":protocol",)), "page")
        self.assertEqual(wild.status("page"), 404)
        wild.kill()
        self.all_is_well()

    def test_who_may_not_come_in_is_told_by_a_code(self):
        self.open_house()
        for change in [(b"origin", b"https://elsewhere.example"),
                       (b":path", b"/v1?yomo=1&id=%00"), (b":path", b"/v1?id=" + b"x" * 256)]:
            with self.subTest(change=change):
                wild = self.wild()
                wild.hello()
                wild.ask(request(change))
                self.assertEqual(wild.status(), 200)
                self.assertEqual(wild.close_code(), 4403)
                self.logged("not let in")
        self.all_is_well()


class Streams(Quic):
    def test_streams_of_no_session_are_refused(self):
        self.open_house()
        wild = self.wild().session()
        for bidi in [False, True]:
            with self.subTest(bidi=bidi):
                name = f"lost{bidi}"
                wild.stream(name, bidi=bidi, session=wild.ids["connect"] + 4)
                self.assertEqual(wild.event("closed", stream=wild.ids[name])["code"],
                                 BUFFERED_STREAM_REJECTED)
        self.all_is_well()

    def test_a_session_is_named_by_the_stream_of_a_request(self):
        self.open_house()
        for session in [1, 2, 3, 5, (1 << 62) - 1]:
            for bidi in [False, True]:
                with self.subTest(session=session, bidi=bidi):
                    wild = self.wild().session()
                    wild.stream("lost", bidi=bidi, session=session)
                    self.ends(wild, ID_ERROR)
        self.all_is_well()

    def early(self):
        """One that has a stream for its request, and has not asked yet."""
        wild = self.wild()
        wild.event("ready")
        wild.open("connect", bidi=True)
        return wild

    def late(self, wild):
        wild.open("control")
        wild.write("control", varint(CONTROL) + settings(COMMON))
        wild.write("connect", request())
        self.assertEqual(wild.status(), 200)

    def test_what_comes_before_its_session_waits_for_it(self):
        self.open_house()
        wild = self.early()
        wild.stream("lane", bidi=True)
        wild.write("lane", framed(control("ping", ts=7)))
        wild.session_datagram(control("ping", ts=8))
        wild.stream("other", session=400)
        wild.arrived("lane", "other")
        self.late(wild)
        self.assertEqual({wild.message("lane", "pong")["ts"] for _ in range(2)}, {7, 8})
        self.assertEqual(wild.event("closed", stream=wild.ids["other"])["code"],
                         BUFFERED_STREAM_REJECTED)
        self.all_is_well()

    def test_only_a_few_streams_and_datagrams_wait(self):
        self.open_house()
        wild = self.early()
        names = [f"early{index}" for index in range(40)]
        for name in names:
            wild.stream(name)
        for _ in range(1000):
            wild.session_datagram(b"\xc1" * 1000)
        refused = [wild.event("closed")["code"] for _ in range(40 - EARLY_STREAMS)]
        self.assertEqual(set(refused), {BUFFERED_STREAM_REJECTED})
        self.late(wild)
        self.alive(wild)
        self.all_is_well()

    def test_bytes_for_a_session_that_never_comes_are_few(self):
        self.open_house("--handshake-timeout", "3s")
        before = self.resident()
        wilds = []
        for _ in range(20):
            wild = self.early()
            for index in range(EARLY_STREAMS):
                wild.stream(f"early{index}")
                wild.write(f"early{index}", bytes(200000))
            wilds.append(wild)
        for wild in wilds:
            self.ends(wild, NO_ERROR)
        # Of 64 MB that were offered; 256 KiB each may stay, and what a sanitizer adds.
        self.assertLess(self.resident() - before, 32 << 20)
        self.all_is_well()

    def test_a_stream_that_does_not_say_what_it_is_is_let_go(self):
        self.open_house()
        wild = self.wild().session()
        for index, cut in enumerate([b"", b"\x40", b"\x40\x54", b"\x40\x54\x40",
                                     b"\x40\x41", b"\xc0\0\0\0", b"\x21", b"\x40\xff"]):
            wild.open(f"cut{index}")
            wild.write(f"cut{index}", cut, end=True)
            wild.open(f"reset{index}")
            wild.write(f"reset{index}", cut)
            wild.say("reset", f"reset{index}", 5)
        for index in range(8):
            wild.event("closed", stream=wild.ids[f"cut{index}"])
            wild.event("closed", stream=wild.ids[f"reset{index}"])
        self.alive(wild)
        self.all_is_well()

    def test_messages_that_break_a_rule_close_with_their_code(self):
        self.open_house("--message-size-max", "8k")
        ping = framed(control("ping", ts=1))
        for name, bidi, text, end, code in [
                ("nothing", True, b"\0", False, 1002),
                ("nothing", False, b"\0", False, 1002),
                ("cut", True, ping[:-1], True, 1002),
                ("cut", False, b"\x40", True, 1002),
                ("too long", True, varint(8193), False, 1009),
                ("too long", False, varint((1 << 62) - 1), False, 1009)]:
            with self.subTest(name=name, bidi=bidi):
                wild = self.wild().session()
                wild.stream("lane", bidi=bidi)
                wild.write("lane", ping + text if bidi else text, end=end)
                self.assertEqual(wild.close_code(), code)
        self.logged("closed (1002)")
        self.logged("closed (1009)")
        self.all_is_well()

    def test_a_second_control_stream_closes_with_1002(self):
        self.open_house()
        wild = self.wild().session()
        wild.stream("lane", bidi=True)
        wild.stream("second", bidi=True)
        self.assertEqual(wild.close_code(), 1002)
        self.logged("closed (1002)")
        self.all_is_well()

    def test_a_control_stream_that_is_stopped_closes_with_1002(self):
        self.open_house()
        wild = self.wild().session()
        wild.stream("lane", bidi=True)
        wild.write("lane", framed(control("ping", ts=1)))
        wild.message("lane", "pong")
        wild.say("stop", "lane", 7)
        wild.write("lane", framed(control("ping", ts=2)))
        self.assertEqual(wild.close_code(), 1002)
        self.logged("closed (1002)")
        self.all_is_well()

    def test_presencejs_has_no_streams(self):
        self.open_house()
        wild = self.wild().session(b"/v1?id=page")
        for bidi in [False, True]:
            wild.stream(f"lane{bidi}", bidi=bidi)
            wild.event("closed", stream=wild.ids[f"lane{bidi}"])
        self.counted("yomo_frames_bad_total", 2)
        self.all_is_well()

    def test_thousands_of_tiny_streams_and_resets_cost_no_memory(self):
        self.open_house("--message-rate", "0")
        head, other = varint(UNI) + b"\0", varint(UNI) + varint(400)
        bidi = varint(BIDI) + varint(400)
        ping = framed(control("ping", ts=1))
        page = request((b":method", b"GET"), without=(b":protocol",))
        grew = []
        for _ in range(3):
            for kind, last, text in [
                    ("uni", "end", head + ping), ("uni", "end", head),
                    ("uni", "reset", head + ping[:5]), ("uni", "reset", head),
                    ("uni", "end", other), ("uni", "reset", other), ("uni", "end", b"\x21"),
                    ("uni", "end", b""), ("uni", "end", b"\x40"), ("uni", "reset", b"\x40"),
                    ("uni", "reset", b""), ("bidi", "end", page), ("bidi", "reset", page),
                    ("bidi", "reset", request()), ("bidi", "reset", request()[:9]),
                    ("bidi", "reset", b"\x40"), ("bidi", "reset", b""),
                    ("bidi", "end", bidi), ("bidi", "reset", bidi)]:
                with self.subTest(kind=kind, last=last, text=text):
                    wild = self.wild().session()
                    self.assertEqual(wild.ids["connect"], 0)
                    wild.say("flood", 900, kind, last, text.hex() or "-")
                    wild.event("flooded")
                    self.alive(wild)
                    wild.kill()
            self.all_is_well()
            grew.append(self.resident())
        self.assertLess(grew[2] - grew[0], 8 << 20, grew)

    def test_who_says_nothing_but_what_is_unknown_is_sent_away(self):
        self.open_house()
        wild = self.wild().session()
        wild.say("flood", 20000, "uni", "end", "21")
        self.ends(wild, EXCESSIVE_LOAD)
        self.all_is_well()


class Capsules(Quic):
    def test_a_capsule_that_is_none_ends_the_connection(self):
        self.open_house()
        for name, text, end in [
                ("short", capsule(CLOSE_CAPSULE, b"\0\0\0"), False),
                ("long", close_capsule(1, b"x" * 1025), False),
                ("longer", capsule(CLOSE_CAPSULE, b"", 1 << 40), False),
                ("text", close_capsule(1, b"\xff"), False),
                ("behind", close_capsule(1, b"bye") + capsule(0x99, b"x"), False),
                ("cut", close_capsule(1, b"bye")[:-1], True),
                ("cut head", b"\x68", True),
                ("cut unknown", capsule(0x99, b"x", 100), True)]:
            with self.subTest(name):
                wild = self.wild().session()
                wild.write("connect", frame(DATA, text), end=end)
                kind, code = wild.end()
                self.assertEqual((kind, code), ("application",
                                                NO_ERROR if name == "behind" else MESSAGE_ERROR))
        self.all_is_well()

    def test_what_is_unknown_is_skipped_however_long_it_is(self):
        self.open_house("--silence-timeout", "5m") # it says nothing else for a while
        wild = self.wild().session()
        before = self.resident()
        wild.write("connect", frame(DATA, capsule(0x99, b"")) + frame(0x21, b"grease") +
                   frame(DATA, varint(0x99) + varint(10 << 20)))
        for _ in range(10):
            wild.write("connect", frame(DATA, bytes(1 << 20)))
            wild.arrived("connect")
        wild.write("connect", frame(DATA, capsule(0x78ae, b""))) # DRAIN
        self.alive(wild)
        self.assertLess(self.resident() - before, 8 << 20)
        self.all_is_well()

    def test_a_close_that_comes_byte_by_byte_is_one(self):
        self.open_house()
        wild = self.wild().session()
        for byte in close_capsule(4321, "größer".encode()):
            wild.write("connect", frame(DATA, bytes([byte])))
        self.ends(wild, NO_ERROR)
        self.all_is_well()


class Datagrams(Quic):
    def test_one_without_a_session_id_ends_the_connection(self):
        self.open_house()
        for text in [b"", b"\x40", b"\xff" * 8]:
            with self.subTest(text=text):
                wild = self.wild().session()
                wild.datagram(text)
                self.ends(wild, DATAGRAM_ERROR)
        self.all_is_well()

    def test_one_for_no_session_and_an_empty_one_are_dropped(self):
        self.open_house()
        bad = self.metrics()["yomo_frames_bad_total"]
        for path in [b"/v1?yomo=1", b"/v1?id=page"]:
            wild = self.wild().session(path)
            for session in [4, 8, 400, (1 << 62) - 4]:
                wild.session_datagram(control("ping", ts=1), session)
            for _ in range(3):
                wild.session_datagram(b"")
            if b"yomo" in path:
                self.alive(wild)
            bad = self.counted("yomo_frames_bad_total", bad + 3)
        self.all_is_well()

    def test_garbage_is_counted_and_too_much_of_it_closes_with_1002(self):
        self.open_house("--errors-max", "20")
        malformed = 'yomo_dropped_total{reason="malformed"}'
        before = self.metrics()[malformed]
        wild = self.wild().session()
        for size in range(1, 20):
            wild.session_datagram(b"\xc1" * size)
        self.counted(malformed, before + 19)
        self.alive(wild)
        for _ in range(3):
            wild.session_datagram(b"\xc1")
        self.assertEqual(wild.close_code(), 1002)
        self.logged("closed (1002)")
        self.all_is_well()

    def test_presencejs_messages_over_its_limit_are_counted_and_dropped(self):
        self.open_house()
        wild = self.wild().session(b"/v1?id=page")
        wild.session_datagram(control("channel_join", c="good"))
        bad = self.metrics()["yomo_frames_bad_total"]
        for _ in range(5):
            wild.session_datagram(data_of("good", text='"' + "x" * 1100 + '"'))
        self.counted("yomo_frames_bad_total", bad + 5)
        self.all_is_well()


class Slow(Quic):
    def test_who_gives_no_credit_is_closed_and_costs_little(self):
        self.open_house("--message-rate", "0")
        closed = 'yomo_closed_total{reason="slow"}'
        wild = self.wild("hold", "window=3000").session()
        wild.stream("lane", bidi=True)
        wild.write("lane", framed(control("channel_join", c="slow")))
        wild.message("lane", "channel_join")
        before = self.resident()
        self.flood("reliable", 200, 16000, (closed, 1), "slow")
        self.logged("closed (3001)")
        self.assertLess(self.resident() - before, 24 << 20)
        self.all_is_well()

    def test_who_gives_credit_in_small_pieces_gets_everything(self):
        self.open_house()
        wild = self.wild("hold", "window=600").session()
        wild.stream("lane", bidi=True)
        wild.write("lane", framed(control("channel_join", c="thin")))
        wild.message("lane", "channel_join")
        pub = self.client(self.server, "pub", "thin", "e", '"' + "x" * 300 + '"', "--repeat",
                          "4")
        head = wild.header().hex() # of the room's stream, which the backend opens
        while not (event := wild.event("data"))["hex"].startswith(head):
            pass
        wild.ids["room"], got = event["stream"], bytes.fromhex(event["hex"])[len(head) // 2:]
        while got.count(b"x" * 300) < 4:
            wild.say("credit", wild.ids["room"], 400) # less is not told
            more = wild.event("data", stream=wild.ids["room"])["hex"]
            got += bytes.fromhex(more)
        self.assertEqual(pub.wait(), 0)
        self.all_is_well()

    def test_who_hangs_is_gone_after_the_silence_timeout(self):
        self.open_house("--silence-timeout", "3s", "--keep-alive", "1s")
        before = self.metrics()['yomo_connections{transport="webtransport"}']
        wild = self.wild().session()
        self.counted('yomo_connections{transport="webtransport"}', before + 1)
        wild.say("hang")
        self.until(lambda now: now['yomo_connections{transport="webtransport"}'] == before,
                   "it is still there")
        self.all_is_well()

    def test_who_stops_in_the_handshake_is_cut_off(self):
        self.open_house("--handshake-timeout", "500ms")
        failed = self.metrics()["yomo_handshakes_failed_total"]
        for _ in range(10):
            self.wild("stop-halfway")
        self.counted("yomo_handshakes_failed_total", failed + 10)
        self.until(lambda now: now["yomo_handshakes"] == 0, "they are still there")
        self.all_is_well()

    def test_garbage_from_a_clients_own_address_does_not_end_it(self):
        self.open_house()
        wild = self.wild().session()
        wild.stream("lane", bidi=True)
        wild.say("garble", 20)
        for index in range(1, 31):
            wild.write("lane", framed(control("ping", ts=index)))
            wild.say("raw", ("%02x" % index) * (index * 40))
            wild.say("raw", "-")
        for index in range(1, 31):
            self.assertEqual(wild.message("lane", "pong")["ts"], index)
        self.all_is_well()


if __name__ == "__main__":
    main()
