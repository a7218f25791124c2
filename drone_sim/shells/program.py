"""A program that somebody holds a lock for."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Final

ENDS_IN_S: Final = 0.05
"""How long it takes to end when it is told to."""

_SIGNALLED: Final = 128


class SimProgram:
    """See :class:`orchestrator.locksmith.command.Program`: it does nothing, for ``runs_s``."""

    def __init__(self, runs_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        loop.call_later(runs_s, self._end, 0)

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    async def wait(self) -> int:
        """Wait for its end; return its exit code."""
        return await asyncio.shield(self._ended)

    def send(self, number: int) -> None:
        """End it, whatever the signal is."""
        asyncio.get_running_loop().call_later(ENDS_IN_S, self._end, _SIGNALLED + number)

    async def end(self, patience_s: float) -> None:
        """Ask it to end, and wait for it."""
        self.send(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self.wait()
