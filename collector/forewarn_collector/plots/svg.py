"""A plot as one SVG document, for light and dark, that nothing else is needed for.

It is told by its title and description where it can't be seen. Names are escaped and shortened:
they come from labels, which anybody may have sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from forewarn_collector.plots.model import Line, Mark, Plot
from forewarn_collector.plots.style import COLOURS, STYLE
from forewarn_collector.plots.ticks import (
    number_text,
    time_text,
    time_ticks,
    value_range,
    value_ticks,
)

_LEFT, _MARGIN = 64, 16
_TOP, _BOTTOM = 72, 280
_HEADING = 30
"""Above this stands nothing but the title and the day."""
_SUSPECTS = 294
_NAMES = 310
_ROW = 18
_MOST_POINTS = 2_000
_MOST_SUSPECTS = 20
_LONGEST = 90
_NEAR = 14
"""Marks that are closer than this (in units of the picture) are named together."""
_CHARACTER = 6.4
_LIMIT = 1e300
_QUOTES = {'"': "&quot;"}
_UNFIT = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(plot: Plot) -> str:
    """The plot as a document; the same for the same plot."""
    above = (
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{plot.width}" height="100%"/>',
        f'<text class="title" x="16" y="22">{_text(plot.title)}</text>',
    )
    return _drawn(plot, 'xmlns="http://www.w3.org/2000/svg"', "", 0, above)


def render_inline(plot: Plot, name: str) -> str:
    """The plot as an element of a page, which has the style `page_style` and one plot of a name.

    Its title is told, not shown: the page has a heading. It bears the values that it shows, for a
    script: `data-times` (ms since `data-start`), `data-values` and `data-heights` of each line.
    """
    span = f'data-start="{plot.start}" data-end="{max(plot.end, plot.start + 1)}"'
    attributes = f'class="plot" {span} data-left="{_LEFT}" data-right="{plot.width - _MARGIN}"'
    return _drawn(plot, attributes, f"{name}-", _HEADING, (), with_values=True)


def _drawn(
    plot: Plot,
    attributes: str,
    prefix: str,
    top: int,
    above: Sequence[str],
    *,
    with_values: bool = False,
) -> str:
    """The plot without what is higher than `top`; the day stands there, or below if that is cut."""
    lines = [_cut(line) for line in plot.lines[:COLOURS]]
    frame = _Frame(plot, lines)
    names = 1 if len(plot.lines) < 2 else len(lines) + (len(plot.lines) > COLOURS)
    height = _NAMES + (names + bool(_suspects(plot))) * _ROW + 12
    parts = [
        f'<svg {attributes} viewBox="0 {top} {plot.width} {height - top}" width="{plot.width}" '
        f'height="{height - top}" role="img" aria-labelledby="{prefix}title {prefix}desc">',
        f'<title id="{prefix}title">{_text(plot.title)}</title>',
        f'<desc id="{prefix}desc">{_text(_told(plot), 2_000)}</desc>',
        *above,
        *_bands(frame),
        *_axes(frame),
        *_threshold(frame),
        *_marks(frame),
        *(part for number, line in enumerate(lines) for part in _path(frame, number, line)),
        *(_values(frame, number, line) for number, line in enumerate(lines) if with_values),
        *_legend(plot, lines, _NAMES + 20 if top else 22),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _values(frame: _Frame, number: int, line: Line) -> str:
    """The values of a line as data of an element that shows nothing itself."""
    known = [(at, value) for at, value in line.points if math.isfinite(value)]
    times = " ".join(str(at - frame.start) for at, _ in known)
    values = " ".join(number_text(value) for _, value in known)
    heights = " ".join(_at(frame.y(value)) for _, value in known)
    return (
        f'<g class="values d{number}" data-name="{escape(_clean(line.name), _QUOTES)}" '
        f'data-times="{times}" data-values="{values}" data-heights="{heights}"/>'
    )


class _Frame:
    """Where times and values stand in the picture."""

    def __init__(self, plot: Plot, lines: Sequence[Line]) -> None:
        self.plot = plot
        self.right = plot.width - _MARGIN
        self.start, self.end = plot.start, max(plot.end, plot.start + 1)
        values = [value for line in lines for _, value in line.points if math.isfinite(value)]
        limit = plot.threshold
        if limit is not None and math.isfinite(limit[0]):
            values.append(_bounded(limit[0]))
        if plot.from_zero:
            values.append(0.0)
        self.low, self.high = value_range([_bounded(value) for value in values] or [0.0])

    def x(self, at: int) -> float:
        share = (min(max(at, self.start), self.end) - self.start) / (self.end - self.start)
        return _LEFT + share * (self.right - _LEFT)

    def y(self, value: float) -> float:
        share = (_bounded(value) - self.low) / (self.high - self.low)
        return _BOTTOM - share * (_BOTTOM - _TOP)


def _axes(frame: _Frame) -> Iterator[str]:
    for value, name in value_ticks(frame.low, frame.high):
        y = _at(frame.y(value))
        yield f'<line class="grid" x1="{_LEFT}" x2="{frame.right}" y1="{y}" y2="{y}"/>'
        yield f'<text class="quiet" x="{_LEFT - 8}" y="{y}" dy="4" text-anchor="end">{name}</text>'
    for at, name in time_ticks(frame.start, frame.end, most=frame.plot.width // 92):
        place = frame.x(at)
        x = _at(place)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{_BOTTOM}" y2="{_BOTTOM + 5}"/>'
        # Whole at the right edge, too.
        middle = _at(min(place, frame.plot.width - 4 - len(name) * _CHARACTER / 2))
        yield f'<text class="quiet" x="{middle}" y="{_NAMES}" text-anchor="middle">{name}</text>'


def _bands(frame: _Frame) -> Iterator[str]:
    for band in frame.plot.bands:
        if band.end <= frame.start or band.start >= frame.end:
            continue
        left, right = frame.x(band.start), frame.x(band.end)
        yield (
            f'<rect class="band" x="{_at(left)}" y="{_TOP}" width="{_at(right - left)}" '
            f'height="{_BOTTOM - _TOP}"><title>{_text(band.name)}</title></rect>'
        )
        if right - left > len(band.name) * _CHARACTER:
            middle = f'x="{_at((left + right) / 2)}" y="{_BOTTOM - 8}" text-anchor="middle"'
            yield f'<text class="quiet" {middle}>{_text(band.name)}</text>'


def _threshold(frame: _Frame) -> Iterator[str]:
    if frame.plot.threshold is None or not math.isfinite(frame.plot.threshold[0]):
        return
    value, name = frame.plot.threshold
    y = frame.y(value)
    yield f'<line class="limit" x1="{_LEFT}" x2="{frame.right}" y1="{_at(y)}" y2="{_at(y)}"/>'
    below = 14 if y - _TOP < 16 else -5
    where = f'x="{_LEFT + 4}" y="{_at(y + below)}"'
    yield f'<text class="limited" {where}>{_text(name)}</text>'


def _marks(frame: _Frame) -> Iterator[str]:
    inside = [mark for mark in frame.plot.marks if frame.start <= mark.at <= frame.end]
    named: list[tuple[float, list[str]]] = []
    for mark in sorted((each for each in inside if not each.suspect), key=lambda each: each.at):
        x = frame.x(mark.at)
        kind = "onset" if mark.name.startswith("onset") else "mark"
        yield f'<line class="{kind}" x1="{_at(x)}" x2="{_at(x)}" y1="{_TOP - 6}" y2="{_BOTTOM}"/>'
        if named and x - named[-1][0] < _NEAR:
            named[-1][1].append(mark.name)
        else:
            named.append((x, [mark.name]))
    yield from _mark_names(named, frame.right)
    for mark in _suspects(frame.plot):
        place = f"{_at(frame.x(mark.at))} {_SUSPECTS - 9}"
        yield (
            f'<path class="suspect" d="M{place}l5 9h-10z"><title>{_text(mark.name)}</title></path>'
        )


def _mark_names(named: Sequence[tuple[float, list[str]]], right: int) -> Iterator[str]:
    """Names above the plot, in two rows where they would run into each other."""
    ends = [-math.inf, -math.inf]
    for x, names in named:
        text = _clean(", ".join(dict.fromkeys(names)), 40)
        half = len(text) * _CHARACTER / 2
        x = min(max(x, _LEFT + half - 40), right - half)
        row = next((row for row in (0, 1) if ends[row] < x - half - 6), 1)
        ends[row] = x + half
        y = _TOP - 12 - row * 16
        yield f'<text x="{_at(x)}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _path(frame: _Frame, number: int, line: Line) -> Iterator[str]:
    for piece in _pieces(line):
        places = [(_at(frame.x(at)), _at(frame.y(value))) for at, value in piece]
        if len(places) == 1:
            x, y = places[0]
            yield f'<circle class="d{number}" cx="{x}" cy="{y}" r="3"/>'
        else:
            path = "L".join(f"{x} {y}" for x, y in places)
            yield f'<path class="c{number}" d="M{path}"/>'


def _pieces(line: Line) -> Iterator[list[tuple[int, float]]]:
    """The parts of a line between its interruptions."""
    piece: list[tuple[int, float]] = []
    for at, value in line.points:
        if piece and (not math.isfinite(value) or at - piece[-1][0] > line.gap):
            yield piece
            piece = []
        if math.isfinite(value):
            piece.append((at, value))
    if piece:
        yield piece


def _legend(plot: Plot, lines: Sequence[Line], day_at: int) -> Iterator[str]:
    day = time_text(plot.start, "%Y-%m-%d")
    right = plot.width - _MARGIN
    yield f'<text class="quiet" x="{right}" y="{day_at}" text-anchor="end">{day} UTC</text>'
    room = int((right - _LEFT - 26) / _CHARACTER)
    y = _NAMES + 20
    for number, line in enumerate(lines):
        beside = len(f"  {day} UTC") if y == day_at else 0
        yield f'<path class="c{number}" d="M{_LEFT} {y - 4}h18"/>'
        name = _text(line.name, min(_LONGEST, room - beside))
        yield f'<text x="{_LEFT + 26}" y="{y}">{name}</text>'
        y += _ROW
    if suspects := _suspects(plot):
        yield f'<path class="suspect" d="M{_LEFT + 9} {y - 9}l5 9h-10z"/>'
        text = "; ".join(mark.name for mark in suspects)
        yield f'<text x="{_LEFT + 26}" y="{y}">{_text(text, plot.width // 8)}</text>'
        y += _ROW
    left = len(plot.lines) - len(lines)
    if left:
        yield f'<text class="quiet" x="{_LEFT + 26}" y="{y}">and {left} more</text>'


def _suspects(plot: Plot) -> list[Mark]:
    inside = [each for each in plot.marks if each.suspect and plot.start <= each.at <= plot.end]
    return sorted(inside, key=lambda mark: -mark.at)[:_MOST_SUSPECTS]


def _told(plot: Plot) -> str:
    """The plot in words."""
    said = [f"From {time_text(plot.start)} to {time_text(plot.end)} UTC."]
    for line in plot.lines[:COLOURS]:
        values = [value for _, value in line.points if math.isfinite(value)]
        odd = len(line.points) - len(values)
        text = "no values"
        if values:
            text = f"{number_text(min(values))} to {number_text(max(values))}, "
            text += f"{number_text(values[-1])} at the end"
        said.append(f"{_clean(line.name)}: {text}{f', {odd} that are no number' if odd else ''}.")
    if plot.threshold is not None:
        said.append(f"Threshold: {_clean(plot.threshold[1])}.")
    said += [
        f"{_clean(band.name)}: from {time_text(band.start)} to {time_text(band.end)}."
        for band in plot.bands
    ]
    said += [
        f"{time_text(mark.at, '%H:%M:%S')} {_clean(mark.name)}." for mark in _in_time(plot.marks)
    ]
    return " ".join(said)


def _in_time(marks: Sequence[Mark]) -> list[Mark]:
    return sorted(marks, key=lambda mark: mark.at)[:_MOST_SUSPECTS]


def _cut(line: Line) -> Line:
    return Line(line.name, line.points[-_MOST_POINTS:], line.gap)


def _bounded(value: float) -> float:
    """The value, of a size whose differences are numbers."""
    return min(max(value, -_LIMIT), _LIMIT)


def _at(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")


def _clean(text: str, longest: int = _LONGEST) -> str:
    """Text without what XML does not admit, on one line."""
    line = " ".join(_UNFIT.sub("\ufffd", text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _text(text: str, longest: int = _LONGEST) -> str:
    return escape(_clean(text, longest))
