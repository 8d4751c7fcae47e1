"""What happens to a host that is cut off: a fault that comes and goes, and one that stays."""

from __future__ import annotations

from forewarn_wire import Labels
from support.backlog_world import BacklogWorld
from support.stores import START, batch, series

MINUTE, STEP = 60_000, 30_000
RULES = """\
groups:
  - name: g
    interval: 30s
    rules:
      - {alert: Down, expr: 'procs == 0', task: {reopen_within: 10m}}
      - {alert: Slow, expr: 'lag > 5', task: {reopen_within: 10m}}
      - {alert: Waits, expr: 'lag > 6', for: 5m, task: {reopen_within: 10m}}
"""
CUT, BACK = START + 10 * MINUTE, START + 20 * MINUTE
DOWN, UP, SLOW = START + 12 * MINUTE, START + 14 * MINUTE, START + 13 * MINUTE


def sample(time: int) -> list[tuple[Labels, int, float]]:
    """What the host measures at a time (ms)."""
    return [
        (series("procs", instance="a"), time, 0.0 if DOWN <= time < UP else 1.0),
        (series("lag", instance="a"), time, 9.0 if time >= SLOW else 1.0),
    ]


def tell(world: BacklogWorld) -> None:
    """All that the host sends, in the order in which it comes, and the look at it."""

    def send(*times: int) -> None:
        world.store.append(batch(*(each for time in times for each in sample(time)))).result()
        world.scheduler.catch_up()

    world.clock.now = max(CUT, world.clock.now)
    send(*range(START, CUT, STEP))
    world.clock.now = max(BACK, world.clock.now)
    send(BACK)
    backlog = list(range(CUT, BACK, STEP))
    for place in range(0, len(backlog), 5):
        world.clock.now += 100
        send(*backlog[place : place + 5])
    world.clock.now += 20_000
    world.look()
