"""Tables that commands print."""

from __future__ import annotations

import pytest
from rich.table import Table

from forewarn_collector.cli.tables import print_table


def test_names_with_colons_are_no_pictures_and_lines_end_where_they_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table("RULE", "ERROR", box=None, pad_edge=False)
    table.add_row("hosts/instance:up:count", "-")
    table.add_row("hosts/b", "x" * 300)
    print_table(table)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "RULE                     ERROR",
        "hosts/instance:up:count  -",
        "hosts/b                  " + "x" * 300,
    ]
