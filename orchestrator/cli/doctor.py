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
from orchestrator.cli.files import stored_fleets
from orchestrator.cli.hot import examine_all, show_examined
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.fleet import FleetState
    from orchestrator.protocol.types import FleetId
    from orchestrator.service.examination import Examined
    from orchestrator.service.symptoms import Broker
    from orchestrator.service.world import World

OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"

LOCK: Final = "lock "
LOOPBACK: Final = frozenset({"localhost", "::1"})
DESCRIPTORS_MIN: Final = 256
YEAR_2024_S: Final = 1_704_067_200.0
AHEAD_MAX_S: Final = 5.0
"""How far the journal's last entry may lie in the future before the clock is doubted."""

_SIGNS: Final = {OK: ("✔", "green"), WARNING: ("!", "yellow"), ERROR: ("✘", "bold red")}
_HEALTHY: Final = "aimctl plan CONFIG --fleet FLEET"
_OTHER_STORE: Final = "aimctl doctor --store sqlite:///PATH"


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
    Check this machine, the settings, the store and the broker; diagnose every HOT lock.

    For example:
      aimctl doctor
      aimctl doctor --broker mqtt://10.0.0.5 --output json

    Of a lock that is held, and of devices that wait, it shows journal, lease,
    process, broker and devices, what is wrong, and the one command that helps.
    Exits with 0 when all is well, 11 when the store or the broker can't be
    reached, 1 when something else is wrong, such as a store that was rolled back;
    a HOT lock and a missing store are warnings. Changes nothing.
    """
    checks = [_python(), _descriptors()]
    found: list[Examined] = []
    try:
        async with context.world(reading=True) as world:
            checks += [one async for one in _store(context, world)]
            checks.append(await _clock(world))
            broker = await _broker(context, world)
            found = await examine_all(world, _reach(context, broker), _why_away(broker))
            checks += [_lock(one) for one in found]
    except OperatingError as error:
        checks.append(_unreachable("store", error.message, _OTHER_STORE))
        broker = await _broker_alone(context)
    return _show(context, [*checks, broker], found)


def _show(context: Context, checks: Sequence[Check], found: Sequence[Examined]) -> int:
    code = next((one.code for one in checks if one.code is not Exit.DONE), Exit.DONE)
    following = _following(checks, found)
    document = {
        "type": "doctor",
        "ok": code is Exit.DONE,
        "settings": [
            {"name": one.name, "value": one.shown, "origin": one.origin}
            for one in context.settings.all()
        ],
        "checks": [{"name": c.name, "status": c.status, "text": c.text} for c in checks],
        "diagnoses": [one.document() for one in found],
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
        for one in found:
            screen.line()
            show_examined(screen, one)
        screen.line()
        screen.line(f"next      {following}")

    context.view.show(document, text)
    return int(code)


def _following(checks: Sequence[Check], found: Sequence[Examined]) -> str:
    """
    Return the one command: what is worst goes first.

    A diagnosis knows of the broker, and which way out needs it; a store that is damaged, or a
    setting that is wrong, goes before any diagnosis.
    """
    broken = [c for c in checks if c.status == ERROR and c.code is not Exit.UNREACHABLE]
    told = [one.following for one in broken if not one.name.startswith(LOCK)]
    told += [one.advice.command for one in found]
    worst = sorted(checks, key=lambda one: (ERROR, WARNING, OK).index(one.status))
    told += [one.following for one in worst]
    return next((command for command in told if command), _HEALTHY)


def _lock(one: Examined) -> Check:
    """Tell a diagnosis among the checks: a store that was rolled back is an error."""
    name = f"{LOCK}{one.found.lock.id}"
    verdict = one.found.lock.liveness
    held = "" if verdict is None else f"HOT ({verdict.verdict.value}): "
    text = f"{held}{one.advice.wrong}"
    if one.found.contradictions:
        return Check(name=name, status=ERROR, text=text, code=Exit.UNEXPECTED)
    return Check(name=name, status=WARNING, text=text)


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
    for fleet in await stored_fleets(world):
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
    fleets = await stored_fleets(world)
    yield Check(name="store", status=OK, text=f"{shown}: {len(fleets)} fleets, synchronous=FULL")
    for fleet in fleets:
        yield await _journal(world, fleet)


async def _journal(world: World, fleet: FleetId) -> Check:
    from orchestrator.protocol.errors import InvariantViolation
    from orchestrator.protocol.fleet import FleetState
    from orchestrator.protocol.fold import fold
    from orchestrator.protocol.invariants import journal_violations

    name = f"journal of {fleet}"
    entries = await world.store.read(fleet)
    found = [str(one) for one in journal_violations(entries)]
    try:
        state = fold(FleetState(fleet=fleet), entries)
    except InvariantViolation as error:
        found.append(str(error))
        state = None
    if found or state is None:
        text = f"an invariant is broken: {'; '.join(found)}. Push nothing; keep the file"
        following = f"aimctl history --fleet {fleet}"
        return Check(name=name, status=ERROR, text=text, following=following, code=Exit.UNEXPECTED)
    return _standing(name, state, len(entries))


def _standing(name: str, state: FleetState, records: int) -> Check:
    """Name the devices that are not with the fleet, or operate on a person's word."""
    from orchestrator.service.reading import heuristic

    told = {
        "deferred": ", ".join(sorted(state.deferred)),
        "quarantined": ", ".join(sorted(state.quarantined)),
        "on a person's word": "; ".join(
            f"{device} {heuristic(state, device)}" for device in sorted(state.heuristics)
        ),
    }
    odd = "; ".join(f"{what}: {names}" for what, names in told.items() if names)
    if odd:
        text = f"{records} records, version {state.version}; {odd}"
        following = f"aimctl devices list --fleet {state.fleet}"
        return Check(name=name, status=WARNING, text=text, following=following)
    text = f"{records} records fold without a violation, version {state.version}"
    return Check(name=name, status=OK, text=text)


# --- the broker -------------------------------------------------------------------------------


async def _broker(context: Context, world: World) -> Check:
    """Connect, subscribe, and take leave."""
    from orchestrator.ports import TransportUnavailable
    from orchestrator.protocol.types import FleetId

    try:
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
    shown = context.settings.broker.shown
    text = f"{shown}: connected and subscribed in {took_ms:.0f} ms"
    return Check(name="broker", status=OK, text=text)


async def _broker_alone(context: Context) -> Check:
    """Check the broker where there is no store: that is no news of the broker."""
    from orchestrator.wiring import make_world

    broker = context.settings.broker.value
    async with make_world(store="memory:", broker=broker, audience=context.audience()) as world:
        return await _broker(context, world)


def _why_away(broker: Check) -> str | None:
    return None if broker.status == OK else broker.text


def _reach(context: Context, check: Check) -> Broker:
    """Say whether devices can be told anything, and if not, whether a broker belongs here."""
    from orchestrator.service.symptoms import Broker
    from orchestrator.transport.broker_url import parse_broker_url

    if check.status == OK:
        return Broker.REACHED
    try:
        host = parse_broker_url(context.settings.broker.value).host
    except OperatingError:
        return Broker.AWAY
    return Broker.AWAY if host in LOOPBACK or host.startswith("127.") else Broker.GONE
