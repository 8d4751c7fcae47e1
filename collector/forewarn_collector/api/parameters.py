"""The parameters of the Prometheus HTTP API, read and checked.

Source: prometheus/prometheus `web/api/v1/api.go`, whose texts users know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from multidict import MultiDict, MultiMapping

from forewarn_collector.api.envelope import ApiError
from forewarn_collector.api.formats import parse_time
from forewarn_collector.promql import PromQLError, Selector, compile_query
from forewarn_collector.store import Matcher

T = TypeVar("T")

TRUNCATED = "results truncated due to limit"

Given = MultiMapping[str]


async def parameters(request: web.Request) -> Given:
    """The parameters of a GET or of a form POST (whose address may bear some, too)."""
    if request.method != "POST":
        return request.query
    try:
        form = await request.post()
    except (ValueError, LookupError, BadHttpMessage) as error:
        raise ApiError("bad_data", f"error parsing form values: {error}") from error
    # As in Go, what the form says comes before what the address says.
    merged: MultiDict[str] = MultiDict()
    for name, value in form.items():
        if isinstance(value, str):
            merged.add(name, value)
    merged.extend(request.query)
    return merged


def bad(name: str, message: object) -> ApiError:
    """What is wrong with a parameter."""
    return ApiError("bad_data", f'invalid parameter "{name}": {message}')


def parsed(given: Given, name: str, parse: Callable[[str], T]) -> T:
    """A parameter as `parse` reads it; what it does not say is the empty text."""
    try:
        return parse(given.get(name, ""))
    except ValueError as error:
        raise bad(name, error) from error


def time_of(given: Given, name: str, default: int | None = None) -> int:
    """A time in ms; one without a default must be there."""
    if default is None:
        return parsed(given, name, parse_time)
    if not given.get(name):
        return default
    try:
        return parse_time(given[name])
    except ValueError as error:
        raise bad(name, f"Invalid time value for '{name}': {error}") from error


def limit_of(given: Given) -> int:
    """How many results are wanted at most; 0 for all."""
    return parsed(given, "limit", _limit) if given.get("limit") else 0


def limited(found: Sequence[T], limit: int) -> tuple[Sequence[T], Sequence[str]]:
    """As many as are wanted, and the warning if these are not all."""
    if limit and len(found) > limit:
        return found[:limit], (TRUNCATED,)
    return found, ()


def whole(text: str) -> int:
    """A whole number of Go's 32 bits. Raises ValueError."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def selectors_of(given: Given, within: Sequence[Matcher] = ()) -> list[Sequence[Matcher]]:
    """The matchers of each series selector in `match[]`, each with those of `within`, too."""
    asked: list[Sequence[Matcher]] = [
        (*_matchers(text), *within) for text in given.getall("match[]", [])
    ]
    return asked or ([within] if within else [])


def _matchers(text: str) -> Sequence[Matcher]:
    try:
        expr = compile_query(text).expr
    except PromQLError as error:
        empty = error.message.endswith(_NOT_EMPTY)
        raise ApiError("bad_data", f"match[] {_NOT_EMPTY}" if empty else str(error)) from error
    if not isinstance(expr, Selector) or expr.offset or expr.at is not None:
        raise ApiError("bad_data", f"{text} is no series selector")
    return expr.matchers


_NOT_EMPTY = "must contain at least one non-empty matcher"


def _limit(text: str) -> int:
    number = whole(text)
    if number < 0:
        raise ValueError("limit must be non-negative")
    return number
