# SPDX-License-Identifier: MIT
"""candidates.py - who takes part, how each is started, and what it was configured with.

A candidate is run as its manual shows it: what is changed from its defaults is in its
`notes`, which go into the result. Peers that are libraries have a small program of ours on
top, in bench/peers or tests/interop."""
import ctypes
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import installs
from installs import Missing

START_SECONDS = 20


def free_port():
    """A number that neither UDP nor TCP uses at the moment."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(('', 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]
    raise Missing('no port is free')


class Server:
    """One process of a candidate. It ends with `stop`, and with this process."""

    def __init__(self, world, command, folder, environment=None, port=None, says=None):
        self.port = port
        self.log = open(folder / 'log', 'wb')  # pylint: disable=consider-using-with
        parent = os.getpid()

        def prepare():
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os._exit(127)
            world.settle(world.server_cpus)
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
            env={**os.environ, **(environment or {})}, preexec_fn=prepare)
        self.file = folder / 'log'
        try:
            self.await_port(says)
        except BaseException:
            self.stop()
            raise

    def await_port(self, says):
        """Until it listens: it says where, or its known port takes a connection."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if says:
                found = re.search(says, self.file.read_text(errors='replace'))
                if found:
                    self.port = int(found[1])
                    return
            else:
                with socket.socket() as probe:
                    if probe.connect_ex(('127.0.0.1', self.port)) == 0:
                        return
            time.sleep(0.05)
        raise Missing('it did not start: ' + self.file.read_text(errors='replace')[-400:])

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Candidate:
    """`name` and `title` for tables, `transport`, `dialect` of the generator."""
    flags = []      # more arguments of the generator
    why_slow = ''   # said beside its figures
    lossy = False   # datagrams: what is lost is no fault

    def __init__(self, name, title, transport, dialect):
        self.name, self.title = name, title
        self.transport, self.dialect = transport, dialect
        self.version, self.notes = '', ''
        self.lossy = transport == 'webtransport'

    def install(self, world):
        """Everything that takes time, once. Raises Missing."""

    def start(self, world, folder):
        raise NotImplementedError

    def start_again(self, world):
        """Start it; once more where somebody else has taken its port meanwhile."""
        try:
            return self.start(world, world.subfolder())
        except Missing:
            return self.start(world, world.subfolder())

    def arguments(self):
        more = ['--webtransport'] if self.transport == 'webtransport' else []
        return [self.dialect, *more, *self.flags]


class Libyomo(Candidate):
    def install(self, world):
        done = subprocess.run([world.yomo, '--version'], stdout=subprocess.PIPE,
                              encoding='utf-8', check=False)
        self.version = done.stdout.split('\n')[0].replace('yomo ', '')
        self.notes = ('`yomo serve --log warn`; no limit on connections of one address and '
                      'on messages a second of a member and a room, which are on by default '
                      '(all come from one address here, and the other candidates have no '
                      'such limits); presencejs dialect, one worker for each of its '
                      'processors')

    def start(self, world, folder):
        words = ['--bind', '127.0.0.1', '--port', '0', '--http-port', 'none', '--log', 'warn',
                 '--state-dir', str(folder / 'state'), '--tls-cert', world.certificate,
                 '--tls-key', world.key, '--message-rate', '0', '--room-message-rate', '0',
                 '--connections-max', '1m', '--connections-per-address-max', '1m',
                 '--handshakes-max', '100k', '--members-max', '1m', '--workers',
                 str(len(world.server_cpus)), '--drain-timeout', '0']
        return Server(world, [world.yomo, 'serve', *words], folder,
                      says=r'listening \{"port":(\d+)')


class Prscd(Candidate):
    """The reference backend. Its modules are not to be had from the Go module proxy, so
    whoever wants it beside us builds it and says where it is."""
    flags = ['--unordered']

    def install(self, world):
        self.program = os.environ.get('YOMO_BENCH_PRSCD')
        if not self.program:
            raise Missing('its Go modules (yomo.run/prscd, yomorun/yomo, yomorun/psig) are '
                          'not on the module proxy; YOMO_BENCH_PRSCD=FILE names one that '
                          'was built')
        self.program = shutil.which(self.program)
        if not self.program:
            raise Missing('YOMO_BENCH_PRSCD names no program')
        self.version = os.environ.get('YOMO_BENCH_PRSCD_VERSION', 'as built')
        self.notes = ('with its zipper in the same process (WITH_YOMO_ZIPPER=true), which '
                      'each message passes; DEBUG off')

    def start(self, world, folder):
        zipper, port = free_port(), free_port()
        (folder / 'yomo.yaml').write_text(f'name: bench\nhost: 127.0.0.1\nport: {zipper}\n')
        return Server(world, [self.program],
                      folder, port=port, environment={
            'MESH_ID': 'bench', 'PORT': str(port), 'WITH_YOMO_ZIPPER': 'true',
            'YOMO_ZIPPER': f'127.0.0.1:{zipper}', 'YOMO_SNDR_NAME': 'sender',
            'YOMO_RCVR_NAME': 'receiver', 'CERT_FILE': world.certificate,
            'KEY_FILE': world.key, 'YOMO_LOG_LEVEL': 'error'})


class Centrifugo(Candidate):
    def install(self, world):
        self.program = installs.go_program('centrifugo', 'github.com/centrifugal/centrifugo/v6',
                                           world.cache)
        text = (installs.HERE / 'centrifugo' / 'go.mod').read_text(encoding='utf-8')
        self.version = re.search(r'centrifugo/v6 v(\S+)', text)[1]
        self.notes = ('memory engine, JSON protocol; clients without a token may subscribe '
                      'and publish; log level error')

    def start(self, world, folder):
        port = free_port()
        (folder / 'config.json').write_text(json.dumps({
            'http_server': {'address': '127.0.0.1', 'port': port, 'tls': {
                'enabled': True, 'cert_pem': world.certificate,
                'key_pem': world.key}},
            'log': {'level': 'error'},
            'client': {'allow_anonymous_connect_without_token': True,
                       'allowed_origins': ['*']},
            'channel': {'without_namespace': {'allow_subscribe_for_client': True,
                                              'allow_subscribe_for_anonymous': True,
                                              'allow_publish_for_client': True,
                                              'allow_publish_for_anonymous': True}}}))
        return Server(world, [self.program, '--config', str(folder / 'config.json')],
                      folder, port=port)


class Npm(Candidate):
    def __init__(self, name, title, dialect, program):
        super().__init__(name, title, 'websocket', dialect)
        self.program = program

    def install(self, world):
        self.folder = installs.npm(world.quietly_only)
        node = subprocess.run(['node', '--version'], stdout=subprocess.PIPE, encoding='utf-8',
                              check=True).stdout.strip()
        self.version = installs.npm_version(self.folder, self.name)
        self.notes = f'on Node.js {node}, `bench/peers/npm/{self.program}`, defaults'

    def start(self, world, folder):
        return Server(world, ['node', str(self.folder / self.program), world.certificate, world.key],
                      folder, says=r'listening (\d+)',
                      environment={'NODE_ENV': 'production'})


class Interop(Candidate):
    """A WebTransport library with the `room` handler of our interop server on it."""

    def __init__(self, name, title, peer, why_slow=''):
        super().__init__(name, title, 'webtransport', 'raw')
        self.peer_name, self.why_slow = peer, why_slow

    def install(self, world):
        self.peer = installs.interop(self.peer_name, world.cache, release=True)
        self.version = self.peer.title.split()[-1]
        self.notes = f'`tests/interop/{self.name}`, its handler `room`, defaults'

    def start(self, world, folder):
        return Server(world, self.peer.server(world.certificate, world.key), folder,
                      says=r'listening (\d+)')


class Nats(Candidate):
    def install(self, world):
        folder = installs.debian(['nats-server'], world.cache)
        self.program = str(folder / 'usr' / 'sbin' / 'nats-server')
        if not pathlib.Path(self.program).exists():
            self.program = str(next(folder.glob('usr/*bin/nats-server')))
        self.version = installs.debian_version(folder, 'nats-server')
        self.notes = 'its WebSocket listener with TLS, no authentication, no JetStream'

    def start(self, world, folder):
        port, plain = free_port(), free_port()
        (folder / 'nats.conf').write_text(
            f'listen: 127.0.0.1:{plain}\nwebsocket {{\n  listen: "127.0.0.1:{port}"\n  tls '
            f'{{ cert_file: "{world.certificate}", key_file: "{world.key}" }}\n}}\n')
        return Server(world, [self.program, '-c', str(folder / 'nats.conf')],
                      folder, port=port)


class Mosquitto(Candidate):
    def install(self, world):
        folder = installs.debian(['mosquitto'], world.cache)
        self.program = str(next(folder.glob('usr/*bin/mosquitto')))
        self.libraries = installs.debian_libraries(folder)
        self.version = installs.debian_version(folder, 'mosquitto')
        self.notes = ('its WebSocket listener with TLS, MQTT 3.1.1 at quality of service 0, '
                      'anonymous, no persistence')

    def start(self, world, folder):
        port, plain = free_port(), free_port()
        (folder / 'mosquitto.conf').write_text(  # with WebSocket alone it does not start
            f'listener {plain} 127.0.0.1\nlistener {port} 127.0.0.1\nprotocol websockets\ncertfile {world.certificate}\n'
            f'keyfile {world.key}\nallow_anonymous true\npersistence false\n'
            'log_type error\nuser root\n')
        return Server(world, [self.program, '-c', str(folder / 'mosquitto.conf')],
                      folder, port=port,
                      environment={'LD_LIBRARY_PATH': self.libraries})


class Libwebsockets(Candidate):
    def install(self, world):
        compiler = installs.tool('cc', 'a C compiler')
        folder = installs.debian(['libwebsockets-dev'], world.cache)
        self.libraries = installs.debian_libraries(folder)
        self.version = installs.debian_version(folder, 'libwebsockets-dev')
        self.notes = '`bench/peers/libwebsockets.c`, its own event loop, defaults'
        source = installs.HERE / 'libwebsockets.c'
        self.program = str(folder / 'peer')
        if not pathlib.Path(self.program).exists() or \
                pathlib.Path(self.program).stat().st_mtime < source.stat().st_mtime:
            prefix = installs.ROOT / '.prefix' / 'current' / 'include'
            installs.run([compiler, '-O2', '-std=gnu11', f'-I{folder}/usr/include',
                          f'-I{prefix}', '-o', self.program, str(source),
                          *(f'-L{path}' for path in self.libraries.split(':')),
                          '-lwebsockets', '-Wl,--allow-shlib-undefined'])

    def start(self, world, folder):
        return Server(world, [self.program, world.certificate, world.key],
                      folder, says=r'listening (\d+)',
                      environment={'LD_LIBRARY_PATH': self.libraries})


CANDIDATES = [
    Libyomo('libyomo', 'libyomo', 'websocket', 'presencejs'),
    Prscd('prscd', 'presencejs backend', 'websocket', 'presencejs'),
    Centrifugo('centrifugo', 'Centrifugo', 'websocket', 'centrifugo'),
    Npm('ws', 'ws', 'raw', 'ws.mjs'),
    Npm('socket.io', 'Socket.IO', 'socketio', 'socketio.mjs'),
    Nats('nats', 'NATS server', 'websocket', 'nats'),
    Mosquitto('mosquitto', 'mosquitto', 'websocket', 'mqtt'),
    Libwebsockets('libwebsockets', 'libwebsockets', 'websocket', 'raw'),
    Libyomo('libyomo-wt', 'libyomo', 'webtransport', 'presencejs'),
    Prscd('prscd-wt', 'presencejs backend', 'webtransport', 'presencejs'),
    Interop('webtransport-go', 'webtransport-go', 'webtransport-go-0.12'),
    Interop('wtransport', 'wtransport', 'wtransport'),
    Interop('aioquic', 'aioquic', 'aioquic'),
]


class World:
    """What all candidates share: programs, the certificate, processors."""

    def __init__(self, build, cache, quietly_only=False, realtime=False):
        self.build = pathlib.Path(build).resolve()
        self.yomo = str(self.build / 'cli' / 'yomo')
        self.load = str(self.build / 'bench' / 'load' / 'load')
        self.cache = pathlib.Path(cache).resolve()
        self.cache.mkdir(parents=True, exist_ok=True)
        self.quietly_only, self.realtime = quietly_only, realtime
        cpus = sorted(os.sched_getaffinity(0))
        half = len(cpus) // 2
        self.server_cpus, self.load_cpus = set(cpus[:half] or cpus), set(cpus[half:])
        self.folder = tempfile.TemporaryDirectory(prefix='yomo-compare-')
        self.certificate = os.path.join(self.folder.name, 'certificate.pem')
        self.key = os.path.join(self.folder.name, 'key.pem')
        installs.run([installs.tool('openssl', 'openssl'), 'req', '-x509', '-newkey', 'ec',
                      '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '10', '-keyout',
                      self.key, '-out', self.certificate, '-subj', '/CN=localhost', '-addext',
                      'subjectAltName=DNS:localhost,IP:127.0.0.1'])

    def settle(self, cpus):
        """In a child, before it becomes what it is to be: its processors, and its turn."""
        os.sched_setaffinity(0, cpus)
        if self.realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    def subfolder(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))

    def close(self):
        self.folder.cleanup()
