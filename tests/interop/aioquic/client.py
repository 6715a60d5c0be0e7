# SPDX-License-Identifier: MIT
"""client.py BASE CASE... - aioquic against a server with the handlers of ../README.md.

Prints one JSON line for each case.
"""
import asyncio
import json
import ssl
import sys
import uuid
from urllib.parse import urlsplit

from aioquic.asyncio.client import connect

from wt import Protocol, configuration

BIG = bytes(range(256)) * 800  # 204,800 bytes: more than one flow-control window



class Client:
    def __init__(self, base):
        self.url = urlsplit(base)

    async def session(self, handler, want=200, headers=()):
        options = configuration(True)
        options.verify_mode = ssl.CERT_NONE  # who the server is, is not what is tested
        options.server_name = self.url.hostname
        self.context = connect('127.0.0.1', self.url.port, configuration=options,
                               create_protocol=Protocol)
        self.protocol = await self.context.__aenter__()
        status, answer, session = await self.protocol.request(
            self.url.netloc, f'{self.url.path}/{handler}', headers)
        assert status == want, f'status {status}'
        return session

    async def leave(self):
        self.protocol.close()
        await self.protocol.wait_closed()

    async def note(self, token, key):
        """What the server wrote down of the session with this token."""
        seen = {}
        for _ in range(100):
            session = await self.session(f'query?token={token}')
            await session.until(lambda: session.arrived and session.arrived[0].finished)
            seen |= json.loads(session.arrived[0].data)
            await self.leave()
            if key in seen:
                return seen[key]
            await asyncio.sleep(0.05)
        raise TimeoutError(f'the server did not note {key}: {seen}')


async def session(client):
    await client.session('echo')
    await client.leave()


async def datagrams(client):
    session = await client.session('echo')
    sent = [bytes([i]) * (1 if i == 0 else 100 * i) for i in range(10)]

    def send_missing():
        for data in sent:
            if data not in session.datagrams:
                session.send_datagram(data)

    send_missing()
    await session.until(lambda: all(data in session.datagrams for data in sent),
                        again=send_missing)
    await client.leave()


async def bidi(client):
    session = await client.session('echo')
    stream = session.open(False)
    stream.write(BIG, True)
    await session.until(lambda: stream.finished)
    assert stream.data == BIG
    await client.leave()


async def uni(client):
    session = await client.session('echo')
    session.open(True).write(BIG, True)
    echoes = lambda: [s for s in session.arrived if s.unidirectional and s.finished]
    await session.until(echoes)
    assert echoes()[0].data == BIG
    await client.leave()


async def many(client, kind):
    session = await client.session(f'server-create-multiple-streams?type={kind}&count=5')
    done = lambda: sorted(bytes(s.data).decode() for s in session.arrived if s.finished)
    await session.until(lambda: len(done()) == 5)
    assert done() == [f'stream{i}' for i in range(5)], done()
    assert all(s.unidirectional == (kind == 'unidi') for s in session.arrived)
    await client.leave()


async def uni_from_server(client):
    await many(client, 'unidi')


async def bidi_from_server(client):
    await many(client, 'bidi')


async def reset(client):
    token = uuid.uuid4()
    for code in (7, 0, 4294967295):
        session = await client.session(f'client-close?token={token}')
        stream = session.open(True)
        stream.write(b'never finished')
        await session.protocol.ping()
        stream.reset(code)
        note = await Client(client.url.geturl()).note(token, 'stream-close-info')
        assert note == {'source': 'reset', 'code': code}, note
        await client.leave()


async def stop(client):
    token = uuid.uuid4()
    session = await client.session(f'client-close?token={token}')
    stream = session.open(False)
    stream.write(b'x')
    stream.stop(9)
    note = await Client(client.url.geturl()).note(token, 'stream-stop-info')
    assert note == {'code': 9}, note
    await client.leave()


async def reset_from_server(client):
    session = await client.session('abort-stream-from-server?wt=29')
    stream = session.open(False)
    stream.write(b'x')
    await session.until(lambda: stream.was_reset)
    assert stream.reset_code == 29, stream.reset_code
    await client.leave()


async def stop_from_server(client):
    session = await client.session('abort-stream-from-server?wt=30')
    stream = session.open(True)
    stream.write(b'x')
    await session.until(lambda: stream.was_stopped)
    assert stream.stop_code == 30, stream.stop_code
    await client.leave()


async def close(client):
    token = uuid.uuid4()
    session = await client.session(f'client-close?token={token}')
    session.close(77, 'done, thank you: \u00e9')
    note = await Client(client.url.geturl()).note(token, 'session-close-info')
    assert note == {'abruptly': False,
                    'close_info': {'code': 77, 'reason': 'done, thank you: \u00e9'}}, note
    await client.leave()


async def close_from_server(client):
    session = await client.session('server-close?code=4294967295&reason=enough')
    await session.until(lambda: session.closed)
    assert session.closed == (4294967295, 'enough'), session.closed
    await client.leave()


async def refused(client):
    await client.session('there-is-nothing-here', want=404)
    await client.leave()


async def subprotocol(client):
    session = await client.session('subprotocol?pick=1', headers=[
        (b'wt-available-protocols', b'"first.v1", "second.v2"')])
    assert session.headers.get(b'wt-protocol') == b'"second.v2"', session.headers
    await client.leave()


CASES = {
    'session': session, 'datagrams': datagrams, 'bidi': bidi, 'uni': uni,
    'bidi-from-server': bidi_from_server, 'uni-from-server': uni_from_server,
    'reset': reset, 'stop': stop, 'reset-from-server': reset_from_server,
    'stop-from-server': stop_from_server, 'close': close,
    'close-from-server': close_from_server, 'refused': refused,
    'subprotocol': subprotocol,
}


async def main():
    base, *names = sys.argv[1:]
    for name in names:
        result = {'case': name, 'ok': True}
        try:
            await asyncio.wait_for(CASES[name](Client(base)), 20)
        except Exception as error:  # whatever it was, the others go on
            result = {'case': name, 'ok': False, 'why': f'{type(error).__name__}: {error}'}
        print(json.dumps(result), flush=True)


asyncio.run(main())
