"""The simulation, against integrators that share nothing with it."""

from __future__ import annotations

from dataclasses import replace
from math import pi, tanh
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from orchestrator.aim import experiments
from orchestrator.aim.criteria import Criteria
from orchestrator.aim.experiments import Experiment
from orchestrator.aim.rig import Rig
from orchestrator.aim.sampled import Lane
from orchestrator.aim.simulate import simulate
from tests.aim.axes import GOOD, SMALL, SUITED
from tests.aim.oracle import BASE, LOAD, STEP, Oracle, biquads, way

SHORT = replace(Criteria(), horizon_s=0.6)
NAMED = list(zip(Experiment, (STEP, LOAD, BASE), strict=True))


def by_scipy(inertia_factor: float, experiment: Experiment) -> list[float]:
    """The angle in ° after each sample of GOOD on SMALL, by an adaptive integrator, slowly."""
    plant, at = SMALL, way(GOOD)[1]
    inertia, turn = plant.inertia_kg_m2 * inertia_factor, 2 * pi * plant.mode_hz
    b0, b1, b2, a1, a2 = biquads(GOOD, plant.sample_rate_hz)[0]
    swing = 2 * pi * 1.5 * np.radians(5.0) * (experiment == Experiment.BASE)
    load = plant.imbalance_nm * (experiment == Experiment.LOAD)

    def slope(time_s: float, state: Any, command: float) -> list[float]:
        _, rate, bend, bend_rate, torque = state
        slip = rate - swing * np.cos(2 * pi * 1.5 * time_s)
        drag = plant.viscous_nms_rad * slip + plant.coulomb_nm * tanh(slip / 0.02)
        push = plant.mode_participation * torque / inertia
        stiff = 2 * plant.mode_damping * turn * bend_rate + turn**2 * bend
        lag = (command - torque) / plant.motor_lag_s
        return [rate, (torque - drag + load) / inertia, bend_rate, push - stiff, lag]

    state, told, angles = np.zeros(5), [0.0, 0.0], []
    seen, out = [0.0, 0.0], [0.0, 0.0]
    integral = 0.0
    for now in range(600):
        measured = float(state[1] + state[3])
        gyro = b0 * measured + b1 * seen[0] + b2 * seen[1] - a1 * out[0] - a2 * out[1]
        seen, out = [measured, seen[0]], [gyro, out[0]]
        angle, rate = at(np.array(now * 1e-3)) if experiment == Experiment.STEP else (0.0, 0.0)
        error = GOOD.angle_p * (float(angle) - state[0]) + float(rate) - gyro
        integral = min(max(integral + GOOD.rate_i * error * 1e-3, -0.1), 0.1)
        told.append(min(max(GOOD.rate_p * error + integral, -0.25), 0.25))
        span = (now * 1e-3, (now + 1) * 1e-3)
        done = solve_ivp(slope, span, state, args=(told[now],), rtol=1e-8, atol=1e-10)
        state = done.y[:, -1]
        angles.append(float(np.degrees(state[0])))
    return angles


@pytest.mark.parametrize("experiment", list(Experiment))
def test_simulation_is_that_of_scipy(experiment: Experiment) -> None:
    """To 0.003° at every sample, with friction, dead time and clamps."""
    mine = simulate(GOOD, SMALL, SHORT, 1.4)[experiment].angle_deg[1:]
    assert np.abs(mine - np.array(by_scipy(1.4, experiment))).max() < 3e-3


@pytest.mark.parametrize(("experiment", "name"), NAMED)
def test_simulation_is_that_of_small_steps(experiment: Experiment, name: str) -> None:
    """For plants of three sizes and two sample rates, to 0.003°."""
    lanes = [Lane(loop=loop, plant=plant, inertia_factor=0.7) for plant, loop in SUITED]
    inputs = experiments.inputs(lanes, Criteria())
    mine = Rig(lanes * len(Experiment)).run(inputs).angle
    place = slice(experiment * len(lanes), (experiment + 1) * len(lanes))
    oracle = Oracle([(loop, plant, 0.7) for plant, loop in SUITED], substeps=8)
    assert np.abs(np.degrees(mine[:, place] - oracle.run(name)[0])).max() < 3e-3


def test_a_light_camera_with_much_friction_stays_sound() -> None:
    """Friction that stops the camera within a tenth of a sample never makes it swing."""
    light = replace(SMALL, inertia_kg_m2=2e-6, coulomb_nm=5e-3, mode_participation=0.0)
    loop = replace(GOOD, rate_p=1.5e-4, rate_i=5e-3)
    angle = simulate(loop, light, Criteria())[Experiment.BASE].angle_deg
    settled = np.abs(np.diff(np.sign(np.diff(angle[200:])))).sum()
    assert settled < 20


def test_running_in_parts_is_running_at_once() -> None:
    """A rig goes on exactly where it stopped, commands under way included."""
    lanes = [Lane(loop=loop, plant=plant) for plant, loop in SUITED]
    inputs = experiments.inputs(lanes, SHORT)[:, : len(lanes)]
    whole = Rig(lanes).run(inputs)
    rig = Rig(lanes)
    parts = [rig.run(part).angle for part in np.split(inputs, [1, 2, 57, 400])]
    assert whole.angle.tolist() == np.concatenate(parts).tolist()


def test_lanes_know_nothing_of_each_other() -> None:
    """Each lane of a mixed rig moves as it does alone."""
    lanes = [Lane(loop=loop, plant=plant) for plant, loop in SUITED]
    inputs = experiments.inputs(lanes, SHORT)[:, : len(lanes)]
    together = Rig(lanes).run(inputs)
    for number, lane in enumerate(lanes):
        alone = Rig([lane]).run(inputs[:, number : number + 1])
        assert np.allclose(alone.angle[:, 0], together.angle[:, number], rtol=0, atol=1e-12)


def test_the_motor_is_never_asked_for_more_than_the_clamp() -> None:
    """Nor for more than the hardware has, though the configuration may allow more."""
    loop = replace(GOOD, torque_max_nm=10.0, accel_max_deg_s2=50_000.0, rate_max_deg_s=2000.0)
    lanes = [Lane(loop=loop, plant=SMALL)]
    commands = Rig(lanes * 3).run(experiments.inputs(lanes, SHORT)).command_nm
    assert 0.25 == np.abs(commands).max()


def test_a_command_waits_for_the_dead_time() -> None:
    """The first command of a step is heard so many samples after the first reference."""
    for samples in (1, 2, 7):
        plant = replace(SMALL, dead_time_samples=samples)
        lanes = [Lane(loop=GOOD, plant=plant)]
        commands = Rig(lanes * 3).run(experiments.inputs(lanes, SHORT)).command_nm
        first = int(np.flatnonzero(commands[:, Experiment.STEP])[0])
        assert 1 + samples == first  # the reference leaves 0 at sample 1
