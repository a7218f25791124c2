"""Aims, leases and locks that begin too early or outlast their end: a rule taken out of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, coordinator, replaced
from drone_sim.result import Speed
from orchestrator.locksmith.keeper import Keeper
from orchestrator.ports import Claim
from orchestrator.protocol import answers
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import CatchUp
from orchestrator.protocol.operation import RESEND_MAX_S, Operation, Retry
from orchestrator.protocol.orchestration import Journaled
from orchestrator.protocol.phases import Phase
from orchestrator.protocol.types import DeviceId, Epoch, FleetId, Owner
from orchestrator.storage.memory import MemoryStore

_doubts: Final = Operation._doubts  # as they are before they are replaced
_in_pause: Final = Operation._in_pause
_again: Final = Retry.again
_catch_up: Final = answers.catch_up
_touch: Final = MemoryStore.touch


# --- aims -------------------------------------------------------------------------------------


def doubt_from_its_yes(operation: Operation, durable: Durable, now: float) -> list[Holding]:
    """Hold as soon as anything is promised, and not from ``hold_at``."""
    found = _doubts(operation, durable, now)
    if durable.prepared is not None and Holding.DOUBT not in found:
        found.append(Holding.DOUBT)
    return found


def pause_from_the_decision(operation: Operation, durable: Durable, now: float) -> bool:
    """Hold as soon as the COMMIT is known, and not from ``hold_at``."""
    return durable.pending is not None or _in_pause(operation, durable, now)


def again_twice_as_late(retry: Retry, now: float) -> Retry:
    """Let pauses grow to twice what is stated."""
    return replace(_again(retry, now), pause_s=min(2 * retry.pause_s, 2 * RESEND_MAX_S))


# --- CATCH-UP ---------------------------------------------------------------------------------


def catch_up_for_now(fleet: FleetState, device: DeviceId) -> CatchUp | None:
    """Tell a device to catch up at once, whenever the version begins."""
    message = _catch_up(fleet, device)
    return None if message is None else replace(message, activate_at=0.0)


def catch_up_as_if_last(fleet: FleetState, device: DeviceId) -> CatchUp | None:
    """Take the version for the last that was decided: what was aborted since is not told."""
    message = _catch_up(fleet, device)
    return None if message is None else replace(message, last_seq=message.version)


# --- locks ------------------------------------------------------------------------------------


class LooksAway(Coordinator):
    """Takes no news of the journal while it asks for votes: its next append will tell."""

    def _fold(self, event: Journaled, now: float) -> None:
        if self.phase is Phase.PREPARING and not self._appending:
            return
        super()._fold(event, now)


def stop_at_no_time(_keeper: Keeper) -> float:
    """Hold on to a lock for as long as nobody says that it is lost."""
    return 1e12


async def touch_the_queue(store: MemoryStore, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
    """Renew with one waiter's place all others: ``WHERE fleet = ?``, and no more."""
    renewed = await _touch(store, fleet, claim, owner)
    for other in (await store.leases(fleet)).values():
        if renewed and not isinstance(claim, Epoch) and not isinstance(other.claim, Epoch):
            await _touch(store, fleet, other.claim, other.owner)
    return renewed


_OPERATION: Final = "orchestrator.protocol.operation:Operation"
_ANSWERS: Final = "orchestrator.protocol.answers"
_MEMORY: Final = "orchestrator.storage.memory:MemoryStore"

MUTANTS: Final[tuple[Mutant, ...]] = (
    replaced(
        "holds-from-its-yes",
        "who is in doubt operates the old version until hold_at",
        (_OPERATION, "_doubts", doubt_from_its_yes),
        "I28",
    ),
    replaced(
        "holds-from-the-decision",
        "who knows COMMIT operates the old version until hold_at",
        (_OPERATION, "_in_pause", pause_from_the_decision),
        "I28",
    ),
    replaced(
        "asks-half-as-often",
        "a device asks again after five seconds at the latest",
        ("orchestrator.protocol.operation:Retry", "again", again_twice_as_late),
        "I28",
    ),
    replaced(
        "catches-up-for-now",
        "CATCH-UP carries the version's activate_at",
        (_ANSWERS, "catch_up", catch_up_for_now),
        "I13",
    ),
    replaced(
        "catches-up-as-if-last",
        "CATCH-UP carries the fleet's last_seq",
        (_ANSWERS, "catch_up", catch_up_as_if_last),
        "I13",
    ),
    coordinator(
        "looks-away", "who has read that its lock is lost tells no more", LooksAway, "I13", "I14"
    ),
    replaced(
        "never-stops-itself",
        "a holder that can't renew stops itself",
        ("orchestrator.locksmith.keeper:Keeper", "_stop_at", stop_at_no_time),
        "I14",
        speed=Speed.SHELLS,
    ),
    replaced(
        "heartbeat-of-the-queue",
        "a waiter's renewal changes its own place alone",
        (_MEMORY, "touch", touch_the_queue),
        "I21",
        speed=Speed.SHELLS,
    ),
)
