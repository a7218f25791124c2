"""
What a person may say of one device: retire it, or let it act on their word.

Each is a record first, with who and why; a device is told of it afterwards, when it says HELLO.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import TransportUnavailable
from orchestrator.protocol import answers
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.orchestration import Leases, Settle, Timing
from orchestrator.protocol.records import (
    HeuristicDecided,
    HeuristicSettled,
    Record,
    Retired,
)
from orchestrator.protocol.types import DeviceId, FleetId, Outcome, TxnId
from orchestrator.service import locks
from orchestrator.service.session import Session
from orchestrator.service.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Which device somebody speaks of, and why."""

    fleet: FleetId
    device: DeviceId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """
    What came of it. ``told`` is the device's last word, ``None`` where it was not heard.

    ``obeyed`` is whether it was heard to act on it.
    """

    state: FleetState
    told: DeviceState | None
    obeyed: bool
    message: str
    exit_code: Exit = Exit.DONE


async def decide(world: World, word: Word, txn: TxnId, outcome: Outcome, timing: Timing) -> Acted:
    """
    Let a device in doubt operate as if ``txn`` had this outcome: for the last resort.

    It is recorded, and shown until somebody settles it; the device stays prepared and obeys the
    decision. Raises OperatingError: 2 for a txn that is decided already (it is told instead), 11
    where the store is away.
    """
    by = world.me("devices decide")

    def rule(state: FleetState) -> tuple[Record, ...]:
        decided = answers.decided(state, txn)
        if decided is not None and decided.outcome is not None:
            raise OperatingError(
                f"txn {txn} is decided {decided.outcome.value.upper()}: that is what the device"
                " must be told, nobody has to decide for it",
                exit_code=Exit.USAGE,
                next_command=f"aimctl recover --fleet {word.fleet}",
            )
        known = state.heuristics.get(word.device)
        if known is not None and (known.txn, known.outcome) == (txn, outcome):
            return ()
        return (
            HeuristicDecided(
                device=word.device, txn=txn, outcome=outcome, by=by, reason=word.reason
            ),
        )

    state = await locks.change(world, word.fleet, rule)
    told = await _heard(world, state, word.device, timing, lambda one: one.heuristic is outcome)
    obeyed = told is not None and told.heuristic is outcome
    fate = f"as if txn {txn} were {outcome.value.upper()}"
    message = (
        f"{word.device} operates {fate}; it still obeys the decision when it hears of it"
        if obeyed
        else f"recorded: {word.device} may operate {fate}. It was not heard to do so: whoever"
        " answers it next tells it"
    )
    code = Exit.DONE if obeyed else Exit.ACTIVATING
    return Acted(state=state, told=told, obeyed=obeyed, message=message, exit_code=code)


async def settle(world: World, word: Word) -> FleetState:
    """Take a heuristic outcome out of what is shown: a person has looked at the device."""
    by = world.me("devices settle")

    def rule(state: FleetState) -> tuple[Record, ...]:
        if word.device not in state.heuristics:
            raise OperatingError(
                f"nobody has decided for {word.device}: there is nothing to settle",
                exit_code=Exit.USAGE,
                next_command=f"aimctl devices list --fleet {word.fleet}",
            )
        if state.acts_on_word(word.device):
            raise OperatingError(
                f"{word.device} is not known to have followed the decision yet: it may still act"
                " on that word",
                exit_code=Exit.HOT,
                next_command=f"aimctl recover --fleet {word.fleet}",
            )
        return (HeuristicSettled(device=word.device, by=by, reason=word.reason),)

    return await locks.change(world, word.fleet, rule)


async def retire(world: World, word: Word) -> FleetState:
    """Take a device out of the fleet for good: it is never waited for and never enabled."""
    by = world.me("devices retire")

    def rule(state: FleetState) -> tuple[Record, ...]:
        txn = state.open
        if txn is not None and word.device in txn.begun.digests and state.reseeding is None:
            raise OperatingError(
                f"{word.device} is a member of txn {txn.begun.seq}, which is open: the members"
                " never change inside a transaction",
                exit_code=Exit.HOT,
                next_command=f"aimctl lock show {word.fleet}",
            )
        if word.device in state.retired:
            return ()
        return (Retired(device=word.device, by=by, reason=word.reason),)

    return await locks.change(world, word.fleet, rule)


async def _heard(
    world: World,
    state: FleetState,
    device: DeviceId,
    timing: Timing,
    enough: Callable[[DeviceState], bool],
) -> DeviceState | None:
    """Answer devices until this one has said ``enough``, for ``settle_s`` at most."""
    # A desk that answers for ever: one that settles would end as soon as nobody waits.
    goal = Settle(until=math.inf, leases=Leases(keep=True))
    core = Coordinator(state, goal=goal, timing=timing)

    def watch(seen: Coordinator) -> None:
        told = seen.witness.of(device).state
        if told is not None and enough(told):
            session.enough()

    with suppress(TransportUnavailable, TimeoutError):  # what was recorded stands all the same
        async with world.connect(state.fleet) as transport, asyncio.timeout(timing.settle_s):
            session = Session(world, core, transport, watch)
            await session.run()
    return core.witness.of(device).state
