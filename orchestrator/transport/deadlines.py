"""Time-outs that can all be ended at once: those of the calls that wait for one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Deadlines:
    """The time-outs of the calls that wait for the broker, so that its loss ends them all."""

    def __init__(self) -> None:
        # In the order of the calls, which a set would not keep: the simulator needs it.
        self._open: dict[asyncio.Timeout, None] = {}

    @asynccontextmanager
    async def within(self, delay_s: float) -> AsyncIterator[None]:
        """Raise TimeoutError after ``delay_s``, or when :meth:`expire` is called."""
        async with asyncio.timeout(delay_s) as deadline:
            self._open[deadline] = None
            try:
                yield
            finally:
                self._open.pop(deadline, None)

    def expire(self) -> None:
        """End every waiting call now."""
        now = asyncio.get_running_loop().time()
        for deadline in self._open:
            deadline.reschedule(now)
