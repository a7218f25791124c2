"""Every verb has a meaning, and a phrase in which people write it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drone_sim.scenario.model import Act, Verb
from drone_sim.scenario.phrases import Unreadable, example, read, written
from drone_sim.scenario.verbs import VERBS, machine_of, problems, word_of
from tests.scenario.stories import acts, spelled


def test_every_verb_has_a_meaning_in_order() -> None:
    """The table has every verb, in the order of the vocabulary."""
    assert list(Verb) == list(VERBS)


@pytest.mark.parametrize("verb", Verb, ids=lambda verb: verb.value)
def test_a_meaning_is_whole(verb: Verb) -> None:
    """A meaning says what it means and has a slot for everything that it has."""
    meaning = VERBS[verb]
    slots = {
        "{who}": meaning.who.name != "NOBODY",
        "{target}": meaning.target.name != "NOBODY",
        "{for}": bool(meaning.lasts),
        "{amount}": meaning.amount is not None,
        "{word}": bool(meaning.words) or meaning.free_word,
    }
    assert meaning.says.endswith(".")
    assert slots == {slot: slot in meaning.phrase for slot in slots}


@pytest.mark.parametrize("verb", Verb, ids=lambda verb: verb.value)
@settings(max_examples=30)
@given(data=st.data())
def test_what_is_written_is_read(verb: Verb, data: st.DataObject) -> None:
    """The line of an act is read as that act, whatever stands in it, and fits its meaning."""
    act = data.draw(acts(verb=verb))
    assert spelled(act) == read(written(act))
    assert [] == list(problems(act))


@given(acts())
def test_no_line_means_two_things(act: Act) -> None:
    """The line of an act is the line of no other verb."""
    assert act.verb is read(written(act)).verb


LINES = [
    ("at 1.2 s kill mira", Act(at_s=1.2, verb=Verb.KILL, who="mira")),
    ("at 0 s mira pushes", Act(at_s=0, verb=Verb.PUSH, who="mira")),
    ("at 3 s ops force-unlocks", Act(at_s=3, verb=Verb.FORCE_UNLOCK, who="ops")),
    (
        "at 2 s cut d-03 and d-04 from the broker for 5 s",
        Act(at_s=2, verb=Verb.CUT, target=("d-03", "d-04"), for_s=5),
    ),
    (
        "at 4 s d-02 loses power for 3 s",
        Act(at_s=4, verb=Verb.CRASH, target=("d-02",), for_s=3, word="power"),
    ),
    (
        "  at 200 ms  d-01, d-02, and d-03 are killed for 2 min ",
        Act(at_s=0.2, verb=Verb.CRASH, target=("d-01", "d-02", "d-03"), for_s=120, word="kill"),
    ),
    ("at 1 s everybody freezes", Act(at_s=1, verb=Verb.SUSPEND)),
    (
        "at 1 s noor@aim-2 pushes version 1 again without d-01 giving up after 2 s waiting 5 s",
        Act(
            at_s=1,
            verb=Verb.PUSH,
            who="noor@aim-2",
            target=("d-01",),
            for_s=5,
            amount=2,
            word="back",
        ),
    ),
    (
        'at 1 s d-01 refuses for 3 s because it is not "ready" for 5 s',
        Act(
            at_s=1,
            verb=Verb.REFUSE,
            target=("d-01",),
            for_s=3,
            word='it is not "ready" for 5 s',
        ),
    ),
]


@pytest.mark.parametrize(("line", "act"), LINES, ids=[line.strip() for line, _ in LINES])
def test_lines_as_people_write_them(line: str, act: Act) -> None:
    """A line that a person would write means what they would mean."""
    assert act == read(line)


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        ("kill mira", "does not begin with a time", "write 'at 1.2 s ...'"),
        ("at 1 h kill mira", "does not begin with a time", "write 'at 1.2 s ...'"),
        ("at 1 s kil mira", "'kil mira' is nothing that can happen", example(Verb.KILL)),
        ("at 1 s ops unlocks", "'ops unlocks' is nothing", example(Verb.FORCE_UNLOCK)),
        ("at 1 s d-01 lost power", "'d-01 lost power' is nothing", example(Verb.CRASH)),
        ("at 1 s " + "x" * 1000, "has more than 1000 characters", "write one act a line"),
    ],
)
def test_a_line_that_is_none(line: str, message: str, fix: str) -> None:
    """What can't be read says why, and how it may have been meant."""
    with pytest.raises(Unreadable, match=message) as caught:
        read(line)
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (Act(at_s=0, verb=Verb.KILL), ["who must be a process that was started"]),
        (Act(at_s=0, verb=Verb.CUT, who="mira"), ["who must be nobody"]),
        (Act(at_s=0, verb=Verb.KILL, who="m", target=("d",)), ["target must be nobody"]),
        (Act(at_s=0, verb=Verb.REPLACE), ["target must name devices"]),
        (Act(at_s=0, verb=Verb.KILL, who="m", for_s=1), ["for_s must not be given: it has no"]),
        (Act(at_s=-1, verb=Verb.CUT), ["at_s must be within 0 and 3600"]),
        (Act(at_s=0, verb=Verb.CUT, for_s=-1), ["for_s must be within 0 and 3600"]),
        (Act(at_s=0, verb=Verb.CUT, amount=1), ["amount must not be given"]),
        (Act(at_s=0, verb=Verb.BROKER_DROPS, amount=2), ["amount must be within 0 and 1"]),
        (Act(at_s=0, verb=Verb.REPLAY, amount=1.5), ["amount must be a whole number"]),
        (Act(at_s=0, verb=Verb.CUT, word="left"), ["word must be one of '', 'up', 'down'"]),
    ],
)
def test_what_does_not_fit(act: Act, found: list[str]) -> None:
    """An act that its verb can't have is told, and nothing else about it."""
    told = list(problems(act))
    assert [True] * len(found) == [
        text.startswith(start) for text, start in zip(told, found, strict=True)
    ]


def test_an_empty_word_stands_for_the_first() -> None:
    """Where no word is given and "" is none of them, the first is meant."""
    assert "power" == word_of(Act(at_s=0, verb=Verb.CRASH))
    assert "" == word_of(Act(at_s=0, verb=Verb.CUT))


def test_a_process_runs_where_its_name_says() -> None:
    """Without a machine in its name a process runs on the one that all share."""
    assert ("control", "aim-2") == (machine_of("mira"), machine_of("mira@aim-2"))
