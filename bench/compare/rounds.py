# SPDX-License-Identifier: MIT
"""rounds.py - the scenarios, and who runs which of them when.

In each round every scenario goes through all candidates, in an order that is turned by one
from round to round, each with a server of its own. How often members send is found in the
first round (the highest rate of the scenario's ladder that candidate and generator keep up
with) and kept in the later ones."""
import json
import subprocess
import sys
import time
from dataclasses import dataclass

import own
from installs import Missing

RUN_SECONDS = 150  # one run of the generator at most; then it is ended and that is said


@dataclass
class Scenario:
    name: str
    title: str
    kind: str               # messages, latency, storm, join, idle, client or lossy
    full: list              # the generator's arguments
    quick: list
    rates: tuple = ()       # messages a second of each sender
    quick_rates: tuple = ()
    common: float = 0       # and one at which all are measured beside each other
    rounds: int = 99        # no more than these are worth their time
    in_quick: bool = True
    skips: tuple = ()       # (name of a candidate, why)

    def heading(self, quick):
        """Its title, with the true sizes where it is smaller than that says."""
        if not quick or self.quick[:6] == self.full[:6] or not self.full:
            return self.title
        return f'{self.title}, in small: {" ".join(self.quick[:6])}'

    def arguments(self, quick, rate):
        words = list(self.quick if quick else self.full)
        rates = self.quick_rates if quick else self.rates
        if rate is not None:
            words += ['--rates', repr(rate)]
        elif rates:
            words += ['--rates', ','.join(map(repr, rates))]
        if self.common and not quick:
            words += ['--also', repr(self.common)]
        return words


def rooms(count, members, senders):
    return ['--rooms', str(count), '--members', str(members), '--senders', str(senders)]


SCENARIOS = [
    Scenario('fan-out', 'one sender, one room of 1,000', 'messages',
             rooms(1, 1000, 1) + ['--seconds', '3'], rooms(1, 200, 1) + ['--seconds', '1'],
             (1, 2, 5, 10, 20), (5, 20), common=2),
    Scenario('rooms', '100 rooms of 10, all send', 'messages',
             rooms(100, 10, 10) + ['--seconds', '3'],
             rooms(20, 10, 10) + ['--seconds', '1'],
             (0.5, 1, 2, 5, 10, 20), (2, 20), common=1),
    Scenario('big-room', 'one room of 500, all send', 'messages',
             rooms(1, 500, 500) + ['--seconds', '3'],
             rooms(1, 50, 50) + ['--seconds', '1'],
             (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20), (1, 5, 20), common=0.1),
    Scenario('latency', '50 pairs: a message and its one delivery', 'latency',
             rooms(50, 2, 1) + ['--seconds', '3', '--probe', '0.7', '--search', '50',
                                '--shares', '0.1,0.5,0.8', '--within', '0.05'],
             rooms(50, 2, 1) + ['--seconds', '1', '--probe', '0.4', '--search', '100',
                                '--shares', '0.1,0.5,0.8', '--within', '0.05'],
             in_quick=False),
    Scenario('storm', '1,000 connect, 64 handshakes at a time', 'storm',
             rooms(1, 1000, 0) + ['--storm', '--fresh'],
             rooms(1, 200, 0) + ['--storm', '--fresh']),
    Scenario('join', '300 members join one room in one moment', 'join',
             rooms(1, 300, 0) + ['--storm', '--announce'],
             rooms(1, 60, 0) + ['--storm', '--announce'], in_quick=False),
    Scenario('idle', '10,000 connections that do nothing', 'idle',
             rooms(1000, 10, 0) + ['--idle', '20', '--opening', '128'],
             rooms(100, 10, 0) + ['--idle', '2'], rounds=1, in_quick=False),
    Scenario('client', "libyomo's client receives 100,000 messages a second", 'client', [], []),
    Scenario('lossy', 'LATEST 30 times a second, 2 % loss and 20 ms each way', 'lossy', [], []),
]

# For `make test`: small enough for a slow build on a busy machine.
CHECK = [Scenario('check', 'a few rooms', 'messages', [],
                  rooms(4, 5, 2) + ['--seconds', '0.5'], quick_rates=(20,))]


class Rounds:
    """Runs scenarios and keeps what came out: results[scenario][candidate] is a list."""

    def __init__(self, world, candidates, scenarios, quick, rounds, seconds):
        self.world, self.quick, self.rounds = world, quick, rounds
        self.scenarios = scenarios
        self.deadline = time.monotonic() + seconds
        self.candidates, self.missing = [], {}
        self.results = {scenario.name: {} for scenario in scenarios}
        self.trouble = []  # sentences
        self.floors = {}
        for candidate in candidates:
            try:
                candidate.install(world)
                self.candidates.append(candidate)
            except Missing as why:
                self.missing[candidate.name] = str(why)
                self.say(f'{candidate.title} over {candidate.transport}: skipped: {why}')

    def say(self, text):
        print(f'compare: {text}', file=sys.stderr, flush=True)

    def all(self):
        for turn in range(self.rounds):
            for scenario in self.scenarios:
                if turn >= scenario.rounds:
                    continue
                shift = turn % max(1, len(self.candidates))
                for candidate in self.candidates[shift:] + self.candidates[:shift]:
                    if scenario.kind in own.MEASURES and candidate.title != 'libyomo':
                        continue
                    if time.monotonic() > self.deadline:
                        self.trouble.append('the time was over: the last rounds are missing')
                        self.say(self.trouble[-1])
                        return
                    self.one(scenario, candidate)
                if scenario.name == 'fan-out':
                    self.floor('tls', 196)
                    self.floor('quic', 188)

    def one(self, scenario, candidate):
        before = self.results[scenario.name].setdefault(candidate.name, [])
        if scenario.kind in own.MEASURES:
            self.one_of_our_own(scenario, candidate, before)
            return
        rate = before[-1]['stages'][0]['rate'] \
            if before and scenario.kind == 'messages' else None
        try:
            result = self.measure(scenario, candidate, rate)
        except Missing as why:
            self.trouble.append(f'{scenario.name}, {candidate.name}: {why}')
            self.say(self.trouble[-1])
            return
        trouble = judge(scenario, candidate, result)
        if trouble:
            result['trouble'] = trouble
            self.trouble.append(f'{scenario.name}, {candidate.name}: {trouble}')
            self.say(self.trouble[-1])
        before.append(result)

    def one_of_our_own(self, scenario, candidate, before):
        server = None
        try:
            server = candidate.start_again(self.world)
            result = own.MEASURES[scenario.kind](self.world, candidate, server, self.quick)
            trouble = own.judge(scenario.kind, result)
            before.append({**result, 'trouble': trouble} if trouble else result)
        except Missing as why:
            trouble = str(why)
        finally:
            if server:
                server.stop()
        if trouble:
            self.trouble.append(f'{scenario.name}, {candidate.name}: {trouble}')
            self.say(self.trouble[-1])

    def measure(self, scenario, candidate, rate):
        server = candidate.start_again(self.world)
        try:
            command = [self.world.load, *candidate.arguments(),
                       *scenario.arguments(self.quick, rate), '--port', str(server.port),
                       '--ca', self.world.certificate, '--pid', str(server.pid),
                       '--threads', str(min(len(self.world.load_cpus), 8))]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8',
                timeout=RUN_SECONDS, check=False,
                preexec_fn=lambda: self.world.settle(self.world.load_cpus))
            if done.returncode != 0:
                raise ValueError
            result = json.loads(done.stdout)
            result['command'] = command[1:]
            return result
        except subprocess.TimeoutExpired:
            raise Missing(f'it was not done after {RUN_SECONDS} s') from None
        except ValueError:
            raise Missing(f'the generator ended with {done.returncode}: '
                          f'{done.stderr[-300:]}') from None
        finally:
            server.stop()

    def floor(self, kind, size):
        """The least that a delivery can cost (bench/floor.h), on a server's processor."""
        members = 200 if self.quick else 1000
        done = subprocess.run(
            [str(self.world.build / 'bench' / 'floor'), kind, str(members), str(size),
             '0.5' if self.quick else '2'],
            stdout=subprocess.PIPE, check=False,
            preexec_fn=lambda: self.world.settle(self.world.server_cpus))
        try:
            self.floors.setdefault(kind, []).append(json.loads(done.stdout))
        except ValueError:
            self.say(f'floor {kind} ended with {done.returncode}')


def judge(scenario, candidate, result):
    """What was wrong in a run that nothing excuses, as a sentence, or ''."""
    connect = result['connect']
    if connect['connected'] < connect['wanted']:
        return (f'{connect["connected"]:.0f} of {connect["wanted"]:.0f} connected '
                f'({connect["why"]})')
    if not result['alive']:
        return 'the server ended'
    if scenario.kind == 'join' and result['joins']['joined'] < connect['wanted']:
        return f'{result["joins"]["joined"]:.0f} of {connect["wanted"]:.0f} joined'
    for stage in result['stages']:
        if stage['damaged'] or stage['foreign']:
            return f'{stage["damaged"]:.0f} messages damaged, {stage["foreign"]:.0f} own ones'
        if not candidate.lossy and stage['kept']:
            if stage['duplicate'] or stage['received'] < stage['expected']:
                return (f'{stage["expected"] - stage["received"]:.0f} messages lost, '
                        f'{stage["duplicate"]:.0f} came twice')
            if stage['disordered'] and '--unordered' not in candidate.flags:
                return f'{stage["disordered"]:.0f} messages out of order'
    return ''
