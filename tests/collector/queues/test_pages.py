"""A text as blocks in each markup: what a label says stays text, and calls nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.queues.pages import (
    Checklist,
    Facts,
    Heading,
    Lines,
    Page,
    Paragraph,
    html,
    html_within,
    jira,
    markdown,
    plain,
)

PAGE: Page = [
    Paragraph("/ on web_1 fills", strong=True),
    Facts((("Severity", "high"), ("Runbook", "https://example.org/a_b_c"))),
    Heading("Checklist"),
    Checklist(("Find what *grew*", "Tell @ann")),
    Lines(("12:00  91%", "12:01  92%")),
]


def test_markdown_has_a_table_a_task_list_and_a_fence() -> None:
    assert (
        markdown(PAGE)
        == r"""**/ on web\_1 fills**

| | |
| --- | --- |
| **Severity** | high |
| **Runbook** | https://example.org/a_b_c |

### Checklist

- [ ] Find what \*grew\*
- [ ] Tell @⁠ann

```
12:00  91%
12:01  92%
```
"""
    )


def test_plain_text_has_no_markup_at_all() -> None:
    assert (
        plain(PAGE)
        == """/ on web_1 fills

Severity: high
Runbook:  https://example.org/a_b_c

Checklist:

[ ] Find what *grew*
[ ] Tell @ann

12:00  91%
12:01  92%
"""
    )


def test_jira_has_its_own_markup() -> None:
    assert (
        jira(PAGE)
        == r"""*/ on web\_1 fills*

||Severity|high |
||Runbook|https://example.org/a_b_c |

h3. Checklist

# Find what \*grew\*
# Tell @ann

{noformat}
12:00  91%
12:01  92%
{noformat}
"""
    )


def test_html_escapes_all_and_links_addresses() -> None:
    shown = html([Paragraph("<script>"), Facts((("Runbook", "https://example.org/?a&b"),))])
    assert "<p>&lt;script&gt;</p>" in shown
    assert '<a href="https://example.org/?a&amp;b">' in shown


@pytest.mark.parametrize("said", ["``` @ann", "```` x", "`", "a ~~~ b"])
def test_nothing_in_measured_lines_ends_their_fence(said: str) -> None:
    first, *_, last, end = markdown([Lines((said, "next"))]).split("\n")
    assert end == ""
    assert first == last
    assert set(first) == {"`"}
    assert first not in said


def test_nothing_in_measured_lines_ends_jiras_block() -> None:
    assert jira([Lines(("{noformat} [~ann]",))]).count("{noformat}") == 2


@given(st.text())
def test_any_text_stays_in_its_paragraph(said: str) -> None:
    for render in (markdown, plain, html, jira):
        assert render([Paragraph(said)]).endswith("\n") or render is html
    assert "<script" not in html([Paragraph(said + "<script>")])


def test_html_that_is_too_long_is_cut_as_text_and_stays_whole_html() -> None:
    assert html_within(PAGE, 10_000) == html(PAGE)
    long: Page = [Paragraph("<&é" * 1_000)]
    cut = html_within(long, 101)
    assert len(cut.encode()) <= 101
    # Each of the repeated texts is 11 bytes as HTML, in a room of 101 less 14.
    assert cut == "<pre>" + "&lt;&amp;é" * 7 + "&lt;&amp;…</pre>"
