"""One axis by itself, for whoever wants to see it: ``aimctl plot``, and tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.aim.criteria import Criteria
from orchestrator.aim.experiments import Experiment, inputs, times
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.rig import Rig
from orchestrator.aim.sampled import Floats, Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """
    What one experiment shows, sample by sample: 1-D arrays of one length, in degrees and N m.

    The first instant is 0, at rest. ``reference_deg`` is where the motion profile points;
    ``rate_deg_s`` is the camera's in space; ``torque_nm`` is what the motor gives.
    """

    time_s: Floats
    reference_deg: Floats
    angle_deg: Floats
    rate_deg_s: Floats
    torque_nm: Floats


def simulate(
    loop: AxisLoop,
    plant: AxisPlant,
    criteria: Criteria,
    inertia_factor: float = 1.0,
) -> dict[Experiment, Response]:
    """
    Return all experiments of ``criteria`` on one axis at one inertia.

    It is what the judge looks at, unstable loops included: their torque is clamped, so the
    figures stay finite. ``nonsense(loop, plant)`` must be empty.
    """
    lanes = [Lane(loop=loop, plant=plant, inertia_factor=inertia_factor)]
    given = inputs(lanes, criteria)
    trace = Rig(lanes * len(Experiment)).run(given)
    time_s = times(lanes, len(given) + 1)[:, 0]
    return {
        kind: Response(
            time_s=time_s,
            reference_deg=np.degrees(_from(given[0, kind, 0], given[:, kind, 0])),
            angle_deg=np.degrees(_from(0.0, trace.angle[:, kind])),
            rate_deg_s=np.degrees(_from(0.0, trace.rate[:, kind])),
            torque_nm=_from(0.0, trace.torque_nm[:, kind]),
        )
        for kind in Experiment
    }


def _from(first: float, rest: Floats) -> Floats:
    return np.concatenate([[first], rest])
