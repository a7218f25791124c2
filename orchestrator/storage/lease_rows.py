"""
The leases as rows of the SQLite store: the statements, and what goes into their places.

A holder's row has ``incarnation`` and ``number``, a waiter's has ``ticket``, and the other
columns of the claim are NULL: no ticket can be read as an epoch. The statements compare them
with ``IS``, so that one statement serves both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from orchestrator.ports import Claim, Lease, Stamp
from orchestrator.protocol.types import Epoch, FleetId, Ticket
from orchestrator.storage import codec
from orchestrator.storage.leases import EndHolder, EndWaiter, LeaseChange

_START: Final = """
    INSERT INTO leases (fleet, started, owner, incarnation, number, ticket,
        renewed_utc_s, renewed_boot_id, renewed_boot_s)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_END_HOLDER: Final = "DELETE FROM leases WHERE fleet = ? AND ticket IS NULL"
_END_WAITER: Final = "DELETE FROM leases WHERE fleet = ? AND ticket = ?"

RENEW: Final = """
    UPDATE leases
    SET renewed_utc_s = ?, renewed_boot_id = ?, renewed_boot_s = ?,
        extended_utc_s = NULL, extended_boot_id = NULL, extended_boot_s = NULL
    WHERE fleet = ? AND owner = ? AND incarnation IS ? AND number IS ? AND ticket IS ?
"""
"""Takes the columns of a stamp, the fleet, the owner's text and the columns of a claim."""

EXTEND: Final = "UPDATE leases SET extended_utc_s = ?, extended_boot_id = ?, extended_boot_s = ?"
"""Takes the columns of a stamp."""

SELECT: Final = """
    SELECT incarnation, number, ticket, owner, renewed_utc_s, renewed_boot_id, renewed_boot_s,
        extended_utc_s, extended_boot_id, extended_boot_s
    FROM leases WHERE fleet = ? ORDER BY started
"""
"""Takes the fleet; :func:`decode_leases` reads what it returns."""


def statement(fleet: FleetId, change: LeaseChange, stamp: Stamp) -> tuple[str, tuple[object, ...]]:
    """Return the statement that makes one change of an append, and its arguments."""
    if isinstance(change, EndHolder):
        return _END_HOLDER, (fleet,)
    if isinstance(change, EndWaiter):
        return _END_WAITER, (fleet, change.ticket)
    owner = codec.encode_owner(change.owner)
    claim = claim_columns(change.claim)
    return _START, (fleet, change.started, owner, *claim, *stamp_columns(stamp))


def claim_columns(claim: Claim) -> tuple[int | None, int | None, str | None]:
    """Return a claim as ``incarnation, number, ticket``."""
    if isinstance(claim, Epoch):
        return claim.incarnation, claim.number, None
    return None, None, claim


def stamp_columns(stamp: Stamp) -> tuple[float, str | None, float]:
    """Return a stamp as ``utc_s, boot_id, boot_s``."""
    return stamp.utc_s, stamp.boot_id, stamp.boot_s


def decode_leases(fleet: FleetId, rows: Iterable[tuple[Any, ...]]) -> dict[Claim, Lease]:
    """Return the leases of ``rows``; raise OperatingError where an owner is damaged."""
    leases = [_decode_lease(fleet, row) for row in rows]
    return {lease.claim: lease for lease in leases}


def _decode_lease(fleet: FleetId, row: tuple[Any, ...]) -> Lease:
    incarnation, number, ticket, owner, *stamps = row
    return Lease(
        fleet=fleet,
        claim=Epoch(incarnation, number) if ticket is None else Ticket(ticket),
        owner=codec.decode_owner(owner, fleet),
        renewed=_decode_stamp(*stamps[:3]),
        extended=None if stamps[3] is None else _decode_stamp(*stamps[3:]),
    )


def _decode_stamp(utc_s: float, boot_id: str | None, boot_s: float) -> Stamp:
    return Stamp(utc_s=utc_s, boot_id=boot_id, boot_s=boot_s)
