"""
GitHub Actions: annotations, and the summary of a step.

Both are in force where the environment says that it is one of GitHub's runners. The forms are
those of "Workflow commands for GitHub Actions": a line ``::error title=T::text``, and a file of
Markdown that ``GITHUB_STEP_SUMMARY`` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SUMMARY_BYTES_MAX: Final = 1024 * 1024
"""GitHub drops a larger summary altogether."""

ANNOTATIONS_MAX: Final = 10
"""GitHub shows no more errors of one step."""

_DATA: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY: Final = {**_DATA, ":": "%3A", ",": "%2C"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something to annotate; with a file and a line it is shown beside that line."""

    title: str
    text: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        """Return the command."""
        properties = {"file": self.file, "line": self.line, "title": self.title}
        given = ",".join(
            f"{name}={_escaped(str(value), _PROPERTY)}"
            for name, value in properties.items()
            if value is not None
        )
        return f"::error {given}::{_escaped(self.text, _DATA)}"


def _escaped(text: str, how: Mapping[str, str]) -> str:
    return "".join(how.get(char, char) for char in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """A step of a workflow. ``summary`` is the file of its summary, where there is one."""

    summary: Path | None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """Return the step that this process is in, if it is in one."""
        if environment.get("GITHUB_ACTIONS") != "true":
            return None
        summary = environment.get("GITHUB_STEP_SUMMARY")
        return cls(summary=Path(summary) if summary else None)

    def annotations(self, troubles: Sequence[Trouble]) -> Iterable[str]:
        """Yield the lines to print, on either stream: as many as are shown."""
        yield from map(str, troubles[:ANNOTATIONS_MAX])

    def summarize(self, markdown: str) -> None:
        """Add to the summary of the step. Raises OSError where its file can't be written."""
        data = (markdown.rstrip("\n") + "\n\n").encode()
        if self.summary is not None and len(data) <= SUMMARY_BYTES_MAX:
            with self.summary.open("ab") as file:
                file.write(data)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown; what would break a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(plain.split())
