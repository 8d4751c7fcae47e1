"""Plots are well-formed, tell what they show in words, and show nothing that was smuggled in."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.plots import Band, Line, Mark, Plot, page_style, render, render_inline

T0 = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
SVG = "{http://www.w3.org/2000/svg}"
NAN = float("nan")


def plot(*points: tuple[int, float], **more: object) -> Plot:
    """Ten minutes from T0; points in minutes."""
    line = Line("x", [(T0 + at * MINUTE, value) for at, value in points], 2 * MINUTE)
    fields = {"title": "t", "start": T0, "end": T0 + 10 * MINUTE, "lines": [line], **more}
    return Plot(**fields)  # type: ignore[arg-type]


def drawn(made: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(render(made))


def paths(made: Plot) -> list[str]:
    """What is drawn of the first line: its pieces, without its sample in the legend."""
    return [e.get("d", "") for e in drawn(made).iter(f"{SVG}path") if e.get("class") == "c0"][:-1]


def test_a_line_goes_from_the_left_to_the_right_and_from_below_to_the_top() -> None:
    # The frame is from x 64 to 744 and y 280 to 72. The values 0 to 100 have 6 % of room above:
    # 100 of 106 is 196.2 of 208 units, so y is 280 - 196.2 = 83.8.
    whole = Plot("t", T0, T0 + 2 * MINUTE, [Line("x", [(T0, 0.0), (T0 + 2 * MINUTE, 100.0)], 9**9)])
    assert paths(whole) == ["M64 280L744 83.8"]


def test_a_time_at_the_right_edge_is_whole() -> None:
    # T0 is 22:13:20, so 22:14:00 is at the end: at 744 of 760, and 51 wide.
    made = plot((0, 1.0), end=T0 + 40_000)
    assert "22:14:00" in render(made)
    for text in drawn(made).iter(f"{SVG}text"):
        if text.get("text-anchor") == "middle":
            assert float(text.get("x", "")) + len(text.text or "") * 6.4 / 2 <= 760


def test_a_pause_or_no_number_interrupts_a_line() -> None:
    points = [(0, 1.0), (1, 1.0), (5, 1.0), (6, 1.0), (7, NAN), (8, 1.0), (9, math.inf), (10, 1.0)]
    made = plot(*points)
    assert len(paths(made)) == 2
    dots = [e.get("cx") for e in drawn(made).iter(f"{SVG}circle")]
    # The minutes 8 and 10 of ten: 64 + 680 * 0.8.
    assert dots == ["608", "744"]
    described = drawn(made).findtext(f"{SVG}desc")
    assert described is not None
    assert "x: 1 to 1, 1 at the end, 2 that are no number." in described


@pytest.mark.parametrize(
    "points", [[], [(5, 1.0)], [(5, NAN)], [(0, 1e308), (9, -1e308)], [(0, 5e-324), (9, 0.0)]]
)
def test_next_to_nothing_and_the_utmost_are_plotted(points: list[tuple[int, float]]) -> None:
    text = render(plot(*points, threshold=(math.inf, "> +Inf")))
    assert "nan" not in text
    assert "inf" not in re.sub("<desc.*?</desc>", "", text)


def test_of_a_great_many_series_a_few_are_shown_and_the_rest_counted() -> None:
    lines = [Line(f"s{n}", [(T0 + k, float(n)) for k in range(9_000)], 9) for n in range(500)]
    text = render(Plot("t", T0, T0 + 9_000, lines))
    assert "and 492 more" in text
    assert len(text) < 400_000
    assert text.count('class="c7"') == 2


def test_marks_that_are_close_share_a_name_and_suspects_are_told_nearest_first() -> None:
    marks = [
        Mark(T0 + 6 * MINUTE, "onset"),
        Mark(T0 + 6 * MINUTE + 500, "detected"),
        Mark(T0 + 9 * MINUTE, "fired"),
        Mark(T0 + 2 * MINUTE, "far", suspect=True),
        Mark(T0 + 5 * MINUTE, "near", suspect=True),
        Mark(T0 - MINUTE, "outside", suspect=True),
    ]
    texts = [e.text for e in drawn(plot((0, 1.0), marks=marks)).iter(f"{SVG}text")]
    assert "onset, detected" in texts
    assert "fired" in texts
    assert "near; far" in texts


def test_a_plot_can_be_heard() -> None:
    marks = [Mark(T0 + 5 * MINUTE, "onset")]
    made = plot((0, 1.0), (1, 3.0), (2, 2.0), marks=marks, threshold=(2.5, "> 2.5 for 5m"))
    picture = drawn(made)
    assert picture.get("role") == "img"
    assert picture.findtext(f"{SVG}title") == "t"
    assert picture.findtext(f"{SVG}desc") == (
        "From 2023-11-14 22:13:20 to 2023-11-14 22:23:20 UTC. x: 1 to 3, 2 at the end. "
        "Threshold: > 2.5 for 5m. 22:18:20 onset."
    )


def test_it_has_colours_for_light_and_for_dark() -> None:
    text = render(plot((0, 1.0)))
    assert "prefers-color-scheme:dark" in text
    used = set(re.findall(r"var\((--\w+)\)", text))
    for scheme in re.findall(r":root\{[^}]*\}", text):
        assert used <= set(re.findall(r"(--\w+):", scheme))


HOSTILE = [
    "</text><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "</style><style>*{display:none}",
    "\x00\x1b[2J\ud800\ufffe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_text_and_nothing_else(text: str) -> None:
    marks = [Mark(T0, text), Mark(T0 + MINUTE, text, suspect=True)]
    lines = [Line(text, [(T0, 1.0), (T0 + 1, 2.0)], 9)]
    picture = drawn(Plot(text, T0, T0 + 5 * MINUTE, lines, marks, (1.5, text)))
    allowed = {"svg", "title", "desc", "style", "rect", "text", "line", "path", "circle"}
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= allowed
    names = {name for element in picture.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name}


def inline(made: Plot) -> ElementTree.Element:
    """An inline plot, as an element of a page that says what `svg` means."""
    text = render_inline(made, "cpu")
    return ElementTree.fromstring(text.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_plot_within_a_page_has_no_style_and_no_script_either(text: str) -> None:
    marks = [Mark(T0, text), Mark(T0 + MINUTE, text, suspect=True)]
    lines = [Line(text, [(T0, 1.0), (T0 + 1, 2.0)], 9)]
    bands = [Band(T0, T0 + MINUTE, text)]
    picture = inline(Plot(text, T0, T0 + 5 * MINUTE, lines, marks, (1.5, text), bands))
    allowed = {"svg", "title", "desc", "rect", "text", "line", "path", "circle", "g"}
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= allowed
    names = {name for element in picture.iter() for name in element.attrib}
    assert not {name for name in names if name == "style" or name.startswith("on")}
    assert not {name for name in names if "href" in name}


def test_a_plot_within_a_page_bears_the_values_that_it_shows() -> None:
    points = [(T0, 1.0), (T0 + MINUTE, math.nan), (T0 + 2 * MINUTE, 1536.0)]
    picture = inline(Plot("memory", T0, T0 + 4 * MINUTE, [Line('a "b"', points, HOUR)]))
    (values,) = (each for each in picture.iter(f"{SVG}g") if each.get("class") == "values d0")
    assert values.attrib["data-name"] == 'a "b"'
    assert values.attrib["data-times"] == f"0 {2 * MINUTE}"
    assert values.attrib["data-values"] == "1 1.536k"
    assert len(values.attrib["data-heights"].split()) == 2
    assert picture.attrib["data-start"] == str(T0)
    ids = {element.attrib["id"] for element in picture.iter() if "id" in element.attrib}
    assert ids == {"cpu-title", "cpu-desc"} == set(picture.attrib["aria-labelledby"].split())


def test_a_band_is_shown_and_told_where_it_is_within_the_plot() -> None:
    band = Band(T0 + MINUTE, T0 + 3 * MINUTE, "must hold for 2m")
    line = Line("x", [(T0, 1.0), (T0 + 4 * MINUTE, 2.0)], HOUR)
    made = Plot("p", T0, T0 + 4 * MINUTE, [line], bands=[band])
    picture = drawn(made)
    (shown,) = (each for each in picture.iter(f"{SVG}rect") if each.get("class") == "band")
    # From a quarter to three quarters of the 680 units between the axis and the right edge.
    assert (float(shown.attrib["x"]), float(shown.attrib["width"])) == (64 + 170, 340)
    told = picture.find(f"{SVG}desc")
    assert told is not None
    assert "must hold for 2m: from 2023-11-14 22:14:20 to 2023-11-14 22:16:20." in (told.text or "")
    outside = replace(made, bands=[Band(T0 + 5 * MINUTE, T0 + 6 * MINUTE, "later")])
    assert not [each for each in drawn(outside).iter(f"{SVG}rect") if each.get("class") == "band"]


def test_the_style_of_pages_knows_each_class_and_colour_and_touches_nothing_else() -> None:
    style = page_style()
    assert set(re.findall(r"var\(--(\w+)\)", style)) - {"surface"} <= set(
        re.findall(r"--(\w+):", style)
    )
    selectors = re.findall(r"(?:^|\})([^{}\n]+)\{", style, re.MULTILINE)
    assert len(selectors) > 20
    assert all(each.startswith("svg.plot") for each in selectors), selectors


@given(
    st.text(),
    st.lists(st.tuples(st.integers(0, 2**50), st.floats()), max_size=20),
    st.integers(0, 2**50),
    st.floats(),
)
def test_anything_makes_a_picture(
    text: str, points: list[tuple[int, float]], start: int, limit: float
) -> None:
    line = Line(text, sorted(points), 1_000)
    drawn(Plot(text, start, start + 1_000_000, [line], [Mark(start, text)], (limit, text)))


def test_a_known_plot_is_as_it_was_looked_at() -> None:
    made = Plot(
        title="FW-17: web-1 answers with errors",
        start=T0,
        end=T0 + 10 * MINUTE,
        lines=[Line("errors", [(T0 + k * MINUTE, float(k * k)) for k in range(11)], 2 * MINUTE)],
        marks=[Mark(T0 + 8 * MINUTE, "onset"), Mark(T0 + 6 * MINUTE, "deploy", suspect=True)],
        threshold=(60.0, "> 60"),
    )
    assert render(made) == Path(__file__).with_name("known_plot.svg").read_text("utf-8")
