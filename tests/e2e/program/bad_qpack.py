#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Header bombs, from outside, against a backend with guests: QPACK instructions for a
table that was never offered, strings and sections without end (RFC 9204 6, RFC 9114
10.5). Each gets its code, memory stays, and nobody in the room notices."""
from h3 import *
from support import main
from wild import Quic

HEAD_HARD = 1 << 20 # as docs/protocol.md says
# A name and a value out of the static table: one byte says 68 (RFC 9114 4.2.2).
INDEXED = b"\xf4"


def number(first, bits, value):
    """RFC 9204 4.1.1."""
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out, value = bytes([first | top]), value - top
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def huffman(size):
    """`size` bytes that say as many letters as can be: 8 of "aceiost" and so on for 5
    bytes (RFC 7541 appendix B: 5 bits each, here "0" to "2" and letters of 5 bits)."""
    return (b"\x00\x44\x32\x14\xc7" * (size // 5 + 1))[:size // 5 * 5]


class Instructions(Quic):
    def test_a_table_that_was_not_offered_takes_nothing(self):
        self.open_house()
        cases = [ # RFC 9204 4.3, 4.4: what a decoder of a table of no size has no place for
            ("capacity 1", ENCODER, number(0x20, 5, 1)),
            ("capacity 2^61", ENCODER, number(0x20, 5, 1 << 61)),
            ("a number without end", ENCODER, b"\x3f" + b"\xff" * 12),
            ("static name", ENCODER, number(0xc0, 6, 1) + b"\x01x"),
            ("static name that is not there", ENCODER, number(0xc0, 6, 99) + b"\x01x"),
            ("dynamic name", ENCODER, number(0x80, 6, 0) + b"\x01x"),
            ("literal name", ENCODER, b"\x41x\x01y"),
            ("a name of 2^60 bytes", ENCODER, number(0x40, 5, 1 << 60) + b"x" * 4000),
            ("a value of 2^60 bytes", ENCODER,
             b"\x41x" + number(0x00, 7, 1 << 60) + b"x" * 4000),
            ("a Huffman name that expands", ENCODER,
             number(0x60, 5, 60000) + huffman(60000)),
            ("duplicate", ENCODER, number(0x00, 5, 0)),
            ("acknowledged section", DECODER, number(0x80, 7, 0)),
            ("acknowledged section of no stream", DECODER, number(0x80, 7, 1 << 60)),
            ("insert count", DECODER, number(0x00, 6, 1)),
            ("insert count of 0", DECODER, number(0x00, 6, 0)),
            ("a number without end", DECODER, b"\x3f" + b"\xff" * 12),
        ]
        for name, kind, text in cases:
            with self.subTest(name, kind=kind):
                wild = self.wild().session()
                wild.open("table")
                wild.write("table", varint(kind) + text)
                self.ends(wild, ENCODER_STREAM_ERROR if kind == ENCODER else
                          DECODER_STREAM_ERROR)
        self.all_is_well()

    def test_instructions_that_say_nothing_may_be_few(self):
        self.open_house()
        before = self.resident()
        for kind, text, code in [
                (ENCODER, b"\x20", ENCODER_STREAM_ERROR), # capacity 0, again
                (DECODER, b"\x7f\x01", DECODER_STREAM_ERROR)]: # a stream was cancelled
            with self.subTest(kind=kind):
                wild = self.wild().session()
                wild.open("table")
                wild.write("table", varint(kind) + text * 50)
                wild.arrived("table")
                self.alive(wild)
                for _ in range(8):
                    wild.write("table", text * (1 << 19))
                self.ends(wild, code)
        self.assertLess(self.resident() - before, 12 << 20)
        self.all_is_well()


class Sections(Quic):
    def refused(self, text, code, name=None):
        """What a request's HEADERS come to: a status or the connection's end."""
        with self.subTest(name or text[:20]):
            wild = self.wild()
            wild.hello()
            wild.ask(text)
            if code < 0x100 or code >= 0x200 and code < 0x300 or code == EXCESSIVE_LOAD:
                self.ends(wild, code)
            else:
                self.assertEqual(wild.status(), code)

    def test_references_to_a_table_that_is_not_there_end_the_connection(self):
        self.open_house()
        for name, section in [
                ("indexed", b"\0\0\x80"),
                ("indexed, far", b"\0\0" + number(0x80, 6, 1 << 50)),
                ("indexed behind the base", b"\0\0\x10"),
                ("name", b"\0\0\x40\x01x"),
                ("name behind the base", b"\0\0\x00\x01x"),
                ("static that there is not", b"\0\0" + number(0xc0, 6, 99)),
                ("static name that there is not", b"\0\0" + number(0x50, 4, 99) + b"\x01x"),
                ("insert count 1", b"\x02\0" + fields(REQUEST)[2:]),
                ("insert count 2^62", number(0, 8, 1 << 62) + b"\0"),
                ("a base below nothing", b"\0\x80" + b"\x80"),
                ("a number without end", b"\0\0" + b"\xff" * 12),
                ("a name without end", b"\0\0" + b"\x27" + b"\xff" * 12)]:
            self.refused(frame(HEADERS, section), DECOMPRESSION_FAILED, name)
        self.all_is_well()

    def test_strings_that_say_they_are_long_are_not_waited_for(self):
        self.open_house()
        before = self.resident()
        for name, start in [
                ("name", number(0x20, 3, 1 << 60)),
                ("Huffman name", number(0x28, 3, 1 << 60)),
                ("value", b"\x21x" + number(0x00, 7, 1 << 60)),
                ("Huffman value", b"\x21x" + number(0x80, 7, 1 << 60)),
                ("value of 1 MiB", b"\x21x" + number(0x00, 7, 1 << 20)),
                ("Huffman value of 1 MiB", b"\x21x" + number(0x80, 7, 1 << 20))]:
            text = varint(HEADERS) + varint(1 << 61) + b"\0\0" + start + b"x" * 3000
            with self.subTest(name):
                wild = self.wild()
                wild.hello()
                wild.ask(text)
                kind, code = wild.end()
                self.assertEqual((kind, code), ("application", EXCESSIVE_LOAD))
        self.assertLess(self.resident() - before, 12 << 20)
        self.all_is_well()

    def test_strings_that_expand_count_as_what_they_become(self):
        self.open_house()
        packed = huffman(11000) # becomes 17,600
        section = b"\0\0\x21x" + number(0x80, 7, len(packed)) + packed
        self.refused(frame(HEADERS, fields(REQUEST) + section[2:]), 431)
        packed = huffman(9000) # becomes 14,400: that may be
        section = b"\x21x" + number(0x80, 7, len(packed)) + packed
        wild = self.wild()
        wild.hello()
        wild.ask(frame(HEADERS, fields(REQUEST) + section))
        self.assertEqual(wild.status(), 200)
        self.all_is_well()

    def test_a_section_over_the_limit_is_answered_and_one_far_over_it_ends_it_all(self):
        self.open_house()
        start = fields(REQUEST)
        self.refused(frame(HEADERS, start + INDEXED * 300), 431, "many") # all is warm
        before = self.resident()
        for name, section, code in [
                ("one long value", start + fields([(b"x", b"y" * 17000)])[2:], 431),
                ("very many", start + INDEXED * (HEAD_HARD // 68 - 100), 431),
                ("too many", start + INDEXED * (HEAD_HARD // 68 + 100), EXCESSIVE_LOAD),
                ("with nothing in them", start + b"\x20\x00" * 40000, None)]:
            if code is None: # a name of no length is no field's
                with self.subTest(name):
                    wild = self.wild()
                    wild.hello()
                    wild.ask(frame(HEADERS, section))
                    self.assertEqual(wild.end()[0], "application")
            else:
                self.refused(frame(HEADERS, section), code, name)
        self.assertLess(self.resident() - before, 12 << 20)
        self.all_is_well()

    def test_a_section_without_end_ends_the_connection(self):
        """Also beside a session: a small request that grows in the decoder."""
        self.open_house()
        before = self.resident()
        wild = self.wild().session()
        self.alive(wild)
        wild.open("bomb", bidi=True)
        wild.write("bomb", varint(HEADERS) + varint(1 << 61) + fields(REQUEST))
        for _ in range(4):
            wild.write("bomb", INDEXED * (1 << 20))
        self.ends(wild, EXCESSIVE_LOAD)
        self.logged("closed (HTTP/3 error 0x107)")
        self.assertLess(self.resident() - before, 12 << 20)
        self.all_is_well()

    def test_a_request_has_no_second_section(self):
        """What CONTINUATION frames were to HTTP/2: HEADERS behind HEADERS."""
        self.open_house()
        again = frame(HEADERS, b"\0\0")
        wild = self.wild().session()
        wild.write("connect", again * 5000)
        self.assertEqual(wild.end()[0], "application")
        wild = self.wild()
        wild.hello()
        page = request((b":method", b"GET"), without=(b":protocol",))
        wild.ask(page + again * 5000)
        self.ends(wild, FRAME_UNEXPECTED)
        self.all_is_well()

    def test_sections_that_are_never_complete_cost_little(self):
        self.open_house("--handshake-timeout", "2s")
        before = self.resident()
        part = varint(HEADERS) + varint(20000) + fields(REQUEST + [(b"x", b"y" * 15000)])
        wilds = []
        for _ in range(10):
            wild = self.wild()
            wild.hello()
            wild.say("flood", 90, "bidi", "open", part.hex()) # 13 MB in all
            wilds.append(wild)
        self.all_is_well()
        for wild in wilds:
            self.ends(wild, NO_ERROR)
        # 90 times 16 KiB each, and what a sanitizer adds.
        self.assertLess(self.resident() - before, 48 << 20)
        self.all_is_well()


if __name__ == "__main__":
    main()
