"""What every command is given: settings, a view, and the world that they lead to."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO, cast

from cyclopts import Parameter

from orchestrator.cli.view import View
from orchestrator.settings import LOG_LEVELS, Settings

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.ready import Notice
    from orchestrator.service.world import World

_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of ``aimctl``."""

    settings: Settings
    view: View

    @property
    def no_color(self) -> bool:
        """Whether the operator wants no colour."""
        return self.settings.no_color.value == "true"

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked: a terminal to read from, and one to ask on."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def live(self) -> bool:
        """Whether a table that is redrawn makes sense: text output, and a terminal to draw on."""
        return not self.view.machine and sys.stderr.isatty()

    def audience(self) -> LogLater:
        """Return where notices go."""
        return LogLater(level=self.settings.log_level.value)

    @asynccontextmanager
    async def world(
        self, *, reading: bool = False, existing: bool = False
    ) -> AsyncIterator[World]:
        """
        Open the store; ``reading`` makes none where there is none yet, ``existing`` refuses that.

        Raises OperatingError for a store that can't be opened, or does not exist and must.
        """
        from orchestrator.errors import Exit, OperatingError
        from orchestrator.wiring import make_world

        if existing and self.store_is_missing():
            raise OperatingError(
                f"the store {self.settings.store.shown} does not exist; nothing was begun",
                exit_code=Exit.UNREACHABLE,
                next_command="aimctl doctor",
            )

        store = self.settings.store.value
        if reading and self.store_is_missing():
            self.view.say(f"note      the store {self.settings.store.shown} does not exist yet")
            store = "memory:"
        async with make_world(
            store=store, broker=self.settings.broker.value, audience=self.audience()
        ) as world:
            yield world

    def store_is_missing(self) -> bool:
        """Whether the store is a file that nobody has made yet."""
        name = self.settings.store.value.removeprefix(_SQLITE)
        if name == self.settings.store.value or not name:
            return False
        return not Path(name).expanduser().exists()

    def again(self, *words: str) -> str:
        """Return an ``aimctl`` command for the same store and broker, ready for a shell."""
        flags: list[str] = []
        for setting in (self.settings.store, self.settings.broker):
            if setting.origin.startswith("flag") and setting.shown == setting.value:
                flags += [f"--{setting.name}", setting.value]
        return shlex.join(["aimctl", *words, *flags])


Given = Annotated[Context, Parameter(parse=False)]
"""How a command asks for its context; it is no parameter of the command line."""

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option that is there or not."""


@dataclass(slots=True, kw_only=True)
class LogLater:
    """Logs notices of ``level`` and above; what logs is loaded with the first of them."""

    level: str
    _log: Any = field(default=None, init=False)

    def tell(self, notice: Notice) -> None:
        """Log one notice."""
        if LOG_LEVELS.index(notice.level.value) < LOG_LEVELS.index(self.level):
            return
        if self._log is None:
            from orchestrator import telemetry

            telemetry.configure(self.level, stream=cast("TextIO", _Stderr()))
            self._log = telemetry.LogAudience()
        self._log.tell(notice)


class _Stderr:
    """Whatever stderr is at the moment: a live table stands in for it while it is drawn."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()
