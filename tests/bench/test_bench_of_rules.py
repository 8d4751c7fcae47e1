"""The parts of the benchmark of rules that could falsify a figure."""

from __future__ import annotations

from pathlib import Path

import cramjam
import numpy as np

from bench.rules_fleet import SERIES, TICK, Fleet
from bench.rules_mix import as_yaml, rules
from bench.rules_ours import Ours
from bench.write_bodies import label_bytes, write_body
from forewarn_wire import STALE_NAN_BITS
from support.prompb import WriteRequest

BEGIN = 1_700_000_000_000


def test_a_body_holds_what_was_sent_and_nothing_else() -> None:
    labels = [(("__name__", "a"), ("host", "ä" * 70)), (("__name__", "b"),)]
    heads = [[label_bytes(each) for each in labels]] * 2
    times = np.array([[BEGIN, BEGIN + 10_000], [BEGIN + 1, BEGIN + 10_001]])
    values = np.arange(8, dtype=np.float64).reshape(2, 2, 2) / 10
    sent = np.array([[True, False], [True, True]])
    body = cramjam.snappy.decompress_raw(write_body(heads, times, values, sent))
    request = WriteRequest.FromString(bytes(body))
    found = [
        (
            tuple((label.name, label.value) for label in series.labels),
            [(sample.timestamp, sample.value) for sample in series.samples],
        )
        for series in request.timeseries
    ]
    assert found == [
        (labels[0], [(BEGIN, 0.0)]),
        (labels[1], [(BEGIN, 0.2)]),
        (labels[0], [(BEGIN + 1, 0.4), (BEGIN + 10_001, 0.5)]),
        (labels[1], [(BEGIN + 1, 0.6), (BEGIN + 10_001, 0.7)]),
    ]


def test_two_fleets_of_one_seed_sample_the_same_with_gaps_restarts_and_ends() -> None:
    fleets = Fleet(1_000, BEGIN), Fleet(1_000, BEGIN)
    assert {len(labels) for labels in fleets[0].labels} == {SERIES}
    ticks = [fleets[0].tick() for _ in range(600)]
    again = [fleets[1].tick() for _ in range(600)]
    idle = np.stack([tick.values[:, 7] for tick in ticks])
    sent = np.stack([tick.sent for tick in ticks])
    times = np.stack([tick.times for tick in ticks])
    np.testing.assert_array_equal(idle, np.stack([tick.values[:, 7] for tick in again]))
    np.testing.assert_array_equal(sent, np.stack([tick.sent for tick in again]))
    np.testing.assert_array_equal(times, np.stack([tick.times for tick in again]))
    assert fleets[0].end == BEGIN + 600 * TICK
    assert (np.diff(times, axis=0) > TICK - 100).all()
    assert not sent.all()
    assert not sent[-30:].any(axis=0).all()
    with np.errstate(invalid="ignore"):  # of the stale marker
        assert (np.diff(idle, axis=0) < 0).any()
    assert (idle[sent].view(np.int64) == STALE_NAN_BITS).any()


def test_the_rules_of_the_benchmark_are_evaluated_without_an_error(tmp_path: Path) -> None:
    rule_file = tmp_path / "rules.yml"
    rule_file.write_text(as_yaml(rules()))
    fleet = Fleet(20, BEGIN)
    ours = Ours(tmp_path / "store", rule_file, fleet)
    try:
        for _ in range(40):
            ours.take(fleet.tick())
        measured = ours.rounds(2, 0)
        assert set(measured.wall) == {rule.kind for rule in rules()}
        assert ours.ask("count(up)", ours.now) == {(): 20.0}
        assert ours.drifted() == []
    finally:
        ours.close()
