# SPDX-License-Identifier: MIT
"""figures.py - medians and spreads out of the rounds' results."""
import statistics
from dataclasses import dataclass


@dataclass
class Figure:
    median: float
    low: float
    high: float
    count: int


def figure(values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return Figure(statistics.median(values), min(values), max(values), len(values))


def over(results, get):
    """The Figure of get(result) over the rounds; None where no round has it."""
    values = []
    for result in results:
        try:
            values.append(get(result))
        except (KeyError, IndexError, ZeroDivisionError, TypeError):
            continue
    return figure(values)


def stage_of(result, share=None):
    for stage in result['stages']:
        if share is None or abs(stage.get('share', 0) - share) < 1e-9:
            return stage
    raise KeyError(share)


def messages(results, share=None):
    """What a table of messages shows, by name."""
    def get(read):
        return over(results, lambda result: read(stage_of(result, share)))

    def each(name):
        return lambda s: s['server'][name] / s['received'] * 1e6

    return {
        'rate': get(lambda s: s['rate']),
        'per_second': get(lambda s: s['per_second']),
        'per_cpu_second': get(lambda s: s['received'] / s['server']['cpu_seconds']),
        'cpu_us': get(each('cpu_seconds')),
        'user_us': get(each('user_seconds')),
        'system_us': get(each('system_seconds')),
        'p50': get(lambda s: s['latency_us']['p50'] / 1e3),
        'p99': get(lambda s: s['latency_us']['p99'] / 1e3),
        'p99_9': get(lambda s: s['latency_us']['p99_9'] / 1e3),
        'came': get(lambda s: s['received'] / s['expected']),
        'disordered': get(lambda s: s['disordered'] / s['received']),
        'server_busy': get(lambda s: s['server']['busy']),
        'generator_busy': get(lambda s: s['generator']['busiest_thread']),
        'common_us': over(results, lambda r: r['stages'][1]['server']['cpu_seconds'] /
                          r['stages'][1]['received'] * 1e6) if share is None else None,
        'common_p99': over(results, lambda r: r['stages'][1]['latency_us']['p99'] / 1e3)
                      if share is None else None,
        'kept': get(lambda s: float(s['kept'])),
    }


def connections(results):
    """Of a storm, a joining and idle connections."""
    return {
        'handshakes': over(results, lambda r: r['connect']['connected'] /
                           r['connect']['seconds']),
        'handshake_cpu_us': over(results, lambda r: r['connect']['cpu_seconds'] /
                                 r['connect']['connected'] * 1e6),
        'handshake_p99': over(results, lambda r: r['connect']['handshake_us']['p99'] / 1e3),
        'join_seconds': over(results, lambda r: r['joins']['seconds']),
        'settled_seconds': over(results, lambda r: r['joins']['settled_seconds']),
        'join_cpu_us': over(results, lambda r: r['joins']['cpu_seconds'] /
                            r['joins']['joined'] * 1e6),
        'rss': over(results, lambda r: (r['idle']['rss'] - r['idle']['rss_before']) /
                    r['idle']['connections']),
        'kernel': over(results, lambda r: (r['idle']['kernel'] - r['idle']['kernel_before']) /
                       r['idle']['connections']),
        'idle_cpu_us': over(results, lambda r: r['idle']['cpu_seconds'] * 1e6 /
                            r['idle']['connections'] / r['idle']['seconds']),
        'connections': over(results, lambda r: r['idle']['connections']),
    }
