"""Results as JUnit's XML, which build servers show. One suite for each test file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from forewarn_collector.rules.testing.files import FileResult
from forewarn_collector.rules.testing.report import case_failures


def junit_xml(results: Sequence[FileResult]) -> str:
    """The document. What keeps a whole file from being run is one case of it, in error."""
    root = ET.Element("testsuites")
    for result in results:
        failures = [case_failures(result.path, each.result) for each in result.cases]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=str(result.path),
            tests=str(len(result.cases) + bool(result.problems)),
            failures=str(sum(map(bool, failures))),
            errors=str(int(bool(result.problems))),
            time=f"{sum(each.seconds for each in result.cases):.3f}",
        )
        if result.problems:
            case = ET.SubElement(suite, "testcase", name="the file", classname=str(result.path))
            error = ET.SubElement(case, "error", message=_plain(str(result.problems[0])))
            error.text = _plain("\n".join(map(str, result.problems)))
        for each, texts in zip(result.cases, failures, strict=True):
            case = ET.SubElement(
                suite,
                "testcase",
                name=_plain(each.name),
                classname=str(result.path),
                time=f"{each.seconds:.3f}",
            )
            for text in texts:
                failure = ET.SubElement(case, "failure", message=_plain(_headline(text)))
                failure.text = _plain(text)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _headline(text: str) -> str:
    """The first line that does not repeat the case's name."""
    lines = text.splitlines()
    return next((line for line in lines if not line.startswith("    name: ")), lines[0])


def _plain(text: str) -> str:
    """The text without characters that XML has no way to write."""
    return "".join(
        character for character in text.strip() if character.isprintable() or character in "\n\t"
    )
