"""The ways out of a HOT lock: force-unlock, break-glass, recover."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict, may_act_unasked
from orchestrator.locksmith.watch import Watch as Lookout
from orchestrator.ports import Transport, TransportUnavailable
from orchestrator.protocol import answers, lease
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.orchestration import Resolve, Settle, Timing
from orchestrator.protocol.records import LockState, Record, Verb
from orchestrator.protocol.types import DeviceId, Epoch, FleetId, Outcome
from orchestrator.service import locks
from orchestrator.service.resolution import Resolution, resolved
from orchestrator.service.results import LockView
from orchestrator.service.session import Session, Watch
from orchestrator.service.world import World

WATCH_PAUSE_S: Final = 1.0


def foresee(view: LockView, verb: Verb = Verb.FORCE_UNLOCK) -> str:
    """Say exactly what a verb would do to ``view``; nothing is changed."""
    txn = view.txn
    if view.reseeding and verb is Verb.BREAK_GLASS:
        return "refused: what was decided is not known until the reseed has heard the devices"
    if view.reseeding:
        return (
            "a reseed is under way: whoever takes it over goes on hearing the devices, and nothing"
            " is decided before that"
        )
    if txn is None:
        return "no transaction is open: the epoch rises, and the lock is free"
    seq, members = txn.begun.seq, len(txn.begun.digests)
    if txn.decided is None:
        fate = f"txn {seq} is undecided: ABORT is stored in the same write"
        ends = f"and the fleet stays at version {txn.begun.base_version}"
    else:
        fate = f"txn {seq} is decided {txn.decided.outcome.value.upper()}"
        commit = txn.outcome is Outcome.COMMIT
        ends = f"and the fleet ends at version {seq}" if commit else "and that stands"
    if verb is Verb.BREAK_GLASS:
        return (
            f"{fate}, {ends}; it is ended and the lock is freed at once: of {members} members each"
            " that is not heard to have followed is quarantined until it re-joins"
        )
    return f"{fate}, told to all {members} members, {ends}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    Whose lock to resolve, and why; ``members`` and ``config`` are those of the fleet's file.

    ``verb`` is kept in the journal, ``command`` in the owner that it names.
    """

    fleet: FleetId
    epoch: Epoch
    reason: str
    timing: Timing
    members: tuple[DeviceId, ...] = ()
    config: str = ""
    verb: Verb = Verb.FORCE_UNLOCK
    command: str = "lock force-unlock"
    watch: Watch | None = None


async def force_unlock(world: World, order: Order) -> Resolution:
    """
    Take the lock whoever holds it, and resolve: who drives changes, the decision does not.

    Raises OperatingError: 8 when the epoch is not the lock's, 11 when store or broker are away.
    Without a broker nothing is taken: a resolver that can tell nobody helps nobody.
    """
    before = await locks.look(world, await locks.read_fleet(world, order.fleet))
    began = world.clock.monotonic()
    try:
        async with world.connect(order.fleet) as transport:
            connected = world.clock.monotonic()
            held = await locks.take(
                world, order.fleet, order.epoch, order.reason, order.verb, order.command
            )
            taken = world.clock.monotonic()
            coordinator = await drive(world, order, held, transport)
    except TransportUnavailable as error:
        raise locks.unreachable(f"the broker can't be reached: {error}") from error
    timing_ms = _parts_ms(began, connected, taken, world.clock.monotonic())
    return resolved(coordinator, before, "resolved", timing_ms)


async def drive(world: World, order: Order, held: locks.Held, transport: Transport) -> Coordinator:
    """Drive what is open under a lock that was taken, to its end, and free it."""
    goal = Resolve(members=order.members, config=order.config or _config(held.state))
    coordinator = Coordinator(
        held.state, goal=goal, timing=order.timing, epoch=held.epoch, owner=held.owner
    )
    await Session(world, coordinator, transport, order.watch, since=held.since).run()
    return coordinator


def _config(state: FleetState) -> str:
    known = state.open or state.installed or state.last
    return "" if known is None else known.begun.config


# --- break-glass --------------------------------------------------------------------------------


async def break_glass(world: World, order: Order) -> Resolution:
    """
    Free the lock at once, whoever can be reached: verb 4 of DESIGN §6.

    Every member that was not heard to have followed is quarantined, by name. Then the decision is
    told to whoever can be reached, for ``settle_s``. Raises OperatingError: 8 when the epoch is
    not the lock's, 6 in the middle of a reseed, 11 when the store is away; a broker that is away
    keeps nobody from it.
    """
    before = await locks.look(world, await locks.read_fleet(world, order.fleet))
    began, owner = world.clock.monotonic(), world.me(order.command)

    def rule(state: FleetState) -> tuple[Record, ...]:
        records = lease.break_glass(state, order.epoch, owner, order.reason)
        if isinstance(records, lease.NotTheLock):
            raise locks.not_the_lock(state, order.epoch)
        if isinstance(records, lease.Refused):
            raise OperatingError(
                records.why,
                exit_code=Exit.HOT,
                next_command=f"aimctl reseed --fleet {order.fleet} --dry-run",
            )
        return records

    state = await locks.change(world, order.fleet, rule)
    taken = world.clock.monotonic()
    coordinator, why = await tell_decisions(world, state, order.timing, order.watch)
    timing_ms = _parts_ms(began, began, taken, world.clock.monotonic())
    found = resolved(coordinator, before, "broken", timing_ms)
    if why is None:
        return found
    message = f"{found.message}. The broker can't be reached ({why}): nobody was told"
    return replace(found, message=message)


async def tell_decisions(
    world: World, state: FleetState, timing: Timing, watch: Watch | None
) -> tuple[Coordinator, str | None]:
    """Tell old decisions to whoever listens; return who was heard, and why nobody could be."""
    members = () if state.installed is None else tuple(state.installed.begun.digests)
    goal = Settle(until=world.clock.now() + timing.settle_s, members=members)
    coordinator = Coordinator(state, goal=goal, timing=timing)
    try:
        async with world.connect(state.fleet) as transport:
            # A device that found nobody for a while says HELLO seldom: let all say it now.
            await transport.send(answers.ROLL_CALL)
            await Session(world, coordinator, transport, watch).run()
    except TransportUnavailable as error:
        return coordinator, str(error)
    return coordinator, None


def _parts_ms(began: float, connected: float, taken: float, end: float) -> dict[str, float]:
    parts = {"connect": connected - began, "take": taken - connected, "drive": end - taken}
    return {name: round(s * 1e3, 3) for name, s in {**parts, "total": end - began}.items()}


# --- recover ----------------------------------------------------------------------------------


async def recover(world: World, order: Order) -> Resolution:
    """
    Resolve a ghost's lock, and answer the devices that wait; never take a living owner's lock.

    With a free lock it answers devices that are deferred, quarantined or hold after a restart,
    for at most ``settle_s``. The epoch of ``order`` is not looked at: it is the ghost's.
    """
    state = await locks.read_fleet(world, order.fleet)
    view = await locks.look(world, state)
    if state.lock.state is LockState.FREE:
        coordinator, why = await tell_decisions(world, state, order.timing, order.watch)
        if why is not None:
            raise locks.unreachable(f"the broker can't be reached: {why}")
        return resolved(coordinator, view, "settled", {})
    if not await still_a_ghost(world, view):
        raise locks.hot(view, view.config)
    evidence = () if view.liveness is None else view.liveness.evidence
    reason = f"recover: {'; '.join(evidence)}"
    ghost = replace(
        order, epoch=state.lock.epoch, reason=reason, verb=Verb.RECOVER, command="recover"
    )
    return await force_unlock(world, ghost)


async def still_a_ghost(world: World, view: LockView) -> bool:
    """
    Whether nobody needs to be asked before the lock is resolved (I20).

    A verdict by the wall clocks of two machines needs our own observation as well: the lease must
    stand still before our eyes for its whole TTL.
    """
    live, epoch = view.liveness, view.lock.epoch
    if live is None or live.verdict is not Verdict.GHOST:
        return False
    lookout, first = Lookout(), None
    while True:
        held = (await world.store.leases(view.fleet)).get(epoch)
        now = world.clock.monotonic()
        unchanged_s = 0.0 if held is None else lookout.unchanged_s(held, now)
        if may_act_unasked(live, unchanged_s):
            return True
        if held is None or (first is not None and held != first):
            return False  # it was renewed, or is somebody else's by now
        first = held
        await world.clock.sleep(WATCH_PAUSE_S)
