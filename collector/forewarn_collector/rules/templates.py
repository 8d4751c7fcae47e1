"""Templates in annotations and labels: Go's template language, carried out on an alert's data.

Source: prometheus/prometheus `template/template.go`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from forewarn_collector.rules.go_values import Struct
from forewarn_collector.rules.template_functions import FUNCTIONS, TemplateContext
from forewarn_collector.rules.template_hints import of_function
from forewarn_collector.rules.template_language import Language
from forewarn_collector.rules.template_nodes import TemplateError, Text, Tree
from forewarn_collector.rules.template_run import Expansion
from forewarn_collector.rules.template_syntax import parse

__all__ = ["Template", "TemplateContext", "TemplateData", "TemplateError"]

_LANGUAGE = Language(FUNCTIONS, of_function)
_VARIABLES = {
    "$labels": "Labels",
    "$externalLabels": "ExternalLabels",
    "$externalURL": "ExternalURL",
    "$value": "Value",
}
_ROOT = (
    "struct { Labels map[string]string; ExternalLabels map[string]string; "
    "ExternalURL string; Value float64 }"
)


@dataclass(frozen=True, slots=True)
class TemplateData:
    """What a template speaks of: the labels (with the metric's name) and value of an element."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A template that was read and found good. `source` is how it was written."""

    source: str
    tree: Tree = field(repr=False)
    plain: str | None = None
    """The text where there is no action in it, so that it is the same for every element."""

    @staticmethod
    def parse(text: str) -> Template:
        """Read a template. Raises TemplateError with the offset of what is wrong."""
        tree = parse(text, _LANGUAGE, _VARIABLES)
        texts = [node.text for node in tree.nodes if isinstance(node, Text)]
        return Template(text, tree, "".join(texts) if len(texts) == len(tree.nodes) else None)

    @property
    def asks_queries(self) -> bool:
        """Whether its text may change though the alert does not."""
        return not self.tree.functions.isdisjoint(("query", "now"))

    @property
    def reads_value(self) -> bool:
        """Whether its text may depend on the value."""
        return "alue" in self.source or _WHOLE_DATA.search(self.source) is not None

    def expand(self, data: TemplateData, context: TemplateContext) -> str:
        """The text for one element. A failure becomes the text, as in Prometheus."""
        if self.plain is not None:
            return self.plain
        expansion = Expansion(_LANGUAGE, self.tree.defined, context)
        try:
            return self._run(expansion, data, context)
        except TemplateError as error:
            cause = str(error)
        except RecursionError:
            cause = "nested too deeply"
        place = expansion.place(self.source)
        return f"<error expanding template: error executing template: {place}: {cause}>"

    def failure(self, data: TemplateData, context: TemplateContext) -> TemplateError | None:
        """With what, and at which offset, the template would fail for one element."""
        expansion = Expansion(_LANGUAGE, self.tree.defined, context)
        try:
            self._run(expansion, data, context)
        except (TemplateError, RecursionError) as error:
            return TemplateError(str(error), expansion.offset)
        return None

    def _run(self, expansion: Expansion, data: TemplateData, context: TemplateContext) -> str:
        fields = {
            "Labels": _labels(data.labels),
            "ExternalLabels": _labels(context.external_labels),
            "ExternalURL": context.external_url,
            "Value": data.value,
        }
        variables = {name: fields[source] for name, source in _VARIABLES.items()}
        return expansion.run(self.tree.nodes, Struct(_ROOT, fields), variables)


# A dot or dollar by itself: all there is of an element, its value among it.
_WHOLE_DATA = re.compile(r"\{\{.*(?<![\w.)$])[.$](?!\w).*\}\}", re.DOTALL)


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    # Nothing in a template changes a map, so that one is as good as its copy.
    return labels if type(labels) is dict else dict(labels)
