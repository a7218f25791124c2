"""
Parameter files, kept byte for byte: only the values that change are written anew.

Two formats. ArduPilot's ``.param``, as Mission Planner, MAVProxy and the firmware's own default
files write it: a name and a value, parted by a comma, an equals sign or blanks, perhaps
``@READONLY`` and a comment. QGroundControl's ``.params``: vehicle, component, name, value and
MAV_PARAM_TYPE, parted by tabs
(https://docs.qgroundcontrol.com/master/en/qgc-dev-guide/file_formats/parameters.html).
Comments, blank lines, order, line endings and the spelling of numbers stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.autopilot.numbers import ParamType, fits, held, same, show

FILE_BYTES_MAX: Final = 1024 * 1024
LINES_MAX: Final = 20_000
LINE_CHARS_MAX: Final = 1000
NAME_CHARS_MAX: Final = 16
"""The length of ``param_id`` on the wire."""

AUTOPILOT_COMPONENT: Final = 1
"""MAV_COMP_ID_AUTOPILOT1: parameters of other components are kept and not looked at."""

_VALUE: Final = r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ARDUPILOT: Final = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_]*)(?P<gap>[ \t]*[,=][ \t]*|[ \t]+)"
    rf"(?P<value>{_VALUE})[ \t]*(?:@READONLY)?[ \t]*(?:#.*)?"
)
_QGC: Final = re.compile(
    r"(?P<vehicle>[0-9]{1,3})[ \t]+(?P<component>[0-9]{1,3})[ \t]+"
    rf"(?P<name>[A-Za-z][A-Za-z0-9_]*)[ \t]+(?P<value>{_VALUE})[ \t]+(?P<type>[0-9]{{1,2}})[ \t]*"
)


class Format(StrEnum):
    """The two formats, by the ending that their files have."""

    ARDUPILOT = "param"
    QGROUNDCONTROL = "params"


class WrongLine(Exception):  # noqa: N818 - an answer, not an error
    """A parameter file is wrong: ``line`` counts from 1, ``None`` for the whole file."""

    def __init__(self, line: int | None, why: str) -> None:
        super().__init__(why if line is None else f"line {line}: {why}")
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One parameter of a file.

    ``start`` and ``end`` are where its value stands in its line; ``line`` counts from 1.
    ``type`` and ``component`` are ``None`` where the format does not say them.
    """

    name: str
    value: float
    line: int
    start: int
    end: int
    type: ParamType | None = None
    component: int | None = None

    @property
    def of_autopilot(self) -> bool:
        """Whether it is the autopilot's, and no camera's or gimbal's."""
        return self.component in {None, AUTOPILOT_COMPONENT}

    @property
    def title(self) -> str:
        """Its name, with the component where that is another one."""
        return self.name if self.of_autopilot else f"{self.name} of component {self.component}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamDocument:
    """A parameter file. ``lines`` are all of it, each with its ending."""

    format: Format
    lines: tuple[str, ...]
    entries: tuple[Entry, ...]

    def values(self) -> dict[str, float]:
        """Return the autopilot's parameters, in the file's order."""
        return {entry.name: entry.value for entry in self.entries if entry.of_autopilot}

    def lines_of(self) -> dict[str, int]:
        """Return the line of each of the autopilot's parameters."""
        return {entry.name: entry.line for entry in self.entries if entry.of_autopilot}

    def foreign(self) -> tuple[Entry, ...]:
        """Return the parameters of other components."""
        return tuple(entry for entry in self.entries if not entry.of_autopilot)

    def render(self) -> bytes:
        """Return the bytes of the file."""
        return "".join(self.lines).encode("utf-8", "surrogateescape")

    def changed(self, values: Mapping[str, tuple[ParamType, float]]) -> ParamDocument:
        """
        Return the file with these values: replaced in place, new ones at its end.

        A value that is the same stays as it is spelled, so without changes the bytes are the
        same too. Where the file has types, they go before those that are given here.
        """
        here = {entry.name: entry for entry in self.entries if entry.of_autopilot}
        lines = list(self.lines)
        for name, (kind, value) in values.items():
            entry = here.get(name)
            if entry is not None and not same(entry.type or kind, entry.value, value):
                lines[entry.line - 1] = _replaced(self.lines[entry.line - 1], entry, kind, value)
        new = {name: value for name, value in values.items() if name not in here}
        lines += self._added(lines, new)
        return parse_params("".join(lines).encode("utf-8", "surrogateescape"))

    def _added(
        self, lines: list[str], new: Mapping[str, tuple[ParamType, float]]
    ) -> Iterable[str]:
        ending = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        if new and lines and not lines[-1].endswith("\n"):
            lines[-1] += ending
        before = "".join(self._head())
        gap = self._gap()
        for name, (kind, value) in new.items():
            after = f"\t{kind.value}" if self.format is Format.QGROUNDCONTROL else ""
            yield f"{before}{name}{gap}{show(kind, value)}{after}{ending}"

    def _head(self) -> tuple[str, ...]:
        """Return what stands before the name."""
        if self.format is Format.ARDUPILOT:
            return ()
        own = next((entry for entry in self.entries if entry.of_autopilot), self.entries[0])
        return self.lines[own.line - 1].split(maxsplit=1)[0], "\t", f"{AUTOPILOT_COMPONENT}\t"

    def _gap(self) -> str:
        """Return what parts names from values in this file."""
        if self.format is Format.QGROUNDCONTROL:
            return "\t"
        found = _ARDUPILOT.match(self.lines[self.entries[-1].line - 1].strip())
        return "," if found is None or "," in found["gap"] else found["gap"]


def _replaced(line: str, entry: Entry, kind: ParamType, value: float) -> str:
    kind = entry.type or kind
    return line[: entry.start] + show(kind, value) + line[entry.end :]


def new_document(
    form: Format, values: Mapping[str, tuple[ParamType, float]], comments: Iterable[str] = ()
) -> ParamDocument:
    """Return a file of these parameters, which has at least one, under ``comments``."""
    head = [f"# {comment}\n" for comment in comments]
    if form is Format.QGROUNDCONTROL:
        head += ["#\n", "# Vehicle-Id Component-Id Name Value Type\n"]
        rows = [f"1\t1\t{n}\t{show(kind, v)}\t{kind.value}\n" for n, (kind, v) in values.items()]
    else:
        rows = [f"{name},{show(kind, value)}\n" for name, (kind, value) in values.items()]
    return parse_params("".join([*head, *rows]).encode())


# --- reading ----------------------------------------------------------------------------------


def parse_params(data: bytes) -> ParamDocument:
    """Read a parameter file of either format. Raises WrongLine."""
    if len(data) > FILE_BYTES_MAX:
        raise WrongLine(None, f"has more than {FILE_BYTES_MAX} bytes")
    text = data.decode("utf-8", "surrogateescape")
    lines = _split(text)
    if len(lines) > LINES_MAX:
        raise WrongLine(None, f"has more than {LINES_MAX} lines")
    form = _format_of(lines)
    read = _qgc_entry if form is Format.QGROUNDCONTROL else _ardupilot_entry
    entries = tuple(
        read(number, line) for number, line in enumerate(lines, 1) if _is_entry(number, line)
    )
    if not entries:
        raise WrongLine(None, "holds no parameter")
    _refuse_twice(entries)
    return ParamDocument(format=form, lines=lines, entries=entries)


def _split(text: str) -> tuple[str, ...]:
    """Part at line feeds only: a comment may hold any other character."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return tuple(lines if lines[-1] else lines[:-1])


def _bare(line: str) -> str:
    return line.removeprefix("\ufeff").strip()


def _is_entry(number: int, line: str) -> bool:
    if len(line) > LINE_CHARS_MAX:
        raise WrongLine(number, f"has more than {LINE_CHARS_MAX} characters")
    bare = _bare(line)
    if bare.startswith("@"):
        raise WrongLine(number, f"'{bare.split()[0]}' is not followed: put its lines here")
    return bool(bare) and not bare.startswith("#")


def _format_of(lines: Iterable[str]) -> Format:
    """Tell the format by the first line that is a parameter: only one begins with a number."""
    bare = (_bare(line) for line in lines)
    first = next((line for line in bare if line and not line.startswith(("#", "@"))), "")
    return Format.QGROUNDCONTROL if first[:1].isdigit() else Format.ARDUPILOT


def _entry(number: int, line: str, found: re.Match[str]) -> tuple[str, float, int, int]:
    name, text = found["name"], found["value"]
    if len(name) > NAME_CHARS_MAX:
        raise WrongLine(number, f"'{name[:40]}' is longer than {NAME_CHARS_MAX} characters")
    start = line.index(_bare(line)) + found.start("value")
    return name, _number(number, text), start, start + len(text)


def _number(number: int, text: str) -> float:
    digits = text.lstrip("+-").lower()
    if digits.startswith("0x"):
        whole = int(digits, 16)
        return -whole if text.startswith("-") else whole
    value = int(text) if digits.isdigit() else float(text)
    if not fits(ParamType.REAL32, value):
        raise WrongLine(number, f"{text[:40]} is too large for any parameter")
    return value


def _ardupilot_entry(number: int, line: str) -> Entry:
    found = _ARDUPILOT.fullmatch(_bare(line))
    if found is None:
        raise WrongLine(number, f"{_shown(line)} is not NAME,VALUE")
    name, value, start, end = _entry(number, line, found)
    return Entry(name=name, value=value, line=number, start=start, end=end)


def _qgc_entry(number: int, line: str) -> Entry:
    found = _QGC.fullmatch(_bare(line))
    if found is None:
        raise WrongLine(
            number, f"{_shown(line)} is not vehicle, component, name, value and type with tabs"
        )
    name, value, start, end = _entry(number, line, found)
    try:
        kind = ParamType(int(found["type"]))
    except ValueError:
        raise WrongLine(number, f"{found['type']} is no MAV_PARAM_TYPE (1 to 10)") from None
    if not fits(kind, value):
        raise WrongLine(number, f"{found['value'][:40]} is no {kind.name} value of {name}")
    return Entry(
        name=name,
        value=held(kind, value),
        line=number,
        start=start,
        end=end,
        type=kind,
        component=int(found["component"]),
    )


def _shown(line: str) -> str:
    bare = _bare(line)
    text = bare if len(bare) <= 40 else bare[:39] + "…"  # noqa: PLR2004 - fits on a line
    return "'" + "".join(char if char.isprintable() else "?" for char in text) + "'"


def _refuse_twice(entries: Iterable[Entry]) -> None:
    first: dict[tuple[int | None, str], int] = {}
    for entry in entries:
        before = first.setdefault((entry.component, entry.name), entry.line)
        if before != entry.line:
            raise WrongLine(entry.line, f"{entry.name} is there already, on line {before}")
