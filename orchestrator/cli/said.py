"""``aimctl devices retire`` and ``settle``: what a person says of one device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from orchestrator.cli.confirming import (
    REASON_CHARS_MAX,
    asking_screen,
    check_confirm,
    checked_reason,
    checked_text,
    not_confirmed,
    typed,
)
from orchestrator.cli.context import Context, Flag, Given
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.cli.view import Screen
    from orchestrator.service.dossier import Dossier

Id = Annotated[str, Parameter(name="ID")]
Confirm = Annotated[str | None, Parameter(name="--confirm")]


def register(devices: App) -> None:
    """Add the commands."""
    devices.command(retire)
    devices.command(settle)


# --- retire -----------------------------------------------------------------------------------


async def retire(  # noqa: D417 - the context is no option
    device: Id,
    /,
    *,
    reason: str | None = None,
    fleet: str | None = None,
    dry_run: Flag = False,
    confirm: Confirm = None,
    context: Given,
) -> int:
    """
    Take a device out of its fleet for good: it is never waited for, and never enabled again.

    For example:
      aimctl devices retire d-07 --reason "lost at sea" --dry-run
      aimctl devices retire d-07 --reason "lost at sea" --confirm d-07

    Exits with 6 while a transaction is open that the device is a member of: members
    never change inside one.

    Parameters
    ----------
    device
        Its id.
    reason
        Why; it is kept in the journal.
    fleet
        Its fleet, where several fleets of the store have a device of that id.
    dry_run
        Show what is known of it and what would happen; change nothing.
    confirm
        The id again, instead of typing it on a terminal.
    """
    from orchestrator.cli.dossiers import find_device
    from orchestrator.service.devices import Word
    from orchestrator.service.devices import retire as run

    command = f"devices retire {device}"
    why = "" if dry_run else checked_reason(reason, command)
    if not dry_run:
        check_confirm(context, confirm, device, command)
    async with context.world(reading=dry_run, existing=not dry_run) as world:
        known, found = await find_device(world, device, fleet)
        head = {"type": "retire", "fleet": known.id, "device": device, "dry_run": dry_run}
        if dry_run:
            return foreseen(context, found, head, _retirement(found), command)
        if confirm is None and not confirmed(context, found, _retirement(found), "retire it"):
            return not_confirmed(context)
        await run(world, Word(fleet=known.id, device=found.device, reason=why))
    message = f"{device} is retired from fleet {known.id}; take it out of the fleet's file too"
    return show_said(context, head, message, f"aimctl status --fleet {known.id}", Exit.DONE)


def _retirement(found: Dossier) -> list[str]:
    """Say in words what a retirement means."""
    lines = [
        f"{found.device} is never waited for, never answered and never enabled again",
        "there is no way back: a unit that replaces it gets an id of its own",
    ]
    told, leased = found.told, found.found.state.lease_s is not None
    if told is not None and told.operating is not None and not leased:
        seen = f"it operates version {told.operating} now, and is not told to stop"
        lines.append(f"{seen}: switch it off")
    if found.retired is not None:
        lines.append("it is retired already: nothing would change")
    return lines


# --- settle -----------------------------------------------------------------------------------


async def settle(  # noqa: D417 - the context is no option
    device: Id,
    /,
    *,
    reason: str,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Say that you have looked at a device that operated on somebody's word: no longer shown.

    For example:
      aimctl devices settle d-07 --reason "checked, runs version 19"

    Parameters
    ----------
    device
        Its id.
    reason
        Why; it is kept in the journal.
    fleet
        Its fleet, where several fleets of the store have a device of that id.
    """
    from orchestrator.cli.dossiers import find_device
    from orchestrator.service.devices import Word
    from orchestrator.service.devices import settle as run

    if not reason.strip():
        raise OperatingError(
            "`aimctl devices settle` needs --reason TEXT: it is kept in the journal",
            exit_code=Exit.USAGE,
            next_command=f"aimctl devices show {device}",
        )
    why = checked_text("--reason", reason, REASON_CHARS_MAX)
    async with context.world(existing=True) as world:
        known, found = await find_device(world, device, fleet)
        await run(world, Word(fleet=known.id, device=found.device, reason=why))
    head = {"type": "settle", "fleet": known.id, "device": device, "dry_run": False}
    message = f"{device} of fleet {known.id} is settled: {found.agreement}"
    return show_said(context, head, message, None, Exit.DONE)


# --- showing ----------------------------------------------------------------------------------


def confirmed(context: Context, found: Dossier, meaning: list[str], what: str) -> bool:
    """Show what is known and what it means, and let the id be typed."""
    _preview(asking_screen(context), found, meaning)
    return typed(found.device, what)


def _preview(screen: Screen, found: Dossier, meaning: list[str]) -> None:
    from orchestrator.cli.dossiers import show_dossier

    show_dossier(screen, found, None)
    screen.line()
    for line in meaning:
        screen.line(f"!  {line}", "bold yellow")


def foreseen(
    context: Context, found: Dossier, head: dict[str, Any], meaning: list[str], command: str
) -> int:
    """Show what is known and what it would mean: nothing is changed. Return the exit code."""
    following = f"aimctl {command} --fleet {found.fleet} --reason TEXT --confirm {found.device}"
    document = {**head, "message": "; ".join(meaning), "next": following, "exit_code": 0}

    def text(screen: Screen) -> None:
        _preview(screen, found, meaning)
        screen.line("\ndry run: nothing was changed", "dim")

    context.view.show(document, text)
    context.view.say(f"next      {following}")
    return int(Exit.DONE)


def show_said(
    context: Context, head: dict[str, Any], message: str, following: str | None, code: Exit
) -> int:
    """Show what came of it; return the exit code."""
    document = {**head, "message": message, "next": following, "exit_code": int(code)}
    sign, style = ("✔", "bold green") if code is Exit.DONE else ("◐", "bold yellow")
    context.view.show(document, lambda screen: screen.line(f"{sign} {message}", style))
    if following is not None:
        context.view.say(f"next      {following}")
    return int(code)
