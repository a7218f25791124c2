"""
What the documents of both faces have in common: models of a lock and of a transaction.

``results`` makes the facts; what is printed or answered passes through these, so a command and the
HTTP API say the same in the same words.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.protocol.records import Answer

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
ExitCode = Annotated[
    int,
    Field(
        ge=0,
        le=255,
        description="The exit code of this command, or of the one that does the same.",
    ),
]
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
    quarantined: list[str]


class WaiterPart(Part):
    """One who waits for a lock, since UTC in s; the first in the list is next."""

    ticket: str
    owner: OwnerPart
    purpose: str
    since: float
    liveness: LivenessPart


class RequestPart(Part):
    """Somebody has asked the owner to let go; ``answer`` is null while it has not answered."""

    by: str
    reason: str
    answer: Annotated[
        Answer | None,
        Field(description="It releases, aborts first, or finishes first."),
    ]


class LockPart(Part):
    """A fleet's lock; ``since`` is UTC in s. ``reseeding``: not all devices are heard yet."""

    id: str
    fleet: str
    config: str
    state: Literal["free", "held", "resolving"]
    owner: OwnerPart | None
    epoch: int
    incarnation: int
    purpose: str
    reason: str | None
    since: float | None
    renewed_ago_s: float | None
    expires_in_s: float | None
    liveness: LivenessPart | None
    txn: TxnPart | None
    waiters: list[WaiterPart]
    release_requested: RequestPart | None
    reseeding: bool
