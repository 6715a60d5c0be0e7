# SPDX-License-Identifier: MIT
"""svg.py - bar charts as SVG, from lists of (label, Figure, class)."""
import math
from html import escape

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 240, 110, 20, 8, 64
STYLE = '''text { font: 13px sans-serif; fill: #222 }
.title { font-size: 16px; font-weight: bold } .unit, .tick { fill: #666; font-size: 11px }
.own { fill: #c2410c } .other { fill: #64748b } .floor { fill: #cbd5e1 }
.grid { stroke: #e5e7eb } .spread { stroke: #111; stroke-width: 1.5 }
.back { fill: #fff }'''


def nice(top):
    """The next round number, and the step of a grid below it."""
    power = 10 ** (math.floor(math.log10(top)) - 1)
    for step in (1, 2, 2.5, 5, 10, 20):
        if step * power * 5 >= top:
            return step * power * 5, step * power
    return top, top / 5


def short(value):
    if value >= 1e6:
        return f'{value / 1e6:.3g} M'
    if value >= 10000:
        return f'{value / 1e3:.3g} k'
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def bars(title, unit, rows):
    """A chart with a bar for each row: its median, and a line from least to most."""
    top, step = nice(max((row[1].median for row in rows), default=1) or 1)
    height = TOP + len(rows) * (BAR + GAP) + 28
    scale = (WIDTH - LEFT - RIGHT) / top
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
           f'width="{WIDTH}" height="{height}" role="img">',
           f'<title>{escape(title)}</title><style>{STYLE}</style>',
           f'<rect class="back" width="{WIDTH}" height="{height}"/>',
           f'<text class="title" x="12" y="24">{escape(title)}</text>',
           f'<text class="unit" x="12" y="44">{escape(unit)}</text>']
    bottom = height - 24
    count = round(top / step)
    for i in range(count + 1):
        x = LEFT + i * step * scale
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" '
                   f'y2="{bottom}"/>')
        out.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" '
                   f'text-anchor="middle">{short(i * step)}</text>')
    for place, (label, figure, kind) in enumerate(rows):
        y = TOP + place * (BAR + GAP)
        middle = y + BAR / 2
        end = LEFT + figure.median * scale
        out.append(f'<text x="{LEFT - 8}" y="{middle + 4.5}" text-anchor="end">'
                   f'{escape(label)}</text>')
        out.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" height="{BAR}" '
                   f'width="{max(end - LEFT, 1):.1f}"/>')
        farthest = end
        if figure.count > 1:
            low = LEFT + figure.low * scale
            farthest = min(LEFT + figure.high * scale, WIDTH - RIGHT + 30)
            out.append(f'<line class="spread" x1="{low:.1f}" x2="{farthest:.1f}" '
                       f'y1="{middle}" y2="{middle}"/>')
        out.append(f'<text x="{max(end, farthest) + 6:.1f}" y="{middle + 4.5}">'
                   f'{short(figure.median)}</text>')
    return '\n'.join(out + ['</svg>', ''])
