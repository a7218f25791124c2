"""
Examining a fleet end to end: journal, lease, process, broker and devices; nothing is changed.

The journal is read *after* the devices were heard: what one of them knows of a transaction that
has begun meanwhile is no sign of a store that was rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.ports import StoreUnavailable, TransportUnavailable
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.fold import fold
from orchestrator.protocol.lease import GRACE_S
from orchestrator.protocol.records import Entry, LockState, ReleaseRequested
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service import locks, reading
from orchestrator.service.diagnosis import Advice, advise
from orchestrator.service.results import DeviceWord, LockView, device_word
from orchestrator.service.symptoms import Broker, Facts, facts_of
from orchestrator.service.world import World

_WAIT: Final = frozenset({DeviceWord.IN_DOUBT, DeviceWord.HOLDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """
    A fleet at one instant, ``at`` (UTC s): its journal, its lock, and what its devices say.

    ``known`` names every device that somebody knows; ``why`` is why they could not be asked.
    """

    state: FleetState
    entries: Sequence[Entry]
    lock: LockView
    witness: Witness
    known: tuple[DeviceId, ...]
    why: str | None
    at: float

    def in_state(self, *words: DeviceWord) -> tuple[DeviceId, ...]:
        """Name the devices that are in one of these states by their own last word."""
        return tuple(d for d in self.known if device_word(self.witness.of(d)) in words)

    @property
    def heard(self) -> tuple[DeviceId, ...]:
        """Name the devices that have said what they are."""
        return tuple(d for d in self.known if self.witness.of(d).state is not None)

    @property
    def contradictions(self) -> dict[DeviceId, str]:
        """Say what each device knows that the journal lacks."""
        return reading.contradictions(self.state, self.witness)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The transaction that some device is in doubt about for longest, since UTC s ``since``."""

    txn: Txn
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """
    A fleet that needs a look, and what to do about it.

    ``asked_at`` is when the owner's release was asked for (UTC s), if it was.
    """

    found: Heard
    facts: Facts
    advice: Advice
    broker: Broker
    asked_at: float | None
    oldest_doubt: Doubt | None

    def document(self) -> dict[str, Any]:
        """Return one element of the doctor's ``diagnoses``."""
        found, lock = self.found, self.found.lock
        live, doubt = lock.liveness, self.oldest_doubt
        expires_in_s = None if live is None else live.expires_in_s
        return {
            "fleet": found.state.fleet,
            "lock": lock.document(),
            "holder": self.facts.holder,
            "work": self.facts.work,
            "release_asked_at": self.asked_at,
            "grace_left_s": None if expires_in_s is None else expires_in_s + GRACE_S,
            "by_wall_clock": None if live is None else live.by_wall_clock,
            "process": None if live is None else live.process,
            "broker": self.broker,
            "why": found.why,
            "devices": {
                "known": list(found.known),
                "heard": list(found.heard),
                "prepared": list(found.in_state(DeviceWord.PREPARED)),
                "in_doubt": list(found.in_state(DeviceWord.IN_DOUBT)),
                "holding": list(found.in_state(DeviceWord.HOLDING)),
                "deferred": sorted(found.state.deferred),
                "quarantined": sorted(found.state.quarantined),
                "oldest_doubt": None
                if doubt is None
                else {
                    "txn": doubt.txn.begun.txn,
                    "seq": doubt.txn.begun.seq,
                    "since": doubt.since,
                },
            },
            "contradictions": dict(found.contradictions),
            "wrong": self.advice.wrong,
            "next": self.advice.command,
        }


def needs_a_look(state: FleetState) -> bool:
    """Whether its lock is held, or devices are deferred or in quarantine."""
    return state.lock.state is not LockState.FREE or bool(state.deferred or state.quarantined)


async def examine(
    world: World,
    fleet: FleetId,
    *,
    broker: Broker,
    why: str | None,
    members: Sequence[DeviceId] = (),
) -> Examined | None:
    """
    Say what is wrong with a fleet and what to do; ``None`` where it needs no look.

    Where the ``broker`` is known to be away, for the reason ``why``, nobody is asked. Raises
    OperatingError where the store can't be read.
    """
    if not needs_a_look(await locks.read_fleet(world, fleet)):
        return None
    found = await hear(world, fleet, members, why=why)
    if found.why is not None and broker is Broker.REACHED:
        broker = Broker.GONE  # it went away between the two
    asked_at = _asked_at(found)
    owner = found.state.lock.owner
    facts = facts_of(
        found.lock,
        now=found.at,
        broker=broker,
        stopped=owner is not None and world.processes.look_for(owner).stopped,
        asked_ago_s=None if asked_at is None else found.at - asked_at,
        contradictions=tuple(f"{name}: {what}" for name, what in found.contradictions.items()),
        waiting=_waiting(found),
    )
    advice = advise(facts)
    if advice is None:  # it was freed while we looked
        return None
    return Examined(
        found=found,
        facts=facts,
        advice=advice,
        broker=broker,
        asked_at=asked_at,
        oldest_doubt=_oldest_doubt(found),
    )


async def hear(
    world: World,
    fleet: FleetId,
    members: Sequence[DeviceId] = (),
    *,
    why: str | None = None,
    only: DeviceId | None = None,
) -> Heard:
    """
    Ask the devices what they are, for 1.5 s at most, and then read the journal.

    With ``only`` that one is waited for and no other; with ``why`` nobody is asked, for that
    reason. Raises OperatingError where the store can't be read.
    """
    before, witness = await locks.read_fleet(world, fleet), Witness()
    known = reading.known_devices(before, members)
    if why is None:
        try:
            async with world.connect(fleet) as transport:
                awaited = known if only is None else (only,)
                await reading.call_the_roll(world, before, transport, witness, awaited)
        except TransportUnavailable as error:
            why = str(error)
    try:
        entries = await world.store.read(fleet)
    except StoreUnavailable as error:
        raise locks.unreachable(f"the store can't be read: {error}") from error
    state = fold(FleetState(fleet=fleet), entries)
    return Heard(
        state=state,
        entries=entries,
        lock=await locks.look(world, state),
        witness=witness,
        known=tuple(sorted({*reading.known_devices(state, members), *witness.devices})),
        why=why,
        at=world.clock.now(),
    )


def _waiting(found: Heard) -> tuple[DeviceId, ...]:
    """Name who needs an answer: an open transaction's members have somebody who gives it."""
    away = {*found.state.deferred, *found.state.quarantined, *found.in_state(*_WAIT)}
    return tuple(sorted(away - found.state.retired))


def _asked_at(found: Heard) -> float | None:
    """Return when the release of the lock, as it is held now, was last asked for."""
    if found.state.lock.release_requested is None:
        return None
    asked = [entry.at for entry in found.entries if isinstance(entry.record, ReleaseRequested)]
    return asked[-1] if asked else None


def _oldest_doubt(found: Heard) -> Doubt | None:
    """Return what a device has been in doubt about for longest, of what the journal knows."""
    known = {txn.begun.txn: txn for txn in found.state.known_txns()}
    told = [found.witness.of(device).state for device in found.heard]
    names = {one.prepared for one in told if one is not None and one.prepared is not None}
    doubts = [known[name] for name in names if name in known]
    oldest = min(doubts, key=lambda txn: txn.begun_at, default=None)
    return None if oldest is None else Doubt(txn=oldest, since=oldest.begun_at)
