"""
The one executor of a Ready, for the orchestrator and for a device alike.

It keeps the contract of :mod:`orchestrator.protocol.ready`: writes first, in order, and their
outcome told to the core before anything else; then messages; then effects; then the wake-up.
It knows neither what a vote is nor what a journal is: the host does the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from orchestrator.ports import Audience, TransportUnavailable
from orchestrator.protocol.ready import Level, Ready, Send, notice

W = TypeVar("W")
E = TypeVar("E")
V = TypeVar("V")
W_contra = TypeVar("W_contra", contravariant=True)
E_contra = TypeVar("E_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)
V_contra = TypeVar("V_contra", contravariant=True)


LOOK_AGAIN_S: Final = 1.0


class Core(Protocol[W, E, V_contra]):
    """A pure state machine."""

    def step(self, event: V_contra, now: float) -> Ready[W, E]:
        """Take one event; see the core's own docstring."""
        ...


class Host(Protocol[W_contra, E_contra, V_co]):
    """What a core runs on."""

    def now(self) -> float:
        """Return the clock reading that the core lives by, in s."""
        ...

    async def write(self, writes: Sequence[W_contra]) -> V_co:
        """Perform all writes durably, in order, and return their outcome as an event."""
        ...

    async def send(self, send: Send) -> None:
        """Hand one message to the transport; may raise TransportUnavailable."""
        ...

    def start(self, effect: E_contra) -> None:
        """Start an effect; its outcome, if it has one, is told by :meth:`Driver.tell` later."""
        ...


class Driver(Generic[W, E, V]):
    """
    Runs one core on one host. :meth:`tell` it events from any task of the same loop.

    ``tick`` makes the event for a wake-up. ``on_step`` is called after every step with the
    Ready that was performed: for a live display or a trace; it must not block.
    """

    def __init__(
        self,
        core: Core[W, E, V],
        host: Host[W, E, V],
        *,
        tick: Callable[[], V],
        audience: Audience,
        on_step: Callable[[V, Ready[W, E]], None] | None = None,
    ) -> None:
        self._core = core
        self._host = host
        self._tick = tick
        self._audience = audience
        self._on_step = on_step
        self._events: asyncio.Queue[V] = asyncio.Queue()
        self._wake_at: float | None = None
        self._stepped_at: float | None = None
        """What the host's clock read at the last step."""

    def tell(self, event: V) -> None:
        """Queue an event for the core."""
        self._events.put_nowait(event)

    async def run(self, until: Callable[[], bool]) -> None:
        """Step the core with its events until ``until()`` is true after a step."""
        while not until():
            await self.perform(await self._next())

    async def _next(self) -> V:
        """Return the next event, or a tick when the core's wake-up comes first."""
        while self._wake_at is not None:
            left_s = self._wake_at - self._host.now()
            # The loop's clock stands still while the machine sleeps, the host's need not: so look
            # at the host's clock now and then.
            try:
                async with asyncio.timeout(min(max(0.0, left_s), LOOK_AGAIN_S)):
                    return await self._events.get()
            except TimeoutError:
                if self._host.now() >= self._wake_at or self._set_back():
                    return self._tick()
        return await self._events.get()

    def _set_back(self) -> bool:
        """Whether the clock was set back since the last step: then nothing is due when it was."""
        return self._stepped_at is not None and self._host.now() < self._stepped_at

    def _step(self, event: V) -> Ready[W, E]:
        self._stepped_at = now = self._host.now()
        return self._core.step(event, now)

    async def perform(self, event: V) -> None:
        """Step the core once and do all that it asks for."""
        ready = self._step(event)
        while ready.writes:
            self._tell_all(event, ready)
            event = await self._write(ready)
            ready = self._step(event)
        for send in ready.messages:
            await self._send(send)
        for effect in ready.effects:
            self._host.start(effect)
        self._tell_all(event, ready)
        self._wake_at = ready.wake_at

    async def _write(self, ready: Ready[W, E]) -> V:
        """Perform the writes; tick the core meanwhile, where it asks to be woken."""
        writing = asyncio.ensure_future(self._host.write(ready.writes))
        wake_at = ready.wake_at
        try:
            while wake_at is not None:
                pause_s = max(0.0, wake_at - self._host.now())
                if (await asyncio.wait({writing}, timeout=pause_s))[0]:
                    break
                meanwhile = self._step(self._tick())
                for effect in meanwhile.effects:
                    self._host.start(effect)
                wake_at = meanwhile.wake_at
            return await writing
        except asyncio.CancelledError:
            # A write that went on behind the back of the next owner of the disk would be a ghost.
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            raise

    async def _send(self, send: Send) -> None:
        """Send, or say that it was lost: the core sends again whatever matters."""
        try:
            await self._host.send(send)
        except TransportUnavailable as error:
            detail = {"kind": send.message.kind, "to": send.to, "why": str(error)}
            self._audience.tell(notice(Level.DEBUG, "not-sent", **detail))

    def _tell_all(self, event: V, ready: Ready[W, E]) -> None:
        for told in ready.notices:
            self._audience.tell(told)
        if self._on_step is not None:
            self._on_step(event, ready)
