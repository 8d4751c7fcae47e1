"""YAML documents: every value with its place, all problems at once, never an exception."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forewarn_wire import Problem, readers
from forewarn_wire.document import Section, read_document
from forewarn_wire.document_errors import not_text


def read(text: str) -> tuple[Section | None, list[Problem]]:
    problems: list[Problem] = []
    return read_document(text, "a.yml", problems), problems


def section(text: str) -> Section:
    found, problems = read(text)
    assert problems == []
    assert found is not None
    return found


def test_all_problems_come_at_once_each_with_its_place() -> None:
    found = section("interval: soon\nsources:\n  - name: 5\n    pots: x\nlisten: [1]\nlistn: x\n")
    assert found.take("interval", readers.duration, 7) == 7
    item = found.sections("sources")[0]
    assert item.require("name", readers.text, "?") == "?"
    item.take("ports", readers.texts, ())
    item.require("path", readers.text, "")
    item.refuse_unknown()
    found.take("listen", readers.text, "")
    found.refuse_unknown()
    assert [str(problem) for problem in found.problems] == [
        "a.yml:1:11: interval: not a duration: 'soon'; write it as 30s, 5m, 1h30m or 7d",
        "a.yml:3:11: name: expected text, found 5; put it in quotes",
        "a.yml:3:5: path is missing",
        "a.yml:4:5: unknown field pots (did you mean ports?)",
        "a.yml:5:9: listen: expected text, found [1]; put it in quotes",
        "a.yml:6:1: unknown field listn (did you mean listen?)",
    ]


def test_a_field_given_twice_is_a_problem_and_an_overridden_merge_key_is_none() -> None:
    found = read("a: 1\nb: 2\na: 3\n")[1]
    assert [str(item) for item in found] == ["a.yml:3:1: a is given twice (keep one of them)"]
    merged = section("base: &base {a: 1, b: 2}\nitem:\n  <<: *base\n  b: 3\n")
    item = merged.section("item")
    assert item is not None
    assert item.take("a", readers.number, 0.0) == 1.0
    assert item.take("b", readers.number, 0.0) == 3.0
    assert merged.problems == []


def test_an_empty_field_counts_as_absent() -> None:
    found = section("a:\nb: ~\nc: {}\nd: []\n")
    assert found.take("a", readers.text, "x") == "x"
    assert found.section("b") is None
    assert found.section("c") is not None
    assert found.sections("d") == []
    assert found.problems == []
    found.require("a", readers.text, "")
    assert [item.message for item in found.problems] == ["a is missing"]


@pytest.mark.parametrize("text", ["", "# only a comment", "''"])
def test_an_empty_document_is_none_without_a_problem(text: str) -> None:
    assert read(text) == (None, [])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("- a", (1, 1), "the file must be a mapping"),
        ("a: [", (2, 1), "not YAML"),
        ("a: b: c", (1, 5), "not YAML: mapping values are not allowed"),
        ("\ta: 1", (1, 1), "not YAML"),
        ("a: 1\n--- \nb: 2", (2, 1), "not YAML: a second document begins here"),
        ("a: *nowhere", (1, 4), "not YAML"),
        ("a: !!python/object:os.system x", (1, 4), "not YAML: could not determine a constructor"),
        ("a: 2026-13-45", (0, 0), "not YAML: month must be in 1..12"),
        ("a: !!bool x", (0, 0), "not YAML"),
        ("a: !!int ''", (0, 0), "not YAML"),
        ("a: !!timestamp x", (0, 0), "not YAML"),
        ("? [1, 2]\n: 3", (1, 3), "not YAML: found unhashable key"),
        ("a: 1\nb: \x00", (2, 4), "not YAML: a control character"),
        ("a: b\nc: 'd\ne", (2, 4), "not YAML: a quote opens here and is never closed"),
        ("a: b\nc:d\ne: f", (2, 1), "not YAML: could not find expected ':'"),
        ("a: " + "[" * 500 + "]" * 500, (1, 103), "not YAML: nested more than 100 deep"),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_a_place(
    text: str, place: tuple[int, int], message: str
) -> None:
    found, problems = read(text)
    assert found is None
    assert len(problems) == 1
    assert problems[0].message.startswith(message)
    assert (problems[0].line, problems[0].column) == place


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (readers.number, 5, 5.0),
        (readers.whole_number, 0, 0),
        (readers.boolean, False, False),
        (readers.duration, "1h30m", 5_400_000),
        (readers.duration, 0, 0),
        (readers.size, "64MiB", 67_108_864),
        (readers.size, "2 GB", 2_000_000_000),
        (readers.size, 17, 17),
        (readers.texts, "one", ("one",)),
        (readers.texts, ["a", "b"], ("a", "b")),
        (readers.text_mapping, {"a": "b"}, {"a": "b"}),
        (readers.one_of("a", "b"), "b", "b"),
    ],
)
def test_readers_take_what_they_name(reader: Any, value: Any, expected: Any) -> None:
    assert reader(value) == expected


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (readers.text, 5),
        (readers.number, True),
        (readers.number, "5"),
        (readers.whole_number, -1),
        (readers.whole_number, True),
        (readers.boolean, "yes"),
        (readers.duration, 30),
        (readers.duration, False),
        (readers.size, "64"[:0]),
        (readers.size, "MiB"),
        (readers.size, "5 miles"),
        (readers.size, -5),
        (readers.size, "²KB"),
        (readers.texts, [1]),
        (readers.text_mapping, {"a": 1}),
        (readers.text_mapping, ["a"]),
        (readers.one_of("a", "b"), "c"),
        (readers.one_of("a", "b"), ["a"]),
    ],
)
def test_readers_refuse_the_rest_by_value_error(reader: Any, value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are checked above
        reader(value)


READERS = (
    readers.text,
    readers.number,
    readers.whole_number,
    readers.boolean,
    readers.duration,
    readers.size,
    readers.texts,
    readers.text_mapping,
    readers.one_of("a", "b"),
)


def ask_everything(found: Section, depth: int = 0) -> None:
    for name in found.names():
        found.place(name)
        for reader in READERS:
            found.take(name, reader, None)
            found.require(name, reader, None)
        found.written(name)
        inner = found.section(name)
        for item in [*found.sections(name), *([inner] if inner else [])]:
            if depth < 3:
                ask_everything(item, depth + 1)
    found.take("absent", readers.text, "")
    found.refuse_unknown()


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
pieces = st.lists(
    st.sampled_from(
        ["a", "b", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "&x ", "*x", "<<: ", "!!", "!",
         "int ", "float ", "bool ", "timestamp ", "binary ", "set ", "omap ", "? ", "| ", "> ", "'",
         '"', "#", "1", ".", "~", "---", "%", "@", "\t", "0x", "1:30", "2026-13-01", "é", "="]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        pieces,
        st.dictionaries(st.text(max_size=4), yaml_values).map(yaml.dump),
    )
)
@example("a: &x [*x]")
@example("a: !!float ''")
def test_any_text_gives_a_section_or_problems(text: str) -> None:
    found, problems = read(text)
    if found is not None:
        ask_everything(found)
    for problem in problems:
        assert str(problem).startswith("a.yml")
        assert problem.message


def test_merge_keys_that_multiply_one_another_are_a_problem_and_take_no_time() -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 10)]
    problems: list[Problem] = []
    found = read_document("\n".join(lines), "bomb.yml", problems)
    if found is None:
        assert "a mapping of more than 10000 fields" in str(problems[0])
    else:
        # PyYAML takes each field once from 6.0.4 on, and nothing multiplies.
        assert sorted(found.section("a9").names()) == ["x", "y"]


def test_what_is_nested_beyond_all_use_is_one_problem() -> None:
    # From 6.0.4 on PyYAML may find it first.
    found, problems = read("a: " + "[" * 100_000 + "]" * 100_000)
    assert found is None
    assert len(problems) == 1
    assert "nest" in problems[0].message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1", "indent with blanks, not tabs"),
        ("a: {{ $value }} left", "a value that begins with {{ needs quotes around it"),
        ("a: {{ $value }}", "a value that begins with {{ needs quotes around it"),
        ("a: warning: {{ $value }}", "quote a value that holds ': ', or else"),
        ("a: b\nc:d", "write 'name: value', with a blank behind the colon"),
        ("a: 'b", "close it"),
        ("a: *b", "quote a value that begins with *"),
        ("a: @b", "quote a value that begins with @"),
        ("a:\n  - b\n  c: d", "what belongs together begins in the same column"),
        ("a: 1\n---\nb: 2", "keep one a file, without ---"),
        ("a: [", "check indentation and quotes here"),
    ],
)
def test_what_is_no_yaml_comes_with_a_remedy(text: str, hint: str) -> None:
    _, (problem,) = read(text)
    assert problem.hint.startswith(hint), problem


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: b\nc: h\xe4t\n", "f.yml:2:5: not UTF-8: invalid continuation byte 0xe4 (save it as"),
        ("a: b".encode("utf-16"), "f.yml:1:1: not UTF-8 but UTF-16 (save it as UTF-8)"),
        (b"\x1f\x8b\x08\x00\x00\xff", "f.yml:1:1: not text but a binary file (give a YAML file)"),
    ],
)
def test_what_is_no_text_is_a_problem_with_a_place(data: bytes, expected: str) -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        data.decode("utf-8")
    assert str(not_text(caught.value, "f.yml")).startswith(expected)
