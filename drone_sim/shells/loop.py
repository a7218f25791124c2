"""
An event loop in virtual time, on which simulated processes are killed and paused like real ones.

Theory of operation
===================
*Time.* The loop never waits: where it would, its time jumps to the next timer. Two runs of one
program make the same jumps. Like a real loop it is never early and has a grain, a nanosecond.
When nothing is left to wait for, :class:`Deadlock` is raised.

*Order.* asyncio keeps tasks in sets (TaskGroup, ``wait``), ordered by the address of each; here
tasks and futures hash by their number. ``call_soon`` keeps asyncio's order, first in, first out:
that is a documented guarantee, and what may really vary (delays, losses, crashes) is drawn by
the simulated world.

*Processes.* Everything that a task starts runs in its context, so a context variable tells whose
callback it is. A callback of a process that was killed never runs: no ``finally``, no goodbye, as
after ``kill -9``. Those of a paused one wait in order until it is resumed. Steps, callbacks of
processes, are counted, and the owner of a given one can be told to die before it: a crash at every
await. (Their number may differ between two Pythons: one's library may await more often.)

*Time is true.* What a process reads of ``loop.time()`` is its clock's business (:mod:`.clocks`).

*The end.* When the run is over nothing of it runs any more: what is left is closed while every
process is dead, so that no ``finally`` has an effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import heapq
import math
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from drone_sim.result import Crash
from drone_sim.shells.handles import Numbered, SimFuture, SimHandle, SimTask, SimTimer, owner_in
from drone_sim.shells.process import PROCESS, Killed, Process, current_process, never

__all__ = [
    "CREEP_S",
    "GRAIN_S",
    "TURNS_MAX",
    "Deadlock",
    "Killed",
    "Process",
    "SimLoop",
    "current_process",
    "never",
    "sim_loop",
    "simulate",
    "spawn",
    "spawn_in",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GRAIN_S: Final = 2.0**-30
"""True time is a multiple of this, about a nanosecond: sums of such times are exact."""

TURNS_MAX: Final = 1000
CREEP_S: Final = 2.0**-20
"""After so many turns at one instant each further turn takes this long, about a microsecond."""


class Deadlock(Exception):  # noqa: N818 - a finding about the program, like StopIteration
    """Everybody waits, and nothing will ever happen."""


class _Jump:
    """Stands where an event loop has its selector: never waits, lets time jump."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Deadlock(f"at {self._loop.time():.3f} s everybody waits for ever")
        if timeout > 0:
            self._loop.jump()
        else:
            self._loop.turn()
        return []

    def close(self) -> None:
        """Nothing to give back."""


class SimLoop(asyncio.BaseEventLoop):
    """
    The loop. Use :func:`simulate`, which makes one, runs it and takes it apart.

    ``unhandled`` holds what asyncio would have logged of the living: an exception that nobody
    has seen. ``steps`` counts the callbacks of all processes, from 1; the owner of one of
    ``fatal_steps`` dies before it. ``failure`` is what :meth:`fail` was told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jumps = 0
        self.steps = 0
        self.fatal_steps: Collection[int] = ()
        self.unhandled: list[str] = []
        self.failure: BaseException | None = None
        self.processes: list[Process] = []
        self._now = 0.0
        self._numbers = 0
        self._over = False
        self._turns = 0
        self._clock_resolution = GRAIN_S / 4  # positive, or a timer that is due now would never be
        self._selector = _Jump(self)
        self.set_task_factory(_make_task)
        self.set_exception_handler(_note_unhandled)

    def time(self) -> float:
        """Return true time in s since the start of the run."""
        return self._now

    def jump(self) -> None:
        """Let time pass to the next timer: never short of it, at most one grain beyond."""
        self.jumps += 1
        self._turns = 0
        next_at_s = self._scheduled[0].when()  # type: ignore[attr-defined]
        self._now = max(self._now, math.ceil(next_at_s / GRAIN_S) * GRAIN_S)

    def turn(self) -> None:
        """
        Count a turn in which no time passes; after too many it does.

        A program that waits until its own clock reads enough, which by an error of rounding it
        does not do yet, would ask for ever: on a real computer asking takes time.
        """
        self._turns += 1
        if self._turns > TURNS_MAX:
            self._now += CREEP_S

    def next_number(self) -> int:
        """Return the next number of a task, a future or a timer."""
        self._numbers += 1
        return self._numbers

    def lets(self, handle: asyncio.Handle, owner: Process | None) -> bool:
        """Whether a callback runs now: nothing does once the run has failed."""
        if self.failure is not None:
            return False
        return owner is None or owner.may_run(self, handle)

    def again(self, handle: asyncio.Handle) -> None:
        """Queue a callback that was held back."""
        self._ready.append(handle)  # type: ignore[attr-defined]

    def fail(self, failure: BaseException) -> None:
        """
        End the run after this callback: :func:`simulate` raises ``failure``, the first if several.

        For whoever finds the program wrong in the middle of the program, which must not be able to
        catch what is raised.
        """
        if self.failure is None:
            self.failure = failure
            self.stop()

    def finish(self) -> None:
        """Take everything apart without an effect: the run is over."""
        self._over = True
        for process in self.processes:
            process.alive = False
        self.set_exception_handler(lambda *_: None)
        closed = set[asyncio.Task[Any]]()
        asyncio._set_running_loop(self)  # noqa: SLF001 - a ``finally`` may start something
        while left := asyncio.all_tasks(self) - closed:
            for task in sorted(left, key=hash):
                _close(task)
            closed |= left
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()

    # --- what BaseEventLoop asks of its platform, and what we must see ------------------------

    def create_future(self) -> SimFuture:
        """Return a future with a number."""
        return SimFuture(self.next_number(), loop=self)

    def _process_events(self, event_list: object) -> None:
        """Nothing ever comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody is woken."""

    def _call_soon(
        self, callback: Any, args: Any, context: contextvars.Context | None
    ) -> asyncio.Handle:
        handle = SimHandle(callback, args, self, context)
        handle.owner, handle.sim = owner_in(context), self
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule a callback for a true time."""
        timer = SimTimer(when, callback, args, self, context)
        timer.owner, timer.sim = owner_in(context), self
        timer.at_s, timer.number = when, self.next_number()
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined] # noqa: SLF001 - as asyncio does
        return timer

    def call_soon_threadsafe(self, callback: object, *args: object, **more: object) -> Any:
        """Refuse: threads have no order."""
        raise RuntimeError(f"a thread called back into the simulation: {callback}, {args}, {more}")

    def run_in_executor(
        self,
        executor: Executor | None,  # noqa: ARG002 - whichever it is
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> SimFuture:
        """Run it here and now; Killed, which ends the caller, is raised into it."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's
            done.set_exception(error)
        return done

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        """Close a generator that was dropped half-way, in our order; asyncio asks a thread to."""
        if not self._over:
            self.call_soon(self.create_task, agen.aclose())


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Future[Any]:
    assert isinstance(loop, SimLoop)  # noqa: S101 - for mypy; the loop sets this factory itself
    return SimTask(loop.next_number(), coro, loop=loop, **more)


def _note_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what went wrong unseen, unless it is the death throes of a process."""
    process = _owner(context)
    if isinstance(loop, SimLoop) and (process is None or process.alive):
        who = "the world" if process is None else process.name
        loop.unhandled.append(f"{who}: {context['message']}: {context.get('exception')!r}")


def _owner(context: dict[str, Any]) -> Process | None:
    about = context.get("future") or context.get("task")
    if isinstance(about, Numbered):
        return about.process
    handle = context.get("handle")
    return handle.owner if isinstance(handle, SimHandle | SimTimer) else current_process()


def _close(task: Any) -> None:
    """End the coroutine of a task; what it says to that is of no interest any more."""
    task._log_destroy_pending = False  # noqa: SLF001 - there is no public way to say so
    with contextlib.suppress(BaseException):
        task.get_coro().close()


def spawn(process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run ``work`` as the main task of a process, which ends with it."""
    sim_loop().processes.append(process)
    process.main = task = spawn_in(process, work)
    task.add_done_callback(lambda _task: process.kill(), context=contextvars.Context())
    return task


def spawn_in(process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run more ``work`` in a process that runs already."""
    context = contextvars.copy_context()
    context.run(PROCESS.set, process)
    return sim_loop().create_task(work, context=context)


def sim_loop() -> SimLoop:
    """Return the running loop. Raises RuntimeError where it is not a simulated one."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimLoop):
        raise RuntimeError("this runs in a simulation only")  # noqa: TRY004 - no argument's type
    return loop


def simulate(main: Coroutine[Any, Any, T], *, crashes: Sequence[Crash] = ()) -> T:
    """
    Run ``main`` to its end in virtual time and return its result, or raise what ended it.

    ``crashes`` at awaits kill the process whose step it is; the others are left to the seams.
    """
    with _alone():
        loop = SimLoop()
        loop.fatal_steps = frozenset(crash.at for crash in crashes if crash.await_)
        try:
            return loop.run_until_complete(main)
        except BaseException:
            if loop.failure is not None:
                raise loop.failure from None
            raise
        finally:
            loop.finish()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """
    Let a loop run even inside another, and no garbage be collected meanwhile.

    A finalizer would run at an instant of its own choice.
    """
    outer, collecting = asyncio._get_running_loop(), gc.isenabled()  # noqa: SLF001 - as below
    gc.disable()
    asyncio._set_running_loop(None)  # noqa: SLF001 - asyncio offers it to loops
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)  # noqa: SLF001 - as above
        if collecting:
            gc.enable()
