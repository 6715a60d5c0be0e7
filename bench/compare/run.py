#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py - libyomo beside other servers, in one run on this machine.

    bench/compare/run.py BUILD_FOLDER [--quick] [--rounds N] [--only SCENARIO,...]
                         [--candidates NAME,...] [--minutes M] [--installed] [--realtime]
    bench/compare/run.py BUILD_FOLDER --check [--installed]

BUILD_FOLDER is a release build with -Dbenchmarks=enabled; `make bench` makes it and calls
this after scripts/bench. Writes compare.md, compare.json and compare-*.svg there.
--installed: only what is installed already takes part of the npm peers. --realtime: servers
and generator go before everything else on the machine (SCHED_RR), for one that is busy.
--check: one small scenario with libyomo and ws, in seconds; each message has to arrive.
docs/benchmarks.md says how to read it."""
import argparse
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import candidates  # noqa: E402 (after the path is set)
import charts  # noqa: E402
import rounds  # noqa: E402
import table  # noqa: E402


def model():
    with open('/proc/cpuinfo', encoding='utf-8') as info:
        for line in info:
            if line.startswith('model name'):
                return line.split(':')[1].strip()
    return os.uname().machine


def chosen(all_of, names, what):
    if not names:
        return list(all_of)
    wanted = names.split(',')
    unknown = set(wanted) - {one.name for one in all_of}
    if unknown:
        raise SystemExit(f'compare: no {what} {", ".join(sorted(unknown))}; there are '
                         f'{", ".join(one.name for one in all_of)}')
    return [one for one in all_of if one.name in wanted]


def check(world):
    """For `make test`. The exit code: 0, or 1 when anything is wrong with libyomo or ws."""
    names = ('libyomo', 'libyomo-wt', 'ws')
    some = [one for one in candidates.CANDIDATES if one.name in names]
    run = rounds.Rounds(world, some, rounds.CHECK, True, 1, 30)
    run.all()
    for candidate in run.candidates:
        for result in run.results['check'].get(candidate.name, []):
            stage = result['stages'][0]
            print(f'{candidate.name}: {stage["received"]:.0f} of {stage["expected"]:.0f} '
                  'messages came')
            if not stage['sent'] or (not candidate.lossy and
                                     stage['received'] != stage['expected']):
                run.trouble.append(f'{candidate.name}: not every message came')
    table.markdown(run, about_this_machine(world, 0))
    for text in run.trouble:
        print(text)
    return 1 if run.trouble else 0


def about_this_machine(world, load):
    return {'processors': os.cpu_count(), 'model': model(), 'kernel': os.uname().release,
            'load_before': load, 'server_cpus': sorted(world.server_cpus),
            'load_cpus': sorted(world.load_cpus), 'realtime': world.realtime}


def main():
    parser = argparse.ArgumentParser(prog='bench/compare/run.py')
    parser.add_argument('build')
    parser.add_argument('--quick', action='store_true', help='one round, smaller')
    parser.add_argument('--rounds', type=int, default=0)
    parser.add_argument('--only', default='', help='scenarios')
    parser.add_argument('--candidates', default='')
    parser.add_argument('--minutes', type=float, default=0, help='no run begins later')
    parser.add_argument('--installed', action='store_true')
    parser.add_argument('--realtime', action='store_true', help='wants root')
    parser.add_argument('--check', action='store_true', help='for tests: does it work?')
    parser.add_argument('--cache', default='')
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and all that it started ends
    load = os.getloadavg()[0]
    build = pathlib.Path(options.build)
    world = candidates.World(build, options.cache or build / 'peers', options.installed,
                             options.realtime)
    if options.check:
        try:
            return check(world)
        finally:
            world.close()
    scenarios = chosen(rounds.SCENARIOS, options.only, 'scenario')
    if options.quick and not options.only:
        scenarios = [scenario for scenario in scenarios if scenario.in_quick]
    began = time.monotonic()
    try:
        run = rounds.Rounds(world, chosen(candidates.CANDIDATES, options.candidates,
                                          'candidate'),
                            scenarios, options.quick,
                            options.rounds or (1 if options.quick else 3),
                            60 * (options.minutes or (5 if options.quick else 50)))
        run.all()
    finally:
        world.close()
    about = {**about_this_machine(world, load), 'seconds': time.monotonic() - began,
             'quick': options.quick}
    text = table.markdown(run, about)
    (build / 'compare.md').write_text(text, encoding='utf-8')
    names = charts.draw(run, build)
    with open(build / 'compare.json', 'w', encoding='utf-8') as out:
        json.dump({**about, 'results': run.results, 'floors': run.floors,
                   'missing': run.missing, 'trouble': run.trouble,
                   'candidates': [{'name': c.name, 'title': c.title, 'version': c.version,
                                   'transport': c.transport, 'configuration': c.notes}
                                  for c in run.candidates]}, out, indent=1)
    print(text)
    print(f'{about["seconds"]:.0f} s; {build}/compare.md, compare.json, '
          f'{", ".join(names)}')
    clean = all('trouble' not in result for by in run.results.values()
                for result in by.get('libyomo', []) + by.get('libyomo-wt', []))
    return 0 if clean else 1


if __name__ == '__main__':
    sys.exit(main())
