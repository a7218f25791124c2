"""
Plays cases on all cores, and hands back their outcomes in the order of the cases.

Chunks of cases go to processes that are spawned, not forked: nothing of this process leaks into a
run. Outcomes come in order, so the first that did not hold is the one of the lowest seed, however
many processes there are. A first Ctrl-C, or SIGTERM, lets each process finish the run that it is
in, and what was done is handed back; a second one ends everything.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from types import FrameType
from typing import Any, Final, Self

from drone_sim.explore import runs
from drone_sim.explore.runs import Case, Play, Ran
from drone_sim.result import Speed
from orchestrator.errors import Exit, OperatingError

CHUNK: Final = {Speed.CORES: 16, Speed.SHELLS: 1}
"""Cases a process is given at a time: handing over costs a millisecond, a run of cores few."""

AHEAD: Final = 4
"""Chunks for each process that may be done before the first of them is."""

LOOK_EVERY_S: Final = 0.1


class Pool:
    """
    Use as a context manager; then :meth:`run`, as often as there is something to play.

    ``jobs`` processes; with 1 everything is played in this one. ``interrupted`` tells that
    somebody wanted it to stop, so that there are fewer outcomes than cases.
    """

    def __init__(self, *, jobs: int, playing: Play = runs.play) -> None:
        self.interrupted = False
        self._jobs = jobs
        self._playing = playing
        self._context = multiprocessing.get_context("spawn")
        self._stop: Event = self._context.Event()
        self._executor: ProcessPoolExecutor | None = None
        self._others: list[BaseProcess] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over what Ctrl-C and SIGTERM do."""
        self._others = multiprocessing.active_children()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, failed: object, *_exc: object) -> None:
        """End the processes; in the middle of a run, if something has failed."""
        self._stop.set()
        if failed is not None:
            self._kill()
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def run(self, cases: Iterable[Case], *, keep_going: bool = False) -> Iterator[Ran]:
        """
        Yield the outcome of each case, in order, up to the first that did not hold.

        ``keep_going`` yields those after it too. Raises OperatingError where a process died.
        """
        outcomes = self._here(cases) if self._jobs == 1 else self._spread(cases)
        for outcome in outcomes:
            yield outcome
            if not (outcome.held or keep_going):
                return

    # --- in this process ------------------------------------------------------------------------

    def _here(self, cases: Iterable[Case]) -> Iterator[Ran]:
        for case in cases:
            if self.interrupted:
                return
            yield runs.ran(case, self._playing)

    # --- in many --------------------------------------------------------------------------------

    def _spread(self, cases: Iterable[Case]) -> Iterator[Ran]:
        """Keep every process busy, not too far ahead of the outcome that is next."""
        chunks, waiting = _chunks(iter(cases)), deque[_Given]()
        try:
            while True:
                self._fill(waiting, chunks)
                if not waiting:
                    return
                yield from self._outcomes(waiting.popleft())
        finally:
            self._drop(waiting)

    def _fill(self, waiting: deque[_Given], chunks: Iterator[tuple[Case, ...]]) -> None:
        executor = self._started()
        room = 0 if self.interrupted else self._jobs * AHEAD - len(waiting)
        for chunk in islice(chunks, room):
            waiting.append((chunk, executor.submit(_work, chunk)))

    def _outcomes(self, given: _Given) -> list[Ran]:
        """Wait for one chunk; signals are seen meanwhile, since the wait is cut into pieces."""
        chunk, future = given
        while True:
            try:
                return future.result(LOOK_EVERY_S)
            except TimeoutError:
                continue
            except BrokenProcessPool as error:
                raise _died(chunk) from error

    def _drop(self, waiting: deque[_Given]) -> None:
        """Let go of what nobody wants any more; the processes are free for the next run."""
        self._stop.set()
        for _, future in waiting:
            if not future.cancel():
                future.exception()
        if not self.interrupted:
            self._stop.clear()

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._jobs,
                mp_context=self._context,
                initializer=_begin,
                initargs=(self._playing, self._stop),
            )
        return self._executor

    # --- when it is to end ----------------------------------------------------------------------

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.interrupted:
            self._kill()
            raise KeyboardInterrupt
        self.interrupted = True
        self._stop.set()

    def _kill(self) -> None:
        for child in multiprocessing.active_children():
            if child not in self._others:
                child.kill()


_Given = tuple[tuple[Case, ...], "Future[list[Ran]]"]


def _chunks(cases: Iterator[Case]) -> Iterator[tuple[Case, ...]]:
    """Cut cases up; how does not depend on how many processes there are."""
    for first in cases:
        yield (first, *islice(cases, CHUNK[first.speed] - 1))


def _died(chunk: tuple[Case, ...]) -> OperatingError:
    named = chunk[0].label if len(chunk) == 1 else f"{chunk[0].label} to {chunk[-1].label}"
    return OperatingError(
        f"a process of the simulator died, out of memory or killed, in {named} or near it",
        exit_code=Exit.UNEXPECTED,
        next_command="the same with --jobs 1, which shows how it ends",
    )


# --- in a process that was spawned ------------------------------------------------------------

_PLAYING: list[Play] = []
_STOP: list[Event] = []


def _begin(playing: Play, stop: Event) -> None:
    """Prepare a process: Ctrl-C is its parent's business, and without that one it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _PLAYING.append(playing)
    _STOP.append(stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        signal.raise_signal(signal.SIGKILL)


def _work(chunk: tuple[Case, ...]) -> list[Ran]:
    """Play one chunk, as far as it is wanted."""
    done: list[Ran] = []
    for case in chunk:
        if _STOP[0].is_set():
            break
        done.append(runs.ran(case, _PLAYING[0]))
    return done
