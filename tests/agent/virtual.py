"""An event loop whose time passes only while nobody has anything to do: hours in no time."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from tests.agent.worlds import World

P = ParamSpec("P")

BEGAN_AT = 1000.0
UTC_AHEAD_S = 1_700_000_000.0
"""What the orchestrator's clock reads more than a device's."""


class Jump(selectors.SelectSelector):
    """Waits for nothing: where the loop would sleep, its time jumps to the end of the sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN_AT

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for somebody, for ever"
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop of one test; nothing outside its process may be waited for."""

    def __init__(self) -> None:
        self._jump = Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


class LoopClock:
    """A clock that reads the running loop's time, and ``ahead_s`` more."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self._ahead_s = ahead_s

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self._ahead_s

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


def virtual_world() -> World:
    """One device, one orchestrator and one broker, in the time of the running loop."""
    return World(wall=LoopClock(UTC_AHEAD_S), clock=LoopClock())


def virtual(story: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a story: it runs to its end in virtual time."""

    @functools.wraps(story)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(story(*args, **kwargs))

    return test
