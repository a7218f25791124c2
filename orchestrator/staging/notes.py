"""
What is wrong with a file, where, and how to mend it: one note per finding.

A loader collects every note that it can before it gives up, so that a person mends a file once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.errors import Exit, OperatingError

NOTES_MAX: Final = 100
"""Notes kept of one file: twenty thousand devices with one mistake are one mistake."""

SHOWN_CHARS_MAX: Final = 60
"""Characters of a wrong value that a message repeats."""

Path = tuple[str | int, ...]
"""A key path inside a document: names of tables and indexes of lists."""

Lines = Mapping[Path, int]
"""The line, counted from 1, on which each key path of a document begins."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Severity(StrEnum):
    """An error refuses the file; a warning and an info do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """The place in a list that is sorted by severity, worst first."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """
    One finding. ``line`` counts from 1; ``key`` is the dotted path, empty for the whole file.

    ``component`` names who found it: file, syntax, schema, rules, overlay, gimbal, physics
    or fleet.
    """

    file: str
    line: int | None
    key: str
    message: str
    component: str
    severity: Severity = Severity.ERROR
    fix: str | None = None

    def __str__(self) -> str:
        """Show ``file:line: severity: key: message``, as compilers do, without the fix."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{self.key}: " if self.key else ""
        return f"{where}: {self.severity}: {key}{self.message}"

    def as_json(self) -> dict[str, object]:
        """Return the note as one JSON object."""
        return {
            "file": self.file,
            "line": self.line,
            "key": self.key,
            "severity": str(self.severity),
            "component": self.component,
            "message": self.message,
            "fix": self.fix,
        }


class InvalidInput(OperatingError):  # noqa: N818 - OperatingError says that it is one
    """
    A configuration, fleet, plan or blob is refused. ``notes`` says everything that is wrong.

    Exit code 9; nothing was begun.
    """

    def __init__(self, notes: Iterable[Note], *, next_command: str | None = None) -> None:
        self.notes = capped(notes)
        lines = [str(note) + (f" (fix: {note.fix})" if note.fix else "") for note in self.notes]
        super().__init__("\n".join(lines), exit_code=Exit.INVALID, next_command=next_command)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings without their file: what a device answers with a no."""
        return tuple(f"{n.key}: {n.message}" if n.key else n.message for n in self.notes)


def refuse(
    file: str, message: str, *, component: str = "file", fix: str | None = None
) -> InvalidInput:
    """Make the error of a file that is wrong as a whole."""
    note = Note(file=file, line=None, key="", message=message, component=component, fix=fix)
    return InvalidInput([note])


def capped(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Sort, drop repetitions and keep :data:`NOTES_MAX`; the last note counts the rest."""
    distinct = by_place(dict.fromkeys(notes))
    if len(distinct) <= NOTES_MAX:
        return distinct
    rest = distinct[NOTES_MAX - 1 :]
    more = Note(
        file=rest[0].file,
        line=rest[0].line,
        key="",
        message=f"and {len(rest)} more",
        component="file",
        severity=by_severity(rest)[0].severity,
    )
    return (*distinct[: NOTES_MAX - 1], more)


def by_place(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Sort as one reads the files: file, line, severity, key."""
    return tuple(sorted(notes, key=_place))


def by_severity(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Sort the worst first, then by place."""
    return tuple(sorted(notes, key=lambda note: (note.severity.rank, _place(note))))


def _place(note: Note) -> tuple[str, int, int, str, str]:
    return (note.file, note.line or 0, note.severity.rank, note.key, note.message)


def dotted(path: Path) -> str:
    """Show a key path as TOML writes it: ``overlay.group.heavy``, ``device[3].id``."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else f'"{shortened(part)}"'
            shown += f".{name}" if shown else name
    return shown


def shortened(value: str) -> str:
    """Cut a text to :data:`SHOWN_CHARS_MAX` and make what can't be printed visible."""
    visible = value.encode("unicode_escape").decode("ascii") if not value.isprintable() else value
    if len(visible) <= SHOWN_CHARS_MAX:
        return visible
    return visible[: SHOWN_CHARS_MAX - 1] + "…"


def shown(value: object) -> str:
    """Show a value of a file in a message: numbers plainly, texts in quotes, the rest by type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) < 10**18:
        return str(value)
    kinds = {dict: "a table", list: "a list", int: "a very large number"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def line_of(lines: Lines, path: Path) -> int | None:
    """Return the line of ``path`` or, where it has none (a missing key), of what contains it."""
    for end in range(len(path), -1, -1):
        found = lines.get(path[:end])
        if found is not None:
            return found
    return None
