# SPDX-License-Identifier: MIT
"""wt.py - WebTransport sessions on aioquic's HTTP/3, for both ends.

aioquic frames streams and datagrams; what a session is (capsules, codes, its end) is here.
"""
import asyncio

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import (DataReceived, DatagramReceived, HeadersReceived,
                               WebTransportStreamDataReceived)
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (ConnectionTerminated, StopSendingReceived, StreamReset)

CLOSE_SESSION = 0x2843
FIRST_CODE = 0x52E4A40FA8DB


def to_h3(code):
    return FIRST_CODE + code + code // 0x1E


def from_h3(code):
    """The application's code, or None for one that is not in WebTransport's range."""
    shifted = code - FIRST_CODE
    if shifted < 0 or (code - 0x21) % 0x1F == 0:
        return None
    value = shifted - shifted // 0x1F
    return value if value <= 0xFFFFFFFF else None


def put_varint(value):
    for power, size in ((6, 1), (14, 2), (30, 4), (62, 8)):
        if value < 1 << power:
            return (value | (size.bit_length() - 1) << (size * 8 - 2)).to_bytes(size, 'big')
    raise ValueError(value)


def get_varint(data, at):
    """(value, where the next byte is), or None while it is not all there."""
    if at >= len(data):
        return None
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        return None
    value = int.from_bytes(data[at:at + size], 'big') & ((1 << (size * 8 - 2)) - 1)
    return value, at + size


class Stream:
    def __init__(self, session, number, local):
        self.session, self.number, self.local = session, number, local
        self.data = bytearray()
        self.finished = False   # their FIN has come
        self.reset_code = None  # what their RESET_STREAM said, translated
        self.was_reset = False
        self.stop_code = None
        self.was_stopped = False

    @property
    def unidirectional(self):
        return bool(self.number & 2)

    def write(self, data, finish=False):
        self.session.quic.send_stream_data(self.number, data, finish)
        self.session.transmit()

    def reset(self, code):
        self.session.quic.reset_stream(self.number, to_h3(code))
        self.session.transmit()

    def on_stopped(self, code):
        self.was_stopped, self.stop_code = True, from_h3(code)
        self.session.changed()

    def stop(self, code):
        self.session.quic.stop_stream(self.number, to_h3(code))
        self.session.transmit()


class Session:
    """One session; `changed` is set whenever something happened to it."""

    def __init__(self, protocol, number):
        self.protocol, self.number = protocol, number
        self.quic, self.h3 = protocol._quic, protocol.h3
        self.headers = {}
        self.streams = {}
        self.arrived = []    # streams that the peer opened, in order
        self.datagrams = []
        self.capsules = b''
        self.closed = None   # (code, reason) of a CLOSE capsule, or of a bare FIN
        self.gone = False    # the connection ended
        self.watchers = []   # called with the session after each event
        self._changed = asyncio.Event()

    def transmit(self):
        self.protocol.transmit()

    def changed(self):
        self._changed.set()
        for watcher in list(self.watchers):
            watcher(self)

    async def until(self, test, seconds=10, again=None):
        """Wait until `test` gives something true; what `again` does is repeated meanwhile."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            value = test()
            if value:
                return value
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise TimeoutError('it did not happen in time')
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 0.2 if again else left))
            except asyncio.TimeoutError:
                if again:
                    again()

    def open(self, unidirectional):
        number = self.h3.create_webtransport_stream(self.number, unidirectional)
        if not unidirectional:
            # aioquic reads the answer as HTTP/3 frames unless it is told whose stream it is.
            with self.h3._get_or_create_stream(number) as raw:
                raw.frame_type, raw.session_id = 0x41, self.number
        stream = Stream(self, number, True)
        self.streams[number] = stream
        self.transmit()
        return stream

    def send_datagram(self, data):
        self.h3.send_datagram(self.number, data)
        self.transmit()

    def close(self, code, reason):
        value = code.to_bytes(4, 'big') + reason.encode()
        capsule = put_varint(CLOSE_SESSION) + put_varint(len(value)) + value
        self.h3.send_data(self.number, capsule, True)
        self.transmit()

    def stream(self, number):
        if number not in self.streams:
            self.streams[number] = Stream(self, number, False)
            self.arrived.append(self.streams[number])
            if number in self.protocol.early_stops:
                self.streams[number].on_stopped(self.protocol.early_stops.pop(number))
        return self.streams[number]

    def on_capsules(self, data, ended):
        self.capsules += data
        while True:
            kind = get_varint(self.capsules, 0)
            size = kind and get_varint(self.capsules, kind[1])
            if not size or len(self.capsules) < size[1] + size[0]:
                break
            value = self.capsules[size[1]:size[1] + size[0]]
            self.capsules = self.capsules[size[1] + size[0]:]
            if kind[0] == CLOSE_SESSION:
                self.closed = (int.from_bytes(value[:4], 'big'), value[4:].decode())
        if ended and self.closed is None:
            self.closed = (0, '')
        self.changed()


class Protocol(QuicConnectionProtocol):
    """A connection: sessions by the number of their CONNECT stream."""

    def __init__(self, *args, on_request=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.h3 = H3Connection(self._quic, enable_webtransport=True)
        self.on_request = on_request
        self.sessions = {}
        self.answers = {}
        self.early_stops = {}

    async def request(self, authority, path, headers=()):
        """A CONNECT; (status, headers, session)."""
        await self.settings()
        number = self._quic.get_next_available_stream_id()
        session = self.sessions[number] = Session(self, number)
        self.answers[number] = asyncio.get_running_loop().create_future()
        self.h3.send_headers(number, [
            (b':method', b'CONNECT'), (b':scheme', b'https'),
            (b':authority', authority.encode()), (b':path', path.encode()),
            (b':protocol', b'webtransport'),
            (b'sec-webtransport-http3-draft02', b'1'), *headers])
        self.transmit()
        answer = await asyncio.wait_for(self.answers[number], 10)
        session.headers = answer
        return int(answer[b':status']), answer, session

    async def settings(self):
        deadline = asyncio.get_running_loop().time() + 10
        while self.h3.received_settings is None:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError('no SETTINGS')
            await self.ping()

    def quic_event_received(self, event):
        if isinstance(event, StreamReset):
            # aioquic tells of a stream with its first bytes; there may have been none.
            raw = self.h3._stream.get(event.stream_id)
            if raw and raw.session_id in self.sessions:
                self.sessions[raw.session_id].stream(event.stream_id)
            for session in self.sessions.values():
                if event.stream_id in session.streams or event.stream_id == session.number:
                    self.on_reset(session, event)
        elif isinstance(event, StopSendingReceived):
            for session in self.sessions.values():
                if event.stream_id in session.streams:
                    session.streams[event.stream_id].on_stopped(event.error_code)
                    break
            else:  # it may overtake the stream's first bytes
                self.early_stops[event.stream_id] = event.error_code
        elif isinstance(event, ConnectionTerminated):
            for session in self.sessions.values():
                session.gone = True
                session.changed()
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionError(
                        f'connection closed: {event.error_code:#x} {event.reason_phrase}'))
        for h3_event in self.h3.handle_event(event):
            self.on_h3(h3_event)

    @staticmethod
    def on_reset(session, event):
        if event.stream_id == session.number:
            session.gone = True
        else:
            stream = session.streams[event.stream_id]
            stream.was_reset, stream.reset_code = True, from_h3(event.error_code)
        session.changed()

    def on_h3(self, event):
        if isinstance(event, HeadersReceived):
            headers = dict(event.headers)
            answer = self.answers.get(event.stream_id)
            if answer and not answer.done():
                answer.set_result(headers)
            elif self.on_request:
                self.on_request(self, event.stream_id, headers)
        elif isinstance(event, DatagramReceived):
            session = self.sessions.get(event.stream_id)
            if session:
                session.datagrams.append(event.data)
                session.changed()
        elif isinstance(event, WebTransportStreamDataReceived):
            session = self.sessions.get(event.session_id)
            if session:
                stream = session.stream(event.stream_id)
                stream.data += event.data
                stream.finished = stream.finished or event.stream_ended
                session.changed()
        elif isinstance(event, DataReceived):
            session = self.sessions.get(event.stream_id)
            if session:
                session.on_capsules(event.data, event.stream_ended)


def configuration(is_client):
    return QuicConfiguration(is_client=is_client, alpn_protocols=['h3'],
                             max_datagram_frame_size=65536, idle_timeout=20)
