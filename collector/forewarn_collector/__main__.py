"""The command `forewarn`."""

from __future__ import annotations

import sys
import time


def main() -> None:
    """Run the command line; say what to install where the collector's libraries are missing."""
    try:
        from forewarn_collector.cli import build
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("forewarn"):
            raise
        print(
            f"forewarn: the collector needs {error.name}, which the agent's install leaves out.\n"
            "Install it with: pip install 'forewarn[collector]'",
            file=sys.stderr,
        )
        sys.exit(1)
    build(clock=lambda: time.time_ns() // 1_000_000)(prog_name="forewarn")


if __name__ == "__main__":
    main()
