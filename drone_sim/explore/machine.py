"""What the simulator asks of the machine that it runs on: the one place that does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import sched_getaffinity  # noqa: TID251 - how many processes make sense here
from time import monotonic, process_time  # noqa: TID251 - measures the simulator, not the product


def real_s() -> float:
    """Return a clock that goes with real time, in s; only differences mean something."""
    return monotonic()


def cpu_s() -> float:
    """Return how long this process has computed, in s."""
    return process_time()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(sched_getaffinity(0))


class Endless(KeyboardInterrupt):
    """
    A run does not end.

    It is a KeyboardInterrupt so that an event loop passes it on, and no handler of errors in the
    program that is played takes it for one of its own.
    """


@contextmanager
def computing_at_most(limit_s: float) -> Iterator[None]:
    """
    Raise :class:`Endless` in what takes longer to compute: in the main thread of a process only.

    A run that never ends would otherwise be the one whose seed nobody learns.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _end)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _end(_number: int, _frame: object) -> None:
    raise Endless
