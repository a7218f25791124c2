"""What a command shows: results on stdout, as text or as one document; the rest on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.cli.view import Screen, console, say, unbroken

if TYPE_CHECKING:  # loaded where something is shown: --help stays quick
    from orchestrator.service.parts import Top


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """Text for people, or with ``machine`` exactly one document on stdout."""

    machine: bool

    @property
    def drawing(self) -> bool:
        """Whether somebody watches the narration on a terminal."""
        return sys.stderr.isatty()

    @property
    def asking(self) -> bool:
        """Whether somebody can press a key: a terminal to read from, and one to write on."""
        return not self.machine and sys.stdin.isatty() and sys.stdout.isatty()

    def screen(self) -> Screen:
        """Return stdout, for text."""
        return Screen(console(no_color=False))

    def say(self, line: str, style: str = "") -> None:
        """Tell something beside the result."""
        say(line, style, no_color=False)

    def show(self, document: Callable[[], Top], text: Callable[[Screen], None]) -> None:
        """Show the result in the form that was asked for; only that one is made."""
        with unbroken(stdout=True):
            if not self.machine:
                text(self.screen())
                return
            from drone_sim.cli.documents import encoded

            sys.stdout.write(encoded(document()) + "\n")
