"""What rules would have opened: backtests that the page asks for, each in a process of its own.

The process is `forewarn rules backtest` at the lowest priority, so that no signal waits for it. It
is given the file and the name of a rule that is loaded, never anything that was typed in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forewarn_collector.rules import AlertingRule

log = logging.getLogger(__name__)

DAYS = (1, 7, 30, 90)
_LONGEST_SECONDS = 600.0
_KEPT = 50
_MOST_WAITING = 10
_NICE = 19
_EXCERPT = 500


class BusyError(Exception):
    """So many backtests wait already that another one would take hours."""


@dataclass
class Backtest:
    """A backtest of a rule over so many days, asked for at a time (ms).

    `found` is what `forewarn rules backtest --json` says of the rule, None until it is done.
    """

    rule: str
    days: int
    asked_at: int
    found: Mapping[str, Any] | None = None
    problem: str = ""

    @property
    def runs(self) -> bool:
        """Whether it is not done yet."""
        return self.found is None and not self.problem


class Backtests:
    """Runs them one after the other; `stop` ends what runs."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._known: dict[tuple[str, int], Backtest] = {}
        self._one_by_one = asyncio.Semaphore(1)
        self._running: set[asyncio.Task[None]] = set()

    def known(self, rule: str, days: int) -> Backtest | None:
        """The last one of a rule over so many days, if there was any."""
        return self._known.get((rule, days))

    def ask(self, rule: AlertingRule, days: int, now: int) -> Backtest:
        """Have a rule backtested, unless that is being done already. Raises BusyError."""
        known = self.known(rule.key, days)
        if known is not None and known.runs:
            return known
        if len(self._running) > _MOST_WAITING:
            raise BusyError(
                f"{_MOST_WAITING} replays wait already; ask again when some of them are done"
            )
        asked = Backtest(rule.key, days, now)
        self._known.pop((rule.key, days), None)
        self._known[rule.key, days] = asked
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))
        task = asyncio.create_task(self._run(rule, asked), name=f"backtest {rule.key}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return asked

    async def stop(self) -> None:
        """End what runs, and forget what waits."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, rule: AlertingRule, asked: Backtest) -> None:
        async with self._one_by_one:
            try:
                async with asyncio.timeout(_LONGEST_SECONDS):
                    asked.found = await self._replayed(rule, asked.days)
            except TimeoutError:
                asked.problem = f"no end within {_LONGEST_SECONDS / 60:g} minutes"
            except (OSError, ValueError, LookupError) as error:
                asked.problem = str(error)
            except asyncio.CancelledError:
                asked.problem = "the collector stopped"
                raise

    async def _replayed(self, rule: AlertingRule, days: int) -> Mapping[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "forewarn_collector", "rules", "backtest", rule.file),
            *("--data", str(self._data), "--since", f"{days}d", "--json"),
            *("--rule", f"^{re.escape(rule.name)}$"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
            said, wrong = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not said:
            reason = wrong.decode("utf-8", "replace").strip().removeprefix("Error: ")
            raise ValueError(reason[:_EXCERPT] or f"it ended with status {process.returncode}")
        document = json.loads(said)
        found: Mapping[str, Any] = next(e for e in document["rules"] if e["rule"] == rule.key)
        return {**found, "from": document["from"], "to": document["to"]}
