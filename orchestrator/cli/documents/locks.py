"""Documents about locks, and the ways out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.cli.documents.parts import EntryPart
from orchestrator.service.parts import (
    Decision,
    ExitCode,
    Following,
    LockPart,
    Part,
    State,
    Top,
    TxnPart,
)


class Locks(Top):
    """Every lock of the store."""

    type: Literal["locks"]
    locks: list[LockPart]


class StoryLinePart(EntryPart):
    """One journal record about a lock, and who did it."""

    who: str | None


class WayPart(Part):
    """A way out of a held lock, and what it would do right now."""

    name: Literal["release", "request-release", "recover", "force-unlock", "break-glass"]
    command: str
    would: str


class LockDocument(LockPart, Top):
    """
    One lock, its history and the ways out.

    With a lock id ``history`` is that of the holding that ``holding`` names, which may be over;
    the rest is the lock as it is now.
    """

    type: Literal["lock"]
    holding: str | None
    history: list[StoryLinePart]
    ways: list[WayPart]
    exit_code: ExitCode


class Waiting(Top):
    """Somebody stands before us; printed with --output jsonl before the result."""

    type: Literal["waiting"]
    fleet: str
    lock: LockPart
    before: Annotated[
        int | None, Field(description="How many stand before us in the line; the owner beside.")
    ]


class VerbBody(Part):
    """What a verb did to a lock or, with ``dry_run``, would do; ``lock`` is as it was found."""

    fleet: str
    lock: LockPart
    dry_run: bool
    action: str
    txn: TxnPart | None
    decision: Decision
    votes: int | None = None
    in_doubt: tuple[str, ...] = ()
    devices: dict[str, State] = Field(default_factory=dict)
    asked: bool = True
    message: str
    next: Following
    exit_code: ExitCode


class Release(VerbBody, Top):
    """What became of a lock that its owner gives back."""

    type: Literal["release"]


class RequestRelease(VerbBody, Top):
    """What a holder answered to a request, and whether its lock is free."""

    type: Literal["request-release"]
    answer: Literal["release", "abort", "finish"] | None
    free: bool


class LockRun(Top):
    """How a command ended that ran under a lock: its own exit code is ``code``."""

    type: Literal["lock-run"]
    fleet: str
    id: str
    epoch: int
    incarnation: int
    purpose: str
    code: int | None
    given_back: bool
    message: str
    next: Following
    exit_code: ExitCode


class ResolutionBody(Part):
    """What became of a fleet's lock and open transaction; ``lock`` is as it was found."""

    fleet: str
    lock: LockPart
    action: str
    txn: TxnPart | None
    decision: Decision
    deferred: list[str]
    quarantined: list[str]
    devices: dict[str, State]
    timing_ms: dict[str, float]
    message: str
    next: Following
    exit_code: ExitCode


class RecoveryBody(ResolutionBody):
    """What `aimctl recover` did for a fleet."""

    type: Literal["recover"]


class Recover(RecoveryBody, Top):
    """What `aimctl recover` did for one fleet."""


class ForcedBody(ResolutionBody):
    """What becomes of a lock that is taken from somebody; ``asked``: the devices could be."""

    dry_run: bool
    votes: int | None = None
    in_doubt: tuple[str, ...] = ()
    asked: bool = True


class ForceUnlock(ForcedBody, Top):
    """What a forced unlock did or, with ``dry_run``, would do."""

    type: Literal["force-unlock"]


class BreakGlass(ForcedBody, Top):
    """What break-glass did or would do; ``quarantined`` names every unresolved device."""

    type: Literal["break-glass"]


class HeardPart(Part):
    """What a device durably knows, by its own word."""

    version: int
    last_seq: int
    max_epoch: str
    prepared: str | None
    outcome_txn: str | None
    outcome: Decision
    operating: int | None


class Reseed(ResolutionBody, Top):
    """What a reseed did or, with ``dry_run``, would do, and what each device says."""

    type: Literal["reseed"]
    dry_run: bool
    needed: bool = True
    contradictions: dict[str, str] = Field(default_factory=dict)
    heard: dict[str, HeardPart] = Field(default_factory=dict)
    unheard: tuple[str, ...] = ()
    under_way: bool = False


class HotBody(Part):
    """The lock is held by somebody else."""

    type: Literal["hot"]
    config: str
    lock: LockPart
    next: Following
    recover: str | None = None
    exit_code: ExitCode


class Hot(HotBody, Top):
    """The lock is held by somebody else: nothing was begun."""


class HotFleet(HotBody):
    """A fleet that was left alone by `aimctl recover`, since its lock's owner lives."""

    fleet: str


class ErrorFleet(Part):
    """A fleet that could not be recovered."""

    type: Literal["error"]
    fleet: str
    message: str
    exit_code: ExitCode


class Recoveries(Top):
    """What `aimctl recover` did where the store has no fleet, or several."""

    type: Literal["recoveries"]
    fleets: list[RecoveryBody | HotFleet | ErrorFleet]
    exit_code: ExitCode
