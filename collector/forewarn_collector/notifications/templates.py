"""The templates of an alertmanager.yml: read, checked and carried out.

Source: https://prometheus.io/docs/alerting/latest/notifications/ and prometheus/alertmanager
`template/template.go`. Files add to our own defaults, and replace what they define anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forewarn_collector.notifications.defaults import DEFAULTS
from forewarn_collector.notifications.functions import FUNCTIONS, LANGUAGE
from forewarn_collector.notifications.html_escapes import joined, queried
from forewarn_collector.notifications.html_writer import HtmlWriter
from forewarn_collector.notifications.model import Notification
from forewarn_collector.notifications.values import methods, root_of
from forewarn_collector.rules.template_arguments import ANY
from forewarn_collector.rules.template_hints import close_to
from forewarn_collector.rules.template_language import Language, TemplateFunction
from forewarn_collector.rules.template_nodes import Node, TemplateError, Tree
from forewarn_collector.rules.template_run import Expansion, Writer
from forewarn_collector.rules.template_syntax import is_empty, parse

# Every value is escaped anyhow, so that these would do it a second time.
_HTML = Language(
    {
        **FUNCTIONS,
        "html": TemplateFunction(joined, (ANY,), many=True),
        "urlquery": TemplateFunction(queried, (ANY,), many=True),
    },
    close_to,
    methods,
)


@dataclass(frozen=True, slots=True)
class Templates:
    """Definitions by their names, for the texts that call them."""

    defined: Mapping[str, Sequence[Node]]

    @staticmethod
    def default() -> Templates:
        """Those that are there without any file."""
        return Templates({}).adding("", DEFAULTS)

    def adding(self, name: str, text: str) -> Templates:
        """These and a file's, which is a template by its own `name`, too.

        Raises TemplateError with the offset of what is wrong.
        """
        tree = parse(text, LANGUAGE)
        return Templates(_merged(self.defined, {**tree.defined, name: tree.nodes}))

    def check(self, text: str) -> None:
        """Raises TemplateError where a text can't be read, or calls what is not defined."""
        tree = parse(text, LANGUAGE)
        known = _merged(self.defined, tree.defined)
        for name in sorted(tree.included):
            if name not in known:
                raise TemplateError(f"template {name!r} not defined", None)

    def text(self, text: str, notification: Notification, now: int) -> str:
        """A text for a notification at a time (ms). Raises TemplateError."""
        return self._run(LANGUAGE, text, notification, now, None)

    def html(self, text: str, notification: Notification, now: int) -> str:
        """The same as HTML: values are escaped by where they stand. Raises TemplateError."""
        return self._run(_HTML, text, notification, now, HtmlWriter())

    def _run(
        self,
        language: Language,
        text: str,
        notification: Notification,
        now: int,
        writer: Writer | None,
    ) -> str:
        tree: Tree = parse(text, language)
        defined = _merged(self.defined, tree.defined)
        expansion = Expansion(language, defined, now, writer)
        try:
            return expansion.run(tree.nodes, root_of(notification), {})
        except TemplateError as error:
            raise TemplateError(f"{expansion.node}{error}", expansion.offset) from None
        except RecursionError:
            raise TemplateError("nested too deeply", expansion.offset) from None


def _merged(
    known: Mapping[str, Sequence[Node]], more: Mapping[str, Sequence[Node]]
) -> Mapping[str, Sequence[Node]]:
    """What is defined anew replaces what was, unless it is empty, as in Go."""
    new = {name: nodes for name, nodes in more.items() if name not in known or not is_empty(nodes)}
    return {**known, **new}
