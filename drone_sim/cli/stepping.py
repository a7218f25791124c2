"""The lines of a replay: all at once, or one after the other at a person's word."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drone_sim.trace import Event, Kind
from orchestrator.cli.view import console

if TYPE_CHECKING:  # loaded where something is shown
    from orchestrator.cli.view import Screen

STYLES: Final[Mapping[Kind, str]] = {
    Kind.ACT: "bold yellow",
    Kind.HEALED: "yellow",
    Kind.MESSAGE: "dim",
    Kind.JOURNAL: "bold cyan",
    Kind.WRITE: "dim",
    Kind.STATE: "green",
    Kind.PROCESS: "magenta",
    Kind.NOTICE: "",
    Kind.PHASE: "bold",
    Kind.VIOLATION: "bold red",
}

PROMPT: Final = "  ▸ "
HELP: Final = "Enter: the next line · 20: so many · /text: up to one with it · a: all · q: leave"


@dataclass(slots=True)
class Stepper:
    """What a person has asked for: so many lines more, or up to one with a text."""

    left: int = 0
    until: str = ""

    def wants_more(self, line: str) -> bool:
        """Whether another line is shown before asking again."""
        if self.until:
            if self.until not in line:
                return True
            self.until = ""
            return False
        self.left -= 1
        return self.left > 0

    def take(self, answer: str) -> bool:
        """Take what was typed; false is to leave. What is not understood is the next line."""
        word = answer.strip()
        if word == "q":
            return False
        self.left, self.until = 1, ""
        if word == "a":
            self.left = sys.maxsize
        elif word.isdecimal():
            self.left = max(1, int(word))
        elif word.startswith("/"):
            self.until = word[1:]
        return True


def show_lines(screen: Screen, events: Sequence[Event], *, asking: bool) -> None:
    """Write them; ``asking`` waits for a person in between."""
    if asking:
        screen.line(HELP, "dim")
        _step(screen, events)
        return
    for event in events:
        screen.line(str(event), STYLES[event.kind])


def _step(screen: Screen, events: Sequence[Event]) -> None:
    """
    Wait after each line.

    It is written without its end: the Enter of the person, which the terminal shows, ends it.
    """
    stepper = Stepper()
    for number, event in enumerate(events, 1):
        line, last = str(event), number == len(events)
        if last or stepper.wants_more(line):
            screen.line(line, STYLES[event.kind])
            continue
        _write_unended(f"{line}{PROMPT}", STYLES[event.kind])
        answer = sys.stdin.readline()
        if not answer:
            screen.line()
        if not answer or not stepper.take(answer):
            screen.line(f"left at line {number} of {len(events)}", "dim")
            return


def _write_unended(line: str, style: str) -> None:
    from rich.text import Text

    console(no_color=False).print(Text(line, style=style), end="", soft_wrap=True)
    sys.stdout.flush()
