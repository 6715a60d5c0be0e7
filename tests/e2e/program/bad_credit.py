#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Credit, from outside, against a backend with guests: peers that take more than they
were given, of QUIC's (RFC 9000 4) and of a session's (draft-ietf-webtrans-http3-16 5), and
peers that give theirs one byte at a time. QUIC's frames are made here: the client's own
QUIC would never send them."""
from h3 import *
from raw import control, data_of, unpack
from support import main
from wild import Quic

# RFC 9000 20.1.
FLOW_CONTROL, STREAM_LIMIT, STREAM_STATE, FINAL_SIZE = 3, 4, 5, 6
FRAME_ENCODING, CONNECTION_ID_LIMIT, PROTOCOL_VIOLATION, CRYPTO_BUFFER = 7, 9, 10, 13
UNEXPECTED_MESSAGE = 0x100 + 10 # an alert of TLS's
# draft-ietf-webtrans-http3-16 9.5, 5.6, 9.2.
WT_FLOW_CONTROL_ERROR = 0x045d4487
MAX_DATA, MAX_STREAM_DATA, MAX_BIDI, MAX_UNI, DATA_BLOCKED, STREAM_DATA_BLOCKED = (
    0x190b4d3d, 0x190b4d3e, 0x190b4d3f, 0x190b4d40, 0x190b4d41, 0x190b4d42)
INITIAL_DATA, INITIAL_UNI, INITIAL_BIDI = 0x2b61, 0x2b64, 0x2b65
STREAM_WINDOW = 65536 # docs/quic.md
STREAMS, UNI_STREAMS = 100, 103


def stream_frame(number, offset, data=b"x"):
    """RFC 9000 19.8, with an offset and a length."""
    return b"\x0e" + varint(number) + varint(offset) + varint(len(data)) + data


class Frames(Quic):
    def test_what_quic_does_not_allow_ends_the_connection(self):
        self.open_house()
        uni = 4 * 20 + 2 # one that is not open yet, and may be
        spread = b"".join(stream_frame(4 * index + 2, STREAM_WINDOW - 2)
                          for index in range(20, 26))
        cases = [
            ("a stream's window", stream_frame(uni, STREAM_WINDOW), FLOW_CONTROL),
            ("far past it", stream_frame(uni, (1 << 62) - 2), FLOW_CONTROL),
            ("the connection's window", spread, FLOW_CONTROL),
            ("the request's window", stream_frame(0, 2 * STREAM_WINDOW), FLOW_CONTROL),
            ("by a reset", b"\x04" + varint(uni) + b"\x05" + varint(STREAM_WINDOW + 1),
             FLOW_CONTROL),
            ("by resets", b"".join(b"\x04" + varint(4 * index + 2) + b"\x05" +
                                   varint(STREAM_WINDOW) for index in range(20, 26)),
             FLOW_CONTROL),
            ("bidirectional streams", stream_frame(4 * STREAMS, 0), STREAM_LIMIT),
            ("unidirectional streams", stream_frame(4 * UNI_STREAMS + 2, 0), STREAM_LIMIT),
            ("the last stream there is", stream_frame((1 << 62) - 2, 0), STREAM_LIMIT),
            ("a stream by STOP_SENDING", b"\x05" + varint(4 * STREAMS) + b"\x05", STREAM_LIMIT),
            ("a stream by MAX_STREAM_DATA", b"\x11" + varint(4 * STREAMS) + b"\x05",
             STREAM_LIMIT),
            ("the server's stream", stream_frame(3, 0), STREAM_STATE),
            ("one that it has not opened", stream_frame(4 * 30 + 1, 0), STREAM_STATE),
            ("credit for what cannot be written", b"\x11" + varint(2) + b"\x05",
             STREAM_STATE),
            ("two ends", b"\x0f" + varint(uni) + b"\x05\x01x" + b"\x0f" + varint(uni) +
             b"\x05\x02xy", FINAL_SIZE), # of one whose first bytes have not come
            ("behind the end", b"\x0f" + varint(uni) + b"\x05\x01x" +
             stream_frame(uni, 10), FINAL_SIZE),
            ("TLS's KeyUpdate", b"\x06\0\x05\x18\0\0\x01\0", UNEXPECTED_MESSAGE),
            ("more streams than there can be", b"\x13" + varint((1 << 60) + 1),
             FRAME_ENCODING),
            ("a frame that there is not", b"\x3f", FRAME_ENCODING),
            ("an acknowledgement of nothing", b"\x02" + varint(1 << 30) + b"\x00\x00\x00",
             PROTOCOL_VIOLATION),
            ("a server's frame", b"\x1e", PROTOCOL_VIOLATION),
            ("a token", b"\x07\x01x", PROTOCOL_VIOLATION),
            ("an ID of no length", b"\x18\x05\x00\x00" + bytes(16), FRAME_ENCODING),
            ("too many IDs", b"".join(b"\x18" + bytes([number]) + b"\x00\x08" +
                                      bytes([number]) * 24 for number in range(40, 60)),
             CONNECTION_ID_LIMIT),
            ("an ID that retires what is not there", b"\x19\x3f", PROTOCOL_VIOLATION),
            ("TLS far ahead", b"\x06" + varint(1 << 40) + b"\x01x", CRYPTO_BUFFER),
        ]
        for name, frames, code in cases:
            with self.subTest(name):
                wild = self.wild().session()
                self.alive(wild)
                wild.frames(frames)
                self.assertEqual(wild.end(), ("transport", code))
        self.all_is_well()

    def test_credit_that_was_given_before_and_for_nobody_changes_nothing(self):
        self.open_house()
        wild = self.wild().session()
        self.alive(wild)
        for _ in range(20):
            wild.frames(b"\x10\x00" + b"\x11\x00\x00" + b"\x12\x00" + b"\x13\x00" +
                        b"\x14\x05" + b"\x15\x00\x05" + b"\x16\x05" + b"\x17\x05")
        self.alive(wild)
        self.all_is_well()


class Sessions(Quic):
    """Several sessions on a connection, each with limits of its own."""

    def several(self, data=1 << 20, bidi=100, uni=100, path=b"/v1?yomo=1"):
        wild = self.wild()
        wild.hello(COMMON + [(INITIAL_DATA, data), (INITIAL_BIDI, bidi), (INITIAL_UNI, uni)])
        for name in ["connect", "other"]:
            wild.ask(request((b":path", path if name == "connect" else b"/v1?yomo=1")), name)
            self.assertEqual(wild.status(name), 200)
        if data < 1 << 20: # that is for the one that is tried
            wild.write("other", frame(DATA, capsule(MAX_DATA, varint(1 << 20))))
        wild.stream("beside", bidi=True, session=wild.ids["other"])
        return wild

    def other_is_alive(self, wild):
        self.pings = getattr(self, "pings", 0) + 1
        wild.write("beside", framed(control("ping", ts=self.pings)))
        while wild.message("beside", "pong")["ts"] != self.pings:
            pass

    def broken(self, wild):
        """The session is, the other one beside it on the connection is not."""
        self.assertEqual(wild.event("reset", stream=wild.ids["connect"])["code"],
                         WT_FLOW_CONTROL_ERROR)
        self.other_is_alive(wild)
        wild.ask(name="third") # there is room again
        self.assertEqual(wild.status("third"), 200)
        wild.kill()

    def test_limits_that_are_none_end_the_session_alone(self):
        self.open_house("--webtransport-sessions", "3")
        for name, capsules in [
                ("the same again", capsule(MAX_DATA, varint(1 << 20))),
                ("less", capsule(MAX_DATA, varint(5))),
                ("less streams", capsule(MAX_BIDI, varint(99))),
                ("more streams than there can be", capsule(MAX_UNI, varint((1 << 60) + 1))),
                ("HTTP/2's", capsule(MAX_STREAM_DATA, varint(0) + varint(7))),
                ("HTTP/2's, too", capsule(STREAM_DATA_BLOCKED, varint(0) + varint(7)))]:
            with self.subTest(name):
                wild = self.several()
                self.other_is_alive(wild)
                wild.write("connect", frame(DATA, capsules))
                self.broken(wild)
        self.all_is_well()

    def test_capsules_of_limits_that_are_no_number_end_the_session_alone(self):
        self.open_house("--webtransport-sessions", "3")
        for text in [b"", b"\x40", varint(7) + b"x", bytes(9)]:
            with self.subTest(text=text):
                wild = self.several()
                wild.write("connect", frame(DATA, capsule(MAX_DATA, text)))
                self.assertEqual(wild.event("reset", stream=wild.ids["connect"])["code"],
                                 MESSAGE_ERROR)
                self.other_is_alive(wild)
                wild.kill()
        self.all_is_well()

    def test_more_streams_than_the_session_was_allowed_end_it_alone(self):
        """QUIC counts those that are open, a session all that there were."""
        self.open_house("--webtransport-sessions", "3")
        for bidi in [False, True]:
            with self.subTest(bidi=bidi):
                wild = self.several(path=b"/echo")
                for index in range(40): # not enough for a new limit
                    wild.stream(f"done{index}", bidi=bidi)
                    wild.say("end", f"done{index}", "-")
                for index in range(40):
                    wild.event("closed", stream=wild.ids[f"done{index}"])
                for index in range(61):
                    wild.stream(f"open{index}", bidi=bidi)
                self.broken(wild)
        self.all_is_well()

    def test_more_data_than_the_session_was_allowed_ends_it_alone(self):
        """On many streams, none of which is read: the echo has nowhere to go."""
        self.open_house("--webtransport-sessions", "3")
        before = self.resident()
        wild = self.several(data=1, path=b"/echo")
        for index in range(20):
            wild.stream(f"echo{index}", bidi=True)
            wild.write(f"echo{index}", bytes(60000))
        self.broken(wild)
        self.assertLess(self.resident() - before, 16 << 20)
        self.all_is_well()

    def test_a_session_gets_what_it_gives_byte_by_byte(self):
        self.open_house("--webtransport-sessions", "3")
        wild = self.several(data=1)
        wild.stream("lane", bidi=True)
        wild.write("lane", framed(control("ping", ts=7)))
        got, given, allowed, heard = b"", 1, 1, []
        while "pong" not in heard:
            got += wild.read("lane", given - len(got))
            self.assertEqual(wild.heard[wild.ids["lane"]], b"") # and nothing more
            if (head := read_varint(got)) and len(head[1]) == head[0]:
                heard.append(unpack(head[1])["op"])
                got, given = b"", 0
            given, allowed = given + 1, allowed + 1
            wild.write("connect", frame(DATA, capsule(MAX_DATA, varint(allowed))))
        self.assertEqual(heard, ["hello", "pong"])
        self.other_is_alive(wild)
        self.all_is_well()

    def test_credit_told_a_thousand_times_is_cheap(self):
        self.open_house("--webtransport-sessions", "3")
        before = self.resident()
        wild = self.several()
        limit = 1 << 20
        for _ in range(20):
            text = b""
            for _ in range(1000):
                limit += 1
                text += capsule(MAX_DATA, varint(limit)) + capsule(DATA_BLOCKED, varint(1))
            wild.write("connect", frame(DATA, text))
        wild.arrived("connect")
        self.alive(wild)
        self.assertLess(self.resident() - before, 8 << 20)
        self.all_is_well()


class ByteByByte(Quic):
    def test_who_lets_one_byte_come_at_a_time_gets_everything(self):
        """All of it, SETTINGS and the answer to the request too."""
        self.open_house()
        wild = self.wild("window=1", "all=1").session()
        wild.stream("lane", bidi=True)
        wild.write("lane", framed(control("channel_join", c="thin")))
        wild.message("lane", "channel_join")
        code, _, err = self.run_client(self.server, "pub", "thin", "e", '"' + "x" * 300 + '"')
        self.assertEqual(code, 0, err)
        head = wild.header() # of the room's stream, which the backend opens
        self.all_is_well()
        streams = {}
        while True:
            event = wild.event("data")
            self.assertLessEqual(len(event["hex"]), 2)
            text = streams.get(event["stream"], b"") + bytes.fromhex(event["hex"])
            streams[event["stream"]] = text
            if text.startswith(head) and b"x" * 300 in text:
                break
        wild.write("lane", framed(data_of("thin")))
        self.all_is_well()

    def test_many_who_let_one_byte_come_at_a_time_hold_up_nobody(self):
        self.open_house()
        wilds = [self.wild("window=1", "all=1") for _ in range(10)]
        for wild in wilds:
            wild.session()
        for wild in wilds:
            self.alive(wild)
            self.all_is_well()


if __name__ == "__main__":
    main()
