# SPDX-License-Identifier: MIT
"""own.py - scenarios of libyomo's own client: what receiving costs it, and how fresh values
are on a path that loses packets, over WebTransport beside WebSocket."""
import json
import subprocess

from installs import Missing

RUN_SECONDS = 60
# Of the relay (tests/support/link): the path of `lossy`, both ways.
PATH = ('loss 0.02', 'delay 20')
SEED = 7


def run(world, words, cpus):
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              encoding='utf-8', timeout=RUN_SECONDS, check=False,
                              preexec_fn=lambda: world.settle(cpus))
        if done.returncode == 0:
            return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise Missing(f'it was not done after {RUN_SECONDS} s') from None
    raise Missing(f'exit code {done.returncode}: {done.stderr[-300:]}')


def receive(world, candidate, server, quick):
    """One client receives 100,000 messages a second; its threads may go anywhere, since
    sender and receiver are two."""
    results = {}
    for kind in ('reliable', 'unreliable'):
        if kind == 'reliable' or candidate.transport == 'webtransport':
            results[kind] = run(
                world, [str(world.build / 'bench' / 'receive'), candidate.transport, kind,
                        str(server.port), world.certificate, '100000',
                        '1' if quick else '3'], world.server_cpus | world.load_cpus)
    return results


def lossy(world, candidate, server, quick):
    """A LATEST value 30 times a second to nine others, through the relay."""
    words = [str(world.build / 'bench' / 'lossy'), '--target', f'127.0.0.1:{server.port}',
             '--seed', str(SEED)]
    for order in PATH:
        words += ['--do', order]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          preexec_fn=lambda: world.settle(world.load_cpus)) as relay:
        try:
            port = json.loads(relay.stdout.readline())['port']
            return run(world, [str(world.build / 'bench' / 'fresh'), candidate.transport,
                               str(port), world.certificate, '10', '30',
                               '3' if quick else '15'], world.load_cpus)
        finally:
            relay.stdin.close()
            try:
                relay.wait(5)
            except subprocess.TimeoutExpired:
                relay.kill()


MEASURES = {'client': receive, 'lossy': lossy}


def judge(kind, result):
    """What was wrong, as a sentence, or ''."""
    if kind == 'client':
        for name, run_of in result.items():
            if run_of['rejoined']:
                return f'{name}: the receiver was too slow and lost its connection'
            if run_of['wrong'] or (name == 'reliable' and run_of['lost']):
                return f'{name}: {run_of["lost"]} messages lost, {run_of["wrong"]} wrong'
    elif result['reconnects']:
        return f'{result["reconnects"]} connections were lost'
    return ''
