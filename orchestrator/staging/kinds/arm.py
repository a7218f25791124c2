"""A loading arm with a camera at its end. It pays for holding with time: its load waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from orchestrator.staging.fields import Found, Strict, number
from orchestrator.staging.kind import DeviceKind, Hold, HoldAction, HoldCost, Resource
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightState

if TYPE_CHECKING:  # models imports this module
    from orchestrator.staging.models import AimFields


class Arm(Strict):
    """What only a loading arm has."""

    load_rate_max_deg_s: float = number(
        10, 0.5, 90, unit="deg/s", what="Fastest slew of the aim while a load hangs."
    )
    pause_ramp_s: float = number(
        1, 0.1, 10, unit="s", what="Time in which a hold brings the arm to rest."
    )


class ArmPolicy(Policy):
    """When arms vote no."""


class ArmKind(DeviceKind[Arm, ArmPolicy]):
    """Pauses its motion."""

    __slots__ = ()

    def hold(self, own: Arm) -> Hold:
        """Come to rest within the ramp, brakes on, and freeze the aim."""
        return Hold(
            action=HoldAction.PAUSE_MOTION,
            words="pauses its motion and freezes its aim",
            settings={"ramp_s": own.pause_ramp_s},
        )

    def cost(
        self, own: Arm, policy: ArmPolicy, hold_s: float, state: FlightState | None = None
    ) -> HoldCost:
        """Return the time that the load comes later; equal ramps at both ends add nothing."""
        del own, policy, state
        return HoldCost(
            taken_from=Resource.TIME,
            amount=hold_s,
            unit="s",
            power_w=None,
            words=f"{hold_s:g} s that its load waits",
        )

    def rules(self, config: AimFields, own: Arm) -> Iterator[Found]:
        """Keep the slew under load within that of the axes."""
        for name, axis in (("yaw", config.yaw), ("pitch", config.pitch)):
            if axis.enabled and own.load_rate_max_deg_s > axis.rate_max_deg_s:
                yield (
                    ("arm", "load_rate_max_deg_s"),
                    (
                        f"{own.load_rate_max_deg_s:g} is above {name}.rate_max_deg_s "
                        f"{axis.rate_max_deg_s:g}"
                    ),
                )

    def cautions(
        self, config: AimFields, own: Arm, policy: ArmPolicy, freeze_s: float
    ) -> Iterator[Found]:
        """Tell of a ramp that the freeze of a push cuts short, or that the axes can't brake."""
        del policy
        if own.pause_ramp_s > freeze_s:
            yield (
                ("arm", "pause_ramp_s"),
                (
                    f"{own.pause_ramp_s:g} s is longer than the freeze of a healthy push, "
                    f"{freeze_s:g} s (twice clock_error_ms): the arm still slows down when the "
                    "new version begins to aim"
                ),
            )
        needed = own.load_rate_max_deg_s / own.pause_ramp_s
        for name, axis in (("yaw", config.yaw), ("pitch", config.pitch)):
            if axis.enabled and needed > axis.accel_max_deg_s2:
                yield (
                    ("arm", "pause_ramp_s"),
                    (
                        f"coming to rest from {own.load_rate_max_deg_s:g} deg/s in "
                        f"{own.pause_ramp_s:g} s takes {needed:.3g} deg/s², more than "
                        f"{name}.accel_max_deg_s2 {axis.accel_max_deg_s2:g}"
                    ),
                )


KIND: Final = ArmKind(
    name="arm",
    about="a loading arm with a camera at its end",
    section=Arm,
    policy=ArmPolicy,
    rank=1,
)
