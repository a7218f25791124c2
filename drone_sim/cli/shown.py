"""An ending and a scenario as they are shown: on a screen, and as parts of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drone_sim.cli.campaign import Failure
from drone_sim.cli.ending import Ending
from drone_sim.cli.words import count, show_campaign, show_failure
from drone_sim.explore.figures import Distribution, Holds, Spread, Tally
from drone_sim.explore.runs import crash_words
from drone_sim.result import Speed

if TYPE_CHECKING:  # loaded where something is shown
    from drone_sim.explore.shrink import Shrunk
    from drone_sim.scenario.model import Scenario
    from orchestrator.cli.view import Screen

FAILURES_SHOWN = 20


def scenario_lines(scenario: Scenario) -> list[str]:
    """Say what a scenario is: the fleet, the world it lives in, and what happens when."""
    from drone_sim.scenario import phrases, swarm

    acts = [f"  {phrases.written(act)}" for act in scenario.acts]
    return [*swarm.describe(scenario), *acts]


# --- on a screen ------------------------------------------------------------------------------


def show_ending(screen: Screen, ending: Ending, verdict: tuple[str, str] | None = None) -> None:
    """
    Write all of it; where something failed, the line that shows it again stands last.

    ``verdict`` is a line, and its style, that says what it means.
    """
    campaign = ending.campaign
    show_campaign(screen, campaign, ending.missing)
    if campaign.failures:
        show_failure(screen, campaign.failures[0], ending.shrunk)
    for failure in campaign.failures[1:FAILURES_SHOWN]:
        screen.line(f"  also in {failure.name}: {failure.ran.violations[0]}")
    if campaign.failed > FAILURES_SHOWN:
        more = count(campaign.failed - FAILURES_SHOWN, "more run")
        screen.line(f"  and in {more}: --output json names a hundred, --junit all")
    for what, path in (
        ("junit", ending.files.junit),
        ("page", ending.files.html),
        ("trace", ending.files.trace),
    ):
        if path is not None:
            screen.line(f"{what:7}{path}")
    if verdict is not None:
        screen.line(*verdict)
    if ending.reproduce is not None:
        screen.line(f"reproduce: {ending.reproduce}")


# --- in a document ----------------------------------------------------------------------------


def played_fields(ending: Ending) -> dict[str, Any]:
    """Return the fields that every document of played runs has."""
    campaign, files = ending.campaign, ending.files
    return {
        "held": ending.held,
        "interrupted": campaign.interrupted,
        "mutant": campaign.mutant,
        "jobs": campaign.jobs,
        "elapsed_s": round(campaign.elapsed_s, 3),
        "speeds": {
            speed.value: _figures(tally, campaign.bound(speed), _missing(ending, speed))
            for speed, tally in campaign.tallies.items()
        },
        "failures": [failure_fields(failure) for failure in campaign.failures],
        "shrunk": _shrunk(ending),
        "reproduce": ending.reproduce,
        "files": {
            "junit": _text(files.junit),
            "html": _text(files.html),
            "trace": _text(files.trace),
        },
    }


def violation_fields(violations: object) -> list[dict[str, str]]:
    """Return violations as parts of a document."""
    found = violations if isinstance(violations, tuple) else ()
    return [{"id": one.id, "text": one.text} for one in found]


def failure_fields(failure: Failure) -> dict[str, Any]:
    """Return one failure."""
    ran = failure.ran
    return {
        "scenario": ran.name,
        "seed": ran.case.seed,
        "speed": ran.case.speed.value,
        "crash": crash_words(ran.case.crashes) or None,
        "at_s": ran.violated_at_s,
        "violations": violation_fields(ran.violations),
        "reproduce": failure.reproduce,
    }


def _missing(ending: Ending, speed: Speed) -> list[str] | None:
    return None if ending.missing is None else list(ending.missing.get(speed, ()))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _shrunk(ending: Ending) -> dict[str, Any] | None:
    shrunk: Shrunk | None = ending.shrunk
    first = ending.campaign.failures[0].ran.result if ending.campaign.failures else None
    if shrunk is None or first is None:
        return None
    return {
        "devices": len(shrunk.result.scenario.devices),
        "acts": len(shrunk.result.scenario.acts),
        "crashes": len(shrunk.case.crashes),
        "of_devices": len(first.scenario.devices),
        "of_acts": len(first.scenario.acts),
        "runs": shrunk.runs,
        "complete": shrunk.complete,
        "violations": violation_fields(shrunk.result.violations),
        "trace": _text(ending.files.trace),
    }


def _figures(tally: Tally, bound: float | None, missing: list[str] | None) -> dict[str, Any]:
    return {
        "runs": tally.runs,
        "failed": tally.failed,
        "rate_below": bound,
        "cpu_s": round(tally.cpu_s, 3),
        "runs_per_core_s": round(tally.runs_per_core_s, 3),
        "virtual_s": round(tally.virtual_s, 3),
        "speed_up": round(tally.speed_up, 1),
        "steps": tally.steps,
        "messages": tally.messages,
        "seams": tally.seams,
        "awaits": tally.awaits,
        "committed": tally.committed,
        "aborted": tally.aborted,
        "forced": tally.forced,
        "faults": tally.faults,
        "acts": dict(sorted(tally.acts.items())),
        "goals": dict(sorted(tally.goals.items())),
        "missing": missing,
        "held_s": _times(tally.held),
        "holds": [_hold(row) for row in tally.rows()],
        "skew_s": _times(tally.skews),
    }


def _times(times: Distribution) -> dict[str, float]:
    return {
        "count": times.count,
        "p50": round(times.percentile_s(50), 6),
        "p99": round(times.percentile_s(99), 6),
        "worst": round(times.worst_s, 6),
    }


def _hold(row: Holds) -> dict[str, Any]:
    closest = row.closest
    return {
        "cause": row.cause,
        "alone": _spread(row.alone),
        "among": _spread(row.among),
        "used_most": 0.0 if closest is None else round(closest.share, 4),
        "used_most_in": "" if closest is None else closest.label,
    }


def _spread(spread: Spread) -> dict[str, Any] | None:
    if spread.longest is None:
        return None
    return {
        "lasted_s": _times(spread.lasted),
        "longest_in": spread.longest.label,
        "budget_s": round(spread.longest.hold.budget_s, 6),
    }
