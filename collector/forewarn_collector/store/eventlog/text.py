"""What a person types to search events by text, as an expression of SQLite's FTS5.

    refused upstream          both words, in any order
    "connection refused"      a phrase; so is a word with punctuation, such as /var/log/app.log
    conn*                     words that begin so
    oom OR "out of memory"    either; AND binds closer, parentheses group
    error -healthcheck        not with that word; so is NOT healthcheck

Upper and lower case are one, and so are letters with and without accents. Nothing typed reaches
FTS5 but as quoted words, so that its own syntax (NEAR, columns, ^) has no meaning here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 1_000
"""Characters of a search."""
_MOST_WORDS = 64
_DEEPEST = 20

_TOKENS = re.compile(
    r"""\s*(?:
        (?P<minus>-(?=["(\w]))
      | "(?P<phrase>[^"]*)(?:"(?P<begins>\*)?|$)
      | (?P<bracket>[()])
      | (?P<bar>\|)
      | (?P<word>(?:[^\s"()|])+)
    )""",
    re.VERBOSE,
)


class TextQueryError(ValueError):
    """A search that means nothing; the text says how to write it."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a search as FTS5 reads it; a `negative` one says what must not be there."""

    text: str
    negative: bool = False


def fts_expression(search: str) -> str:
    """The expression for a search; "" where it asks for nothing. Raises TextQueryError."""
    if len(search) > LONGEST:
        raise TextQueryError(f"it has {len(search)} characters; {LONGEST} are the most")
    parser = _Parser(list(_tokens(search)))
    part = parser.alternatives(0)
    parser.end()
    if part is None:
        return ""
    if part.negative:
        raise TextQueryError("it only says what must not be there; add a word that must be")
    return part.text


def _tokens(search: str) -> Iterator[_Token]:
    words = 0
    # What ends a C string would end the expression too.
    for match in _TOKENS.finditer(search.replace("\0", " ")):
        kind = match.lastgroup
        if kind == "begins":
            yield _Token("phrase", f'"{match["phrase"]}"*')
        elif kind == "phrase":
            yield _Token("phrase", f'"{match["phrase"]}"')
        elif kind == "word":
            yield _word(match["word"])
        elif kind is not None:
            yield _Token(match[kind], "")
        words += kind in {"word", "phrase", "begins"}
        if words > _MOST_WORDS:
            raise TextQueryError(f"it has more than {_MOST_WORDS} words; use fewer")


def _word(word: str) -> _Token:
    if word in {"AND", "OR", "NOT"}:
        return _Token(word, "")
    stem = word.rstrip("*")
    return _Token("phrase", f'"{stem}"*' if stem != word else f'"{stem}"')


def _has_letters(phrase: str) -> bool:
    """Whether the index has anything of it: letters and digits, no punctuation."""
    return any(
        (category := unicodedata.category(letter))[0] in "LN" or category == "Co"
        for letter in phrase
    )


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    def end(self) -> None:
        """What is left over is a bracket too many."""
        if self._place < len(self._tokens):
            raise TextQueryError('there is a ")" without its "("; put it in double quotes')

    def alternatives(self, depth: int) -> _Part | None:
        """Parts joined by OR."""
        if depth > _DEEPEST:
            raise TextQueryError("its parentheses are nested too deep; use fewer")
        found = [self._all(depth)]
        while self._next("OR", "|"):
            found.append(self._all(depth))
        parts = [part for part in found if part is not None]
        if len(parts) > 1 and any(part.negative for part in parts):
            raise TextQueryError("a side of OR only says what must not be there; add a word to it")
        if len(parts) < 2:
            return parts[0] if parts else None
        return _Part(f"({' OR '.join(part.text for part in parts)})")

    def _all(self, depth: int) -> _Part | None:
        """Parts that must all hold: what must be there, then what must not."""
        wanted: list[str] = []
        unwanted: list[str] = []
        while True:
            self._next("AND")
            negative = False
            while self._next("NOT", "-"):
                negative = not negative
            if self._next("("):
                part = self.alternatives(depth + 1)
                if not self._next(")"):
                    raise TextQueryError('there is a "(" without its ")"')
            elif (token := self._peek()) is not None and token.kind == "phrase":
                self._place += 1
                part = _Part(token.text) if _has_letters(token.text) else None
            elif negative:
                raise TextQueryError("there is nothing after NOT; put the word NOT in quotes")
            else:
                break
            if part is not None:
                (unwanted if negative != part.negative else wanted).append(part.text)
        if not wanted and not unwanted:
            return None
        if not wanted:
            return _Part(f"({' OR '.join(unwanted)})", negative=True)
        text = f"({' AND '.join(wanted)})"
        return _Part(f"({text} NOT ({' OR '.join(unwanted)}))" if unwanted else text)

    def _peek(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _next(self, *kinds: str) -> bool:
        token = self._peek()
        if token is None or token.kind not in kinds:
            return False
        self._place += 1
        return True
