"""
The link port: MAVLink as this program needs it, and nothing of any library.

Messages are values of our own; an adapter turns them into packets and back. A link is lossy,
duplicating and reordering, as a telemetry radio is: whoever needs an answer asks again.

Sources: https://mavlink.io/en/messages/common.html, the parameter protocol
(https://mavlink.io/en/services/parameter.html), the command protocol (services/command.html)
and the gimbal protocol v2 (services/gimbal_v2.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

AUTOPILOT: Final = 1
"""MAV_COMP_ID_AUTOPILOT1."""

ONBOARD_COMPUTER: Final = 191
"""MAV_COMP_ID_ONBOARD_COMPUTER: what an agent beside an autopilot is."""

EVERYBODY: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A component of a system; 0 stands for all."""

    system: int
    component: int


class Verb(IntEnum):
    """The commands (MAV_CMD) that are used here."""

    REQUEST_MESSAGE = 512
    GIMBAL_PITCHYAW = 1000
    GIMBAL_CONFIGURE = 1001


class Result(IntEnum):
    """MAV_RESULT: how a component answers a command."""

    ACCEPTED = 0
    TEMPORARILY_REJECTED = 1
    DENIED = 2
    UNSUPPORTED = 3
    FAILED = 4
    IN_PROGRESS = 5
    CANCELLED = 6


class Landed(IntEnum):
    """MAV_LANDED_STATE."""

    UNDEFINED = 0
    ON_GROUND = 1
    IN_AIR = 2
    TAKING_OFF = 3
    LANDING = 4


# --- what an autopilot says -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """
    It lives. ``autopilot`` is MAV_AUTOPILOT: 3 ArduPilot, 12 PX4, 8 for none.

    ``failsafe`` where its MAV_STATE is critical, emergency or flight termination.
    """

    source: Address
    autopilot: int
    armed: bool
    failsafe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamValue:
    """The value of a parameter: the four bytes of the field, and MAV_PARAM_TYPE."""

    source: Address
    name: str
    type: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The answer to a command."""

    source: Address
    command: int
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GimbalRange:
    """
    The hardware limits of a gimbal in degrees; NaN where it does not say.

    ``device`` where the gimbal says it itself (GIMBAL_DEVICE_INFORMATION), else its manager.
    """

    source: Address
    device: bool
    roll: tuple[float, float]
    pitch: tuple[float, float]
    yaw: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class GimbalControl:
    """Who is in primary control of the gimbal; system 0 for nobody."""

    source: Address
    primary: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Flying:
    """EXTENDED_SYS_STATE."""

    source: Address
    landed: Landed


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The charge of a battery in per cent; ``battery`` is its number, ``None`` for the sum."""

    source: Address
    battery: int | None
    percent: float


Incoming = Heartbeat | ParamValue | Ack | GimbalRange | GimbalControl | Flying | Charge


# --- what is said to it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """Our own heartbeat: MAV_TYPE_ONBOARD_CONTROLLER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadParam:
    """Ask for one parameter by its name."""

    to: Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteParam:
    """Set one parameter."""

    to: Address
    name: str
    type: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command with its seven ``values``; ``again`` counts how often it was sent before."""

    to: Address
    verb: Verb
    values: tuple[float, ...]
    again: int = 0


Outgoing = Alive | ReadParam | WriteParam | Command


class Link(Protocol):
    """An open link. What is sent may be lost; what is received has passed its checksum."""

    def send(self, message: Outgoing, source: Address) -> None:
        """Hand a message over. Never blocks, never raises."""
        ...

    async def receive(self) -> Incoming:
        """Return what arrives next, of any system."""
        ...
