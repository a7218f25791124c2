"""
The nouns of the protocol: identifiers, epochs, the timeline of a transaction, the plan.

Everything here is a frozen value of the standard library. Ids travel inside MQTT topics and
file names, so one pattern (:data:`ID_PATTERN`) bounds them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType

FleetId = NewType("FleetId", str)
DeviceId = NewType("DeviceId", str)
TxnId = NewType("TxnId", str)
Ticket = NewType("Ticket", str)
"""One place in the queue of a lock: made once, never reused."""

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hexadecimal digits, over canonical bytes."""

Version = int
"""The sequence number of the transaction that installed a bundle; 0 before the first."""

ID_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,62}"
DIGEST_PATTERN: Final = r"sha256:[0-9a-f]{64}"

NOT_KNOWN: Final = Digest("sha256:" + "0" * 64)
"""Where a reseed could not learn a digest that only the lost journal had."""

FLEET_DEVICES_MAX: Final = 20_000
CONFIG_BYTES_MAX: Final = 64 * 1024
BLOB_BYTES_MAX: Final = 2 * 1024 * 1024
MESSAGE_BYTES_MAX: Final = 256 * 1024
DISTINCT_CONFIGS_MAX: Final = 3_000
"""Distinct configurations in one plan: PREPARE carries their digests in one message."""

REASONS_MAX: Final = 16
REASON_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """
    The fencing token. Raised by one at every grant, takeover, forced unlock and release.

    Epochs compare as ``(incarnation, number)``; the incarnation is raised only by a reseed of a
    store that was rolled back (DESIGN §6).
    """

    incarnation: int = 1
    number: int = 0

    def next(self) -> Epoch:
        """Return the epoch of the next change of ownership."""
        return Epoch(self.incarnation, self.number + 1)

    def reborn(self) -> Epoch:
        """Return the first epoch of the next incarnation: above every epoch of this one."""
        return Epoch(self.incarnation + 1, 1)

    def __str__(self) -> str:
        """Show the number alone in the first incarnation: what a person types in a lock id."""
        if self.incarnation == 1:
            return str(self.number)
        return f"{self.incarnation}.{self.number}"


class Outcome(StrEnum):
    """What was decided for a transaction. Written once, never changed (I2, I7)."""

    COMMIT = "commit"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """
    The absolute instants of a transaction, in seconds of the orchestrator's clock (DESIGN §5).

    Used for activation, never for agreement. ``clock_error_s`` is ε, the bound that every
    member's clock error must keep; ``activate_at = hold_at + 2ε``.
    """

    vote_by: float
    hold_at: float
    activate_at: float
    clock_error_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The frozen difference from a version to a bundle: nothing is left to decide (DESIGN §2).

    ``digests`` names every member and the digest of the configuration it will run. ``bundle``
    is the digest of the whole set. A plan may only be pushed while the fleet is at
    ``base_version``.
    """

    fleet: FleetId
    config: str
    base_version: Version
    bundle: Digest
    digests: Mapping[DeviceId, Digest]
    excused: tuple[DeviceId, ...] = ()

    @property
    def members(self) -> tuple[DeviceId, ...]:
        """The devices that must vote, in the plan's order."""
        return tuple(self.digests)

    @property
    def distinct_digests(self) -> tuple[Digest, ...]:
        """The digests without repetition, sorted: what PREPARE carries."""
        return tuple(sorted(set(self.digests.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """
    Who holds a lock, with the kernel's evidence of the process (DESIGN §6).

    ``start_ticks`` is field 22 of ``/proc/PID/stat``, raw: a pid alone is reused. Two processes
    are the same only if boot id, pid namespace, pid and start ticks agree.
    """

    user: str
    host: str
    machine_id: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int
    program: str

    def __str__(self) -> str:
        """Show ``user@host, program, pid N``."""
        return f"{self.user}@{self.host}, {self.program}, pid {self.pid}"
