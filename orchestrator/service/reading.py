"""Reading a fleet: its version, its lock, its history, and what its devices say right now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orchestrator.ports import Received, Transport, TransportUnavailable
from orchestrator.protocol import answers
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.messages import Hello, Presence, Report
from orchestrator.protocol.records import Begun, Entry, FleetState, Record
from orchestrator.protocol.types import DeviceId, Digest, FleetId, Version
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """
    A fleet: the journal's facts, and the devices' words where they could be asked.

    ``split`` is whether devices were heard to operate different versions; ``exceptions`` names
    the devices that no lease keeps from operating an old version (I5); ``asked`` is false where
    the broker could not be reached, and ``why`` says so.
    """

    fleet: FleetId
    version: Version
    digest: Digest | None
    lock: LockView
    devices: Mapping[DeviceId, DeviceView] = field(default_factory=dict)
    exceptions: tuple[DeviceId, ...] = ()
    asked: bool = True
    why: str | None = None

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
                }
                for device, view in self.devices.items()
            },
            "split": self.split,
            "exceptions": list(self.exceptions),
            "asked": self.asked,
            "why": self.why,
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
            await _ask(world, state, transport, witness, known, listen_s)
    except TransportUnavailable as error:
        why = str(error)
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
    )


def known_devices(state: FleetState, members: Sequence[DeviceId]) -> tuple[DeviceId, ...]:
    """Return every device that the journal or the fleet file names."""
    txns = [txn for txn in (state.installed, state.open) if txn is not None]
    named = {device for txn in txns for device in txn.begun.digests}
    return tuple(sorted({*named, *state.deferred, *members}))


def exceptions(state: FleetState) -> tuple[DeviceId, ...]:
    """Name the devices that may not know of the fleet's version: deferred and excused ones."""
    excused = () if state.installed is None else state.installed.begun.excused
    return tuple(sorted({*state.deferred, *excused}))


async def _ask(
    world: World,
    state: FleetState,
    transport: Transport,
    witness: Witness,
    known: Sequence[DeviceId],
    listen_s: float,
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
    await _ask(world, state, transport, witness, tuple(txn.begun.digests), VOTES_LISTEN_S)
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
    )


async def lock_list(world: World) -> tuple[LockView, ...]:
    """Return the lock of every fleet in the store."""
    fleets = await world.store.fleets()
    return tuple([await locks.look(world, await locks.read_fleet(world, f)) for f in fleets])


# --- history ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One journal entry for people: when, what, by whom."""

    index: int
    at: float
    kind: str
    txn: str | None
    seq: int | None
    text: str


async def history(world: World, fleet: FleetId) -> tuple[Line, ...]:
    """Return the fleet's journal as a story, oldest first."""
    entries = await world.store.read(fleet)
    seqs: dict[str, int] = {}
    lines = []
    for entry in entries:
        if isinstance(entry.record, Begun):
            seqs[entry.record.txn] = entry.record.seq
        lines.append(_line(entry, seqs))
    return tuple(lines)


def _line(entry: Entry, seqs: Mapping[str, int]) -> Line:
    txn = getattr(entry.record, "txn", None)
    return Line(
        index=entry.index,
        at=entry.at,
        kind=entry.record.kind,
        txn=txn,
        seq=None if txn is None else seqs.get(txn),
        text=tell(entry.record),
    )


def tell(record: Record) -> str:
    """Say in one line what a record means."""
    match record.kind:
        case "lock_taken":
            why = f" ({record.reason})" if record.reason else ""
            return f"lock {record.state} by {record.owner} for {record.purpose}{why}"
        case "lock_released":
            return f"lock released by {record.by}"
        case "begun":
            return (
                f"txn {record.seq} begun on version {record.base_version} with"
                f" {len(record.digests)} members, bundle {record.bundle[:19]}"
            )
        case "abort_requested":
            return f"abort requested by {record.by}: {record.reason}"
        case "decided":
            return f"decided {record.outcome.value.upper()}: {record.cause}{_refusals(record)}"
        case "ended":
            names = ", ".join(record.deferred)
            return f"ended, deferred: {names}" if names else "ended, every member has followed"
        case "settled":
            return f"{record.device} has followed after all, at version {record.version}"


def _refusals(record: Any) -> str:
    told = [f"{device}: {'; '.join(why)}" for device, why in record.refused.items()]
    return f" [{' | '.join(told)}]" if told else ""
