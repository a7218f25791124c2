"""A cluster node that analyses the pictures of its mast camera. A hold costs it lost work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from orchestrator.staging.fields import Found, Strict, number
from orchestrator.staging.kind import DeviceKind, Hold, HoldAction, HoldCost, Resource
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightState

if TYPE_CHECKING:  # models imports this module
    from orchestrator.staging.models import AimFields

WHOLE_PCT: Final = 100.0


class Node(Strict):
    """What only a cluster node with a mast camera or sensor gimbal has."""

    frame_rate_hz: float = number(30, 1, 120, unit="Hz", what="Pictures analysed per second.")
    hold_throttle_pct: float = number(
        25, 1, 100, unit="%", what="Share of its work that a node goes on with while it holds."
    )


class NodePolicy(Policy):
    """When nodes vote no."""


class NodeKind(DeviceKind[Node, NodePolicy]):
    """Throttles its work."""

    __slots__ = ()

    def hold(self, own: Node) -> Hold:
        """Go on with a share of the work, and freeze the aim."""
        return Hold(
            action=HoldAction.THROTTLE,
            words="throttles its work and freezes its aim",
            settings={"share_pct": own.hold_throttle_pct},
        )

    def cost(
        self, own: Node, policy: NodePolicy, hold_s: float, state: FlightState | None = None
    ) -> HoldCost:
        """Return the pictures that are not analysed."""
        del policy, state
        lost = own.frame_rate_hz * hold_s * (1 - own.hold_throttle_pct / WHOLE_PCT)
        return HoldCost(
            taken_from=Resource.WORK,
            amount=lost,
            unit="pictures",
            power_w=None,
            words=f"{lost:.3g} pictures that are not analysed in {hold_s:g} s",
        )

    def cautions(
        self, config: AimFields, own: Node, policy: NodePolicy, freeze_s: float
    ) -> Iterator[Found]:
        """Tell of a throttle that is none, and of a lock that predicts for less than a picture."""
        del policy, freeze_s
        if own.hold_throttle_pct == WHOLE_PCT:
            yield ("node", "hold_throttle_pct"), "100 is no throttle: a hold changes nothing"
        horizon_s = config.tracking.prediction_horizon_s
        if config.tracking.enabled and horizon_s * own.frame_rate_hz < 1:
            yield (
                ("tracking", "prediction_horizon_s"),
                (
                    f"{horizon_s:g} s is less than the time between two pictures, "
                    f"{1 / own.frame_rate_hz:.3g} s: one bad picture loses the lock"
                ),
            )


KIND: Final = NodeKind(
    name="node",
    about="a cluster node with a camera on a mast",
    section=Node,
    policy=NodePolicy,
    rank=2,
)
