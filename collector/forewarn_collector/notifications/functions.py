"""The functions of an alertmanager.yml's templates, beside those that every Go template has.

Source: https://prometheus.io/docs/alerting/latest/notifications/#functions and
prometheus/alertmanager `template/template.go`, up to 0.29.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forewarn_collector.notifications.values import Strings, methods
from forewarn_collector.rules import template_functions
from forewarn_collector.rules.go_time import Duration, Time
from forewarn_collector.rules.go_values import Pointer, Struct, Url
from forewarn_collector.rules.template_arguments import ANY, STRING, STRINGS, TIME
from forewarn_collector.rules.template_builtins import BUILTINS
from forewarn_collector.rules.template_hints import close_to
from forewarn_collector.rules.template_language import Language, TemplateFunction
from forewarn_collector.rules.template_nodes import TemplateError

_OF_RULES = ("humanizeDuration", "match", "reReplaceAll", "safeHtml", "toLower", "toUpper")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)


def _join(separator: str, texts: Sequence[str] | None) -> str:
    return separator.join(texts or ())


def _in_zone(name: str, time: Time) -> Time:
    try:
        return Time(time.nanoseconds, ZoneInfo(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TemplateError(f"unknown time zone {name}") from None


def _since(now: int, time: Time) -> Duration:
    """From a time to the moment of the notification (ms)."""
    return Duration(now * 1_000_000 - time.nanoseconds)


def _title(text: str) -> str:
    """The first letter of each word large and all others small, unlike in rules' templates."""
    return _WORD.sub(_title_of_word, text)


_WORD = re.compile(r"\w+(?:['\u2019.:\u00b7]\w+)*")


def _title_of_word(match: re.Match[str]) -> str:
    word = match[0]
    for place, letter in enumerate(word):
        if letter.isalpha():
            return word[:place] + letter.title() + word[place + 1 :].lower()
    return word


def _unescaped(text: str) -> str:
    bad = _BAD_ESCAPE.search(text)
    if bad is not None:
        raise TemplateError(f'invalid URL escape "{bad[0]}"')
    return unquote_plus(text)


def _json(value: Any) -> str:
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_JSON_ESCAPES)


# As Go writes them, so that JSON can stand in HTML.
_JSON_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def _plain(value: Any) -> Any:
    if isinstance(value, Pointer):
        return _plain(value.of)
    if isinstance(value, Struct):
        own = value.go_type != "template.Pair"
        return {_json_name(name) if own else name: _plain(v) for name, v in value.fields.items()}
    if isinstance(value, dict):
        return {name: _plain(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Time):
        return value.format("2006-01-02T15:04:05.999999999Z07:00")
    return value


def _json_name(name: str) -> str:
    return name[:1].lower() + name[1:]


FUNCTIONS: Mapping[str, TemplateFunction] = {
    **{name: TemplateFunction(*signature) for name, signature in BUILTINS.items()},
    **{name: template_functions.FUNCTIONS[name] for name in _OF_RULES},
    "date": TemplateFunction(lambda layout, time: time.format(layout), (STRING, TIME)),
    "join": TemplateFunction(_join, (STRING, STRINGS)),
    "safeUrl": TemplateFunction(Url, (STRING,)),
    "since": TemplateFunction(_since, (TIME,), asks=True),
    "stringSlice": TemplateFunction(lambda *texts: Strings(texts), (STRING,), many=True),
    "title": TemplateFunction(_title, (STRING,)),
    "toJson": TemplateFunction(_json, (ANY,)),
    "trimSpace": TemplateFunction(str.strip, (STRING,)),
    "tz": TemplateFunction(_in_zone, (STRING, TIME)),
    "urlUnescape": TemplateFunction(_unescaped, (STRING,)),
}

LANGUAGE = Language(FUNCTIONS, close_to, methods)
