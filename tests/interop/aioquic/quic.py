# SPDX-License-Identifier: MIT
"""quic.py PROGRAM - what QUIC brings, told by a stack that is not ours: aioquic against
`yomo serve`, which is started and killed here. Prints a line for each case, ends with 1
if any failed."""
import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

from aioquic.asyncio.client import connect
from aioquic.quic.connection import QuicConnection
from aioquic.tls import Epoch

from wt import Protocol, configuration

DEADLINE = 20
UNKNOWN = 0x1A2A3A4A  # reserved for whoever wants to be told of others (RFC 9000 15)


class Server:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix='yomo-quic-')
        self.child, self.port = None, 0

    def start(self, *flags):
        """The same state directory, and the same port if there was one."""
        self.kill()
        self.child = subprocess.Popen(
            [self.program, 'serve', '--port', str(self.port), '--http-port', '0',
             '--state-dir', self.folder, *flags], stderr=subprocess.PIPE, encoding='utf-8')
        for line in self.child.stderr:
            if line.startswith('listening '):
                listening = json.loads(line.removeprefix('listening '))
                self.port, self.http = listening['port'], listening['http_port']
                return
        raise AssertionError('the server did not start')

    def kill(self):
        if self.child:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child.stderr.close()
            self.child = None

    def numbers(self):
        with urllib.request.urlopen(f'http://localhost:{self.http}/metrics') as answer:
            text = answer.read().decode()
        return {name: int(value) for name, value in
                re.findall(r'^(yomo_\S+) (\d+)$', text, re.MULTILINE)}

    async def until(self, name, at_least):
        end = time.monotonic() + DEADLINE
        while (value := self.numbers()[name]) < at_least:
            assert time.monotonic() < end, f'{name} is {value}'
            await asyncio.sleep(0.05)


class Client:
    """Connects again and again, with what it got before."""

    def __init__(self, server):
        self.server, self.tickets, self.tokens = server, [], []

    def options(self):
        options = configuration(True)
        options.verify_mode = ssl.CERT_NONE
        options.server_name = 'localhost'
        options.session_ticket = self.tickets[-1] if self.tickets else None
        options.token = self.tokens[-1] if self.tokens else b''
        return options

    def connect(self, options=None):
        return connect('127.0.0.1', self.server.port,
                       configuration=options or self.options(), create_protocol=Protocol,
                       session_ticket_handler=self.tickets.append,
                       token_handler=self.tokens.append)

    async def session(self, protocol):
        status, _, session = await protocol.request(f'localhost:{self.server.port}', '/echo')
        assert status == 200, status
        return session

    async def echo(self, session):
        stream = session.open(False)
        data = os.urandom(20000)
        stream.write(data, True)
        await session.until(lambda: stream.finished)
        assert stream.data == data

    async def talk(self, protocol):
        await self.echo(await self.session(protocol))

    async def gifts(self, tickets, tokens):
        end = time.monotonic() + DEADLINE
        while len(self.tickets) < tickets or len(self.tokens) < tokens:
            assert time.monotonic() < end, (len(self.tickets), len(self.tokens))
            await asyncio.sleep(0.01)


async def resumption(server):
    """a session is resumed, also after a restart, without early data"""
    server.start('--workers', '2')
    client = Client(server)
    for visit in range(4):
        async with client.connect() as protocol:
            await client.talk(protocol)
            assert protocol._quic.tls.session_resumed == (visit > 0), visit
            assert not protocol._quic.tls.early_data_accepted
            await client.gifts(visit + 1, visit + 1)
        assert not client.tickets[-1].max_early_data_size
        if visit == 1:
            server.start('--workers', '2')


async def retry(server):
    """under load there is a Retry; with a token of the last visit there is none"""
    server.start('--workers', '1', '--handshakes-max', '1', '--handshake-timeout', '1h')
    client = Client(server)
    half = QuicConnection(configuration=client.options())
    half.connect(('127.0.0.1', server.port), now=time.time())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        for data, _ in half.datagrams_to_send(now=time.time()):
            silent.sendto(data, ('127.0.0.1', server.port))
        await server.until('yomo_handshakes', 1)
        async with client.connect() as protocol:
            assert protocol._quic._retry_source_connection_id is not None
            await client.talk(protocol)
            await client.gifts(1, 1)
        async with client.connect() as protocol:
            assert protocol._quic._retry_source_connection_id is None
            await client.talk(protocol)
    await server.until('yomo_quic_addresses_proven_total{by="new_token"}', 1)


async def versions(server):
    """a version that is not spoken leads to one that is"""
    server.start()
    client = Client(server)
    options = client.options()
    options.supported_versions = [UNKNOWN, 1]
    options.original_version = UNKNOWN
    async with client.connect(options) as protocol:
        assert protocol._quic._version == 1
        await client.talk(protocol)
    await server.until('yomo_quic_version_negotiations_total', 1)


async def keys(server):
    """either side changes its keys and streams go on"""
    for flags in [[], ['--key-update-packets', '30']]:
        server.start(*flags)
        client = Client(server)
        async with client.connect() as protocol:
            session = await client.session(protocol)
            pair = protocol._quic._cryptos[Epoch.ONE_RTT]
            await client.echo(session)
            phases = {pair.key_phase}
            for _ in range(20):
                if not flags:
                    await asyncio.sleep(0.05) # one change must be over before the next
                    protocol._quic.request_key_update()
                await client.echo(session)
                phases.add(pair.key_phase)
            assert phases == {0, 1}, phases


async def death(server):
    """a killed server's successor resets what it does not know"""
    server.start()
    client = Client(server)
    async with client.connect() as protocol:
        await client.talk(protocol)
        server.start()
        begin = time.monotonic()
        protocol._quic.send_ping(7)
        protocol.transmit()
        await server.until('yomo_quic_stateless_resets_total', 1)
        assert time.monotonic() - begin < DEADLINE


async def main():
    failed = 0
    server = Server(sys.argv[1])
    try:
        for case in [resumption, retry, versions, keys, death]:
            try:
                await asyncio.wait_for(case(server), 3 * DEADLINE)
                print(f'ok      {case.__doc__}')
            except Exception:
                failed += 1
                print(f'failed  {case.__doc__}')
                traceback.print_exc()
    finally:
        server.kill()
        shutil.rmtree(server.folder)
    return failed > 0


if __name__ == '__main__':
    sys.exit(asyncio.run(main()))
