"""How values are written for people: times, lengths of time, counts, addresses."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup, escape

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def when(milliseconds: int | None, form: str = "%Y-%m-%d %H:%M:%S UTC") -> Markup:
    """A time as an element that scripts and readers of screens understand; empty for None."""
    if milliseconds is None:
        return Markup()
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return _time(stamp, "", stamp.strftime(form))


def ago(milliseconds: int, now: int) -> Markup:
    """How long ago a time was, or how long it is until then; the time itself in its title."""
    length = now - milliseconds
    text = f"{short_span(length)} ago" if length >= 0 else f"in {short_span(-length)}"
    return since(milliseconds, text)


def since(milliseconds: int, text: str) -> Markup:
    """A text about a time, which stands in its title."""
    stamp = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return _time(stamp, f' title="{stamp:%Y-%m-%d %H:%M:%S} UTC"', text)


def _time(stamp: datetime, title: str, text: str) -> Markup:
    # A list has thousands of them: Markup's own way to format takes several times as long.
    return Markup(f'<time datetime="{stamp:%Y-%m-%dT%H:%M:%S}Z"{title}>{escape(text)}</time>')  # noqa: S704


def span(milliseconds: int) -> str:
    """A length of time in at most two units: `340 ms`, `12 s`, `3 h 5 min`."""
    if milliseconds < 1000:
        return f"{max(milliseconds, 0)} ms"
    seconds = milliseconds // 1000
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def short_span(milliseconds: int) -> str:
    """A length of time in its largest unit: `12 s`, `3 h`, `5 d`."""
    seconds = max(milliseconds, 0) // 1000
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), ("s", 1))
    return f"{seconds // size} {unit}"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: `1 task`, `1,204 tasks`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def is_web_address(text: str) -> bool:
    """Whether a link may lead there: an annotation could also be a script."""
    return text.startswith(("https://", "http://"))
