"""
Enable leases: how far the horizon of each device must reach, before a lease is issued (DESIGN §5).

A lease lets a device operate for ``lease_s`` after it has asked. What is in the journal is only
its *horizon*: an instant beyond which no lease of that device runs. So a transaction that leaves
a device out knows how long to wait before anybody begins with the new version, and a device that
nobody hears needs no message in order to stop.
"""

from __future__ import annotations

from typing import Final

from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import LeaseHorizon, Record
from orchestrator.protocol.types import DeviceId

REGIME_S: Final = 60.0
"""How long a fleet's leases stay as they are before another file may change them."""

HORIZON_LEASES: Final = 2.0
"""How far a horizon is raised, in leases: one record for every device and lease."""


def due(
    fleet: FleetState, witness: Witness, lease_s: float | None, now: float
) -> tuple[Record, ...]:
    """
    Return the horizons that must be raised at ``now`` (UTC s) so that leases can be issued.

    Raised for those who have spoken lately and are with the fleet, all at once as soon as one of
    them needs it; never for a device that the open transaction leaves out, so that it stops in
    time. ``lease_s`` is the fleet file's; where it has changed, the regime in the journal follows.
    """
    if lease_s is None:
        ends = LeaseHorizon(lease_s=None, until=now, devices=())
        return () if fleet.lease_s is None else (ends,)
    heard_since = now - HORIZON_LEASES * lease_s
    with_us = tuple(
        device
        for device in sorted(witness.devices)
        if _may_have_one(fleet, witness, device, heard_since)
    )
    low = [device for device in with_us if fleet.horizons.get(device, 0.0) < now + lease_s]
    leased = tuple(d for d in sorted(witness.devices) if _newly_leased(fleet, witness, d))
    if fleet.lease_s == lease_s and not low and not leased:
        return ()
    until = now + HORIZON_LEASES * lease_s
    return (LeaseHorizon(lease_s=lease_s, until=until, devices=with_us, leased=leased),)


def _newly_leased(fleet: FleetState, witness: Witness, device: DeviceId) -> bool:
    """Whether ``device`` has told, for the first time, that it operates on a lease."""
    told = witness.of(device).state
    return (
        fleet.lease_s is not None
        and told is not None
        and told.leased
        and (device not in fleet.leased)
    )


def regime(fleet: FleetState, wanted_s: float | None, now: float) -> float | None:
    """
    Return the length of lease to work with, where ``wanted_s`` is the fleet file's.

    Two servers with different files would end each other's leases for ever: whoever comes second
    leaves a regime alone that is younger than REGIME_S.
    """
    settled = now >= fleet.lease_since + REGIME_S
    return wanted_s if settled or wanted_s == fleet.lease_s else fleet.lease_s


def _may_have_one(
    fleet: FleetState, witness: Witness, device: DeviceId, heard_since: float
) -> bool:
    """Whether ``device`` is with the fleet; a deferred one is as soon as it has followed."""
    at, txn = witness.of(device).at, fleet.open
    if at is None or at < heard_since or fleet.digest_of(device) is None:
        return False
    if device in fleet.quarantined or device in fleet.retired or witness.behind(device, fleet):
        return False
    waits_for = fleet.deferred.get(device, ())
    if not all(witness.recorded(device, awaited) for awaited in waits_for):
        return False
    return txn is None or device in txn.begun.digests
