"""The ways out of a HOT lock and of doubt: abort, recover, force-unlock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict
from orchestrator.ports import TransportUnavailable
from orchestrator.protocol import answers
from orchestrator.protocol.coordinator import Coordinator, Phase
from orchestrator.protocol.orchestration import Goal, Resolve, Settle, Timing
from orchestrator.protocol.records import AbortRequested, FleetState, LockState, Txn
from orchestrator.protocol.types import DeviceId, Epoch, FleetId, Outcome, TxnId
from orchestrator.service import locks
from orchestrator.service.results import DeviceWord, LockView, device_word, txn_document
from orchestrator.service.session import Session, Watch
from orchestrator.service.world import World

NAMED_MAX: Final = 12
OBEY_S: Final = 10.0
"""How long ``abort`` waits to see its request obeyed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """
    What became of a fleet's lock and open transaction.

    ``before`` is the lock as it was found; ``txn`` the transaction that was driven, if there was
    one; ``deferred`` who has still not followed a decision; ``timing_ms`` the parts.
    """

    fleet: FleetId
    before: LockView
    action: str
    txn: Txn | None
    deferred: tuple[DeviceId, ...]
    devices: dict[DeviceId, DeviceWord] = field(default_factory=dict)
    timing_ms: dict[str, float] = field(default_factory=dict)
    exit_code: Exit = Exit.DONE
    message: str = ""
    next_command: str | None = None

    def document(self, kind: str) -> dict[str, Any]:
        """Return the ``recover`` or ``force-unlock`` document."""
        return {
            "type": kind,
            "fleet": self.fleet,
            "lock": self.before.document(),
            "action": self.action,
            "txn": None if self.txn is None else txn_document(self.txn),
            "decision": None if self.txn is None else self.txn.outcome,
            "deferred": list(self.deferred),
            "devices": dict(self.devices),
            "timing_ms": dict(self.timing_ms),
            "message": self.message,
            "next": self.next_command,
        }


def foresee(view: LockView) -> str:
    """Say exactly what a forced unlock of ``view`` would do; nothing is changed."""
    txn = view.txn
    if txn is None:
        return "no transaction is open: the epoch rises, and the lock is free"
    seq, members = txn.begun.seq, len(txn.begun.digests)
    if txn.decided is None:
        return (
            f"txn {seq} is undecided: ABORT is stored in the same write, told to all {members}"
            f" members, and the fleet stays at version {txn.begun.base_version}"
        )
    if txn.outcome is Outcome.COMMIT:
        return (
            f"txn {seq} is decided COMMIT: it is driven forward to all {members} members, and"
            f" the fleet ends at version {seq}"
        )
    return f"txn {seq} is decided ABORT: that is told to all {members} members"


async def force_unlock(
    world: World,
    fleet: FleetId,
    epoch: Epoch,
    reason: str,
    timing: Timing,
    watch: Watch | None = None,
    *,
    command: str = "lock force-unlock",
) -> Resolution:
    """
    Take the lock whoever holds it, and resolve: who drives changes, the decision does not.

    Raises OperatingError: 8 when the epoch is not the lock's, 11 when store or broker are away.
    Without a broker nothing is taken: a resolver that can tell nobody helps nobody.
    """
    before = await locks.look(world, await locks.read_fleet(world, fleet))
    began = world.clock.monotonic()
    try:
        async with world.connect(fleet) as transport:
            connected = world.clock.monotonic()
            held = await locks.resolve(world, fleet, epoch, reason, command)
            taken = world.clock.monotonic()
            coordinator = Coordinator(
                held.state, goal=Resolve(), timing=timing, epoch=held.epoch, owner=held.owner
            )
            await Session(world, coordinator, transport, watch).run()
    except TransportUnavailable as error:
        raise locks.unreachable(f"the broker can't be reached: {error}") from error
    timing_ms = _parts_ms(began, connected, taken, world.clock.monotonic())
    return _resolved(coordinator, before, "resolved", timing_ms)


def _parts_ms(began: float, connected: float, taken: float, end: float) -> dict[str, float]:
    parts = {"connect": connected - began, "take": taken - connected, "drive": end - taken}
    return {name: round(s * 1e3, 3) for name, s in {**parts, "total": end - began}.items()}


def _resolved(
    coordinator: Coordinator, before: LockView, action: str, timing_ms: dict[str, float]
) -> Resolution:
    state, txn = coordinator.state, coordinator.finished
    deferred = tuple(state.deferred)
    resolution = Resolution(
        fleet=state.fleet,
        before=before,
        action=action,
        txn=txn,
        deferred=deferred,
        devices={d: device_word(e) for d, e in sorted(coordinator.witness.devices.items())},
        timing_ms=timing_ms,
    )
    return _with_words(resolution, coordinator)


def _with_words(found: Resolution, coordinator: Coordinator) -> Resolution:
    code, message, following = Exit.DONE, "", None
    names = ", ".join(found.deferred)
    if coordinator.phase is Phase.FENCED:
        code, message = Exit.FENCED, "fenced: somebody else has taken the lock meanwhile"
        following = "aimctl lock list"
    elif coordinator.phase in {Phase.UNKNOWN, Phase.STOPPED}:
        code, message = Exit.UNKNOWN, "the store went away before the end was stored"
        following = f"aimctl recover --fleet {found.fleet}"
    elif coordinator.contradiction is not None:
        code, message = Exit.UNKNOWN, contradicted(coordinator.contradiction)
        following = "aimctl doctor"
    elif found.deferred:
        code, message = Exit.ACTIVATING, f"not settled yet on: {names}"
        following = f"aimctl recover --fleet {found.fleet}"
    else:
        code, message = _whole(found, coordinator)
    if found.txn is not None and found.txn.outcome is not None:
        message = f"txn {found.txn.begun.seq}: {found.txn.outcome.value.upper()}; {message}"
    return Resolution(
        **{
            name: getattr(found, name)
            for name in found.__slots__
            if name not in {"exit_code", "message", "next_command"}
        },
        exit_code=code,
        message=message,
        next_command=following,
    )


def contradicted(why: str) -> str:
    """Say that the store can't be this fleet's, or not the latest of it."""
    return f"the store was rolled back, or is not this fleet's: {why}"


def _whole(found: Resolution, coordinator: Coordinator) -> tuple[Exit, str]:
    """Say that the fleet is whole only where every member was heard to operate its version."""
    state = coordinator.state
    members = () if state.installed is None else tuple(state.installed.begun.digests)
    version = state.version
    unheard = [d for d in members if not coordinator.witness.settled(d, state)]
    if not unheard:
        return Exit.DONE, f"the lock is free and the fleet is whole, at version {version}"
    code = Exit.ACTIVATING if found.action == "settled" else Exit.DONE
    names = ", ".join(unheard[:NAMED_MAX]) + (" ..." if len(unheard) > NAMED_MAX else "")
    return code, f"the lock is free; not heard to operate version {version} yet: {names}"


# --- recover ----------------------------------------------------------------------------------


async def recover(
    world: World, fleet: FleetId, timing: Timing, watch: Watch | None = None
) -> Resolution:
    """
    Resolve a ghost's lock, and answer the devices that wait; never take a living owner's lock.

    With a free lock it answers devices that are deferred or hold after a restart, for at most
    ``settle_s``.
    """
    state = await locks.read_fleet(world, fleet)
    view = await locks.look(world, state)
    if state.lock.state is LockState.FREE:
        return await _settle(world, state, view, timing, watch)
    if view.liveness is None or view.liveness.verdict is not Verdict.GHOST:
        raise locks.hot(view, view.config)
    reason = f"recover: {'; '.join(view.liveness.evidence)}"
    return await force_unlock(
        world, fleet, state.lock.epoch, reason, timing, watch, command="recover"
    )


async def _settle(
    world: World, state: FleetState, view: LockView, timing: Timing, watch: Watch | None
) -> Resolution:
    members = () if state.installed is None else tuple(state.installed.begun.digests)
    goal: Goal = Settle(until=world.clock.now() + timing.settle_s, members=members)
    coordinator = Coordinator(state, goal=goal, timing=timing)
    try:
        async with world.connect(state.fleet) as transport:
            # A device that found nobody for a while says HELLO seldom: let all say it now.
            await transport.send(answers.ROLL_CALL)
            await Session(world, coordinator, transport, watch).run()
    except TransportUnavailable as error:
        raise locks.unreachable(f"the broker can't be reached: {error}") from error
    return _resolved(coordinator, view, "settled", {})


# --- abort ------------------------------------------------------------------------------------


async def request_abort(world: World, txn_id: TxnId, reason: str) -> tuple[FleetState, Txn]:
    """
    Ask the living owner of an undecided transaction to abort it; wait to see it obeyed.

    Returns the fold and the transaction as they are then. Raises OperatingError: 2 for an
    unknown txn, 6 where the owner is a ghost, 5 where COMMIT is decided already.
    """
    state, txn = await _find_open(world, txn_id)
    view = await locks.look(world, state)
    if view.liveness is not None and view.liveness.verdict is Verdict.GHOST:
        raise locks.hot(view, txn.begun.config)
    record = AbortRequested(txn=txn.begun.txn, by=world.processes.me(world.program), reason=reason)
    for _ in range(locks.TRIES_MAX):
        if state.open is None or state.open.decided is not None:
            break
        after = await locks.append(world, state, (record,))
        if after is not None:
            break
        state = await locks.read_fleet(world, state.fleet)
    return await _see_obeyed(world, state.fleet, txn_id, txn)


async def _find_open(world: World, txn_id: TxnId) -> tuple[FleetState, Txn]:
    for fleet in await world.store.fleets():
        state = await locks.read_fleet(world, fleet)
        txn = _named(state, txn_id)
        if txn is not None:
            _refuse_decided(txn)
            return state, txn
    raise OperatingError(
        f"no transaction {txn_id} is open in this store",
        exit_code=Exit.USAGE,
        next_command="aimctl history",
    )


def _named(state: FleetState, txn_id: TxnId) -> Txn | None:
    """Find a transaction by its id, or as FLEET/SEQ."""
    for txn in (state.open, state.last, state.installed):
        if txn is not None and txn_id in {txn.begun.txn, f"{state.fleet}/{txn.begun.seq}"}:
            return txn
    return None


def _refuse_decided(txn: Txn) -> None:
    if txn.outcome is Outcome.COMMIT:
        raise OperatingError(
            f"txn {txn.begun.txn} is decided COMMIT; a decision never changes",
            exit_code=Exit.ACTIVATING,
            next_command="aimctl status",
        )


async def _see_obeyed(
    world: World, fleet: FleetId, txn_id: TxnId, known: Txn
) -> tuple[FleetState, Txn]:
    until = world.clock.monotonic() + OBEY_S
    while True:
        state = await locks.read_fleet(world, fleet)
        txn = _named(state, txn_id)
        if txn is not None:
            known = txn
        if known.decided is not None or world.clock.monotonic() > until:
            return state, known
        await world.clock.sleep(0.1)
