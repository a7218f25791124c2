"""A vehicle: a body with a gimbal that a configuration points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from drone_sim.flight.axis import Asked, Axis
from drone_sim.flight.bodies import body_of
from drone_sim.flight.body import Lost
from drone_sim.flight.gimbals import BLOCK_S, Drive, Gimbals, Key, Seen
from drone_sim.flight.health import Health, aim_faults
from orchestrator.aim.sampled import Lane
from orchestrator.staging.fleet import GimbalProfile
from orchestrator.staging.kind import Hold, HoldAction
from orchestrator.staging.kinds import REGISTRY
from orchestrator.staging.models import AimConfig, Kind
from orchestrator.staging.physics import judged_axes
from orchestrator.staging.plant import AXES
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightState

WAITS: Final = Hold(action=HoldAction.FREEZE_AIM, words="waits for its first configuration")


class Vehicle:
    """
    One device as it is in the world. Nothing aims before the first :meth:`configure`.

    It is held from the start; :meth:`hold` and :meth:`resume` may be repeated. Time passes by
    :class:`.squadron.Squadron` alone: ``at_s`` is how much it was, ``held_s`` for how much of it
    it was held, since its first configuration.
    """

    def __init__(
        self,
        *,
        device: str,
        kind: Kind,
        profile: GimbalProfile | None,
        policy: Policy,
        seed: int,
    ) -> None:
        self.id = device
        self.kind = kind
        self.policy = policy
        self.body = body_of(kind, seed=seed, device=device, policy=policy)
        self.config: AimConfig | None = None
        self.held = True
        self.held_s = 0.0
        self.at_s = 0.0
        self._waited = 0.0
        """What its body lost before the first configuration; that is nobody's hold."""

        self._profile = profile
        self._axes = {name: Axis(seed, device, name) for name in AXES}
        self._lanes: dict[str, Lane] | None = None
        """Loops and plants that the next block begins with, where they have changed."""

    # --- what it is told ------------------------------------------------------------------------

    def configure(self, config: AimConfig) -> None:
        """Aim by this configuration from now on; its error is measured anew."""
        if self.config is None:
            self._waited, self.held_s = self.body.lost().amount, 0.0
        self.config = config
        self.body.own = config.own
        judged = {} if self._profile is None else judged_axes(config, self._profile)
        self._lanes = {
            name: Lane(loop=loop, plant=plant) for name, (loop, plant) in judged.items()
        }
        for name, axis in self._axes.items():
            axis.configure(config, self._lanes.get(name))

    def hold(self) -> None:
        """Freeze the aim, and do what holding is for this kind."""
        self.held = True

    def resume(self) -> None:
        """Go on."""
        self.held = False

    @property
    def _order(self) -> Hold | None:
        """What its kind is told while it is held."""
        if not self.held:
            return None
        return WAITS if self.config is None else REGISTRY[self.kind].hold(self.config.own)

    # --- time, told by the squadron -------------------------------------------------------------

    def begin(self, gimbals: Gimbals) -> dict[Key, Drive]:
        """Go on by one block; return what acts meanwhile on the axes whose physics is known."""
        self._mount(gimbals)
        self.held_s += BLOCK_S if self.held else 0.0
        self.body.go(BLOCK_S, self._order)
        asked = self._asked()
        drives: dict[Key, Drive] = {}
        for name, axis in self._axes.items():
            turn, swing = self._turning(name)
            drive = axis.begin(self.at_s, self.body.sway, turn)
            reference, goal = axis.point(asked.get(name) if axis.driven else None, swing)
            if gimbals.mounted((self.id, name)):
                drives[self.id, name] = replace(drive, reference=reference, goal=goal)
        self.at_s += BLOCK_S
        return drives

    def end(self, seen: Mapping[Key, Seen]) -> None:
        """Take note of what the axes did in the block."""
        for name, axis in self._axes.items():
            axis.end(seen.get((self.id, name)), loose_deg=self._turning(name)[1])

    def _mount(self, gimbals: Gimbals) -> None:
        if self._lanes is None:
            return
        for name, axis in self._axes.items():
            key, lane = (self.id, name), self._lanes.get(name)
            wrong: tuple[str, ...] = ()
            if lane is None:
                gimbals.unmount(key)
            else:
                wrong = gimbals.mount(key, lane, axis.camera_deg)
            axis.dead = f"{name} does not run: {', '.join(wrong)}" if wrong else None
        self._lanes = None

    def _turning(self, axis: str) -> tuple[float, float]:
        """Return how fast an axis is turned by the body, and how far it has been."""
        return (self.body.turn_deg_s, self.body.swing_deg) if axis == "yaw" else (0.0, 0.0)

    def _asked(self) -> dict[str, Asked]:
        """Return where the axes should look; those that are missing freeze."""
        if self.config is None or self.held:
            return {}
        now, soon = self.body.looks_at(0.0), self.body.looks_at(BLOCK_S)
        if now is None or soon is None or not self.config.tracking.enabled:
            return {name: self._resting(self.config, name) for name in AXES}
        return {
            name: Asked(goal_deg=angle, goal_deg_s=(soon[name] - angle) / BLOCK_S, tracked=True)
            for name, angle in now.items()
        }

    def _resting(self, config: AimConfig, name: str) -> Asked:
        turn, swing = self._turning(name)
        pose: float = getattr(config.neutral, f"{name}_deg")
        return Asked(goal_deg=pose + swing, goal_deg_s=turn)

    # --- what it is asked -----------------------------------------------------------------------

    def state(self, *, clock_error_ms: float | None = None) -> FlightState:
        """Return what a vote looks at; rates are the camera's, in space, over half a second."""
        battery, body, axes = self.body.battery, self.body, self._axes
        return FlightState(
            phase=body.phase,
            armed=body.armed,
            battery_pct=None if battery is None else battery.percent,
            battery_wh=None if battery is None else battery.full_wh,
            hover_power_w=None if battery is None else battery.hover_power_w,
            link_quality_pct=body.link_pct,
            clock_error_ms=clock_error_ms,
            recording=body.recording,
            attitude_error_deg=max(abs(axis.base_deg) for axis in axes.values()),
            gimbal_angles_deg={
                name: axis.camera_deg - axis.base_deg - self._turning(name)[1]
                for name, axis in axes.items()
            },
            gimbal_rates_deg_s={name: axis.camera_deg_s for name, axis in axes.items()},
        )

    def aim_deg(self, axis: str) -> float:
        """Return where an axis points in space."""
        return self._axes[axis].camera_deg

    def lost(self) -> Lost:
        """Return what holding has cost it since its first configuration."""
        lost = self.body.lost()
        waited = lost.amount if self.config is None else self._waited
        return replace(lost, amount=lost.amount - waited)

    def health(self) -> Health:
        """Return how it is."""
        windows = {name: axis.window for name, axis in self._axes.items() if axis.window.lasts_s}
        battery, faults = self.body.battery, self._faults()
        errors = (window.error_rms_deg for window in windows.values())
        return Health(
            healthy=not faults,
            tracking_error_rms_deg=max(errors, default=None),
            saturated_share=max((one.saturated_share for one in windows.values()), default=0.0),
            battery_pct=None if battery is None else battery.percent,
            phase=self.body.phase,
            why="; ".join(faults),
        )

    def _faults(self) -> list[str]:
        if self.config is None:
            return ["it has no configuration"]
        found: list[str] = []
        for name, axis in self._axes.items():
            if axis.dead is not None:
                found.append(axis.dead)
            elif axis.window.lasts_s:
                found += aim_faults(name, axis.window)
            longest_s = self.config.tracking.reacquire_timeout_s
            if axis.misses_s > longest_s:
                found.append(f"{name} has not caught its target for {axis.misses_s:.3g} s")
        unwell = self.body.why_unwell()
        return found if unwell is None else [*found, unwell]
