"""Makes the dashboards: `python dashboards/build.py [FOLDER]`, beside this file by default."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import overview
from grafana_foundation_sdk.cog.encoder import JSONEncoder

DASHBOARDS = (overview,)


def main() -> None:
    """Write one file for each dashboard, named by its uid."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for made in DASHBOARDS:
        # Sorted, so that a new version of the SDK changes only what it really changes.
        text = json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True)
        path = folder / f"{made.UID}.json"
        path.write_text(text + "\n")
        print(path)


if __name__ == "__main__":
    main()
