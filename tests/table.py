"""
The table of step × fault × outcome that the end of a run prints.

A test notes its row among its ``user_properties``: these come with its report from whichever
process has run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

ROW: Final = "row"
"""The name of the property that is a row's cells."""

HEAD: Final = ("who", "step", "fault", "then", "ends", "codes", "held s", "took s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One case. ``ends`` is the configuration that the whole fleet runs in the end: old or new.

    ``codes`` are the exit codes in the order of the processes, ``hold_s`` the longest time that
    one device held, ``None`` where no transaction was decided.
    """

    who: str
    step: str
    fault: str
    then: str
    ends: str
    codes: tuple[int, ...]
    hold_s: float | None
    took_s: float

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        held = "-" if self.hold_s is None else f"{self.hold_s:.2f}"
        codes = " ".join(str(code) for code in self.codes)
        took = f"{self.took_s:.1f}"
        return self.who, self.step, self.fault, self.then, self.ends, codes, held, took


def lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lay the rows out under their head, a line at a time."""
    cells = [HEAD, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    for index, line in enumerate(cells):
        yield "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        if index == 0:
            yield "  ".join("-" * width for width in widths)
