"""The command line of the collector: `forewarn serve`, and what is done beside it."""

from __future__ import annotations

from importlib.metadata import version

import click

from forewarn_collector.cli.alertmanager import alertmanager
from forewarn_collector.cli.audit import audit
from forewarn_collector.cli.backup import backup
from forewarn_collector.cli.calendars import calendar
from forewarn_collector.cli.demo import demo
from forewarn_collector.cli.doctor import doctor
from forewarn_collector.cli.events import events
from forewarn_collector.cli.export import export
from forewarn_collector.cli.importing import import_samples
from forewarn_collector.cli.ledger import ledger
from forewarn_collector.cli.queues import queues
from forewarn_collector.cli.rules import rules
from forewarn_collector.cli.serve import serve
from forewarn_collector.cli.silences import silences
from forewarn_collector.cli.tasks import tasks
from forewarn_collector.cli.top import top
from forewarn_wire.clock import Clock


def build(clock: Clock) -> click.Command:
    """The whole command; `clock` is handed to what needs the time."""

    @click.group(
        commands=[
            serve,
            demo,
            rules,
            tasks,
            silences,
            top,
            queues,
            audit,
            alertmanager,
            calendar,
            events,
            export,
            import_samples,
            backup,
            ledger,
            doctor,
        ],
        context_settings={"obj": clock, "help_option_names": ["-h", "--help"]},
    )
    @click.version_option(version("forewarn"), prog_name="forewarn")
    def forewarn() -> None:
        """Opens maintenance tasks before users report problems."""

    return forewarn
