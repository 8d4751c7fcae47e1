"""The description of our own API, held against its answers by schemathesis."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.two_customers import TwoCustomers


def test_the_description_has_every_route_of_our_own_api(world: TwoCustomers) -> None:
    from forewarn_collector.api.rights import RIGHTS

    described = world.call("admin", "GET", "/api/openapi.json").json()
    found = {(m.upper(), path) for path, item in described["paths"].items() for m in item}
    # What ticket systems call is described with each of them.
    ours = re.compile("/api/(tasks|silences|queues|audit)(/|$)(?!.*/hook$)")
    assert found == {(method, path) for method, path in RIGHTS if ours.match(path)}


# What fits its schema may still be refused: a cursor of no page, matchers that can't be read, a
# version or a key that is not the right one.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 400, 404, 409, 412, 422]

[phases.coverage]
unexpected-methods = ["PATCH"]
"""


def test_no_request_gets_an_answer_that_the_description_does_not_admit(
    world: TwoCustomers, database: str, tmp_path: Path
) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        f"{Path(sys.executable).parent}/schemathesis",
        "run",
        f"{world.collector.url}/api/openapi.json",
        f"--header=Authorization: Bearer {world.tokens['admin']}",
        # What is no value of a field is refused before any database is asked.
        f"--phases={'coverage,fuzzing' if database == 'sqlite' else 'fuzzing'}",
        # Two threads that parse Python at once break CPython 3.11 (python/cpython#106905).
        "--workers=1",
        "--max-examples=3",
        "--seed=1",
        "--generation-database=none",
        # It never ends; its own tests are beside.
        "--exclude-path=/api/tasks/stream",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
