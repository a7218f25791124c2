"""``drone-sim run``: stories, played once or with a crash at every point."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cyclopts import App

from drone_sim.cli.options import NO_REPORTS, ORDINARY, Effort, Pace, Reports, speeds_of

if TYPE_CHECKING:  # loaded where something is played
    from drone_sim.cli.asked import Asked
    from drone_sim.cli.campaign import Campaign, Outcomes
    from drone_sim.cli.documents import Run
    from drone_sim.cli.ending import Ending
    from drone_sim.cli.progress import Ticker
    from drone_sim.explore.crashes import Every
    from drone_sim.explore.pool import Pool
    from drone_sim.explore.runs import Case
    from drone_sim.result import Crash
    from orchestrator.cli.view import Screen


def register(app: App) -> None:
    """Add the command."""
    app.command(run)


def run(  # noqa: D417 - effort and reports describe themselves
    scenario: str,
    /,
    *more: str,
    speed: Pace = "both",
    crash: str | None = None,
    mutant: str | None = None,
    effort: Effort = ORDINARY,
    reports: Reports = NO_REPORTS,
) -> int:
    """
    Play a story, every invariant checked after every step.

    For example:
      drone-sim run incident-undecided
      drone-sim run my-story.toml --speed cores --crash each
      drone-sim run my-story.toml --html page.html

    Parameters
    ----------
    scenario
        A scenario file, or the name of one that comes with the program.
    more
        Further ones.
    speed
        cores: the protocol's pure cores; shells: services, agents, transport and stores as they
        are; both: one after the other.
    crash
        each: again with a crash at every seam of I/O. awaits: at every callback. pairs: at every
        pair of seams. Or where exactly: 5 is the fifth seam, a9 the ninth callback, 5,8 both.
    mutant
        Switch on a bug that is known by this name.
    """
    from drone_sim.cli.asked import by_story
    from drone_sim.cli.campaign import Campaign
    from drone_sim.cli.ending import end
    from drone_sim.explore.crashes import parse

    named, speeds = (scenario, *more), speeds_of(speed)
    stories = [by_story(text, mutant) for text in named]
    points = () if crash is None else parse(crash)
    reports.require_writable()
    campaign = Campaign(
        title=named[0] if len(named) == 1 else f"{len(named)} stories",
        drawn=False,
        jobs=effort.processes(),
        mutant=mutant,
        keeps_cases=reports.junit is not None,
        keeps_pages=reports.html is not None,
    )
    cases = [(asked, _case(asked)) for asked in stories]
    every = [(asked, replace(case, speed=one)) for asked, case in cases for one in speeds]
    lines: list[str] = []
    _play(campaign, every, points, effort, reports, lines)
    ending = end(campaign, face=reports.face, reports=reports, effort=effort)

    def text(screen: Screen) -> None:
        from drone_sim.cli.shown import show_ending

        for line in lines:
            screen.line(line)
        show_ending(screen, ending)

    reports.face.show(lambda: _document(ending, named, crash), text)
    return int(ending.code)


def _case(asked: Asked) -> Case:
    """Return the case of a story: with the seed that it has itself."""
    from drone_sim.explore.runs import Told
    from drone_sim.result import Speed

    seed = asked.source.scenario.seed if isinstance(asked.source, Told) else 0
    return asked.case(seed, Speed.CORES)


def _play(
    campaign: Campaign,
    cases: list[tuple[Asked, Case]],
    points: Every | tuple[Crash, ...],
    effort: Effort,
    reports: Reports,
    lines: list[str],
) -> None:
    """Play all of them; ``lines`` gets one for each run, where each is a story."""
    from drone_sim.cli.progress import follow, watched
    from drone_sim.explore.crashes import Every
    from drone_sim.explore.pool import Pool

    many = isinstance(points, Every)
    jobs = campaign.jobs if many else 1
    with Pool(jobs=jobs) as pool, watched(reports.face, len(cases) + many) as ticker:
        outcomes = (
            _enumerated(pool, cases, points, effort, ticker)
            if isinstance(points, Every)
            else _listed(
                _once(pool, cases, points, effort, traced=reports.html is not None), lines
            )
        )
        follow(campaign, outcomes, ticker)
        campaign.interrupted = pool.interrupted


def _once(
    pool: Pool,
    cases: list[tuple[Asked, Case]],
    crashes: tuple[Crash, ...],
    effort: Effort,
    *,
    traced: bool,
) -> Outcomes:
    """Play each story once, its crashes at the points that were named."""
    crashed = [
        replace(case, crashes=crashes, traced=traced, expected=None if crashes else case.expected)
        for _, case in cases
    ]
    outcomes = pool.run(crashed, keep_going=effort.keep_going)
    for (asked, _), ran in zip(cases, outcomes, strict=False):
        yield asked, ran


def _listed(outcomes: Outcomes, lines: list[str]) -> Outcomes:
    from drone_sim.cli.campaign import named
    from drone_sim.cli.words import time_words

    for asked, ran in outcomes:
        mark, case = "✔" if ran.held else "✘", ran.case
        what = f"{time_words(ran.figures.virtual_s)} in {time_words(ran.took_s)}"
        lines.append(f"{mark} {named(asked, ran)}, {case.speed}: {what}")
        yield asked, ran


def _enumerated(
    pool: Pool, cases: list[tuple[Asked, Case]], every: Every, effort: Effort, ticker: Ticker
) -> Outcomes:
    """Play each story with a crash at every point; how many there are is seen on the way."""
    from drone_sim.explore.crashes import Enumeration

    before = 0
    for index, (asked, case) in enumerate(cases):
        enumeration = Enumeration(case=replace(case, expected=None), every=every)
        for ran in enumeration.run(pool, keep_going=effort.keep_going):
            ticker.pace.total = before + enumeration.total + len(cases) - index - 1
            yield asked, ran
            if not (ran.held or effort.keep_going):
                return
        before += enumeration.total


def _document(ending: Ending, scenarios: tuple[str, ...], crash: str | None) -> Run:
    from drone_sim.cli.documents import Run
    from drone_sim.cli.shown import played_fields

    return Run(type="run", scenarios=list(scenarios), crash=crash, **played_fields(ending))
