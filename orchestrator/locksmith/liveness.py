"""
Does the owner of a lock live? A verdict with its evidence in words. Pure.

GHOST is said only on proof (this machine's kernel shows that the process is gone) or when the
lease has run out for longer than TTL + grace since its last renewal (I20); an owner elsewhere is
judged by its lease alone, and the evidence says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Lease
from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S
from orchestrator.protocol.types import Owner


class Verdict(StrEnum):
    """LIVE: let it work. SUSPECT: wait or ask. GHOST: gone, resolve it."""

    LIVE = "live"
    SUSPECT = "suspect"
    GHOST = "ghost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """
    The verdict on an owner. ``proved`` is whether its death needs no waiting.

    ``renewed_ago_s`` is ``None`` where the store has no lease of it.
    """

    verdict: Verdict
    proved: bool
    renewed_at: float | None
    renewed_ago_s: float | None
    expires_in_s: float | None
    evidence: tuple[str, ...]


def judge(owner: Owner, lease: Lease | None, sighting: Sighting, now: float) -> Liveness:
    """Judge ``owner`` at UTC instant ``now`` from its lease and what the kernel shows."""
    process, alive = _process(owner, sighting)
    renewed_at = None if lease is None else lease.renewed_at
    ago_s = None if renewed_at is None else max(0.0, now - renewed_at)
    expires_in_s = None if ago_s is None else LEASE_TTL_S - ago_s
    expired = ago_s is None or ago_s > LEASE_TTL_S
    past_grace = ago_s is not None and ago_s > LEASE_TTL_S + GRACE_S
    if alive is False or (past_grace and alive is None):
        verdict = Verdict.GHOST
    elif expired:
        verdict = Verdict.GHOST if past_grace else Verdict.SUSPECT
    else:
        verdict = Verdict.LIVE
    return Liveness(
        verdict=verdict,
        proved=alive is False,
        renewed_at=renewed_at,
        renewed_ago_s=ago_s,
        expires_in_s=expires_in_s,
        evidence=(process, _renewal(renewed_at, ago_s)),
    )


def _process(owner: Owner, sighting: Sighting) -> tuple[str, bool | None]:
    """Say what is known of the process, and whether it lives (``None``: not known)."""
    if sighting.rebooted:
        return f"pid {owner.pid} is gone: {owner.host} has been started again since", False
    if not sighting.here:
        return f"pid {owner.pid} is on {owner.host}, judged by its lease alone", None
    if not sighting.visible:
        return f"pid {owner.pid} is in another pid namespace, judged by its lease alone", None
    if sighting.running:
        return f"pid {owner.pid} is running", True
    return f"pid {owner.pid} is gone", False


def _renewal(renewed_at: float | None, ago_s: float | None) -> str:
    if renewed_at is None or ago_s is None:
        return "no lease is stored"
    return f"last renewal {clock_time(renewed_at)}, {ago_s:.0f} s ago"


def clock_time(at: float) -> str:
    """Show a UTC instant as HH:MM:SS, as the HOT error does."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S")
