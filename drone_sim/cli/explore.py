"""``drone-sim explore``: many seeds, each with a fleet, links and faults of its own."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from drone_sim.cli.face import Face
from drone_sim.cli.options import (
    NO_REPORTS,
    ORDINARY,
    Effort,
    Flag,
    Pace,
    Reports,
    seeds_of,
    speeds_of,
)

if TYPE_CHECKING:  # loaded where something is played
    from drone_sim.cli.asked import Asked
    from drone_sim.cli.campaign import Campaign
    from drone_sim.cli.documents import Explore
    from drone_sim.cli.ending import Ending
    from drone_sim.explore.runs import Case
    from drone_sim.result import Speed
    from orchestrator.cli.view import Screen

CHUNKS_MIN: Final = 2
"""Processes are started where there are so many chunks of work; it takes a second."""


def register(app: App) -> None:
    """Add the command."""
    app.command(explore)


def explore(  # noqa: D417 - effort and reports describe themselves
    *,
    seeds: str,
    scenario: str | None = None,
    speed: Pace | None = None,
    goals: Flag = False,
    mutant: str | None = None,
    hash_: Annotated[bool, Parameter(name="--hash", negative="", show_default=False)] = False,
    effort: Effort = ORDINARY,
    reports: Reports = NO_REPORTS,
) -> int:
    """
    Play many seeds on all cores, every invariant checked after every step.

    For example:
      drone-sim explore --seeds 1..2000
      drone-sim explore --seeds 1..200 --speed shells --junit report.xml
      drone-sim explore --seeds 17                 (one, with what it has drawn)

    Stops at the first violation, makes it as small as it can, and keeps its trace in a file.

    Parameters
    ----------
    seeds
        A..B, both included, or one seed.
    scenario
        Play this story with every seed, instead of what the seed draws: a file, or a name.
    speed
        cores: the protocol's pure cores, for breadth; shells: services, agents, transport and
        stores as they are, for depth. cores unless given, or what the mutant needs.
    goals
        Fail unless everything has been seen that must be seen sometimes. From 1,000 seeds on
        that is so anyway, without --scenario and --mutant.
    mutant
        Switch on a bug that is known by this name: it must be found.
    hash_
        Print a hash over the traces of all runs: the same on every machine.
    """
    from drone_sim.cli.asked import by_seed, by_story
    from drone_sim.cli.campaign import Campaign
    from drone_sim.cli.ending import end, goals_due

    chosen, jobs = seeds_of(seeds), effort.processes()
    asked = by_seed(mutant) if scenario is None else by_story(scenario, mutant, seeded=True)
    reports.require_writable()
    face, pace = reports.face, speed or usual_pace(mutant)
    drawn = _drawn(asked, chosen)
    for line in drawn or ():
        face.say(line)
    campaign = Campaign(
        title=f"seeds {seeds}" if scenario is None else f"{scenario}, seeds {seeds}",
        jobs=jobs,
        mutant=mutant,
        keeps_cases=reports.junit is not None,
        keeps_pages=reports.html is not None,
    )
    play_seeds(campaign, asked, chosen, speeds_of(pace), effort, face=face, hashed=hash_)
    by_itself = scenario is None and mutant is None
    ending = end(
        campaign,
        face=face,
        reports=reports,
        effort=effort,
        goals_of=goals_due(campaign, effort, asked=goals, by_itself=by_itself),
        again=_again(seeds, scenario, pace, mutant),
    )

    def text(screen: Screen) -> None:
        from drone_sim.cli.shown import show_ending

        show_ending(screen, ending)
        if hash_:
            screen.line(f"hash {_combined(campaign.hashes)}")

    face.show(lambda: _document(ending, chosen, scenario, drawn, hashed=hash_), text)
    return int(ending.code)


def usual_pace(mutant: str | None) -> Pace:
    """Return the speed that is played at where none was said."""
    from drone_sim.explore.runs import mutants

    return "cores" if mutant is None else mutants()[mutant].speed.value


def _drawn(asked: Asked, seeds: range) -> list[str] | None:
    """Say what a single seed has drawn."""
    if len(seeds) != 1:
        return None
    from drone_sim.cli.shown import scenario_lines

    return scenario_lines(asked.source(seeds[0]))


def play_seeds(
    campaign: Campaign,
    asked: Asked,
    seeds: range,
    speeds: tuple[Speed, ...],
    effort: Effort,
    *,
    face: Face,
    hashed: bool = False,
) -> None:
    """Play every seed at every speed, up to the first violation unless told otherwise."""
    from drone_sim.cli.progress import follow, watched
    from drone_sim.cli.words import count
    from drone_sim.explore.pool import Pool

    def cases() -> Iterator[Case]:
        for speed in speeds:
            yield from (replace(asked.case(seed, speed), hashed=hashed) for seed in seeds)

    total = len(seeds) * len(speeds)
    jobs = useful_jobs(campaign.jobs, total, speeds)
    with Pool(jobs=jobs) as pool, watched(face, total) as ticker:
        if total > 1 and not face.drawing:
            face.say(f"{count(total, 'run')}, {count(jobs, 'process', 'processes')}")
        outcomes = pool.run(cases(), keep_going=effort.keep_going)
        follow(campaign, ((asked, ran) for ran in outcomes), ticker)
        campaign.interrupted = pool.interrupted


def useful_jobs(jobs: int, total: int, speeds: tuple[Speed, ...]) -> int:
    """Return how many processes are worth their start for so many runs."""
    from drone_sim.explore.pool import CHUNK

    chunks = total // max(CHUNK[speed] for speed in speeds)
    return min(jobs, chunks) if chunks >= CHUNKS_MIN else 1


def _again(seeds: str, scenario: str | None, speed: Pace, mutant: str | None) -> str:
    words = ["drone-sim", "explore", "--seeds", seeds, "--speed", speed, "--goals"]
    words += [] if scenario is None else ["--scenario", scenario]
    words += [] if mutant is None else ["--mutant", mutant]
    return shlex.join(words)


def _combined(hashes: dict[str, str]) -> str:
    """Return the hash over all runs, in their order."""
    lines = "".join(f"{name} {digest}\n" for name, digest in hashes.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _document(
    ending: Ending,
    seeds: range,
    scenario: str | None,
    drawn: list[str] | None,
    *,
    hashed: bool,
) -> Explore:
    from drone_sim.cli.documents import Explore
    from drone_sim.cli.shown import played_fields

    hashes = ending.campaign.hashes
    return Explore(
        type="explore",
        seeds=[seeds[0], seeds[-1]],
        scenario=scenario,
        drawn=drawn,
        hash=_combined(hashes) if hashed else None,
        hashes=hashes if hashed else None,
        **played_fields(ending),
    )
