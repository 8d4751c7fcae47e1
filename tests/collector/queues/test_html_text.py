"""What a person sees of another person's HTML."""

from __future__ import annotations

import pytest

from forewarn_collector.queues.html_text import text_of_html


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ("<p>One &amp; two</p>", "One & two"),
        ("one<br>two<div>three</div>", "one\ntwo\nthree"),
        ("<p>New</p><blockquote>Old <i>older</i></blockquote> end", "New\n end"),
        ("<style>p {}</style><script>x()</script><title>t</title>seen", "seen"),
        ("<!-- forewarn-1 -->seen", "seen"),
        ("", ""),
    ],
)
def test_blocks_begin_lines_and_what_is_quoted_or_unseen_is_left_out(
    content: str, seen: str
) -> None:
    assert text_of_html(content).strip() == seen
