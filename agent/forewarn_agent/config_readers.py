"""What a field of the agent's configuration may hold, beyond what every configuration knows.

Each takes what YAML made of a value and raises ValueError with what it expects.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from forewarn_agent.transport import parse_address
from forewarn_wire import readers

MIN_INTERVAL = 1_000
MIN_SPOOL = 2**20


def address(value: Any) -> str:
    return str(parse_address(readers.text(value)))


def url(value: Any) -> str:
    url = readers.text(value)
    parse_address(url.partition("?")[0])
    return url


def token(environment: Mapping[str, str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        # The value never appears in a message: it may be the secret itself.
        kind, _, name = readers.text(value).partition(":")
        if kind != "env" or not name:
            raise ValueError("write env:NAME, or use token_file; a token does not belong here")
        if not environment.get(name):
            raise ValueError(f"the environment has no {name}")
        return environment[name]

    return read


def existing_file(value: Any) -> str:
    path = readers.text(value)
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} does not exist or may not be read by this user")
    return path


def positive_duration(value: Any) -> int:
    found = readers.duration(value)
    if found <= 0:
        raise ValueError("must be longer than 0")
    return found


def interval(value: Any) -> int:
    found = readers.duration(value)
    if found < MIN_INTERVAL:
        raise ValueError(f"must be 1s or longer, found {value!r}")
    return found


def spool_size(value: Any) -> int:
    found = readers.size(value)
    if found < MIN_SPOOL:
        raise ValueError("must be 1MiB or more")
    return found


def name(value: Any) -> str:
    found = readers.text(value)
    if not found.strip():
        raise ValueError("must not be empty")
    return found


def regex(value: Any) -> str:
    found = readers.text(value)
    try:
        re.compile(found)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return found


def regexes(value: Any) -> tuple[str, ...]:
    return tuple(regex(item) for item in readers.texts(value))


def absolute_paths(value: Any) -> tuple[str, ...]:
    paths = readers.texts(value)
    for path in paths:
        if not os.path.isabs(path):
            raise ValueError(f"{path} must start with /")
    if not paths:
        raise ValueError("give at least one path or glob")
    return paths


def encoding(value: Any) -> str:
    found = readers.text(value)
    try:
        line_end = "\n".encode(found)
    except LookupError as error:
        raise ValueError(f"unknown encoding {found}; utf-8 and latin-1 are usual") from error
    if line_end != b"\n":
        raise ValueError(f"{found} does not end lines with a single byte; use utf-8 or latin-1")
    return found


def statuses(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, int) or isinstance(item, bool) or not 100 <= item <= 599:
            raise ValueError(f"expected HTTP statuses such as [200, 204], found {item!r}")
    return tuple(items)


def headers(value: Any) -> tuple[tuple[str, str], ...]:
    headers = readers.text_mapping(value)
    for name, text in headers.items():
        if re.search(r"[^!-9;-~]", name) or re.search(r"[\r\n]", text) or not name:
            raise ValueError(f"{name!r} is no header")
    return tuple(headers.items())
