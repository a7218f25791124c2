"""The acts of a trace: which act of the scenario each was, whom it was about, when it ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from drone_sim.report.spans import Lives, ProcessSpan, of_kind
from drone_sim.report.words import act_in_words
from drone_sim.scenario.model import Act, Scenario
from drone_sim.scenario.verbs import VERBS, Target, Who
from drone_sim.trace import Event, Kind

EVERYBODY: Final = frozenset({Target.DEVICES, Target.PARTIES})
"""Where a verb names devices so, none named means all of them."""

SAME_S: Final = 1e-5
"""An act and its event are the same when they are closer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActSpan:
    """An act, its number in the story (from 1), and when its effect ended, if it has one."""

    number: int
    verb: str
    text: str
    targets: tuple[str, ...]
    from_s: float
    to_s: float | None


def act_spans(
    scenario: Scenario, events: Sequence[Event], processes: Lives | None = None
) -> tuple[ActSpan, ...]:
    """
    Return the acts that took place, in order. What starts a process lasts as long as that lives.

    What the trace lacks did not take place: the run was stopped before.
    """
    left = list(scenario.acts)
    healed = of_kind(events, Kind.HEALED)
    spans = []
    for number, event in enumerate(of_kind(events, Kind.ACT), 1):
        act = _act_of(left, event)
        if act is None:
            targets: tuple[str, ...] = (event.who,)
            to_s = _healed_at(event, {event.who}, healed)
        else:
            left.remove(act)
            targets = _targets(act, scenario.names)
            to_s = _lasted_until(event, act, healed, processes or {})
        spans.append(
            ActSpan(
                number=number,
                verb=str(event.detail.get("verb") or ""),
                text=event.text if act is None else act_in_words(act),
                targets=targets,
                from_s=event.at_s,
                to_s=to_s if to_s is not None and to_s > event.at_s else None,
            )
        )
    return tuple(spans)


def _act_of(acts: Sequence[Act], event: Event) -> Act | None:
    """Find the act of an event, by its time and verb, and by who it is about if need be."""
    near = [
        act
        for act in acts
        if act.verb.value == event.detail.get("verb") and abs(act.at_s - event.at_s) <= SAME_S
    ]
    named = [act for act in near if event.who in {act.who, ",".join(act.target)}]
    return next(iter((*named, *near)), None)


def _targets(act: Act, devices: tuple[str, ...]) -> tuple[str, ...]:
    """Return whom an act is about; for some verbs nobody means every device."""
    return act.target or (devices if VERBS[act.verb].target in EVERYBODY else ())


def _lasted_until(
    event: Event, act: Act, healed: Sequence[Event], processes: Lives
) -> float | None:
    """Return when an act ended: when the trace says so, else when the scenario does."""
    if VERBS[act.verb].who is Who.NEW:
        return _lived_until(processes.get(act.who, ()), event.at_s)
    told_s = _healed_at(event, {event.who, act.who, *act.target}, healed)
    if told_s is None and act.for_s is not None:
        return event.at_s + act.for_s
    return told_s


def _healed_at(event: Event, about: Collection[str], healed: Sequence[Event]) -> float | None:
    verb = event.detail.get("verb")
    for end in healed:
        if end.at_s >= event.at_s and end.detail.get("verb") == verb and end.who in about:
            return end.at_s
    return None


def _lived_until(lives: Sequence[ProcessSpan], began_s: float) -> float | None:
    """Return the end of the life that began then; ``None`` for one that was over at once."""
    to_s = began_s
    for life in lives:
        if abs(life.from_s - to_s) <= SAME_S:
            to_s = life.to_s
    return to_s if to_s > began_s else None
