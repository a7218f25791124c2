"""
One run of a coordinator: with its transport, its heartbeat and an eye on the journal.

The session owns every task that it starts and ends them all; what happens is told to the
coordinator as events, and the coordinator alone decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar, get_args

from orchestrator.driver import Driver
from orchestrator.locksmith.keeper import Keeper, Lost
from orchestrator.ports import Reconnected, RolledBack, StoreUnavailable, Transport
from orchestrator.protocol.coordinator import FINAL, Coordinator, Phase
from orchestrator.protocol.messages import DeviceMessage, Hello
from orchestrator.protocol.orchestration import (
    AbortAsked,
    Append,
    Arrived,
    Connected,
    CoordinatorReady,
    Detach,
    Effect,
    Event,
    Journaled,
    LeaseLost,
    Push,
    StoreLost,
    Tick,
)
from orchestrator.protocol.ready import Level, notice
from orchestrator.protocol.records import Decided
from orchestrator.service.host import CoordinatorHost
from orchestrator.service.world import World

T = TypeVar("T")

LOOK_EVERY_S: Final = 0.5
"""How often the journal is looked at for what others have appended (an abort, a takeover)."""

DRAIN_S: Final = 2.0
CANCEL_AGAIN_S: Final = 0.2

_FROM_DEVICES: Final = get_args(DeviceMessage)

Watch = Callable[[Coordinator], None]


class Session:
    """
    Runs ``coordinator`` until it is final.

    ``watch`` is called after every step: a live display reads the coordinator there. ``since`` is
    the monotonic instant before the lock was taken, from which its lease counts. ``marks``
    holds the monotonic instants at which the journal reached begun, decided and ended.
    """

    def __init__(
        self,
        world: World,
        coordinator: Coordinator,
        transport: Transport,
        watch: Watch | None = None,
        *,
        since: float | None = None,
    ) -> None:
        self._world = world
        self._coordinator = coordinator
        self._transport = transport
        self._watch = watch
        self._fleet = coordinator.state.fleet
        self._host = CoordinatorHost(world, self._fleet, transport)
        self._driver: Driver[Append, Effect, Event] = Driver(
            coordinator, self._host, tick=Tick, audience=world.audience, on_step=self._stepped
        )
        self._votes_seen = 0
        self._since = since
        self._enough = False
        self.on_message: Callable[[DeviceMessage], None] | None = None
        """Called with each message of a device: for whoever counts them; it must not block."""
        self.interrupted = False
        self.timed_out = False
        self.marks: dict[str, float] = {}

    async def run(self) -> None:
        """Run to the end; every task is over when it returns or raises."""
        background = [self._receive(), self._look(), *self._host.workers()]
        epoch, owner = self._coordinator.epoch, self._coordinator.owner
        if epoch is not None and owner is not None:
            keeper = Keeper(
                self._world.store,
                self._world.clock,
                fleet=self._fleet,
                claim=epoch,
                owner=owner,
                lost=self._lease_lost,
                since=self._since,
            )
            background.append(keeper.run())
        await alongside(self._main(), *background)

    async def _main(self) -> None:
        await self._driver.run(until=lambda: self._enough or self._coordinator.phase in FINAL)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._host.drain()

    def enough(self) -> None:
        """End after this step, whatever the coordinator still has in mind: only for Settle."""
        self._enough = True

    def interrupt(self) -> None:
        """Take the operator's Ctrl-C: before the decision abort, after it only detach."""
        self.interrupted = True
        txn = self._coordinator.state.open
        decided = txn is not None and txn.decided is not None
        # Who detaches from an ABORT defers every device that has not acknowledged it yet.
        asked = Detach() if decided else AbortAsked(cause="interrupted by its operator")
        self._driver.tell(asked)

    def time_out(self, timeout_s: float) -> None:
        """Take the end of the operator's patience: abort, if nothing is decided."""
        txn = self._coordinator.state.open
        undecided = txn is None or txn.decided is None
        if undecided and self._coordinator.finished is None:
            self.timed_out = True
            self._driver.tell(AbortAsked(cause=f"no decision within {timeout_s:g} s"))

    async def _receive(self) -> None:
        async for item in self._transport.receive():
            if isinstance(item, Reconnected):
                self._driver.tell(Connected())
            elif isinstance(item.message, _FROM_DEVICES):
                if self.on_message is not None:
                    self.on_message(item.message)
                await self._hear(item.message, item.at)

    async def _hear(self, message: DeviceMessage, at: float) -> None:
        """
        Tell the coordinator what a device says; before a HELLO, what the journal says.

        The answer to a HELLO lets a device operate as what the fleet *is*. From a fold that is
        older than the question it might let it operate what the fleet *was* (I25): so where the
        journal can't be read a HELLO stays unanswered, and is said again.
        """
        if isinstance(message, Hello) and not await self._read_news():
            return
        self._driver.tell(Arrived(message=message, at=at))

    async def _look(self) -> None:
        """Tell the coordinator what somebody else has appended."""
        while True:
            await self._world.clock.sleep(LOOK_EVERY_S)
            await self._read_news()

    async def _read_news(self) -> bool:
        """
        Read what the fold lacks; false where the journal can't be read.

        Where the store was rolled back the coordinator stops: no device may hear what it knows.
        """
        try:
            entries = await self._world.store.read(self._fleet, self._coordinator.state.known)
        except RolledBack as error:
            self._world.audience.tell(notice(Level.ERROR, "rolled-back", why=str(error)))
            self._driver.tell(StoreLost())
            return False
        except StoreUnavailable:
            return False
        if entries:
            self._driver.tell(Journaled(entries=tuple(entries)))
        return True

    async def _lease_lost(self, _why: Lost) -> None:
        """Look who has the lock before stopping: the journal says whether we are fenced."""
        await self._read_news()
        self._driver.tell(LeaseLost())

    def _stepped(self, _event: Event, _ready: CoordinatorReady) -> None:
        self._mark()
        self._count_votes()
        if self._watch is not None:
            self._watch(self._coordinator)

    def _mark(self) -> None:
        now, txn = self._world.clock.monotonic(), self._coordinator.state.open
        if txn is not None:
            self.marks.setdefault("begun", now)
        if any(isinstance(record, Decided) for record in self._coordinator.appending):
            self.marks.setdefault("deciding", now)
        if txn is not None and txn.decided is not None:
            self.marks.setdefault("decided", now)
        if self._coordinator.finished is not None:
            self.marks.setdefault("ended", now)

    def _count_votes(self) -> None:
        """Pass a fault point at each number of votes, where a test may end the process."""
        if self._coordinator.phase is not Phase.PREPARING:
            return
        if not isinstance(self._coordinator.goal, Push):
            return
        counted = self._coordinator.witness.votes_counted
        while self._votes_seen < counted:
            self._votes_seen += 1
            self._world.faults.hit(f"votes:{self._votes_seen}:after")


async def alongside(main: Coroutine[Any, Any, T], *background: Coroutine[Any, Any, None]) -> T:
    """
    Await ``main`` while ``background`` runs; then cancel the background.

    An exception of a background task ends ``main`` and is raised: nothing fails unseen.
    """
    first = asyncio.ensure_future(main)
    others = [asyncio.ensure_future(one) for one in background]
    try:
        pending: set[asyncio.Future[Any]] = {first, *others}
        while not first.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task is not first and task.exception() is not None:
                    raise task.exception() or RuntimeError
        return await first
    finally:
        await _end([first, *others])


async def _end(tasks: list[asyncio.Future[Any]]) -> None:
    """Cancel until they end: up to Python 3.11 a library may swallow a cancellation (gh-86296)."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
