"""What becomes of silences: alone, in the ledger, and as a gate. Rules: silence/silence.go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.silencing import (
    InhibitRule,
    Matcher,
    MatchKind,
    NoSuchSilenceError,
    Silence,
    SilenceError,
    SilenceState,
    expired,
    set_silence,
)
from forewarn_collector.tasks import Actor, AuditLog, GatedAlert, HoldKind, Ledger
from forewarn_collector.tasks.inhibitions import Inhibitions
from forewarn_collector.tasks.silences import Silences
from forewarn_wire import labels_from
from support.databases import DATABASES

HOUR = 3_600_000
NOW = 1_800_000_000_000
ANN = Actor("ann", "operator")
MATCHERS = (Matcher("alertname", "Down"), Matcher("host", "web.*", MatchKind.REGEXP))


def silence(**changed: object) -> Silence:
    fields: dict[str, object] = {
        "id": "",
        "matchers": MATCHERS,
        "starts_at": NOW,
        "ends_at": NOW + HOUR,
        "updated_at": 0,
        "created_by": "ann",
        "comment": "upgrade",
    }
    return Silence(**(fields | changed))  # type: ignore[arg-type]


def known(*silences: Silence) -> dict[str, Silence]:
    return {each.id: each for each in silences}


def test_a_new_silence_does_not_begin_in_the_past() -> None:
    (made,) = set_silence({}, silence(starts_at=NOW - HOUR), NOW, "new")
    assert (made.id, made.starts_at, made.updated_at) == ("new", NOW, NOW)
    assert made.state(NOW) is SilenceState.ACTIVE
    assert made.state(NOW + HOUR) is SilenceState.EXPIRED


def test_an_active_one_gets_another_end_and_comment_and_keeps_its_id() -> None:
    before = silence(id="a")
    after = silence(id="a", ends_at=NOW + 2 * HOUR, comment="longer", starts_at=NOW + 500)
    (changed,) = set_silence(known(before), after, NOW + 1, "new")
    assert (changed.id, changed.ends_at, changed.comment) == ("a", NOW + 2 * HOUR, "longer")


@pytest.mark.parametrize(
    "changed",
    [
        {"matchers": (Matcher("alertname", "Other"),)},
        {"starts_at": NOW - 5000},
        {"starts_at": NOW + HOUR // 2},
    ],
)
def test_a_change_that_alters_history_ends_it_and_makes_another(
    changed: dict[str, object],
) -> None:
    before = silence(id="a")
    old, new = set_silence(known(before), silence(id="a", **changed), NOW + 10, "new")
    assert (old.id, old.ends_at, old.state(NOW + 10)) == ("a", NOW + 10, SilenceState.EXPIRED)
    assert new.id == "new"
    assert new.starts_at >= NOW + 10


def test_a_pending_one_may_move_but_not_into_the_past() -> None:
    before = silence(id="a", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)
    (moved,) = set_silence(known(before), silence(id="a", starts_at=NOW + 5), NOW, "new")
    assert (moved.id, moved.starts_at) == ("a", NOW + 5)
    gone, made = set_silence(known(before), silence(id="a", starts_at=NOW - 5), NOW, "new")
    assert (gone.starts_at, gone.ends_at) == (NOW, NOW)
    assert made.id == "new"


def test_an_expired_one_comes_back_as_another() -> None:
    before = silence(id="a", starts_at=NOW - 2 * HOUR, ends_at=NOW - HOUR)
    (made,) = set_silence(known(before), silence(id="a"), NOW, "new")
    assert made.id == "new"


def test_expiring_twice_changes_nothing_more() -> None:
    once = expired(silence(id="a"), NOW + 5)
    assert once.ends_at == NOW + 5
    assert expired(once, NOW + 50) == once


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (silence(matchers=()), "at least one matcher required"),
        (silence(matchers=(Matcher("a", ""),)), "must not match the empty string"),
        (silence(ends_at=NOW - 1), "end time must not be before start time"),
        (silence(id="nobody"), "silence not found"),
    ],
)
def test_a_silence_of_everything_or_nothing_is_refused(given: Silence, said: str) -> None:
    with pytest.raises(SilenceError, match=said):
        set_silence({}, given, NOW, "new")


@pytest.fixture
def ledger(tmp_path: Path, each_database: str) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, DATABASES.url(tmp_path))
    ledger.open()
    yield ledger
    ledger.close()


def alert(name: str, **labels: str) -> GatedAlert:
    pairs = labels_from({"alertname": name, **labels})
    return GatedAlert(f"{name}{labels}", f"g/{name}", pairs, AlertState.FIRING, NOW)


def test_silences_are_rows_with_an_audit_of_every_change(ledger: Ledger) -> None:
    silences = Silences(ledger)
    made = silences.set(silence(), ANN, NOW)
    longer = silences.set(silence(id=made.id, ends_at=NOW + 2 * HOUR), ANN, NOW + 1)
    silences.expire(longer.id, ANN, NOW + 2)
    silences.expire(longer.id, ANN, NOW + 3)
    again = Silences(ledger)
    again.load()
    assert again.all() == silences.all()
    assert again.one(made.id).ends_at == NOW + 2
    entries = AuditLog(ledger).list(of=made.id)
    assert [(entry.action, entry.who, entry.reason) for entry in reversed(entries)] == [
        ("silence created", "ann", "upgrade"),
        ("silence changed", "ann", "upgrade"),
        ("silence expired", "ann", "upgrade"),
    ]
    with pytest.raises(NoSuchSilenceError):
        again.one("nobody")


def test_what_a_silence_says_is_one_line_of_the_log(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    given = silence(comment="fine\n2026-01-01 ERROR all is lost", created_by="a\x1b[1m")
    with caplog.at_level("INFO"):
        Silences(ledger).set(given, ANN, NOW)
    (line,) = caplog.messages
    assert line.isprintable()


def test_an_old_silence_is_forgotten_five_days_after_its_end(ledger: Ledger) -> None:
    silences = Silences(ledger)
    old = silences.set(silence(), ANN, NOW)
    new = silences.set(silence(), ANN, old.ends_at + 120 * HOUR + 1)
    assert [each.id for each in silences.all()] == [new.id]


def test_the_gate_holds_what_matches_until_the_last_silence_ends(ledger: Ledger) -> None:
    silences = Silences(ledger)
    silences.set(silence(), ANN, NOW)
    last = silences.set(silence(ends_at=NOW + 3 * HOUR, comment=""), ANN, NOW)
    asked = [alert("Down", host="web1"), alert("Down", host="db"), alert("Up", host="web1")]
    hold, *others = silences.holds(asked, asked, NOW + 1)
    assert others == [None, None]
    assert hold is not None
    assert (hold.kind, hold.ref, hold.until) == (HoldKind.SILENCE, last.id, NOW + 3 * HOUR)
    # 1,800,000,000 s is 2027-01-15 08:00 UTC.
    assert hold.text == "silenced by ann until 2027-01-15 11:00 UTC"
    assert silences.holds(asked, asked, NOW + 3 * HOUR) == [None, None, None]
    silences.expire(last.id, ANN, NOW + 2)
    (hold, *_) = silences.holds(asked, asked, NOW + 3)
    assert hold is not None
    assert hold.text.endswith("09:00 UTC: upgrade")


def test_a_source_inhibits_its_targets_while_it_fires_and_never_itself() -> None:
    critical, warning = Matcher("severity", "critical"), Matcher("severity", "warning")
    gate = Inhibitions(
        [
            InhibitRule((critical,), (warning,), ("host", "absent")),
            # Both sides match these: none of them inhibits another.
            InhibitRule((Matcher("team", "x"),), (Matcher("team", "x"),), ()),
        ]
    )
    source = alert("Down", severity="critical", host="a", team="x")
    target = alert("Slow", severity="warning", host="a", team="x")
    other = alert("Slow", severity="warning", host="b")
    firing = [source, target, other]
    holds = gate.holds(firing, firing, NOW)
    assert [hold.ref if hold else None for hold in holds] == [None, source.id, None]
    assert holds[1] is not None
    assert holds[1].text.startswith("inhibited by Down {")
    assert gate.holds([target], [target, other], NOW) == [None]
