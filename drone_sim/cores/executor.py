"""
Runs one core as :class:`orchestrator.driver.Driver` does, in a world where nobody awaits anything.

The same contract (:mod:`orchestrator.protocol.ready`): writes first, in order, and their outcome
told to the core before anything else but a tick; then messages; then effects; then the wake-up.
Events that come while a write is under way wait in line, first come first served. A test feeds
both the same script and compares what they write, send and start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from orchestrator.protocol.ready import Ready, Send

W = TypeVar("W")
E = TypeVar("E")
V = TypeVar("V")
W_contra = TypeVar("W_contra", contravariant=True)
E_contra = TypeVar("E_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)
V_contra = TypeVar("V_contra", contravariant=True)


class Core(Protocol[W, E, V_contra]):
    """A pure state machine."""

    def step(self, event: V_contra, now: float) -> Ready[W, E]:
        """Take one event; see the core's own docstring."""
        ...


class Host(Protocol[W_contra, E_contra, V_co]):
    """What a core runs on; :class:`orchestrator.driver.Host` without ``await``."""

    def now(self) -> float:
        """Return the clock reading that the core lives by, in s."""
        ...

    def write(self, writes: Sequence[W_contra]) -> V_co | None:
        """
        Begin to perform all writes durably, in order.

        Returns their outcome as an event, or ``None`` where it comes later, by
        :meth:`Executor.written`, or never, since the host has died.
        """
        ...

    def send(self, send: Send) -> None:
        """Hand one message to the transport; it may be lost."""
        ...

    def start(self, effect: E_contra) -> None:
        """Start an effect; its outcome, if it has one, is told by :meth:`Executor.tell` later."""
        ...


class Executor(Generic[W, E, V]):
    """
    One core on one host. :meth:`tell` it events, :meth:`wake` it at :attr:`wake_at`.

    ``tick`` makes the event of a wake-up. ``on_step`` is called after every step of the core:
    before its writes, or when what else it asked for was done; ``before`` ahead of the step.
    :attr:`alive` is set to false by a host that dies: whatever was still to be done is then left
    undone.
    """

    def __init__(
        self,
        core: Core[W, E, V],
        host: Host[W, E, V],
        *,
        tick: Callable[[], V],
        on_step: Callable[[V, Ready[W, E]], None],
        before: Callable[[], None] | None = None,
    ) -> None:
        self.core = core
        self.host = host
        self.alive = True
        self.writing = False
        """Whether the outcome of writes is awaited."""
        self.wake_at: float | None = None
        """The reading of the host's clock at which to :meth:`wake` it."""
        self._stepped_at: float | None = None
        self._tick = tick
        self._before = before
        self._on_step = on_step
        self._inbox: deque[V] = deque()

    def tell(self, event: V) -> None:
        """Take an event, at once or as soon as the writes under way are done."""
        if self.writing:
            self._inbox.append(event)
        else:
            self._perform(event)

    def written(self, outcome: V) -> None:
        """Take the outcome of the writes under way."""
        self.writing = False
        self._perform(outcome)

    def wake(self) -> None:
        """
        Let the core see that it is time; meanwhile a write is under way it only starts effects.

        Nothing happens before :attr:`wake_at`, or where the core is not to be woken; but a clock
        that was :attr:`set_back` makes it look anew.
        """
        if self.wake_at is None or (self.host.now() < self.wake_at and not self.set_back):
            return
        if not self.writing:
            self._perform(self._tick())
            return
        if self._before is not None:
            self._before()
        if self._dead():
            return
        event = self._tick()
        ready = self._stepped(event)
        for effect in ready.effects:
            self.host.start(effect)
        self.wake_at = ready.wake_at
        self._on_step(event, ready)

    @property
    def set_back(self) -> bool:
        """Whether the host's clock reads less than at the last step."""
        return self._stepped_at is not None and self.host.now() < self._stepped_at

    def _stepped(self, event: V) -> Ready[W, E]:
        self._stepped_at = now = self.host.now()
        return self.core.step(event, now)

    def _dead(self) -> bool:
        return not self.alive

    def _perform(self, event: V) -> None:
        """Step the core with an event, and with what has come meanwhile."""
        while self.alive:
            outcome = self._step(event)
            if outcome is not None:
                event = outcome
            elif self.writing or not self._inbox:
                return
            else:
                event = self._inbox.popleft()

    def _step(self, event: V) -> V | None:
        """Step once; return the outcome of its writes, where that is known at once."""
        if self._before is not None:
            self._before()
            if not self.alive:
                return None
        ready = self._stepped(event)
        self.wake_at = ready.wake_at
        if ready.writes:
            self._on_step(event, ready)
            self.writing = True
            outcome = self.host.write(ready.writes)
            self.writing = outcome is None
            return outcome
        for send in ready.messages:
            self.host.send(send)
            if self._dead():
                return None
        for effect in ready.effects:
            self.host.start(effect)
        self._on_step(event, ready)
        return None
