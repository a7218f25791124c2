"""A run as text beside its lanes: its acts, the states of its devices, and every event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from drone_sim.report.deeds import ActSpan
from drone_sim.report.lanes import prepared_times, state_words, violations_of
from drone_sim.report.markup import NOTHING, Markup, join, tag, text
from drone_sim.report.page import details
from drone_sim.report.played import Played
from drone_sim.report.rulers import act_label
from drone_sim.report.words import at, counted, duration, event_words
from drone_sim.trace import Event, Kind

EVENTS_MAX: Final = 3000
STATES_MAX: Final = 1000
ACTS_MAX: Final = 100
LAST_MAX: Final = 12

COMMON: Final = frozenset({Kind.MESSAGE, Kind.WRITE})
"""What there is most of: left out first, the earliest of it before the latest."""


def acts_list(story: Played, planned: int) -> Markup:
    """Return what took place, numbered as in the lanes; ``planned`` is how many there are."""
    if not story.acts:
        return tag("p", text("Nothing was done to the fleet."))
    items = [_act_item(one) for one in story.acts[:ACTS_MAX]]
    missing = max(planned - len(story.acts), 0)
    more = len(story.acts) - len(items)
    notes = [f"{counted(more, 'more act')} took place."] if more > 0 else []
    if missing:
        notes.append(f"{counted(missing, 'more act')} did not: the run was over before.")
    rows = tag("ol", join(items), class_="acts")
    return join((rows, tag("p", text(" ".join(notes)), class_="note") if notes else NOTHING))


def _act_item(one: ActSpan) -> Markup:
    ended = f", until {at(one.to_s)}" if one.to_s is not None else ""
    mark, _, words = act_label(one).split(" ", 2)
    return tag(
        "li",
        tag("span", text(mark), aria_hidden="true"),
        text(f" {at(one.from_s)}{ended}: "),
        tag("b", text(words)),
    )


def states_table(story: Played) -> Markup:
    """Return the lanes of the devices as a table: for reading aloud, searching and copying."""
    rows = list(_states(story))
    if not rows:
        return NOTHING
    head = tag("tr", join(tag("th", text(one), scope="col") for one in STATE_HEADS))
    body = join(rows[:STATES_MAX])
    shown = tag("table", tag("thead", head), tag("tbody", body), class_="states")
    more = len(rows) - STATES_MAX
    note = tag("p", text(f"{counted(more, 'more state')} left out."), class_="note")
    title = f"The devices as a table ({counted(len(rows), 'state')})"
    scrolled = tag("div", shown, class_="wide", tabindex=0)
    return details(title, scrolled, note if more > 0 else NOTHING)


STATE_HEADS: Final = ("device", "from", "to", "for", "state", "prepared for")


def _states(story: Played) -> Iterator[Markup]:
    for name, spans in story.devices.items():
        prepared = prepared_times(spans)
        for span in spans:
            voted = [
                story.name_of(txn)
                for txn, from_s, to_s in prepared
                if from_s <= span.from_s < to_s
            ]
            cells = (
                at(span.from_s),
                at(span.to_s),
                duration(span.to_s - span.from_s),
                state_words(span),
                ", ".join(voted),
            )
            yield tag(
                "tr",
                tag("th", text(name), scope="row"),
                join(tag("td", text(cell)) for cell in cells),
                data_who=name,
            )


def events_list(events: Sequence[Event], devices: Sequence[str]) -> Markup:
    """Return the events of a trace, those that are rarest first where not all have room."""
    kept = kept_events(events)
    known = frozenset(devices)
    head = tag("tr", join(tag("th", text(one), scope="col") for one in ("s", "what", "who", "")))
    rows = join(_event_row(event, known) for event in kept)
    more = len(events) - len(kept)
    words = f"{counted(more, 'message or write', 'messages and writes')} left out, the earliest."
    return details(
        f"Events ({len(kept):,} of {len(events):,})",
        tag("p", text(words), class_="note") if more else NOTHING,
        tag("table", tag("thead", head), tag("tbody", rows), class_="events"),
    )


def last_events(story: Played, events: Sequence[Event]) -> Markup:
    """
    Return what happened last before a violation, without messages and writes.

    Of the devices only those that it names, if it names any.
    """
    named = {name for name in story.devices if violations_of(story, name)}
    others = story.devices.keys() - named if named else frozenset()
    told = [
        one
        for one in events
        if one.kind not in COMMON
        and one.who not in others
        and one.detail.get("record") != "lease_horizon"  # renewed ever and ever again
    ]
    rows = join(_event_row(event, frozenset()) for event in told[-LAST_MAX:])
    return tag("table", tag("tbody", rows), class_="events")


def kept_events(events: Sequence[Event]) -> list[Event]:
    """Return as many events as a page has room for, in order: the common ones go first."""
    room = EVENTS_MAX
    chosen: set[int] = set()
    for common in (False, True):
        places = [n for n, event in enumerate(events) if (event.kind in COMMON) is common]
        chosen.update(places[max(0, len(places) - room) :] if room else ())
        room = EVENTS_MAX - len(chosen)
    return [events[place] for place in sorted(chosen)]


def _event_row(event: Event, devices: frozenset[str]) -> Markup:
    about = (event.who, str(event.detail.get("to") or ""))
    touched = [name for name in about if name in devices]
    return tag(
        "tr",
        tag("td", text(f"{event.at_s:.3f}")),
        tag("td", text(event.kind.value)),
        tag("td", text(event.who)),
        tag("td", text(event_words(event))),
        class_=f"k-{event.kind.value}",
        data_who=" ".join(touched) or None,
    )
