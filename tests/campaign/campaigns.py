"""Many seeds, as ``drone-sim explore --keep-going --goals`` plays and judges them."""

from __future__ import annotations

from dataclasses import dataclass

from drone_sim.checker.goals import missing
from drone_sim.cli.asked import by_seed
from drone_sim.explore.figures import Tally
from drone_sim.explore.machine import cores
from drone_sim.explore.pool import Pool
from drone_sim.result import Speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What has come of it.

    ``failed`` has the violations of each run in which one did not hold, with its ``reproduce:``
    line; ``missing`` are the goals that were never seen.
    """

    runs: int
    failed: tuple[str, ...]
    missing: tuple[str, ...]


def found(speed: Speed, seeds: range) -> Found:
    """Play the seeds on all cores."""
    asked, tally, failed = by_seed(None), Tally(), list[str]()
    with Pool(jobs=cores()) as pool:
        for ran in pool.run((asked.case(seed, speed) for seed in seeds), keep_going=True):
            tally.add(ran)
            if not ran.held:
                violations = ", ".join(map(str, ran.violations))
                failed.append(f"{violations}\nreproduce: {asked.replay(ran.case)}")
    return Found(runs=tally.runs, failed=tuple(failed), missing=missing(tally.goals, speed))
