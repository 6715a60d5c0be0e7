# SPDX-License-Identifier: MIT
"""A peer without manners over QUIC: HTTP/3 and WebTransport as bytes that may be wrong in
any way (RFC 9114, 9204, 9297, draft-ietf-webtrans-http3-16). The handshake, and nothing
else, is done by tests/e2e/quic_peer."""
import json
import os
import subprocess

from raw import unpack
from support import Process

QUIC_PEER = os.environ.get("YOMO_QUIC_PEER", "")

# Error codes of HTTP/3 (RFC 9114 8.1), QPACK (RFC 9204 6), datagrams (RFC 9297 5.2) and
# WebTransport (draft 9.5).
DATAGRAM_ERROR = 0x33
NO_ERROR, STREAM_CREATION, CLOSED_CRITICAL_STREAM, FRAME_UNEXPECTED, FRAME_ERROR = (
    0x100, 0x103, 0x104, 0x105, 0x106)
EXCESSIVE_LOAD, ID_ERROR, SETTINGS_ERROR, MISSING_SETTINGS = 0x107, 0x108, 0x109, 0x10a
REQUEST_REJECTED, MESSAGE_ERROR = 0x10b, 0x10e
DECOMPRESSION_FAILED, ENCODER_STREAM_ERROR, DECODER_STREAM_ERROR = 0x200, 0x201, 0x202
BUFFERED_STREAM_REJECTED = 0x3994bd84

DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
CONTROL, PUSH, ENCODER, DECODER, UNI, BIDI = 0, 1, 2, 3, 0x54, 0x41
H3_DATAGRAM, CONNECT_PROTOCOL, WT_ENABLED = 0x33, 0x08, 0x2c7cf000
CLOSE_CAPSULE = 0x2843

COMMON = [(H3_DATAGRAM, 1), (WT_ENABLED, 1)]
REQUEST = [(b":method", b"CONNECT"), (b":protocol", b"webtransport"), (b":scheme", b"https"),
           (b":authority", b"localhost"), (b":path", b"/v1?yomo=1")]


def varint(value):
    for width, bits in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * width - 2):
            return (value | bits << (8 * width - 2)).to_bytes(width, "big")
    raise ValueError(value)


def read_varint(data):
    """The number at the front, and what is behind it; None when it is cut."""
    if not data or len(data) < (width := 1 << (data[0] >> 6)):
        return None
    return (int.from_bytes(data[:width], "big") & (1 << (8 * width - 2)) - 1, data[width:])


def frame(kind, payload=b"", size=None):
    """`size` says that there is another number of bytes than there are."""
    return varint(kind) + varint(len(payload) if size is None else size) + payload


capsule = frame # RFC 9297 3.2: the same shape


def settings(pairs):
    return frame(SETTINGS, b"".join(varint(key) + varint(value) for key, value in pairs))


def close_capsule(code, text=b""):
    return capsule(CLOSE_CAPSULE, code.to_bytes(4, "big") + text)


def framed(message):
    """A message on a stream (docs/protocol.md)."""
    return varint(len(message)) + message


def _prefixed(first, bits, value):
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out, value = bytes([first | top]), value - top
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def fields(pairs):
    """A field section of literals (RFC 9204 4.5.6), without tables and Huffman codes."""
    return b"\0\0" + b"".join(_prefixed(0x20, 3, len(name)) + name +
                              _prefixed(0x00, 7, len(value)) + value for name, value in pairs)


def request(*changes, without=()):
    """A CONNECT with some fields changed, added or left out."""
    changed = dict(changes)
    pairs = [(name, changed.pop(name, value)) for name, value in REQUEST
             if name not in without]
    return frame(HEADERS, fields(pairs + list(changed.items())))


STATUS = {25: 200, 26: 304, 27: 404, 28: 503, 67: 400, 68: 403, 69: 421, 70: 425, 71: 500}


def _digits(data, huffman):
    if not huffman:
        return int(data)
    bits, text = "".join(f"{byte:08b}" for byte in data), ""
    while len(bits) >= 5 and bits[:5] in ("00000", "00001", "00010"):
        text, bits = text + str(int(bits[:5], 2)), bits[5:]
        while len(bits) >= 6 and bits[:2] == "01":
            text, bits = text + str(int(bits[:6], 2) - 22), bits[6:]
    while len(bits) >= 6 and bits[:2] == "01":
        text, bits = text + str(int(bits[:6], 2) - 22), bits[6:]
        while len(bits) >= 5 and bits[:5] in ("00000", "00001", "00010"):
            text, bits = text + str(int(bits[:5], 2)), bits[5:]
    return int(text)


def status_of(section):
    """The :status, which comes first in a field section."""
    section = section[2:]
    if section[0] & 0xc0 == 0xc0: # indexed, static
        index, rest = section[0] & 0x3f, section[1:]
        return STATUS[index if index < 63 else 63 + rest[0]]
    assert section[0] & 0xd0 == 0x50, section # literal, with the name of a static one
    rest = section[1 if section[0] & 0x0f < 15 else 2:]
    size = rest[0] & 0x7f
    return _digits(rest[1:1 + size], rest[0] & 0x80)


class Wild:
    """One QUIC connection to the backend's door."""

    def __init__(self, port, *flags):
        self.process = Process(str(port), *flags, program=QUIC_PEER, stdin=subprocess.PIPE)
        self.ids = {}
        self.written = {}
        self.later = []
        self.heard = {} # by stream: what came and was not looked at yet

    def kill(self):
        try:
            self.process.kill()
        except BrokenPipeError:
            pass # it had ended; what it had not read yet is of no use

    def say(self, *words):
        try:
            self.process.child.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.child.stdin.flush()
        except BrokenPipeError:
            pass # it is over, which an event tells

    def _take(self):
        line = self.process.out.next()
        assert line is not None, f"ended: {self.process.out.seen[-5:]} {self.process.err.seen}"
        return json.loads(line)

    def event(self, *kinds, **wanted):
        """The next event of that kind with these members; others wait."""
        def holds(event):
            return event["event"] in kinds and all(
                event.get(key) == value for key, value in wanted.items())
        for index, event in enumerate(self.later):
            if holds(event):
                return self.later.pop(index)
        while not holds(event := self._take()):
            if event["event"] == "end":
                raise AssertionError(f"ended while {kinds} {wanted} was waited for: {event}")
            if event["event"] != "done":
                self.later.append(event)
        return event

    # --- Streams

    def open(self, name, *, bidi=False):
        self.say("bidi" if bidi else "uni", name)
        self.ids[name] = self.event("opened", name=name)["stream"]
        return self.ids[name]

    def write(self, name, data, *, end=False):
        self.say("end" if end else "write", name, data.hex() or "-")
        self.written[name] = self.written.get(name, 0) + len(data)

    def arrived(self, *names):
        """All that was written there has come to the backend."""
        for name in names:
            self.event("acked", stream=self.ids[name], size=self.written[name])

    def datagram(self, data):
        self.say("datagram", data.hex() or "-")

    def frames(self, data):
        """A packet with these QUIC frames (RFC 9000 19) and nothing else."""
        self.say("frames", data.hex())

    def done(self):
        """All that was said so far was carried out."""
        self.event("done")

    def read(self, name, count):
        """So many bytes of what came on a stream."""
        number = self.ids[name]
        got = self.heard.get(number, b"")
        while len(got) < count:
            got += bytes.fromhex(self.event("data", stream=number)["hex"])
        self.heard[number] = got[count:]
        return got[:count]

    def _number(self, name):
        first = self.read(name, 1)
        return read_varint(first + self.read(name, (1 << (first[0] >> 6)) - 1))[0]

    def frame(self, name):
        """The next HTTP/3 frame on a stream: kind and payload."""
        kind = self._number(name)
        return kind, self.read(name, self._number(name))

    # --- HTTP/3

    def hello(self, pairs=tuple(COMMON)):
        self.event("ready")
        self.open("control")
        self.write("control", varint(CONTROL) + settings(pairs))

    def ask(self, section=None, name="connect"):
        self.open(name, bidi=True)
        self.write(name, request() if section is None else section)

    def status(self, name="connect"):
        kind, section = self.frame(name)
        assert kind == HEADERS, kind
        return status_of(section)

    # --- WebTransport

    def session(self, path=b"/v1?yomo=1"):
        """Let in, with a session."""
        self.hello()
        self.ask(request((b":path", path)))
        assert self.status() == 200
        return self

    def stream(self, name, *, bidi=False, session=None):
        self.open(name, bidi=bidi)
        self.write(name, self.header(bidi=bidi, session=session))

    def header(self, *, bidi=False, session=None):
        number = self.ids["connect"] if session is None else session
        return varint(BIDI if bidi else UNI) + varint(number)

    def message(self, name, op):
        """The next message with that op (or "data") on a stream of the session."""
        while True:
            message = unpack(self.read(name, self._number(name)))
            if message.get("op", message["t"]) == op:
                return message

    def session_datagram(self, data, session=None):
        number = self.ids["connect"] if session is None else session
        self.datagram(varint(number // 4) + data)

    def close_code(self):
        """The code of the CLOSE capsule with which the session ends."""
        data = b""
        while True:
            kind, payload = self.frame("connect")
            data += payload if kind == DATA else b""
            while (head := read_varint(data)) and (size := read_varint(head[1])):
                if len(size[1]) < size[0]:
                    break
                if head[0] == CLOSE_CAPSULE:
                    return int.from_bytes(size[1][:4], "big")
                data = size[1][size[0]:]

    def end(self):
        """How the connection ends: ("application", its code), ..."""
        while (event := self._take())["event"] != "end":
            pass
        self.process.wait()
        return event["kind"], event.get("code")
