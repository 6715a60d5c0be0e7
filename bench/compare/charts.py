# SPDX-License-Identifier: MIT
"""charts.py - which charts are drawn of the results."""
import figures
import svg
from table import who


def rows(rounds, scenario, name, share=None):
    """A row for each candidate that has this figure."""
    out = []
    for candidate in rounds.candidates:
        results = rounds.results[scenario.name].get(candidate.name)
        if not results:
            continue
        source = figures.messages(results, share) \
            if scenario.kind in ('messages', 'latency') else figures.connections(results)
        if source[name]:
            kind = 'own' if candidate.title == 'libyomo' else 'other'
            out.append((who(candidate), source[name], kind))
    return out


def draw(rounds, folder):
    """Writes the charts; returns their names."""
    written = []

    def write(name, title, unit, bars, reverse):
        if bars:
            bars.sort(key=lambda bar: bar[1].median, reverse=reverse)
            (folder / name).write_text(svg.bars(title, unit, bars), encoding='utf-8')
            written.append(name)

    for scenario in rounds.scenarios:
        title = scenario.heading(rounds.quick)
        title = title[0].upper() + title[1:]
        if scenario.kind == 'messages':
            bars = rows(rounds, scenario, 'per_cpu_second')
            if scenario.name == 'fan-out':
                for kind, floor in (('tls', 'floor: bare TLS records'),
                                    ('quic', 'floor: bare QUIC packets')):
                    f = figures.over(rounds.floors.get(kind, []),
                                     lambda r: r['deliveries_per_cpu_second'])
                    bars += [(floor, f, 'floor')] if f else []
            write(f'compare-{scenario.name}.svg', title,
                  'deliveries for each CPU second of the server; more is better', bars, True)
            if scenario.common and not rounds.quick:
                write(f'compare-{scenario.name}-common.svg', title,
                      f"the server's CPU time for a delivery, us, all at {scenario.common} "
                      'messages a second of each sender; less is better',
                      rows(rounds, scenario, 'common_us'), False)
            write(f'compare-{scenario.name}-p99.svg', title,
                  'p99 from sending to receiving, ms, at the highest rate of the ladder that '
                  'each keeps up with; less is better',
                  rows(rounds, scenario, 'p99'), False)
        elif scenario.kind == 'latency':
            write(f'compare-{scenario.name}.svg', f'{title}, at half of capacity',
                  'p99 from sending to receiving, ms; less is better',
                  rows(rounds, scenario, 'p99', 0.5), False)
        elif scenario.kind == 'lossy':
            bars = []
            for candidate in rounds.candidates:
                f = figures.over(rounds.results[scenario.name].get(candidate.name, []),
                                 lambda r: r['age_ms']['p99'])
                bars += [(who(candidate), f, 'own')] if f else []
            write(f'compare-{scenario.name}.svg', title,
                  'p99 of the age of the newest value, ms; less is better', bars, False)
        elif scenario.kind == 'client':
            continue
        elif scenario.kind == 'storm':
            write(f'compare-{scenario.name}.svg', title,
                  "the server's CPU time for a connection, us; less is better",
                  rows(rounds, scenario, 'handshake_cpu_us'), False)
        elif scenario.kind == 'join':
            write(f'compare-{scenario.name}.svg', title,
                  "the server's CPU time for a join, us; less is better",
                  rows(rounds, scenario, 'join_cpu_us'), False)
        else:
            write(f'compare-{scenario.name}.svg', title,
                  'resident bytes of the server for a connection; less is better',
                  rows(rounds, scenario, 'rss'), False)
    return written
