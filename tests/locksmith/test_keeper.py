"""The heartbeat, in virtual time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from orchestrator.locksmith.keeper import Keeper, Lost
from orchestrator.ports import Claim, OutcomeUnknown, StoreUnavailable
from orchestrator.protocol.records import Head, LockRequested, LockState, LockTaken
from orchestrator.protocol.types import FleetId, Owner, Ticket
from orchestrator.storage.memory import MemoryStore
from tests.locksmith.samples import EPOCH, FLEET, OWNER

TICKET = Ticket("t1")
START = 1000.0
TURNS = 20
"""How often the loop is given a turn for everything to have happened that can."""


@dataclass(slots=True)
class VirtualClock:
    """Stands still until the test moves it; wakes every sleeper at its own instant."""

    at: float = START
    sleepers: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, delay_s: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.at + delay_s, woken))
        await woken

    async def pass_time(self, for_s: float) -> None:
        """Let time pass as it does, and whoever wakes do its work in between."""
        until = self.at + for_s
        await self._settle()
        while (due := self._first(until)) is not None:
            self.at = max(self.at, due[0])
            due[1].set_result(None)
            await self._settle()
        self.at = until

    async def jump(self, for_s: float) -> None:
        """Let time pass while nobody runs, as when the process was stopped; then all wake."""
        self.at += for_s
        await self.pass_time(0.0)

    def _first(self, until: float) -> tuple[float, asyncio.Future[None]] | None:
        self.sleepers = [one for one in self.sleepers if not one[1].done()]
        due = [one for one in self.sleepers if one[0] <= until]
        return min(due, key=lambda one: one[0], default=None)

    async def _settle(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)


class Heartbeats(MemoryStore):
    """A real journal that remembers when which claim was touched, and can fail or hang then."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(now=lambda: clock.at - START)
        self.touched: list[float] = []
        self.asked: list[tuple[FleetId, Claim, Owner]] = []
        self.fails: Callable[[], Exception | None] = lambda: None
        self.answer: Callable[[], asyncio.Future[bool] | None] = lambda: None
        self.deaf = False

    async def touch(self, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
        self.touched.append(self._now())
        self.asked.append((fleet, claim, owner))
        error, pending = self.fails(), self.answer()
        if error is not None:
            raise error
        if pending is None:
            return await super().touch(fleet, claim, owner)
        while self.deaf:
            with suppress(asyncio.CancelledError):
                return await asyncio.shield(pending)
        return await pending

    async def renewed(self) -> dict[Claim, float]:
        """When each lease was renewed last."""
        return {claim: held.renewed.utc_s for claim, held in (await self.leases(FLEET)).items()}


class Kept:
    """A keeper at work, and what it has said, in s since its start."""

    def __init__(
        self, store: Heartbeats, clock: VirtualClock, claim: Claim, late_s: float
    ) -> None:
        self.store, self.clock = store, clock
        self.lost: list[tuple[Lost, float]] = []
        self.keeper = Keeper(
            store,
            clock,
            fleet=FLEET,
            claim=claim,
            owner=OWNER,
            lost=self.on_lost,
            since=clock.at - late_s if late_s else None,
        )
        self.task = asyncio.ensure_future(self.keeper.run())

    async def on_lost(self, why: Lost) -> None:
        self.lost.append((why, self.clock.at - START))

    async def end(self) -> None:
        """Cancel the keeper; nothing that it started goes on."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def keep(claim: Claim = EPOCH, late_s: float = 0.0) -> Kept:
    """Start a keeper of a claim, in a store where OWNER holds EPOCH and waits with TICKET."""
    clock = VirtualClock()
    store = Heartbeats(clock)
    taken = LockTaken(epoch=EPOCH, state=LockState.HELD, owner=OWNER, purpose="push")
    waits = LockRequested(ticket=TICKET, owner=OWNER, purpose="push")
    await store.append(FLEET, Head(), [taken, waits])
    return Kept(store, clock, claim, late_s)


async def test_it_renews_every_three_seconds() -> None:
    """The lease of the holder's epoch moves with each renewal."""
    kept = await keep()

    await kept.clock.pass_time(10.0)
    await kept.end()

    assert ([3.0, 6.0, 9.0], []) == (kept.store.touched, kept.lost)
    assert {EPOCH: 9.0, TICKET: 0.0} == await kept.store.renewed()


async def test_it_renews_a_place_in_the_queue() -> None:
    """A waiter's claim is its ticket."""
    kept = await keep(claim=TICKET)

    await kept.clock.pass_time(4.0)
    await kept.end()

    assert ([(FLEET, TICKET, OWNER)], []) == (kept.store.asked, kept.lost)
    assert {EPOCH: 0.0, TICKET: 3.0} == await kept.store.renewed()


@pytest.mark.parametrize("claim", [EPOCH.next(), Ticket("t2")])
async def test_it_says_once_that_the_claim_is_not_ours(claim: Claim) -> None:
    """The touch changes nothing, and the owner is told at once (I21)."""
    kept = await keep(claim=claim)

    await kept.clock.pass_time(30.0)

    assert ([(Lost.TAKEN, 3.0)], True) == (kept.lost, kept.task.done())


@pytest.mark.parametrize("error", [StoreUnavailable("away"), OutcomeUnknown("lost")])
async def test_it_stops_its_owner_ten_seconds_after_the_last_renewal(error: Exception) -> None:
    """Before anybody else may take over, the owner has stopped itself."""
    kept = await keep()
    await kept.clock.pass_time(4.0)
    kept.store.fails = lambda: error

    await kept.clock.pass_time(60.0)

    assert [3.0, 6.0, 9.0, 12.0] == kept.store.touched
    assert ([(Lost.UNRENEWABLE, 13.0)], True) == (kept.lost, kept.task.done())


async def test_a_short_absence_of_the_store_is_survived() -> None:
    """Two missed renewals are not the end."""
    kept = await keep()
    kept.store.fails = lambda: StoreUnavailable("away") if kept.clock.at < START + 8.0 else None

    await kept.clock.pass_time(30.0)
    await kept.end()

    assert [] == kept.lost


async def test_a_touch_that_hangs_stops_its_owner_in_time() -> None:
    """A store that does not answer is a store that is away; the touch is given up."""
    kept = await keep()
    hung = asyncio.get_running_loop().create_future()
    kept.store.answer = lambda: hung

    await kept.clock.pass_time(60.0)

    assert [(Lost.UNRENEWABLE, 10.0)] == kept.lost
    assert ([3.0], True) == (kept.store.touched, hung.cancelled())


async def test_a_touch_that_does_not_obey_stops_its_owner_in_time() -> None:
    """A store that swallows cancellations delays nobody, and nobody hears of its end."""
    kept, complaints = await keep(), list[object]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    kept.store.deaf, hung = True, loop.create_future()
    kept.store.answer = lambda: hung

    await kept.clock.pass_time(10.0)
    told = list(kept.lost)
    hung.set_exception(StoreUnavailable("long after"))
    await kept.clock.pass_time(1.0)
    gc.collect()

    assert ([(Lost.UNRENEWABLE, 10.0)], []) == (told, complaints)


async def test_a_slow_answer_counts_from_when_it_was_asked() -> None:
    """The lease was stamped then or later: that is all that the owner may count on."""
    kept = await keep()
    slow = asyncio.get_running_loop().create_future()
    kept.store.answer = lambda: slow if len(kept.store.touched) == 1 else None
    kept.store.fails = lambda: StoreUnavailable("away") if len(kept.store.touched) > 1 else None

    await kept.clock.pass_time(9.0)
    slow.set_result(True)
    await kept.clock.pass_time(60.0)

    assert [(Lost.UNRENEWABLE, 13.0)] == kept.lost


async def test_whoever_was_paused_claims_nothing_any_more() -> None:
    """After waking it looks at its clock first: no touch, although the store would say yes."""
    kept = await keep()
    await kept.clock.pass_time(4.0)

    await kept.clock.jump(60.0)

    assert ([3.0], [(Lost.UNRENEWABLE, 64.0)]) == (kept.store.touched, kept.lost)


async def test_whoever_was_paused_in_a_touch_claims_nothing_any_more() -> None:
    """A yes that was given a minute ago is worth nothing."""
    kept = await keep()
    answered = asyncio.get_running_loop().create_future()
    kept.store.answer = lambda: answered
    await kept.clock.pass_time(4.0)

    answered.set_result(True)
    await kept.clock.jump(60.0)

    assert ([3.0], [(Lost.UNRENEWABLE, 64.0)]) == (kept.store.touched, kept.lost)


async def test_a_short_pause_is_survived() -> None:
    """Within ten seconds the lease is still its own."""
    kept = await keep()
    await kept.clock.pass_time(4.0)

    await kept.clock.jump(8.0)
    await kept.end()

    assert ([3.0, 12.0], []) == (kept.store.touched, kept.lost)


async def test_a_lease_that_began_long_ago_is_not_kept() -> None:
    """Its owner was paused between the append and the first heartbeat."""
    kept = await keep(late_s=11.0)

    await kept.clock.pass_time(0.0)

    assert ([], [(Lost.UNRENEWABLE, 0.0)]) == (kept.store.touched, kept.lost)


async def test_a_cancelled_keeper_leaves_no_touch_behind() -> None:
    """Whoever ends it may close the store."""
    kept = await keep()
    hung = asyncio.get_running_loop().create_future()
    kept.store.answer = lambda: hung
    await kept.clock.pass_time(4.0)

    await kept.end()

    assert (True, []) == (hung.cancelled(), kept.lost)


async def test_a_defect_of_the_store_is_not_taken_for_its_absence() -> None:
    """What nobody foresaw ends the session with its own name."""
    kept = await keep()
    kept.store.fails = lambda: ValueError("a defect")

    await kept.clock.pass_time(4.0)

    with pytest.raises(ValueError, match="a defect"):
        await kept.task
