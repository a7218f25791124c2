"""``aimctl status``: what the journal knows of a fleet, and what its devices say right now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from cyclopts import App

from orchestrator.cli.context import Context, Flag, Given
from orchestrator.cli.files import KnownFleet, chosen_fleets, known_fleet
from orchestrator.cli.text import or_dash, short_digest, some, state_cell
from orchestrator.cli.view import Cell, Screen, console
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.fleet import Txn
    from orchestrator.service.reading import DeviceView, FleetView
    from orchestrator.service.world import World

WATCH_EVERY_S: Final = 1.0
"""The pause between two looks; asking itself takes up to 1.5 s where a device is silent."""


def register(app: App) -> None:
    """Add the command."""
    app.command(status)


async def status(  # noqa: D417 - the context is no option
    txn: str | None = None,
    /,
    *,
    fleet: str | None = None,
    watch: Flag = False,
    context: Given,
) -> int:
    """
    Show the version of each device; by name whoever is split, holding, deferred, quarantined.

    For example:
      aimctl status --fleet hazard-12
      aimctl status hazard-12/18 --watch
      aimctl status --output json

    With TXN the exit code is its outcome: 0 COMMIT and everybody has followed, 4
    ABORT, 5 COMMIT and some have not. Without it reading alone never fails.

    Parameters
    ----------
    txn
        A transaction: its id, or FLEET/SEQ. With --watch it is followed to its end.
    fleet
        A fleet file, or a fleet's name; all fleets of the store unless given.
    watch
        Look again and again until Ctrl-C.
    """
    if watch and txn is None and context.settings.output.value == "json":
        raise OperatingError(
            "--output json is one document, and --watch shows many",
            exit_code=Exit.USAGE,
            next_command=context.again("status", "--watch", "--output", "jsonl"),
        )
    async with context.world(reading=True) as world:
        fleets = await _fleets(world, txn, fleet)
        if watch:
            return await _watch_patiently(context, world, fleets, txn)
        views = [await _look(world, one) for one in fleets]
        _show(context, fleets, views)
        return await _outcome(world, fleets, txn)


async def _fleets(world: World, txn: str | None, fleet: str | None) -> tuple[KnownFleet, ...]:
    if txn is None:
        return await chosen_fleets(world, fleet)
    from orchestrator.cli.history import find_txn

    found, _ = await find_txn(world, txn, fleet)
    return (found,) if fleet is None else (await known_fleet(world, fleet),)


async def _look(world: World, fleet: KnownFleet) -> FleetView:
    from orchestrator.service import reading

    return await reading.status(world, fleet.id, fleet.members)


async def _outcome(world: World, fleets: Sequence[KnownFleet], txn: str | None) -> int:
    if txn is None:
        return int(Exit.DONE)
    from orchestrator.cli.history import find_txn

    _, found = await find_txn(world, txn, fleets[0].id)
    return int(outcome_code(found))


def outcome_code(txn: Txn) -> Exit:
    """Return the exit code of a transaction as the journal has it now."""
    from orchestrator.protocol.types import Outcome

    if txn.outcome is Outcome.ABORT:
        return Exit.ABORTED
    if txn.outcome is not Outcome.COMMIT:
        return Exit.DONE
    if txn.ended is None or txn.ended.deferred or txn.ended.quarantined:
        return Exit.ACTIVATING
    return Exit.DONE


# --- watching ---------------------------------------------------------------------------------


async def _watch_patiently(
    context: Context, world: World, fleets: Sequence[KnownFleet], txn: str | None
) -> int:
    """Watch; Ctrl-C is the ordinary way to end that, and no failure."""
    import asyncio

    try:
        return await _watch(context, world, fleets, txn)
    except asyncio.CancelledError:
        return int(Exit.DONE)


async def _watch(
    context: Context, world: World, fleets: Sequence[KnownFleet], txn: str | None
) -> int:
    """Look until Ctrl-C, or until the transaction has ended."""
    shown: list[dict[str, Any]] = []
    screen = Screen(console(no_color=context.no_color))
    redraw = not context.view.machine and screen.terminal
    end_alone = context.settings.output.value == "json"
    while True:
        views = [await _look(world, one) for one in fleets]
        ended = txn is not None and await _has_ended(world, fleets, txn)
        facts = [_facts(view) for view in views]
        if redraw:
            _redraw(screen, fleets, views)
        elif ended or (facts != shown and not end_alone):
            shown = facts
            _show(context, fleets, views)
        if ended:
            return await _outcome(world, fleets, txn)
        await world.clock.sleep(WATCH_EVERY_S)


def _redraw(screen: Screen, fleets: Sequence[KnownFleet], views: Sequence[FleetView]) -> None:
    screen.clear()
    for known, view in zip(fleets, views, strict=True):
        show_fleet(screen, known, view)
    screen.line("Ctrl-C ends this; it changes nothing", "dim")


async def _has_ended(world: World, fleets: Sequence[KnownFleet], txn: str) -> bool:
    from orchestrator.cli.history import find_txn

    _, found = await find_txn(world, txn, fleets[0].id)
    return found.ended is not None


def _facts(view: FleetView) -> dict[str, Any]:
    """Return what of a status counts as a change: no times."""
    document = view.document()
    document.pop("lock")
    document["lock"] = (view.lock.lock.state, view.lock.lock.epoch)
    for device in document["devices"].values():
        device.pop("heard_at")
        device.pop("clock_error_ms")
    return document


# --- showing ----------------------------------------------------------------------------------


def _show(context: Context, fleets: Sequence[KnownFleet], views: Sequence[FleetView]) -> None:
    def text(screen: Screen) -> None:
        if not views:
            screen.line("no fleet is known: nothing has been pushed with this store yet")
        for number, (known, view) in enumerate(zip(fleets, views, strict=True)):
            if number:
                screen.line()
            show_fleet(screen, known, view)

    documents = [view.document() for view in views]
    if len(documents) == 1:
        context.view.show(documents[0], text)
    else:
        context.view.show({"type": "statuses", "fleets": documents}, text)


def show_fleet(screen: Screen, known: KnownFleet, view: FleetView) -> None:
    """Write one fleet: a summary, what needs a look, and a line for each device."""
    online = sum(device.online is True for device in view.devices.values())
    screen.line(
        f"fleet {view.fleet}   version {view.version}   {short_digest(view.digest)}"
        f"   {len(view.devices)} devices, {online} online",
        "bold",
    )
    screen.line(f"lock      {lock_words(view)}")
    for line, style in troubles(view):
        screen.line(line, style)
    if not view.devices:
        return
    screen.line()
    rows = [device_row(known, name, device) for name, device in view.devices.items()]
    screen.table(("device", "kind", "state", "version", "operating", "digest", "note"), rows)


def lock_words(view: FleetView) -> str:
    """Say who holds the lock, and what for."""
    lock, live = view.lock.lock, view.lock.liveness
    if lock.owner is None:
        return "free"
    verdict = "" if live is None else f" ({live.verdict.value}: {'; '.join(live.evidence)})"
    words = f"{view.lock.id} {lock.state.value} by {lock.owner}{verdict}"
    txn = view.lock.txn
    if txn is not None:
        decided = "undecided" if txn.outcome is None else f"decided {txn.outcome.value.upper()}"
        words += f"; txn {txn.begun.seq} {decided}"
    return words


def troubles(view: FleetView) -> list[tuple[str, str]]:
    """Return what needs a look, a line each, and last the one command that helps."""
    found: list[tuple[str, str]] = []
    if view.why is not None:
        found.append((f"unasked   the devices could not be asked: {view.why}", "yellow"))
    for device, why in view.contradictions.items():
        told = f"ROLLED BACK  the store was, or is not this fleet's: {device}: {why}"
        found.append((told, "bold red"))
    if view.split:
        operating = sorted({d.operating for d in view.devices.values() if d.operating is not None})
        versions = ", ".join(str(version) for version in operating)
        found.append((f"SPLIT     devices operate different versions: {versions}", "bold red"))
    named: dict[str, Sequence[str]] = {
        "deferred": [name for name, device in view.devices.items() if device.deferred],
        "in doubt": _in_state(view, "in-doubt"),
        "holding": _in_state(view, "holding"),
        "offline": _in_state(view, "offline"),
    }
    found += [(f"{what:<9} {some(names)}", "yellow") for what, names in named.items() if names]
    found += left_out(view)
    following = _following(view)
    return found if following is None else [*found, (f"next      {following}", "bold")]


def left_out(view: FleetView) -> list[tuple[str, str]]:
    """Name who is not with the fleet, who acts on a person's word, and what leases make of it."""
    named: dict[str, Sequence[str]] = {
        "quarantined": [name for name, device in view.devices.items() if device.quarantined],
        "retired": [name for name, device in view.devices.items() if device.retired],
    }
    found = [(f"{what:<9} {', '.join(names)}", "yellow") for what, names in named.items() if names]
    for device, agreement in view.heuristics.items():
        mixed = agreement.startswith("HEURISTIC_MIXED")
        found.append((f"heuristic {device}: {agreement}", "bold red" if mixed else "yellow"))
    if view.lease_s is not None:
        found.append((f"leases    of {view.lease_s:g} s, renewed by `aimctl serve`", ""))
    if view.exceptions:  # all of them by name: that is what they are an exception for
        regime = 'enable_lease = "none"' if view.lease_s is None else "beside the leases"
        found.append((f"excepted  {', '.join(view.exceptions)} ({regime})", "yellow"))
    return found


def _leases_have_run_out(view: FleetView) -> bool:
    """Whether devices hold for nothing but a lease that nobody renews: only a server can."""
    from orchestrator.protocol.device import Holding

    over = (Holding.LEASE.value,)
    return view.lock.lock.owner is None and any(d.holds == over for d in view.devices.values())


def _following(view: FleetView) -> str | None:
    """
    Return the one command that helps, as `aimctl doctor` finds it; ``None`` for none.

    Of a living owner at work there is nothing to say here: this is where it is watched.
    """
    from orchestrator.service.diagnosis import Way, advise
    from orchestrator.service.symptoms import Broker, facts_of

    if _leases_have_run_out(view):
        return f"aimctl serve --fleet {view.fleet}"
    words = {"in-doubt", "holding"}
    waiting = tuple(
        name
        for name, one in view.devices.items()
        if not one.retired and (one.deferred or one.quarantined or one.state in words)
    )
    facts = facts_of(
        view.lock,
        now=0.0,  # whether an owner is late `aimctl doctor` says
        broker=Broker.REACHED if view.asked else Broker.AWAY,
        contradictions=tuple(f"{name}: {why}" for name, why in view.contradictions.items()),
        waiting=waiting,
    )
    advice = advise(facts)
    if advice is not None and advice.way not in {Way.WATCH, Way.ASK}:
        return advice.command
    if advice is None and view.heuristics:
        return f"aimctl devices show {min(view.heuristics)} --fleet {view.fleet}"
    return None


def _in_state(view: FleetView, word: str) -> list[str]:
    return [name for name, device in view.devices.items() if device.state == word]


def device_row(known: KnownFleet, name: Any, device: DeviceView) -> tuple[Cell, ...]:
    """Return a device as a line of a table."""
    return (
        name,
        known.kinds.get(name, "-"),
        state_cell(device.state),
        or_dash(device.version),
        or_dash(device.operating),
        short_digest(device.digest),
        _note(device),
    )


def _note(device: DeviceView) -> Cell:
    """Say what is odd about a device, the journal's side first."""
    flags = {
        "deferred": device.deferred,
        "quarantined": device.quarantined,
        "retired": device.retired,
    }
    said = () if device.heuristic is None else (f"heuristic: {device.heuristic}",)
    note = "; ".join((*(name for name, on in flags.items() if on), *said, *device.holds))
    mixed = device.heuristic is not None and device.heuristic.startswith("HEURISTIC_MIXED")
    return note, "bold red" if mixed else ""


def no_such_txn(txn: str) -> OperatingError:
    """Make the error of a transaction that nobody knows."""
    return OperatingError(
        f"no transaction {txn} is in this store: give its id, or FLEET/SEQ",
        exit_code=Exit.USAGE,
        next_command="aimctl history",
    )
