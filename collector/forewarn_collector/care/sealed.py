"""What an archive holds, read to its last block."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from forewarn_collector.store.sealed import Archive, Damage


def archive_facts(file: Path, *, thorough: bool) -> tuple[dict[str, Any], Sequence[Damage]]:
    """Figures of an archive, and what of it cannot be read. Raises StoreError.

    Without `thorough` that is what the collector has found until now.
    """
    # What is damaged is in the answer.
    logging.getLogger("forewarn_collector").addHandler(logging.NullHandler())
    with closing(Archive(file, read_only=True)) as archive:
        if thorough:
            for chunk in archive.chunks():
                archive.read(chunk.id)
        stats = archive.stats()
        facts = {
            "chunks": stats.chunks,
            "samples": stats.samples,
            "sample_bytes": stats.bytes,
            "earliest": stats.earliest,
            "latest": stats.latest,
            "levels": {str(each.level): each.chunks for each in stats.levels},
        }
        return facts, archive.damaged()
