"""What Debian's promtool makes of templates: hundreds of them in one run."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_QUOTED = r'"(?:\\.|[^"\\])*"'
_ALERT = re.compile(r"Labels:\{(?P<labels>.*)\}\n\s*Annotations:\{(?P<annotations>.*)\},?\n")
_PAIR = re.compile(rf"(\w+)=({_QUOTED})")
_ESCAPE = re.compile(r'\\(?:([abfnrtv\\"])|x(..)|u(.{4})|U(.{8}))')
_LETTERS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_FAILED = re.compile(r'(?s)<error expanding template: .*?(?:executing "[^"]*" )?(at <.*>)')


def expand_all(
    folder: Path, texts: Sequence[str], elements: Sequence[tuple[Mapping[str, str], str]]
) -> list[list[str]]:
    """Each text for each element (labels without the metric's name `metric`, value)."""
    given = {f"t{position}": text for position, text in enumerate(texts)}
    rule = {"alert": "A", "expr": "metric", "annotations": given}
    _write(folder / "rules.yml", {"groups": [{"name": "g", "rules": [rule]}]})
    series = [
        {"series": f"metric{{{_labels(labels)}}}", "values": value} for labels, value in elements
    ]
    nothing = {"eval_time": "0m", "alertname": "A", "exp_alerts": []}
    case = {
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": [nothing],
        "external_labels": {"region": "eu", "dc": "fra 1"},
        "external_url": "https://prom.example.org/a/b?c=d",
    }
    _write(folder / "test.yml", {"rule_files": ["rules.yml"], "tests": [case]})
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {}
    for match in _ALERT.finditer(done.stderr):
        labels = {name: unquote(text) for name, text in _PAIR.findall(match["labels"])}
        del labels["alertname"]
        texts_of = {name: unquote(text) for name, text in _PAIR.findall(match["annotations"])}
        found[tuple(sorted(labels.items()))] = [texts_of[name] for name in given]
    assert len(found) == len(elements), done.stdout[-2000:] + done.stderr[-2000:]
    return [found[tuple(sorted(labels.items()))] for labels, _ in elements]


def refused(folder: Path, texts: Sequence[str]) -> list[bool]:
    """Whether promtool refuses each text when it reads a rule file."""
    rules = [
        {"alert": f"Rule{position}x", "expr": "metric", "annotations": {"text": text}}
        for position, text in enumerate(texts)
    ]
    _write(folder / "rules.yml", {"groups": [{"name": "g", "rules": rules}]})
    done = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return [f'"Rule{position}x"' in done.stderr for position in range(len(texts))]


def cause(text: str) -> str:
    """A failure's node and cause: the rest of its text is worded by each in its own way."""
    match = _FAILED.fullmatch(text)
    if match is None:
        return text
    # What Go prints of things that it can't compare is mixed up, and of a value within a list
    # it knows only that it is of some type.
    found = re.sub("non-comparable type.*", "non-comparable", match[1])
    return re.sub(r"in type (interface \{\}|int|float64|string)>", "in type ...>", found)


def unquote(quoted: str) -> str:
    """A Go literal's text."""

    def letter(match: re.Match[str]) -> str:
        if match[1]:
            return _LETTERS.get(match[1], match[1])
        code = int(match[2] or match[3] or match[4], 16)
        # \\x80 and above is an octet without its letter, which no text of Python can hold.
        return "\ufffd" if match[2] and code >= 0x80 else chr(code)

    return _ESCAPE.sub(letter, quoted[1:-1])


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={json.dumps(text)}" for name, text in labels.items())


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
