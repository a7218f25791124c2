"""Many runs, as a command sees them: what has come of them so far, and what is kept of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from drone_sim.cli.asked import Asked
from drone_sim.explore.figures import Tally
from drone_sim.explore.runs import Case, Ran, crash_words
from drone_sim.report.junit import TestCase
from drone_sim.result import Result, Speed

FAILURES_MAX: Final = 100
"""Failures that are named; more are counted."""

Outcomes = Iterator[tuple[Asked, Ran]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run in which something did not hold, and who asked for it."""

    asked: Asked
    ran: Ran

    @property
    def name(self) -> str:
        """Name it for people."""
        return named(self.asked, self.ran)

    @property
    def reproduce(self) -> str:
        """Return the command that shows it again."""
        return self.asked.replay(self.ran.case)

    @property
    def text(self) -> str:
        """Return what did not hold, a line each."""
        return "\n".join(str(violation) for violation in self.ran.violations)


@dataclass(slots=True, kw_only=True)
class Campaign:
    """
    What has come of the runs of one command so far.

    ``cases`` are kept for JUnit, ``pages`` (results, each with the command that shows it again)
    for a page, ``hashes`` where they are wanted: each only if it ``keeps`` them. ``drawn`` tells
    that the runs were drawn at random, so that they say something of those not made.
    """

    title: str
    jobs: int
    mutant: str | None = None
    drawn: bool = True
    keeps_cases: bool = False
    keeps_pages: bool = False
    tallies: dict[Speed, Tally] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    violated: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """In how many runs just these invariants did not hold."""
    cases: list[TestCase] = field(default_factory=list)
    pages: list[tuple[Result, str]] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    first: tuple[Asked, Case] | None = None
    interrupted: bool = False
    elapsed_s: float = 0.0

    @property
    def done(self) -> int:
        """How many runs were made."""
        return sum(tally.runs for tally in self.tallies.values())

    @property
    def failed(self) -> int:
        """In how many of them something did not hold."""
        return sum(tally.failed for tally in self.tallies.values())

    def broke(self, *ids: str) -> int:
        """Return in how many runs any of these invariants did not hold."""
        return sum(runs for broken, runs in self.violated.items() if set(ids) & set(broken))

    def bound(self, speed: Speed) -> float | None:
        """Return what the rate of violations is below, where the runs say anything of it."""
        return self.tallies[speed].bound if self.drawn else None

    def take(self, asked: Asked, ran: Ran) -> None:
        """Add a run."""
        self.first = self.first or (asked, ran.case)
        self.tallies.setdefault(ran.case.speed, Tally()).add(ran)
        if not ran.held:
            self.violated[tuple(sorted({one.id for one in ran.violations}))] += 1
        if not ran.held and len(self.failures) < FAILURES_MAX:
            self.failures.append(Failure(asked=asked, ran=ran))
        if self.keeps_cases:
            self.cases.append(test_case(asked, ran))
        if self.keeps_pages:
            self.pages.append((ran.as_result(), asked.replay(ran.case)))
        if ran.digest is not None:
            self.hashes[f"{named(asked, ran)}, {ran.case.speed}"] = ran.digest


def named(asked: Asked, ran: Ran) -> str:
    """Name a run: ``seed 17``, ``the incident``, ``the incident, seed 3, crash 5``."""
    seed = f"seed {ran.case.seed}"
    seeded = f", {seed}" if asked.story is None and ran.name != seed else ""
    crash = f", crash {crash_words(ran.case.crashes)}" if ran.case.crashes else ""
    return f"{ran.name}{seeded}{crash}"


def test_case(asked: Asked, ran: Ran) -> TestCase:
    """Return a run as JUnit has it."""
    if ran.held:
        return TestCase(suite=ran.case.speed.value, name=named(asked, ran), took_s=ran.took_s)
    failure = Failure(asked=asked, ran=ran)
    at = "" if ran.violated_at_s is None else f"at {ran.violated_at_s:.3f} s\n"
    return TestCase(
        suite=ran.case.speed.value,
        name=named(asked, ran),
        took_s=ran.took_s,
        kind=ran.violations[0].id,
        failure=str(ran.violations[0]),
        text=f"{at}{failure.text}\nreproduce: {failure.reproduce}\n",
    )
