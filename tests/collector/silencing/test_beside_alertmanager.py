"""The same alerts, silences and configuration in Debian's Alertmanager and here."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.silencing import read_alertmanager_file
from support.alertmanager import Ours, Peer, running_alertmanager
from support.servers import call, program
from support.waiting import wait_until

pytestmark = pytest.mark.server

# `FOREWARN_SEQUENCES=2000` for a long run.
SEQUENCES = int(os.environ.get("FOREWARN_SEQUENCES", "12"))
PLAIN = "route: {receiver: one}\nreceivers: [{name: one}]\n"
NAMES = {
    "alertname": ["Down", "Full", "Slow"],
    "severity": ["critical", "warning", ""],
    "host": ["a", "b", "a.b", ""],
    "team": ["x", "y", 'q"uo', "back\\slash", ""],
}
EXPRESSIONS = ["a|b", ".+", ".*", "", "a.b", "(?i)A", "[^x]", "x|", "Do.*|Full", "crit.+"]


def matcher(draw: random.Random) -> str:
    name = draw.choice(list(NAMES))
    kind = draw.choice(["=", "!=", "=~", "!~"])
    value = draw.choice(NAMES[name] if "~" not in kind else EXPRESSIONS)
    plain = value.isalnum() and draw.random() < 0.3
    return f"{name}{kind}{value}" if plain else f"{name}{kind}{json.dumps(value)}"


def labels(draw: random.Random) -> dict[str, str]:
    found = {name: draw.choice(values) for name, values in NAMES.items()}
    # An empty label is none; at least the name is there.
    return {name: value for name, value in found.items() if value or draw.random() < 0.5}


def route(draw: random.Random, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if depth == 0 or draw.random() < 0.8:
        found["receiver"] = draw.choice(["one", "two", "three"])
    if draw.random() < 0.5:
        given = draw.sample(list(NAMES), draw.randint(0, 3))
        found["group_by"] = ["..."] if draw.random() < 0.2 else given
    if depth:
        found["matchers"] = [matcher(draw) for _ in range(draw.randint(0, 2))]
        if draw.random() < 0.2:
            found["match"] = {"severity": draw.choice(["critical", "warning"])}
        if draw.random() < 0.2:
            found["match_re"] = {"team": draw.choice(["x|y", "q.*"])}
        found["continue"] = draw.random() < 0.4
    if depth < 3:
        found["routes"] = [route(draw, depth + 1) for _ in range(draw.randint(0, 3 - depth))]
    return found


def configuration(draw: random.Random) -> str:
    rules = [
        {
            "source_matchers": [matcher(draw) for _ in range(draw.randint(1, 2))],
            "target_matchers": [matcher(draw) for _ in range(draw.randint(1, 2))],
            "equal": draw.sample(list(NAMES), draw.randint(0, 2)),
        }
        for _ in range(draw.randint(0, 3))
    ]
    receivers = [{"name": name} for name in ("one", "two", "three")]
    # JSON is YAML.
    return json.dumps({"route": route(draw, 0), "inhibit_rules": rules, "receivers": receivers})


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def silence(draw: random.Random) -> dict[str, Any]:
    name = draw.choice(list(NAMES))
    is_regex = draw.random() < 0.4
    value = draw.choice(EXPRESSIONS if is_regex else NAMES[name])
    is_equal = draw.random() < 0.7
    sure = {"name": "alertname", "value": ".+", "isRegex": True, "isEqual": True}
    given = {"name": name, "value": value, "isRegex": is_regex, "isEqual": is_equal}
    return {
        "matchers": [sure, given],
        "startsAt": stamp(time.time() + draw.choice([-60, -60, -60, 3600])),
        "endsAt": stamp(time.time() + 7200),
        "createdBy": "test",
        "comment": "",
    }


def seen(alerts: list[dict[str, Any]], ids: dict[str, int]) -> dict[str, Any]:
    """What must be the same of each alert. Silences by when they were made, not by their id."""
    return {
        alert["fingerprint"]: (
            alert["labels"],
            alert["annotations"],
            alert["status"]["state"],
            sorted(ids[name] for name in alert["status"]["silencedBy"]),
            bool(alert["status"]["inhibitedBy"]),
            [receiver["name"] for receiver in alert["receivers"]],
        )
        for alert in alerts
    }


def grouped(groups: list[dict[str, Any]]) -> list[Any]:
    return sorted(
        [
            sorted(group["labels"].items()),
            group["receiver"]["name"],
            sorted(alert["fingerprint"] for alert in group["alerts"]),
        ]
        for group in groups
    )


def compare(peer: Peer, ours: Ours, ids: tuple[dict[str, int], dict[str, int]]) -> int:
    """Wait until the Alertmanager has dispatched its alerts, then compare; how many there are."""
    here = ours.alerts()
    expected = {alert["fingerprint"] for alert in here}

    def dispatched() -> bool:
        groups = peer.get("alerts/groups")
        return {alert["fingerprint"] for group in groups for alert in group["alerts"]} == expected

    wait_until("the Alertmanager has grouped its alerts", dispatched)
    there = peer.get("alerts")
    assert seen(there, ids[0]) == seen(here, ids[1])
    sources = {alert["fingerprint"]: alert["status"]["inhibitedBy"] for alert in here}
    for alert in there:
        # Of several sources this version names the one that it comes upon first.
        assert set(alert["status"]["inhibitedBy"]) <= set(sources[alert["fingerprint"]])
    assert grouped(peer.get("alerts/groups")) == grouped(ours.groups())
    return len(here)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("peer")
    with running_alertmanager(folder, PLAIN) as found:
        yield found


def test_grouping_silencing_inhibition_and_routes_are_alertmanagers(
    peer: Peer, tmp_path: Path
) -> None:
    alerts = silenced = inhibited = 0
    for number in range(SEQUENCES):
        draw = random.Random(number)
        config = configuration(draw)
        peer.configure(config)
        folder = tmp_path / str(number)
        folder.mkdir()
        ours = Ours(folder, config, int(time.time() * 1000))
        ids: tuple[dict[str, int], dict[str, int]] = ({}, {})
        posted: list[dict[str, str]] = []
        try:
            for _ in range(draw.randint(1, 3)):
                batch = [{"labels": labels(draw)} for _ in range(draw.randint(1, 8))]
                for item in batch:
                    item["annotations"] = {"summary": "s"} if draw.random() < 0.5 else {}
                    posted.append(item["labels"])
                if len(posted) > 4 and draw.random() < 0.5:
                    gone = {"labels": draw.choice(posted), "endsAt": stamp(time.time() - 1)}
                    batch.append({**gone, "startsAt": stamp(time.time() - 100)})
                # Of the same alert twice in one post, which counts is not said.
                batch = list({json.dumps(item["labels"]): item for item in batch}.values())
                if len({json.dumps(_kept(item)) for item in batch}) < len(batch):
                    batch = batch[:1]
                peer.post("alerts", batch)
                ours.now = int(time.time() * 1000)
                ours.post_alerts(batch)
                if draw.random() < 0.6:
                    body = silence(draw)
                    ids[0][peer.post("silences", body)["silenceID"]] = len(ids[0])
                    ids[1][ours.post_silence(body)] = len(ids[1])
                ours.now = int(time.time() * 1000)
                alerts += compare(peer, ours, ids)
                found = ours.alerts()
                silenced += sum(bool(each["status"]["silencedBy"]) for each in found)
                inhibited += sum(bool(each["status"]["inhibitedBy"]) for each in found)
        except AssertionError as error:
            error.add_note(f"sequence {number}, configuration {config}")
            raise
        finally:
            over = {"startsAt": stamp(time.time() - 9000), "endsAt": stamp(time.time() - 0.001)}
            peer.post("alerts", [{"labels": each, **over} for each in posted])
            for name in ids[0]:
                peer_delete(peer, name)
            ours.close()
    print(f"{SEQUENCES} sequences, {alerts} alerts: {silenced} silenced, {inhibited} inhibited")
    assert min(alerts, silenced, inhibited) > SEQUENCES


def _kept(item: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted(pair for pair in item["labels"].items() if pair[1])


def peer_delete(peer: Peer, name: str) -> None:
    assert call(f"{peer.url}/api/v2/silence/{name}", method="DELETE").status == 200


def test_alerts_sent_again_are_merged_as_there(peer: Peer, tmp_path: Path) -> None:
    peer.configure(PLAIN)
    ours = Ours(tmp_path, PLAIN, int(time.time() * 1000))
    draw = random.Random(7)
    now = time.time()
    rounds = [
        [
            {"labels": {"alertname": "Merged", "number": str(number)}, **times(draw, now)}
            for number in range(200)
        ]
        for _ in range(4)
    ]
    try:
        for batch in rounds:
            peer.post("alerts", batch)
            ours.now = int(time.time() * 1000)
            ours.post_alerts(batch)
            assert spans(ours.alerts()) == spans(peer.get("alerts"))
    finally:
        ours.close()


def times(draw: random.Random, now: float) -> dict[str, str]:
    """A start, an end, both or neither, a minute or more away from now and from one another."""
    start = now + 60 * draw.randint(-20, -11)
    end = now + 60 * draw.choice([-10, -5, -2, 2, 5, 10, 20])
    given = {"startsAt": stamp(start), "endsAt": stamp(end)}
    return {name: value for name, value in given.items() if draw.random() < 0.7}


def spans(alerts: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Start and end of each, to ten seconds: the two are asked one after the other."""
    return {
        alert["labels"]["number"]: (tens(alert["startsAt"]), tens(alert["endsAt"]))
        for alert in alerts
        if alert["labels"]["alertname"] == "Merged"
    }


def tens(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() / 10)


def test_amtool_finds_the_same_routes(tmp_path: Path) -> None:
    amtool = program("amtool")
    for number in range(1000, 1000 + max(SEQUENCES // 4, 10)):
        draw = random.Random(number)
        config = tmp_path / "alertmanager.yml"
        config.write_text(configuration(draw))
        root = read_alertmanager_file(config.read_text(), str(config)).route
        for _ in range(3):
            given = {name: value for name, value in labels(draw).items() if value.isalnum()}
            command = [amtool, "config", "routes", "test", f"--config.file={config}"]
            found = subprocess.run(
                [*command, *(f"{name}={value}" for name, value in given.items())],
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
            ours = ",".join(node.receiver for node in root.match(given))
            assert found.stdout.strip() == ours, (config.read_text(), given)
