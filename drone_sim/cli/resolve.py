"""From what ``replay`` is given to the one case that is meant."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from drone_sim.cli.asked import Asked, by_fleet, by_seed, by_story
from drone_sim.cli.options import Conditions
from drone_sim.explore.crashes import Every, parse
from drone_sim.explore.runs import Case, Told, mutants
from drone_sim.result import Crash, Speed
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where a trace file is read
    from drone_sim.explore.traces import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The case that is meant, the command that shows it, and the file that it was read from."""

    case: Case
    again: str
    recording: Recording | None = None


def resolve(what: str, conditions: Conditions) -> Resolved:
    """
    Find out what is to be played: a seed, a trace file, a story.

    Raises OperatingError for what is nothing of the kind, and conditions that do not fit.
    """
    if what.isdecimal():
        return _of_seed(int(what), conditions)
    refused = {"--scenario": conditions.scenario, "--config": conditions.config}
    wrong = [name for name, value in refused.items() if value is not None]
    if wrong:
        raise OperatingError(f"{wrong[0]} goes with a seed, not {what}", exit_code=Exit.USAGE)
    return _of_file(what, conditions) if _is_recording(what) else _of_story(what, conditions)


def _of_seed(seed: int, conditions: Conditions) -> Resolved:
    asked = _asked(conditions)
    usual = _usual_speed(conditions) if asked.fleetware is None else Speed.SHELLS
    case = asked.case(seed, _speed(conditions) or usual, _crashes(conditions))
    return Resolved(case=case, again=asked.replay(case))


def _asked(conditions: Conditions) -> Asked:
    config, fleet = conditions.config, conditions.fleet
    if (config is None) != (fleet is None):
        raise OperatingError("--config and --fleet go together", exit_code=Exit.USAGE)
    if config is not None and fleet is not None:
        return by_fleet(config, fleet, conditions.mutant)
    if conditions.scenario is not None:
        return by_story(conditions.scenario, conditions.mutant, seeded=True)
    return by_seed(conditions.mutant)


def _of_story(text: str, conditions: Conditions) -> Resolved:
    asked = by_story(text, conditions.mutant)
    seed = asked.source.scenario.seed if isinstance(asked.source, Told) else 0
    speed = _speed(conditions) or _usual_speed(conditions)
    case = asked.case(seed, speed, _crashes(conditions))
    return Resolved(case=case, again=_again(text, case.speed, conditions))


def _of_file(text: str, conditions: Conditions) -> Resolved:
    from drone_sim.explore import traces

    recording = traces.load(Path(text))
    case, header = recording.case(_speed(conditions)), recording.header
    if header is not None and header.config is not None and header.fleet is not None:
        own = by_fleet(Path(header.config), Path(header.fleet))
        case = replace(case, fleetware=own.fleetware)
    crashes = case.crashes if conditions.crash is None else _crashes(conditions)
    mutant = by_seed(conditions.mutant or case.mutant).mutant
    return Resolved(
        case=replace(case, crashes=crashes, mutant=mutant),
        again=_again(text, _speed(conditions), conditions),
        recording=recording,
    )


def _again(text: str, speed: Speed | None, conditions: Conditions) -> str:
    given = {"--speed": speed, "--crash": conditions.crash, "--mutant": conditions.mutant}
    words = ["drone-sim", "replay", text]
    for name, value in given.items():
        words += [] if value is None else [name, str(value)]
    return shlex.join(words)


def _speed(conditions: Conditions) -> Speed | None:
    return None if conditions.speed is None else Speed(conditions.speed)


def _usual_speed(conditions: Conditions) -> Speed:
    mutant = conditions.mutant
    return Speed.CORES if mutant is None else mutants()[mutant].speed


def _crashes(conditions: Conditions) -> tuple[Crash, ...]:
    if conditions.crash is None:
        return ()
    points = parse(conditions.crash)
    if isinstance(points, Every):
        raise OperatingError(
            f"--crash {points}: one run is replayed, so say where: 5, a9 or 5,8",
            exit_code=Exit.USAGE,
        )
    return points


def _is_recording(text: str) -> bool:
    """Tell a trace file from a story by how it begins; a story is TOML, or YAML."""
    path = Path(text)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False
