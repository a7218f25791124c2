"""What a verb would do to a lock: owner, evidence, votes, decision, who is in doubt, outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from orchestrator.cli.context import Context
from orchestrator.cli.files import KnownFleet
from orchestrator.cli.lock_show import show_lock
from orchestrator.cli.text import some
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.types import FleetId
    from orchestrator.service.preview import Preview
    from orchestrator.service.results import LockView
    from orchestrator.service.world import World

LockId = Annotated[str, Parameter(name="LOCK_ID")]


def no_file(fleet: FleetId) -> KnownFleet:
    """Return a fleet of which there is no file, or none is needed."""
    return KnownFleet(id=fleet, loaded=None)


async def look_ahead(world: World, known: KnownFleet, view: LockView, would: str) -> Preview:
    """Ask the devices what they are; nothing is changed."""
    from orchestrator.service import reading
    from orchestrator.service.preview import Preview

    asked = await reading.status(world, known.id, known.members)
    return Preview(view=view, asked=asked, would=would)


def foreseen(context: Context, ahead: Preview, head: dict[str, Any], following: str) -> int:
    """Show what a verb would do: nothing was done."""
    document = {**head, **ahead.document(), "next": following, "exit_code": int(Exit.DONE)}
    context.view.show(document, lambda screen: show_preview(screen, ahead, dry_run=True))
    context.view.say(f"next      {following}")
    return int(Exit.DONE)


def show_preview(screen: Screen, ahead: Preview, *, dry_run: bool) -> None:
    """Write everything that somebody should know before the verb is done."""
    view, asked = ahead.view, ahead.asked
    show_lock(screen, view)
    if view.txn is not None:
        members = len(view.txn.begun.digests)
        told = "not known" if ahead.votes is None else f"{ahead.votes} of {members} yes"
        screen.line(f"votes     {told}, by the devices' own word")
        decision = view.txn.outcome
        screen.line(f"decision  {'none yet' if decision is None else decision.value.upper()}")
    if asked.why is not None:
        screen.line(f"unasked   the devices could not be asked: {asked.why}", "yellow")
    else:
        screen.line(f"in doubt  {some(ahead.in_doubt) if ahead.in_doubt else 'no device'}")
    if ahead.unresolved:
        every = some(ahead.unresolved, len(ahead.unresolved))
        screen.line(f"not heard to have followed   {every}", "yellow")
    screen.line(f"outcome   {ahead.would}", "bold")
    if dry_run:
        screen.line("\ndry run: nothing was changed", "dim")
