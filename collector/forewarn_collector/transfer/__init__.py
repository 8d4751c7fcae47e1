"""Samples out of a data directory as files of other programs, and theirs into one."""

from forewarn_collector.transfer.errors import TransferError
from forewarn_collector.transfer.exporting import FORMATS, Exported, export_samples, format_of
from forewarn_collector.transfer.importing import Imported, import_lines
from forewarn_collector.transfer.lines import LineError

__all__ = [
    "FORMATS",
    "Exported",
    "Imported",
    "LineError",
    "TransferError",
    "export_samples",
    "format_of",
    "import_lines",
]
