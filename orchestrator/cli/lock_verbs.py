"""``aimctl lock release`` and ``request-release``: what an owner, or a word to it, can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from orchestrator.cli.confirming import checked_reason
from orchestrator.cli.context import Context, Flag, Given
from orchestrator.cli.lock_preview import LockId, foreseen, look_ahead, no_file
from orchestrator.cli.lock_show import answer_words
from orchestrator.cli.lock_ways import is_ghost, release_would, request_would
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.service.asking import Asked
    from orchestrator.service.results import LockView

WAIT_S: Final = 10.0


def register(lock: App) -> None:
    """Add the commands."""
    lock.command(release)
    lock.command(request_release)


# --- release ----------------------------------------------------------------------------------


async def release(  # noqa: D417 - the context is no option
    lock_id: LockId,
    /,
    *,
    reason: str | None = None,
    dry_run: Flag = False,
    context: Given,
) -> int:
    """
    Give a lock back: its owner alone may, or what that process has started.

    For example:
      aimctl lock release $AIM_LOCK_ID --reason done       (in what `lock run` has started)
      aimctl lock release hazard-12@41 --dry-run

    Somebody else's lock is refused with 6: ask its owner, or take it by name. Exits
    with 8 when LOCK_ID is no longer the lock's.

    Parameters
    ----------
    lock_id
        FLEET@EPOCH, as `aimctl lock list` shows it and AIM_LOCK_ID holds it.
    reason
        Why; it is kept in the journal.
    dry_run
        Show who owns it, whether they live, what is open and what would happen; change nothing.
    """
    from orchestrator.service import holding, locks

    target, epoch = locks.parse_lock_id(lock_id)
    why = "" if dry_run else checked_reason(reason, f"lock release {lock_id}")
    async with context.world(reading=dry_run, existing=not dry_run) as world:
        view = await locks.held_lock(world, target, epoch)
        owner = view.lock.owner
        ours = owner is not None and world.processes.descends_from(owner)
        if dry_run:
            would = release_would(view, ours=ours)
            ahead = await look_ahead(world, no_file(target), view, would)
            following = f"aimctl lock release {view.id} --reason TEXT" if ours else _way_on(view)
            head = {"type": "release", "action": "none"}
            return foreseen(context, ahead, head, following)
        if owner is None or not ours:
            raise _not_ours(view)
        await holding.release(world, target, epoch, owner, why)
    message = f"{view.id} is given back: the lock of {target} is free"
    document = {"type": "release", **_done(view, "released", message, None, Exit.DONE)}
    context.view.show(document, lambda screen: screen.line(f"✔ {message}", "bold green"))
    return int(Exit.DONE)


def _not_ours(view: LockView) -> OperatingError:
    gone = " and is gone" if is_ghost(view) else ""
    return OperatingError(
        f"{view.id} is held by {view.lock.owner}{gone}: only that process may release it, or what"
        " it has started",
        exit_code=Exit.HOT,
        next_command=_way_on(view),
    )


def _way_on(view: LockView) -> str:
    """Return the gentlest command that helps somebody who is not the owner."""
    if is_ghost(view):
        return f"aimctl recover --fleet {view.fleet}"
    return f"aimctl lock request-release {view.id} --reason TEXT"


def _done(
    view: LockView, action: str, message: str, following: str | None, code: Exit
) -> dict[str, Any]:
    """Return what the documents of `release` and `request-release` have in common."""
    found = view.document()
    return {
        "fleet": view.fleet,
        "lock": found,
        "dry_run": False,
        "action": action,
        "txn": found["txn"],
        "decision": None if view.txn is None else view.txn.outcome,
        "message": message,
        "next": following,
        "exit_code": int(code),
    }


# --- request-release --------------------------------------------------------------------------


async def request_release(  # noqa: D417 - the context is no option
    lock_id: LockId,
    /,
    *,
    reason: str | None = None,
    wait_s: Annotated[float, Parameter(name="--wait")] = WAIT_S,
    dry_run: Flag = False,
    context: Given,
) -> int:
    """
    Ask a living holder to finish or abort, and to give its lock back.

    For example:
      aimctl lock request-release hazard-12@41 --reason "urgent fix"
      aimctl lock request-release hazard-12@41 --reason "urgent fix" --wait 60

    Exits with 0 when the lock is free or the holder has promised it, 6 when it does
    not answer or is gone, 8 when LOCK_ID is no longer the lock's.

    Parameters
    ----------
    lock_id
        FLEET@EPOCH, as `aimctl lock list` shows it.
    reason
        Why; it is kept in the journal, and the holder is told.
    wait_s
        Seconds to wait for the answer, and for the lock to be free.
    dry_run
        Show who owns it, whether they live, what is open and what would happen; change nothing.
    """
    from orchestrator.cli.push import WAIT_MAX_S, check_seconds
    from orchestrator.service import locks
    from orchestrator.service.asking import request_release as ask

    check_seconds("--wait", wait_s, 0.0, WAIT_MAX_S, zero=True)
    target, epoch = locks.parse_lock_id(lock_id)
    why = "" if dry_run else checked_reason(reason, f"lock request-release {lock_id}")
    async with context.world(reading=dry_run, existing=not dry_run) as world:
        view = await locks.held_lock(world, target, epoch)
        if dry_run:
            ahead = await look_ahead(world, no_file(target), view, request_would(view))
            following = _way_on(view)
            head = {"type": "request-release", "action": "none", "answer": None, "free": False}
            return foreseen(context, ahead, head, following)
        asked = await ask(world, target, epoch, why, wait_s)
    return _show_answer(context, view, asked)


def _show_answer(context: Context, view: LockView, asked: Asked) -> int:
    code, following = Exit.DONE, None
    if asked.free:
        message = f"{view.id} is given back"
    elif asked.answer is not None:
        message = f"{view.lock.owner} answers: {answer_words(asked.answer)}"
        following = f"aimctl lock show {view.fleet}"
    else:
        code, message = Exit.HOT, f"asked, and {view.lock.owner} has not answered yet"
        following = f"aimctl lock force-unlock {view.id} --dry-run"
    if asked.free and asked.answer is not None:
        message += f"; its owner answered: {answer_words(asked.answer)}"
    document = {
        "type": "request-release",
        **_done(view, "asked", message, following, code),
        "answer": asked.answer,
        "free": asked.free,
    }
    icon, style = ("✔", "bold green") if code is Exit.DONE else ("✘", "bold red")
    context.view.show(document, lambda screen: screen.line(f"{icon} {message}", style))
    if following is not None:
        context.view.say(f"next      {following}")
    return int(code)
