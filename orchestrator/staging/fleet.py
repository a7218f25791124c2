"""What a fleet file says: the devices, their gimbals, the policies, the timing of a push."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, create_model, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.protocol.types import FLEET_DEVICES_MAX, ID_PATTERN
from orchestrator.staging.fields import Found, Strict, number, refuse_found
from orchestrator.staging.kinds import KINDS, REGISTRY
from orchestrator.staging.models import Kind, Mode
from orchestrator.staging.plant import AXES, PlantTable, plant_problems
from orchestrator.staging.policy import Policy

CONFIG_NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_-]{1,16}){0,4}"
"""A file name without surprises: no separator, no leading or trailing dot, no blank."""

_URL: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,200}/?")

GIMBALS_MAX: Final = 64
GROUPS_MAX: Final = 16

LEASE_MIN_S: Final = 2.0
"""Below this, one lost answer or a busy link makes a healthy fleet hold."""

LEASE_MAX_S: Final = 3600.0

Id = Annotated[str, Field(pattern=rf"^{ID_PATTERN}$")]


class Stops(Strict):
    """The mechanical stops of one axis, as MAVLink's GIMBAL_DEVICE_INFORMATION tells them."""

    min_deg: float = number(
        ...,
        -720,
        720,
        unit="deg",
        what="Stop on the negative side.",
        source="MAVLink GIMBAL_DEVICE_INFORMATION",
    )
    max_deg: float = number(
        ...,
        -720,
        720,
        unit="deg",
        what="Stop on the positive side.",
        source="MAVLink GIMBAL_DEVICE_INFORMATION",
    )


class GimbalProfile(Strict):
    """
    What a gimbal can do. A configuration must stay inside it.

    An axis that is missing does not exist in the hardware. ``modes`` are the stabilisation modes
    that its firmware supports.
    """

    name: Id = Field(description="The profile's name; a fleet file gives it as the table's name.")
    yaw: Stops | None = None
    pitch: Stops | None = None
    roll: Stops | None = None
    rate_max_deg_s: float = number(
        ...,
        1,
        720,
        unit="deg/s",
        what="Fastest slew of any axis.",
        source="the maker's data sheet",
    )
    accel_max_deg_s2: float = number(
        ...,
        10,
        20_000,
        unit="deg/s²",
        what="Largest acceleration of any axis.",
        source="the maker's data sheet",
    )
    torque_peak_nm: float = number(
        ..., 0.01, 50, unit="N m", what="Peak torque of a motor.", source="the maker's data sheet"
    )
    modes: Annotated[tuple[Mode, ...], Field(strict=False, min_length=1, max_length=3)] = Field(
        description="Stabilisation modes that the firmware supports. Unit: none. "
        "Source: MAVLink GIMBAL_DEVICE_CAP_FLAGS.",
    )
    plant: PlantTable | None = Field(
        default=None, description="Its physics; without it the loops' stability is not judged."
    )

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that the hardware has."""
        return tuple(axis for axis in AXES if getattr(self, axis) is not None)


class Timing(Strict):
    """The timeline of a push. What is left out is measured."""

    window_s: float | None = number(
        None, 0.05, 3600, unit="s", what="Time to vote; measured unless given."
    )
    clock_error_ms: float = number(
        50, 1, 10_000, unit="ms", what="The bound that every device's clock error must keep (ε)."
    )
    settle_s: float = number(
        5, 0.1, 3600, unit="s", what="Time after which a silent device is deferred."
    )
    enable_lease: float | Literal["none"] = Field(
        default="none",
        description="How long a device may operate on one answer, or none. A device that hears"
        " nothing for so long holds: this is the fleet's hover budget for losing the broker."
        f" Unit: s. Range: {LEASE_MIN_S:g} to {LEASE_MAX_S:g}, or 'none'. Source: this project.",
    )

    @field_validator("enable_lease", mode="before")
    @classmethod
    def _is_a_lease(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value == "none" or (number and LEASE_MIN_S <= value <= LEASE_MAX_S):
            return value
        raise PydanticCustomError(
            "enable_lease",
            'must be "none", or {low} to {high} seconds',
            {"low": f"{LEASE_MIN_S:g}", "high": f"{LEASE_MAX_S:g}"},
        )

    @property
    def lease_s(self) -> float | None:
        """How long an enable lease is, in s; ``None`` without."""
        return None if self.enable_lease == "none" else float(self.enable_lease)


class Device(Strict):
    """One member of the fleet."""

    id: Id = Field(description="Unique in the fleet; part of MQTT topics and of file names.")
    kind: Kind = Field(description=f"What it is: {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    gimbal: Id | None = Field(
        default=None, description="Name of its [gimbal.<name>]; without it nothing is checked."
    )
    groups: Annotated[tuple[Id, ...], Field(strict=False, max_length=GROUPS_MAX)] = Field(
        default=(), description="Overlays that apply to it, in this order."
    )


def _policies() -> type[Strict]:
    """Make the table of policies: one for each kind in the registry, by the kind's name."""
    tables: dict[str, Any] = {
        name: (kind.policy | None, Field(default=None, description=f"For {kind.about}."))
        for name, kind in REGISTRY.items()
    }
    doc = (
        "What the devices of each kind may vote yes to; a kind that is left out has the defaults."
    )
    return create_model("Policies", __base__=Strict, __module__=__name__, __doc__=doc, **tables)


if TYPE_CHECKING:

    class Policies(Strict):
        """What the devices of each kind may vote yes to."""

else:
    Policies = _policies()


class FleetFile(Strict):
    """A fleet: the atomic group. All its devices run the same version."""

    fleet: Id = Field(description="The fleet's name.")
    config: str = Field(
        pattern=f"^{CONFIG_NAME_PATTERN}$",
        max_length=100,
        description="Name of the locked configuration, and of its file on every device.",
    )
    serve: str | None = Field(
        default=None,
        description="Where `aimctl serve` of this fleet listens: it renews the enable leases.",
    )
    timing: Timing = Timing()
    gimbal: Annotated[dict[Id, GimbalProfile], Field(max_length=GIMBALS_MAX)] = Field(
        default={}, description="Hardware profiles by name."
    )
    policy: Policies = Policies()
    device: Annotated[
        tuple[Device, ...], Field(strict=False, min_length=1, max_length=FLEET_DEVICES_MAX)
    ] = Field(description="The members.")

    @field_validator("gimbal", mode="before")
    @classmethod
    def _name_the_profiles(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: {"name": name, **table} if isinstance(table, dict) else table
            for name, table in value.items()
        }

    @field_validator("serve")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is None or _URL.fullmatch(value):
            return value
        raise PydanticCustomError("serve", "must be a URL such as http://127.0.0.1:8470")

    @model_validator(mode="after")
    def _obeys_the_rules(self) -> Self:
        found = [*_leases(self), *_profiles(self), *_devices(self), *_policy_rules(self)]
        if found:
            refuse_found(found)
        return self

    def profile_of(self, device: Device) -> GimbalProfile | None:
        """Return the hardware profile of ``device``, where it names one."""
        return None if device.gimbal is None else self.gimbal[device.gimbal]

    def policy_of(self, kind: Kind) -> Policy:
        """
        Return the policy of a kind: what the file says, or the defaults.

        The defaults ask only where there is a flight state to ask: a device that knows none, and
        whose kind has no policy here (:meth:`gives_policy`), votes without it.
        """
        given: Policy | None = getattr(self.policy, kind)
        return REGISTRY[kind].policy() if given is None else given

    def gives_policy(self, kind: Kind) -> bool:
        """Whether the file has a policy of a kind, which no device may then vote without."""
        return getattr(self.policy, kind) is not None

    @property
    def freeze_s(self) -> float:
        """How long a healthy push lets every device hold: from hold_at to activate_at, 2 ε."""
        return 2 * self.timing.clock_error_ms / 1000


def _leases(fleet: FleetFile) -> list[Found]:
    """Refuse leases that nobody renews: the whole fleet would hold when the first runs out."""
    if fleet.timing.lease_s is None or fleet.serve is not None:
        return []
    return [(("timing", "enable_lease"), "a lease needs an `aimctl serve` that renews it")]


def _profiles(fleet: FleetFile) -> list[Found]:
    found: list[Found] = []
    for name, profile in fleet.gimbal.items():
        if profile.name != name:
            found.append((("gimbal", name, "name"), f"must be '{name}', as its table"))
        for axis in AXES:
            stops = getattr(profile, axis)
            if stops is not None and stops.min_deg >= stops.max_deg:
                found.append(
                    (
                        ("gimbal", name, axis, "min_deg"),
                        f"{stops.min_deg:g} is not below max_deg {stops.max_deg:g}",
                    )
                )
        if profile.plant is not None:
            found += [
                (("gimbal", name, "plant", *path), message)
                for path, message in plant_problems(profile.plant, profile.axes)
            ]
    return found


def _policy_rules(fleet: FleetFile) -> list[Found]:
    return [
        (("policy", kind, *path), message)
        for kind in KINDS
        for path, message in REGISTRY[kind].policy_rules(fleet.policy_of(kind))
    ]


def _devices(fleet: FleetFile) -> list[Found]:
    found: list[Found] = []
    first: dict[str, int] = {}
    for index, device in enumerate(fleet.device):
        if first.setdefault(device.id, index) != index:
            found.append(
                (("device", index, "id"), f"'{device.id}' is device[{first[device.id]}] already")
            )
        if device.gimbal is not None and device.gimbal not in fleet.gimbal:
            known = ", ".join(fleet.gimbal) or "none"
            found.append(
                (
                    ("device", index, "gimbal"),
                    f"no [gimbal.{device.gimbal}] in this file (known: {known})",
                )
            )
        twice = [group for group, count in Counter(device.groups).items() if count > 1]
        if twice:
            found.append((("device", index, "groups"), f"names '{twice[0]}' twice"))
    return found
