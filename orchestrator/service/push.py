"""Push a plan to its fleet: take the lock, run the transaction, say how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import StoreUnavailable, Transport, TransportUnavailable
from orchestrator.protocol.coordinator import Coordinator, Phase
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.orchestration import Push, Timing
from orchestrator.protocol.types import DeviceId, Digest, Outcome, Plan, TxnId, Version
from orchestrator.service import holding, locks
from orchestrator.service.holding import OnWait, Want
from orchestrator.service.reading import with_votes
from orchestrator.service.resolution import contradicted
from orchestrator.service.results import LockView, PushedDevice, PushResult, word_since
from orchestrator.service.session import Session, Watch
from orchestrator.service.world import World

NOTHING_TO_DO: Final = "every device already runs exactly this configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOrder:
    """
    What to push. ``blobs`` are the plan's canonical bytes, the manifest and every configuration.

    ``plan_digest`` is that of the plan's canonical bytes; ``timeout_s`` bounds the time to a
    decision. ``started`` is called with the session, for Ctrl-C. ``wait_lock_s`` is how long to
    wait in line for the lock; ``replan`` makes the order anew where the fleet has moved on
    meanwhile, and without it the plan is stale then. ``on_wait`` is told who is before us.
    ``spare`` names what the bundle holds for the devices that the plan excuses: without it they
    could not be caught up when they come back.
    """

    plan: Plan
    plan_digest: Digest
    blobs: tuple[bytes, ...]
    timing: Timing
    timeout_s: float | None = None
    watch: Watch | None = None
    started: Callable[[Session], None] | None = None
    wait_lock_s: float | None = None
    replan: Callable[[Version], PushOrder] | None = None
    on_wait: OnWait | None = None
    spare: Mapping[DeviceId, Digest] = field(default_factory=dict)


async def push(world: World, order: PushOrder) -> PushResult:
    """
    Run one transaction. Returns how it ended; its ``exit_code`` is that of ``aimctl push``.

    Raises OperatingError where nothing was begun: HOT, a stale plan, a store or broker that is
    not reachable.
    """
    plan, clock = order.plan, world.clock
    began = clock.monotonic()
    state = await locks.read_fleet(world, plan.fleet)
    if order.wait_lock_s is None:
        check_base(state, plan)
    check_retired(state, plan)
    if nothing_to_do(state, plan):
        return _unchanged(state, order)
    try:
        async with world.connect(plan.fleet) as transport:
            await _store_blobs(world, order)
            staged = clock.monotonic()
            want = Want(purpose="push", wait_s=order.wait_lock_s, on_wait=order.on_wait)
            held = await holding.acquire(world, plan.fleet, want)
            if isinstance(held, LockView):
                view = await with_votes(world, transport, held)
                raise locks.hot(view, plan.config)
            locked = clock.monotonic()
            order = await _planned_anew(world, order, held.state)
            if nothing_to_do(held.state, order.plan):  # whoever was before us has done it
                await holding.release(world, plan.fleet, held.epoch, held.owner)
                return _unchanged(held.state, order)
            session, coordinator = await _run(world, order, held, transport, locked - held.since)
    except TransportUnavailable as error:
        raise locks.unreachable(f"the broker can't be reached: {error}") from error
    except StoreUnavailable as error:
        raise locks.unreachable(f"the store can't be used: {error}") from error
    marks = {"began": began, "staged": staged, "locked": locked, **session.marks}
    return _result(coordinator, order, session, _timing_ms(marks, clock.monotonic()))


async def _store_blobs(world: World, order: PushOrder) -> None:
    for blob in order.blobs:
        await world.store.put_blob(blob)


async def _planned_anew(world: World, order: PushOrder, state: FleetState) -> PushOrder:
    """Return the order for the version that the fleet is at now, where it may be made anew."""
    if order.replan is None or state.version == order.plan.base_version:
        return order
    anew = order.replan(state.version)
    await _store_blobs(world, anew)
    return replace(anew, watch=order.watch, started=order.started, timeout_s=order.timeout_s)


def check_retired(state: FleetState, plan: Plan) -> None:
    """Refuse a plan with a member that is out of the fleet for good."""
    retired = sorted(state.retired.intersection(plan.members))
    if retired:
        raise OperatingError(
            f"{', '.join(retired)} of {plan.fleet} is retired: remove it from the fleet file",
            exit_code=Exit.INVALID,
            next_command=f"aimctl devices list --fleet {plan.fleet}",
        )


def check_base(state: FleetState, plan: Plan) -> None:
    """Refuse a plan that was made for another version of the fleet."""
    if plan.base_version != state.version:
        raise OperatingError(
            f"the plan is stale: it was made for version {plan.base_version} of {plan.fleet},"
            f" which is at version {state.version}",
            exit_code=Exit.PLAN_STALE,
            next_command="aimctl plan CONFIG --fleet FLEET",
        )


def nothing_to_do(state: FleetState, plan: Plan) -> bool:
    """Whether the fleet's version already has exactly these digests, and nothing is open."""
    installed = state.installed
    same = installed is not None and dict(installed.begun.digests) == dict(plan.digests)
    return same and state.open is None and not state.deferred


def _unchanged(state: FleetState, order: PushOrder) -> PushResult:
    return PushResult(
        fleet=state.fleet,
        txn=None,
        seq=None,
        epoch=None,
        decision=None,
        base_version=state.version,
        version=state.version,
        digest=order.plan.bundle,
        message=NOTHING_TO_DO,
    )


async def _run(
    world: World,
    order: PushOrder,
    held: locks.Held,
    transport: Transport,
    append_s: float,
) -> tuple[Session, Coordinator]:
    goal = Push(
        txn=TxnId(world.ids.new()), plan=order.plan, digest=order.plan_digest, spare=order.spare
    )
    coordinator = Coordinator(
        held.state,
        goal=goal,
        timing=order.timing,
        epoch=held.epoch,
        owner=held.owner,
        append_s=append_s,
    )
    if held.state.version != order.plan.base_version:
        # Somebody pushed between our reading and our lock: give it back, and say so.
        coordinator.abort_cause = "the plan is stale"
    session = Session(world, coordinator, transport, order.watch, since=held.since)
    if order.started is not None:
        order.started(session)
    timer = None
    if order.timeout_s is not None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(order.timeout_s, session.time_out, order.timeout_s)
    try:
        await session.run()
    finally:
        if timer is not None:
            timer.cancel()
    if held.state.version != order.plan.base_version:
        check_base(held.state, order.plan)
    return session, coordinator


# --- how it ended -----------------------------------------------------------------------------


def _timing_ms(marks: Mapping[str, float], end: float) -> dict[str, float]:
    """Return how long each part took, in ms; a part that was not reached is left out."""
    spans = {
        "stage": ("began", "staged"),
        "lock": ("staged", "locked"),
        "join": ("locked", "begun"),
        "prepare": ("begun", "deciding"),
        "decide": ("deciding", "decided"),
        "activate": ("decided", "ended"),
    }
    found = {
        name: round((marks[until] - marks[since]) * 1e3, 3)
        for name, (since, until) in spans.items()
        if since in marks and until in marks
    }
    return found | {"total": round((end - marks["began"]) * 1e3, 3)}


def _result(
    coordinator: Coordinator, order: PushOrder, session: Session, timing_ms: dict[str, float]
) -> PushResult:
    state, plan = coordinator.state, order.plan
    txn = coordinator.finished or _ours(state, coordinator)
    result = PushResult(
        fleet=plan.fleet,
        txn=None if txn is None else txn.begun.txn,
        seq=None if txn is None else txn.begun.seq,
        epoch=None if coordinator.epoch is None else coordinator.epoch.number,
        decision=None if txn is None else txn.outcome,
        base_version=plan.base_version,
        version=state.version,
        digest=plan.bundle,
        devices=_devices(coordinator, plan, txn),
        deferred=() if txn is None or txn.ended is None else txn.ended.deferred,
        timing_ms=timing_ms,
        activation_skew_ms=_skew_ms(coordinator, txn),
    )
    return _judge(result, coordinator, session, txn)


def _ours(state: FleetState, coordinator: Coordinator) -> Txn | None:
    """Return our transaction where somebody else is driving it now."""
    if not isinstance(coordinator.goal, Push):
        return None
    mine = coordinator.goal.txn
    known = (state.open, state.last, state.installed)
    return next((txn for txn in known if txn is not None and txn.begun.txn == mine), None)


def _devices(
    coordinator: Coordinator, plan: Plan, txn: Txn | None
) -> dict[DeviceId, PushedDevice]:
    refused = {} if txn is None or txn.decided is None else txn.decided.refused
    found = {}
    for device in plan.members:
        known = coordinator.witness.of(device)
        vote = None if txn is None else coordinator.witness.vote(device, txn.begun.txn)
        word = None if vote is None else ("yes" if vote.yes else "no")
        told = known.state
        found[device] = PushedDevice(
            vote=word,
            reasons=tuple(refused.get(device, ())),
            state=word_since(known, txn),
            version=None if told is None else told.version,
            hold_ms=_hold_ms(known) if word == "yes" else None,
        )
    return found


def _hold_ms(known: Evidence) -> float | None:
    """Return how long a device held, where it has told and not forgotten it."""
    held_s = None if known.state is None else known.state.hold_s
    return None if held_s is None else round(held_s * 1e3, 3)


def _skew_ms(coordinator: Coordinator, txn: Txn | None) -> float | None:
    """Return the time between the first and the last activation, by the devices' clocks."""
    if txn is None or txn.outcome is not Outcome.COMMIT:
        return None
    instants = [
        told.activated_at
        for device in txn.begun.digests
        if (told := coordinator.witness.of(device).state) is not None
        and told.version == txn.begun.seq
        and told.activated_at is not None
    ]
    return round((max(instants) - min(instants)) * 1e3, 3) if instants else None


def _judge(
    result: PushResult, coordinator: Coordinator, session: Session, txn: Txn | None
) -> PushResult:
    """Choose the exit code and the words. 7 goes before 4 and 5."""
    status = f"aimctl status --fleet {result.fleet}"
    recover = f"aimctl recover --fleet {result.fleet}"
    if coordinator.phase is Phase.FENCED:
        by = coordinator.state.lock.owner
        taken = "the lock was taken while we worked" + (f", by {by}" if by else "")
        return replace(
            result, exit_code=Exit.FENCED, message=f"fenced: {taken}", next_command=status
        )
    if coordinator.phase in {Phase.UNKNOWN, Phase.STOPPED}:
        why = "the store went away" if coordinator.phase is Phase.UNKNOWN else "our lease ran out"
        message = f"outcome unknown: {why} before the end was stored"
        return replace(result, exit_code=Exit.UNKNOWN, message=message, next_command=recover)
    if txn is None or txn.decided is None:
        if coordinator.contradiction is not None:
            why = contradicted(coordinator.contradiction)
            message = f"nothing was begun: {why}"
            return replace(
                result, exit_code=Exit.UNREACHABLE, message=message, next_command="aimctl doctor"
            )
        cause = coordinator.abort_cause or "nothing was begun"
        return replace(result, exit_code=_stopped(session), message=f"nothing was begun: {cause}")
    if txn.outcome is Outcome.ABORT:
        reasons = (txn.decided.cause,)
        message = f"decided ABORT ({txn.decided.cause}): the fleet is unchanged"
        if result.deferred:
            message += f". Not heard to have taken the ABORT: {', '.join(result.deferred)}"
        return replace(
            result,
            reasons=reasons,
            exit_code=_stopped(session),
            message=message,
            next_command=recover if result.deferred else None,
        )
    return _committed(coordinator.state, result, session, recover)


def _stopped(session: Session) -> Exit:
    if session.interrupted:
        return Exit.INTERRUPTED
    return Exit.TIMED_OUT if session.timed_out else Exit.ABORTED


def _left_out(state: FleetState) -> str:
    """Name who is not a member any more and may go on operating an older version (I5)."""
    names = sorted(state.outside - state.leased - state.retired)
    return f". Left out, and stopped by no lease: {', '.join(names)}" if names else ""


def _committed(
    state: FleetState, result: PushResult, session: Session, recover: str
) -> PushResult:
    if not result.deferred:
        message = f"decided COMMIT: every device runs version {result.version}{_left_out(state)}"
        code = Exit.INTERRUPTED if session.interrupted else Exit.DONE
        return replace(result, exit_code=code, message=message)
    names = ", ".join(result.deferred)
    message = (
        f"decided COMMIT, but not heard to be active yet: {names}. The decision stands: they"
        " follow it when they hear of it, and somebody must be there to answer them"
    )
    code = Exit.INTERRUPTED if session.interrupted else Exit.ACTIVATING
    return replace(result, exit_code=code, message=message, next_command=recover)
