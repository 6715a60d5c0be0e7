# SPDX-License-Identifier: MIT
"""installs.py - how the servers beside libyomo come onto this machine.

Each from its registry, pinned where the registry lets one: npm by scripts/setup, Go modules
by go.mod and go.sum, what the interop tests have (tests/interop/peers.py) by them, Debian's
packages unpacked into a folder, so that nothing is installed and no service is started.
Everything raises Missing, with the reason, when it cannot be had."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'interop'))
from peers import PEERS, Missing, run, tool  # noqa: E402 (the folder is known only now)

HERE = ROOT / 'bench' / 'peers'


def npm(quietly_only=False):
    """The folder of the npm peers. `quietly_only`: what is there already, or Missing."""
    tool('node', 'Node.js')
    folder = HERE / 'npm'
    if not (folder / 'node_modules' / '.setup-stamp').exists():
        if quietly_only:
            raise Missing('its npm packages are not installed (scripts/setup does it)')
        tool('npm', 'npm')
        run([str(ROOT / 'scripts' / 'setup'), '--npm'])
    return folder


def npm_version(folder, name):
    text = (folder / 'node_modules' / name / 'package.json').read_text(encoding='utf-8')
    return re.search(r'"version":\s*"([^"]+)"', text)[1]


def go_program(name, package, cache):
    """A program out of the module that bench/peers/NAME/go.mod pins."""
    go = tool('go', 'Go')
    files = sorted((HERE / name).iterdir())
    stamp = ''.join(file.read_text(encoding='utf-8') for file in files)
    folder = cache / name
    program, note = folder / 'program', folder / 'stamp'
    if not note.exists() or note.read_text(encoding='utf-8') != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        run([go, 'build', '-mod=readonly', '-o', str(program), package], folder,
            GOTOOLCHAIN='local', GOFLAGS='-buildvcs=false')
        note.write_text(stamp, encoding='utf-8')
    return str(program)


def interop(name, cache, release=False):
    """A WebTransport peer of the interop tests, installed; its `server` is run here."""
    peer = PEERS[name]
    folder = pathlib.Path(os.environ.get('YOMO_INTEROP_CACHE') or cache / 'interop')
    folder.mkdir(parents=True, exist_ok=True)
    if release:
        peer.release = True
    peer.install(ROOT / 'tests' / 'interop', folder)
    return peer


def debian(names, cache):
    """Packages of the distribution with what they need, unpacked. Returns the folder."""
    folder = cache / ('debian-' + names[0])
    if (folder / 'stamp').exists():
        return folder
    tool('apt-get', 'apt')
    listed = subprocess.run(['apt-get', 'install', '-s', '--no-install-recommends', *names],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
    wanted = re.findall(r'^Inst (\S+)', listed.stdout, re.MULTILINE)
    if listed.returncode != 0:
        raise Missing(f'apt has no package {" ".join(names)}')
    shutil.rmtree(folder, ignore_errors=True)
    (folder / 'debs').mkdir(parents=True)
    run(['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', 'download',
         *(set(wanted) | set(names))], folder / 'debs')
    for package in (folder / 'debs').glob('*.deb'):
        run(['dpkg-deb', '-x', str(package), str(folder)])
    (folder / 'stamp').write_text('\n'.join(wanted), encoding='utf-8')
    return folder


def debian_libraries(folder):
    return ':'.join(sorted({str(path.parent) for path in folder.glob('**/*.so*')}))


def debian_version(folder, name):
    for package in (folder / 'debs').glob(f'{name}_*.deb'):
        return package.name.split('_')[1].replace('%3a', ':')
    return '?'
