"""Numbers as Prometheus' HTTP API writes them; expected texts are those of Go's strconv."""

from __future__ import annotations

import pytest

from forewarn_collector.promql import plain_float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (5.0, "5"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (123456789.125, "123456789.125"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_a_value_is_written_as_go_writes_it(value: float, text: str) -> None:
    assert plain_float(value) == text
