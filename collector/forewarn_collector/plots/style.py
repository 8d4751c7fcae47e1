"""The colours and strokes of plots, for light and dark."""

from __future__ import annotations

import re

COLOURS = 8
"""How many lines have a colour of their own: classes `c0` (strokes) and `d0` (dots) to 7."""

_LIGHT = {
    "page": "#fff",
    "text": "#1a1a1a",
    "quiet": "#5f6368",
    "grid": "#d9dce0",
    "onset": "#b3261e",
    "limit": "#8a4b00",
}
_DARK = {
    "page": "#16181b",
    "text": "#e8e8e8",
    "quiet": "#a5a5a5",
    "grid": "#3a3f45",
    "onset": "#ff8a80",
    "limit": "#ffb07c",
}
_LIGHT_LINES = (
    "#0b57a4",
    "#2e7d32",
    "#7b1fa2",
    "#00707a",
    "#8a6d00",
    "#ad1457",
    "#455a64",
    "#a4400b",
)
_DARK_LINES = (
    "#8ab8ff",
    "#a5d6a7",
    "#d7a6f0",
    "#7fd6de",
    "#e6cf6a",
    "#f5a3c0",
    "#b0bec5",
    "#ffb07c",
)
_RULES = (
    "text{font:12px system-ui,sans-serif;fill:var(--text)}",
    ".quiet{fill:var(--quiet)}",
    ".title{font-weight:600;font-size:14px}",
    ".grid{stroke:var(--grid)}",
    ".mark{stroke:var(--quiet);stroke-dasharray:2 3}",
    ".onset{stroke:var(--onset);stroke-width:1.5}",
    ".limit{stroke:var(--limit);stroke-dasharray:7 4;stroke-width:1.5}",
    ".limited{fill:var(--limit);stroke:var(--page);stroke-width:3px;paint-order:stroke}",
    ".band{fill:var(--limit);fill-opacity:.1}",
    ".suspect{fill:var(--onset)}",
    ".page{fill:var(--page)}",
)


def _variables(colours: dict[str, str], lines: tuple[str, ...]) -> dict[str, str]:
    return {**colours, **{f"s{number}": colour for number, colour in enumerate(lines)}}


def _declared(variables: dict[str, str]) -> str:
    return "{" + ";".join(f"--{name}:{colour}" for name, colour in variables.items()) + "}"


_OF_LIGHT = _variables(_LIGHT, _LIGHT_LINES)
_OF_DARK = _variables(_DARK, _DARK_LINES)
_ALL_RULES = (
    *_RULES,
    *(
        f".c{n}{{stroke:var(--s{n});fill:none;stroke-width:2;stroke-linejoin:round}}"
        f".d{n}{{fill:var(--s{n})}}"
        for n in range(COLOURS)
    ),
)

STYLE = "\n".join(
    (
        f":root{_declared(_OF_LIGHT)}",
        f"@media (prefers-color-scheme:dark){{:root{_declared(_OF_DARK)}}}",
        *_ALL_RULES,
    )
)
"""The style of a plot that is a document of its own."""


def page_style() -> str:
    """The style of plots within pages, which say themselves whether they are light or dark.

    What they stand on is the page's `--surface`.
    """
    both = {name: f"light-dark({_OF_LIGHT[name]},{_OF_DARK[name]})" for name in _OF_LIGHT}
    both["page"] = "var(--surface)"
    rules = re.sub(r"(^|(?<=}))(?=[.a-z])", "svg.plot ", "\n".join(_ALL_RULES), flags=re.MULTILINE)
    return f"svg.plot{_declared(both)}\n{rules}\n"
