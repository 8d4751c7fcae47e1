"""Writes templates as HTML: each value is escaped by where it stands, as Go's html/template does.

Where values stand within scripts, style sheets or strings of styles, and in `srcset`, the template
is refused: messages have none of that. Comments of the page are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from forewarn_collector.notifications.html_context import Context, Where, advanced, for_action
from forewarn_collector.notifications.html_escapes import (
    address,
    attribute_name,
    in_quotes,
    in_rcdata,
    in_style,
    in_text,
    without_quotes,
)
from forewarn_collector.rules.template_nodes import TemplateError

_ELSEWHERE = {
    Where.RAW: "a script or style sheet",
    Where.SCRIPT: "an attribute that is a script",
    Where.ADDRESSES: "srcset",
}
_WITHIN_STRING = re.compile(r"url\([^)]*$|^[^\"]*\"(?:[^\"]*\"[^\"]*\")*[^\"]*$", re.IGNORECASE)


class HtmlWriter:
    """A `Writer` for one expansion: it knows where in the page the next piece stands."""

    def __init__(self) -> None:
        self._context = Context()

    def text(self, text: str) -> str:
        """See Writer."""
        out: list[str] = []
        context, position, written = self._context, 0, 0
        while position < len(text):
            following, taken = advanced(context, text[position:])
            end = position + taken
            if context.where in {Where.TEXT, Where.RCDATA}:
                # The last begins the tag or comment that comes now; the end of RCDATA is later.
                leaves = context.where is Where.TEXT and following.where is not Where.TEXT
                tag = text.rfind("<", position, end) if leaves else end
                for place in _stray(text, position, tag):
                    out += [text[written:place], "&lt;"]
                    written = place + 1
            elif context.where is Where.COMMENT:
                written = end
            if following.where is Where.COMMENT and context.where is not Where.COMMENT:
                out.append(text[written : end - len("<!--")])
                written = end
            context, position = following, end
        if context.where is not Where.COMMENT:
            out.append(text[written:])
        self._context = context
        return "".join(out)

    def value(self, value: Any) -> str:
        """See Writer."""
        context = self._context = for_action(self._context)
        where = context.where
        if where in _ELSEWHERE:
            raise TemplateError(f"a value can't stand in {_ELSEWHERE[where]}")
        if where is Where.STYLE and _WITHIN_STRING.search(context.before):
            raise TemplateError("a value can't stand in a string or url() of a style")
        if where is Where.COMMENT:
            return ""
        if not context.quote:
            return _BARE[where](value)
        if where is Where.ADDRESS:
            value = address(value, context.before)
        elif where is Where.STYLE:
            value = in_style(value)
        return without_quotes(value) if context.quote == " " else in_quotes(value)


_BARE: Mapping[Where, Callable[[Any], str]] = {
    Where.TEXT: in_text,
    Where.RCDATA: in_rcdata,
    Where.ATTRIBUTE_NAME: attribute_name,
}


def _stray(text: str, start: int, end: int) -> list[int]:
    """Where a `<` begins no tag."""
    places = [start + place.start() for place in re.finditer("<", text[start:end])]
    return [place for place in places if text[place : place + 9].upper() != "<!DOCTYPE"]
