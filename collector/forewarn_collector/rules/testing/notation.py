"""The notation of test files: a series by its name and labels, and its values one after another.

Source: prometheus/prometheus `promql/parser` (series descriptions) and the guide
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql import PromQLError, Selector
from forewarn_collector.promql.parse import parse
from forewarn_collector.store import Floats, Ints, Matcher, MatchOp
from forewarn_wire import STALE_NAN, Labels, labels_from
from forewarn_wire.labels import METRIC_NAME

MOST_VALUES = 10_000_000
"""How many values one series may have: a slip of the pen must not take all memory."""

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RUN = re.compile(rf"(?P<first>[+-]?{_NUMBER})(?P<rise>[+-]{_NUMBER})?x(?P<times>[0-9]+)")
_SINGLE = re.compile(rf"[+-]?(?:{_NUMBER}|(?i:inf|nan))")
_GAP = re.compile(r"_(?:x(?P<times>[0-9]+))?")
_SERIES = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(\{.*\})?\s*", re.DOTALL)

_ANCHOR = '{__forewarn_anchor__="x",'
"""Stands for `{`, so that PromQL's own reader takes labels without a metric's name."""


class NotationError(ValueError):
    """What is wrong in a notation, with the remedy; `offset` is the character where it stands."""

    def __init__(self, message: str, hint: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset


def read_series(text: str) -> Labels:
    """The label set of `name{label="value"}`; either part may be left out. Raises NotationError."""
    hint = 'write it as name{label="value"}'
    match = _SERIES.fullmatch(text)
    if match is None:
        raise NotationError(f"not a series: {text}", hint)
    name, braces = match.groups()
    pairs = {METRIC_NAME: name} if name else {}
    for matcher in _matchers(braces, match.start(2)) if braces else ():
        if matcher.op is not MatchOp.EQUAL:
            what = f"{matcher.name} {matcher.op} is a selection, not a label of a series"
            raise NotationError(what, hint, match.start(2))
        if matcher.name in pairs:
            raise NotationError(f"{matcher.name} is given twice", "keep one", match.start(2))
        pairs[matcher.name] = matcher.value
    return labels_from(pairs)


def _matchers(braces: str, start: int) -> Sequence[Matcher]:
    try:
        selector = parse(_ANCHOR + braces[1:])
    except PromQLError as error:
        offset = start
        if error.position is not None and error.position[0] == 1:
            offset += max(0, error.position[1] - len(_ANCHOR))
        raise NotationError(error.message, 'write it as name{label="value"}', offset) from None
    if not isinstance(selector, Selector) or selector.offset or selector.at is not None:
        raise NotationError("not a series", 'write it as name{label="value"}', start)
    return selector.matchers[1:]


def read_values(text: str) -> tuple[Ints, Floats]:
    """The values of a series: at which of its steps there is one, and which. Raises NotationError.

    `a` is a value, `axN` the same N times more, `a+bxN` N more that each rise by b (`a-bxN`: fall),
    `_` a step without a sample, `_xN` N of them, `stale` the end of the series.
    """
    steps: list[Ints] = []
    values: list[Floats] = []
    step = 0
    for word in re.finditer(r"\S+", text):
        found = _read_word(word[0], word.start())
        if step + len(found) > MOST_VALUES:
            what = f"more than {MOST_VALUES} values"
            raise NotationError(what, "repeat less often", word.start())
        there = _present(word[0], len(found))
        steps.append(np.arange(step, step + len(found), dtype=np.int64)[there])
        values.append(found[there])
        step += len(found)
    if not steps:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.concatenate(steps), np.concatenate(values)


def _present(word: str, count: int) -> NDArray[np.bool_]:
    return np.full(count, not word.startswith("_"))


def _read_word(word: str, offset: int) -> Floats:
    """The values of one word; of a gap, how long it is."""
    if word == "stale":
        return np.array([STALE_NAN])
    if _SINGLE.fullmatch(word):
        return np.array([float(word)])
    if gap := _GAP.fullmatch(word):
        return np.zeros(_count(gap["times"] or "1", offset))
    if run := _RUN.fullmatch(word):
        terms = np.full(_count(run["times"], offset) + 1, float(run["rise"] or 0))
        terms[0] = float(run["first"])
        # Added up one by one, as promtool does, so that rounding is the same.
        with np.errstate(all="ignore"):
            return np.cumsum(terms)
    if "{{" in word or "}}" in word:
        what = "native histograms are not supported"
        hint = "forewarn stores floats; write the classic series name_bucket{le=...} instead"
        raise NotationError(what, hint, offset)
    hint = "write 1, 1x5, 0+10x5, 100-10x5, _, _x5 or stale, with spaces in between"
    raise NotationError(f"not a value: {word}", hint, offset)


def _count(text: str, offset: int) -> int:
    count = int(text) if len(text) < 10 else MOST_VALUES + 1
    if count > MOST_VALUES:
        raise NotationError(f"more than {MOST_VALUES} values", "repeat less often", offset)
    return count


def same_float(one: float, other: float, *, fuzzy: bool) -> bool:
    """Whether two values are the same; `fuzzy` lets them be neighbours. NaN is NaN."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    return fuzzy and other in {math.nextafter(one, -math.inf), math.nextafter(one, math.inf)}
