"""Telling who stands before us in the line for a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.types import Owner
    from orchestrator.service.results import LockView


def before_us(view: LockView, me: Owner) -> int | None:
    """Return how many wait before us; ``None`` where we do not stand in the line (any more)."""
    owners = [one.waiter.owner for one in view.waiters]
    return owners.index(me) if me in owners else None


def waiting_words(view: LockView, me: Owner) -> str:
    """Say in one line who has the lock, and who is next."""
    before = before_us(view, me)
    if view.lock.owner is None:
        held = f"{view.id} is free, for the first in line"
    else:
        live = "" if view.liveness is None else f" ({view.liveness.process})"
        held = f"{view.id} is held by {view.lock.owner}{live}"
    if before is None:
        return f"{held}; we stand at the end of the line"
    if before == 0:
        return f"{held}; we are next"
    return f"{held}; {before} before us, first {view.waiters[0].waiter.owner}"


def waiting_document(view: LockView, me: Owner) -> dict[str, Any]:
    """Return the ``waiting`` document."""
    return {
        "type": "waiting",
        "fleet": view.fleet,
        "lock": view.document(),
        "before": before_us(view, me),
    }
