"""Random PromQL, built by type: every operator, aggregation and function of Prometheus 2.42.

Every time in a question is a whole second, and no left edge of a range or look-back falls on
a sample or on a step of a subquery (see `series`): steps of subqueries are multiples of 5 s,
their ranges lie 1 s beside one, and the question's own times 2 s beside one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from differential.language import (
    ARITHMETIC,
    COMPARISONS,
    NATIVE,
    OF_DATES,
    OF_RANGE,
    OF_VALUES,
    OTHERS,
    SETS,
    SIMPLE_AGGREGATIONS,
)
from differential.question import Question
from differential.series import COUNTERS, GAUGES, HISTOGRAM, INFO, METRICS, SPAN

T = TypeVar("T")

_LABELS = ("instance", "job", "mode")
_NUMBERS = (
    "1",
    "0",
    "2",
    "0.5",
    "-1",
    "10",
    "100",
    "3",
    "1e3",
    "NaN",
    "Inf",
    "-Inf",
    "0x1F",
    ".25",
)
_RANGES = ("5m", "1m", "2m", "90s", "10m", "30m", "1m35s")
_SUBQUERY_RANGES = ("301s", "121s", "10m1s", "91s")
_SUBQUERY_STEPS = ("30s", "1m", "15s", "75s", "")
_OFFSETS = ("1m", "30s", "5m", "-1m", "-30s", "10m", "-5m")


@cache
def _one_of(options: Sequence[T]) -> SearchStrategy[T]:
    return st.sampled_from(options)


_percents = st.integers(0, 99)
_instants = st.integers(60, (SPAN + 100) // 5).map(lambda fives: fives * 5 + 2)
_depths = st.sampled_from((1, 2, 2, 3, 3, 4))


@st.composite
def questions(draw: DrawFn) -> Question:
    """An expression with its times."""
    writer = _Writer(draw)
    depth = draw(_depths)
    start = draw(_instants)
    if writer.chance(50):
        return Question(writer.anything(depth), start, start, 0)
    step = writer.pick((30, 75, 15, 300, 60))
    end = start + step * writer.pick((4, 1, 10, 0, 19)) + writer.pick((0, 0, 7))
    return Question(writer.scalar(depth) if writer.chance(7) else writer.vector_on_top(depth),
                    start, end, step)  # fmt: skip


class _Writer:
    """Writes expressions; what is drawn low is the simpler choice, to which Hypothesis shrinks."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw
        self._at = True

    def pick(self, options: Sequence[T]) -> T:
        picked: T = self._draw(_one_of(options))
        return picked

    def chance(self, percent: int) -> bool:
        return self._draw(_percents) >= 100 - percent

    def anything(self, depth: int) -> str:
        if self.chance(88):
            return self.vector_on_top(depth)
        kind = self.pick(("scalar", "matrix", "matrix", "string"))
        if kind == "string":
            return self.pick(('"text"', "'it\\'s'", "`raw`", '"\\u00e9\\n"'))
        return self.scalar(depth) if kind == "scalar" else self.matrix(depth)

    def vector_on_top(self, depth: int) -> str:
        """Only here topk and bottomk show which series they chose (see `ranked`)."""
        return self.ranked(depth) if self.chance(5) else self.vector(depth)

    # Vectors

    def vector(self, depth: int) -> str:
        if depth <= 0:
            return self.selector()
        match self.pick(("call", "aggregation", "binary", "call", "aggregation", "binary", "sign")):
            case "call":
                return self.call(depth)
            case "aggregation":
                return self.aggregation(depth)
            case "binary":
                return self.binary(depth)
        sign = self.pick(("-", "+"))
        return f"{sign}{self.operand(depth - 1)}"

    def selector(self, metrics: Sequence[str] = METRICS) -> str:
        if self.chance(6):
            text = self.two_metrics()
        else:
            name = self.pick(GAUGES if metrics is METRICS and self.chance(30) else metrics)
            text = f"{name}{self.matchers()}"
        return text + self.modifiers()

    def two_metrics(self) -> str:
        return f'{{__name__=~"{self.pick(METRICS)}|{self.pick(METRICS)}"}}'

    def matchers(self) -> str:
        if not self.chance(16):
            return ""
        matchers = [
            self.pick(
                (
                    'instance="a"', 'instance!="b"', 'instance=~"a|b"', 'instance!~"[cd]"',
                    'instance=~".+"', 'job="api"', 'job=~"a.*|"', 'job!~"d.+"', 'mode=""',
                    'mode!=""', 'mode=~"us.r"', 'missing=""', 'missing!=""', 'instance=~".*"',
                )
            )
            for _ in range(self.pick((1, 1, 2)))
        ]  # fmt: skip
        return "{" + ",".join(matchers) + "}"

    def modifiers(self, at: bool = True) -> str:
        parts = []
        if self.chance(12):
            parts.append(f" offset {self.pick(_OFFSETS)}")
        if at and self._at and self.chance(8):
            time = self.pick(("end()", "start()", "T+900", "T+305", "T+1500"))
            parts.insert(self.pick((0, len(parts))), f" @ {time}")
        return "".join(parts)

    def finite(self, depth: int, below: str = "1e10") -> str:
        """Values that are neither NaN nor huge."""
        return f"-{below} < ({self.vector(depth)}) < {below}"

    def deviating(self, depth: int) -> str:
        """Arguments of `stddev` and `stdvar`.

        Of a group that begins with NaN or an infinity, Prometheus 2 gives 0; and of times since
        epoch that are near each other, it leaves little but rounding.
        """
        return self.finite(depth, "1e6")

    @contextmanager
    def without_at(self) -> Iterator[None]:
        """Where `@` does not hold in Prometheus 2: in a parameter, and beside one that moves."""
        before, self._at = self._at, False
        yield
        self._at = before

    def operand(self, depth: int) -> str:
        """A vector as an operand, mostly in brackets where it needs them."""
        text = self.vector(depth)
        return text if depth <= 0 or self.chance(25) else f"({text})"

    def call(self, depth: int) -> str:
        below = depth - 1
        if self.chance(3):
            bounds = f"0, {self.pick(_NUMBERS)}, "
            function = self.pick(NATIVE)
            # The fraction is of native histograms only, until Prometheus 3.
            return f"{function}({bounds * (function == NATIVE[2])}{self.pick(GAUGES)})"
        function = self.pick(self.pick((OF_RANGE, OF_VALUES, OTHERS, OF_RANGE, OTHERS, OF_DATES)))
        if function in OF_RANGE:
            counted = function in ("rate", "increase", "irate", "resets") and self.chance(75)
            return f"{function}({self.matrix(below, COUNTERS if counted else METRICS)})"
        if function == "timestamp":
            # A plus sign leaves no trace in our tree; to Prometheus +x is no plain selector.
            # Nor does it move the time of @ by an offset there.
            plain = self.pick(GAUGES) + self.matchers() + self.modifiers(at=False)
            return f"timestamp({plain if self.chance(50) else '0 + ' + self.operand(below)})"
        if function in OF_VALUES:
            return f"{function}({self.vector(below)})"
        if function in OF_DATES:
            # What a date of NaN is, Go leaves to the machine.
            return f"{function}({'' if self.chance(15) else self.finite(below)})"
        match function:
            case "absent_over_time":
                return f"absent_over_time({self.matrix(below)})"
            case "quantile_over_time":
                quantile = self.quantile(below)
                # A parameter that moves, and samples that do not: see predict_linear.
                at = "(" not in quantile
                return f"quantile_over_time({quantile}, {self.matrix(below, at=at)})"
            case "holt_winters":
                factors = self.pick(("0.5", "0.1", "0.9", "0.01", "0")), self.pick(("0.5", "0.3"))
                return f"holt_winters({self.matrix(below)}, {', '.join(factors)})"
            case "predict_linear":
                # With @, Prometheus 2 reads a later window at each step after the first.
                ahead = self.pick(("60", "0", "-30", "3600", "1e3", "time()"))
                return f"predict_linear({self.matrix(below, at=False)}, {ahead})"
            case "clamp":
                return f"clamp({self.vector(below)}, {self.scalar(below)}, {self.scalar(below)})"
            case "clamp_min" | "clamp_max":
                return f"{function}({self.vector(below)}, {self.scalar(below)})"
            case "round":
                nearest = f", {self.scalar(below)}" if self.chance(50) else ""
                return f"round({self.vector(below)}{nearest})"
            case "label_replace":
                return self.label_replace(below)
            case "label_join":
                sources = "".join(f', "{self.pick(_LABELS)}"' for _ in range(self.pick((1, 2, 0))))
                name = self.pick(("joined", "mode", "instance"))
                return f'label_join({self.vector(below)}, "{name}", "-"{sources})'
            case "vector":
                return f"vector({self.scalar(below)})"
        return f"histogram_quantile({self.quantile(below)}, {self.buckets(below)})"

    def label_replace(self, depth: int) -> str:
        name = self.pick(("new", "mode", "instance", "__name__"))
        source = self.pick(("instance", "job", "missing", "__name__"))
        pattern, value = self.pick(
            (
                ("(.*)", "x-$1"), ("(a|b)", "$1$1"), ("(?P<first>.).*", "${first}_"), ("a", "z"),
                ("", "empty"), (".+", ""), ("(.)(.*)", "$2"), ("(", "broken"), ("nothing", "x"),
            )
        )  # fmt: skip
        # What of a name can be read once it was dropped is new in Prometheus 3.
        named = "__name__" in (name, source)
        vector = self.selector() if named else self.vector(depth)
        return f'label_replace({vector}, "{name}", "{value}", "{source}", "{pattern}")'

    def buckets(self, depth: int) -> str:
        if self.chance(20):
            return self.vector(depth)
        inner = self.selector((HISTOGRAM,))
        if self.chance(60):
            function = self.pick(("rate", "increase", "sum_over_time"))
            inner = f"{function}({HISTOGRAM}[{self.pick(_RANGES)}])"
        if self.chance(50):
            inner = f"sum by ({self.pick(('le', 'le, instance', 'le, job'))}) ({inner})"
        return inner

    # Aggregations

    def grouping(self) -> str:
        word = self.pick(("", " by", " without", " by"))
        names = [name for name in (*_LABELS, "le", "missing") if self.chance(35)]
        return f"{word} ({', '.join(names)}) " if word else ""

    def aggregation(self, depth: int) -> str:
        below = depth - 1
        operator = self.pick(
            (*SIMPLE_AGGREGATIONS, "quantile", "quantile", "count_values", "count_values", "ranked")
        )
        if operator == "ranked":
            # Which of equal series topk takes is left open: nothing here depends on it.
            outer = self.pick(("sum", "max", "min", "count", "avg", "group"))
            return f"{outer}({self.ranked(below)})"
        grouping = self.grouping()
        if operator == "quantile":
            with self.without_at():
                arguments = f"{self.quantile(below)}, {self.vector(below)}"
        elif operator == "count_values":
            exact = self.selector() if self.chance(50) else f"round({self.finite(below)})"
            arguments = f'"{self.pick(("value", "mode", "instance"))}", {exact}'
            if " by " in grouping and grouping.count(",") in (2, 4):
                grouping = " by (instance, job) "
        elif operator in ("stddev", "stdvar"):
            arguments = self.deviating(below)
        else:
            arguments = self.vector(below)
        if grouping and self.chance(20):
            return f"{operator}({arguments}){grouping.rstrip()}"
        return f"{operator}{grouping}({arguments})"

    def ranked(self, depth: int) -> str:
        vector = self.vector(depth - 1)
        most = self.pick(("2", "1", "3", "1.7", "100"))
        if self.chance(8):
            with self.without_at():
                # Never NaN, which Prometheus 3 refuses also where there is nothing to choose from.
                some = f"{self.scalar(depth - 1)} + {self.pick(METRICS)}"
                most, vector = f"scalar(count({some}) or vector(1))", self.vector(depth - 1)
        elif self.chance(10):
            # Then an argument that fails is no error to Prometheus 3, which does not evaluate it.
            most, vector = self.pick(("0", "-1", "0.5")), self.selector()
        return f"{self.pick(('topk', 'bottomk'))}{self.grouping()}({most}, {vector})"

    # Operators

    def binary(self, depth: int) -> str:
        kind = self.pick((ARITHMETIC, COMPARISONS, SETS, ARITHMETIC, COMPARISONS))
        operator = self.pick(kind)
        text = self.operation(depth, kind, operator)
        # atan2 keeps the metric's name in Prometheus 2; the sum drops it in both.
        return f"0 + ({text})" if operator == "atan2" else text

    def operation(self, depth: int, kind: Sequence[str], operator: str) -> str:
        if kind is SETS:
            return self.set_operation(depth, operator)
        if kind is COMPARISONS and self.chance(55):
            operator += " bool"
        match self.pick(("with scalar", "alike", "one-to-one", "many-to-one", "alike", "raw")):
            case "with scalar":
                sides = [self.operand(depth - 1), self.scalar(depth - 1)]
                if self.chance(40):
                    sides.reverse()
                return f" {operator} ".join(sides)
            case "alike":
                return self.alike(depth, operator)
            case "one-to-one":
                labels = self.labels()
                sides = [self.grouped(depth - 1, labels), self.grouped(depth - 1, labels)]
                matching = self.pick((f" on ({labels})", "", f" on ({labels})"))
                return f"{sides[0]} {operator}{matching} {sides[1]}"
            case "many-to-one":
                return self.many_to_one(depth, operator)
        return f"{self.operand(depth - 1)} {operator}{self.matching()} {self.operand(depth - 1)}"

    def alike(self, depth: int, operator: str) -> str:
        """Two functions of the same series, which therefore match one to one."""
        names = self.pick((GAUGES, COUNTERS, METRICS))
        series = f"{self.pick(names)}{self.matchers()}"
        sides = [
            self.pick((series, f"abs({series})", f"max_over_time({series}[{self.pick(_RANGES)}])",
                       f"{series} offset {self.pick(_OFFSETS)}", f"{self.vector(0)}"))
            for _ in range(2)
        ]  # fmt: skip
        return f"{sides[0]} {operator}{self.pick(('', ' ignoring (mode)', '', ''))} {sides[1]}"

    def many_to_one(self, depth: int, operator: str) -> str:
        many, extra = self.operand(depth - 1), self.pick(("", "version", "mode", "job", ""))
        if self.chance(40):
            labels, one = "instance", self.pick((INFO, f"max by (instance, version) ({INFO})"))
        else:
            labels = self.labels(but=extra) or "instance"
            one = self.grouped(depth - 1, ", ".join(filter(None, (labels, extra))))
        if self.chance(40):
            return f"{one} {operator} on ({labels}) group_right ({extra}) {many}"
        return f"{many} {operator} on ({labels}) group_left ({extra}) {one}"

    def set_operation(self, depth: int, operator: str) -> str:
        matching = self.matching(many=False)
        return f"{self.operand(depth - 1)} {operator}{matching} {self.operand(depth - 1)}"

    def grouped(self, depth: int, labels: str) -> str:
        operator = self.pick(SIMPLE_AGGREGATIONS)
        deviating = operator in ("stddev", "stdvar")
        vector = self.deviating(depth) if deviating else self.vector(depth)
        return f"{operator} by ({labels}) ({vector})"

    def labels(self, but: str = "") -> str:
        return ", ".join(name for name in _LABELS if name != but and self.chance(45))

    def matching(self, many: bool = True) -> str:
        if self.chance(40):
            return ""
        include = self.pick(("", "", "job")) if many and self.chance(50) else None
        word = self.pick(("on", "ignoring"))
        text = f" {word} ({self.labels(but=include or '')})"
        if include is not None:
            text += f" {self.pick(('group_left', 'group_right'))} ({include})"
        return text

    # Range vectors and scalars

    def matrix(self, depth: int, metrics: Sequence[str] = METRICS, at: bool = True) -> str:
        if depth > 0 and self.chance(30):
            inner = self.vector(depth - 1)
            if metrics is COUNTERS and self.chance(50):
                inner = self.selector(COUNTERS)
            span = f"[{self.pick(_SUBQUERY_RANGES)}:{self.pick(_SUBQUERY_STEPS)}]"
            return f"({inner}){span}{self.modifiers(at)}"
        name = self.two_metrics() if self.chance(4) else self.pick(metrics) + self.matchers()
        return f"{name}[{self.pick(_RANGES)}]{self.modifiers(at)}"

    def quantile(self, depth: int) -> str:
        if self.chance(10):
            with self.without_at():
                return self.scalar(depth)
        return self.pick(("0.5", "0.9", "0", "1", "0.25", "0.99", "-0.5", "1.5", "NaN"))

    def scalar(self, depth: int) -> str:
        if depth <= 0 or self.chance(60):
            return self.pick(_NUMBERS)
        match self.pick(("time", "call", "arithmetic", "comparison", "sign")):
            case "time":
                return self.pick(("time()", "pi()"))
            case "call":
                inner = self.vector(depth - 1)
                return f"scalar({inner})" if self.chance(50) else f"scalar(sum({inner}))"
            case "sign":
                return f"-({self.scalar(depth - 1)})"
            case "arithmetic":
                operator = f" {self.pick(ARITHMETIC)} "
            case _:
                operator = f" {self.pick(COMPARISONS)} bool "
        return f"({operator.join((self.scalar(depth - 1), self.scalar(depth - 1)))})"
