"""
What travels between the orchestrator and the devices (DESIGN §4).

Every message is idempotent and may be lost, repeated, delayed or reordered (I18). None is
evidence by its absence. Times are seconds; ``*_at`` are instants of the orchestrator's clock
unless the field says ``device``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    Outcome,
    Timeline,
    TxnId,
    Version,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """
    What a device durably is, and what it does about it, as it tells it in HELLO and REPORT.

    ``version`` and ``digest`` are its durable version (D2), ``prepared`` the transaction it is
    in doubt about, ``pending`` whether that version still waits for its activation (D3),
    ``outcome_txn``/``outcome`` the last transaction it recorded an outcome for. ``operating``
    is the version that its controller aims with now, ``None`` while it holds; ``holds`` says
    why. ``prepared_seq``, ``prepared_plan`` and ``prepared_digest`` are those of the PREPARED
    record, ``outcome_seq`` that of the outcome: a reseed learns from them what its journal has
    lost. ``heuristic`` is the outcome on which a person lets it operate while it is in doubt.
    ``leased`` says that a lease bounds how long it operates. ``activated_at`` is the
    instant of the activation of ``version`` by the device's bounded
    clock, ``hold_s`` how long it held for that transaction, ``None`` where a restart has made it
    forget. ``staging_s`` is how long its last durable write took.
    """

    version: Version
    digest: Digest | None
    last_seq: int
    max_epoch: Epoch
    prepared: TxnId | None
    pending: bool
    outcome_txn: TxnId | None
    outcome: Outcome | None
    operating: Version | None
    holds: tuple[str, ...]
    clock_error_s: float | None
    staging_s: float
    activated_at: float | None
    hold_s: float | None
    prepared_seq: int | None = None
    prepared_plan: Digest | None = None
    prepared_digest: Digest | None = None
    outcome_seq: int | None = None
    heuristic: Outcome | None = None
    leased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """
    Device → orchestrator: here I am; answer with WELCOME.

    Sent at every connection, as the acknowledgement of FENCE, and again until answered.
    ``boot`` and ``nonce`` tie the answer to this state: a WELCOME for another one is ignored.
    ``sent_at_device_s`` is t1 of the four-timestamp exchange (RFC 5905 §8), on the device's
    own clock.
    """

    kind: Literal["hello"] = "hello"
    device: DeviceId
    boot: str
    nonce: int
    sent_at_device_s: float
    state: DeviceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """
    Device → orchestrator: the answer to PREPARE. A yes is durable before it is sent (D1).

    A no carries every reason and promises nothing (D1').
    """

    kind: Literal["vote"] = "vote"
    device: DeviceId
    txn: TxnId
    seq: int
    epoch: Epoch
    plan: Digest
    yes: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    Device → orchestrator: my durable state has changed, or I began or ceased to operate.

    Acknowledges DECISION (D2) and tells of the activation (D3). ``number`` rises by one with
    each report and HELLO of one boot: an older report that arrives later is ignored.
    """

    kind: Literal["report"] = "report"
    device: DeviceId
    boot: str
    number: int
    state: DeviceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Device → orchestrator: what was decided for ``txn``? Sent while in doubt."""

    kind: Literal["ask"] = "ask"
    device: DeviceId
    txn: TxnId
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Device → orchestrator: publish this blob of ``txn`` again, it has not reached me."""

    kind: Literal["want"] = "want"
    device: DeviceId
    txn: TxnId
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """
    Device → orchestrator, retained, and as last will: connected or not.

    A hint for people only; no rule of the protocol looks at it.
    """

    kind: Literal["presence"] = "presence"
    device: DeviceId
    online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Orchestrator → devices: refuse everything below ``epoch``. Acknowledged by HELLO."""

    kind: Literal["fence"] = "fence"
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """
    Orchestrator → one device: the answer to its HELLO.

    Echoes ``boot``, ``nonce`` and t1; ``received_at`` and ``sent_at`` are t2 and t3 on the
    orchestrator's clock. ``version``, ``digest`` (of this device's configuration) and
    ``last_seq`` are the fleet's; ``enable`` says whether a device that equals them may operate
    (false while an undecided transaction is open that the HELLO did not show, DESIGN §5).
    ``clock_error_s`` is the fleet's ε. ``lease_s`` is how long the device may operate on this
    answer, counted on its own clock from when it sent the HELLO (``sent_at_device_s``), and
    ``None`` where the fleet has no enable leases (DESIGN §5).
    """

    kind: Literal["welcome"] = "welcome"
    boot: str
    nonce: int
    sent_at_device_s: float
    received_at: float
    sent_at: float
    epoch: Epoch
    version: Version
    digest: Digest | None
    last_seq: int
    enable: bool
    clock_error_s: float
    lease_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """
    Orchestrator → devices: stage this and vote.

    Carries the plan's digest, the distinct digests and the timeline; members and the
    device-to-digest map are in the plan blob, fetched and verified before the vote.
    """

    kind: Literal["prepare"] = "prepare"
    txn: TxnId
    seq: int
    epoch: Epoch
    base_version: Version
    config: str
    plan: Digest
    digests: tuple[Digest, ...]
    timeline: Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    Orchestrator → devices, retained: what was decided. Write-once, so valid at any epoch.

    A prepared device obeys it if txn and plan fit; an ABORT raises ``last_seq`` also where
    nothing was prepared (D2).
    """

    kind: Literal["decision"] = "decision"
    txn: TxnId
    seq: int
    epoch: Epoch
    plan: Digest
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """
    Orchestrator → one device: install the fleet's version, which you missed (row K).

    ``txn`` installed ``version`` and names the blob's topic; ``activate_at`` is that version's.
    """

    kind: Literal["catch-up"] = "catch-up"
    txn: TxnId
    epoch: Epoch
    version: Version
    digest: Digest
    config: str
    last_seq: int
    activate_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heuristic:
    """
    Orchestrator → one device: a person lets you operate as if ``txn`` had this outcome.

    Only a device that is in doubt about ``txn`` takes it; it stays prepared, and obeys the
    decision when it learns it (XA's heuristic outcome, for the last resort).
    """

    kind: Literal["heuristic"] = "heuristic"
    txn: TxnId
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """
    Orchestrator → devices, retained: immutable bytes under their own digest.

    Not JSON: the payload is the bytes themselves, the digest is in the topic and is verified
    by whoever receives it.
    """

    kind: Literal["blob"] = "blob"
    txn: TxnId
    digest: Digest
    data: bytes


DeviceMessage = Hello | Vote | Report | Ask | Want | Presence
OrchestratorMessage = Fence | Welcome | Prepare | Decision | CatchUp | Heuristic | Blob
Message = DeviceMessage | OrchestratorMessage
