"""Draws what tests/growth.sh measured, its TSV given, as an SVG on standard output:
what an event costs, and what memory an operation takes, over the number of events."""
import csv
import math
import sys
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, GAP = 760, 52, 176, 44, 58
HEIGHTS = (300, 240)  # of the two panels
# Told apart by people who see no red or green too; the floor is grey and dashed.
COLOURS = ["#888888", "#d55e00", "#e69f00", "#0072b2", "#56b4e9", "#009e73", "#a6a61e",
           "#cc79a7", "#9467bd"]
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 13px }
.tick { font-size: 11px; fill: #57606a }
.ground { fill: #ffffff }
.grid { stroke: #d8dee4 }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .tick { fill: #9198a1 }
  .ground { fill: #0d1117 } .grid { stroke: #30363d }
}"""


class Scale:
    """Logarithmic, from the values' least to their greatest, with some air."""

    def __init__(self, values, start, end, air):
        low, high = math.log10(min(values)), math.log10(max(values))
        pad = air * ((high - low) or 1)
        self.low, self.high, self.start, self.end = low - pad, high + pad, start, end

    def at(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self):
        """1, 2, 5, 10 and so on, as far as they are within."""
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for digit in (1, 2, 5):
                if self.low <= math.log10(digit * 10**power) <= self.high:
                    yield round(digit * 10.0**power, 6)


def element(tag, text=None, **attributes):
    names = "".join(f' {k.rstrip("_").replace("_", "-")}="{v}"' for k, v in attributes.items())
    print(f"<{tag}{names}/>" if text is None else f"<{tag}{names}>{escape(text)}</{tag}>")


def number(value):
    for unit, name in ((1e6, " million"), (1e3, " thousand")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def apart(wanted, least, low, high):
    """The places wanted, in ascending order, moved so that all are least apart."""
    places = list(wanted)
    for _ in range(200):
        for i in range(1, len(places)):
            lack = least - (places[i] - places[i - 1])
            if lack > 0.01:
                places[i - 1] -= lack / 2
                places[i] += lack / 2
        over, under = max(0, places[-1] - high), max(0, low - places[0])
        places[-1] -= over
        places[0] += under
    return places


def panel(title, series, top, height):
    """series: name, colour, and what was measured by number of events."""
    sizes = sorted({n for _, _, points in series for n in points})
    values = [v for _, _, points in series for v in points.values()]
    x = Scale(sizes, LEFT, WIDTH - RIGHT, 0.02)
    y = Scale(values, top + height, top, 0.05)
    element("text", title, x=LEFT, y=top - 12, class_="title")
    for value in y.ticks():
        element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y.at(value):.1f}", y2=f"{y.at(value):.1f}",
                class_="grid")
        element("text", number(value), x=LEFT - 8, y=f"{y.at(value) + 4:.1f}", class_="tick",
                text_anchor="end")
    for value in sizes:
        element("text", number(value), x=f"{x.at(value):.1f}", y=top + height + 18, class_="tick",
                text_anchor="middle")
    lines = []
    for name, colour, points in series:
        path = [(x.at(n), y.at(v)) for n, v in sorted(points.items())]
        lines.append((path[-1], name, colour))
        dashes = {"stroke_dasharray": "5 4"} if name.startswith("floor") else {}
        element("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in path), stroke=colour,
                **dashes)
        for a, b in path:
            element("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=3, fill=colour)
    lines.sort(key=lambda line: line[0][1])
    places = apart([end[1] for end, _, _ in lines], 16, top + 4, top + height - 4)
    for place, (end, name, colour) in zip(places, lines):
        label = WIDTH - RIGHT + 22
        element("path", d=f"M{end[0] + 5:.1f} {end[1]:.1f}L{label - 5} {place:.1f}", stroke=colour,
                fill="none", opacity="0.6")
        element("text", name, x=label, y=f"{place + 4:.1f}")


def main():
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    cost, memory = [], []
    for at, name in enumerate(dict.fromkeys(row["operation"] for row in rows)):
        own = {int(row["events"]): row for row in rows if row["operation"] == name}
        colour = COLOURS[at % len(COLOURS)]
        cost.append((name, colour, {n: float(r["cpu_s"]) / n * 1e6 for n, r in own.items()}))
        if not name.startswith("floor"):  # it has the events in memory beforehand
            memory.append((name, colour, {n: float(r["peak_mb"]) for n, r in own.items()}))
    second = TOP + HEIGHTS[0] + GAP + 20
    height = second + HEIGHTS[1] + 34
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
          f'width="{WIDTH}" height="{height}" role="img" '
          'aria-label="processor time an event, and peak memory, over the number of events">')
    print(f"<style>{STYLE}\n</style>")
    element("rect", width="100%", height="100%", class_="ground")
    panel("Processor time an event, in microseconds, over the number of events", cost, TOP,
          HEIGHTS[0])
    panel("Peak memory, in MB, over the number of events", memory, second, HEIGHTS[1])
    print("</svg>")


main()
