#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py - foreign implementations of WebTransport against ours.

    run.py client PEER    PEER's client against `yomo serve` and our handlers
    run.py server PEER    our client against PEER's server
    run.py quic PEER      what QUIC brings below all that (aioquic only)
    run.py several PEER   several sessions on a connection: pywebtransport's client
                          against ours, ours against webtransport-go-0.12's server
    run.py table          write what these runs found into docs/interop.md

Peers are installed from their registries, pinned, into a cache outside the tree; where
one cannot be had the run is skipped with the reason (exit code 77). Single cases that a
peer cannot do are said in lines that begin with "skipped"; scripts/summary.py counts
them. A run fails too when docs/interop.md says something else than what it found.

Environment: YOMO_PROGRAM, YOMO_HANDLERS (wpt_server) and YOMO_INTEROP_CLIENT are programs
of the build; the cache is YOMO_INTEROP_CACHE, or `interop` in YOMO_BUILD_ROOT."""
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import document
from peers import PEERS, SEVERAL, Missing

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get('YOMO_INTEROP_CACHE')
                     or pathlib.Path(os.environ['YOMO_BUILD_ROOT']) / 'interop')

# What is tested, in the order of the table. Those in ECHO need nothing but /echo, and are
# run against `yomo serve`; the others need a server that does as it is asked.
CASES = {
    'session': 'a session opens',
    'datagrams': 'datagrams, both ways',
    'bidi': 'a bidirectional stream of the client, 200 KiB each way',
    'uni': 'unidirectional streams, 200 KiB each way',
    'bidi-from-server': 'bidirectional streams of the server',
    'uni-from-server': 'unidirectional streams of the server',
    'reset': 'RESET_STREAM from the client, with its code',
    'stop': 'STOP_SENDING from the client, with its code',
    'reset-from-server': 'RESET_STREAM from the server, with its code',
    'stop-from-server': 'STOP_SENDING from the server, with its code',
    'close': 'the client closes with code and reason',
    'close-from-server': 'the server closes with code and reason',
    'refused': 'a path that is not there is refused with 404',
    'subprotocol': 'a subprotocol is agreed on',
}
ECHO = ['session', 'datagrams', 'bidi', 'uni', 'refused']


class Program:
    """A process that says in a line where it listens, and ends when its input does, or
    by SIGTERM."""

    def __init__(self, command, start, by_signal=False):
        self.by_signal = by_signal
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, encoding='utf-8',
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = []
        for line in self.child.stdout:
            self.lines.append(line)
            if line.startswith(start):
                self.rest = line[len(start):].strip()
                return
        raise AssertionError(f'{command[0]} ended: {"".join(self.lines)}')

    def stop(self):
        """Its exit code; what it printed since then is shown when that is not 0."""
        self.child.stdin.close()
        if self.by_signal:
            self.child.terminate()
        said = self.child.stdout.read()
        code = self.child.wait(20)
        if code != 0:
            print(''.join(self.lines) + said)
        return code


class Backend:
    """`yomo serve` and the handlers, on free ports, with one state directory each."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='yomo-interop-'))
        self.programs = []

    def serve(self):
        """The base of the URLs of `yomo serve`."""
        program = Program([os.environ['YOMO_PROGRAM'], 'serve', '--port', '0', '--http-port',
                           'none', '--state-dir', str(self.folder / 'serve')], 'listening ',
                          by_signal=True)
        self.programs.append(program)
        return f'https://localhost:{json.loads(program.rest)["port"]}'

    def handlers(self):
        program = Program([os.environ['YOMO_HANDLERS'], '0', str(self.folder / 'handlers')],
                          'listening ')
        self.programs.append(program)
        port = json.loads(program.rest)['port']
        return f'https://localhost:{port}/webtransport/handlers'

    def stop(self):
        codes = [program.stop() for program in self.programs]
        shutil.rmtree(self.folder)
        assert not any(codes), f'a server ended with {codes}'


def results(command):
    """What a client prints, one JSON object for each case."""
    run = subprocess.run(command, stdout=subprocess.PIPE, encoding='utf-8', timeout=240)
    lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{')]
    return {line['case']: line for line in lines}


def as_client(peer):
    backend = Backend()
    try:
        found = {}
        found |= results(peer.client(backend.serve(), ECHO))
        others = [case for case in CASES if case not in ECHO]
        if others:
            found |= results(peer.client(backend.handlers(), others))
    finally:
        backend.stop()
    return found


def as_server(peer, only=None):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='yomo-interop-'))
    try:
        certificate, key = folder / 'certificate.pem', folder / 'key.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '10', '-subj',
                        '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
                        '-keyout', key, '-out', certificate],
                       check=True, stderr=subprocess.DEVNULL)
        server = Program(peer.server(str(certificate), str(key)), 'listening ')
        try:
            skips = {case: {'skip': why} for case, why in peer.server_lacks.items()}
            names = [only] if only else [case for case in CASES if case not in skips]
            return skips | results([os.environ['YOMO_INTEROP_CLIENT'], str(certificate),
                                    f'https://127.0.0.1:{server.rest}', *names])
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def report(role, peer, found):
    """Print and keep what was found; how many failed."""
    failed = 0
    outcome = {}
    for case, meaning in CASES.items():
        result = found.get(case, {'ok': False, 'why': 'the client ended before it'})
        if result.get('skip'):
            outcome[case] = 'no: ' + result['skip']
            print(f'skipped {role} {peer.name}: {case}: {result["skip"]}')
        elif result['ok']:
            outcome[case] = 'yes'
            print(f'ok      {role} {peer.name}: {meaning}')
        else:
            outcome[case] = 'failed'
            failed += 1
            print(f'failed  {role} {peer.name}: {meaning}: {result.get("why")}')
    return failed + keep(role, peer, outcome)


def keep(role, peer, outcome):
    """Leave it for `run.py table`; how often the document says something else."""
    folder = CACHE / 'found'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{role} {peer.name}.json').write_text(json.dumps(outcome))
    differences = list(document.differences(role, peer.title, outcome, CASES))
    for difference in differences:
        print(f'failed  docs/interop.md: {difference}')
    return len(differences)


def main():
    if sys.argv[1:] == ['table']:
        document.write(CACHE / 'found', PEERS, CASES)
        return 0
    role, name = sys.argv[1:]
    peer = {**PEERS, **(SEVERAL if role == 'several' else {})}[name]
    CACHE.mkdir(parents=True, exist_ok=True)
    if role == 'client' and peer.client_refuses:
        outcome = dict.fromkeys(CASES, f'no: {peer.client_refuses}')
        print(f'skipped {role} {name}: {peer.client_refuses}')
        return 1 if keep(role, peer, outcome) else 77
    try:
        with open(CACHE / f'{peer.folder}.lock', 'w') as lock:  # two roles, one build
            fcntl.flock(lock, fcntl.LOCK_EX)
            peer.install(HERE, CACHE)
    except Missing as why:
        print(f'skipped {role} {name}: {why}')
        return 77
    if role == 'quic':
        return subprocess.run(peer.quic(os.environ['YOMO_PROGRAM']), timeout=600).returncode
    if role == 'several' and name == 'pywebtransport':
        return subprocess.run(peer.several(os.environ['YOMO_PROGRAM']), timeout=600).returncode
    if role == 'several':
        found = as_server(peer, 'several').get('several', {'ok': False})
        print(f'{"ok" if found["ok"] else "failed"}      several {name}: {found.get("why", "")}')
        return 0 if found['ok'] else 1
    return 1 if report(role, peer, {'client': as_client, 'server': as_server}[role](peer)) else 0


sys.exit(main())
