"""Documents about locks, and the ways out."""

from __future__ import annotations

from typing import Literal

from orchestrator.cli.documents.parts import (
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


class LockDocument(LockPart, Top):
    """One lock."""

    type: Literal["lock"]


class ResolutionBody(Part):
    """What became of a fleet's lock and open transaction; ``lock`` is as it was found."""

    fleet: str
    lock: LockPart
    action: str
    txn: TxnPart | None
    decision: Decision
    deferred: list[str]
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


class ForceUnlock(ResolutionBody, Top):
    """What a forced unlock did or, with ``dry_run``, would do."""

    type: Literal["force-unlock"]
    dry_run: bool
    votes: int | None = None
    in_doubt: tuple[str, ...] = ()
    asked: bool = True


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
