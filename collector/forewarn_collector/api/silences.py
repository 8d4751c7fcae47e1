"""`/api/silences`: list, make and end silences. Below /api/v2/ there is Alertmanager's own way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from forewarn_collector.api.envelope import json_response
from forewarn_collector.api.fields import TIME, Field, FieldError, Many, Text, Values, one_of
from forewarn_collector.api.narrowing import actor_of, customer_of, silence_for, silence_is_of
from forewarn_collector.api.operations import KEY, WHO, Operation, once_of
from forewarn_collector.silencing import (
    MatcherError,
    NoSuchSilenceError,
    Silence,
    SilenceState,
    parse_matchers,
    sorted_silences,
)
from forewarn_collector.tasks.silences import Silences
from forewarn_wire.clock import Clock

_ID = Field("id", "The silence's id.", Text(36, pattern="[0-9a-fA-F-]{36}"))
_MATCHER = Text(2_000, shortest=1)


class SilencesApi:
    """Silences as JSON; times are ms since epoch, matchers are written as in PromQL."""

    def __init__(self, silences: Silences, clock: Clock) -> None:
        self._silences = silences
        self._clock = clock

    def operations(self) -> Sequence[Operation]:
        """What it serves."""
        return (
            Operation(
                method="GET",
                path="/api/silences",
                name="listSilences",
                about="List silences: active ones first, the next to end first.",
                handle=self._list,
                answer="SilenceList",
                query=(Field("state", "In one of these states.", Many(one_of(SilenceState))),),
            ),
            Operation(
                method="POST",
                path="/api/silences",
                name="addSilence",
                about="Silence the alerts that meet all matchers.",
                handle=self._add,
                answer="Silence",
                headers=(KEY,),
                body=(
                    Field(
                        "matchers",
                        'Such as `alertname="DiskFull"` or `instance=~"web.*"`.',
                        Many(_MATCHER, 1, 100),
                        required=True,
                    ),
                    Field("starts_at", "From when on (ms); now, if it is not said.", TIME),
                    Field("ends_at", "Until when (ms).", TIME, required=True),
                    Field(
                        "comment",
                        "Why; whoever misses an alert reads it.",
                        Text(10_000, shortest=1),
                        required=True,
                    ),
                    WHO,
                ),
                errors=(422,),
            ),
            Operation(
                method="GET",
                path="/api/silences/{id}",
                name="getSilence",
                about="A silence.",
                handle=self._get,
                answer="Silence",
                in_path=(_ID,),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/api/silences/{id}/expire",
                name="expireSilence",
                about="End a silence now; what it held and still fires opens its task.",
                handle=self._expire,
                answer="Silence",
                in_path=(_ID,),
                headers=(KEY,),
                body=(WHO,),
                errors=(404, 422),
            ),
        )

    async def _list(self, request: web.Request, values: Values) -> web.StreamResponse:
        now, customer, states = self._clock(), customer_of(request), values["state"]
        found = [
            silence
            for silence in sorted_silences(self._silences.all(), now)
            if silence_is_of(customer, silence)
            and (not states or silence.state(now).value in states)
        ]
        return json_response({"silences": [each.to_json(now) for each in found]})

    async def _add(self, request: web.Request, values: Values) -> web.StreamResponse:
        now, customer = self._clock(), customer_of(request)
        actor, once = actor_of(request, values["who"].strip()), await once_of(request, values)
        if once is not None:
            # First: what was in time when it came may be over when it is sent again.
            await asyncio.to_thread(self._silences.refuse_repeated, once)
        try:
            matchers = [each for text in values["matchers"] for each in parse_matchers(text)]
        except MatcherError as error:
            raise FieldError(f"matchers: {error}") from error
        starts = now if values["starts_at"] is None else values["starts_at"]
        if values["ends_at"] <= max(starts, now):
            raise FieldError("ends_at: it must be after starts_at, and not be over")
        given = Silence(
            "", tuple(matchers), starts, values["ends_at"], now, actor.name, values["comment"]
        )
        silence = silence_for(customer, given)
        if not silence_is_of(customer, silence):
            raise FieldError(f"matchers: this token silences customer={customer} and no other")
        written = await asyncio.to_thread(self._silences.set, silence, actor, now, once)
        return json_response(written.to_json(now))

    async def _get(self, request: web.Request, values: Values) -> web.StreamResponse:
        return json_response(self._one(request, values).to_json(self._clock()))

    async def _expire(self, request: web.Request, values: Values) -> web.StreamResponse:
        silence, now = self._one(request, values), self._clock()
        actor, once = actor_of(request, values["who"].strip()), await once_of(request, values)
        ended = await asyncio.to_thread(self._silences.expire, silence.id, actor, now, once)
        return json_response(ended.to_json(now))

    def _one(self, request: web.Request, values: Values) -> Silence:
        found = self._silences.one(values["id"])
        if not silence_is_of(customer_of(request), found):
            raise NoSuchSilenceError
        return found
