"""``aimctl doctor``: is everything there, and what to do next."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cyclopts import App

from orchestrator.cli.context import Context, Given
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.service.world import World

OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"

DESCRIPTORS_MIN: Final = 256
YEAR_2024_S: Final = 1_704_067_200.0
AHEAD_MAX_S: Final = 5.0
"""How far the journal's last entry may lie in the future before the clock is doubted."""

_SIGNS: Final = {OK: ("✔", "green"), WARNING: ("!", "yellow"), ERROR: ("✘", "bold red")}
_HEALTHY: Final = "aimctl plan CONFIG --fleet FLEET"


def register(app: App) -> None:
    """Add the command."""
    app.command(doctor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; ``following`` is what mends it, ``code`` how the command ends for it."""

    name: str
    status: str
    text: str
    following: str | None = None
    code: Exit = Exit.DONE


async def doctor(
    *,
    context: Given,
) -> int:
    """
    Check this machine, the settings, the store and the broker; say what to do next.

    For example:
      aimctl doctor
      aimctl doctor --broker mqtt://10.0.0.5 --output json

    Exits with 0 when all is well, 11 when the store or the broker can't be
    reached, 1 when something else is wrong; a HOT lock and a missing store are
    warnings. Changes nothing.
    """
    checks = [_python(), _descriptors()]
    try:
        async with context.world(reading=True) as world:
            checks += [one async for one in _store(context, world)]
            checks.append(await _clock(world))
            checks += [one async for one in _locks(world)]
    except OperatingError as error:
        checks.append(_unreachable("store", error.message))
    checks.append(await _broker(context))
    return _show(context, checks)


def _show(context: Context, checks: Sequence[Check]) -> int:
    code = next((one.code for one in checks if one.code is not Exit.DONE), Exit.DONE)
    worst = sorted(checks, key=lambda one: (ERROR, WARNING, OK).index(one.status))
    following = next((one.following for one in worst if one.following), _HEALTHY)
    document = {
        "type": "doctor",
        "ok": code is Exit.DONE,
        "settings": [
            {"name": one.name, "value": one.shown, "origin": one.origin}
            for one in context.settings.all()
        ],
        "checks": [{"name": c.name, "status": c.status, "text": c.text} for c in checks],
        "next": following,
        "exit_code": int(code),
    }

    def text(screen: Screen) -> None:
        settings = context.settings.all()
        screen.table(
            ("setting", "value", "from"), [(one.name, one.shown, one.origin) for one in settings]
        )
        screen.line()
        rows = [(one.name, _sign(one.status), one.text) for one in checks]
        screen.table(("check", "status", "what"), rows)
        screen.line()
        screen.line(f"next      {following}")

    context.view.show(document, text)
    return int(code)


def _sign(status: str) -> tuple[str, str]:
    icon, style = _SIGNS[status]
    return f"{icon} {status}", style


# --- this machine -----------------------------------------------------------------------------


def _python() -> Check:
    version = platform.python_version()
    system = f"Python {version}, {platform.system()} {platform.release()}"
    if sys.platform != "linux":
        return Check(
            name="platform",
            status=WARNING,
            text=f"{system}: owners of locks can't be proved dead here, only by their lease",
        )
    return Check(name="platform", status=OK, text=system)


def _descriptors() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS_MIN:
        text = f"{shown} open files are allowed, {DESCRIPTORS_MIN} may be needed"
        return Check(name="descriptors", status=WARNING, text=text, following="ulimit -n 1024")
    return Check(name="descriptors", status=OK, text=f"{shown} open files are allowed")


async def _clock(world: World) -> Check:
    """Compare the clock with common sense, and with what was written by it before."""
    now = world.clock.now()
    if now < YEAR_2024_S:
        text = "this machine's clock is years behind: devices could not follow a timeline"
        return Check(name="clock", status=ERROR, text=text, code=Exit.UNEXPECTED)
    ahead_s = await _last_entry_at(world) - now
    if ahead_s > AHEAD_MAX_S:
        text = f"the journal's last entry lies {ahead_s:.0f} s in the future: a clock is wrong"
        return Check(name="clock", status=WARNING, text=text, following="timedatectl status")
    return Check(name="clock", status=OK, text="later than everything in the journal")


async def _last_entry_at(world: World) -> float:
    last = [0.0]
    for fleet in await world.store.fleets():
        last += [entry.at for entry in (await world.store.read(fleet))[-1:]]
    return max(last)


# --- the store --------------------------------------------------------------------------------


def _unreachable(name: str, text: str, following: str | None = None) -> Check:
    return Check(name=name, status=ERROR, text=text, following=following, code=Exit.UNREACHABLE)


async def _store(context: Context, world: World) -> AsyncIterator[Check]:
    """Check that the store is there, durable, and folds without breaking an invariant."""
    shown = context.settings.store.shown
    if context.store_is_missing():
        text = f"{shown} does not exist yet: the first push makes it"
        yield Check(name="store", status=OK, text=text)
        return
    # Opening has set synchronous=FULL and read it back: it fails where that does not hold.
    fleets = await world.store.fleets()
    yield Check(name="store", status=OK, text=f"{shown}: {len(fleets)} fleets, synchronous=FULL")
    for fleet in fleets:
        yield await _journal(world, fleet)


async def _journal(world: World, fleet: str) -> Check:
    from orchestrator.protocol.errors import InvariantViolation
    from orchestrator.protocol.invariants import journal_violations
    from orchestrator.protocol.records import FleetState, fold
    from orchestrator.protocol.types import FleetId

    name = f"journal of {fleet}"
    entries = await world.store.read(FleetId(fleet))
    found = [str(one) for one in journal_violations(entries)]
    try:
        state = fold(FleetState(fleet=FleetId(fleet)), entries)
    except InvariantViolation as error:
        found.append(str(error))
        state = None
    if found or state is None:
        text = f"an invariant is broken: {'; '.join(found)}. Push nothing; keep the file"
        return Check(name=name, status=ERROR, text=text, code=Exit.UNEXPECTED)
    if state.deferred:
        text = f"{len(entries)} records, version {state.version}; deferred:"
        return Check(
            name=name,
            status=WARNING,
            text=f"{text} {', '.join(sorted(state.deferred))}",
            following=f"aimctl recover --fleet {fleet}",
        )
    text = f"{len(entries)} records fold without a violation, version {state.version}"
    return Check(name=name, status=OK, text=text)


async def _locks(world: World) -> AsyncIterator[Check]:
    """Name the locks that somebody holds, and whether that somebody lives."""
    from orchestrator.protocol.errors import InvariantViolation
    from orchestrator.service import reading

    try:
        views = await reading.lock_list(world)
    except InvariantViolation:
        return  # told already
    for view in views:
        if view.lock.owner is None or view.liveness is None:
            continue
        verdict, evidence = view.liveness.verdict.value, "; ".join(view.liveness.evidence)
        following = f"aimctl lock show {view.id}"
        if verdict == "ghost":
            following = f"aimctl recover --fleet {view.fleet}"
        yield Check(
            name=f"lock {view.id}",
            status=WARNING,
            text=f"HOT: {view.lock.owner} ({verdict}: {evidence})",
            following=following,
        )


# --- the broker -------------------------------------------------------------------------------


async def _broker(context: Context) -> Check:
    """Connect, subscribe, and take leave; a broker that is away is no news of the store."""
    from orchestrator.ports import TransportUnavailable
    from orchestrator.protocol.types import FleetId
    from orchestrator.wiring import make_world

    broker, shown = context.settings.broker.value, context.settings.broker.shown
    try:
        async with make_world(
            store="memory:", broker=broker, audience=context.audience()
        ) as world:
            began = world.clock.monotonic()
            async with world.connect(FleetId("doctor")):
                took_ms = (world.clock.monotonic() - began) * 1e3
    except TransportUnavailable as error:
        return _unreachable("broker", str(error), "aimctl broker run")
    except OperatingError as error:
        return Check(
            name="broker",
            status=ERROR,
            text=error.message,
            following=error.next_command,
            code=Exit.USAGE,
        )
    text = f"{shown}: connected and subscribed in {took_ms:.0f} ms"
    return Check(name="broker", status=OK, text=text)
