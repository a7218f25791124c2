"""The ways out of a held lock, and what each would do right now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.view import Screen

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.service.results import LockView


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out."""

    name: str
    command: str
    would: str

    def document(self) -> dict[str, Any]:
        """Return one element of ``ways``."""
        return {"name": self.name, "command": self.command, "would": self.would}


def ways_out(view: LockView, *, ours: bool) -> tuple[Way, ...]:
    """Return every way out, the gentlest first; none where the lock is free."""
    from orchestrator.protocol.records import Verb
    from orchestrator.service.resolving import foresee

    if view.lock.owner is None:
        return ()
    found = [
        _way("release", view, release_would(view, ours=ours)),
        _way("request-release", view, request_would(view)),
    ]
    if is_ghost(view):
        would = "what force-unlock does, without a lock id: nobody needs to be asked"
        command = f"aimctl recover --fleet {view.fleet}"
        found.append(Way(name="recover", command=command, would=would))
    found.append(_way("force-unlock", view, foresee(view)))
    found.append(_way("break-glass", view, glass_would(view, foresee(view, Verb.BREAK_GLASS))))
    return tuple(found)


def _way(name: str, view: LockView, would: str) -> Way:
    return Way(name=name, command=f"aimctl lock {name} {view.id}", would=would)


def is_ghost(view: LockView) -> bool:
    """Whether its owner is gone."""
    return view.liveness is not None and view.liveness.verdict.value == "ghost"


def release_would(view: LockView, *, ours: bool) -> str:
    """Say what `lock release` would do; ``ours`` where we are the owner's process, or its."""
    if not ours:
        return f"refused: only {view.lock.owner} may, or what that process has started"
    if view.txn is not None:
        seq = view.txn.begun.seq
        return f"refused: txn {seq} is open, and a lock is not freed in the middle of one"
    return "the lock is free: it is ours, and nothing is open"


def request_would(view: LockView) -> str:
    """Say what `lock request-release` would do."""
    if is_ghost(view):
        return f"refused: {view.lock.owner} is gone, and nobody would answer"
    if view.txn is None:
        return "asks the owner, who releases as soon as it can; its answer is kept"
    seq = view.txn.begun.seq
    if view.txn.decided is not None:
        return f"asks the owner, who drives txn {seq} to its end and then releases"
    return f"asks the owner, who aborts txn {seq} unless it is decided first, and then releases"


def glass_would(view: LockView, foreseen: str) -> str:
    """Say what `lock break-glass` would do: nothing in the middle of a reseed."""
    if view.reseeding:
        return "refused: a reseed is under way, and what was decided is not known before its end"
    return foreseen


def show_ways(screen: Screen, view: LockView, ways: Sequence[Way]) -> None:
    """Write them, a line each."""
    screen.line()
    if not ways:
        first = view.waiters[0].waiter.owner if view.waiters else None
        screen.line("the lock is free" + ("" if first is None else f": it is for {first}"))
        return
    screen.line("ways out", "bold")
    screen.table(("command", "would do"), [(way.command, way.would) for way in ways])
