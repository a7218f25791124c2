"""
What the use cases return: frozen facts, from which the faces make text or JSON.

Each ``document`` is what INTERFACE promises for ``--output json``, without the schema number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.errors import Exit
from orchestrator.locksmith.liveness import Liveness
from orchestrator.protocol.device import Holding
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import Lock, Txn, Waiter
from orchestrator.protocol.types import DeviceId, Digest, FleetId, Outcome, Owner, TxnId, Version


class DeviceWord(StrEnum):
    """What a device is doing, in one word, by its own last report (I29)."""

    UNKNOWN = "unknown"
    OFFLINE = "offline"
    EMPTY = "empty"
    PREPARED = "prepared"
    IN_DOUBT = "in-doubt"
    COMMITTED = "committed"
    HOLDING = "holding"
    ACTIVE = "active"


def device_word(evidence: Evidence) -> DeviceWord:
    """Name the state that ``evidence`` shows."""
    told = evidence.state
    if told is None:
        return DeviceWord.OFFLINE if evidence.online is False else DeviceWord.UNKNOWN
    if told.prepared is not None:
        doubt = Holding.DOUBT.value in told.holds
        return DeviceWord.IN_DOUBT if doubt else DeviceWord.PREPARED
    if told.pending:
        return DeviceWord.COMMITTED
    if told.version == 0:
        return DeviceWord.EMPTY
    return DeviceWord.HOLDING if told.operating is None else DeviceWord.ACTIVE


def word_since(evidence: Evidence, txn: Txn | None) -> DeviceWord:
    """Name the state if the device was heard since ``txn`` was decided; else it is unknown."""
    if txn is None:
        return device_word(evidence)
    since = txn.begun_at if txn.decided_at is None else txn.decided_at
    if evidence.at is not None and evidence.at < since:
        return DeviceWord.OFFLINE if evidence.online is False else DeviceWord.UNKNOWN
    return device_word(evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedDevice:
    """One member's part in a push. ``hold_ms`` and ``version`` are ``None`` where unknown."""

    vote: str | None
    reasons: tuple[str, ...]
    state: DeviceWord
    version: Version | None
    hold_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """How a push ended. ``decision`` is ``None`` where nothing was begun or nothing is known."""

    fleet: FleetId
    txn: TxnId | None
    seq: int | None
    epoch: int | None
    decision: Outcome | None
    base_version: Version
    version: Version
    digest: Digest
    reasons: tuple[str, ...] = ()
    devices: Mapping[DeviceId, PushedDevice] = field(default_factory=dict)
    deferred: tuple[DeviceId, ...] = ()
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    activation_skew_ms: float | None = None
    exit_code: Exit = Exit.DONE
    message: str = ""
    next_command: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the ``push`` document."""
        return {
            "type": "push",
            "fleet": self.fleet,
            "txn": self.txn,
            "seq": self.seq,
            "epoch": self.epoch,
            "decision": self.decision,
            "base_version": self.base_version,
            "version": self.version,
            "digest": self.digest,
            "reasons": list(self.reasons),
            "devices": {
                device: {
                    "vote": part.vote,
                    "reasons": list(part.reasons),
                    "state": part.state,
                    "version": part.version,
                    "hold_ms": part.hold_ms,
                }
                for device, part in self.devices.items()
            },
            "deferred": list(self.deferred),
            "timing_ms": dict(self.timing_ms),
            "activation_skew_ms": self.activation_skew_ms,
            "message": self.message,
            "next": self.next_command,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiterView:
    """One who waits for a lock, and whether they live."""

    waiter: Waiter
    liveness: Liveness

    def document(self) -> dict[str, Any]:
        """Return one element of ``waiters``."""
        waiter = self.waiter
        return {
            "ticket": waiter.ticket,
            "owner": owner_document(waiter.owner),
            "purpose": waiter.purpose,
            "since": waiter.since,
            "liveness": _liveness_document(self.liveness),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LockView:
    """
    A fleet's lock, its owner's liveness, who waits for it, and the transaction in flight.

    ``reseeding`` says that a reseed has not heard all devices yet.
    """

    fleet: FleetId
    config: str
    lock: Lock
    liveness: Liveness | None
    txn: Txn | None
    votes: int | None = None
    waiters: tuple[WaiterView, ...] = ()
    reseeding: bool = False

    @property
    def id(self) -> str:
        """The lock id that force-unlock takes."""
        return f"{self.fleet}@{self.lock.epoch}"

    def document(self) -> dict[str, Any]:
        """Return one element of ``locks``."""
        owner, live = self.lock.owner, self.liveness
        return {
            "id": self.id,
            "fleet": self.fleet,
            "config": self.config,
            "state": self.lock.state,
            "owner": None if owner is None else owner_document(owner),
            "epoch": self.lock.epoch.number,
            "incarnation": self.lock.epoch.incarnation,
            "purpose": self.lock.purpose,
            "reason": self.lock.reason,
            "since": self.lock.since or None,
            "renewed_ago_s": None if live is None else live.renewed_ago_s,
            "expires_in_s": None if live is None else live.expires_in_s,
            "liveness": None if live is None else _liveness_document(live),
            "txn": None if self.txn is None else txn_document(self.txn),
            "waiters": [one.document() for one in self.waiters],
            "release_requested": _request_document(self.lock),
            "reseeding": self.reseeding,
        }


def owner_document(owner: Owner) -> dict[str, Any]:
    """Return who somebody is, with the kernel's evidence."""
    return {name: getattr(owner, name) for name in owner.__slots__}


def _liveness_document(live: Liveness) -> dict[str, Any]:
    return {"verdict": live.verdict, "proved": live.proved, "evidence": list(live.evidence)}


def _request_document(lock: Lock) -> dict[str, Any] | None:
    asked, answered = lock.release_requested, lock.release_answered
    if asked is None:
        return None
    answer = None if answered is None else answered.answer
    return {"by": str(asked.by), "reason": asked.reason, "answer": answer}


def txn_document(txn: Txn) -> dict[str, Any]:
    """Return a transaction as the journal has it, without its device map."""
    begun = txn.begun
    return {
        "txn": begun.txn,
        "seq": begun.seq,
        "epoch": begun.epoch.number,
        "config": begun.config,
        "base_version": begun.base_version,
        "digest": begun.bundle,
        "members": len(begun.digests),
        "begun_at": txn.begun_at,
        "decision": txn.outcome,
        "cause": None if txn.decided is None else txn.decided.cause,
        "refused": {}
        if txn.decided is None
        else {device: list(why) for device, why in txn.decided.refused.items()},
        "decided_at": txn.decided_at,
        "ended_at": txn.ended_at,
        "deferred": [] if txn.ended is None else list(txn.ended.deferred),
        "quarantined": [] if txn.ended is None else list(txn.ended.quarantined),
    }
