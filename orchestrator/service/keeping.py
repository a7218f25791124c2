"""
Holding a lock for another program: as long as it runs, and no longer.

The lock is kept alive beside the program, the journal is watched, and whoever asks for the lock
is answered. A program whose lock was lost is ended: it must not work on next to a new owner.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.command import Program
from orchestrator.locksmith.keeper import Keeper, Lost
from orchestrator.ports import RolledBack, StoreUnavailable
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import apply
from orchestrator.protocol.records import Answer, LockReleased, LockState, LockTaken, Record
from orchestrator.protocol.types import FleetId
from orchestrator.service import holding, locks
from orchestrator.service.holding import Want
from orchestrator.service.locks import Held
from orchestrator.service.results import LockView
from orchestrator.service.session import alongside
from orchestrator.service.world import World

LOOK_EVERY_S: Final = 0.5
"""How often the journal is looked at for a takeover, a request, an early release."""

KILL_AFTER_S: Final = 5.0
"""How long a program whose lock was lost has to end: TTL less STOP_SELF_AFTER_S."""

Launch = Callable[[Mapping[str, str]], Awaitable[Program]]
"""Starts the program with these variables in its environment; raises CommandUnusable."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """
    How it ended: the program's own exit code, and why the lock was lost under it.

    ``given_back`` is whether the lock is free of us; where it is not, our death makes us a ghost.
    """

    code: int
    lost: str | None
    given_back: bool


async def take(world: World, fleet: FleetId, want: Want) -> Held | LockView:
    """
    Take the lock as :func:`holding.acquire` does; cancelled, it leaves nothing behind.

    The caller must then :func:`run` something under it, which releases it.
    """
    owner = want.owner or world.me(want.purpose)

    def undo(state: FleetState) -> tuple[Record, ...]:
        if state.lock.owner != owner or state.lock.state is not LockState.HELD:
            return ()
        released = lease.release(state, state.lock.epoch, owner)
        return () if isinstance(released, lease.NotTheLock) else released

    try:
        return await holding.acquire(world, fleet, want)
    except asyncio.CancelledError:
        # By owner, not by grant: a slow store may have stored it and not told. A process that
        # takes a lock for itself takes one at a time.
        with suppress(OperatingError):
            await locks.change(world, fleet, undo)
        raise


def environment(held: Held) -> dict[str, str]:
    """Return what the program is told of its lock: the epoch is a fencing token."""
    fleet, epoch = held.state.fleet, held.epoch
    return {
        "AIM_LOCK_ID": f"{fleet}@{epoch}",
        "AIM_LOCK_FLEET": fleet,
        "AIM_LOCK_EPOCH": str(epoch.number),
        "AIM_LOCK_INCARNATION": str(epoch.incarnation),
    }


async def run(world: World, held: Held, launch: Launch, tell: Tell) -> Kept:
    """
    Run a program under a lock that we hold, and give the lock back whatever happens.

    It may give it back itself, early. Raises what ``launch`` raises.
    """
    keeping = _Keeping(world, held, tell)
    try:
        program = await launch(environment(held))
        try:
            code = await alongside(keeping.work(program), keeping.keep(), keeping.look(program))
        finally:
            await program.end(KILL_AFTER_S)
    finally:
        await keeping.give_back()
    return Kept(code=code, lost=keeping.lost, given_back=not keeping.ours)


class _Keeping:
    """One lock that is kept; ``ours`` while the journal has it as ours, ``lost`` says why not."""

    def __init__(self, world: World, held: Held, tell: Tell) -> None:
        self.ours = True
        self.lost: str | None = None
        self._world = world
        self._held = held
        self._tell = tell
        self._state = held.state
        self._reading = asyncio.Lock()
        self._over = asyncio.Event()

    async def work(self, program: Program) -> int:
        """Wait for the program's end, or bring it about when the lock is lost."""
        ended = asyncio.ensure_future(program.wait())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({ended, over}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await program.end(KILL_AFTER_S)
            return await ended
        finally:
            over.cancel()
            ended.cancel()

    async def keep(self) -> None:
        """Renew the lease until the lock is lost or given back."""
        held = self._held
        keeper = Keeper(
            self._world.store,
            self._world.clock,
            fleet=held.state.fleet,
            claim=held.epoch,
            owner=held.owner,
            lost=self._not_kept,
            since=held.since,
        )
        await keeper.run()

    async def _not_kept(self, why: Lost) -> None:
        """Look into the journal for who has it now; given back is not lost."""
        if await self._explained():
            return
        if why is Lost.TAKEN:
            self.ours = False
            self._lose("the store says that it is not ours any more")
        else:
            self._lose(f"it could not be renewed for {lease.STOP_SELF_AFTER_S:g} s")

    def _lose(self, why: str) -> None:
        self.lost = why
        self._over.set()

    # --- the journal --------------------------------------------------------------------------

    async def look(self, program: Program) -> None:
        """See a takeover and an early release; answer a request, and pass it on."""
        while self.ours and self.lost is None:
            await self._world.clock.sleep(LOOK_EVERY_S)
            try:
                await self._read()
                await self._answer(program)
            except RolledBack as error:
                self._lose(str(error))  # our epoch may be somebody else's there
            except (StoreUnavailable, OperatingError):
                continue  # the keeper ends that

    async def _read(self) -> None:
        async with self._reading:
            known = self._state.known
            for entry in await self._world.store.read(self._held.state.fleet, known):
                self._state = apply(self._state, entry)
                if self.ours and isinstance(entry.record, LockTaken | LockReleased):
                    self.ours = False
                    self._note(entry.record)

    async def _explained(self) -> bool:
        """Whether the journal tells how our holding has ended."""
        with suppress(StoreUnavailable):
            await self._read()
        return not self.ours

    def _note(self, record: LockTaken | LockReleased) -> None:
        """Tell what has ended our holding."""
        if isinstance(record, LockTaken):
            why = f" ({record.reason})" if record.reason else ""
            self._lose(f"{record.owner} has taken it, by {record.purpose}{why}")
        elif record.by == self._held.owner:
            self._tell(f"{self._state.fleet}@{self._held.epoch} is given back, by the command")
        else:
            self._lose(f"{record.by} has freed it")

    async def _answer(self, program: Program) -> None:
        asked = self._state.lock.release_requested
        if not self.ours or asked is None or self._state.lock.release_answered is not None:
            return
        held = self._held

        def rule(state: FleetState) -> tuple[Record, ...]:
            mine = state.lock.epoch == held.epoch and state.lock.owner == held.owner
            return lease.answer(state, held.owner, Answer.FINISH) if mine else ()

        await locks.change(self._world, held.state.fleet, rule)
        await self._read()
        self._tell(f"release asked by {asked.by}: {asked.reason}; the command is told to end")
        program.send(signal.SIGTERM)

    # --- the end ------------------------------------------------------------------------------

    async def give_back(self) -> None:
        """Release what is still ours; whether it was taken meanwhile is seen here at last."""
        if not self.ours:
            return
        held = self._held
        try:
            await holding.release(self._world, held.state.fleet, held.epoch, held.owner)
        except OperatingError as error:
            if error.exit_code is not Exit.FENCED:
                self._tell(f"not given back: {error.message}")
                return
            if not await self._explained():
                self.lost = error.message
        else:
            self._tell(f"{held.state.fleet}@{held.epoch} is given back")
        self.ours = False
