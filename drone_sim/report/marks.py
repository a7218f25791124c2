"""
Messages and notices as small marks in the lane of whom they are about.

A message that was sent has a mark in its sender's lane, one that arrived, was lost or came twice
one in the lane of whom it is for. Where there are too many to be drawn, those closest to each
other become one mark, and the tooltip has the words of them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drone_sim.report.markup import NOTHING, Markup, join, number, tag, text
from drone_sim.report.window import Window
from drone_sim.report.words import at, event_words
from drone_sim.trace import Event, Kind

MARKS_MAX: Final = 2500
"""In one chart; a mark is about 130 bytes of markup."""

FINEST_S: Final = 0.0005
"""Messages of one kind that are closer than this are one mark in any case."""

WORDS_MAX: Final = 6
"""So many are named in a tooltip."""

MARKS_PX: Final = 8
"""How high the row of marks of a lane is."""


@dataclass(frozen=True, slots=True)
class Place:
    """The lane of a mark, and what became of the message (or ``notice``)."""

    lane: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """All marks of a chart, by lane. ``apart_s`` is how close they are at the closest."""

    of_lane: Mapping[str, Markup]
    apart_s: float


def marks(window: Window, events: Iterable[Event], lanes: Mapping[str, str]) -> Marks:
    """Draw the messages and notices of a window; ``lanes`` has the lane of each party."""
    placed = _placed((event for event in events if window.holds(event.at_s)), lanes)
    apart_s = FINEST_S
    merged = _merged(placed, apart_s)
    while len(merged) > MARKS_MAX:
        apart_s *= 2
        merged = _merged(placed, apart_s)
    drawn: dict[str, list[Markup]] = {lane: [] for lane in lanes.values()}
    for (place, _slot), of_one in sorted(merged.items(), key=lambda item: _order(item[0][0])):
        drawn[place.lane].append(_mark(window, place.end, of_one))
    return Marks(of_lane={lane: join(parts) for lane, parts in drawn.items()}, apart_s=apart_s)


def _order(place: Place) -> int:
    """Draw the lost last: nothing may cover them."""
    return ("notice", "sent", "arrived", "repeated", "lost").index(place.end)


def _placed(events: Iterable[Event], lanes: Mapping[str, str]) -> list[tuple[Place, Event]]:
    placed = ((_place(event, lanes), event) for event in events)
    return [(place, event) for place, event in placed if place is not None]


def _place(event: Event, lanes: Mapping[str, str]) -> Place | None:
    if event.kind is Kind.NOTICE:
        return Place(lanes[event.who], "notice") if event.who in lanes else None
    end = str(event.detail.get("end") or "sent")
    end = end if end in {"sent", "arrived", "repeated", "lost"} else "sent"
    to = str(event.detail.get("to") or "")
    if end == "arrived" and to not in lanes:
        return None  # at the broker: one hop of two
    party = event.who if end == "sent" or to not in lanes else to
    return Place(lanes[party], end) if party in lanes else None


def _merged(
    placed: Sequence[tuple[Place, Event]], apart_s: float
) -> dict[tuple[Place, int], list[Event]]:
    merged: dict[tuple[Place, int], list[Event]] = {}
    for place, event in placed:
        merged.setdefault((place, int(event.at_s // apart_s)), []).append(event)
    return merged


def _mark(window: Window, end: str, events: Sequence[Event]) -> Markup:
    x = window.place(events[0].at_s)
    title = tag("title", text("\n".join(_told(events))))
    match end:
        case "lost":
            return tag("text", title, text("×"), x=x, y=8, class_="lost")
        case "repeated":
            return tag("circle", title, cx=x, cy=4, r=2.5, class_="repeated")
        case "notice":
            return tag("circle", title, cx=x, cy=4, r=1.5, class_="notice")
        case "arrived":
            return tag("line", title, x1=x, x2=x, y1=4, y2=8, class_="arrived")
    return tag("line", title, x1=x, x2=x, y1=0, y2=4, class_="sent")


def _told(events: Sequence[Event]) -> list[str]:
    told = [_told_one(event) for event in events[:WORDS_MAX]]
    more = len(events) - len(told)
    return [*told, f"and {more} more"] if more > 0 else told


def _told_one(event: Event) -> str:
    said = "told: " if event.kind is Kind.NOTICE else ""
    return f"{at(event.at_s)}  {event.who}: {said}{event_words(event)}"


def apart_words(found: Marks) -> Markup:
    """Say how far apart marks are, where some were joined because there are so many."""
    if found.apart_s <= FINEST_S:
        return NOTHING
    apart = f"{number(found.apart_s * 1e3)} ms"
    return text(f"Messages less than {apart} apart are one mark.")
