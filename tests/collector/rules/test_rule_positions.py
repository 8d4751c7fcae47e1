"""The place of a character of a YAML scalar, in every style that YAML has."""

from __future__ import annotations

import pytest
import yaml

from forewarn_collector.rules.positions import place_in_file

# Each file has one mark `@` in its scalar; where it stands in the file is what must be found.
FILES = {
    "plain": "expr: up == @ 0\n",
    "plain over lines": "expr: up\n  == 0\n\n  or @ down\n",
    "single quotes": "expr: 'it''s @ here'\n",
    "double quotes": 'expr: "a\\tb \\"c\\" \\u00e9\\x41 @ d"\n',
    "double quotes over lines": 'expr: "up \\\n   and\n   @ down"\n',
    "literal": "expr: |\n  up\n    == 0\n\n  or @ down\n",
    "literal with indentation": "expr: |2-\n    up\n   @\n",
    "folded": "expr: >-\n  up\n  == 0\n  or @ down\n",
    "anchor": "expr: &name !!str 'up @ '\n",
    "windows": "expr: |\r\n  up\r\n  @\r\n",
    "flow": "{a: 1, expr: up @}\n",
}


@pytest.mark.parametrize("source", FILES.values(), ids=FILES)
def test_the_mark_is_found(source: str) -> None:
    node = yaml.compose(source, Loader=yaml.CSafeLoader)
    (value,) = (value for key, value in node.value if key.value == "expr")
    line, column = value.start_mark.line + 1, value.start_mark.column + 1
    before = source[: source.index("@")]
    expected = before.count("\n") + 1, len(before) - before.rfind("\n")
    offset = value.value.index("@")
    assert place_in_file(source, line, column, value.value, offset) == expected


def test_an_offset_at_the_end_is_the_place_of_the_last_character() -> None:
    source = "expr: sum(up\n"
    assert place_in_file(source, 1, 7, "sum(up", 6) == (1, 12)
