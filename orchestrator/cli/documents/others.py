"""Errors, the doctor, the broker, the demo."""

from __future__ import annotations

from typing import Any, Literal

from orchestrator.cli.documents.parts import (
    DigestText,
    ExitCode,
    Following,
    NotePart,
    Part,
    Top,
)


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


class Doctor(Top):
    """What `aimctl doctor` found."""

    type: Literal["doctor"]
    ok: bool
    settings: list[SettingPart]
    checks: list[CheckPart]
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
