"""A test in simulated time: its story runs on a SimLoop, from true time 0, as the world itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from drone_sim.shells.loop import simulate

P = ParamSpec("P")


def simulated(story: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a test of a story: it runs to its end in virtual time."""

    @functools.wraps(story)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        simulate(story(*args, **kwargs))

    return test
