# SPDX-License-Identifier: MIT
"""server.py CERTIFICATE KEY - aioquic with the handlers of ../README.md.

Prints `listening PORT`; ends with its input.
"""
import asyncio
import functools
import json
import sys
from urllib.parse import parse_qs, urlsplit

from aioquic.asyncio.server import serve

from wt import Protocol, Session, configuration

notes = {}  # token: what client-close saw


def echo(session, query):
    copies = {}  # of a unidirectional stream: the one that it goes back on
    done = {}    # how many of its bytes went back; None when its FIN did too
    told = 0     # datagrams

    def watch(session):
        nonlocal told
        for data in session.datagrams[told:]:
            session.send_datagram(data)
        told = len(session.datagrams)
        for stream in session.arrived:
            at = done.setdefault(stream.number, 0)
            if at is None or (at == len(stream.data) and not stream.finished):
                continue
            out = stream
            if stream.unidirectional:
                out = copies.get(stream.number) or session.open(True)
                copies[stream.number] = out
            out.write(bytes(stream.data[at:]), stream.finished)
            done[stream.number] = None if stream.finished else len(stream.data)

    session.watchers.append(watch)


def client_close(session, query):
    note = notes.setdefault(query['token'], {})

    def watch(session):
        for stream in session.arrived:
            if stream.was_reset:
                note['stream-close-info'] = {'source': 'reset', 'code': stream.reset_code}
            elif stream.finished:
                note['stream-close-info'] = {'source': 'FIN'}
            if stream.was_stopped:
                note['stream-stop-info'] = {'code': stream.stop_code}
        if session.closed:
            note['session-close-info'] = {'abruptly': False, 'close_info': {
                'code': session.closed[0], 'reason': session.closed[1]}}
        elif session.gone:
            note['session-close-info'] = {'abruptly': True, 'close_info': None}

    session.watchers.append(watch)


def query_notes(session, query):
    seen = notes.get(query['token'], {})
    session.open(True).write(json.dumps(seen).encode(), True)
    seen.clear()


def server_close(session, query):
    session.close(int(query['code']), query.get('reason', ''))


def create_streams(session, query):
    for i in range(int(query['count'])):
        session.open(query['type'] == 'unidi').write(f'stream{i}'.encode(), True)


def abort_streams(session, query):
    code, aborted = int(query['wt']), set()

    def watch(session):
        for stream in session.arrived:
            if stream.number not in aborted:
                aborted.add(stream.number)
                stream.stop(code)
                if not stream.unidirectional:
                    stream.reset(code)

    session.watchers.append(watch)


rooms = {}  # name: sessions


def room(session, query):
    joined = set()

    def watch(session):
        for data in session.datagrams:
            if data.startswith(b'join '):
                joined.add(data)
                rooms.setdefault(data, set()).add(session)
                session.send_datagram(b'joined')
                continue
            for name in joined:
                for other in rooms[name]:
                    if other is not session:
                        other.send_datagram(data)
        session.datagrams.clear()
        if session.closed or session.gone:
            for name in joined:
                rooms[name].discard(session)

    session.watchers.append(watch)


HANDLERS = {
    '/room': room,
    '/echo': echo, '/subprotocol': echo, '/client-close': client_close,
    '/query': query_notes, '/server-close': server_close,
    '/server-create-multiple-streams': create_streams,
    '/abort-stream-from-server': abort_streams,
}


def on_request(protocol, number, headers):
    url = urlsplit(headers[b':path'].decode())
    handler = HANDLERS.get(url.path)
    if headers.get(b':protocol') != b'webtransport' or not handler:
        protocol.h3.send_headers(number, [(b':status', b'404')], end_stream=True)
        protocol.transmit()
        return
    answer = [(b':status', b'200'), (b'sec-webtransport-http3-draft', b'draft02')]
    if url.path == '/subprotocol':
        answer.append((b'wt-protocol', b'"second.v2"'))
    protocol.h3.send_headers(number, answer)
    session = protocol.sessions[number] = Session(protocol, number)
    protocol.transmit()
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    handler(session, query)


async def main():
    certificate, key = sys.argv[1:]
    options = configuration(False)
    options.load_cert_chain(certificate, key)
    server = await serve('127.0.0.1', 0, configuration=options,
                         create_protocol=functools.partial(Protocol, on_request=on_request))
    port = server._transport.get_extra_info('sockname')[1]
    print(f'listening {port}', flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
