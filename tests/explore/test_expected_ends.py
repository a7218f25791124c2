"""A story ends as its teller expected, or it says in what not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drone_sim.explore import runs
from drone_sim.explore.ends import End, end_of, unmet
from drone_sim.explore.runs import Case, Told
from drone_sim.explore.shrink import can_shrink
from drone_sim.result import Speed
from drone_sim.scenario import story
from drone_sim.scenario.story import Expected, Story
from drone_sim.trace import Event, Kind, Trace, Value
from orchestrator.staging.samples import samples_directory

STORIES = sorted((samples_directory() / "scenarios").glob("*.toml"))


def journal(*records: tuple[str, str, str, int, str]) -> list[Event]:
    """The events of these records: kind, text, txn, seq, outcome; empty is left out."""
    trace = Trace()
    for kind, text, txn, seq, outcome in records:
        detail: dict[str, Value] = {"txn": txn, "seq": seq, "outcome": outcome}
        given = {name: value for name, value in detail.items() if value}
        trace.note(1.0, Kind.JOURNAL, "journal", f"{kind} {text}", record=kind, **given)
    return trace.events


TAKEN = ("lock_taken", "held by mira epoch 3", "", 0, "")
BEGUN = ("begun", "t2", "t2", 2, "")
COMMITTED = ("decided", "t2", "t2", 0, "commit")
ABORTED = ("decided", "t2", "t2", 0, "abort")
RELEASED = ("lock_released", "epoch=4", "", 0, "")


@pytest.mark.parametrize(
    ("records", "end"),
    [
        ([], End(version=1)),
        ([TAKEN], End(version=1, lock_free=False)),
        ([TAKEN, BEGUN], End(version=1, lock_free=False, pushes={"mira": "open"})),
        ([TAKEN, BEGUN, ABORTED, RELEASED], End(version=1, pushes={"mira": "abort"})),
        ([TAKEN, BEGUN, COMMITTED, RELEASED], End(version=2, pushes={"mira": "commit"})),
    ],
)
def test_what_a_journal_came_to(records: list[tuple[str, str, str, int, str]], end: End) -> None:
    """The version is that of the last commit; whose push it was, the lock says."""
    found = end_of(journal(*records), fresh=False)
    assert (end.version, end.lock_free, end.pushes) == (
        found.version,
        found.lock_free,
        found.pushes,
    )


def test_who_decides_is_not_who_pushes() -> None:
    """A forced unlock resolves the push of somebody else."""
    forced = ("lock_taken", "resolving by ops epoch 4", "", 0, "")
    found = end_of(journal(TAKEN, BEGUN, forced, ABORTED, RELEASED), fresh=False)
    assert {"mira": "abort"} == found.pushes


@pytest.mark.parametrize("phase", ["last push", "healthy push"])
def test_the_last_push_is_none_of_the_story(phase: str) -> None:
    """What comes after that phase has begun is left out."""
    trace = Trace()
    trace.note(1.0, Kind.PHASE, "world", phase)
    events = [*trace.events, *journal(TAKEN, BEGUN, COMMITTED)]
    assert End(version=0) == end_of(events, fresh=True)


def test_what_is_not_said_is_not_asked() -> None:
    """A story may expect nothing."""
    assert [] == list(unmet(Expected(), End(version=7, lock_free=False)))


def test_everything_that_is_otherwise_is_said() -> None:
    """Version, lock, and each push."""
    expected = Expected(
        version=2, lock_free=True, pushes={"mira@laptop": "commit", "noor": "none", "ada": "abort"}
    )
    end = End(version=1, lock_free=False, pushes={"mira": "abort", "ada": "abort"})
    assert [
        "expected: the fleet is at version 1, not 2",
        "expected: the lock is not free",
        "expected: the push of mira@laptop came to abort, not commit",
    ] == [str(violation) for violation in unmet(expected, end)]


def case_of(told: Story, speed: Speed) -> Case:
    """The case of a story, judged by its end."""
    scenario = told.scenario
    return Case(
        seed=scenario.seed, speed=speed, source=Told(scenario=scenario), expected=told.expected
    )


@pytest.mark.parametrize("speed", Speed)
@pytest.mark.parametrize("path", STORIES, ids=[path.stem for path in STORIES])
def test_the_stories_that_come_with_it_end_as_told(path: Path, speed: Speed) -> None:
    """At both speeds every invariant holds, and the end is as expected."""
    assert () == runs.play(case_of(story.load(path), speed)).violations


def test_a_story_that_ends_otherwise_is_a_violation() -> None:
    """It is told as one, keeps no trace that nobody wanted, and can't be shrunk."""
    told = story.load(STORIES[0])
    wrong = replace(told, expected=replace(told.expected, version=99))
    result = runs.play(case_of(wrong, Speed.CORES))
    assert (["expected"], None) == ([one.id for one in result.violations], result.trace)
    assert not can_shrink(result.violations)
