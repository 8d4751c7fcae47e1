"""A text for people as blocks, and the same in each markup that trackers read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of what follows."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `strong` is said with emphasis."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Checklist:
    """Things to do, in order."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Text whose lines and spaces matter: measured values, a log. `html` is its form as HTML."""

    lines: tuple[str, ...]
    html: Markup | None = None


Block = Heading | Paragraph | Facts | Checklist | Lines
Page = Sequence[Block]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MENTION = re.compile(r"(?<![\w`])@(?=\w)")
_JIRA = re.compile(r"([\\*_{}\[\]^~+|!?])")
_HALF_ENTITY = re.compile(r"&[#\w]*\Z")
_ADDRESS = re.compile(r"https?://\S+")
# An invisible joiner: the text looks the same and calls nobody.
_QUIET_AT = "@\u2060"


def markdown(page: Page) -> str:
    """As GitHub and GitLab read it. What a label says is text, never markup, and calls nobody."""
    return _joined(_markdown(page))


def plain(page: Page) -> str:
    """As lines of text."""
    return _joined(_plain(page))


def html(page: Page) -> str:
    """As a piece of HTML."""
    return str(Markup("\n").join(_html(page)))


def html_within(page: Page, longest: int) -> str:
    """As HTML of at most so many bytes; what would be longer is cut, and is plain text then.

    A cut in the midst of HTML could swallow whatever follows it.
    """
    whole = html(page)
    if len(whole.encode(errors="replace")) <= longest:
        return whole
    room = longest - len("<pre>…</pre>".encode())
    said = str(escape(plain(page))).encode(errors="replace")[:room].decode("utf-8", "ignore")
    return f"<pre>{_HALF_ENTITY.sub('', said)}…</pre>"


def jira(page: Page) -> str:
    """As Jira's wiki markup, which its API of version 2 takes in the cloud and on servers."""
    return _joined(_jira(page))


def _markdown(page: Page) -> Iterator[str]:
    for block in page:
        match block:
            case Heading(text):
                yield f"### {_md(text)}"
            case Paragraph(text, strong):
                said = "  \n".join(_md(line) for line in text.splitlines())
                yield f"**{said}**" if strong and said else said
            case Facts(rows):
                yield "\n".join(
                    ["| | |", "| --- | --- |", *(f"| **{_md(n)}** | {_md(v)} |" for n, v in rows)]
                )
            case Checklist(items):
                yield "\n".join(f"- [ ] {_md(item)}" for item in items)
            case Lines(lines):
                longest = max((len(m) for line in lines for m in re.findall("`+", line)), default=0)
                fence = "`" * max(3, longest + 1)
                yield "\n".join([fence, *lines, fence])


def _plain(page: Page) -> Iterator[str]:
    for block in page:
        match block:
            case Heading(text):
                yield f"{text}:"
            case Paragraph(text):
                yield text
            case Facts(rows):
                width = max((len(name) for name, _ in rows), default=0) + 1
                yield "\n".join(f"{name + ':':<{width}} {value}" for name, value in rows)
            case Checklist(items):
                yield "\n".join(f"[ ] {item}" for item in items)
            case Lines(lines):
                yield "\n".join(lines)


def _html(page: Page) -> Iterator[Markup]:
    for block in page:
        match block:
            case Heading(text):
                yield Markup("<h3>{}</h3>").format(text)
            case Paragraph(text, strong):
                said = Markup("<br>").join(escape(line) for line in text.splitlines())
                yield Markup("<p>{}</p>").format(
                    Markup("<b>{}</b>").format(said) if strong else said
                )
            case Facts(rows):
                cells = (
                    Markup("<tr><th>{}</th><td>{}</td></tr>").format(n, _a(v)) for n, v in rows
                )
                yield Markup("<table>\n{}\n</table>").format(Markup("\n").join(cells))
            case Checklist(items):
                listed = Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
                yield Markup("<ol>{}</ol>").format(listed)
            case Lines(lines, given):
                yield (
                    given if given is not None else Markup("<pre>{}</pre>").format("\n".join(lines))
                )


def _jira(page: Page) -> Iterator[str]:
    for block in page:
        match block:
            case Heading(text):
                yield f"h3. {_wiki(text)}"
            case Paragraph(text, strong):
                said = "\n".join(_wiki(line) for line in text.splitlines())
                yield f"*{said}*" if strong and said and "\n" not in said else said
            case Facts(rows):
                yield "\n".join(f"||{_wiki(name)}|{_wiki(value)} |" for name, value in rows)
            case Checklist(items):
                yield "\n".join(f"# {_wiki(item)}" for item in items)
            case Lines(lines):
                # Nothing can be escaped in it, so its end may not stand in it.
                kept = (line.replace("{noformat", "{ noformat") for line in lines)
                yield "\n".join(["{noformat}", *kept, "{noformat}"])


def _joined(blocks: Iterator[str]) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _md(text: str) -> str:
    """Text as text; addresses stay what they are."""
    return _around_addresses(
        " ".join(text.split("\n")),
        lambda said: _MENTION.sub(_QUIET_AT, _MARKDOWN.sub(r"\\\1", said)),
    )


def _wiki(text: str) -> str:
    return _around_addresses(text, lambda said: _JIRA.sub(r"\\\1", said))


def _around_addresses(text: str, escaped: Callable[[str], str]) -> str:
    text, pieces, end = " ".join(text.split("\n")), [], 0
    for found in _ADDRESS.finditer(text):
        pieces += [escaped(text[end : found.start()]), found.group()]
        end = found.end()
    return "".join([*pieces, escaped(text[end:])])


def _row(row: tuple[str, str]) -> Markup:
    return Markup("<tr><th>{}</th><td>{}</td></tr>").format(row[0], _a(row[1]))


def _a(value: str) -> Markup:
    if not value.startswith(("https://", "http://")):
        return escape(value)
    return Markup('<a href="{}">{}</a>').format(value, value)
