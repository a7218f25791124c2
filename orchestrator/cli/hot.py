"""What ``aimctl doctor`` says of a fleet that needs a look: end to end, for 03:12 at night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.cli.text import duration, some
from orchestrator.cli.view import Screen

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.fleet import Txn
    from orchestrator.service.examination import Examined
    from orchestrator.service.symptoms import Broker
    from orchestrator.service.world import World

NAMED_MAX: Final = 8
"""Devices that a line names; all of them are in the JSON document."""


async def examine_all(world: World, broker: Broker, why: str | None) -> list[Examined]:
    """
    Examine every fleet that needs a look, the gravest first; nothing is changed.

    A fleet whose journal breaks an invariant is left out: that is told already, and worse.
    """
    from orchestrator.cli.files import stored_fleets
    from orchestrator.protocol.errors import InvariantViolation
    from orchestrator.service.examination import examine

    found: list[Examined] = []
    for fleet in await stored_fleets(world):
        try:
            examined = await examine(world, fleet, broker=broker, why=why)
        except InvariantViolation:
            continue
        if examined is not None:
            found.append(examined)
    return sorted(found, key=lambda one: one.advice.way.rank)


# --- words --------------------------------------------------------------------------------------


def headline(one: Examined) -> str:
    """Say in one line who holds the lock, and whether they live."""
    lock = one.found.lock
    if lock.lock.owner is None:
        return f"fleet {lock.fleet}: the lock is free, and devices wait"
    return f"fleet {lock.fleet}: HOT, {lock.id} {lock.lock.state.value} by {lock.lock.owner}"


def show_examined(screen: Screen, one: Examined) -> None:
    """Write one diagnosis: a line for each part, what is wrong, and the one command."""
    screen.line(headline(one), "bold")
    for name, lines in _parts(one):
        for number, line in enumerate(lines):
            screen.line(f"  {name if number == 0 else '':<9} {line}")
    contradictions = one.found.contradictions
    for device, why in list(contradictions.items())[:NAMED_MAX]:
        screen.line(f"  ROLLED BACK  {device}: {why}", "bold red")
    quiet = one.advice.wrong.startswith("nothing")
    screen.line(f"  {'wrong':<9} {one.advice.wrong}", "green" if quiet else "bold yellow")
    screen.line(f"  {'next':<9} {one.advice.command}", "bold")


def _parts(one: Examined) -> list[tuple[str, list[str]]]:
    parts = [("journal", _journal(one))]
    live = one.found.lock.liveness
    if live is not None:
        parts += [("lease", [_lease(one)]), ("process", [live.evidence[0]])]
    return [*parts, ("broker", [_broker(one)]), ("devices", _devices(one))]


def _journal(one: Examined) -> list[str]:
    state, at = one.found.state, one.found.at
    lock = state.lock
    epoch = f"{lock.state.value}, epoch {lock.epoch}"
    head = f"{epoch}, since {_moment(lock.since, at)}" if lock.since else epoch
    lines = [f"{head}, for {lock.purpose}" if lock.purpose else head]
    lines += [f"reason: {lock.reason}"] if lock.reason else []
    lines.append(_open(state.open, at))
    if state.reseeding is not None:
        lines.append("a reseed is under way: it has not heard all devices yet")
    if one.asked_at is not None and lock.release_requested is not None:
        answer = lock.release_answered
        told = "not answered" if answer is None else f"answered: {answer.answer.value}"
        asked = f"release asked by {lock.release_requested.by}"
        lines.append(f"{asked} at {_moment(one.asked_at, at)}; {told}")
    if lock.waiters:
        lines.append(f"{len(lock.waiters)} wait in line, first {lock.waiters[0].owner}")
    return lines


def _open(txn: Txn | None, at: float) -> str:
    if txn is None:
        return "no transaction is open"
    begun = f"txn {txn.begun.seq} ({txn.begun.txn}) is open since {_moment(txn.begun_at, at)}"
    if txn.decided is None or txn.decided_at is None:
        asked = "" if txn.abort_requested is None else f"; abort asked by {txn.abort_requested.by}"
        return f"{begun}, undecided{asked}"
    outcome = txn.decided.outcome.value.upper()
    return f"{begun}, decided {outcome} at {_moment(txn.decided_at, at)}"


def _lease(one: Examined) -> str:
    from orchestrator.locksmith.liveness import clock_time
    from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S

    live = one.found.lock.liveness
    if live is None or live.expires_in_s is None or live.renewed_at is None:
        return "none is stored: no time will tell whether the owner lives"
    left_s = live.expires_in_s
    clock = "by the wall clock" if live.by_wall_clock else "by the boot clock"
    ttl = _left("TTL", LEASE_TTL_S, left_s)
    grace = _left("grace", GRACE_S, left_s + GRACE_S) if left_s <= 0 else f"grace {GRACE_S:g} s"
    renewed = f"{clock_time(live.renewed_at)}, {duration(live.renewed_ago_s)} ago"
    return f"last renewal {renewed}; {ttl}, {grace}; {clock}"


def _left(what: str, whole_s: float, left_s: float) -> str:
    if left_s > 0:
        return f"{what} {whole_s:g} s, {left_s:.0f} s left"
    return f"{what} {whole_s:g} s, over for {duration(-left_s)}"


def _broker(one: Examined) -> str:
    if one.found.why is None:
        return "reached"
    return f"{one.broker.value}: {one.found.why}"


def _devices(one: Examined) -> list[str]:
    from orchestrator.service.results import DeviceWord

    found = one.found
    if found.why is not None:
        lines = [f"{len(found.known)} known, not asked: the broker is not there"]
    else:
        lines = [f"{len(found.heard)} of {len(found.known)} heard"]
    unheard = [device for device in found.known if device not in found.heard]
    named: dict[str, Sequence[str]] = {
        "unheard": unheard if found.why is None else (),
        "prepared": found.in_state(DeviceWord.PREPARED),
        "in doubt": found.in_state(DeviceWord.IN_DOUBT),
        "holding": found.in_state(DeviceWord.HOLDING),
        "deferred": sorted(found.state.deferred),
        "quarantined": sorted(found.state.quarantined),
    }
    lines += [
        f"{len(names)} {what}: {some(names, NAMED_MAX)}" for what, names in named.items() if names
    ]
    doubt = one.oldest_doubt
    if doubt is not None:
        lines.append(
            f"oldest doubt: txn {doubt.txn.begun.seq}, since {_moment(doubt.since, found.at)}"
        )
    return lines


def _moment(at: float, now: float) -> str:
    """Show an instant by the clock, and how long ago it was."""
    from orchestrator.locksmith.liveness import clock_time

    return f"{clock_time(at)} ({duration(max(0.0, now - at))} ago)"
