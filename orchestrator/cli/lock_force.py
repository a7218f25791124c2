"""``aimctl lock force-unlock`` and ``break-glass``: taking a lock from whoever holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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
from orchestrator.cli.files import KnownFleet, known_fleet
from orchestrator.cli.lock_preview import (
    LockId,
    foreseen,
    look_ahead,
    no_file,
    show_preview,
)
from orchestrator.cli.lock_ways import glass_would
from orchestrator.cli.recover import left_alone, order_of, show_resolution
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.records import Verb
    from orchestrator.service.preview import Preview
    from orchestrator.service.results import LockView
    from orchestrator.service.world import World


def register(lock: App) -> None:
    """Add the commands."""
    lock.command(force_unlock)
    lock.command(break_glass)


async def force_unlock(  # noqa: D417 - the context is no option
    lock_id: LockId,
    /,
    *,
    reason: str | None = None,
    dry_run: Flag = False,
    confirm: Confirm = None,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Take a lock from whoever holds it, and resolve what is open. Safe at any moment.

    For example:
      aimctl lock force-unlock hazard-12@41 --dry-run
      aimctl lock force-unlock hazard-12@41 --reason "lost power" --confirm hazard-12@41

    It changes who drives, never what was decided: an undecided transaction is
    aborted in the same write that takes the lock, a decided one is driven to its
    end. Exits with 0 when the lock is free, whichever way it was decided; 5 when
    devices are deferred; 8 when LOCK_ID is no longer the lock's.

    Parameters
    ----------
    lock_id
        FLEET@EPOCH, as `aimctl lock list` shows it.
    reason
        Why; it is kept in the journal.
    dry_run
        Show who owns it, whether they live, what is open and what would happen; change nothing.
    confirm
        The lock id again, instead of typing it on a terminal.
    fleet
        The fleet's file, for its timing and members.
    """
    from orchestrator.protocol.records import Verb

    force = _Force(context, Verb.FORCE_UNLOCK, lock_id, fleet)
    return await force.run(reason, confirm, dry_run=dry_run)


async def break_glass(  # noqa: D417 - the context is no option
    lock_id: LockId,
    /,
    *,
    reason: str | None = None,
    dry_run: Flag = False,
    confirm: Confirm = None,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Free a lock at once, whoever can be reached: the last way out.

    For example:
      aimctl lock break-glass hazard-12@41 --dry-run
      aimctl lock break-glass hazard-12@41 --reason "half are lost" --confirm hazard-12@41

    What was decided stands, what was not is aborted, as with force-unlock. But
    nobody is waited for: every device that is not heard to have followed is
    quarantined and named in the result, and is not enabled until it has re-joined.
    Prefer force-unlock: it waits for the devices and quarantines nobody.

    Parameters
    ----------
    lock_id
        FLEET@EPOCH, as `aimctl lock list` shows it.
    reason
        Why; it is kept in the journal.
    dry_run
        Show who owns it, whether they live, what is open and what would happen; change nothing.
    confirm
        The lock id again, instead of typing it on a terminal.
    fleet
        The fleet's file, for its timing and members.
    """
    from orchestrator.protocol.records import Verb

    force = _Force(context, Verb.BREAK_GLASS, lock_id, fleet)
    return await force.run(reason, confirm, dry_run=dry_run)


_HEADS: Final[dict[str, dict[str, Any]]] = {
    "force-unlock": {"type": "force-unlock", "action": "none"},
    "break-glass": {"type": "break-glass", "action": "none"},
}


class _Force:
    """One of the two verbs that take a lock from somebody."""

    def __init__(self, context: Context, verb: Verb, lock_id: str, fleet: str | None) -> None:
        from orchestrator.service.locks import parse_lock_id

        self._context = context
        self._verb = verb
        self._fleet, self._epoch = parse_lock_id(lock_id)
        self._file = fleet
        self._command = f"lock {verb} {lock_id}"
        self._lock_id = lock_id

    async def run(self, reason: str | None, confirm: str | None, *, dry_run: bool) -> int:
        """Show what would be done, or do it once that is confirmed."""
        from orchestrator.service import locks

        context, why = self._context, ""
        if not dry_run:
            why = checked_reason(reason, self._command)
            check_confirm(context, confirm, self._lock_id, self._command)
        async with context.world(reading=dry_run, existing=not dry_run) as world:
            view = await locks.held_lock(world, self._fleet, self._epoch)
            known = await self._with_file(world, view)
            if dry_run:
                return await self._foresee(world, known, view)
            if confirm is None and not await self._typed(world, known, view):
                return not_confirmed(context)
            return await self._do(world, known, why)

    async def _with_file(self, world: World, view: LockView) -> KnownFleet:
        """
        Return the fleet with its file, where it is named or stands where it is looked for.

        A file that nobody has named and that is of no use keeps nobody from the way out.
        """
        try:
            known = await known_fleet(world, self._file or view.fleet)
        except OperatingError:
            if self._file is not None:
                raise
            known = None
        if known is not None and known.id == view.fleet:
            return known
        if self._file is not None:
            raise OperatingError(
                f"--fleet {self._file} is another fleet, the lock is {view.fleet}'s",
                exit_code=Exit.USAGE,
            )
        note = f"note      the file of {view.fleet} is of no use: default timing"
        self._context.view.say(note)
        return no_file(view.fleet)

    async def _look_ahead(self, world: World, known: KnownFleet, view: LockView) -> Preview:
        from orchestrator.protocol.records import Verb
        from orchestrator.service.resolving import foresee

        would = foresee(view, self._verb)
        if self._verb is Verb.BREAK_GLASS:
            would = glass_would(view, would)
        return await look_ahead(world, known, view, would)

    async def _foresee(self, world: World, known: KnownFleet, view: LockView) -> int:
        """Show exactly what would be done: nothing is."""
        ahead = await self._look_ahead(world, known, view)
        devices = ahead.asked.devices.items()
        head = {
            **_HEADS[self._verb.value],
            "deferred": [name for name, device in devices if device.deferred],
            "quarantined": self._left(ahead),
            "timing_ms": {},
        }
        following = f"aimctl {self._command} --reason TEXT --confirm {view.id}"
        return foreseen(self._context, ahead, head, following)

    def _left(self, ahead: Preview) -> list[str]:
        """Return who is in quarantine, and whom break-glass would put there by their own word."""
        away = {name for name, device in ahead.asked.devices.items() if device.quarantined}
        return sorted(away.union(ahead.unresolved if self._verb.value == "break-glass" else ()))

    async def _typed(self, world: World, known: KnownFleet, view: LockView) -> bool:
        """Show what would be done, and let the lock id be typed."""
        screen = asking_screen(self._context)
        show_preview(screen, await self._look_ahead(world, known, view), dry_run=False)
        screen.line()
        return typed(view.id, f"{self._verb} it")

    async def _do(self, world: World, known: KnownFleet, reason: str) -> int:
        from orchestrator.protocol.records import Verb
        from orchestrator.service import resolving

        order = order_of(known, self._verb, reason, self._epoch)
        broken = self._verb is Verb.BREAK_GLASS
        act = resolving.break_glass if broken else resolving.force_unlock
        with left_alone(self._fleet):
            resolution = await act(world, order)
        return show_resolution(self._context, resolution, self._verb.value)
