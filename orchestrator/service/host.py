"""
What a coordinator runs on: the journal behind its appends, the transport behind its sends.

The coordinator waits for the journal, since all depends on it, and for nothing else: messages
and effects go through an outbox, so that a link that hangs delays no decision. They are started
in their order, a bounded number at a time; a message that is lost is sent again by the core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from orchestrator.ports import (
    Conflict,
    OutcomeUnknown,
    RolledBack,
    StoreUnavailable,
    Transport,
    TransportUnavailable,
)
from orchestrator.protocol.messages import Blob
from orchestrator.protocol.orchestration import (
    Append,
    ClearRetained,
    Effect,
    Journaled,
    PublishBlob,
    StoreLost,
)
from orchestrator.protocol.ready import Level, Send, notice
from orchestrator.protocol.types import FleetId
from orchestrator.service.world import World

STORE_PATIENCE_S: Final = 8.0
"""How long a store may stay away before the outcome is reported as unknown."""

STORE_PAUSE_S: Final = 0.2

IN_FLIGHT_MAX: Final = 64
"""How many messages may wait for the broker's acknowledgement at one time."""


class CoordinatorHost:
    """Performs a coordinator's Ready; see :class:`orchestrator.driver.Host`."""

    def __init__(self, world: World, fleet: FleetId, transport: Transport) -> None:
        self._world = world
        self._fleet = fleet
        self._transport = transport
        self._outbox: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()

    def now(self) -> float:
        """Return UTC in s."""
        return self._world.clock.now()

    # --- writes -------------------------------------------------------------------------------

    async def write(self, writes: Sequence[Append]) -> Journaled | StoreLost:
        """Append, and say what the journal has now, whether it was ours or somebody else's."""
        (append,) = writes
        point = "append:" + "+".join(record.kind for record in append.records)
        self._world.faults.hit(f"{point}:before")
        outcome = await self._append(append)
        self._world.faults.hit(f"{point}:after")
        return outcome

    async def _append(self, append: Append) -> Journaled | StoreLost:
        """Append with patience: what is known not to be written may be tried again."""
        began = self._world.clock.monotonic()
        while True:
            try:
                entries = await self._world.store.append(
                    self._fleet, append.expected, append.records
                )
            except Conflict:
                return await self._read_back(append, unknown=False)
            except OutcomeUnknown:
                return await self._read_back(append, unknown=True)
            except StoreUnavailable as error:
                if not await self._wait(began, error):
                    return StoreLost()
            else:
                took_s = self._world.clock.monotonic() - began
                return Journaled(entries=tuple(entries), took_s=took_s)

    async def _read_back(self, append: Append, *, unknown: bool) -> Journaled | StoreLost:
        """
        Read what is stored after the expected head (I24): never append blindly again.

        Where that head is gone the store was rolled back under us, and so it was where nothing
        is there to conflict with. Then nothing that we know is the truth any more.
        """
        began = self._world.clock.monotonic()
        while True:
            try:
                entries = await self._world.store.read(self._fleet, append.expected)
            except RolledBack as error:
                self._world.audience.tell(notice(Level.ERROR, "rolled-back", why=str(error)))
                return StoreLost()
            except StoreUnavailable as error:
                if not await self._wait(began, error):
                    return StoreLost()
            else:
                if not entries and not unknown:
                    return StoreLost()
                return Journaled(entries=tuple(entries), unknown=unknown)

    async def _wait(self, began: float, error: StoreUnavailable) -> bool:
        """Pause before another try; false once patience has run out."""
        self._world.audience.tell(notice(Level.WARNING, "store-unavailable", why=str(error)))
        if self._world.clock.monotonic() - began >= STORE_PATIENCE_S:
            return False
        await self._world.clock.sleep(STORE_PAUSE_S)
        return True

    # --- messages and effects -----------------------------------------------------------------

    async def send(self, send: Send) -> None:
        """Put one message into the outbox; returns at once."""
        self._outbox.put_nowait(lambda: self._send(send))

    def start(self, effect: Effect) -> None:
        """Put an effect into the outbox."""
        if isinstance(effect, PublishBlob):
            self._outbox.put_nowait(lambda: self._publish(effect))
        else:
            self._outbox.put_nowait(lambda: self._clear(effect))

    def workers(self) -> list[Coroutine[Any, Any, None]]:
        """Return what empties the outbox: run them all beside the driver, until cancelled."""
        return [self._work() for _ in range(IN_FLIGHT_MAX)]

    async def _work(self) -> None:
        while True:
            perform = await self._outbox.get()
            try:
                await perform()
            except (TransportUnavailable, StoreUnavailable) as error:
                told = notice(Level.DEBUG, "not-sent", why=str(error))
                self._world.audience.tell(told)
            finally:
                self._outbox.task_done()

    async def drain(self) -> None:
        """Wait until the outbox is empty and nothing is in flight."""
        await self._outbox.join()

    async def _send(self, send: Send) -> None:
        self._world.faults.hit(f"send:{send.message.kind}:before")
        await self._transport.send(send.message, send.to)
        self._world.faults.hit(f"send:{send.message.kind}:after")

    async def _publish(self, effect: PublishBlob) -> None:
        data = await self._world.store.get_blob(effect.digest)
        if data is None:
            told = notice(Level.WARNING, "blob-missing", digest=effect.digest, txn=effect.txn)
            self._world.audience.tell(told)
            return
        self._world.faults.hit("publish:blob:before")
        await self._transport.send(Blob(txn=effect.txn, digest=effect.digest, data=data))
        self._world.faults.hit("publish:blob:after")

    async def _clear(self, effect: ClearRetained) -> None:
        self._world.faults.hit("clear:before")
        await self._transport.clear(effect.txn, effect.digests, decision=effect.decision)
        self._world.faults.hit("clear:after")
