"""Makes the dashboards: `python dashboards/build.py [FOLDER]`, beside this file by default."""

from __future__ import annotations

import sys
from pathlib import Path

import disks
import host
import itself
import overview
import service
import tasks

BOARDS = (overview.BOARD, host.BOARD, service.BOARD, tasks.BOARD, disks.BOARD, itself.BOARD)


def main() -> None:
    """Write one file for each dashboard, named by its uid."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for board in BOARDS:
        path = folder / f"{board.uid}.json"
        path.write_text(board.to_json())
        print(path)


if __name__ == "__main__":
    main()
