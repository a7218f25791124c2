"""
What a kind of device is to the rest of the program.

A kind is one module of the package ``kinds`` with a constant ``KIND``: that is all it takes. It
brings its section of the configuration, its policy, what holding means to it and costs it, and
its own checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from orchestrator.staging.fields import Found, Strict
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightState

if TYPE_CHECKING:  # models imports the kinds
    from orchestrator.staging.models import AimFields

S = TypeVar("S", bound=Strict)
P = TypeVar("P", bound=Policy)

LAST: Final = 100
"""The rank of a kind that does not mind where it stands in lists."""


class HoldAction(StrEnum):
    """What the controller of a held device does. Flying and safety always win over it."""

    FREEZE_AIM = "freeze-aim"
    PAUSE_MOTION = "pause-motion"
    THROTTLE = "throttle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    The order to hold, for a controller. ``words`` say it to a person: "hovers and ...".

    ``settings`` are numbers that the action needs, by name with the unit last.
    """

    action: HoldAction
    words: str
    settings: Mapping[str, float] = field(default_factory=dict)


class Resource(StrEnum):
    """What holding is taken from."""

    BATTERY = "battery"
    TIME = "time"
    WORK = "work"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCost:
    """
    What one hold takes: ``amount`` in ``unit`` from ``taken_from``, at ``power_w`` watts.

    ``power_w`` is ``None`` where the power does not depend on holding.
    """

    taken_from: Resource
    amount: float
    unit: str
    power_w: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind(ABC, Generic[S, P]):
    """
    One kind. ``name`` is that of its section, of its policy and of its module.

    Kinds of a lower ``rank`` come first in lists; the lowest is meant where nothing says a kind.
    """

    name: str
    about: str
    section: type[S]
    policy: type[P]
    rank: int = LAST

    @abstractmethod
    def hold(self, own: S) -> Hold:
        """Return what the controller is told when the device holds."""

    @abstractmethod
    def cost(self, own: S, policy: P, hold_s: float, state: FlightState | None = None) -> HoldCost:
        """Return what a hold of ``hold_s`` costs; measured values of ``state`` come first."""

    def rules(self, config: AimFields, own: S) -> Iterable[Found]:
        """Return what refuses the configuration, by the key path in it."""
        del config, own
        return ()

    def cautions(self, config: AimFields, own: S, policy: P, freeze_s: float) -> Iterable[Found]:
        """
        Return what is allowed and unwise, for the linter, by the key path in the configuration.

        ``freeze_s`` is how long a healthy push lets the device hold: 2 ε.
        """
        del config, own, policy, freeze_s
        return ()

    def policy_rules(self, policy: P) -> Iterable[Found]:
        """Return what refuses the policy, by the key path in it."""
        del policy
        return ()

    def refusals(self, policy: P, state: FlightState) -> Iterable[str]:
        """Return this kind's own reasons to vote no in this state."""
        del policy, state
        return ()

    def unsafe(self, policy: P, state: FlightState) -> str | None:
        """Return this kind's own reason not to begin with a new version in this state."""
        del policy, state
        return None
