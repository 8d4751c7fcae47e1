"""What a person types is found as they mean it, and nothing they type is an SQL error."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.store.eventlog.schema import TEXT_TABLE
from forewarn_collector.store.eventlog.text import TextQueryError, fts_expression

LINES = (
    "connect() failed (111: Connection refused) while connecting to upstream http://127.0.0.1:8011/",
    "Out of memory: Killed process 4711 (java) total-vm:8123kB",
    "GET /api/v2/orders/42 HTTP/1.1 in /var/log/shop/app.log, request_id=3f9a-77c0",
    "Verbindung zurückgewiesen: Größe überschritten",
    "upgrade to v1.2.3-rc1 done; error NOT found",
)


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(TEXT_TABLE)
    connection.executemany(
        "INSERT INTO event_text (rowid, text) VALUES (?, ?)", list(enumerate(LINES))
    )
    yield connection
    connection.close()


def found(index: sqlite3.Connection, search: str) -> set[int]:
    rows = index.execute(
        "SELECT rowid FROM event_text WHERE event_text MATCH ?", (fts_expression(search),)
    )
    return {row[0] for row in rows}


@pytest.mark.parametrize(
    ("search", "lines"),
    [
        ("refused", {0}),
        ("REFUSED upstream", {0}),
        ("refused memory", set()),
        ("refused AND upstream", {0}),
        ('"connection refused"', {0}),
        ('"refused connection"', set()),
        ("refused OR memory", {0, 1}),
        ("refused | memory", {0, 1}),
        ("(refused OR memory) java", {1}),
        ("refused OR memory java", {0, 1}),
        ("conn*", {0}),
        ('"connection ref"*', {0}),
        ("127.0.0.1", {0}),
        ("127.0.0.2", set()),
        ("/var/log/shop/app.log", {2}),
        ("app.log", {2}),
        ("log.app", set()),
        ("request_id=3f9a-77c0", {2}),
        ("3f9a", {2}),
        ("v1.2.3-rc1", {4}),
        ("v1.2", {4}),
        ("v2 -orders", set()),
        ("v2 NOT missing", {2}),
        ("process -(refused OR java)", set()),
        ('"NOT found"', {4}),
        ("grosse", set()),
        ("große", {3}),
        ("uberschritten", {3}),
        ("--> refused !!", {0}),
        ("total-vm:", {1}),
        ("NEAR(connect refused)", set()),
        ("text:refused", set()),
        ("error ^ found", {4}),
        ('unclosed "memory: killed', set()),
        ('"memory: killed', {1}),
    ],
)
def test_searches_find_these_lines(index: sqlite3.Connection, search: str, lines: set[int]) -> None:
    assert found(index, search) == lines


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        ("-healthcheck", "add a word that must be"),
        ("NOT a", "add a word that must be"),
        ("a OR -b", "add a word to it"),
        ("(a", 'a "\\(" without'),
        ("a)", 'a "\\)" without'),
        ("a NOT", "nothing after NOT"),
        ("x" * 1001, "1001 characters"),
        ("a " * 65, "more than 64 words"),
        ("(" * 30 + "a" + ")" * 30, "nested too deep"),
    ],
)
def test_a_search_that_means_nothing_is_refused_with_a_remedy(search: str, reason: str) -> None:
    with pytest.raises(TextQueryError, match=reason):
        fts_expression(search)


@pytest.mark.parametrize("search", ["", "   ", "!!", '""', "()", "-> ..", "\0", "* **"])
def test_a_search_without_words_asks_for_nothing(search: str) -> None:
    assert fts_expression(search) == ""


NASTY = st.text(st.sampled_from(list("ab1 \"()*-|^:+{}\\\0';,.é\U0001f600\u0300")), max_size=40)
WORDY = st.lists(
    st.sampled_from(["AND", "OR", "NOT", "NEAR(", ")", "(", '"', "*", "-", "a", "text:", "{text}"]),
    max_size=12,
).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(NASTY, WORDY, st.text(max_size=60)))
def test_whatever_is_typed_is_a_search_or_refused(index: sqlite3.Connection, search: str) -> None:
    try:
        expression = fts_expression(search)
    except TextQueryError:
        return
    if expression:
        index.execute(
            "SELECT rowid FROM event_text WHERE event_text MATCH ?", (expression,)
        ).fetchall()


WORDS = ("alpha", "beta", "gamma", "delta", "alp", "x1")
QUERY = st.recursive(
    st.sampled_from(WORDS).map(lambda word: (word, lambda words: word in words)),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]} OR {p[1][0]})", lambda w: p[0][1](w) or p[1][1](w))
        ),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]} {p[1][0]})", lambda w: p[0][1](w) and p[1][1](w))
        ),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]} -{p[1][0]})", lambda w: p[0][1](w) and not p[1][1](w))
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(QUERY, st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), max_size=8))
def test_a_search_finds_what_a_naive_scan_finds(
    query: tuple[str, object], lines: list[str]
) -> None:
    search, meets = query
    assert callable(meets)
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(TEXT_TABLE)
        connection.executemany(
            "INSERT INTO event_text (rowid, text) VALUES (?, ?)", list(enumerate(lines))
        )
        expected = {
            place for place, line in enumerate(lines) if meets(set(re.findall(r"\w+", line)))
        }
        assert found(connection, search) == expected
    finally:
        connection.close()
