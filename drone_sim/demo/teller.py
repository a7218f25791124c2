"""
Tells the story on a terminal, as it happens: plain text, a little colour where it is wanted.

With ``out=None`` nothing is told; the story is the same.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TextIO

from orchestrator.ports import Clock

WIDTH: Final = 98
ROWS_MAX: Final = 16
"""Devices that are shown one by one; more are grouped."""

_INDENT: Final = " " * 9
_GUTTER: Final = "     | "
_CONTINUED: Final = " " * 12
"""Under the values of an error: ``  held by   mira@…``."""


class Style(StrEnum):
    """ANSI SGR parameters (ECMA-48 §8.3.117)."""

    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    BAD = "1;31"
    HOT = "33"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one device ends with, as it is shown."""

    device: str
    version: str
    state: str
    digest: str
    held_ms: float | None


class Teller:
    """Writes lines to ``out``; times are seconds since it was made."""

    def __init__(self, out: TextIO | None, clock: Clock, *, color: bool) -> None:
        self._out = out
        self._clock = clock
        self._color = color
        self._began = clock.monotonic()
        terminal = out is not None and out.isatty()
        self._columns = shutil.get_terminal_size().columns if terminal else None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock.monotonic() - self._began

    def styled(self, text: str, style: Style) -> str:
        """Return ``text`` in ``style``, where there is colour."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if self._color else text

    def line(self, text: str = "") -> None:
        """Write one line as it is. When nobody reads any more, the story goes on untold."""
        if self._out is None:
            return
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except BrokenPipeError:
            out, self._out = self._out, None
            with suppress(OSError):  # or the interpreter complains when it ends
                out.close()

    def title(self, text: str) -> None:
        """Begin a part of the story."""
        self.line()
        self.line(self.styled(text, Style.BOLD))

    def paragraph(self, text: str) -> None:
        """Write running text, wrapped."""
        for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False):
            self.line(line)

    def fact(self, name: str, text: str) -> None:
        """Write a name and what it is."""
        self.line(f"{self.styled(f'{name:<9}', Style.DIM)}{text}")

    def command(self, shown: str) -> None:
        """Show a command that is about to run, with the time; long ones go on below."""
        time = self.styled(f"{self.elapsed_s:5.1f} s", Style.DIM)
        lines = textwrap.wrap(
            shown, WIDTH - 13, break_long_words=False, break_on_hyphens=False
        ) or [""]
        for number, line in enumerate(lines):
            more = " \\" if number + 1 < len(lines) else ""
            head = f"{time}  $ " if number == 0 else _INDENT + "    "
            self.line(head + self.styled(line + more, Style.BOLD))

    def result(self, text: str, style: Style | None = None) -> None:
        """Say below a command what came of it."""
        for line in textwrap.wrap(text, WIDTH - len(_INDENT), break_on_hyphens=False):
            self.line(_INDENT + (line if style is None else self.styled(line, style)))

    def quote(self, text: str, style: Style | None = None) -> None:
        """Show what a program printed, word for word; a terminal's long lines go on below."""
        for whole in text.rstrip("\n").splitlines():
            for line in self._fitted(whole):
                shown = line if style is None else self.styled(line, style)
                self.line((_GUTTER + shown).rstrip())

    def _fitted(self, line: str) -> list[str]:
        if self._columns is None or len(line) <= self._columns - len(_GUTTER):
            return [line]
        return textwrap.wrap(
            line,
            self._columns - len(_GUTTER),
            subsequent_indent=_CONTINUED,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def check(self, claim: str, *, kept: bool) -> None:
        """Show one promise, and whether it was kept."""
        word = self.styled("kept  ", Style.GOOD) if kept else self.styled("BROKEN", Style.BAD)
        self.line(f"  {word} {claim}")

    def table(self, rows: Sequence[Row]) -> None:
        """Show what each device runs; large fleets by what is alike."""
        shown = [_cells(row) for row in rows] if len(rows) <= ROWS_MAX else list(_grouped(rows))
        header: tuple[str, ...] = ("device", "runs", "state", "active file", "held")
        if all(row.held_ms is None for row in rows):
            header, shown = header[:-1], [cells[:-1] for cells in shown]
        widths = [max(len(cells[i]) for cells in [header, *shown]) for i in range(len(header))]
        self.line()
        self.line("  " + self.styled(_joined(header, widths), Style.DIM))
        for cells in shown:
            self.line("  " + _joined(cells, widths))


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
    return "   ".join(padded).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    return (row.device, row.version, row.state, _short(row.digest), milliseconds([row.held_ms]))


def _short(digest: str) -> str:
    return digest[:19] + "…" if digest.startswith("sha256:") else digest


def _grouped(rows: Sequence[Row]) -> Iterable[tuple[str, ...]]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.version, row.state, row.digest), []).append(row)
    for (version, state, digest), same in groups.items():
        name = same[0].device
        if len(same) > 1:
            name = f"{same[0].device} … {same[-1].device} ({len(same)})"
        yield name, version, state, _short(digest), milliseconds([row.held_ms for row in same])


def milliseconds(values: Iterable[float | None]) -> str:
    """Show times held, from the least to the most."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    least, most = duration(known[0]), duration(known[-1])
    return least if least == most else f"{least} to {most}"


def duration(value_ms: float) -> str:
    """Show a time in ms below a second, else in s."""
    return f"{value_ms / 1e3:.1f} s" if value_ms >= 1e3 else f"{value_ms:.0f} ms"  # noqa: PLR2004
