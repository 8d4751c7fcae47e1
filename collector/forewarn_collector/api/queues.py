"""`/api/queues`: what each queue is owed, what failed, and what was given up."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence

from aiohttp import web

from forewarn_collector.api.envelope import json_response
from forewarn_collector.api.fields import Field, FieldError, Text, Values, Whole, one_of
from forewarn_collector.api.narrowing import actor_of
from forewarn_collector.api.operations import KEY, WHO, MissingError, Operation, once_of
from forewarn_collector.api.tasks import LIMIT
from forewarn_collector.queues import Pause
from forewarn_collector.queues.mail_reader import take_reply
from forewarn_collector.queues.mail_replies import LARGEST, NoReplyError
from forewarn_collector.tasks import Outbox, QueueCounts, RefusedError
from forewarn_collector.tasks.delivery_log import DeliveryLog, DeliveryView
from forewarn_collector.tasks.replies import Replies
from forewarn_wire.clock import Clock

_QUEUE = Field("queue", "The queue's name.", Text(200, shortest=1))
_MAIL = Field(
    "mail",
    "The mail as it came (RFC 5322), in Base64.",
    Text(LARGEST * 4 // 3 + 4, shortest=4, pattern="[A-Za-z0-9+/]+={0,2}"),
    required=True,
)
_ID = Field("id", "The delivery's id.", Text(36, pattern="[0-9a-fA-F-]{36}"))


class QueuesApi:
    """The queues of the configuration, and those that are still owed something."""

    def __init__(
        self,
        outbox: Outbox,
        log: DeliveryLog,
        queues: Collection[str],
        notify: Callable[[], None],
        replies: Replies,
        pauses: Callable[[], Mapping[str, Pause]],
        clock: Clock,
    ) -> None:
        """`notify` is called when something is owed anew; `pauses` are those that last."""
        self._replies = replies
        self._outbox = outbox
        self._log = log
        self._queues = frozenset(queues)
        self._notify = notify
        self._pauses = pauses
        self._clock = clock

    def operations(self) -> Sequence[Operation]:
        """What it serves."""
        return (
            Operation(
                method="GET",
                path="/api/queues",
                name="listQueues",
                about="The queues, with what each is owed, got and refused.",
                handle=self._list,
                answer="QueueList",
            ),
            Operation(
                method="GET",
                path="/api/queues/{queue}/deliveries",
                name="listDeliveries",
                about="Deliveries to a queue, the newest first.",
                handle=self._deliveries,
                answer="DeliveryPage",
                in_path=(_QUEUE,),
                query=(
                    Field("state", "Only these; failed ones are owed still.", one_of(DeliveryView)),
                    LIMIT,
                    Field("cursor", "The `next` of the page before.", Whole(0, 1 << 53)),
                ),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/api/queues/{queue}/deliveries/{id}/revive",
                name="reviveDelivery",
                about="Owe a dead delivery again, at once.",
                handle=self._revive,
                answer="Delivery",
                in_path=(_QUEUE, _ID),
                headers=(KEY,),
                body=(WHO,),
                errors=(404, 409, 422),
            ),
            Operation(
                method="POST",
                path="/api/queues/{queue}/replies",
                name="takeReply",
                about="A mail that answers a message of the queue: its remark goes to the task.",
                handle=self._reply,
                answer="Reply",
                in_path=(_QUEUE,),
                body=(_MAIL,),
                errors=(404, 409),
            ),
        )

    async def _list(self, request: web.Request, values: Values) -> web.StreamResponse:
        counts = await asyncio.to_thread(self._outbox.counts)
        failing = await asyncio.to_thread(self._log.failing)
        pauses = self._pauses()
        return json_response(
            {
                "queues": [
                    {
                        "name": name,
                        "configured": name in self._queues,
                        "owed": of_queue.owed,
                        "failed": failing.get(name, 0),
                        "delivered": of_queue.delivered,
                        "dead": of_queue.dead,
                        "failed_attempts": of_queue.failed_attempts,
                        "paused_until": pauses[name].until if name in pauses else None,
                        "paused_why": pauses[name].why if name in pauses else "",
                    }
                    for name in sorted({*self._queues, *counts})
                    for of_queue in [counts.get(name, QueueCounts())]
                ]
            }
        )

    async def _deliveries(self, request: web.Request, values: Values) -> web.StreamResponse:
        queue, state = await self._known(values["queue"]), values["state"]
        found, following = await asyncio.to_thread(
            self._log.list,
            queue,
            None if state is None else DeliveryView(state),
            before=values["cursor"],
            limit=values["limit"],
        )
        deliveries = [each.to_json() for each in found]
        return json_response({"deliveries": deliveries, "next": following})

    async def _revive(self, request: web.Request, values: Values) -> web.StreamResponse:
        queue = await self._known(values["queue"])
        actor, once = actor_of(request, values["who"].strip()), await once_of(request, values)
        revived = await asyncio.to_thread(
            self._log.revive, queue, values["id"], actor, self._clock(), once
        )
        self._notify()
        return json_response(revived.to_json())

    async def _reply(self, request: web.Request, values: Values) -> web.StreamResponse:
        queue = await self._known(values["queue"])
        try:
            content = base64.b64decode(values["mail"], validate=True)
            number = await asyncio.to_thread(
                take_reply, self._replies, queue, content, self._clock()
            )
        except binascii.Error as error:
            raise FieldError("mail: expected Base64") from error
        except NoReplyError as error:
            raise RefusedError(f"the mail is left alone: {error}") from error
        return json_response({"number": number})

    async def _known(self, queue: str) -> str:
        known = self._queues | (await asyncio.to_thread(self._outbox.counts)).keys()
        if queue not in known:
            raise MissingError(f"there is no queue {queue}; there are {', '.join(sorted(known))}")
        return queue
