"""The groups drawn: a row each, with a point and its interval in three panels. SVG by hand: text stays text, light and dark both work."""

import math
from xml.sax.saxutils import escape

THRESHOLD = 80  # the API's default
ROW, HEAD, COLUMN = 22, 76, 34
NAMES, PANEL, GAP = 208, 184, 50
STYLE = """
  .paper { fill: #ffffff } text { fill: #1f2328; font: 12px sans-serif } .soft { fill: #59636e } .title { font-weight: bold }
  .grid { stroke: #d1d9e0 } .interval { stroke: #0b5cad; stroke-width: 2 } .point { fill: #0b5cad } .all { fill: #9a4d00 }
  .interval.all { stroke: #9a4d00 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #3d444d } .interval { stroke: #6cb6ff }
    .point { fill: #6cb6ff } .all { fill: #f0a35e } .interval.all { stroke: #f0a35e }
  }"""


def drawn(rows, what):
    """An SVG of column -> rows."""
    lines = sum(len(column) for column in rows.values())
    height = HEAD + COLUMN * len(rows) + ROW * lines + 14
    width = NAMES + 3 * (PANEL + GAP)
    every = [row for column in rows.values() for row in column]
    panels = [
        ("Same person passes at 80, %", lambda row: row.true_accepts[THRESHOLD], Percent(every, lambda row: row.true_accepts[THRESHOLD])),
        ("Two people pass at 80, of a million", lambda row: row.false_accepts[THRESHOLD], Millionths()),
        ("The nearest is the right person, %", lambda row: row.rank_one, Percent(every, lambda row: row.rank_one)),
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(what)}</title>",
        f"<style>{STYLE}\n</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        text(12, 22, what, "title"),
    ]
    for number, (title, _, scale) in enumerate(panels):
        left = NAMES + number * (PANEL + GAP)
        parts.append(text(left, 46, title))
        for value in scale.ticks:
            x = left + PANEL * scale.place(value)
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 8}" y2="{height - 8}"/>')
            parts.append(text(x, HEAD - 13, scale.label(value), "soft", "middle"))
    y = HEAD
    for name, column in rows.items():
        y += COLUMN
        parts.append(text(12, y - 12, name, "title"))
        for row in column:
            kind = " all" if row.name == "all" else ""
            parts.append(text(24, y + 8, row.name))
            for number, (_, share_of, scale) in enumerate(panels):
                parts += mark(NAMES + number * (PANEL + GAP), y + 4, share_of(row), scale, kind)
            y += ROW
    return "\n".join([*parts, "</svg>", ""])


def mark(left, y, share, scale, kind):
    if not share.of:
        return [text(left, y + 4, "no pairs", "soft")]
    low, high, value = (left + PANEL * scale.place(part) for part in (share.low, share.high, share.value))
    return [
        f'<line class="interval{kind}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>',
        f'<circle class="point{kind}" cx="{value:.1f}" cy="{y}" r="4"/>',
    ]


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


class Percent:
    """From a round number below the lowest interval to all."""

    def __init__(self, rows, share_of):
        lowest = min((share_of(row).low for row in rows if share_of(row).of), default=0)
        self.least = math.floor(lowest * 10) / 10
        steps = round((1 - self.least) * 10)
        self.ticks = [self.least + step / 10 for step in range(steps + 1) if steps <= 5 or step % 2 == steps % 2]

    def place(self, value):
        return (value - self.least) / (1 - self.least)

    def label(self, value):
        return f"{100 * value:.0f}"


class Millionths:
    """By decades, from one of a million, where what is rarer stands too, to one of ten."""

    ticks = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]

    def place(self, value):
        return (math.log10(min(max(value, 1e-6), 1e-1)) + 6) / 5

    def label(self, value):
        return ["≤1", "10", "100", "1k", "10k", "100k"][round(math.log10(value)) + 6]
