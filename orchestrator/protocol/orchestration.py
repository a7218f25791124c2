"""
What a coordinator is for, what happens to it, and what it asks of its host.

The counterpart of ``device``: goals, events and outputs, as frozen values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.protocol.messages import DeviceMessage
from orchestrator.protocol.ready import Ready
from orchestrator.protocol.records import Entry, Head, Record
from orchestrator.protocol.types import DeviceId, Digest, Plan, TxnId

DETACH_S: Final = 0.5
"""How long a detached push still waits for reports, after all should be active, in s."""

JOIN_S: Final = 1.5
"""How long a push waits for members that have not answered its FENCE, in s."""

# --- goals ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """
    Begin ``txn`` with ``plan`` (whose canonical bytes have ``digest``) and drive it.

    ``spare`` names what the bundle holds for the devices that the plan excuses: without it they
    cannot be caught up when they come back.
    """

    txn: TxnId
    plan: Plan
    digest: Digest
    spare: Mapping[DeviceId, Digest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """
    Drive whatever is open to its end and free the lock: after a forced unlock.

    In a reseed it hears the devices first: ``members`` are those of the fleet file, who must be
    heard too, and ``config`` is the name of its configuration.
    """

    members: tuple[DeviceId, ...] = ()
    config: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """
    The fleet file's enable leases (DESIGN §5): ``lease_s`` long, or ``None`` for none.

    ``keep`` says that there is no file: whatever the journal has stays.
    """

    lease_s: float | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """
    Without the lock: answer devices until nobody waits for a decision any more.

    ``members`` are also waited for until they operate; at ``until`` (UTC s) it is over in any
    case. With ``leases`` it never ends by itself: it answers for ever, as `aimctl serve` does.
    """

    until: float
    members: tuple[DeviceId, ...] = ()
    leases: Leases | None = None


Goal = Push | Resolve | Settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """
    The fleet's timing. ``window_s`` is ``None`` where it is to be measured.

    ``clock_error_s`` is ε; ``settle_s`` how long a decision is driven before members that are
    missing are deferred; ``join_s`` how long members are waited for before PREPARE.
    """

    window_s: float | None = None
    clock_error_s: float = 0.05
    settle_s: float = 5.0
    join_s: float = JOIN_S


# --- events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Journaled:
    """
    The journal has these entries after the fold's head: ours, or somebody else's.

    ``unknown`` says that the answer of our append was lost and these were read back.
    """

    entries: tuple[Entry, ...]
    unknown: bool = False
    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLost:
    """The store stayed away: what was being appended is not known to be stored, nor not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message passed the codec, at UTC instant ``at`` (``None``: just now)."""

    message: DeviceMessage
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The transport has a session (again): retained messages may be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortAsked:
    """Our own operator or time-out asks to abort; ignored once there is a decision."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost:
    """The holder could not renew for too long and must stop itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Our operator does not want to wait: defer who has not followed soon after activation."""


Event = Journaled | StoreLost | Arrived | Connected | Tick | AbortAsked | Detach | LeaseLost


# --- output -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Append ``records`` at the head ``expected``; the answer is Journaled or StoreLost."""

    expected: Head
    records: tuple[Record, ...]

    @property
    def expected_head(self) -> int:
        """The number of the expected head: for a journal that is never rolled back."""
        return self.expected.index


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishBlob:
    """Publish this blob of ``txn``, retained."""

    txn: TxnId
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearRetained:
    """Remove the retained blobs of ``txn``, and its DECISION where nobody waits for it."""

    txn: TxnId
    digests: tuple[Digest, ...]
    decision: bool


Effect = PublishBlob | ClearRetained
CoordinatorReady = Ready[Append, Effect]
