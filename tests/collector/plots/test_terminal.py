"""Plots as text: what is drawn where, worked out by hand."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.plots import Line, Mark, Plot, terminal_lines
from support.alerts import T0

MINUTE = 60_000


def plot(*points: tuple[int, float], **more: object) -> Plot:
    settings = {"marks": (), "threshold": None, **more}
    return Plot("x", T0, T0 + 10 * MINUTE, [Line("disk", points, 5 * MINUTE)], **settings)  # type: ignore[arg-type]


def drawn(lines: list[str], height: int) -> list[str]:
    return [line.split("┤", 1)[1] for line in lines[:height]]


def test_a_line_that_rises_goes_from_the_lower_left_to_the_upper_right() -> None:
    lines = terminal_lines(plot((T0, 0.0), (T0 + 4 * MINUTE, 4.0), (T0 + 8 * MINUTE, 8.0)), 40, 4)
    rows = drawn(lines, 4)
    assert rows[3][0] != " "
    firsts = [len(row) - len(row.lstrip()) for row in rows]
    assert firsts == sorted(firsts, reverse=True)


def test_what_pauses_or_is_no_number_interrupts_the_line() -> None:
    whole = terminal_lines(plot((T0, 1.0), (T0 + 4 * MINUTE, 1.0)), 40, 4)
    for broken in (
        plot((T0, 1.0), (T0 + 2 * MINUTE, math.nan), (T0 + 4 * MINUTE, 1.0)),
        plot((T0, 1.0), (T0 + 6 * MINUTE, 1.0)),
    ):
        dots = sum(map(len, "".join(drawn(terminal_lines(broken, 40, 4), 4)).split()))
        assert dots == 2 < sum(map(len, "".join(drawn(whole, 4)).split()))


def test_marks_stand_below_their_moment_and_the_threshold_is_told() -> None:
    lines = terminal_lines(
        plot(
            (T0, 1.0),
            (T0 + MINUTE, 2.0),
            marks=(
                Mark(T0, "onset"),
                Mark(T0 + 10 * MINUTE, "opened"),
                Mark(T0, "x", suspect=True),
            ),
            threshold=(1.5, "> 1.5"),
        ),
        40,
        4,
    )
    onset = next(line for line in lines if "onset" in line)
    opened = next(line for line in lines if "opened" in line)
    edge = lines[0].index("┤")
    assert onset[edge + 1] == "▲"
    assert opened.endswith("opened ▲")
    assert len(opened) == 40
    assert lines[-2:] == ["disk: 1 to 2, 2 at the end", "dotted: > 1.5"]


def test_nothing_to_show_is_said() -> None:
    assert terminal_lines(plot((T0, math.nan))) == ["no values"]
    assert terminal_lines(Plot("x", T0, T0, [])) == ["no values"]


@given(
    st.lists(st.tuples(st.integers(0, 600_000), st.floats()), max_size=30),
    st.integers(1, 200),
    st.integers(1, 30),
)
def test_any_points_fit_into_any_width(
    points: list[tuple[int, float]], width: int, height: int
) -> None:
    shown = terminal_lines(plot(*((T0 + at, value) for at, value in sorted(points))), width, height)
    for line in shown[:height]:
        assert len(line) <= max(width, 40)
