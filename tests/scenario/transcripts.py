"""
Golden transcripts: what of a run people would tell, in lines that can be compared.

Acts, records of the journal, what devices do; no messages, no writes. What several devices
do together is one line. A transaction is called by its number, since its id says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from drone_sim.explore.ends import LAST_PHASES, end_of
from drone_sim.result import Result
from drone_sim.scenario.model import Scenario, Verb
from drone_sim.scenario.phrases import written
from drone_sim.trace import Event, Kind

TOLD = frozenset({Kind.ACT, Kind.JOURNAL, Kind.STATE})


TOGETHER_S = 0.1
"""Within so long, who does the same is told in one line."""


def transcript(result: Result) -> str:
    """What a run with a trace came to, from the start of its story to the last push."""
    return "\n".join(_lines(result)) + "\n"


def records(result: Result) -> list[str]:
    """The records that a story left in the journal: kind, transaction, outcome."""
    assert result.trace is not None
    numbers = _numbers(result.trace.events)
    return [
        " ".join(
            str(part)
            for part in (
                event.detail["record"],
                numbers.get(str(event.detail.get("txn"))),
                event.detail.get("outcome"),
            )
            if part is not None
        )
        for event in _story(result.trace.events)
        if event.kind is Kind.JOURNAL
    ]


def _lines(result: Result) -> Iterator[str]:
    assert result.trace is not None
    events = [event for event in _changes(result.trace.events) if event.kind in TOLD]
    numbers = _numbers(result.trace.events)
    for line in _told(events, result.scenario):
        yield re.sub(r"[\w-]+", lambda word: numbers.get(word[0], word[0]), line)
    end = end_of(result.trace.events, fresh=result.scenario.fresh)
    pushing = {act.who.partition("@")[0] for act in result.scenario.acts if act.verb is Verb.PUSH}
    told = [f"{who} {outcome}" for who, outcome in end.pushes.items() if who in pushing]
    lock = "free" if end.lock_free else "held"
    yield f"end: version {end.version}, lock {lock}; {', '.join(told)}"
    yield from (f"violated: {one}" for one in result.violations)


def _numbers(events: list[Event]) -> dict[str, str]:
    """The name of each transaction by its id: the number of the version that it would install."""
    begun = (event for event in events if event.detail.get("record") == "begun")
    return {str(event.detail["txn"]): f"t{event.detail['seq']}" for event in begun}


def _story(events: list[Event]) -> Iterator[Event]:
    for event in events:
        if event.kind is Kind.PHASE and event.text in LAST_PHASES:
            return
        if event.at_s > 0 or (event.at_s == 0 and event.kind is not Kind.STATE):
            yield event


def _changes(events: list[Event]) -> Iterator[Event]:
    """The story, without what a device says again and the instant between two of its states."""
    known: dict[str, str] = {}
    story = set(map(id, _story(events)))
    for event in events:
        again = False
        if event.kind is Kind.STATE:
            again = known.get(event.who) == _state(event) or _is_between(event)
            known.update({} if again else {event.who: _state(event)})
        if id(event) in story and not again:
            yield event


def _is_between(event: Event) -> bool:
    detail = event.detail
    return bool(detail["up"]) and detail["operating"] is None and not detail["holds"]


def _state(event: Event) -> str:
    return event.text if event.detail["up"] else "is down"


def _told(events: list[Event], scenario: Scenario) -> Iterator[str]:
    """Tell events one by one, and together what devices do together."""
    acts = iter(scenario.acts)
    waiting: list[Event] = []
    for event in events:
        if waiting and (event.kind is not Kind.STATE or event.at_s > waiting[0].at_s + TOGETHER_S):
            yield from _together(waiting, scenario)
            waiting = []
        if event.kind is Kind.STATE:
            waiting.append(event)
        elif event.kind is Kind.ACT:
            yield written(next(acts))
        else:
            yield f"{event.at_s:8.2f}  {event.text}"
    yield from _together(waiting, scenario)


def _together(events: list[Event], scenario: Scenario) -> Iterator[str]:
    for text in dict.fromkeys(_state(event) for event in events):
        same = [event for event in events if _state(event) == text]
        names = sorted(dict.fromkeys(event.who for event in same))
        who = "everybody" if names == sorted(scenario.names) else ", ".join(names)
        yield f"{same[0].at_s:8.2f}  {who} {text}"
