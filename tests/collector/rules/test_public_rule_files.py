"""Rule files of other projects load, or are refused as their names say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forewarn_collector.rules.check import check_files
from forewarn_collector.rules.load import RuleFileError, load_rules

DATA = Path(__file__).parents[4] / "shared" / "data"
PUBLIC = DATA / "rules" / "awesome-prometheus-alerts"
RULEFMT = sorted((DATA / "rulefmt").glob("*.yaml"))
# Names in UTF-8 are allowed, as in Prometheus 3; the old scheme that refuses them is a setting.
LEGACY_ONLY = "legacy_validation_annotation.bad.yaml"
needs_data = pytest.mark.skipif(not PUBLIC.exists(), reason="../shared/data is not here")


@needs_data
@pytest.mark.parametrize("file", RULEFMT, ids=lambda file: file.name)
def test_prometheus_own_good_and_bad_files(file: Path) -> None:
    if ".bad." in file.name and file.name != LEGACY_ONLY:
        with pytest.raises(RuleFileError):
            load_rules([file])
    else:
        assert list(load_rules([file]).rules())


@needs_data
@pytest.mark.server
def test_public_rules_load_wherever_promtool_takes_them() -> None:
    files = sorted(PUBLIC.rglob("*.yml"))
    assert len(files) > 80
    report = check_files(files)
    refused = {Path(problem.file) for problem in report.problems}
    print(f"{sum(report.rules.values())} rules of {len(files)} files, {len(refused)} refused")
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    for file in refused:
        done = subprocess.run(
            ["promtool", "check", "rules", "--lint=none", str(file)], capture_output=True
        )
        assert done.returncode, f"promtool takes {file}: {report.problems}"
