"""What to write instead of a function or variable that rules' templates do not have."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

_ALERTMANAGER = "is Alertmanager's, for its notifications, not for rules"
_GRAFANA = "is Grafana's, not for Prometheus' rules"
_SPRIG = "is of Helm (sprig), not for Prometheus' rules; compute in the expression, or use printf"
_OTHERS = {
    **dict.fromkeys(
        ("join", "toJson", "stringSlice", "since", "tz", "date", "append", "dict", "list"),
        _ALERTMANAGER,
    ),
    "trimSpace": f"{_ALERTMANAGER}; use reReplaceAll",
    **dict.fromkeys(
        (
            "filterLabels",
            "filterLabelsRe",
            "removeLabels",
            "removeLabelsRe",
            "mergeLabelValues",
            "deduplicate",
        ),
        _GRAFANA,
    ),
    **dict.fromkeys(("queryEscape", "pathEscape"), "is vmalert's; use urlQueryEscape"),
    **dict.fromkeys(("htmlEscape", "quotesEscape", "jsonEscape"), "is vmalert's; use html or js"),
    "crlfEscape": "is vmalert's; use reReplaceAll",
    "parseDurationTime": "is vmalert's; use parseDuration",
    "formatTime": "is vmalert's; use (toTime ...).Format",
    **dict.fromkeys(
        ("add", "sub", "mul", "div", "mod", "max", "min", "round", "floor", "ceil", "default"),
        _SPRIG,
    ),
    **dict.fromkeys(
        ("trim", "trimSuffix", "trimPrefix", "replace", "regexReplaceAll"),
        "is of Helm (sprig), not for Prometheus' rules; use reReplaceAll",
    ),
    "contains": "is of Helm (sprig), not for Prometheus' rules; use match",
    "hasPrefix": "is of Helm (sprig), not for Prometheus' rules; use match",
    "upper": "is of Helm (sprig); use toUpper",
    "lower": "is of Helm (sprig); use toLower",
    "tmpl": "is only for console pages; use {{ template }}",
}


def of_function(name: str, functions: Collection[str]) -> str:
    """The hint for a function that there is not."""
    if name in _OTHERS:
        return f"{name} {_OTHERS[name]}"
    return close_to(name, functions)


def close_to(name: str, functions: Collection[str]) -> str:
    """The hint for a name that is nearly that of a function."""
    same = {known.lower(): known for known in functions}
    close = get_close_matches(name.lower(), same, 1)
    return f"did you mean {same[close[0]]}?" if close else ""


def of_variable(name: str, scope: Collection[str], within_definition: bool) -> str:
    """The hint for a variable that there is not."""
    if name == "$values":
        return "$values is Grafana's; Prometheus has one $value"
    if within_definition:
        return 'a definition sees only what it is given, as . and $: {{ template "name" . }}'
    close = get_close_matches(name, scope, 1)
    return f"did you mean {close[0]}?" if close else ""
