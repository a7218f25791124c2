"""``aimctl reseed``: the way out of a store that was rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclopts import App

from orchestrator.cli.confirming import (
    Confirm,
    asking_screen,
    check_confirm,
    checked_reason,
    not_confirmed,
    typed,
)
from orchestrator.cli.context import Context, Flag, Given
from orchestrator.cli.files import known_fleet
from orchestrator.cli.recover import left_alone, order_of, show_resolution
from orchestrator.cli.text import or_dash, some
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.messages import DeviceState
    from orchestrator.service.reseeding import Finding
    from orchestrator.service.resolving import Order
    from orchestrator.service.results import LockView
    from orchestrator.service.world import World


def register(app: App) -> None:
    """Add the command."""
    app.command(reseed)


async def reseed(  # noqa: D417 - the context is no option
    *,
    fleet: str,
    reason: str | None = None,
    dry_run: Flag = False,
    confirm: Confirm = None,
    new_store: Flag = False,
    context: Given,
) -> int:
    """
    Let a fleet's journal adopt what its devices know: after its store was rolled back.

    For example:
      aimctl reseed --fleet hazard-12 --dry-run
      aimctl reseed --fleet hazard-12 --reason "old backup" --confirm hazard-12

    A store from a backup, or after a failover, may lack what was decided; then
    every command refuses it and names a device that knows more. A reseed begins a
    new incarnation of the fleet's epochs, hears every device, and takes over what
    they have recorded; what nobody knows stays open until all were heard, or
    retired by name. Exits with 0 when the fleet is whole, 5 when somebody is still
    to be heard (run it again), 2 when no device contradicts the journal.

    Parameters
    ----------
    fleet
        A fleet file, or a fleet's name.
    reason
        Why; it is kept in the journal.
    dry_run
        Show who contradicts the journal and what would be adopted; change nothing.
    confirm
        The fleet's name again, instead of typing it on a terminal.
    new_store
        The store is gone for good: make a new one where it was.
    """
    from orchestrator.protocol.records import Verb
    from orchestrator.service import reseeding

    existing = not (dry_run or new_store)
    async with context.world(reading=dry_run, existing=existing) as world:
        known = await known_fleet(world, fleet)
        command = f"reseed --fleet {known.id}"
        why = "" if dry_run else checked_reason(reason, command)
        order = order_of(known, Verb.RESEED, why)
        if dry_run:
            return await _foresee(context, world, order)
        check_confirm(context, confirm, known.id, command)
        if confirm is None and not await _typed(context, world, order):
            return not_confirmed(context)
        with left_alone(known.id, "reseed"):
            resolution = await reseeding.run(world, order)
    return show_resolution(context, resolution, "reseed")


async def _foresee(context: Context, world: World, order: Order) -> int:
    """Show exactly what would be done: nothing is."""
    from orchestrator.service import locks, reseeding

    found = await reseeding.find_out(world, order)
    view = await locks.look(world, found.state)
    following = None
    if found.needed:
        following = f"aimctl reseed --fleet {order.fleet} --reason TEXT --confirm {order.fleet}"
    document = _document(found, view) | {"next": following, "exit_code": int(Exit.DONE)}

    def text(screen: Screen) -> None:
        _show(screen, found)
        screen.line("\ndry run: nothing was changed", "dim")

    context.view.show(document, text)
    if following is not None:
        context.view.say(f"next      {following}")
    return int(Exit.DONE)


def _document(found: Finding, view: LockView) -> dict[str, Any]:
    shown = view.document()
    return {
        "type": "reseed",
        "dry_run": True,
        "fleet": found.state.fleet,
        "lock": shown,
        "action": "none",
        "txn": shown["txn"],
        "decision": None if view.txn is None else view.txn.outcome,
        "deferred": sorted(found.state.deferred),
        "quarantined": sorted(found.state.quarantined),
        "devices": {},
        "timing_ms": {},
        "needed": found.needed,
        "contradictions": dict(found.contradictions),
        "heard": {name: _heard(told) for name, told in found.told.items()},
        "unheard": list(found.unheard),
        "under_way": found.under_way,
        "message": found.outcome,
    }


def _heard(told: DeviceState) -> dict[str, Any]:
    return {
        "version": told.version,
        "last_seq": told.last_seq,
        "max_epoch": str(told.max_epoch),
        "prepared": told.prepared,
        "outcome_txn": told.outcome_txn,
        "outcome": told.outcome,
        "operating": told.operating,
    }


async def _typed(context: Context, world: World, order: Order) -> bool:
    """Show what would be done, and let the fleet's name be typed; nothing to do needs no word."""
    from orchestrator.service import reseeding

    found = await reseeding.find_out(world, order)
    if not found.needed:
        return True
    screen = asking_screen(context)
    _show(screen, found)
    screen.line()
    return typed(order.fleet, "reseed it")


def _show(screen: Screen, found: Finding) -> None:
    state = found.state
    screen.line(f"fleet     {state.fleet}", "bold")
    screen.line(
        f"journal   version {state.version}, epoch {state.lock.epoch}, last txn {state.last_seq}"
    )
    if found.under_way:
        screen.line("reseed    under way: it goes on", "bold yellow")
    for device, why in found.contradictions.items():
        screen.line(f"contrary  {device}: {why}", "bold red")
    unheard = some(found.unheard, len(found.unheard))
    screen.line(
        f"unheard   {unheard}" if unheard else "unheard   nobody", "yellow" if unheard else ""
    )
    screen.line(f"outcome   {found.outcome}", "bold")
    if not found.told:
        return
    screen.line()
    header = ("device", "version", "last txn", "epoch", "in doubt", "last outcome", "operating")
    screen.table(header, [_row(name, told) for name, told in found.told.items()])


def _row(name: str, told: DeviceState) -> tuple[str, ...]:
    outcome = "-" if told.outcome is None else f"{told.outcome_txn} {told.outcome.value.upper()}"
    return (
        name,
        str(told.version),
        str(told.last_seq),
        str(told.max_epoch),
        or_dash(told.prepared),
        outcome,
        or_dash(told.operating),
    )
