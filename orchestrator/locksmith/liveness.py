"""
Does whoever holds a lock, or waits for it, live? A verdict with its evidence in words. Pure.

GHOST is said only on proof (this machine's kernel shows that the process is gone), or when the
lease has not been renewed for TTL + grace (I20); of a waiter already after the TTL, since
passing over somebody who only waits costs nobody anything. An owner elsewhere is judged by its
lease alone, and the evidence says so.

The age of a lease is by the boot clock wherever one boot saw both ends of it: a wall clock that
is stepped can then neither kill a living owner nor keep a dead one. Between machines there is
only UTC; :func:`may_act_unasked` then asks for our own observation as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Lease, Stamp
from orchestrator.protocol.lease import LEASE_TTL_S, Stage, stage_of
from orchestrator.protocol.types import Owner

_SHORT_BOOT_ID: Final = 8


class Verdict(StrEnum):
    """LIVE: let it work. SUSPECT: wait or ask. GHOST: gone, resolve it or pass it over."""

    LIVE = "live"
    SUSPECT = "suspect"
    GHOST = "ghost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """
    The verdict on an owner. ``proved`` is whether its death needs no waiting.

    ``renewed_at`` (UTC in s), ``renewed_ago_s`` and ``expires_in_s`` (negative when it is over)
    are ``None`` where the store has no lease of it. ``process`` says in a few words what is known
    of its process; ``by_wall_clock`` that the lease's age is the difference of two UTC readings.
    """

    verdict: Verdict
    proved: bool
    process: str
    renewed_at: float | None
    renewed_ago_s: float | None
    expires_in_s: float | None
    by_wall_clock: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """What is known of a process: in short, in full, and whether it is gone for certain."""

    short: str
    full: str
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Age:
    """How old a lease is, counted from ``since``; ``restarted`` if that is a manager's start."""

    since: Stamp
    age_s: float
    renewed_ago_s: float
    by_wall_clock: bool
    restarted: bool


_OF_OWNERS: Final[Mapping[Stage | None, Verdict]] = {
    Stage.FRESH: Verdict.LIVE,
    Stage.EXPIRED: Verdict.SUSPECT,
    Stage.PAST_GRACE: Verdict.GHOST,
    None: Verdict.SUSPECT,
}
_OF_WAITERS: Final[Mapping[Stage | None, Verdict]] = {
    Stage.FRESH: Verdict.LIVE,
    Stage.EXPIRED: Verdict.GHOST,
    Stage.PAST_GRACE: Verdict.GHOST,
    # Its lease began with its place; where there is none, nobody can renew it any more.
    None: Verdict.GHOST,
}


def judge(
    owner: Owner, lease: Lease | None, sighting: Sighting, now: Stamp, unchanged_s: float = 0.0
) -> Liveness:
    """
    Judge the holder of a lock by its lease and by what the kernel shows.

    A process that runs and does not renew (stopped, frozen) is a GHOST after TTL + grace like any
    other: it is taken over, and fenced when it goes on. ``unchanged_s`` is how long we have seen
    this very lease ourselves (:class:`.watch.Watch`): it is at least that old, whatever UTC says.
    """
    return _judge(_OF_OWNERS, owner, lease, sighting, now, unchanged_s)


def judge_waiter(
    owner: Owner, lease: Lease | None, sighting: Sighting, now: Stamp, unchanged_s: float = 0.0
) -> Liveness:
    """Judge one who waits in the queue: a GHOST on proof, past its TTL, or without a lease."""
    return _judge(_OF_WAITERS, owner, lease, sighting, now, unchanged_s)


def may_act_unasked(found: Liveness, unchanged_s: float) -> bool:
    """
    Whether a program may take the lock, or the place, of a GHOST without a person's word.

    Where the verdict rests on the wall clocks of two machines, one of them may be wrong: then the
    lease must also have stood still before our own eyes for its whole TTL.
    """
    if found.verdict is not Verdict.GHOST:
        return False
    return found.proved or not found.by_wall_clock or unchanged_s > LEASE_TTL_S


def clock_time(at: float) -> str:
    """Show a UTC instant as HH:MM:SS, as the HOT error does."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S")


def _judge(
    verdicts: Mapping[Stage | None, Verdict],
    owner: Owner,
    lease: Lease | None,
    sighting: Sighting,
    now: Stamp,
    unchanged_s: float,
) -> Liveness:
    process = _process(owner, sighting)
    age = None if lease is None else _age(lease, now, unchanged_s)
    stage = None if age is None else stage_of(age.age_s)
    return Liveness(
        verdict=Verdict.GHOST if process.gone else verdicts[stage],
        proved=process.gone,
        process=process.short,
        renewed_at=None if lease is None else lease.renewed.utc_s,
        renewed_ago_s=None if age is None else age.renewed_ago_s,
        expires_in_s=None if age is None else LEASE_TTL_S - age.age_s,
        by_wall_clock=age is not None and age.by_wall_clock,
        evidence=(process.full, *_lease_words(lease, age, sighting, unchanged_s)),
    )


# --- the lease ------------------------------------------------------------------------------


def _age(lease: Lease, now: Stamp, unchanged_s: float) -> _Age:
    """Return how old the lease is: since its renewal, or the manager's start if that was later."""
    since = _later(lease)
    renewed_ago_s, age_s = now.since_s(lease.renewed), now.since_s(since)
    if now.same_boot(lease.renewed):
        # The manager started after the renewal: its clock can lengthen this life, never end it.
        age_s = min(age_s, renewed_ago_s)
    return _Age(
        since=since,
        age_s=max(age_s, unchanged_s),
        renewed_ago_s=max(renewed_ago_s, unchanged_s),
        by_wall_clock=not now.same_boot(since),
        restarted=since is not lease.renewed,
    )


def _later(lease: Lease) -> Stamp:
    """
    Return the later of renewal and restart.

    A store forgets a restart at the next renewal, so a restart that it knows is the later one,
    even if two wall clocks show it the other way round.
    """
    extended = lease.extended
    if extended is None:
        return lease.renewed
    if extended.same_boot(lease.renewed) and extended.boot_s < lease.renewed.boot_s:
        return lease.renewed
    return extended


def _lease_words(
    lease: Lease | None, age: _Age | None, sighting: Sighting, unchanged_s: float
) -> tuple[str, ...]:
    if lease is None or age is None:
        return ("no lease is stored",)
    words = [
        f"last renewal {age.renewed_ago_s:.0f} s ago at {clock_time(lease.renewed.utc_s)}",
    ]
    if age.restarted:
        at = clock_time(age.since.utc_s)
        words.append(f"the lock manager was restarted at {at}: the lease counts from then")
    if age.by_wall_clock:
        elsewhere = not sighting.here
        words.append(
            "judged by the wall clocks of two machines"
            if elsewhere
            else "its age is by the wall clock: no boot clock spans it"
        )
    if unchanged_s > 0.0:
        words.append(f"seen unchanged for {unchanged_s:.0f} s by our own clock")
    return tuple(words)


# --- the process ----------------------------------------------------------------------------


def _process(owner: Owner, sighting: Sighting) -> _Process:
    """Say what is known of the process."""
    pid = f"pid {owner.pid}"
    if sighting.rebooted:
        return _Process(short="gone", full=_rebooted(owner, sighting), gone=True)
    if sighting.visible:
        return _seen(owner, sighting)
    if not sighting.here:
        short = f"on {owner.host}, judged by its lease alone"
        return _Process(short=short, full=f"{pid} is {short}")
    alone = "judged by its lease alone"
    if sighting.hidden:
        full = f"{pid} can't be looked up: /proc does not show it to us, {alone}"
        return _Process(short=f"hidden from us, {alone}", full=full)
    full = f"{pid} is in another pid namespace ({owner.pid_namespace}), {alone}"
    return _Process(short=f"in another pid namespace, {alone}", full=full)


def _seen(owner: Owner, sighting: Sighting) -> _Process:
    """Say what the process table shows of a process that it would show."""
    pid = f"pid {owner.pid}"
    if sighting.running and sighting.stopped:
        return _Process(short="paused", full=f"{pid} is stopped (SIGSTOP or a debugger)")
    if sighting.running:
        return _Process(short="running", full=f"{pid} is running")
    ticks, ticks_now = owner.start_ticks, sighting.ticks_now
    if ticks_now is None:
        boot = _short(owner.boot_id)
        why = f"is gone: this boot ({boot}) has no process with that pid and start ticks {ticks}"
    elif ticks_now == ticks:
        why = "is gone: it has ended, and its parent has not taken note yet"
    else:
        why = f"is now another process: it started at tick {ticks_now}, the owner at {ticks}"
    return _Process(short="gone", full=f"{pid} {why}", gone=True)


def _rebooted(owner: Owner, sighting: Sighting) -> str:
    since = f"pid {owner.pid} is gone: {owner.host} has been started again since"
    if sighting.boot_now is None:
        return since
    return f"{since} (boot {_short(sighting.boot_now)} now, {_short(owner.boot_id)} then)"


def _short(boot_id: str) -> str:
    """Show the beginning of a boot id: enough to tell two apart."""
    if len(boot_id) <= _SHORT_BOOT_ID:
        return boot_id
    return f"{boot_id[:_SHORT_BOOT_ID]}…"
