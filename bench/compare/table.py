# SPDX-License-Identifier: MIT
"""table.py - the results as Markdown."""
import figures


def number(value):
    if value is None:
        return '-'
    if value == 0:
        return '0'
    if abs(value) >= 100:
        return f'{value:,.0f}'
    return f'{value:.3g}'


def cell(figure):
    """The median; with the least and the most where there are several rounds."""
    if figure is None:
        return '-'
    if figure.count == 1:
        return number(figure.median)
    return f'{number(figure.median)} ({number(figure.low)}..{number(figure.high)})'


def percent(figure):
    return '-' if figure is None else f'{figure.median * 100:.0f} %'


def row(cells):
    return '| ' + ' | '.join(cells) + ' |'


def table(head, rows):
    return [row(head), row(['---'] * len(head)), *map(row, rows), '']


def who(candidate):
    short = {'websocket': 'WebSocket', 'webtransport': 'WebTransport'}
    return f'{candidate.title}, {short[candidate.transport]}'


def messages_table(rounds, scenario):
    lines = [f'## {scenario.heading(rounds.quick)} (`{scenario.name}`)', '']
    rows = []
    with_common = scenario.common and not rounds.quick

    def common(f):
        return [cell(f['common_us']), cell(f['common_p99'])] if with_common else []

    for candidate in rounds.candidates:
        results = rounds.results[scenario.name].get(candidate.name)
        if not results:
            continue
        f = figures.messages(results)
        busy = f['generator_busy']
        remarks = []
        if f['kept'] and f['kept'].median < 1:
            remarks.append('fell behind')
        if any(result.get('limit') == 'generator' for result in results):
            remarks.append('a higher rate is more than the generator can check')
        if busy and busy.median > 0.85:
            remarks.append('the generator has little time left: latency is in part its own')
        if f['disordered'] and f['disordered'].median > 0.001:
            remarks.append(f'{percent(f["disordered"])} out of order')
        if candidate.why_slow:
            remarks.append(candidate.why_slow)
        rows.append([who(candidate), cell(f['rate']), cell(f['per_second']),
                     cell(f['per_cpu_second']), cell(f['cpu_us']),
                     f'{number(f["user_us"] and f["user_us"].median)}, '
                     f'{number(f["system_us"] and f["system_us"].median)}',
                     cell(f['p50']), cell(f['p99']), cell(f['p99_9']), percent(f['came']),
                     percent(f['server_busy']), percent(busy), *common(f),
                     '; '.join(remarks)])
    if scenario.name == 'fan-out':
        for kind, title in (('tls', 'floor: bare TLS records'), ('quic', 'floor: bare QUIC')):
            f = figures.over(rounds.floors.get(kind, []),
                             lambda r: r['deliveries_per_cpu_second'])
            if f:
                rows.append([title, '', '', cell(f), number(1e6 / f.median)] +
                            [''] * (10 if with_common else 8))
    return lines + table(
        ['', 'messages a second of each sender', 'deliveries a second',
         'for each CPU second of the server', 'its CPU us for one', 'user, system',
         'p50 ms', 'p99 ms', 'p99.9 ms', 'came', 'server busy', 'generator busy',
         *([f'all at {scenario.common} a second: CPU us for one', 'p99 ms']
           if with_common else []), ''], rows)


def latency_table(rounds, scenario):
    lines = [f'## {scenario.heading(rounds.quick)} (`{scenario.name}`)', '',
             'At shares of the capacity that was found for each.', '']
    rows = []
    for candidate in rounds.candidates:
        results = rounds.results[scenario.name].get(candidate.name)
        for share in (0.1, 0.5, 0.8):
            f = figures.messages(results or [], share)
            if f['per_second']:
                rows.append([who(candidate), f'{share * 100:.0f} %', cell(f['per_second']),
                             cell(f['cpu_us']), cell(f['p50']), cell(f['p99']),
                             cell(f['p99_9']), percent(f['came']),
                             percent(f['generator_busy']),
                             'lower bound: the generator ended it' if any(
                                 result.get('limit') == 'generator' for result in results)
                             else ''])
    return lines + table(['', 'of its capacity', 'messages a second', 'server CPU us for one',
                          'p50 ms', 'p99 ms', 'p99.9 ms', 'came', 'generator busy', ''], rows)


CONNECTION_COLUMNS = {
    'storm': [('handshakes', 'handshakes a second'),
              ('handshake_cpu_us', 'server CPU us for one'), ('handshake_p99', 'p99 ms')],
    'join': [('join_seconds', 'all have joined after s'),
             ('settled_seconds', 'and heard of all after s'),
             ('join_cpu_us', 'server CPU us for one')],
    'idle': [('connections', 'connections'), ('rss', 'resident bytes for one'),
             ('kernel', "kernel bytes for one, both ends'"),
             ('idle_cpu_us', 'CPU us a second for one')],
}


def connections_table(rounds, scenario):
    columns = CONNECTION_COLUMNS[scenario.kind]
    rows = []
    for candidate in rounds.candidates:
        results = rounds.results[scenario.name].get(candidate.name)
        if results:
            f = figures.connections(results)
            rows.append([who(candidate)] + [cell(f[name]) for name, _ in columns])
    return [f'## {scenario.heading(rounds.quick)} (`{scenario.name}`)', ''] + \
        table([''] + [title for _, title in columns], rows)


def client_table(rounds, scenario):
    rows = []
    for candidate in rounds.candidates:
        results = rounds.results[scenario.name].get(candidate.name, [])
        for kind in ('reliable', 'unreliable'):
            def get(name):
                return figures.over(results, lambda r: r[kind][name])
            if get('cpu_us'):
                rows.append([f'{who(candidate)}, {kind}', cell(get('per_second')),
                             cell(get('cpu_us')), percent(get('busy')),
                             cell(get('sender_cpu_us'))])
    return [f'## {scenario.title} (`{scenario.name}`)', ''] + \
        table(['', 'received a second', "the receiver's CPU us for one", 'receiver busy',
               "the sender's CPU us for one"], rows)


def lossy_table(rounds, scenario):
    rows = []
    for candidate in rounds.candidates:
        results = rounds.results[scenario.name].get(candidate.name, [])

        def get(group, name):
            return figures.over(results, lambda r: r[group][name])
        if results:
            rows.append([who(candidate)] + [cell(get('age_ms', name)) for name in
                                            ('p50', 'p90', 'p99', 'p99_9')] +
                        [cell(get('delay_ms', 'p50')), cell(get('delay_ms', 'p99'))])
    return [f'## {scenario.title} (`{scenario.name}`)', '',
            'How old the newest value is that a receiver has, asked every 5 ms; without loss '
            '40 to 73 ms. Over TCP the relay makes late, and all behind it, what it would '
            'lose.', ''] + \
        table(['', 'age: p50 ms', 'p90', 'p99', 'p99.9', 'of those that came: p50 ms',
               'p99'], rows)


def markdown(rounds, about):
    lines = ['# libyomo beside others', '',
             f'{about["processors"]} processors ({about["model"]}), Linux {about["kernel"]}, '
             f'load {about["load_before"]:.1f} before. Servers had processors '
             f'{about["server_cpus"]}, the generator {about["load_cpus"]}'
             f'{", both before everything else (SCHED_RR)" if about["realtime"] else ""}. '
             'Medians of the rounds, in brackets the least and the most. Everything over TLS 1.3 on '
             'loopback, payloads of 100 bytes.', '']
    if about['load_before'] > 0.5 and not about['realtime']:
        lines += ['**The machine was busy with other things: figures of different runs '
                  'cannot be compared, and latencies are worth little.**', '']
    for scenario in rounds.scenarios:
        make = {'messages': messages_table, 'latency': latency_table, 'client': client_table,
                'lossy': lossy_table}
        lines += make.get(scenario.kind, connections_table)(rounds, scenario)
    lines += ['## What each was configured with', '',
              'Nothing is switched off in libyomo that is on for another. WebSocket clients '
              'offer TLS 1.3 with X25519 and AES-128-GCM and no compression; WebTransport '
              "clients are libyomo's, with OpenSSL's own choice of groups.", '']
    lines += table(['', 'version', 'configuration'],
                   [[who(c), c.version, c.notes] for c in rounds.candidates])
    if rounds.missing:
        lines += ['Not here:', '']
        lines += [f'- {name}: {why}' for name, why in rounds.missing.items()] + ['']
    if rounds.trouble:
        lines += ['What was wrong:', ''] + [f'- {text}' for text in rounds.trouble] + ['']
    return '\n'.join(lines)
