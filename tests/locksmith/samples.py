"""An owner, instants of its machine and of another one, and what a process table may show."""

from __future__ import annotations

from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Claim, Lease, Stamp
from orchestrator.protocol.types import Epoch, FleetId, Owner

FLEET = FleetId("hazard-12")
EPOCH = Epoch(1, 1)
BOOT = "7f3a91c2-0000-4000-8000-000000000001"
FOREIGN_BOOT = "e0e0e0e0-0000-4000-8000-000000000003"
NOW = Stamp(utc_s=1_000_000.0, boot_id=BOOT, boot_s=5_000.0)
OWNER = Owner(
    user="mira",
    host="aim-control",
    machine_id="m1",
    boot_id=BOOT,
    pid_namespace="pid:[4026531836]",
    pid=4121,
    start_ticks=8812,
    program="aimctl push",
)

RUNNING = Sighting(here=True, rebooted=False, visible=True, running=True, ticks_now=8812)
STOPPED = Sighting(
    here=True, rebooted=False, visible=True, running=True, stopped=True, ticks_now=8812
)
GONE = Sighting(here=True, rebooted=False, visible=True, running=False)
ZOMBIE = Sighting(here=True, rebooted=False, visible=True, running=False, ticks_now=8812)
REUSED = Sighting(here=True, rebooted=False, visible=True, running=False, ticks_now=9001)
REBOOTED = Sighting(here=True, rebooted=True, visible=False, running=False, boot_now=FOREIGN_BOOT)
OTHER_NAMESPACE = Sighting(here=True, rebooted=False, visible=False, running=False)
HIDDEN = Sighting(here=True, rebooted=False, visible=False, running=False, hidden=True)
ELSEWHERE = Sighting(here=False, rebooted=False, visible=False, running=False)

DEAD = (GONE, ZOMBIE, REUSED, REBOOTED)
NOT_PROVED = (RUNNING, STOPPED, OTHER_NAMESPACE, HIDDEN, ELSEWHERE)


def here(ago_s: float, *, wall_stepped_s: float = 0.0) -> Stamp:
    """So long ago, in this boot; since then the wall clock was stepped forwards by so much."""
    return Stamp(utc_s=NOW.utc_s - ago_s - wall_stepped_s, boot_id=BOOT, boot_s=NOW.boot_s - ago_s)


def abroad(ago_s: float, *, ahead_s: float = 0.0) -> Stamp:
    """So long ago, by another machine, whose wall clock is ahead of ours by so much."""
    return Stamp(utc_s=NOW.utc_s - ago_s + ahead_s, boot_id=FOREIGN_BOOT, boot_s=77.0)


def lease(renewed: Stamp, extended: Stamp | None = None, claim: Claim = EPOCH) -> Lease:
    """The lease of OWNER."""
    return Lease(fleet=FLEET, claim=claim, owner=OWNER, renewed=renewed, extended=extended)
