"""Any file gives rules or our error with places, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forewarn_collector.rules.check import check_files

SHIPPED = (Path(__file__).parents[3] / "rules" / "service.yml").read_text()
WORDS = st.sampled_from(
    ["", "\n", "  ", "- ", ": ", "{", "}", "[", "]", '"', "'", "{{", "}}", "|", "&a", "*a", "<<: "]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.tuples(st.integers(0, len(SHIPPED)), st.integers(0, 40), WORDS | st.text(max_size=8))
    | st.binary(max_size=60)
)
def test_any_file_gives_rules_or_problems(
    folder: Path, change: tuple[int, int, str] | bytes
) -> None:
    file = folder / "rules.yml"
    if isinstance(change, bytes):
        file.write_bytes(b"groups: " + change)
    else:
        start, length, text = change
        changed = SHIPPED[:start] + text + SHIPPED[start + length :]
        file.write_bytes(changed.encode("utf-8", "surrogatepass"))
    report = check_files([file])
    assert all(found.file == str(file) and found.message for found in report.findings)
