"""Texts in Textile; what Redmine made of them was seen on Redmine 5.0.4, see the comments."""

from __future__ import annotations

import pytest

from forewarn_collector.queues.pages import Checklist, Facts, Heading, Lines, Paragraph
from forewarn_collector.queues.textile import textile


def test_each_block_has_its_markup() -> None:
    page = [
        Heading("Evidence"),
        Paragraph("one\ntwo", strong=True),
        Facts((("Severity", "high"), ("Due", "2026-03-02 12:00:00 UTC"))),
        Checklist(("Clean it", "Grow it")),
        Lines(("  a |b|", "c")),
    ]
    assert textile(page) == (
        "h3. Evidence\n\n"
        "p. *one*\n*two*\n\n"
        "|_. Severity |high |\n|_. Due |2026-03-02 12:00:00 UTC |\n\n"
        "# Clean it\n# Grow it\n\n"
        "<pre>\n  a |b|\nc\n</pre>\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("a *b* c", "a_b_", "@code@", "-gone-", "+new+", "x|y", "#12", "[[Page]]", "{{toc}}"),
        *("!http://a.b/c.png!", "r12", "since r12", "user:ana", "commit:c0ffee", "==x==", "<b>"),
        *("ABC(Alphabet)", "%{color:red}x%", "&amp;", "a--b", "ü"),
    ],
)
def test_what_may_have_a_meaning_is_told_to_have_none(text: str) -> None:
    assert textile([Paragraph(text)]).startswith("p. <notextile>")


def test_an_address_stays_one() -> None:
    # Redmine makes a link of an address that has a space before it, and not in a notextile.
    assert textile([Paragraph("*It*: https://example.org/a_b_c (now)")]) == (
        "p. <notextile>*It*:</notextile> https://example.org/a_b_c <notextile>(now)</notextile>\n"
    )


def test_no_text_ends_what_is_around_it() -> None:
    # Redmine showed `</notextile> *x*` and `</pre>` as they are here, with the joiner unseen.
    said = textile([Paragraph("a </notextile> *x* #1"), Lines(("</pre> <b>",))])
    assert said == (
        "p. <notextile>a <\u2060/notextile> *x* #1</notextile>\n\n<pre>\n<\u2060/pre> <b>\n</pre>\n"
    )


def test_an_empty_page_and_empty_texts_are_no_trouble() -> None:
    assert textile([]) == "\n"
    assert textile([Paragraph(" \n "), Facts((("Where", ""),))]) == ("|_. Where | |\n")
