"""Documents about single devices, and what people say of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.cli.documents.fleets import DevicePart
from orchestrator.service.parts import Decision, DigestText, ExitCode, Following, Part, State, Top


class KindPart(DevicePart):
    """One device; ``kind`` is null where no file of its fleet stands where it is looked for."""

    kind: str | None


class FleetDevicesPart(Part):
    """The devices of one fleet."""

    fleet: str
    version: int
    enable_lease_s: float | None
    devices: dict[str, KindPart]
    exceptions: list[str]
    asked: bool
    why: str | None


class Devices(Top):
    """Every device that the store, or the fleet's file, knows."""

    type: Literal["devices"]
    fleets: list[FleetDevicesPart]


class AwaitedPart(Part):
    """A decision that a device has still to follow."""

    txn: str
    seq: int
    decision: Decision


class SaidPart(Part):
    """What a person said of a device; ``at`` is UTC in s."""

    by: str
    reason: str
    at: float | None


class HeuristicPart(SaidPart):
    """A person's word on which a device may operate, and how it agrees with the journal."""

    txn: str
    outcome: Literal["commit", "abort"]
    agreement: str | None


class WordPart(Part):
    """What a device durably is, by its own last word."""

    version: int
    digest: DigestText | None
    operating: int | None
    holds: list[str]
    last_seq: int
    max_epoch: str
    prepared: str | None
    prepared_seq: int | None
    pending: bool
    outcome_txn: str | None
    outcome: Decision
    heuristic: Decision
    clock_error_ms: float | None


class DeviceDocument(Top):
    """All that is known of one device; times are UTC in s."""

    type: Literal["device"]
    fleet: str
    device: str
    kind: str | None
    fleet_version: int
    member: bool
    excused: bool
    digest: DigestText | None
    deferred: list[AwaitedPart]
    quarantined: bool
    quarantined_since: float | None
    enable_lease_s: float | None
    horizon: Annotated[
        float | None, Field(description="No enable lease of it runs beyond this instant.")
    ]
    retired: SaidPart | None
    heuristic: HeuristicPart | None
    contradiction: str | None
    asked: bool
    why: str | None
    state: State
    online: bool | None
    heard_at: float | None
    word: WordPart | None
    next: Following


class SaidBody(Part):
    """What came of a person's word for a device."""

    fleet: str
    device: str
    dry_run: bool
    message: str
    next: Following
    exit_code: ExitCode


class Retire(SaidBody, Top):
    """A device is out of its fleet for good or, with ``dry_run``, would be."""

    type: Literal["retire"]


class Decide(SaidBody, Top):
    """A device in doubt operates on a person's word or, with ``dry_run``, would."""

    type: Literal["decide"]
    txn: str
    outcome: Literal["commit", "abort"]
    obeyed: Annotated[bool, Field(description="Whether it was heard to act on it.")]


class Settle(SaidBody, Top):
    """A person has looked at a device that operated on somebody's word."""

    type: Literal["settle"]
