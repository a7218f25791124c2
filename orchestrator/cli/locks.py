"""``aimctl lock``: who holds what, do they live, and the forced unlock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from orchestrator.cli.context import Context, Flag, Given
from orchestrator.cli.files import KnownFleet, known_fleet
from orchestrator.cli.push import ask
from orchestrator.cli.recover import left_alone, show_resolution
from orchestrator.cli.text import duration, some
from orchestrator.cli.view import Cell, Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.types import Epoch, FleetId
    from orchestrator.service.reading import FleetView
    from orchestrator.service.results import LockView
    from orchestrator.service.world import World

REASON_CHARS_MAX: Final = 500


def register(app: App) -> None:
    """Add the commands."""
    lock = App(name="lock", help="Locks: who holds them, do they live, and the way out.")
    lock.command(lock_list, name="list")
    lock.command(lock_show, name="show")
    lock.command(force_unlock)
    app.command(lock)


# --- reading ----------------------------------------------------------------------------------


async def lock_list(
    *,
    context: Given,
) -> int:
    """
    Show the lock of every fleet in the store, its owner and whether that owner lives.

    For example:
      aimctl lock list
      aimctl lock list --output json
    """
    from orchestrator.service import reading

    async with context.world(reading=True) as world:
        views = await reading.lock_list(world)
    document = {"type": "locks", "locks": [view.document() for view in views]}

    def text(screen: Screen) -> None:
        if not views:
            screen.line("no fleet is known: nothing has been pushed with this store yet")
            return
        header = ("lock", "state", "owner", "liveness", "renewed", "txn")
        screen.table(header, [_lock_row(view) for view in views])

    context.view.show(document, text)
    return int(Exit.DONE)


def _lock_row(view: LockView) -> tuple[Cell, ...]:
    lock, live, txn = view.lock, view.liveness, view.txn
    styles = {"free": "green", "held": "yellow", "resolving": "yellow"}
    owner = "-" if lock.owner is None else str(lock.owner)
    renewed = "-" if live is None else f"{duration(live.renewed_ago_s)} ago"
    return (
        view.id,
        (lock.state.value, styles[lock.state.value]),
        owner,
        ("-", "dim") if live is None else _verdict(live.verdict.value, proved=live.proved),
        renewed,
        "-" if txn is None else f"{txn.begun.seq} {_fate(view)}",
    )


def _verdict(word: str, *, proved: bool) -> tuple[str, str]:
    styles = {"live": "green", "suspect": "yellow", "ghost": "bold red"}
    return (f"{word}, proved" if proved else word), styles[word]


def _fate(view: LockView) -> str:
    if view.txn is None:
        return "none"
    outcome = view.txn.outcome
    return "undecided" if outcome is None else f"decided {outcome.value.upper()}"


async def lock_show(  # noqa: D417 - the context is no option
    lock: Annotated[str, Parameter(name="LOCK_ID|FLEET")], /, *, context: Given
) -> int:
    """
    Show one lock: its owner, the evidence of its life, the open transaction.

    For example:
      aimctl lock show hazard-12
      aimctl lock show hazard-12@41

    Exits with 8 when LOCK_ID is no longer the lock's.

    Parameters
    ----------
    lock
        A lock id as `aimctl lock list` shows it, or a fleet.
    """
    from orchestrator.service import locks

    async with context.world(reading=True) as world:
        if "@" in lock:
            fleet, epoch = locks.parse_lock_id(lock)
            view = await _found(world, fleet, epoch, must_be_held=False)
        else:
            known = await known_fleet(world, lock)
            view = await locks.look(world, await locks.read_fleet(world, known.id))
    document = {"type": "lock", **view.document()}
    context.view.show(document, lambda screen: _show_lock(screen, view))
    return int(Exit.DONE)


async def _found(world: World, fleet: FleetId, epoch: Epoch, *, must_be_held: bool) -> LockView:
    """Return the lock of that id. Raises OperatingError (8) when it is another one by now."""
    from orchestrator.protocol.records import LockState
    from orchestrator.service import locks

    state = await locks.read_fleet(world, fleet)
    free = state.lock.state is LockState.FREE
    if state.lock.epoch != epoch or (must_be_held and free):
        raise locks.not_the_lock(state, epoch)
    return await locks.look(world, state)


def _show_lock(screen: Screen, view: LockView) -> None:
    lock, live = view.lock, view.liveness
    screen.line(f"lock      {view.id}   {lock.state.value}", "bold")
    if lock.owner is None:
        return
    screen.line(f"owner     {lock.owner}")
    if live is not None:
        word, style = _verdict(live.verdict.value, proved=live.proved)
        screen.line(f"liveness  {word}", style)
        for one in live.evidence:
            screen.line(f"          {one}")
    screen.line(f"purpose   {lock.purpose}" + (f": {lock.reason}" if lock.reason else ""))
    txn = view.txn
    if txn is None:
        screen.line("txn       none is open")
    else:
        screen.line(f"txn       {txn.begun.seq} ({txn.begun.txn}), {_fate(view)}")


# --- force-unlock -----------------------------------------------------------------------------


async def force_unlock(  # noqa: D417 - the context is no option
    lock_id: Annotated[str, Parameter(name="LOCK_ID")],
    /,
    *,
    reason: str | None = None,
    dry_run: Flag = False,
    confirm: Annotated[str | None, Parameter(name="--confirm")] = None,
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
    from orchestrator.service import locks
    from orchestrator.service.resolving import force_unlock as run

    target, epoch = locks.parse_lock_id(lock_id)
    if not dry_run:
        _check_order(context, lock_id, reason, confirm)
    async with context.world(reading=dry_run or context.store_is_missing()) as world:
        view = await _found(world, target, epoch, must_be_held=True)
        known = await _with_file(context, world, view, fleet)
        if dry_run:
            return await _foresee(context, world, known, view)
        if confirm is None and not await _typed(context, world, known, view):
            return _not_confirmed(context)
        with left_alone(target):
            resolution = await run(world, target, epoch, reason or "", known.timing)
    return show_resolution(context, resolution, "force-unlock")


def _check_order(context: Context, lock_id: str, reason: str | None, confirm: str | None) -> None:
    if reason is None or not reason.strip():
        raise OperatingError(
            "a forced unlock needs --reason TEXT: it is kept in the journal",
            exit_code=Exit.USAGE,
            next_command=f"aimctl lock force-unlock {lock_id} --dry-run",
        )
    if len(reason) > REASON_CHARS_MAX:
        raise OperatingError(
            f"--reason has more than {REASON_CHARS_MAX} characters", exit_code=Exit.USAGE
        )
    if confirm is not None and confirm != lock_id:
        raise OperatingError(
            f"--confirm {confirm} is not {lock_id}: nothing was changed",
            exit_code=Exit.USAGE,
            next_command=f"aimctl lock force-unlock {lock_id} --dry-run",
        )
    if confirm is None and not context.interactive:
        raise OperatingError(
            "there is no terminal to type the lock id on, and no --confirm",
            exit_code=Exit.USAGE,
            next_command=f"aimctl lock force-unlock {lock_id} --reason TEXT --confirm {lock_id}",
        )


async def _with_file(
    context: Context, world: World, view: LockView, fleet: str | None
) -> KnownFleet:
    """
    Return the fleet with its file, where it is named or stands where it is looked for.

    A file that nobody has named and that is of no use keeps nobody from the way out.
    """
    try:
        known = await known_fleet(world, fleet or view.fleet)
    except OperatingError:
        if fleet is not None:
            raise
        known = None
    if known is not None and known.id == view.fleet:
        return known
    if fleet is not None:
        raise OperatingError(
            f"--fleet {fleet} is another fleet, the lock is {view.fleet}'s", exit_code=Exit.USAGE
        )
    context.view.say(f"note      the file of {view.fleet} is of no use: default timing")
    return KnownFleet(id=view.fleet, loaded=None)


async def _foresee(context: Context, world: World, known: KnownFleet, view: LockView) -> int:
    """Show exactly what would be done: nothing is."""
    from orchestrator.service import reading
    from orchestrator.service.resolving import foresee

    asked = await reading.status(world, known.id, known.members)
    outcome = foresee(view)
    following = f"aimctl lock force-unlock {view.id} --reason TEXT --confirm {view.id}"
    document = {
        "type": "force-unlock",
        "dry_run": True,
        "fleet": view.fleet,
        "lock": view.document(),
        "action": "none",
        "txn": view.document()["txn"],
        "decision": None if view.txn is None else view.txn.outcome,
        "votes": _votes(asked, view),
        "in_doubt": _in_doubt(asked, view),
        "deferred": list(asked.exceptions),
        "devices": {name: device.state for name, device in asked.devices.items()},
        "timing_ms": {},
        "asked": asked.asked,
        "message": outcome,
        "next": following,
        "exit_code": int(Exit.DONE),
    }

    def text(screen: Screen) -> None:
        _preview(screen, view, asked, outcome)
        screen.line("\ndry run: nothing was changed", "dim")

    context.view.show(document, text)
    context.view.say(f"next      {following}")
    return int(Exit.DONE)


def _votes(asked: FleetView, view: LockView) -> int | None:
    """Return how many members say that they have voted yes and wait, or have followed."""
    if view.txn is None or not asked.asked:
        return None
    members, seq = view.txn.begun.digests, view.txn.begun.seq
    return sum(
        device.state in {"prepared", "in-doubt"} or device.version == seq
        for name, device in asked.devices.items()
        if name in members
    )


def _in_doubt(asked: FleetView, view: LockView) -> list[str]:
    if view.txn is None:
        return []
    waiting = {"prepared", "in-doubt"}
    return [name for name, device in asked.devices.items() if device.state in waiting]


def _preview(screen: Screen, view: LockView, asked: FleetView, outcome: str) -> None:
    _show_lock(screen, view)
    if view.txn is not None:
        begun, votes = view.txn.begun, _votes(asked, view)
        told = "not known" if votes is None else f"{votes} of {len(begun.digests)} yes"
        screen.line(f"votes     {told}, by the devices' own word")
        decision = view.txn.outcome
        screen.line(f"decision  {'none yet' if decision is None else decision.value.upper()}")
    doubtful = _in_doubt(asked, view)
    if asked.why is not None:
        screen.line(f"unasked   the devices could not be asked: {asked.why}", "yellow")
    else:
        screen.line(f"in doubt  {some(doubtful) if doubtful else 'no device'}")
    screen.line(f"outcome   {outcome}", "bold")


async def _typed(context: Context, world: World, known: KnownFleet, view: LockView) -> bool:
    """Show what would be done, and let the lock id be typed."""
    from orchestrator.cli.view import console
    from orchestrator.service import reading
    from orchestrator.service.resolving import foresee

    screen = Screen(console(no_color=context.no_color, stderr=True))
    asked = await reading.status(world, known.id, known.members)
    _preview(screen, view, asked, foresee(view))
    screen.line()
    return ask(f"Type {view.id} to force it: ").strip() == view.id


def _not_confirmed(context: Context) -> int:
    message = "not confirmed: nothing was changed"
    code = int(Exit.INTERRUPTED)
    context.view.fail(
        {"type": "error", "exit_code": code, "message": message, "next": None}, message
    )
    return code
