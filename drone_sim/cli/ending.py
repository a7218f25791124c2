"""What a command does after the last run: shrinks what failed, judges the goals, writes files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import environ  # noqa: TID251 - the environment, for GitHub's runner alone
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from drone_sim.cli.asked import Asked
from drone_sim.cli.campaign import Campaign, Failure
from drone_sim.cli.face import Face
from drone_sim.cli.options import Effort, Reports
from drone_sim.cli.words import count, shrunk_words
from drone_sim.explore import runs
from drone_sim.explore.runs import Case
from drone_sim.result import Result, Speed
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where something failed
    from drone_sim.explore.shrink import Shrunk
    from drone_sim.report.github import Trouble
    from drone_sim.scenario.model import Scenario

GOALS_FROM: Final = 1000
"""So many seeds must have seen every goal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that were written."""

    junit: Path | None = None
    html: Path | None = None
    trace: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a campaign ended. ``missing`` are goals that were not seen, ``None`` if nobody asked."""

    campaign: Campaign
    shrunk: Shrunk | None
    missing: dict[Speed, tuple[str, ...]] | None
    files: Files
    reproduce: str | None

    @property
    def held(self) -> bool:
        """Whether nothing failed, and no goal is missing."""
        return not self.campaign.failed and not any((self.missing or {}).values())

    @property
    def code(self) -> Exit:
        """Return the exit code."""
        if not self.held:
            return Exit.UNEXPECTED
        return Exit.INTERRUPTED if self.campaign.interrupted else Exit.DONE


def end(
    campaign: Campaign,
    *,
    face: Face,
    reports: Reports,
    effort: Effort,
    goals_of: tuple[Speed, ...] = (),
    again: str = "",
) -> Ending:
    """
    Do what is left to do.

    ``goals_of`` are the speeds whose goals must have been seen, ``again`` is the command that
    looks for them again.

    Raises OperatingError where a file that was asked for can't be written.
    """
    first = campaign.failures[0] if campaign.failures else None
    shrunk = None
    if first is not None and not campaign.interrupted:
        shrunk = _shrunk(first, face, effort)
    missing = _missing(campaign, goals_of) if goals_of else None
    looked_at = _looked_at(campaign, shrunk, reports)
    trace = None if looked_at is None else _write_trace(campaign, looked_at, face, reports)
    files = Files(
        junit=_write_junit(campaign, missing, again, reports.junit),
        html=_write_html(campaign, looked_at, trace, missing, reports.html),
        trace=trace,
    )
    reproduce = again if any((missing or {}).values()) else None
    if first is not None:
        reproduce = first.reproduce
    ending = Ending(
        campaign=campaign, shrunk=shrunk, missing=missing, files=files, reproduce=reproduce
    )
    _tell_github(ending, face)
    return ending


# --- shrinking --------------------------------------------------------------------------------


def _shrunk(failure: Failure, face: Face, effort: Effort) -> Shrunk | None:
    from drone_sim.explore.shrink import RUNS_MAX, can_shrink, shrink

    ran = failure.ran
    limit = RUNS_MAX[ran.case.speed] if effort.shrink is None else effort.shrink
    if limit == 0 or not can_shrink(ran.violations) or ran.result is None:
        return None
    face.say(f"shrinking {failure.name}, in at most {count(limit, 'run')} (Ctrl-C ends that)")
    with _Shown(face, limit) as on_run:
        found = shrink(ran.case, ran.result, runs_max=limit, on_run=on_run)
    face.say(shrunk_words(failure, found))
    return found


class _Shown:
    """Shows on a terminal how small it is by now."""

    def __init__(self, face: Face, limit: int) -> None:
        self._status = None
        self._limit = limit
        if face.drawing:
            from rich.console import Console

            self._status = Console(stderr=True).status("")

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, done: int, best: Scenario) -> None:
        if self._status is not None:
            small = f"{count(len(best.devices), 'device')}, {count(len(best.acts), 'act')}"
            self._status.update(f"run {done} of {self._limit}: {small}")


# --- traces -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """A run that was played again, with a trace."""

    asked: Asked
    case: Case
    result: Result


def _looked_at(campaign: Campaign, shrunk: Shrunk | None, reports: Reports) -> LookedAt | None:
    """Play again, with a trace, what there is to look at: the failure, or else the first run."""
    if campaign.failures:
        failure = campaign.failures[0]
        asked, case = failure.asked, failure.ran.case if shrunk is None else shrunk.case
    elif campaign.first is not None and (reports.trace or reports.html):
        asked, case = campaign.first
    else:
        return None
    case = replace(case, traced=True)
    return LookedAt(asked=asked, case=case, result=runs.play(case))


def _write_trace(
    campaign: Campaign, looked_at: LookedAt, face: Face, reports: Reports
) -> Path | None:
    """Write the trace where it is wanted; of a failure, in any case."""
    from drone_sim.explore import traces

    if reports.trace is None and not campaign.failures:
        return None
    case, result = looked_at.case, looked_at.result
    path = reports.trace or Path(f"drone-sim-{_slug(result.scenario.name)}-{case.speed}.trace")
    words = looked_at.asked.words
    given = dict(zip(words[::2], words[1::2], strict=True))
    try:
        traces.write(path, case, result, config=given.get("--config"), fleet=given.get("--fleet"))
    except OperatingError as error:
        if reports.trace is not None:
            raise
        face.say(f"note: {error.message}")
        return None
    return path


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "run"


# --- reports ----------------------------------------------------------------------------------


def _write_junit(
    campaign: Campaign,
    missing: dict[Speed, tuple[str, ...]] | None,
    again: str,
    path: Path | None,
) -> Path | None:
    if path is None:
        return None
    from drone_sim.report.files import write_whole
    from drone_sim.report.junit import TestCase, junit

    goals = [
        TestCase(
            suite=speed.value,
            name="goals",
            took_s=0.0,
            kind="goals" if names else "",
            failure=f"never seen: {', '.join(names)}" if names else "",
            text=f"reproduce: {again}\n" if names else "",
        )
        for speed, names in (missing or {}).items()
    ]
    write_whole(path, junit([*campaign.cases, *goals], title=f"drone-sim {campaign.title}"))
    return path


def _write_html(
    campaign: Campaign,
    looked_at: LookedAt | None,
    trace: Path | None,
    missing: dict[Speed, tuple[str, ...]] | None,
    path: Path | None,
) -> Path | None:
    if path is None:
        return None
    from drone_sim.report.files import write_whole
    from drone_sim.report.html import Beside, render_page

    pages, smallest = list(campaign.pages), None
    if looked_at is not None and campaign.failures:
        again = None if trace is None else f"drone-sim replay {shlex.quote(str(trace))}"
        smallest = (looked_at.result, again or campaign.failures[0].reproduce)
    elif looked_at is not None and pages:
        pages[0] = (looked_at.result, pages[0][1])
    page = render_page(
        [result for result, _ in pages],
        title=campaign.title,
        reproduce=[command for _, command in pages],
        beside=Beside(
            missing={speed.value: names for speed, names in (missing or {}).items()},
            interrupted=campaign.interrupted,
            smallest=smallest,
        ),
    )
    write_whole(path, page)
    return path


def _missing(campaign: Campaign, speeds: Sequence[Speed]) -> dict[Speed, tuple[str, ...]]:
    from drone_sim.checker.goals import missing

    return {speed: missing(campaign.tallies[speed].goals, speed) for speed in speeds}


def goals_due(
    campaign: Campaign, effort: Effort, *, asked: bool, by_itself: bool
) -> tuple[Speed, ...]:
    """
    Return the speeds whose goals must be seen: if ``asked``, or ``by_itself`` after many seeds.

    Not where it ended early: what was not seen might have come.
    """
    if campaign.interrupted or (campaign.failed and not effort.keep_going):
        return ()
    least = 1 if asked else GOALS_FROM
    enough = (speed for speed, tally in campaign.tallies.items() if tally.runs >= least)
    return tuple(enough) if asked or by_itself else ()


def _tell_github(ending: Ending, face: Face) -> None:
    from drone_sim.cli.summary import summary
    from drone_sim.report.github import Trouble

    troubles = [
        Trouble(
            title=f"{one.ran.violations[0].id} in {one.name}",
            text=f"{one.text}\nreproduce: {one.reproduce}",
        )
        for one in ending.campaign.failures
    ]
    troubles += [
        Trouble(title=f"goals not seen, {speed}", text=", ".join(names))
        for speed, names in (ending.missing or {}).items()
        if names
    ]
    tell_github(face, troubles, lambda: summary(ending))


def tell_github(face: Face, troubles: Sequence[Trouble], markdown: Callable[[], str]) -> None:
    """Annotate and summarize, where this is a step of GitHub Actions; else nothing."""
    from drone_sim.report.github import Actions

    actions = Actions.of(environ)
    if actions is None:
        return
    for line in actions.annotations(troubles):
        face.say(line)
    try:
        actions.summarize(markdown())
    except OSError as error:
        face.say(f"note: the step summary can't be written: {error}")
