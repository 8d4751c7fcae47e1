"""What depends on what: which firing alerts are but the consequence of another."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CUSTOMER = "customer"


@dataclass(frozen=True)
class Dependency:
    """What has the labels `target` works only while what has the labels `on` does.

    Both are of the same customer unless one of them names it, and alike in the labels `equal`.
    """

    target: Mapping[str, str]
    on: Mapping[str, str]
    equal: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str], other: Mapping[str, str]) -> bool:
        """Whether an alert with these labels follows from the other one."""
        return (
            _has(labels, self.target)
            and _has(other, self.on)
            and all(labels.get(name, "") == other.get(name, "") for name in self.alike)
        )

    @property
    def alike(self) -> tuple[str, ...]:
        """The labels in which both must agree."""
        if CUSTOMER in self.target or CUSTOMER in self.on:
            return self.equal
        return (*self.equal, CUSTOMER)


def cycle_in(dependencies: Sequence[Dependency]) -> list[str]:
    """A way from one target back to itself, as texts; empty where there is none."""
    for start in dependencies:
        ways = deque([[start]])
        seen = {id(start)}
        while ways:
            way = ways.popleft()
            if _has(way[-1].on, start.target):
                return [*(_said(each.target) for each in way), _said(way[-1].on)]
            for following in dependencies:
                if id(following) not in seen and _has(way[-1].on, following.target):
                    seen.add(id(following))
                    ways.append([*way, following])
    return []


def causes(
    dependencies: Sequence[Dependency], alerts: Sequence[Mapping[str, str]]
) -> dict[int, int]:
    """Of alerts that fire, which one each is a consequence of, by their places in `alerts`.

    The cause is the nearest alert that follows from no other itself. Alerts that only follow from
    each other have none: all of them would be held for ever.
    """
    follow: dict[int, set[int]] = {}
    for dependency in dependencies:
        by_key: dict[tuple[str, ...], list[int]] = {}
        for index in _having(alerts, dependency.on):
            by_key.setdefault(_key(alerts[index], dependency), []).append(index)
        for index in _having(alerts, dependency.target) if by_key else ():
            others = by_key.get(_key(alerts[index], dependency), ())
            follow.setdefault(index, set()).update(each for each in others if each != index)
    consequences: dict[int, list[int]] = {}
    for index, causing in follow.items():
        for other in causing:
            consequences.setdefault(other, []).append(index)
    found: dict[int, int] = {}
    # From all roots at once, so that each alert gets the nearest.
    waiting = deque((root, root) for root in sorted(consequences) if not follow.get(root))
    while waiting:
        index, root = waiting.popleft()
        for consequence in consequences.get(index, ()):
            if consequence not in found:
                found[consequence] = root
                waiting.append((consequence, root))
    return found


def _having(alerts: Sequence[Mapping[str, str]], wanted: Mapping[str, str]) -> Iterator[int]:
    return (index for index, labels in enumerate(alerts) if _has(labels, wanted))


def _key(labels: Mapping[str, str], dependency: Dependency) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in dependency.alike)


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


def _said(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in labels.items()) + "}"
