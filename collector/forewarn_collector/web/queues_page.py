"""The pages of queues: what each is owed, what failed and why, and what may be sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web
from multidict import MultiDict

from forewarn_collector.api.narrowing import actor_of
from forewarn_collector.queues import Pause
from forewarn_collector.tasks import DeliveryState, DeliveryStatus, Outbox, QueueCounts
from forewarn_collector.tasks.delivery_log import DeliveryLog, DeliveryView, NotDeadError
from forewarn_collector.web.layout import Site

_VIEWS = (
    ("", "All"),
    (DeliveryView.OWED.value, "Owed"),
    (DeliveryView.FAILED.value, "Tried in vain"),
    (DeliveryView.DEAD.value, "Given up"),
    (DeliveryView.DELIVERED.value, "Delivered"),
)
_ROWS = 100
_MOST_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """A queue as the list shows it."""

    name: str
    configured: bool
    counts: QueueCounts
    failing: int
    pause: Pause | None

    @property
    def address(self) -> str:
        """Of its page."""
        return f"/queues/{quote(self.name, safe='')}"

    @property
    def tone(self) -> str:
        """How bad it is, as a colour says it."""
        if self.counts.dead:
            return "critical"
        return "high" if self.pause or self.failing or self._is_lost else "well"

    @property
    def state(self) -> str:
        """How it fares, in a word or two."""
        if self._is_lost:
            return "not in the configuration"
        if self.pause:
            return "left alone for now"
        return "fails" if self.failing else "works" if self.counts.delivered else "nothing sent yet"

    @property
    def _is_lost(self) -> bool:
        return not self.configured and self.counts.owed > 0


class QueuesPages:
    """All of them. Whoever may see them may see tasks of all customers."""

    def __init__(
        self,
        site: Site,
        outbox: Outbox,
        log: DeliveryLog,
        names: Callable[[], Collection[str]],
        pauses: Callable[[], Mapping[str, Pause]],
        owed: Callable[[], None],
    ) -> None:
        """`names` are the queues of the configuration; `owed` is told when a delivery is anew."""
        self._site = site
        self._outbox = outbox
        self._log = log
        self._names = names
        self._pauses = pauses
        self._owed = owed

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes."""
        return (
            web.get("/queues", self._list),
            web.get("/queues/{queue}", self._one),
            self._site.form("/queues/{queue}/revive", self._revive),
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return self._site.page(request, "queues.html", queues=await self._facts())

    async def _one(self, request: web.Request) -> web.StreamResponse:
        facts = await self._known(request)
        view = request.query.get("show", "")
        asked = DeliveryView(view) if view in set(DeliveryView) else None
        before = request.query.get("before", "")
        found, following = await asyncio.to_thread(
            self._log.list,
            facts.name,
            asked,
            before=int(before) if before.isdigit() else None,
            limit=_ROWS,
        )
        return self._site.page(
            request,
            "queue.html",
            queue=facts,
            deliveries=found,
            following=following,
            views=_VIEWS,
            view=view if asked else "",
            may_revive=self._site.may(request, "POST", "/queues/{queue}/revive"),
            dead=DeliveryState.DEAD,
        )

    async def _revive(self, request: web.Request, given: MultiDict[str]) -> web.StreamResponse:
        facts = await self._known(request)
        chosen = [given["id"]] if given.get("id") else await asyncio.to_thread(self._dead, facts)
        actor, now = actor_of(request), self._site.clock()
        for each in chosen:
            try:
                await asyncio.to_thread(self._log.revive, facts.name, each, actor, now)
            except NotDeadError as error:
                return self._site.lead(facts.address, str(error), problem=True)
        self._owed()
        count = len(chosen)
        said = f"{count} {'delivery is' if count == 1 else 'deliveries are'} owed again."
        return self._site.lead(facts.address, said)

    def _dead(self, facts: QueueFacts) -> list[str]:
        found: list[DeliveryStatus]
        found, _ = self._log.list(facts.name, DeliveryView.DEAD, limit=_MOST_AT_ONCE)
        # The oldest first: a queue hears of a task's deliveries in order.
        return [each.id for each in reversed(found)]

    async def _known(self, request: web.Request) -> QueueFacts:
        name = request.match_info["queue"]
        for facts in await self._facts():
            if facts.name == name:
                return facts
        raise web.HTTPNotFound(text=f"there is no queue {name}\n")

    async def _facts(self) -> list[QueueFacts]:
        counts = await asyncio.to_thread(self._outbox.counts)
        failing = await asyncio.to_thread(self._log.failing)
        names, pauses = frozenset(self._names()), self._pauses()
        found = [
            QueueFacts(
                name=name,
                configured=name in names,
                counts=counts.get(name, QueueCounts()),
                failing=failing.get(name, 0),
                pause=pauses.get(name),
            )
            for name in sorted({*names, *counts})
        ]
        order = ("critical", "high", "well")
        return sorted(found, key=lambda facts: order.index(facts.tone))
