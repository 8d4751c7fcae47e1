"""A plot as lines of text for a terminal: dots of braille, two by four to a character."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from forewarn_collector.plots.model import Line, Plot
from forewarn_collector.plots.ticks import number_text, time_ticks, value_range, value_ticks

_EMPTY = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The dot of each row (0 to 3, from above) and column of a braille character."""
_LINES = 8
_LIMIT = 1e300


def terminal_lines(plot: Plot, width: int = 72, height: int = 8) -> list[str]:
    """The plot in so many columns and rows, with an axis to the left, one below, and its marks."""
    lines = [line for line in plot.lines[:_LINES] if any(math.isfinite(v) for _, v in line.points)]
    if not lines:
        return ["no values"]
    low, high = _range(plot, lines)
    names = {
        round((high - value) / (high - low) * (height * 4 - 1)) // 4: name
        for value, name in value_ticks(low, high, most=max(2, height // 2))
    }
    margin = max(map(len, names.values()))
    columns = max(10, width - margin - 2)
    canvas = _Canvas(plot, columns, height, low, high)
    for line in lines:
        canvas.draw(line)
    if plot.threshold is not None and math.isfinite(plot.threshold[0]):
        canvas.rule(plot.threshold[0])
    marks = _under(plot, columns, lambda at: canvas.column(at) // 2)
    return [
        *(f"{names.get(row, ''):>{margin}} ┤{text}" for row, text in enumerate(canvas.rows())),
        f"{'':>{margin}} └{_times(plot, columns)}",
        *(f"{'':>{margin}}  {text}" for text in marks),
        *_legend(plot, lines),
    ]


class _Canvas:
    """The dots: `columns` × 2 by `height` × 4."""

    def __init__(self, plot: Plot, columns: int, height: int, low: float, high: float) -> None:
        self._plot = plot
        self._low, self._high = low, high
        self._cells = [[0] * columns for _ in range(height)]
        self._width, self._height = columns * 2, height * 4

    def column(self, at: int) -> int:
        """The column of dots of a time (ms)."""
        share = (at - self._plot.start) / max(1, self._plot.end - self._plot.start)
        return min(self._width - 1, max(0, round(share * (self._width - 1))))

    def draw(self, line: Line) -> None:
        """A line, interrupted where its values are."""
        before: tuple[int, int, int] | None = None
        for at, value in line.points:
            if not math.isfinite(value):
                before = None
                continue
            x, y = self.column(at), self._row(value)
            if before is not None and at - before[0] <= line.gap:
                self._join(before[1:], (x, y))
            self._set(x, y)
            before = (at, x, y)

    def rule(self, value: float) -> None:
        """A dotted line at a value."""
        for x in range(0, self._width, 4):
            self._set(x, self._row(value))

    def rows(self) -> Iterator[str]:
        """The text of each row."""
        for cells in self._cells:
            yield "".join(chr(_EMPTY + cell) if cell else " " for cell in cells)

    def _row(self, value: float) -> int:
        value = min(max(value, -_LIMIT), _LIMIT)
        share = (self._high - value) / (self._high - self._low)
        return min(self._height - 1, max(0, round(share * (self._height - 1))))

    def _join(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        for step in range(1, steps):
            x = start[0] + (end[0] - start[0]) * step / steps
            y = start[1] + (end[1] - start[1]) * step / steps
            self._set(round(x), round(y))

    def _set(self, x: int, y: int) -> None:
        self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]


def _range(plot: Plot, lines: Sequence[Line]) -> tuple[float, float]:
    values = [value for line in lines for _, value in line.points if math.isfinite(value)]
    if plot.threshold is not None and math.isfinite(plot.threshold[0]):
        values.append(plot.threshold[0])
    return value_range([min(max(value, -_LIMIT), _LIMIT) for value in values])


def _times(plot: Plot, columns: int) -> str:
    """The axis below: each time where it is, as far as there is room."""
    axis = ["─"] * columns
    for at, name in time_ticks(plot.start, plot.end, most=max(2, columns // 12)):
        start = round((at - plot.start) / max(1, plot.end - plot.start) * (columns - 1))
        if start + len(name) <= columns:
            axis[start : start + len(name)] = name
    return "".join(axis)


def _under(plot: Plot, columns: int, place: Callable[[int], int]) -> Iterator[str]:
    """The marks across the plot, one line each: an arrow below its moment, and its name."""
    for mark in sorted(plot.marks, key=lambda mark: mark.at):
        if not mark.suspect and plot.start <= mark.at <= plot.end:
            at = place(mark.at)
            after = at + 2 + len(mark.name) <= columns or at < columns // 2
            text = f"{' ' * at}▲ {mark.name}" if after else f"{mark.name} ▲".rjust(at + 1)
            yield text


def _legend(plot: Plot, lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        values = [value for _, value in line.points if math.isfinite(value)]
        low, high, last = (number_text(each) for each in (min(values), max(values), values[-1]))
        yield f"{line.name}: {low} to {high}, {last} at the end"
    if plot.threshold is not None:
        yield f"dotted: {plot.threshold[1]}"
