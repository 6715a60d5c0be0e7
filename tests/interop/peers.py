# SPDX-License-Identifier: MIT
"""peers.py - how each peer is installed and started."""
import os
import pathlib
import shutil
import subprocess
import sys


class Missing(Exception):
    """This peer cannot be had on this machine; the text says why."""


def run(command, folder=None, **environment):
    """Run a step of an installation. What stands in its way is a reason to skip only
    where nothing of ours can be at fault: no tool, or a registry out of reach."""
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding='utf-8', timeout=540,
                              env={**os.environ, **environment})
    except subprocess.TimeoutExpired:
        raise Missing(f'{command[0]} did not end') from None
    if done.returncode != 0:
        if any(text in done.stdout for text in UNREACHABLE):
            raise Missing(f'{pathlib.Path(command[0]).name}: the registry is out of reach')
        print(done.stdout[-4000:])
        raise SystemExit(f'{" ".join(command)} failed')


# What the installers say when they cannot reach a registry, or it has not what is wanted.
UNREACHABLE = [
    'No matching distribution found', 'Failed to establish a new connection',
    'dial tcp', 'proxyconnect', 'i/o timeout', 'TLS handshake timeout',
    'failed to download', 'Could not resolve host', 'spurious network error',
    'failed to query replaced source', 'Temporary failure in name resolution',
]


def tool(name, why):
    path = shutil.which(name)
    if not path:
        raise Missing(f'{why} is not installed')
    return path


class Peer:
    client_refuses = ''  # why its client cannot be tried at all
    server_lacks = {}    # cases that its server cannot do: why

    def __init__(self, name, title, folder):
        self.name, self.title, self.folder = name, title, folder

    def stamp(self, files):
        """What a finished installation is told by."""
        return ''.join(f'{file.name}\n{file.read_text()}' for file in sorted(files))


class Aioquic(Peer):
    def install(self, here, cache):
        self.source = here / 'aioquic'
        wanted = self.source / 'requirements.txt'
        folder = cache / self.folder
        self.python = str(folder / 'bin' / 'python')
        stamp = folder / 'stamp'
        if stamp.exists() and stamp.read_text() == self.stamp([wanted]):
            return
        if sys.version_info < (3, 10):
            raise Missing('it needs Python 3.10')
        shutil.rmtree(folder, ignore_errors=True)
        try:
            subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.CalledProcessError:
            raise Missing('python3-venv is not installed') from None
        run([self.python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary',
             ':all:', '-r', str(wanted)])
        stamp.write_text(self.stamp([wanted]))

    def client(self, base, cases):
        return [self.python, '-B', str(self.source / 'client.py'), base, *cases]

    def server(self, certificate, key):
        return [self.python, '-B', str(self.source / 'server.py'), certificate, key]

    def quic(self, program):
        return [self.python, '-B', str(self.source / 'quic.py'), program]


class Pywebtransport(Peer):
    """For several sessions on a connection only (the role `several`)."""

    def find_python(self):
        """It wants a newer Python than a distribution may have."""
        pyenv = pathlib.Path(os.environ.get('PYENV_ROOT') or pathlib.Path.home() / '.pyenv')
        names = [sys.executable, 'python3.14', 'python3.13', 'python3.12',
                 *map(str, pyenv.glob('versions/3.1[2-9]*/bin/python3'))]
        for name in names:
            path = shutil.which(name)
            if path and subprocess.run(
                    [path, '-c', 'import sys; sys.exit(sys.version_info < (3, 12))'],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return path
        raise Missing('it needs Python 3.12')

    def install(self, here, cache):
        self.source = here / 'pywebtransport'
        wanted = self.source / 'requirements.txt'
        folder = cache / self.folder
        self.python = str(folder / 'bin' / 'python')
        stamp = folder / 'stamp'
        if stamp.exists() and stamp.read_text() == self.stamp([wanted]):
            return
        python = self.find_python()
        shutil.rmtree(folder, ignore_errors=True)
        run([python, '-m', 'venv', str(folder)])
        run([self.python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary',
             ':all:', '-r', str(wanted)])
        stamp.write_text(self.stamp([wanted]))

    def several(self, program):
        return [self.python, '-B', str(self.source / 'several.py'), program]


class Go(Peer):
    """webtransport-go: one source, with the go.mod of a version."""

    def __init__(self, name, title, version, client_refuses=''):
        super().__init__(name, title, f'webtransport-go-{version}')
        self.version = version
        self.client_refuses = client_refuses

    def install(self, here, cache):
        source = here / 'webtransport-go'
        files = [*source.glob('*.go'), *(source / self.version).iterdir()]
        folder = cache / self.folder
        self.program = str(folder / 'peer')
        stamp = folder / 'stamp'
        if stamp.exists() and stamp.read_text() == self.stamp(files):
            return
        go = tool('go', 'Go')
        oldest = next(line.split()[1] for line in
                      (source / self.version / 'go.mod').read_text().splitlines()
                      if line.startswith('go '))
        has = subprocess.run([go, 'env', 'GOVERSION'], stdout=subprocess.PIPE,
                             encoding='utf-8', cwd='/',
                             env={**os.environ, 'GOTOOLCHAIN': 'local'}).stdout.strip()
        if numbers(has.removeprefix('go')) < numbers(oldest):
            raise Missing(f'it needs Go {oldest}, and this is {has}')
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        run([go, 'build', '-mod=readonly', '-o', 'peer', '.'], folder, GOTOOLCHAIN='local',
            GOFLAGS='-buildvcs=false')
        stamp.write_text(self.stamp(files))

    def client(self, base, cases):
        return [self.program, 'client', base, *cases]

    def server(self, certificate, key):
        return [self.program, 'server', certificate, key]


class Wtransport(Peer):
    release = False  # for benchmarks: as its users would build it
    server_lacks = {
        'close-from-server':
            'its close() ends the QUIC connection; it never sends a CLOSE capsule',
    }

    def install(self, here, cache):
        source = here / 'wtransport'
        folder = cache / self.folder
        self.program = str(folder / ('release' if self.release else 'debug') / 'peer')
        cargo = tool('cargo', 'Rust')
        # cargo knows by itself what is up to date.
        run([cargo, 'build', '--quiet', '--locked', *(['--release'] if self.release else []),
             '--manifest-path', str(source / 'Cargo.toml')], CARGO_TARGET_DIR=str(folder))

    def client(self, base, cases):
        return [self.program, 'client', base, *cases]

    def server(self, certificate, key):
        return [self.program, 'server', certificate, key]


def numbers(version):
    return tuple(int(part) for part in version.split()[0].split('.') if part.isdigit())


PEERS = {peer.name: peer for peer in [
    Aioquic('aioquic', 'aioquic 1.7.2', 'aioquic'),
    Go('webtransport-go-0.10', 'webtransport-go 0.10.0', 'v0.10'),
    Go('webtransport-go-0.11', 'webtransport-go 0.11.1', 'v0.11'),
    Go('webtransport-go-0.12', 'webtransport-go 0.12.0', 'v0.12',
       'it connects only to servers with RESET_STREAM_AT'),
    Wtransport('wtransport', 'wtransport 0.7.2', 'wtransport'),
]}
SEVERAL = {peer.name: peer for peer in [
    Pywebtransport('pywebtransport', 'pywebtransport 0.21.1', 'pywebtransport'),
]}
