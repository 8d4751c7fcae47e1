"""What docs/calendars.md and the sample configuration show can be configured so."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from forewarn_collector.config import read_config

ROOT = Path(__file__).parents[2]
EMPTY = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n"


def test_the_examples_of_the_document_are_one_good_configuration(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "calendars.md").read_text()
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    shown = [textwrap.dedent(each) for each in blocks if re.match(r"    \w+:", each)]
    assert len(shown) == 5
    for name in ("provider.ics", "holidays.ics", "on-call.ics"):
        (tmp_path / name).write_text(EMPTY)
    queues = "queues: {support: {kind: log}, managers: {kind: log}}\ndefault_queue: support\n"
    config = read_config("".join(shown).replace("/etc/forewarn", str(tmp_path)) + queues, "c.yml")
    assert config.problems == []
    assert len(config.calendars.windows) == 2
    assert len(config.service.dependencies) == 3


def test_the_samples_commented_settings_are_good() -> None:
    text = (ROOT / "collector" / "collector.yml").read_text()
    start, end = text.index("# maintenance:"), text.index("# Where tasks go.")
    lines = [line.removeprefix("# ") for line in text[start:end].splitlines()]
    config = read_config("\n".join(lines), "collector.yml")
    assert config.problems == []
    assert config.service.levels[0].rotation is config.calendars.rotations["ops"]
