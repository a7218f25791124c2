"""
JUnit XML: what every CI shows. One suite for each speed, one case for each run.

The shape is the one that Jenkins, GitLab and GitHub's actions agree on (Jenkins' junit-10.xsd):
``testsuites``, ``testsuite``, ``testcase``, ``failure``, with counts and seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't carry, not even escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """
    One run. ``failure`` is a line, empty if all held; ``text`` says more, with how to reproduce.

    ``kind`` is what was broken: the id of an invariant.
    """

    __test__ = False  # no test of pytest's, whatever its name

    suite: str
    name: str
    took_s: float
    kind: str = ""
    failure: str = ""
    text: str = ""


def junit(cases: Sequence[TestCase], *, title: str) -> str:
    """Return the document."""
    root = ET.Element("testsuites", {"name": _clean(title), **_counts(cases)})
    for suite in dict.fromkeys(case.suite for case in cases):
        inside = [case for case in cases if case.suite == suite]
        _add_suite(root, f"{title}: {suite}", inside)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _add_suite(root: ET.Element, name: str, cases: Sequence[TestCase]) -> None:
    counts = {"name": _clean(name), **_counts(cases), "skipped": "0"}
    suite = ET.SubElement(root, "testsuite", counts)
    for case in cases:
        _add_case(suite, case)


def _add_case(suite: ET.Element, case: TestCase) -> None:
    named = {"classname": _clean(case.suite), "name": _clean(case.name)}
    shown = ET.SubElement(suite, "testcase", {**named, "time": _seconds(case.took_s)})
    if case.failure:
        why = {"message": _clean(case.failure), "type": _clean(case.kind)}
        ET.SubElement(shown, "failure", why).text = _clean(case.text)


def _counts(cases: Sequence[TestCase]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": "0",
        "time": _seconds(sum(case.took_s for case in cases)),
    }


def _seconds(value: float) -> str:
    return f"{value:.6f}"


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)
