"""How values are written in HTML: in text, attributes, addresses and styles.

Source: Go's html/template: html.go, url.go, css.go and attr.go.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote_plus

from forewarn_collector.rules.go_format import format_value, sprint
from forewarn_collector.rules.go_values import Html, Pointer, Url
from forewarn_collector.rules.template_builtins import printable

REFUSED = "ZgotmplZ"
"""What Go writes in the place of a value that would be harmful there."""

_PLAIN = {
    "\0": "\ufffd",
    '"': "&#34;",
    "&": "&amp;",
    "'": "&#39;",
    "+": "&#43;",
    "<": "&lt;",
    ">": "&gt;",
}
_UNQUOTED = {
    **_PLAIN,
    "\0": "&#xfffd;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\v": "&#11;",
    "\f": "&#12;",
    "\r": "&#13;",
    " ": "&#32;",
    "=": "&#61;",
    "`": "&#96;",
}
_TEXT = str.maketrans(_PLAIN)
_NOSPACE = str.maketrans(_UNQUOTED)
# What is HTML already keeps its entities.
_MARKED = str.maketrans({k: v for k, v in _PLAIN.items() if k != "&"})
_MARKED_NOSPACE = str.maketrans({k: v for k, v in _UNQUOTED.items() if k != "&"})
_TAGS = re.compile(r"<!--.*?-->|</?[a-zA-Z](?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.DOTALL)
_SAFE_PROTOCOLS = frozenset({"http", "https", "mailto"})
_UNRESERVED = frozenset(b"-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_RESERVED = frozenset(b"!#$&*+,/:;=?@[]")
_HEX = re.compile(rb"[0-9a-fA-F]{2}")
_NOT_IN_STYLE = re.compile(r"[\0\"'()/;@\[\\\]`{}<>]|(?<=.)(?<=-)-", re.DOTALL)
_NOT_NAMES = re.compile(r"[^a-z0-9_-]|-(?=[^a-z0-9_-])")
_NAME = re.compile(r"[a-zA-Z0-9]+")


def text_of(value: Any) -> str:
    """A value as text; nothing for nil."""
    if value is None:
        return ""
    inner = value.of if isinstance(value, Pointer) and isinstance(value.of, str) else value
    return str(inner) if isinstance(inner, str) else format_value(printable(inner))


def joined(*values: Any) -> Any:
    """What `html` is in HTML: its arguments as one text, which is escaped where it stands."""
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint([printable(value) for value in values if value is not None])


def queried(*values: Any) -> Url:
    """What `urlquery` is in HTML: it need not be done a second time within an address."""
    return Url(quote_plus(joined(*values)))


def in_text(value: Any) -> str:
    """In an element's text: as it is where it is HTML."""
    return str(value) if isinstance(value, Html) else text_of(value).translate(_TEXT)


def in_rcdata(value: Any) -> str:
    """In a title or a text area."""
    return text_of(value).translate(_MARKED if isinstance(value, Html) else _TEXT)


def in_quotes(value: Any) -> str:
    """In an attribute's value within quotes; of HTML what is not tags."""
    if isinstance(value, Html):
        return _TAGS.sub("", value).translate(_MARKED)
    return text_of(value).translate(_TEXT)


def without_quotes(value: Any) -> str:
    """In an attribute's value without quotes."""
    if isinstance(value, Html):
        return _TAGS.sub("", value).translate(_MARKED_NOSPACE)
    return text_of(value).translate(_NOSPACE)


def attribute_name(value: Any) -> str:
    """In a tag: a plain name, of an attribute that holds nothing dangerous."""
    text = text_of(value)
    special = re.search(r"^on|^data-|src|uri|url|^style$|^href$|:", text.lower())
    return REFUSED if special or not _NAME.fullmatch(text) else text.lower()


def address(value: Any, before: str) -> str:
    """In an address, of which this stands before in the template."""
    text = text_of(value)
    marked = isinstance(value, Url)
    if "#" in before or "?" in before:
        return _percent(text, keeps=marked)
    if not before.strip(" \t\n\f\r") and not marked and not _is_safe(text):
        text = f"#{REFUSED}"
    return _percent(text, keeps=True)


def in_style(value: Any) -> str:
    """As a value in a style: a word, number or colour."""
    text = text_of(value)
    names = _NOT_NAMES.sub("", text.lower())
    dangerous = _NOT_IN_STYLE.search(text) or "expression" in names or "mozbinding" in names
    return REFUSED if dangerous else text


def _is_safe(url: str) -> bool:
    protocol, colon, _ = url.partition(":")
    return not colon or "/" in protocol or protocol.lower() in _SAFE_PROTOCOLS


def _percent(text: str, *, keeps: bool) -> str:
    """In percent notation; what has a meaning in addresses `keeps` it, or is taken as text."""
    octets = text.encode("utf-8", "surrogateescape")
    out = []
    for position, octet in enumerate(octets):
        kept = octet in _UNRESERVED or (keeps and octet in _RESERVED)
        if octet == 0x25 and keeps:
            kept = _HEX.match(octets, position + 1) is not None
        out.append(chr(octet) if kept else f"%{octet:02x}")
    return "".join(out)
