"""
A drone: a multicopter that carries a gimbal. It pays for holding with its battery.

What hovering takes is the maker's own figure unless the drone measures it: the energy of the
batteries over the longest hover. DJI's Matrice 30 (3.77 kg, two TB30 of 131.6 Wh each, at most
36 min of hover, 41 min of flight: https://enterprise.dji.com/matrice-30/specs) takes
263.2 Wh / 0.6 h = 439 W. Momentum theory says the same of its rotors: (m g)^1.5 / sqrt(2 rho A)
over a figure of merit near 0.5, e.g. Leishman, Principles of Helicopter Aerodynamics, ch. 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from orchestrator.staging.fields import Found, RestAction, Strict, choice, number
from orchestrator.staging.kind import DeviceKind, Hold, HoldAction, HoldCost, Resource
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightState

if TYPE_CHECKING:  # models imports this module
    from orchestrator.staging.models import AimFields

MATRICE_30: Final = "DJI Matrice 30: 2 x 131.6 Wh, 36 min of hover"
S_PER_H: Final = 3600.0


class Drone(Strict):
    """What only a drone has."""

    landed_pitch_min_deg: float = number(
        -90, -90, 90, unit="deg", what="Lowest pitch while landed.", source="PX4 MNT_LND_P_MIN"
    )
    landed_pitch_max_deg: float = number(
        20, -90, 90, unit="deg", what="Highest pitch while landed.", source="PX4 MNT_LND_P_MAX"
    )
    low_battery_pct: float = number(
        20, 5, 50, unit="%", what="Charge below which the gimbal rests.", source="PX4 BAT_LOW_THR"
    )
    low_battery_action: RestAction = choice("retract", what="Pose at low battery.")


class DronePolicy(Policy):
    """When drones vote no."""

    battery_reserve_pct: float = number(
        20,
        0,
        90,
        unit="%",
        what="Charge that must be left after the worst hold.",
        source="PX4 BAT_LOW_THR 15, and a margin",
    )
    hover_power_w: float = number(
        439,
        5,
        20_000,
        unit="W",
        what="What hovering takes, where the drone does not measure it.",
        source=MATRICE_30,
    )
    battery_wh: float = number(
        263.2,
        1,
        20_000,
        unit="Wh",
        what="Energy of the full battery, where the drone does not tell it.",
        source=MATRICE_30,
    )


class DroneKind(DeviceKind[Drone, DronePolicy]):
    """Hovers and freezes its aim."""

    __slots__ = ()

    def hold(self, own: Drone) -> Hold:
        """Freeze the aim where it is; the autopilot goes on flying, and hovers."""
        del own
        return Hold(action=HoldAction.FREEZE_AIM, words="hovers and freezes its aim")

    def cost(
        self, own: Drone, policy: DronePolicy, hold_s: float, state: FlightState | None = None
    ) -> HoldCost:
        """Return the share of the full battery that hovering takes, in percent."""
        del own
        return hover_cost(policy, hold_s, state)

    def rules(self, config: AimFields, own: Drone) -> Iterator[Found]:
        """Keep the landed range inside the pitch axis."""
        if not config.pitch.enabled:
            return
        low, high = own.landed_pitch_min_deg, own.landed_pitch_max_deg
        least, most = config.pitch.angle_min_deg, config.pitch.angle_max_deg
        if low >= high:
            yield _found(
                "landed_pitch_min_deg", f"{low:g} is not below landed_pitch_max_deg {high:g}"
            )
        if low < least:
            yield _found("landed_pitch_min_deg", f"{low:g} is below pitch.angle_min_deg {least:g}")
        if high > most:
            yield _found("landed_pitch_max_deg", f"{high:g} is above pitch.angle_max_deg {most:g}")

    def cautions(
        self, config: AimFields, own: Drone, policy: DronePolicy, freeze_s: float
    ) -> Iterator[Found]:
        """Tell of a gimbal that comes to rest above the reserve: in the middle of a hold."""
        del config, freeze_s
        if own.low_battery_pct > policy.battery_reserve_pct:
            yield _found(
                "low_battery_pct",
                f"{own.low_battery_pct:g} is above the reserve of {policy.battery_reserve_pct:g} "
                "that [policy.drone] leaves: a drone that voted yes may rest its gimbal while "
                "it holds",
            )

    def policy_rules(self, policy: DronePolicy) -> Iterator[Found]:
        """Refuse a reserve and a hold that no full battery has."""
        cost = hover_cost(policy, policy.hold_worst_s)
        if cost.amount + policy.battery_reserve_pct >= 100:  # noqa: PLR2004 - percent
            yield (
                ("hold_worst_s",),
                (
                    f"{cost.words} and a reserve of {policy.battery_reserve_pct:g} % are more "
                    "than a full battery: no drone could ever vote yes"
                ),
            )

    def refusals(self, policy: DronePolicy, state: FlightState) -> Iterator[str]:
        """Refuse where the worst hold would eat into the reserve; at rest it costs nothing."""
        if state.at_rest:
            return
        reserve = policy.battery_reserve_pct
        if state.battery_pct is None:
            if reserve:
                yield f"battery unknown, reserve {reserve:g} %"
            return
        cost = hover_cost(policy, policy.hold_worst_s, state)
        if state.battery_pct - cost.amount < reserve:
            yield (
                f"battery {state.battery_pct:.3g} % \N{MINUS SIGN} {cost.amount:.3g} % for "
                f"{policy.hold_worst_s:g} s of hover < reserve {reserve:g} %"
            )

    def unsafe(self, policy: DronePolicy, state: FlightState) -> str | None:
        """Change nothing below the reserve: what is left is for the way home."""
        if state.at_rest or state.battery_pct is None:
            return None
        if state.battery_pct >= policy.battery_reserve_pct:
            return None
        return f"battery {state.battery_pct:.3g} % < reserve {policy.battery_reserve_pct:g} %"


def hover_cost(policy: DronePolicy, hold_s: float, state: FlightState | None = None) -> HoldCost:
    """Return what ``hold_s`` seconds of hover take of a full battery; measured figures first."""
    power_w, energy_wh = policy.hover_power_w, policy.battery_wh
    if state is not None and state.hover_power_w is not None:
        power_w = state.hover_power_w
    if state is not None and state.battery_wh is not None:
        energy_wh = state.battery_wh
    amount = 100 * power_w * hold_s / S_PER_H / energy_wh
    return HoldCost(
        taken_from=Resource.BATTERY,
        amount=amount,
        unit="%",
        power_w=power_w,
        words=f"{amount:.3g} % of the battery for {hold_s:g} s of hover at {power_w:.3g} W",
    )


def _found(key: str, message: str) -> Found:
    return ("drone", key), message


KIND: Final = DroneKind(
    name="drone",
    about="a multicopter that carries a gimbal",
    section=Drone,
    policy=DronePolicy,
    rank=0,
)
