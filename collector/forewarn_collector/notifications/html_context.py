"""Where in an HTML page a template stands: in text, a tag, an attribute's value, an address.

Source: Go's html/template/transition.go and context.go, without what is within scripts.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from enum import Enum, auto

from forewarn_collector.rules.template_nodes import TemplateError


class Where(Enum):
    """What is being written."""

    TEXT = auto()
    TAG = auto()
    ATTRIBUTE_NAME = auto()
    AFTER_NAME = auto()
    BEFORE_VALUE = auto()
    COMMENT = auto()
    RCDATA = auto()
    """The text of a title or a text area, where no tag begins."""
    RAW = auto()
    """Within a script or a style sheet."""
    VALUE = auto()
    """An attribute's value that is none of the following."""
    ADDRESS = auto()
    STYLE = auto()
    SCRIPT = auto()
    ADDRESSES = auto()


@dataclass(frozen=True, slots=True)
class Context:
    """A place in a page.

    `element` is one whose text is special, `attribute` what the value is that follows, `quote` what
    ends that (a space where it has none). Of an address or a style, `before` is what the value
    holds so far of the template's own text.
    """

    where: Where = Where.TEXT
    element: str = ""
    attribute: Where = Where.VALUE
    quote: str = ""
    before: str = ""


_SPACE = " \t\n\f\r"
_TAG_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]*(?:[:-][a-zA-Z0-9]+)*")
_NAME = re.compile(r"[^ \t\n\f\r=<>'\"]*")
_ELEMENTS = {
    "script": Where.RAW,
    "style": Where.RAW,
    "textarea": Where.RCDATA,
    "title": Where.RCDATA,
}
_ADDRESSES = frozenset(
    {
        "action",
        "archive",
        "background",
        "cite",
        "classid",
        "codebase",
        "data",
        "formaction",
        "href",
        "icon",
        "longdesc",
        "manifest",
        "poster",
        "profile",
        "src",
        "usemap",
        "xmlns",
    }
)
_ENDS = {" ": re.compile(r"[ \t\n\f\r>]"), '"': re.compile('"'), "'": re.compile("'")}


def advanced(context: Context, text: str) -> tuple[Context, int]:
    """The place after some of a template's own text, up to where it changes, and how much that is.

    Raises TemplateError for what is no HTML.
    """
    if context.quote:
        return _in_value(context, text)
    return _STEPS[context.where](context, text)


def for_action(context: Context) -> Context:
    """The place that the value of an action begins, if it stands here."""
    if context.where is Where.TAG:
        return replace(context, where=Where.ATTRIBUTE_NAME)
    if context.where is Where.BEFORE_VALUE:
        return replace(context, where=context.attribute, quote=" ", before="")
    if context.where is Where.AFTER_NAME:
        return replace(context, where=Where.ATTRIBUTE_NAME)
    return context


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start] in _SPACE:
        start += 1
    return start


def _in_text(context: Context, text: str) -> tuple[Context, int]:
    start = 0
    while True:
        start = text.find("<", start)
        if start < 0 or start + 1 == len(text):
            return context, len(text)
        if text.startswith("<!--", start):
            return Context(Where.COMMENT), start + 4
        start += 1
        ends = text[start] == "/"
        if ends and start + 1 == len(text):
            return context, len(text)
        start += ends
        name = _TAG_NAME.match(text, start)
        if name is not None:
            element = name[0].lower()
            special = "" if ends or element not in _ELEMENTS else element
            return Context(Where.TAG, special), name.end()


def _in_tag(context: Context, text: str) -> tuple[Context, int]:
    start = _skip_space(text, 0)
    if start == len(text):
        return context, start
    if text[start] == ">":
        where = _ELEMENTS.get(context.element, Where.TEXT)
        return Context(where, context.element), start + 1
    end = _end_of_name(text, start)
    if end == start:
        raise TemplateError(f"expected an attribute or the end of the tag: {text[start:][:20]!r}")
    where = Where.ATTRIBUTE_NAME if end == len(text) else Where.AFTER_NAME
    return Context(where, context.element, _attribute(text[start:end])), end


def _end_of_name(text: str, start: int) -> int:
    name = _NAME.match(text, start)
    end = start if name is None else name.end()
    if end < len(text) and text[end] in "'\"<":
        raise TemplateError(f"{text[end]!r} in the name of an attribute: {text[start:][:20]!r}")
    return end


def _attribute(written: str) -> Where:
    name = written.lower().removeprefix("data-")
    prefix, colon, rest = name.partition(":")
    if colon:
        if prefix == "xmlns":
            return Where.ADDRESS
        name = rest
    if name.startswith("on"):
        return Where.SCRIPT
    if name in {"style", "srcset", "srcdoc"}:
        # A whole page within an attribute is as little for messages as a script.
        return {"style": Where.STYLE, "srcset": Where.ADDRESSES}.get(name, Where.SCRIPT)
    if name in _ADDRESSES or "src" in name or "uri" in name or "url" in name:
        return Where.ADDRESS
    return Where.VALUE


def _in_attribute_name(context: Context, text: str) -> tuple[Context, int]:
    end = _end_of_name(text, 0)
    return (replace(context, where=Where.AFTER_NAME) if end < len(text) else context), end


def _after_name(context: Context, text: str) -> tuple[Context, int]:
    start = _skip_space(text, 0)
    if start == len(text):
        return context, start
    if text[start] != "=":
        return replace(context, where=Where.TAG), start
    return replace(context, where=Where.BEFORE_VALUE), start + 1


def _before_value(context: Context, text: str) -> tuple[Context, int]:
    start = _skip_space(text, 0)
    if start == len(text):
        return context, start
    quoted = text[start] in "'\""
    quote = text[start] if quoted else " "
    begun = replace(context, where=context.attribute, quote=quote, before="")
    return begun, start + quoted


def _in_value(context: Context, text: str) -> tuple[Context, int]:
    end = _ENDS[context.quote].search(text)
    inside = text if end is None else text[: end.start()]
    if context.quote == " " and (wrong := re.search("[\"'<=`]", inside)) is not None:
        raise TemplateError(f"{wrong[0]!r} in a value without quotes: {inside[:20]!r}")
    if end is None:
        return replace(context, before=context.before + html.unescape(inside)), len(text)
    taken = end.start() + (context.quote != " ")
    return Context(Where.TAG, context.element), taken


def _in_comment(context: Context, text: str) -> tuple[Context, int]:
    end = text.find("-->")
    return (Context(), end + 3) if end >= 0 else (context, len(text))


def _in_special(context: Context, text: str) -> tuple[Context, int]:
    end = re.search(f"</{context.element}(?=[\\s>/])", text, re.IGNORECASE)
    return (context, len(text)) if end is None else (Context(), end.start())


_STEPS = {
    Where.TEXT: _in_text,
    Where.TAG: _in_tag,
    Where.ATTRIBUTE_NAME: _in_attribute_name,
    Where.AFTER_NAME: _after_name,
    Where.BEFORE_VALUE: _before_value,
    Where.COMMENT: _in_comment,
    Where.RCDATA: _in_special,
    Where.RAW: _in_special,
}
