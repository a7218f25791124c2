"""Documents about fleets and their transactions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.cli.documents.parts import EntryPart
from orchestrator.service.parts import (
    Decision,
    DigestText,
    ExitCode,
    Following,
    LockPart,
    Part,
    State,
    Top,
    TxnPart,
)


class PushedPart(Part):
    """One member's part in a push."""

    vote: Literal["yes", "no"] | None
    reasons: list[str]
    state: State
    version: int | None
    hold_ms: float | None


class PushDocument(Top):
    """How a push ended."""

    type: Literal["push"]
    fleet: str
    txn: str | None
    seq: int | None
    epoch: int | None
    decision: Decision
    base_version: int
    version: int
    digest: DigestText
    reasons: list[str]
    devices: dict[str, PushedPart]
    deferred: list[str]
    timing_ms: dict[str, float]
    activation_skew_ms: float | None
    message: str
    next: Following
    exit_code: ExitCode


class ProgressDocument(Top):
    """How far a push is; printed with --output jsonl before its result."""

    type: Literal["progress"]
    fleet: str
    txn: str | None
    seq: int | None
    epoch: int | None
    phase: str | None
    members: int
    votes: int
    decision: Decision
    active: int


class DevicePart(Part):
    """
    One device: its own word, and what the journal has of it; ``heard_at`` is UTC in s.

    ``heuristic`` says how a person's word for it agrees with what was decided.
    """

    state: State
    version: int | None
    digest: DigestText | None
    online: bool | None
    operating: int | None
    holds: list[str]
    clock_error_ms: float | None
    heard_at: float | None
    deferred: bool
    quarantined: bool
    retired: bool
    heuristic: str | None


class StatusBody(Part):
    """A fleet: the journal's facts, and the devices' words where they could be asked."""

    type: Literal["status"]
    fleet: str
    version: int
    digest: DigestText | None
    lock: LockPart
    txn: TxnPart | None
    devices: dict[str, DevicePart]
    split: bool
    exceptions: list[str]
    asked: bool
    why: str | None
    enable_lease_s: Annotated[
        float | None,
        Field(description="How long an enable lease is; null without: see `exceptions`."),
    ]
    heuristics: Annotated[
        dict[str, str],
        Field(description="Devices that operate, or have operated, on a person's word."),
    ]
    contradictions: Annotated[
        dict[str, str],
        Field(description="What a device knows that the journal lacks: it was rolled back."),
    ]


class Status(StatusBody, Top):
    """What `aimctl status` says of one fleet."""


class Statuses(Top):
    """What `aimctl status` says where the store has no fleet, or several."""

    type: Literal["statuses"]
    fleets: list[StatusBody]


class StoryPart(Part):
    """The journal of one fleet."""

    fleet: str
    entries: list[EntryPart]


class History(Top):
    """The journals, oldest record first."""

    type: Literal["history"]
    fleets: list[StoryPart]


class Show(Top):
    """One transaction."""

    type: Literal["show"]
    fleet: str
    txn: str
    seq: int
    epoch: int
    config: str
    base_version: int
    digest: DigestText
    begun_at: float
    decision: Decision
    cause: str | None
    refused: dict[str, list[str]]
    decided_at: float | None
    ended_at: float | None
    deferred: list[str]
    quarantined: list[str]
    devices: dict[str, DigestText]
    excused: list[str]
    entries: list[EntryPart]


class Abort(Top):
    """What became of a request to abort."""

    type: Literal["abort"]
    fleet: str
    txn: TxnPart
    decision: Decision
    message: str
    next: Following
    exit_code: ExitCode
