"""Reading a fleet: its version, its lock, its history, and what its devices say right now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orchestrator.ports import Received, Transport, TransportUnavailable
from orchestrator.protocol import answers
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import Hello, Presence, Report
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, Digest, FleetId, Version
from orchestrator.service import locks
from orchestrator.service.results import DeviceWord, LockView, device_word, txn_document
from orchestrator.service.session import alongside
from orchestrator.service.world import World

LISTEN_S: Final = 1.5
"""How long devices are given to say what they are."""

VOTES_LISTEN_S: Final = 0.5
"""How long the HOT error waits for devices to say whether they have voted."""

POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """One device by its own word; ``operating`` is ``None`` where it holds or is not known."""

    state: DeviceWord
    version: Version | None
    digest: Digest | None
    online: bool | None
    operating: Version | None
    holds: tuple[str, ...]
    clock_error_ms: float | None
    heard_at: float | None
    deferred: bool
    quarantined: bool = False
    retired: bool = False
    heuristic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """
    A fleet: the journal's facts, and the devices' words where they could be asked.

    ``split`` is whether devices were heard to operate different versions; ``exceptions`` names
    the devices that no lease keeps from operating an old version (I5); ``asked`` is false where
    the broker could not be reached, and ``why`` says so. ``lease_s`` is how long an enable lease
    is, ``None`` without; ``heuristics`` says of each device that operates, or has operated, on a
    person's word how that agrees with the journal; ``contradictions`` what a device knows that
    the journal lacks.
    """

    fleet: FleetId
    version: Version
    digest: Digest | None
    lock: LockView
    devices: Mapping[DeviceId, DeviceView] = field(default_factory=dict)
    exceptions: tuple[DeviceId, ...] = ()
    asked: bool = True
    why: str | None = None
    lease_s: float | None = None
    heuristics: Mapping[DeviceId, str] = field(default_factory=dict)
    contradictions: Mapping[DeviceId, str] = field(default_factory=dict)

    @property
    def split(self) -> bool:
        """Whether two devices were heard to operate different versions."""
        heard = {view.operating for view in self.devices.values() if view.operating is not None}
        return len(heard) > 1

    def document(self) -> dict[str, Any]:
        """Return the ``status`` document."""
        return {
            "type": "status",
            "fleet": self.fleet,
            "version": self.version,
            "digest": self.digest,
            "lock": self.lock.document(),
            "txn": None if self.lock.txn is None else txn_document(self.lock.txn),
            "devices": {
                device: {
                    "state": view.state,
                    "version": view.version,
                    "digest": view.digest,
                    "online": view.online,
                    "operating": view.operating,
                    "holds": list(view.holds),
                    "clock_error_ms": view.clock_error_ms,
                    "heard_at": view.heard_at,
                    "deferred": view.deferred,
                    "quarantined": view.quarantined,
                    "retired": view.retired,
                    "heuristic": view.heuristic,
                }
                for device, view in self.devices.items()
            },
            "split": self.split,
            "exceptions": list(self.exceptions),
            "asked": self.asked,
            "why": self.why,
            "enable_lease_s": self.lease_s,
            "heuristics": dict(self.heuristics),
            "contradictions": dict(self.contradictions),
        }


async def status(
    world: World, fleet: FleetId, members: Sequence[DeviceId] = (), *, listen_s: float = LISTEN_S
) -> FleetView:
    """
    Read the journal and ask the devices; nothing is changed.

    The roll call makes every device say HELLO and changes nothing in any.
    ``members`` are those of the fleet file, beside those that the journal knows.
    """
    state = await locks.read_fleet(world, fleet)
    known = known_devices(state, members)
    witness, why = Witness(), None
    try:
        async with world.connect(fleet) as transport:
            await call_the_roll(world, state, transport, witness, known, listen_s)
    except TransportUnavailable as error:
        why = str(error)
    # Read after the devices were heard: what one of them knows of a transaction that has begun
    # meanwhile is no sign of a store that was rolled back.
    state = await locks.read_fleet(world, fleet)
    installed = state.installed
    devices = sorted({*known, *witness.devices})
    return FleetView(
        fleet=fleet,
        version=state.version,
        digest=None if installed is None else installed.begun.bundle,
        lock=await locks.look(world, state),
        devices={device: _device_view(state, witness, device) for device in devices},
        exceptions=exceptions(state),
        asked=why is None,
        why=why,
        lease_s=state.lease_s,
        heuristics={device: heuristic(state, device) or "" for device in state.heuristics},
        contradictions=contradictions(state, witness),
    )


def contradictions(state: FleetState, witness: Witness) -> dict[DeviceId, str]:
    """Return what each device knows that this journal lacks: then it was rolled back (§6)."""
    told = {name: one.state for name, one in sorted(witness.devices.items()) if one.state}
    found = {
        name: answers.contradiction(state, one)
        for name, one in told.items()
        if name not in state.retired
    }
    return {name: why for name, why in found.items() if why is not None}


def heuristic(state: FleetState, device: DeviceId) -> str | None:
    """Say how a person's word for a device agrees with the journal; ``None`` without one."""
    word = state.heuristics.get(device)
    if word is None:
        return None
    txn = answers.decided(state, word.txn)
    if txn is None or txn.outcome is None:
        return f"{word.outcome} by {word.by.user}, nothing is decided"
    if txn.outcome is word.outcome:
        return f"{word.outcome} by {word.by.user}, as it was decided"
    return f"HEURISTIC_MIXED: {word.outcome} by {word.by.user}, decided was {txn.outcome}"


def known_devices(state: FleetState, members: Sequence[DeviceId]) -> tuple[DeviceId, ...]:
    """Return every device that the journal or the fleet file names, left out or not."""
    txns = [txn for txn in (state.installed, state.open) if txn is not None]
    named = {device for txn in txns for device in (*txn.begun.digests, *txn.begun.excused)}
    away = {*state.deferred, *state.quarantined, *state.retired, *state.heuristics, *state.outside}
    return tuple(sorted({*named, *away, *members}))


def exceptions(state: FleetState) -> tuple[DeviceId, ...]:
    """
    Name the devices that may operate what is not the fleet's version (I5, DESIGN §5).

    Those are left out of it, in quarantine or retired, and no lease is known to end what they do;
    or they operate on a person's word. Deferred ones hold, and are named for whoever waits.
    """
    away = {*state.outside, *state.quarantined, *state.retired} - state.leased
    return tuple(sorted({*state.deferred, *away, *state.heuristics}))


async def call_the_roll(
    world: World,
    state: FleetState,
    transport: Transport,
    witness: Witness,
    known: Sequence[DeviceId],
    listen_s: float = LISTEN_S,
) -> None:
    """Make every device say what it is; tell again what deferred devices wait for."""

    async def listen() -> None:
        async for item in transport.receive():
            if isinstance(item, Received):
                _take(witness, item, world.clock.now())

    async def ask() -> None:
        with suppress(TransportUnavailable):
            witness.fence_sent(world.clock.now())
            await transport.send(answers.ROLL_CALL)
            for txn in state.awaited().values():
                if txn.begun.plan != NOT_KNOWN:  # each that waits is answered with its own plan
                    await transport.send(answers.decision(state, txn))
        until = world.clock.monotonic() + listen_s
        while world.clock.monotonic() < until and not _all_heard(witness, known):
            await world.clock.sleep(POLL_S)

    await alongside(ask(), listen())


async def with_votes(world: World, transport: Transport, view: LockView) -> LockView:
    """Ask the members of an undecided transaction how many have voted yes; changes nothing."""
    txn = view.txn
    if txn is None or txn.decided is not None:
        return view
    state, witness = await locks.read_fleet(world, view.fleet), Witness()
    await call_the_roll(world, state, transport, witness, tuple(txn.begun.digests), VOTES_LISTEN_S)
    told = [witness.of(device).state for device in txn.begun.digests]
    if not any(told):
        return view
    return replace(
        view, votes=sum(one is not None and one.prepared == txn.begun.txn for one in told)
    )


def _take(witness: Witness, item: Received, now: float) -> None:
    match item.message:
        case Hello() | Report():
            witness.learn(item.message, now)
        case Presence():
            witness.presence(item.message)
        case _:
            pass


def _all_heard(witness: Witness, known: Sequence[DeviceId]) -> bool:
    return bool(known) and all(
        witness.of(device).state is not None or witness.of(device).online is False
        for device in known
    )


def _device_view(state: FleetState, witness: Witness, device: DeviceId) -> DeviceView:
    known = witness.of(device)
    told = known.state
    error_s = None if told is None else told.clock_error_s
    return DeviceView(
        state=device_word(known),
        version=None if told is None else told.version,
        digest=None if told is None else told.digest,
        online=known.online,
        operating=None if told is None else told.operating,
        holds=() if told is None else told.holds,
        clock_error_ms=None if error_s is None else round(error_s * 1e3, 3),
        heard_at=known.at,
        deferred=device in state.deferred,
        quarantined=device in state.quarantined,
        retired=device in state.retired,
        heuristic=heuristic(state, device),
    )


async def lock_list(world: World) -> tuple[LockView, ...]:
    """Return the lock of every fleet in the store."""
    fleets = await locks.fleets(world)
    return tuple([await locks.look(world, await locks.read_fleet(world, f)) for f in fleets])
