"""Every crash point of a run is tried once, and every pair of them."""

from __future__ import annotations

import pytest

from drone_sim.explore.crashes import PAIRS_MAX, Enumeration, Every, parse
from drone_sim.explore.pool import Pool
from drone_sim.explore.runs import Case, Play, crash_words
from drone_sim.result import Crash, Result
from orchestrator.errors import Exit, OperatingError
from tests.explore import fakes


def tried(every: Every, playing: Play, *, keep_going: bool = False) -> tuple[list[str], int]:
    """The points of each run in order, and how many runs were announced."""
    enumeration = Enumeration(case=fakes.case(), every=every)
    with Pool(jobs=1, playing=playing) as pool:
        outcomes = list(enumeration.run(pool, keep_going=keep_going))
    return [crash_words(ran.case.crashes) for ran in outcomes], enumeration.total


def test_each_seam() -> None:
    """A run without a crash, then one for each of the seams that it had."""
    assert (["", "1", "2", "3", "4"], 5) == tried(Every.EACH, fakes.held)


def test_each_callback() -> None:
    """The same with the callbacks."""
    assert (["", "a1", "a2"], 3) == tried(Every.AWAITS, fakes.held)


def test_each_pair() -> None:
    """The second is one of the seams that are left in a run with the first crash."""

    def fewer(case: Case) -> Result:
        return fakes.second_crash_fails(case) if len(case.crashes) < 2 else fakes.held(case)

    expected = ["", "1", "2", "3", "4", "1,2", "1,3", "2,3"]
    assert (expected, len(expected)) == tried(Every.PAIRS, fewer)


def test_it_stops_at_the_first_that_fails() -> None:
    """The point of the failure is the last that was tried."""
    assert ["", "1", "2"] == tried(Every.EACH, fakes.crash_at_two_fails)[0]


def test_it_goes_on_if_it_is_told_to() -> None:
    """All points are tried."""
    found, _ = tried(Every.EACH, fakes.crash_at_two_fails, keep_going=True)
    assert ["", "1", "2", "3", "4"] == found


def test_a_run_that_fails_by_itself_has_no_crash_points() -> None:
    """There is nothing to enumerate where it is broken already."""
    found, _ = tried(Every.EACH, lambda case: fakes.result(case, fakes.MIXED))
    assert [""] == found


def test_too_many_pairs_are_refused() -> None:
    """Before anybody waits for them."""
    enumeration = Enumeration(case=fakes.case(), every=Every.PAIRS)
    with pytest.raises(OperatingError, match="pairs of crash points") as refused:
        enumeration._count_pairs([(_crashed(1), PAIRS_MAX + 2)])
    assert Exit.USAGE == refused.value.exit_code


def _crashed(at: int) -> Case:
    return Case(seed=1, speed=fakes.case().speed, crashes=(Crash(at=at),))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("each", Every.EACH),
        ("awaits", Every.AWAITS),
        ("pairs", Every.PAIRS),
        ("5", (Crash(at=5),)),
        ("a9", (Crash(at=9, await_=True),)),
        ("5,a9", (Crash(at=5), Crash(at=9, await_=True))),
    ],
)
def test_what_may_be_typed(text: str, meant: Every | tuple[Crash, ...]) -> None:
    """Words, or the numbers of points; what is shown of points is read as the same."""
    assert meant == parse(text)
    if isinstance(meant, tuple):
        assert text == crash_words(meant)


@pytest.mark.parametrize("text", ["", "0", "all", "5,", "b9", "-1", "5;6"])
def test_what_may_not_be_typed(text: str) -> None:
    """It is wrong use, and says what is right."""
    with pytest.raises(OperatingError, match="neither each, awaits, pairs") as refused:
        parse(text)
    assert Exit.USAGE == refused.value.exit_code
