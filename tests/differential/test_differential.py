"""Our engine beside a real Prometheus: random expressions over random series, the same writes.

Settings of the environment: `FOREWARN_DIFFERENTIAL` is how many answers to compare (else a few
thousand, always the same ones), `FOREWARN_DIFFERENTIAL_SEED` repeats a long run.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.engine import ConjectureRunner

from differential.answers import Answer, Server, in_process, in_rounds
from differential.comparison import difference, documented, out_of_order
from differential.counts import Counts
from differential.expressions import questions
from differential.question import Question
from differential.rounding import only_rounding
from differential.series import Dataset, datasets
from forewarn_collector.ingest import decode_write_request
from forewarn_collector.ingest.limits import Limits
from forewarn_collector.store import Store
from support.servers import answers, free_port, program, running, running_collector
from support.stores import Clock
from support.waiting import wait_until

pytestmark = pytest.mark.server

WANTED = int(os.environ.get("FOREWARN_DIFFERENTIAL", "0"))
SEED = int(os.environ.get("FOREWARN_DIFFERENTIAL_SEED", random.randrange(1 << 32)))
BATCHES = st.lists(st.lists(questions(), min_size=1, max_size=20), min_size=1, max_size=20)
"""Lists of lists, since a list alone would be short on average and a fixed number not shrink."""
EXPRESSIONS = 30
"""About so many are asked of one dataset."""
BY_HTTP = 10
"""One question of so many also goes to a collector by HTTP."""

INSTANTS = (312, 327, 342, 642, 657, 1812)
"""Seconds at which a rule evaluator asks: windows slide a little, and leap."""

BETWEEN = 4 * 3600
"""Seconds from one dataset to the next, more than what any expression looks back."""
CENTURY = "100y"


@dataclass(slots=True)
class Peers:
    """Prometheus, a collector's process and a store of ours, with the same samples."""

    prometheus: Server
    collector: Server
    store: Store
    clock: Clock
    counts: Counts = field(default_factory=Counts)
    starts: dict[bytes, int] = field(default_factory=dict)
    found: dict[tuple[int, Question], str | None] = field(default_factory=dict)

    def write(self, dataset: Dataset) -> int:
        """Write a dataset to all, after all others. -> its start in seconds since epoch.

        Hypothesis gives the same ones again and again when it shrinks; they are kept.
        """
        key = dataset.body(0)
        if key not in self.starts:
            self.clock.now += BETWEEN * 1000
            self.starts[key] = self.clock.now // 1000
            self._write(dataset.body(self.clock.now))
        return self.starts[key]

    def _write(self, body: bytes) -> None:
        self.prometheus.write(body)
        self.collector.write(body)
        decoded = decode_write_request(body, limits=Limits())
        assert not decoded.rejected
        self.store.append(decoded.batch).result()


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """All of them, from a day in 2001 on, so that a night's datasets end before the present.

    Prometheus keeps all samples in its head.
    """
    folder = tmp_path_factory.mktemp("differential")
    port, url = free_port(), "http://127.0.0.1"
    for name in ("prometheus.yml", "rules.yml"):
        (folder / name).write_text("groups: []\n" if name == "rules.yml" else "global: {}\n")
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--storage.tsdb.retention.time={CENTURY}",
        "--storage.tsdb.min-block-duration=20y",
        "--storage.tsdb.max-block-duration=20y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
    ]
    serve = ("--no-auth", "--rules", str(folder / "rules.yml"), "--retention", CENTURY)
    clock = Clock(1_000_000_000_000 // 3_600_000 * 3_600_000)
    with ExitStack() as stack:
        stack.enter_context(running(command, folder / "prometheus.log"))
        wait_until("Prometheus is ready", lambda: answers(f"{url}:{port}/-/ready"))
        collector = stack.enter_context(running_collector(folder / "collector", *serve))
        servers = Server(f"{url}:{port}"), Server(collector.url)
        store = Store(folder / "store", retention=1 << 42, clock=clock)
        store.open()
        stack.callback(store.close)
        for server in servers:
            stack.callback(server.close)
        yield Peers(*servers, store, clock)


def _configured(examples: int) -> settings:
    """The same examples in each run; or, where a number is wanted, new ones."""
    return settings(
        max_examples=examples,
        derandomize=not WANTED,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


def test_we_answer_as_prometheus_does(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hypothesis would spend five examples of six on copies of one part of the last to another.
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda self, data: None)

    @_configured((WANTED or 5_000) // EXPRESSIONS + 1)
    @given(datasets(), BATCHES)
    def compare(dataset: Dataset, batches: list[list[Question]]) -> None:
        start = peers.write(dataset)
        for number, question in enumerate(chain.from_iterable(batches)):
            key = (start, question)
            if key not in peers.found:
                by_http = number % BY_HTTP == 0
                peers.found[key] = _compare(peers, dataset, question, start, by_http=by_http)
            assert peers.found[key] is None, peers.found[key]

    if WANTED:
        print(f"\nFOREWARN_DIFFERENTIAL={WANTED} FOREWARN_DIFFERENTIAL_SEED={SEED}")
        compare = seed(SEED)(compare)
    compare()
    print(f"\n{peers.counts}")
    assert len(peers.counts.expressions) > 0.8 * peers.counts.answers.total()
    assert peers.counts.missing() == []


def test_rules_are_evaluated_as_queries_are(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda self, data: None)

    @_configured(WANTED // 1_000 + 15)
    @given(datasets(), BATCHES)
    def compare(dataset: Dataset, batches: list[list[Question]]) -> None:
        start = peers.write(dataset)
        asked = {
            question.expression(start): question
            for question in chain.from_iterable(batches)
            if in_process(peers.store, question, start).kind
            == ("matrix" if question.step else "vector")
        }
        instants = [(start + second) * 1000 for second in INSTANTS]
        for at, text, found in in_rounds(peers.store, list(asked), instants):
            second = at // 1000 - start
            question = replace(asked[text], start=second, end=second, step=0)
            plain = in_process(peers.store, question, start)
            unlike = difference(found, plain)
            if unlike and only_rounding(question, found, plain, dataset, start):
                unlike = None
            assert unlike is None, _report(unlike, dataset, question, start, found, plain)

    if WANTED:
        compare = seed(SEED)(compare)
    compare()


def _compare(
    peers: Peers, dataset: Dataset, question: Question, start: int, *, by_http: bool
) -> str | None:
    """What is wrong, in full."""
    theirs = peers.prometheus.ask(question, start)
    ours = in_process(peers.store, question, start)
    found = difference(ours, theirs)
    if found is not None:
        change = documented(question, ours, theirs, peers.store, dataset, start)
        if change is not None:
            peers.counts.changes[change] += 1
            found = None
    elif not theirs.failed:
        found = out_of_order(question, ours, theirs)
    if found is None and by_http:
        peers.counts.by_http += 1
        ours, theirs = peers.collector.ask(question, start), ours
        found = difference(ours, theirs) or out_of_order(question, ours, theirs)
    peers.counts.add(question, theirs)
    return None if found is None else _report(found, dataset, question, start, ours, theirs)


def _report(
    found: str,
    dataset: Dataset,
    question: Question,
    start: int,
    ours: Answer,
    theirs: Answer,
) -> str:
    """Everything that it takes to see the difference again."""
    words = set(re.findall(r"\w+", question.text))
    series = [str(one) for one in dataset.series if dict(one.labels)["__name__"] in words]
    return "\n".join(
        [
            found,
            f"expression: {question}",
            f"dataset's start: {start}; series:",
            *(f"  {line}" for line in series),
            f"ours: {ours}",
            f"theirs: {theirs}",
        ]
    )
