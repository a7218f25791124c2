"""A lock as people see it: a row of a list, and everything that is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cli.text import duration, rfc3339
from orchestrator.cli.view import Cell, Screen

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.locksmith.liveness import Liveness
    from orchestrator.service.results import LockView, WaiterView

_STYLES = {"free": "green", "held": "yellow", "resolving": "yellow"}
_VERDICTS = {"live": "green", "suspect": "yellow", "ghost": "bold red"}
_ANSWERS = {
    "release": "it releases at once",
    "abort": "it aborts first, and then releases",
    "finish": "it finishes what it does, and then releases",
}


def lock_row(view: LockView) -> tuple[Cell, ...]:
    """Return the row of ``lock list``."""
    lock, live, txn = view.lock, view.liveness, view.txn
    return (
        view.id,
        (lock.state.value, _STYLES[lock.state.value]),
        "-" if lock.owner is None else str(lock.owner),
        ("-", "dim") if live is None else verdict_cell(live),
        renewed_words(live),
        _waiting(view),
        "-" if txn is None else f"{txn.begun.seq} {fate(view)}",
    )


def verdict_cell(live: Liveness) -> tuple[str, str]:
    """Return the verdict, and whether it is proved, with its style."""
    word = live.verdict.value
    return (f"{word}, proved" if live.proved else word), _VERDICTS[word]


def renewed_words(live: Liveness | None) -> str:
    """Say when the lease was renewed."""
    if live is None or live.renewed_ago_s is None:
        return "-"
    return f"{duration(live.renewed_ago_s)} ago"


def fate(view: LockView) -> str:
    """Say how the open transaction is decided."""
    if view.txn is None:
        return "none"
    outcome = view.txn.outcome
    return "undecided" if outcome is None else f"decided {outcome.value.upper()}"


def answer_words(answer: str | None) -> str:
    """Say what a holder answers to a request for release."""
    return "no answer yet" if answer is None else _ANSWERS[answer]


def _waiting(view: LockView) -> str:
    if not view.waiters:
        return "-"
    gone = sum(one.liveness.verdict.value == "ghost" for one in view.waiters)
    return str(len(view.waiters)) + (f", {gone} gone" if gone else "")


# --- one lock ---------------------------------------------------------------------------------


def show_lock(screen: Screen, view: LockView) -> None:
    """Write who holds a lock, whether they live, what is in flight, who waits."""
    lock = view.lock
    screen.line(f"lock      {view.id}   {lock.state.value}", "bold")
    if lock.owner is not None:
        screen.line(f"owner     {lock.owner}")
        _show_liveness(screen, view.liveness)
        why = f": {lock.reason}" if lock.reason else ""
        screen.line(f"purpose   {lock.purpose}{why}, since {rfc3339(lock.since)}")
        _show_txn(screen, view)
    if view.reseeding:
        screen.line("reseed    under way: it has not heard all devices yet", "bold yellow")
    asked, answered = lock.release_requested, lock.release_answered
    if asked is not None:
        screen.line(f"asked     to release, by {asked.by}: {asked.reason}", "yellow")
        screen.line(f"answer    {answer_words(None if answered is None else answered.answer)}")
    for number, one in enumerate(view.waiters, 1):
        _show_waiter(screen, number, one)


def _show_liveness(screen: Screen, live: Liveness | None) -> None:
    if live is None:
        return
    word, style = verdict_cell(live)
    screen.line(f"liveness  {word}", style)
    for one in live.evidence:
        screen.line(f"          {one}")


def _show_txn(screen: Screen, view: LockView) -> None:
    txn = view.txn
    if txn is None:
        screen.line("txn       none is open")
        return
    members = len(txn.begun.digests)
    since = f"{members} members, begun {rfc3339(txn.begun_at)}"
    screen.line(f"txn       {txn.begun.seq} ({txn.begun.txn}), {fate(view)}; {since}")
    if txn.abort_requested is not None:
        asked = txn.abort_requested
        screen.line(f"          abort asked by {asked.by}: {asked.reason}", "yellow")


def _show_waiter(screen: Screen, number: int, one: WaiterView) -> None:
    waiter, live = one.waiter, one.liveness
    word, style = verdict_cell(live)
    since = f"for {waiter.purpose}, since {rfc3339(waiter.since)}"
    screen.line(f"waiting   {number}. {waiter.owner}, {since}; {word}: {live.process}", style)
