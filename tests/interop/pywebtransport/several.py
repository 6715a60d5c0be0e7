# SPDX-License-Identifier: MIT
"""several.py PROGRAM - several sessions on one connection, each with flow control of its
own (draft-ietf-webtrans-http3-16 5), told by a stack that is not ours: pywebtransport
against the echo of `yomo serve`, which is started and ended here. Prints a line for each
case, ends with 1 if any failed."""
import asyncio
import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import traceback

from pywebtransport.client import WebTransportClient
from pywebtransport.config import ClientConfig

DEADLINE = 30
SESSIONS = 5
WINDOW, STREAMS = 5000, 2  # what each session lets the server send ahead
SIZE = 200 * 1024          # more than any window of ours, so that limits must be raised


class Server:
    def __init__(self, program, *flags):
        self.folder = tempfile.mkdtemp(prefix='yomo-several-')
        self.child = subprocess.Popen(
            [program, 'serve', '--port', '0', '--http-port', 'none', '--state-dir',
             self.folder, *flags], stderr=subprocess.PIPE, encoding='utf-8')
        for line in self.child.stderr:
            if line.startswith('listening '):
                port = json.loads(line.removeprefix('listening '))['port']
                self.authority = f'127.0.0.1:{port}'
                return
        raise AssertionError('the server did not start')

    def stop(self):
        self.child.terminate()
        said = self.child.stderr.read()
        code = self.child.wait(DEADLINE)
        shutil.rmtree(self.folder)
        assert code == 0, f'it ended with {code}: {said}'


def new_client():
    return WebTransportClient(config=ClientConfig(
        verify_mode=ssl.CERT_NONE,  # who the server is, is not what is tested
        initial_max_data=WINDOW, session_receive_window=WINDOW,
        initial_max_streams_bidi=STREAMS, initial_max_streams_uni=STREAMS,
        max_sessions=SESSIONS))


async def open_sessions(client, server, count):
    first = await client.connect(url=f'https://{server.authority}/echo')
    others = [await first.connection.create_session(
        authority=server.authority, path='/echo', headers=[], wt_available_protocols=None)
        for _ in range(count - 1)]
    return [first, *others]


async def echo(session, mark, size=SIZE):
    stream = await session.create_bidirectional_stream()
    sent = bytes([mark]) * size
    writing = asyncio.create_task(stream.write_all(data=sent, end_stream=True))
    assert await stream.read_all() == sent, 'the echo differs'
    await writing


async def echo_by_another(session, mark):
    stream = await session.create_unidirectional_stream()
    sent = bytes([mark]) * 20000
    writing = asyncio.create_task(stream.write_all(data=sent, end_stream=True))
    async for back in session.incoming_unidirectional_streams():
        assert await back.read_all() == sent, 'the echo differs'
        break
    await writing


async def each_raises_its_limits(server):
    async with new_client() as client:
        sessions = await open_sessions(client, server, SESSIONS)
        assert len({session.session_id for session in sessions}) == SESSIONS
        await asyncio.gather(*(echo(one, mark) for mark, one in enumerate(sessions)))
        for session in sessions:
            state = await session.diagnose()
            assert state.flow_control_negotiated
            assert state.data_sent == state.data_received == SIZE
            assert state.peer_max_data > state.data_sent  # WT_MAX_DATA came
            assert state.local_max_data >= SIZE           # and was heeded


async def streams_are_allowed_one_after_the_other(server):
    """More of the server's than were allowed at first, and in each session."""
    async with new_client() as client:
        sessions = await open_sessions(client, server, SESSIONS)
        for _ in range(5 * STREAMS):
            await asyncio.gather(*(echo_by_another(one, mark)
                                   for mark, one in enumerate(sessions)))


async def one_ends_alone(server):
    async with new_client() as client:
        sessions = await open_sessions(client, server, 3)
        await sessions[1].close(error_code=7, reason='enough')
        await echo(sessions[0], 1)
        await echo(sessions[2], 2)
        again = await sessions[0].connection.create_session(
            authority=server.authority, path='/echo', headers=[], wt_available_protocols=None)
        await echo(again, 3)


async def datagrams_stay_with_their_session(server):
    async with new_client() as client:
        sessions = await open_sessions(client, server, SESSIONS)
        for mark, session in enumerate(sessions):
            for _ in range(20):  # one may be lost
                await session.send_datagram(data=bytes([mark]) * 10)
                try:
                    got = await asyncio.wait_for(session.read_datagram(), 0.5)
                except TimeoutError:
                    continue
                assert got == bytes([mark]) * 10, 'one of another session'
                break
            else:
                raise AssertionError('no datagram came back')


def main():
    failed = 0
    server = Server(sys.argv[1], '--webtransport-sessions', str(SESSIONS))
    try:
        for case in [each_raises_its_limits, streams_are_allowed_one_after_the_other,
                     one_ends_alone, datagrams_stay_with_their_session]:
            try:
                asyncio.run(asyncio.wait_for(case(server), DEADLINE))
                print(f'ok      {case.__name__}')
            except Exception:  # whatever it is: told, and the next one is tried
                traceback.print_exc()
                print(f'failed  {case.__name__}')
                failed += 1
    finally:
        server.stop()
    return 1 if failed else 0


sys.exit(main())
