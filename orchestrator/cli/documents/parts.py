"""What several documents have in common."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

_STATES: Final = (
    "What it is doing, by its own last word: unknown, offline, empty, prepared, in-doubt,"
    " committed, holding or active."
)
StateWord = Literal[
    "unknown", "offline", "empty", "prepared", "in-doubt", "committed", "holding", "active"
]
State = Annotated[StateWord, Field(description=_STATES)]
Decision = Annotated[
    Literal["commit", "abort"] | None, Field(description="null while nothing is decided")
]
DigestText = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
ExitCode = Annotated[int, Field(ge=0, le=255, description="The exit code of this very command.")]
Following = Annotated[str | None, Field(description="What to run next, for a person.")]


class Part(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_alias=True, serialize_by_alias=True
    )


class Top(Part):
    """A document."""

    schema_version: Literal[1] = Field(default=1, alias="schema")


class OwnerPart(Part):
    """Who holds a lock, with the kernel's evidence of the process."""

    user: str
    host: str
    machine_id: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int
    program: str


class LivenessPart(Part):
    """Whether an owner lives, and how that is known."""

    verdict: Literal["live", "suspect", "ghost"]
    proved: bool
    evidence: list[str]


class TxnPart(Part):
    """A transaction as the journal has it; times are UTC in s."""

    txn: str
    seq: int
    epoch: int
    config: str
    base_version: int
    digest: DigestText
    members: int
    begun_at: float
    decision: Decision
    cause: str | None
    refused: dict[str, list[str]]
    decided_at: float | None
    ended_at: float | None
    deferred: list[str]


class LockPart(Part):
    """A fleet's lock; ``since`` is UTC in s."""

    id: str
    fleet: str
    config: str
    state: Literal["free", "held", "resolving"]
    owner: OwnerPart | None
    epoch: int
    purpose: str
    reason: str | None
    since: float | None
    renewed_ago_s: float | None
    expires_in_s: float | None
    liveness: LivenessPart | None
    txn: TxnPart | None
    waiters: list[OwnerPart]


class EntryPart(Part):
    """One journal record; ``at`` is UTC in s."""

    index: int
    at: float
    time: str
    kind: str
    txn: str | None
    seq: int | None
    text: str


class NotePart(Part):
    """One finding of the linter."""

    file: str
    line: int | None
    key: str
    severity: Literal["error", "warning", "info"]
    component: str
    message: str
    fix: str | None
