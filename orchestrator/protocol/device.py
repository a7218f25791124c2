"""
What a device keeps on disk, what happens to it, and what it asks of its host.

:class:`Durable` is one record, replaced whole by an atomic write: everything that must survive a
crash and nothing else. All of :class:`Durable` is a promise made to the fleet; the participant
core never tells anybody of a Durable that it has not been told is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from orchestrator.protocol.messages import DeviceMessage, OrchestratorMessage
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Timeline,
    TxnId,
    Version,
)

OUTCOMES_KEPT: Final = 16
"""How many finished transactions a device can still answer for by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """
    A yes that was given: the device is bound to ``txn`` until it learns the decision.

    ``left_behind`` is whether its version was not the plan's base: then it does not operate it
    until ``hold_at`` as the others do theirs.
    """

    txn: TxnId
    seq: int
    epoch: Epoch
    plan: Digest
    digest: Digest
    config: str
    timeline: Timeline
    left_behind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A version that is the device's, and waits for its activation (D2 done, D3 not)."""

    hold_at: float
    activate_at: float
    clock_error_s: float
    previous_version: Version
    previous_digest: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The recorded outcome of one transaction."""

    txn: TxnId
    seq: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """
    The participant record (DESIGN §4). ``known`` is true once a HELLO has been answered.

    ``last_seq`` and ``max_epoch`` never decrease. ``config`` is the name of the configuration.
    ``heuristic`` is the outcome that a person let it act on, while it is prepared: it chooses
    what the controller does meanwhile, and nothing else.
    """

    fleet: FleetId
    device: DeviceId
    known: bool = False
    max_epoch: Epoch = field(default_factory=Epoch)
    last_seq: int = 0
    version: Version = 0
    digest: Digest | None = None
    config: str | None = None
    prepared: Prepared | None = None
    heuristic: Outcome | None = None
    pending: Pending | None = None
    finished: tuple[Finished, ...] = ()

    def outcome_of(self, txn: TxnId) -> Finished | None:
        """Return the recorded outcome of ``txn``, if it is still kept."""
        return next((done for done in self.finished if done.txn == txn), None)

    @property
    def vouched(self) -> tuple[object, ...]:
        """What a HELLO vouches for: an answer to it is void once one of these has changed."""
        prepared = self.prepared.txn if self.prepared else None
        return self.version, self.digest, self.last_seq, prepared

    def digests_in_use(self) -> frozenset[Digest]:
        """Return the configurations that must stay on disk."""
        found = {self.digest, self.prepared.digest if self.prepared else None}
        found.add(self.pending.previous_digest if self.pending else None)
        return frozenset(digest for digest in found if digest is not None)


# --- what a step may ask to be written --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Write these bytes under their digest; fsync the file and its directory."""

    digest: Digest
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """Replace the participant record atomically and durably."""

    durable: Durable


Write = Stage | Save


# --- what a step may start --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Judge a configuration on this device; ends in :class:`Checked`."""

    txn: TxnId
    digest: Digest
    config: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """
    Make the active file hold ``digest`` (atomically, durably), then tell the controller.

    Ends in :class:`Activated` or :class:`ActivationFailed`. Idempotent; asked again after a
    restart, so that the file follows the record before anything operates (D3).
    """

    version: Version
    digest: Digest
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    Tell the controller to hold: freeze the aim; flying is not touched.

    Each time that the controller is told ends in :class:`Held`.
    """

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Tell the controller to aim again, with ``version``."""

    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Ask the transport for a blob of ``txn``; it arrives as a Blob message."""

    txn: TxnId
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwatch:
    """The blob is no longer wanted."""

    txn: TxnId
    digest: Digest


Effect = Check | Activate | Hold | Resume | Watch | Unwatch


# --- what may happen --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The transport has a session (again)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message passed the codec, at device instant ``at`` (``None``: just now)."""

    message: OrchestratorMessage | DeviceMessage
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """All writes of the last Ready are durable; they took ``took_s``."""

    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFailed:
    """A write of the last Ready failed; nothing after it was tried, nothing was promised."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The device's verdict on a configuration: no reasons means that it can fly it."""

    txn: TxnId
    digest: Digest
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """The active file holds ``version`` and the controller has been told."""

    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    The controller was told to hold: it obeys, or ``refused`` says why not.

    It is told again after a refusal; until it obeys it may still aim.
    """

    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationFailed:
    """The file or the controller refused; it will be tried again, never undone."""

    version: Version
    reason: str


Event = (
    Connected
    | Arrived
    | Tick
    | Written
    | WriteFailed
    | Checked
    | Activated
    | ActivationFailed
    | Held
)


class Holding(StrEnum):
    """Why a device does not operate."""

    NEW = "no configuration yet"
    RESTARTED = "restarted: not confirmed yet"
    LATE = "learned the decision late: not confirmed yet"
    BEHIND = "not at the fleet's version"
    REBORN = "the journal was begun anew: not confirmed yet"
    DOUBT = "in doubt"
    LEASE = "its lease to operate has run out"
    CLOCK = "clock error above the fleet's bound"
    ACTIVATING = "waiting for its activation"
    FAILED = "activation failed"
    DISOBEYED = "the controller refuses to hold"
