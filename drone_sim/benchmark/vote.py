"""
The cost of a vote's physics: ``python -m drone_sim.benchmark.vote [--rounds 50]``.

A verdict on three axes, judged anew each time, beside two others that are given the same work:

- *the floor*: as many matrix products of the same shape as the verdict's simulation has samples,
  and nothing else: what numpy takes to be called that often;
- *plain*: the same experiments in plain Python floats, which are compared number by number.

Exit codes: 0 within the budget; 1 over it, or the two simulations differ; 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

import numpy as np

from drone_sim.benchmark import plain, report
from drone_sim.benchmark.floor import cpu_s
from orchestrator.aim import experiments, sampled
from orchestrator.aim.experiments import Experiment
from orchestrator.aim.judge import STANDARD, Axes, judge_anew
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.rig import Rig
from orchestrator.aim.sampled import Lane
from orchestrator.errors import Exit

BUDGET_MS: Final = 50.0
"""What a device may spend on the physics of one vote, of CPU."""

ROUNDS_MAX: Final = 10_000
PLAIN_ROUNDS: Final = 3
ALIKE_RAD: Final = 1e-9

PLANT: Final = AxisPlant(
    inertia_kg_m2=1.2e-3,
    viscous_nms_rad=2e-3,
    coulomb_nm=4e-3,
    imbalance_nm=5e-3,
    torque_peak_nm=0.25,
    motor_lag_s=2e-3,
    dead_time_samples=2,
    sample_rate_hz=1000.0,
    mode_hz=55.0,
    mode_damping=0.03,
    mode_participation=0.12,
)
LOOP: Final = AxisLoop(
    angle_p=8.0,
    rate_p=0.085,
    rate_i=0.7,
    rate_d=0.0,
    gyro_lpf_hz=120.0,
    notch_hz=55.0,
    notch_bandwidth_hz=20.0,
    notch_attenuation_db=30.0,
    integrator_max_nm=0.1,
    torque_max_nm=0.25,
    rate_max_deg_s=120.0,
    accel_max_deg_s2=600.0,
)


def axes() -> Axes:
    """Return three axes of a small inspection camera at 1 kHz, each with another tuning."""
    gains = (("yaw", 0.085), ("pitch", 0.08), ("roll", 0.075))
    return tuple((name, replace(LOOP, rate_p=rate_p), PLANT) for name, rate_p in gains)


def lanes() -> list[Lane]:
    """Return what the judge makes of them: each axis at each inertia."""
    return [
        Lane(loop=loop, plant=plant, inertia_factor=factor)
        for _, loop, plant in axes()
        for factor in STANDARD.inertia_factors
    ]


def spent_ms(work: Callable[[], object], rounds: int) -> list[float]:
    """Return the CPU of each round in ms, after one that warms up."""
    work()
    found = []
    for _ in range(rounds):
        began = cpu_s()
        work()
        found.append((cpu_s() - began) * 1e3)
    return found


def difference_rad() -> float:
    """Return how far the judge's simulation and the plain one are apart at the most."""
    some = lanes()
    inputs = experiments.inputs(some, STANDARD)
    every = some * len(Experiment)
    angle = Rig(every).run(inputs).angle
    apart = [
        np.abs(angle[:, number] - plain.run(lane, inputs[:, number])).max()
        for number, lane in enumerate(every)
    ]
    return float(max(apart))


def measure(rounds: int) -> report.Document:
    """Measure all three; ``rounds`` of verdict and floor, a few of the plain one."""
    some = lanes()
    inputs = experiments.inputs(some, STANDARD)
    every = some * len(Experiment)
    matrix = sampled.updates(every, sampled.held(every))
    mine = spent_ms(lambda: judge_anew(axes()), rounds)
    floor = spent_ms(lambda: plain.products(matrix, len(inputs)), rounds)
    slow = spent_ms(
        lambda: [plain.run(lane, inputs[:, n]) for n, lane in enumerate(every)], PLAIN_ROUNDS
    )
    return {
        "schema": report.SCHEMA,
        "type": "vote-benchmark",
        "machine": {k: v for k, v in report.machine("").items() if k != "mosquitto"},
        "axes": len(axes()),
        "lanes": len(every),
        "samples": len(inputs),
        "rounds": rounds,
        "budget_ms": BUDGET_MS,
        "verdict_ms": _figures(mine),
        "floor_ms": _figures(floor),
        "plain_ms": _figures(slow),
        "ratio": {
            "floor": round(median(mine) / median(floor), 2),
            "plain": round(median(slow) / median(mine), 2),
        },
        "difference_rad": difference_rad(),
    }


def _figures(spent: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(spent), 2), "max": round(max(spent), 2)}


def table(found: report.Document) -> str:
    """Return the document as a table for people."""
    facts, ratio = found["machine"], found["ratio"]
    system = f"{facts['system']} {facts['architecture']}"
    lines = [
        f"{facts['cores']} cores, {system}, Python {facts['python']}; {found['rounds']} rounds",
        f"{found['axes']} axes, {found['lanes']} lanes, {found['samples']} samples each",
        f"{'':<34}{'median':>10}{'max':>10}",
    ]
    for name, what in (
        ("verdict", "verdict, judged anew"),
        ("floor", "floor: the matrix products alone"),
        ("plain", "plain Python, simulation alone"),
    ):
        spent = found[f"{name}_ms"]
        lines.append(f"{what:<34}{spent['median']:>7.1f} ms{spent['max']:>7.1f} ms")
    lines += [
        f"{ratio['floor']:g} × the floor; plain Python takes {ratio['plain']:g} × the verdict",
        f"budget {found['budget_ms']:g} ms of CPU",
        f"verdict and plain simulation differ by {found['difference_rad']:.1e} rad at the most",
    ]
    return "\n".join(lines)


def _rounds(text: str) -> int:
    rounds = int(text) if text.isdecimal() else 0
    if not 1 <= rounds <= ROUNDS_MAX:
        msg = f"{text!r} is no number from 1 to {ROUNDS_MAX}"
        raise argparse.ArgumentTypeError(msg)
    return rounds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m drone_sim.benchmark.vote",
        description="The CPU of a vote's physics, beside its floor and a plain simulation.",
    )
    parser.add_argument("--rounds", type=_rounds, default=50, metavar="N", help="of verdicts")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    given = parser.parse_args(arguments)
    found = measure(given.rounds)
    sys.stdout.write((json.dumps(found) if given.output == "json" else table(found)) + "\n")
    sound = found["verdict_ms"]["median"] <= BUDGET_MS and found["difference_rad"] < ALIKE_RAD
    return int(Exit.DONE if sound else Exit.UNEXPECTED)


if __name__ == "__main__":
    sys.exit(main())
