"""Rule files of other projects load, or are refused as their names say."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from forewarn_collector.rules.check import check_files
from forewarn_collector.rules.fields import NameScheme

DATA = Path(__file__).parents[4] / "shared" / "data"
PUBLIC = DATA / "rules" / "awesome-prometheus-alerts"
RULEFMT = sorted((DATA / "rulefmt").glob("*.yaml"))
needs_data = pytest.mark.skipif(not PUBLIC.exists(), reason="../shared/data is not here")


@needs_data
@pytest.mark.parametrize("file", RULEFMT, ids=lambda file: file.name)
def test_prometheus_own_good_and_bad_files(file: Path) -> None:
    # As in Prometheus' own test, those called legacy are read under the old scheme of names.
    scheme = NameScheme.LEGACY if file.name.startswith("legacy_") else NameScheme.UTF8
    report = check_files([file], scheme=scheme)
    assert bool(report.errors) is (".bad." in file.name), report.errors
    assert report.errors or sum(report.rules.values())


@needs_data
@pytest.mark.parametrize("name", ["utf-8_annotation.good.yaml", "utf-8_lname.good.yaml"])
def test_prometheus_2_reads_no_names_in_utf8(name: str) -> None:
    report = check_files([DATA / "rulefmt" / name], scheme=NameScheme.LEGACY)
    (error,) = report.errors
    assert "'ins-tance' is not a name in Prometheus 2" in error.message


@needs_data
@pytest.mark.server
def test_public_rules_load_wherever_promtool_takes_them() -> None:
    files = sorted(PUBLIC.rglob("*.yml"))
    assert len(files) > 80
    report = check_files(files)
    refused = {Path(error.file) for error in report.errors}
    print(f"{sum(report.rules.values())} rules of {len(files)} files, {len(refused)} refused")
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    for file in refused:
        done = subprocess.run(
            ["promtool", "check", "rules", "--lint=none", str(file)], capture_output=True
        )
        assert done.returncode, f"promtool takes {file}: {report.errors}"


# Read by eye: in each of these an alert cannot have the label, or two sides never have the same.
FOUND = {
    "template-label-cannot-be": 237,
    "join-not-unique": 16,
    "join-never-matches": 11,
    "regex-without-pattern": 5,
}


@needs_data
def test_what_lints_remark_on_the_public_rules() -> None:
    report = check_files(sorted(PUBLIC.rglob("*.yml")))
    assert Counter(warning.check for warning in report.warnings) == FOUND
    found = [each for each in report.warnings if each.check == "join-never-matches"]
    mimir = {each.message for each in found if "grafana-mimir" in each.file}
    assert mimir == {
        "the two sides of and never match: the left one never has the label limit, the other"
        " always has"
    }
