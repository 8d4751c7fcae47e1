"""The session of "Backtest" in docs/rules.md is what a reader gets with the signals it tells of."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from forewarn_collector.cli import build
from forewarn_collector.cli.rules_backtest import backtest_command
from forewarn_wire import Labels
from support.past import write_directory
from support.sessions import commands, output, write_files
from support.stores import series

DOCUMENT = Path(__file__).parents[3] / "docs" / "rules.md"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MONDAY = 1_789_948_800_000  # 2026-09-21, midnight UTC
SPEED = re.compile(r"in [\d.]+ s, [\d,]+ rule-days per second")


def free(host: str, time: int) -> float:
    """Web1's backups fill its disk from 2:00 to 2:40; web2's is full on Wednesday, 9 to 15."""
    day, minute = divmod((time - MONDAY) // MINUTE, 24 * 60)
    if host == "web1":
        return 5.0 if 120 <= minute < 160 else 50.0
    return 8.0 if day == 2 and 9 * 60 <= minute < 15 * 60 else 40.0


def five_days() -> dict[Labels, list[tuple[int, float]]]:
    times = range(MONDAY, MONDAY + 5 * DAY, MINUTE)
    found = {}
    for host in ("web1", "web2"):
        name = {"instance": host, "mountpoint": "/"}
        found[series("node_filesystem_avail_bytes", **name)] = [(t, free(host, t)) for t in times]
        found[series("node_filesystem_size_bytes", **name)] = [(t, 100.0) for t in times]
    return found


def test_the_session_is_real(tmp_path: Path) -> None:
    before, _, text = DOCUMENT.read_text().partition("\n## Backtest\n")
    write_files(before, tmp_path)
    write_directory(tmp_path / "forewarn-data", five_days(), MONDAY + 5 * DAY)
    session = commands(text)
    assert len(session) == 3
    for command, expected in session:
        found = output(command, tmp_path, TZ="UTC")
        assert SPEED.sub("", found) == SPEED.sub("", expected), command


def test_every_option_and_every_field_of_the_json_is_documented(tmp_path: Path) -> None:
    text = DOCUMENT.read_text().partition("\n## Backtest\n")[2]
    for option in (option for each in backtest_command.params for option in each.opts[:1]):
        assert not option.startswith("-") or option in text, option
    write_files(DOCUMENT.read_text(), tmp_path)
    write_directory(tmp_path / "data", five_days(), MONDAY + 5 * DAY)
    rules = str(tmp_path / "disk.yml")
    (tmp_path / "other.yml").write_text(Path(rules).read_text().replace("for: 10m", "for: 20m"))
    arguments = ["rules", "backtest", rules, "--diff", str(tmp_path / "other.yml"), "--json"]
    result = CliRunner().invoke(
        build(lambda: MONDAY + 5 * DAY), [*arguments, "--data", str(tmp_path / "data")]
    )
    assert result.exit_code == 0, result.output
    names = set(re.findall(r'"(\w+)":', result.stdout))
    labels = {"alertname", "instance", "mountpoint"}
    missing = [name for name in names - labels if f"`{name}`" not in text]
    assert not missing
    assert json.loads(result.stdout)["diff"]
