# SPDX-License-Identifier: MIT
"""A peer without manners: bare sockets, frames and MessagePack that may be wrong in any
way. It knows no more of the protocol than docs/protocol.md says."""
import base64
import os
import socket
import ssl
import struct

DEADLINE = 20
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def pack(value):
    """MessagePack of what messages are made of."""
    if isinstance(value, dict):
        return bytes([0x80 | len(value)]) + b"".join(
            pack(key) + pack(item) for key, item in value.items())
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogateescape")
        return b"\xdb" + struct.pack(">I", len(text)) + text
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    raise TypeError(value)


def unpack(data):
    value, rest = _unpack(data)
    assert not rest, rest
    return value


def _sized(data, width):
    size = int.from_bytes(data[:width], "big")
    return data[width:width + size], data[width + size:]


def _items(data, count):
    items = []
    for _ in range(count):
        item, data = _unpack(data)
        items.append(item)
    return items, data


def _unpack(data):
    head, data = data[0], data[1:]
    if head < 0x80:
        return head, data
    if head < 0x90:
        items, data = _items(data, 2 * (head & 15))
        return dict(zip(items[::2], items[1::2])), data
    if head < 0xa0:
        return _items(data, head & 15)
    if head < 0xc0:
        size = head & 31
        return data[:size].decode(), data[size:]
    if head in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[head], data
    if 0xc4 <= head <= 0xc6:
        return _sized(data, 1 << (head - 0xc4))
    if 0xcc <= head <= 0xd3:
        width = 1 << (head & 3)
        return int.from_bytes(data[:width], "big", signed=head >= 0xd0), data[width:]
    if 0xd9 <= head <= 0xdb:
        text, data = _sized(data, 1 << (head - 0xd9))
        return text.decode(), data
    if head == 0xdc:
        return _items(data[2:], int.from_bytes(data[:2], "big"))
    raise ValueError(hex(head))


def data_of(room, event="e", text='"x"', **more):
    return pack({"t": "data", "c": room, "pl": pack({"event": event, "data": text}), **more})


def control(op, **more):
    return pack({"t": "control", "op": op, **more})


class Raw:
    """A TCP connection to one of the backend's doors."""

    def __init__(self, port, secure=False, buffer_size=0):
        self.got = b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE)
        if buffer_size:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        self.socket.connect(("127.0.0.1", port))
        if secure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        """False at the end; a reset is one, too."""
        try:
            piece = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            piece = b""
        self.got += piece
        return bool(piece)

    def rest(self):
        while self.more():
            pass
        return self.got

    # --- HTTP

    def head(self):
        while b"\r\n\r\n" not in self.got:
            assert self.more(), f"ended inside a head: {self.got}"
        head, self.got = self.got.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def status(self, request):
        self.send(request)
        self.answer = self.head()
        return int(self.answer.split(" ")[1])

    # --- WebSocket

    def upgrade(self, path="/v1?yomo=1", *headers, version=13):
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: Upgrade",
                 "Upgrade: websocket", f"Sec-WebSocket-Version: {version}",
                 f"Sec-WebSocket-Key: {key}", *headers, "", ""]
        return self.status("\r\n".join(lines).encode())

    def frame(self, opcode, payload, *, final=True, masked=True, size=None, bits=0):
        """`size` says that there is another number of bytes than there are."""
        size = len(payload) if size is None else size
        out = bytes([(0x80 if final else 0) | bits | opcode])
        mask = 0x80 if masked else 0
        if size < 126:
            out += bytes([mask | size])
        elif size < 65536:
            out += bytes([mask | 126]) + struct.pack(">H", size)
        else:
            out += bytes([mask | 127]) + struct.pack(">Q", size)
        self.send(out + (b"\0\0\0\0" if masked else b"") + payload)

    def say(self, message):
        self.frame(BINARY, message)

    def _take(self, count):
        while len(self.got) < count:
            if not self.more():
                return None
        taken, self.got = self.got[:count], self.got[count:]
        return taken

    def hear(self):
        """The next frame as (opcode, payload); None at the end."""
        head = self._take(2)
        if head is None:
            return None
        size = head[1] & 127
        if size > 125:
            wide = self._take(2 if size == 126 else 8)
            size = int.from_bytes(wide, "big") if wide else 0
        payload = self._take(size)
        return None if payload is None else (head[0] & 15, payload)

    def until(self, opcode):
        while (frame := self.hear()) is not None:
            if frame[0] == opcode:
                return frame[1]
        raise AssertionError(f"ended without a frame {opcode}")

    def message(self, op):
        """The next message with that op (or "data")."""
        while True:
            message = unpack(self.until(BINARY))
            if message.get("op", message["t"]) == op:
                return message

    def close_code(self):
        return int.from_bytes(self.until(CLOSE)[:2], "big")

    def alive(self):
        """Answers a ping, having worked off all that was said before."""
        token = os.urandom(8)
        self.frame(PING, token)
        while self.until(PONG) != token:
            pass
        return True
