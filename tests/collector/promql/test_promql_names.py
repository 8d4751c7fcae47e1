"""Delayed removal of names, `info`, and the hash of `limit_ratio`: what depends on whole labels."""

from __future__ import annotations

import pytest
import xxhash

from forewarn_collector.promql import EvalError, compile_query
from support.memory_series import MemorySeries


def _source() -> MemorySeries:
    source = MemorySeries()
    for name, job in (("a_total", "x"), ("b_total", "x"), ("a_total", "y")):
        samples = [(t * 15_000, float(t * (1 + len(job)))) for t in range(9)]
        source.add({"__name__": name, "job": job}, samples)
    source.add({"__name__": "target_info", "job": "x", "site": "here"}, [(0, 1.0), (60_000, 1.0)])
    return source


def _answer(expression: str, source: MemorySeries | None = None) -> dict[str, float]:
    result = compile_query(expression).instant(source or _source(), 120_000)
    return {
        ",".join(f"{name}={value}" for name, value in labels): value
        for labels, value in result.vector()
    }


@pytest.mark.parametrize(
    ("expression", "series"),
    [
        # By the time names go there is one series of each job.
        ("sum by (job) (rate({job=~'.'}[1m]))", {"job=x", "job=y"}),
        ("rate(a_total[1m]) > 0", {"job=x", "job=y"}),
        ("rate(a_total[1m]) > on (job) rate(b_total[1m]) * 0", {"job=x"}),
        ("a_total > bool 1", {"job=x", "job=y"}),
        ("a_total{job='x'} or rate(b_total[1m])", {"__name__=a_total,job=x"}),
        ("a_total{job='y'} or rate(b_total[1m])", {"__name__=a_total,job=y", "job=x"}),
        ("last_over_time(a_total{job='x'}[1m])", {"__name__=a_total,job=x"}),
        ("last_over_time(rate(a_total[1m])[1m:15s])", {"job=x", "job=y"}),
        (
            "label_replace(rate(a_total[1m]), '__name__', '$1:rate', '__name__', '(.*)_total')",
            {"__name__=a:rate,job=x", "__name__=a:rate,job=y"},
        ),
        ("count by (__name__) (a_total)", {"__name__=a_total"}),
        ("topk(1, rate(a_total[1m]))", {"job=x"}),
        ("info(a_total)", {"__name__=a_total,job=x,site=here", "__name__=a_total,job=y"}),
        ("info(rate(a_total[1m]), {site=~'.+'})", {"job=x,site=here"}),
    ],
)
def test_names_go_at_the_end(expression: str, series: set[str]) -> None:
    assert set(_answer(expression)) == series


def test_two_series_that_differ_in_a_lost_name_only_are_an_error_at_the_end() -> None:
    with pytest.raises(EvalError, match="same labelset"):
        _answer("rate({job='x', __name__=~'._total'}[1m])")
    # In Prometheus, too, grouping by the name does not help.
    with pytest.raises(EvalError, match="same labelset"):
        _answer("sum by (__name__) (rate({__name__=~'._total'}[1m]))")


def test_the_labels_of_an_answer_are_kept_while_the_series_are_the_same() -> None:
    source = _source()
    for expression in ("rate(a_total[1m])", "a_total or rate(b_total[1m])", "info(a_total)"):
        query = compile_query(expression)
        first = query.instant(source, 120_000).labels
        assert query.instant(source, 121_000).labels is first, expression


def test_info_takes_the_newest_of_two_and_refuses_two_of_one_time() -> None:
    source = _source()
    source.add({"__name__": "target_info", "job": "x", "site": "there"}, [(90_000, 1.0)])
    assert "__name__=a_total,job=x,site=there" in _answer("info(a_total)", source)
    source.add({"__name__": "target_info", "job": "x", "site": "here"}, [(90_000, 1.0)])
    with pytest.raises(EvalError, match="found duplicate series for info metric") as error:
        _answer("info(a_total)", source)
    assert str(error.value).endswith("@ 90000")


def test_limit_ratio_chooses_by_prometheus_hash_of_the_labels() -> None:
    # Names and values each behind a byte of length, 255 and three bytes for long ones.
    long = "v" * 300
    source = MemorySeries()
    shares = {}
    for value in [*map(str, range(50)), long]:
        source.add({"__name__": "m", "i": value}, [(120_000, 1.0)])
        size = bytes([len(value)]) if len(value) < 255 else b"\xff\x2c\x01\x00"
        encoded = b"\x08__name__\x01m\x01i" + size + value.encode()
        shares[f"__name__=m,i={value}"] = xxhash.xxh64_intdigest(encoded) / (2**64 - 1)
    for ratio in (0.1, 0.5, 0.9):
        chosen = {name for name, share in shares.items() if share < ratio}
        assert set(_answer(f"limit_ratio({ratio}, m)", source)) == chosen
        assert set(_answer(f"limit_ratio({ratio} - 1, m)", source)) == shares.keys() - chosen
