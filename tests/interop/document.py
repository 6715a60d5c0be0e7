# SPDX-License-Identifier: MIT
"""document.py - the generated parts of docs/interop.md: written, and compared."""
import json
import pathlib
import re

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / 'docs' / 'interop.md'
ROLES = ('client', 'server')


def part(text, name):
    """(before, the generated part, after)."""
    found = re.search(rf'(<!-- generated: {name} -->\n)(.*?)(<!-- end of {name} -->)', text,
                      re.DOTALL)
    if not found:
        raise SystemExit(f'docs/interop.md has no generated part "{name}"')
    return text[:found.end(1)], found[2], text[found.start(3):]


def cells(line):
    return [cell.strip() for cell in line.strip().strip('|').split('|')]


def table(text, name):
    """{(row, column): cell} of the table in a generated part."""
    lines = [line for line in part(text, name)[1].splitlines() if line.startswith('|')]
    if not lines:
        return {}
    columns = cells(lines[0])
    return {(row[0], column): cell for row in map(cells, lines[2:])
            for column, cell in zip(columns[1:], row[1:])}


def said(outcome):
    """A cell: yes, failed, or no with a number for the reason below the table."""
    return outcome.split(':')[0]


def differences(role, title, outcome, cases):
    """What the document's table has different from what was found."""
    written = table(DOCUMENT.read_text(encoding='utf-8'), role)
    for case, meaning in cases.items():
        cell = written.get((meaning, title))
        if cell is None:
            yield f'"{meaning}" with {title} is not in it ("make interop" writes it)'
        elif cell.split()[0] != said(outcome[case]):
            yield (f'"{meaning}" with {title} is "{cell}" there and "{outcome[case]}" here '
                   '("make interop" writes it)')


def render(found, peers, cases):
    columns = [peer for peer in peers.values() if peer.name in found]
    reasons = []
    rows = ['| | ' + ' | '.join(peer.title for peer in columns) + ' |',
            '| --- |' + ' --- |' * len(columns)]
    for case, meaning in cases.items():
        row = [meaning]
        for peer in columns:
            outcome = found[peer.name][case]
            if ': ' in outcome:
                reason = outcome.split(': ', 1)[1]
                if reason not in reasons:
                    reasons.append(reason)
                row.append(f'no ({reasons.index(reason) + 1})')
            else:
                row.append(outcome)
        rows.append('| ' + ' | '.join(row) + ' |')
    rows += [''] * bool(reasons)
    rows += [f'{number}. {reason}.' for number, reason in enumerate(reasons, 1)]
    return '\n'.join(rows) + '\n'


def render_browsers(engines):
    """`engines`: {name: {version, findings}}, with the same behaviours in each."""
    rows = ['| file | behaviour | '
            + ' | '.join(f'{name} {engine["version"]} | dedicated | shared | service'
                         for name, engine in engines.items()) + ' |',
            '| --- | --- |' + ' --- |' * 4 * len(engines)]
    reasons = []
    for findings in zip(*(engine['findings'] for engine in engines.values())):
        assert len({(f['file'], f['title']) for f in findings}) == 1, 'runs of different tests'
        row = [findings[0]['file'], findings[0]['title'].replace('|', '\\|')]
        for cell in (cell for finding in findings for cell in finding['cells']):
            outcome, _, why = cell.partition(': ')
            if why and why not in reasons:
                reasons.append(why)
            row.append(f'{outcome} ({reasons.index(why) + 1})' if why else outcome)
        rows.append('| ' + ' | '.join(row) + ' |')
    rows += [''] * bool(reasons)
    rows += [f'{number}. {reason}.' for number, reason in enumerate(reasons, 1)]
    return '\n'.join(rows) + '\n'


def write(folder, peers, cases):
    text = DOCUMENT.read_text(encoding='utf-8')
    engines = {file.stem.removeprefix('browser '): json.loads(file.read_text())
               for file in sorted(folder.glob('browser *.json'))}
    if engines:
        before, _, after = part(text, 'browsers')
        text = before + '\n' + render_browsers(engines) + '\n' + after
    for role in ROLES:
        found = {file.stem.removeprefix(f'{role} '): json.loads(file.read_text())
                 for file in folder.glob(f'{role} *.json')}
        if found:
            before, _, after = part(text, role)
            text = before + '\n' + render(found, peers, cases) + '\n' + after
    DOCUMENT.write_text(text, encoding='utf-8')
