"""
What is answered: models from which the OpenAPI document is made.

``locks``, ``lock``, ``hot``, ``force-unlock`` and ``error`` are the documents that the commands
print with ``--output json``. A client must ignore keys that it does not know: documents grow.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from orchestrator.protocol.records import Answer
from orchestrator.service.parts import (
    Decision,
    ExitCode,
    Following,
    LockPart,
    Part,
    RequestPart,
    StateWord,
    Top,
    TxnPart,
)

Instant = Annotated[float, Field(description="UTC in s.")]
LockIdText = Annotated[str, Field(examples=["hazard-12@41"])]


class LocksDocument(Top):
    """Every lock of the store."""

    type: Literal["locks"] = "locks"
    locks: list[LockPart]


class LockDocument(LockPart, Top):
    """One lock. ``head`` is where its journal ends: watch from there."""

    type: Literal["lock"] = "lock"
    head: int


class HotDocument(Top):
    """The lock is somebody else's: who has it, do they live, and the ways out."""

    type: Literal["hot"]
    config: str
    lock: LockPart
    next: Following
    recover: str | None = None
    exit_code: ExitCode


# --- holding ----------------------------------------------------------------------------------


class AcquiredDocument(Top):
    """
    The lock is yours under ``epoch``: send it along with whatever you write, as a fencing token.

    Renew every ``renew_every_s``. After ``stop_after_s`` without a renewal that succeeded, by
    your own monotonic clock, stop: somebody else may soon have the lock.
    """

    type: Literal["acquired"] = "acquired"
    lock_id: LockIdText
    fleet: str
    epoch: int
    incarnation: int
    ttl_s: float
    renew_every_s: float
    stop_after_s: float


class RenewedDocument(Top):
    """The lease is renewed; ``release_requested`` is what somebody asks of you."""

    type: Literal["renewed"] = "renewed"
    lock_id: LockIdText
    ttl_s: float
    renew_every_s: float
    release_requested: RequestPart | None


class ReleasedDocument(Top):
    """The lock is free, at a higher epoch."""

    type: Literal["released"] = "released"
    fleet: str
    epoch: int
    incarnation: int


class AskedDocument(Top):
    """What came of a request for release."""

    type: Literal["release-requested"] = "release-requested"
    lock_id: LockIdText
    answer: Answer | None = Field(
        description="What the holder has answered; null where it has not yet."
    )
    free: bool = Field(description="Whether the lock is its no longer.")


class ForceUnlockDocument(Top):
    """What a forced unlock did or, with ``dry_run``, would do; ``lock`` is as it was found."""

    type: Literal["force-unlock"]
    dry_run: bool
    fleet: str
    lock: LockPart
    action: str
    txn: TxnPart | None
    decision: Decision
    votes: int | None = None
    in_doubt: tuple[str, ...] = ()
    deferred: list[str]
    quarantined: tuple[str, ...] = ()
    devices: dict[str, StateWord]
    asked: bool = True
    timing_ms: dict[str, float]
    message: str
    next: Following
    exit_code: ExitCode


# --- the journal ------------------------------------------------------------------------------


class EntryPart(Part):
    """One journal record."""

    index: int
    at: Instant
    kind: str
    txn: str | None
    seq: int | None
    text: str


class JournalDocument(Top):
    """A part of a fleet's journal, oldest record first; ``more`` says that it goes on."""

    type: Literal["journal"] = "journal"
    fleet: str
    head: int
    entries: list[EntryPart]
    more: bool


class WatchDocument(Top):
    """What is new after the head that was known, and the lock as it is now."""

    type: Literal["watch"] = "watch"
    fleet: str
    head: int = Field(description="Give it as `after` next time.")
    entries: list[EntryPart]
    more: bool = Field(description="Whether there is more already: ask again at once.")
    lock: LockPart


# --- errors and health ------------------------------------------------------------------------


class ErrorDocument(Top):
    """Why there is no result. ``code`` is for programs, ``message`` for people."""

    type: Literal["error"] = "error"
    code: str = Field(examples=["fenced"])
    message: str
    next: Following = None
    exit_code: ExitCode


HotOrError = HotDocument | ErrorDocument
"""Why a lock can't be had or freed now; the queue may also be full."""


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Whether store and broker can be reached; ``reasons`` by what is missing."""

    status: Literal["ready", "not ready"]
    reasons: dict[str, str] = {}
