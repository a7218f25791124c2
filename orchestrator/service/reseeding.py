"""Reseed a fleet whose store was rolled back: adopt what its devices know (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict
from orchestrator.ports import TransportUnavailable
from orchestrator.protocol import lease, reseed
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.records import LockState, Record, Verb
from orchestrator.protocol.types import DeviceId, Epoch
from orchestrator.service import locks, reading
from orchestrator.service.resolution import Resolution, resolved
from orchestrator.service.resolving import Order, drive, tell_decisions
from orchestrator.service.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What the devices say against the journal.

    ``contradictions`` says what each knows that the journal lacks; ``told`` is the word of each
    that was heard, ``unheard`` names the rest. ``under_way`` is whether a reseed has begun and
    not ended.
    """

    state: FleetState
    contradictions: Mapping[DeviceId, str]
    told: Mapping[DeviceId, DeviceState]
    unheard: tuple[DeviceId, ...]
    under_way: bool

    @property
    def needed(self) -> bool:
        """Whether there is anything to reseed."""
        return bool(self.contradictions) or self.under_way

    @property
    def outcome(self) -> str:
        """Say what a reseed would do."""
        if not self.needed:
            return "no device contradicts the journal: there is nothing to reseed"
        known = max((one.version for one in self.told.values()), default=0)
        version = max(known, self.state.version)
        highest = max((one.last_seq for one in self.told.values()), default=0)
        last_seq = max(self.state.last_seq, highest)
        heard = f"{len(self.told)} heard, {len(self.unheard)} not"
        return (
            f"a new incarnation begins; txns go on above {last_seq}, the fleet is at version"
            f" {version} by the word of its devices ({heard}); what nobody knows stays open until"
            " everybody was heard or retired"
        )


async def find_out(world: World, order: Order) -> Finding:
    """Ask the devices what they know; nothing is changed. Raises OperatingError (11)."""
    state, witness = await locks.read_fleet(world, order.fleet), Witness()
    members = reading.known_devices(state, order.members)
    try:
        async with world.connect(order.fleet) as transport:
            await reading.call_the_roll(world, state, transport, witness, members)
    except TransportUnavailable as error:
        raise locks.unreachable(f"the broker can't be reached: {error}") from error
    # Read after the devices were heard: see ``reading.status``.
    state = await locks.read_fleet(world, order.fleet)
    told = {name: one.state for name, one in sorted(witness.devices.items()) if one.state}
    return Finding(
        state=state,
        contradictions=reading.contradictions(state, witness),
        told=told,
        unheard=tuple(name for name in members if name not in told),
        under_way=state.reseeding is not None,
    )


async def run(world: World, order: Order) -> Resolution:
    """
    Begin a new incarnation, or go on with one that was begun; adopt what the devices know.

    Exits with 5 where somebody who must be heard was not: the lock stays taken, and the same
    command goes on when they are back, or were retired. Raises OperatingError: 2 where no device
    contradicts the journal, 6 where a living owner is at it, 11 where store or broker are away.
    """
    before = await locks.look(world, await locks.read_fleet(world, order.fleet))
    found = await find_out(world, order)
    if not found.needed:
        raise _not_needed(found)
    mine = before.lock.owner == world.me(order.command)
    if not mine and before.liveness is not None and before.liveness.verdict is Verdict.LIVE:
        raise locks.hot(before, order.config)
    try:
        async with world.connect(order.fleet) as transport:
            held = await _take(world, order, found, before.lock.epoch)
            coordinator = await drive(world, order, held, transport)
    except TransportUnavailable as error:
        raise locks.unreachable(f"the broker can't be reached: {error}") from error
    if coordinator.phase is Phase.DONE and coordinator.state.deferred:
        coordinator, _ = await tell_decisions(world, coordinator.state, order.timing, order.watch)
    found_out = resolved(coordinator, before, "reseeded", {})
    if coordinator.doubtful is not None:
        return found_out
    left = reading.contradictions(coordinator.state, coordinator.witness)
    if left and found_out.exit_code is Exit.DONE:
        told = "; ".join(f"{name}: {why}" for name, why in left.items())
        return replace(
            found_out,
            exit_code=Exit.UNKNOWN,
            message=f"the journal was reseeded, and still: {told}",
            next_command=f"aimctl devices list --fleet {order.fleet}",
        )
    version = coordinator.state.version
    message = f"{found_out.message}. The journal goes on from version {version}"
    return replace(found_out, message=message)


def _not_needed(found: Finding) -> OperatingError:
    lock, fleet = found.state.lock, found.state.fleet
    if lock.state is LockState.RESOLVING and lock.purpose == Verb.RESEED.value:
        why = "the devices were heard and their word is adopted: what is left is to end it"
        return OperatingError(
            why, exit_code=Exit.HOT, next_command=f"aimctl recover --fleet {fleet}"
        )
    return OperatingError(found.outcome, exit_code=Exit.USAGE)


async def _take(world: World, order: Order, found: Finding, judged: Epoch) -> locks.Held:
    owner, since = world.me(order.command), world.clock.monotonic()

    def rule(state: FleetState) -> tuple[Record, ...]:
        if state.lock.epoch != judged:
            raise OperatingError(
                f"the lock of {state.fleet} has changed hands meanwhile: it is"
                f" {state.fleet}@{state.lock.epoch} now",
                exit_code=Exit.HOT,
                next_command=f"aimctl lock show {state.fleet}",
            )
        ahead = any(one.max_epoch > state.lock.epoch for one in found.told.values())
        if state.reseeding is None or state.lock.state is LockState.FREE or ahead:
            return reseed.begin(state, found.told, owner, order.reason, order.members)
        records = lease.resolve(state, state.lock.epoch, owner, order.reason, Verb.RESEED)
        if isinstance(records, lease.NotTheLock):
            raise locks.not_the_lock(state, state.lock.epoch)
        return records

    after = await locks.change(world, order.fleet, rule)
    return locks.Held(state=after, epoch=after.lock.epoch, owner=owner, since=since)
