"""The JSON of Alertmanager's API v2: what is posted, read and checked, and what is answered.

Source: prometheus/alertmanager `api/v2/openapi.yaml`. What is refused is refused with the status
and in the words of Alertmanager 0.25, whose senders know them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from forewarn_collector.api.formats import rfc3339
from forewarn_collector.silencing import (
    Matcher,
    MatcherError,
    MatchKind,
    ReceivedAlert,
    Silence,
    make_matcher,
    with_times,
)
from forewarn_collector.tasks.board import AlertGroup, BoardAlert
from forewarn_wire import is_label_name

_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)


class FormError(ValueError):
    """What was sent can't be taken. `status` is the answer's, `code` go-openapi's, 0 for none."""

    def __init__(self, message: str, status: int = 400, code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def body(self) -> Any:
        """What is answered: an object from the check of the form, else a text."""
        return {"code": self.code, "message": str(self)} if self.code else str(self)


def read_json(body: bytes, name: str) -> Any:
    """The JSON of a body. Raises FormError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _unread(name, str(error)) from None


def read_alerts(
    given: Any, now: int, resolve_timeout: int, customer: str
) -> tuple[list[ReceivedAlert], list[str]]:
    """The alerts of a post at `now` (ms), and what is wrong with those that are left out.

    Raises FormError where nothing of it can be taken. A `customer` who sends them is in all labels.
    """
    if not isinstance(given, list):
        raise _unread("alerts", "expected a list of alerts")
    read: list[Callable[[], ReceivedAlert]] = []
    for place, item in enumerate(given):
        if not isinstance(item, dict):
            raise _unread("alerts", "expected an object for each alert")
        if item.get("labels") is None:
            raise FormError(f"{place}.labels in body is required", 422, 602)
        labels = _texts(item, "labels", "alerts")
        if customer:
            labels["customer"] = customer
        annotations = _texts(item, "annotations", "alerts")
        starts, ends = (_time(item, name, "alerts") for name in ("startsAt", "endsAt"))
        url = _text(item, "generatorURL", "alerts")
        read.append(_reading(labels, annotations, starts, ends, url, now, resolve_timeout))
    found, wrong = [], []
    for one in read:
        try:
            found.append(one())
        except ValueError as error:
            wrong.append(str(error))
    return found, wrong


def _reading(
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    starts: int | None,
    ends: int | None,
    url: str,
    now: int,
    resolve_timeout: int,
) -> Callable[[], ReceivedAlert]:
    def read() -> ReceivedAlert:
        for what, names in (("label", labels), ("annotations", annotations)):
            bad = sorted(name for name in names if not is_label_name(name))
            if bad:
                raise ValueError(f"invalid {what} set: invalid name {json.dumps(bad[0])}")
        pairs = tuple(labels.items()), tuple(annotations.items())
        return with_times(*pairs, starts, ends, url, now, resolve_timeout)

    return read


def read_silence(given: Any, now: int) -> Silence:
    """The silence of a post. Raises FormError."""
    if not isinstance(given, dict):
        raise _unread("silence", "expected an object")
    for name in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if given.get(name) is None:
            raise FormError(f"{name} in body is required", 422, 602)
    matchers = given["matchers"]
    if not isinstance(matchers, list):
        raise _unread("silence", "matchers must be a list")
    if not matchers:
        raise FormError("matchers in body should have at least 1 items", 422, 612)
    for place, item in enumerate(matchers):
        if not isinstance(item, dict):
            raise _unread("silence", "each matcher must be an object")
        for name in ("isRegex", "name", "value"):
            if item.get(name) is None:
                raise FormError(f"matchers.{place}.{name} in body is required", 422, 602)
    starts, ends = (_time(given, name, "silence") for name in ("startsAt", "endsAt"))
    starts, ends = starts if starts is not None else now, ends or 0
    if starts >= ends:
        raise FormError("Failed to create silence: start time must be before end time")
    if ends < now:
        raise FormError("Failed to create silence: end time can't be in the past")
    return Silence(
        id=_text(given, "id", "silence"),
        matchers=tuple(_matcher(item, place) for place, item in enumerate(matchers)),
        starts_at=starts,
        ends_at=ends,
        updated_at=now,
        created_by=_text(given, "createdBy", "silence"),
        comment=_text(given, "comment", "silence"),
    )


def alert_json(alert: BoardAlert) -> dict[str, Any]:
    """An alert: `gettableAlert`."""
    shown = alert.alert
    answer: dict[str, Any] = {
        "annotations": dict(shown.annotations),
        "endsAt": rfc3339(shown.ends_at),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": route.receiver} for route in alert.routes],
        "startsAt": rfc3339(shown.starts_at),
        "status": {
            "inhibitedBy": list(alert.inhibited_by),
            "mutedBy": list(alert.muted_by),
            "silencedBy": list(alert.silenced_by),
            "state": "suppressed" if alert.is_suppressed else "active",
        },
        "updatedAt": rfc3339(shown.updated_at),
        "labels": dict(shown.labels),
    }
    if shown.generator_url:
        answer["generatorURL"] = shown.generator_url
    return answer


def group_json(group: AlertGroup) -> dict[str, Any]:
    """A group of alerts: `alertGroup`."""
    return {
        "alerts": [alert_json(alert) for alert in group.alerts],
        "labels": dict(group.labels),
        "receiver": {"name": group.route.receiver},
    }


def silence_json(silence: Silence, now: int) -> dict[str, Any]:
    """A silence: `gettableSilence`."""
    return {
        "id": silence.id,
        "status": {"state": silence.state(now).value},
        "updatedAt": rfc3339(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": rfc3339(silence.ends_at),
        "matchers": [
            {
                "isEqual": each.kind.is_equal,
                "isRegex": each.kind.is_regexp,
                "name": each.name,
                "value": each.value,
            }
            for each in silence.matchers
        ],
        "startsAt": rfc3339(silence.starts_at),
    }


def _matcher(item: Mapping[str, Any], place: int) -> Matcher:
    name, value = _text(item, "name", "silence"), _text(item, "value", "silence")
    is_equal = item.get("isEqual")
    flags = item["isRegex"], True if is_equal is None else is_equal
    if not all(isinstance(flag, bool) for flag in flags):
        raise _unread("silence", "isRegex and isEqual must be true or false")
    where = f"silence invalid: invalid label matcher {place}"
    if not is_label_name(name):
        raise FormError(f"{where}: invalid label name {json.dumps(name)}")
    kind = {
        (False, True): MatchKind.EQUAL,
        (False, False): MatchKind.NOT_EQUAL,
        (True, True): MatchKind.REGEXP,
        (True, False): MatchKind.NOT_REGEXP,
    }[flags]
    try:
        return make_matcher(name, kind, value)
    except MatcherError as error:
        said = f"{where}: invalid regular expression {json.dumps(value)}: {error}"
        raise FormError(said) from None


def _texts(item: Mapping[str, Any], name: str, what: str) -> dict[str, str]:
    given = item.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise _unread(what, f"{name} must be an object of texts")
    return dict(given)


def _text(item: Mapping[str, Any], name: str, what: str) -> str:
    given = item.get(name)
    if given is not None and not isinstance(given, str):
        raise _unread(what, f"{name} must be a text")
    return given or ""


def _time(item: Mapping[str, Any], name: str, what: str) -> int | None:
    """A time in ms; None where it is absent or Go's zero time."""
    given = item.get(name)
    if given in {None, ""}:
        return None
    found = _STAMP.fullmatch(given) if isinstance(given, str) else None
    try:
        if found is None:
            raise ValueError("not a time")
        day, clock, fraction, _, sign, hours, minutes = found.groups()
        when = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            when = when - offset if sign == "+" else when + offset
    except (ValueError, OverflowError):
        said = f"{name}: expected a time such as 2030-01-31T14:00:00Z, found {given!r}"
        raise _unread(what, said) from None
    if when.year == 1:
        return None
    seconds = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3])


def _unread(name: str, why: str) -> FormError:
    return FormError(f'parsing {name} body from "" failed, because {why}', 400, 400)
