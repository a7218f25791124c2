"""Errors, the doctor, the broker, the demo."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.cli.documents.parts import NotePart
from orchestrator.service.parts import DigestText, ExitCode, Following, LockPart, Part, Top


class ErrorDocument(Top):
    """Why there is no result."""

    type: Literal["error"]
    exit_code: ExitCode = 1
    message: str
    next: Following = None
    notes: list[NotePart] | None = None
    mode: str | None = None


class SettingPart(Part):
    """A setting and where it came from; passwords are left out."""

    name: str
    value: str
    origin: str


class CheckPart(Part):
    """One check of the doctor."""

    name: str
    status: Literal["ok", "warning", "error"]
    text: str


class DoubtPart(Part):
    """What some device has been in doubt about for longest, since UTC in s."""

    txn: str
    seq: int
    since: float


class ExaminedDevicesPart(Part):
    """Devices by name: what those that were heard say, and what the journal has of them."""

    known: list[str]
    heard: list[str]
    prepared: list[str]
    in_doubt: list[str]
    holding: list[str]
    deferred: list[str]
    quarantined: list[str]
    oldest_doubt: DoubtPart | None


class DiagnosisPart(Part):
    """
    A fleet whose lock is held, or whose devices wait; ``next`` is the one command that helps.

    ``grace_left_s`` is when the owner counts as gone, ``release_asked_at`` UTC in s.
    """

    fleet: str
    lock: LockPart
    holder: Literal["nobody", "live", "paused", "suspect", "ghost", "ghost, proved"]
    work: Literal["nothing", "undecided", "undecided, and late", "decided", "reseed"]
    release_asked_at: float | None
    grace_left_s: float | None
    by_wall_clock: bool | None
    process: str | None
    broker: Literal["reached", "away", "gone"]
    why: Annotated[str | None, Field(description="Why the devices could not be asked.")]
    devices: ExaminedDevicesPart
    contradictions: dict[str, str]
    wrong: str
    next: str


class Doctor(Top):
    """What `aimctl doctor` found."""

    type: Literal["doctor"]
    ok: bool
    settings: list[SettingPart]
    checks: list[CheckPart]
    diagnoses: list[DiagnosisPart]
    next: Following
    exit_code: ExitCode


class Broker(Top):
    """An embedded broker that is ready."""

    type: Literal["broker"]
    url: str
    kind: Literal["mosquitto", "amqtt"]
    port: int


class BrokerConfig(Top):
    """The files for a Mosquitto."""

    type: Literal["broker-config"]
    conf: str
    acl: str


class DemoDevicePart(Part):
    """What a device runs at the end of a demo."""

    version: int | None
    digest: DigestText | None
    state: str


class Demo(Top):
    """How a demo ended; ``devices`` are those of the last run."""

    type: Literal["demo"]
    mode: Literal["push", "incident", "naive"]
    devices: dict[str, DemoDevicePart]
    activation_skew_ms: float | None
    hold_ms: float | None
    total_ms: float
    kept: bool
    runs: list[dict[str, Any]]
