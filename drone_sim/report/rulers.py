"""The lanes above the devices: time, phases, acts and faults, instants, transactions, the lock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drone_sim.explore.figures import is_fault
from drone_sim.report.deeds import ActSpan
from drone_sim.report.markup import Markup, join, number, tag, text
from drone_sim.report.played import Played
from drone_sim.report.spans import LockSpan, Transaction
from drone_sim.report.strips import FLAG_PX, Lane, band, flag, line, stacked
from drone_sim.report.window import View, ticks
from drone_sim.report.words import at, counted, duration, listed
from drone_sim.trace import Event

TICKS: Final = 8
"""Where no script knows better: as many as fit on a narrow page."""

ACT_ROWS: Final = 10
"""More are made only where spans would cover each other."""

ACT_ROWS_MAX: Final = 20
CHARS_SHOWN: Final = 150
"""About so many characters of text are as long as a chart: to keep labels from each other."""

AXIS_PX: Final = 20
BAND_PX: Final = 18


# --- time -------------------------------------------------------------------------------------


def axis(view: View) -> Lane:
    """Return the axis."""
    body = tag("g", join(_ticks(view)), class_="ticks")
    says = f"{at(view.shown.from_s)} to {at(view.shown.to_s)} of the story, true time"
    return Lane(name="time", note="s", class_="axis", height=AXIS_PX, body=body, says=says)


def _ticks(view: View) -> Iterator[Markup]:
    for at_s, shown in ticks(view.shown, TICKS):
        x = view.place(at_s)
        yield tag("line", x1=x, x2=x, y1=14, y2=20)
        yield tag("text", text(shown), x=x, y=11)


def grid(view: View) -> Markup:
    """Return the ticks as faint lines over all lanes."""
    lines = (line(view, at_s, class_="grid") for at_s, _ in ticks(view.shown, TICKS))
    return tag("g", join(lines), class_="ticks")


PHASES: Final[Mapping[str, str]] = {
    "prologue": "before the story",
    "safety": "the story: anything may fail",
    "story": "the story: anything may fail",
    "liveness": "all is repaired: everybody must become well",
    "healing": "all is repaired: everybody must become well",
    "last push": "a last push must commit",
    "healthy push": "a last push must commit",
}
"""What the engines call the phases of a run, for people."""


def phases(view: View, story: Played) -> Lane | None:
    """Return the phases of the run; ``None`` where the trace tells of none."""
    told = [event for event in story.phases if event.at_s <= view.to_s]
    if not told:
        return None
    bands = []
    for event, until_s in zip(told, (*(one.at_s for one in told[1:]), view.to_s), strict=True):
        span = view.clipped(event.at_s, until_s)
        if span is not None and span[1] > span[0]:
            words = phase_words(event)
            bands.append(band(view, span, class_="phase", label=words, title=words, height=16))
    says = "; ".join(f"from {at(event.at_s)} {phase_words(event)}" for event in told)
    return Lane(name="phase", height=16, body=join(bands), says=says)


def phase_words(event: Event) -> str:
    """Return what a phase is, in words."""
    return PHASES.get(event.text, event.text)


# --- acts and faults --------------------------------------------------------------------------


@dataclass(slots=True)
class _Row:
    ends_s: float = -math.inf
    """Until when its spans last."""
    free_s: float = -math.inf
    """Until when its words do."""
    acts: list[ActSpan] = field(default_factory=list)


def acts(view: View, story: Played) -> Lane | None:
    """Return what happened to the fleet, in as many rows as the words need."""
    inside = [one for one in story.acts if view.clipped(one.from_s, one.to_s or one.from_s)]
    if not inside:
        return None
    rows = _rows(inside, view)
    body = join(part for number_, row in enumerate(rows) for part in _act_row(view, row, number_))
    says = listed((f"{one.number} at {at(one.from_s)} {one.text}" for one in inside), 12)
    height = max(len(rows) * FLAG_PX, BAND_PX)
    return Lane(name="acts", note="◆ fault ▸ action", height=height, body=body, says=says)


def _rows(inside: Sequence[ActSpan], view: View) -> list[_Row]:
    """
    Lay out acts and their words.

    Each goes where neither covers another, in a new row if need be; where there are many, words
    are cut off, and only then spans lie upon each other.
    """
    rows: list[_Row] = []
    for one in inside:
        row = _row_for(one, rows)
        row.ends_s = max(row.ends_s, one.to_s or one.from_s)
        words_s = (len(act_label(one)) + 2) / CHARS_SHOWN * view.shown.length_s
        row.free_s = max(row.ends_s, one.from_s + words_s)
        row.acts.append(one)
    return rows


def _row_for(one: ActSpan, rows: list[_Row]) -> _Row:
    for row in rows:
        if row.free_s <= one.from_s:
            return row
    if len(rows) >= ACT_ROWS:
        for row in rows:
            if row.ends_s <= one.from_s:
                return row
    if len(rows) < ACT_ROWS_MAX:
        rows.append(_Row())
        return rows[-1]
    return min(rows, key=lambda row: row.ends_s)


def act_label(one: ActSpan) -> str:
    """Return ``◆ 3 cut d-01 from the broker``: the number is that of the list."""
    return f"{'◆' if is_fault(one.verb) else '▸'} {one.number} {one.text}"


def _act_row(view: View, row: _Row, place: int) -> Iterator[Markup]:
    ends = (*(one.from_s for one in row.acts[1:]), view.to_s)
    for one, next_s in zip(row.acts, ends, strict=True):
        class_ = "fault" if is_fault(one.verb) else "deed"
        span = view.clipped(one.from_s, one.to_s if one.to_s is not None else one.from_s)
        if span is not None and span[1] > span[0]:
            yield band(view, span, class_=class_, y=place * FLAG_PX + 1, height=FLAG_PX - 2)
        begin_s = max(one.from_s, view.from_s)
        yield flag(
            view,
            (begin_s, max(next_s, begin_s)),
            act_label(one),
            stays_until_s=one.to_s,
            class_=f"{class_}-text",
            title=act_title(one),
            y=place * FLAG_PX,
        )


def act_title(one: ActSpan) -> str:
    """Return an act with its time."""
    ended = "" if one.to_s is None else f" to {at(one.to_s)} ({duration(one.to_s - one.from_s)})"
    return f"{one.number}. {at(one.from_s)}{ended}\n{one.text}"


# --- instants ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """A vertical line over all lanes, with a label in the ``row`` of its kind."""

    row: int
    at_s: float
    class_: str
    label: str
    title: str


INSTANTS: Final = ("decided", "hold_at", "activate_at")


def instants(transactions: Iterable[Transaction]) -> Iterator[Instant]:
    """Yield the lines of all transactions."""
    for one in transactions:
        if one.decided_s is not None:
            outcome = one.outcome.upper()
            yield Instant(
                row=0,
                at_s=one.decided_s,
                class_=f"decided {_outcome_class(one)}",
                label=f"{one.name} {outcome}",
                title=f"{at(one.decided_s)}  {one.name} ({one.txn}) decided: {outcome}",
            )
        if one.hold_at_s is not None:
            told = f"{at(one.hold_at_s)}  hold_at of {one.name}: who knows no decision yet holds"
            yield _instant(1, one.hold_at_s, "hold-at", one.name, told)
        if one.activate_at_s is not None and one.outcome != "abort":
            told = (
                f"{at(one.activate_at_s)}  activate_at of {one.name}: who knows COMMIT aims anew"
            )
            yield _instant(2, one.activate_at_s, "activate-at", one.name, told)


def _instant(row: int, at_s: float, class_: str, label: str, title: str) -> Instant:
    return Instant(row=row, at_s=at_s, class_=class_, label=label, title=title)


def _outcome_class(one: Transaction) -> str:
    return one.outcome if one.outcome in {"commit", "abort"} else "open"


def instant_lane(view: View, found: Sequence[Instant], row: int) -> Lane | None:
    """Return the labels of one kind of instant; ``None`` where the window has none."""
    inside = sorted(
        (one for one in found if one.row == row and view.holds(one.at_s)),
        key=lambda one: one.at_s,
    )
    if not inside:
        return None
    ends = (*(one.at_s for one in inside[1:]), view.to_s)
    flags = [
        flag(view, (one.at_s, end), one.label, class_=one.class_, title=one.title)
        for one, end in zip(inside, ends, strict=True)
    ]
    says = "; ".join(f"{one.label} at {at(one.at_s)}" for one in inside)
    key = ("solid line", "dashed", "dotted")[row]
    name = INSTANTS[row]
    return Lane(name=name, note=key, height=FLAG_PX, body=join(flags), says=says)


# --- the journal and the lock -----------------------------------------------------------------


def journal(view: View, story: Played) -> Lane:
    """Return the transactions as bands, and every record as a tick above them."""
    bands = [part for one in story.transactions for part in _transaction(view, one)]
    records = [_record(view, event) for event in story.journal if view.holds(event.at_s)]
    says = "; ".join(_transaction_words(one) for one in story.transactions) or "no transaction"
    return Lane(
        name="journal",
        note=counted(len(records), "record"),
        height=BAND_PX + 6,
        body=join([*bands, *records]),
        says=says,
    )


def _transaction(view: View, one: Transaction) -> Iterator[Markup]:
    decided_s = one.decided_s if one.decided_s is not None else view.to_s
    ended_s = one.ended_s if one.ended_s is not None else view.to_s
    undecided = view.clipped(one.begun_s, decided_s)
    driven = view.clipped(decided_s, ended_s) if one.decided_s is not None else None
    title = _transaction_words(one)
    if undecided is not None:
        yield band(
            view,
            undecided,
            class_="open",
            label=f"{one.name} undecided",
            title=title,
            y=6,
            height=BAND_PX,
        )
    if driven is not None:
        yield band(
            view,
            driven,
            class_=_outcome_class(one),
            label=f"{one.name} {one.outcome.upper()}, not all know yet",
            title=title,
            y=6,
            height=BAND_PX,
        )


def _transaction_words(one: Transaction) -> str:
    decided = "not decided"
    if one.decided_s is not None:
        decided = f"{one.outcome.upper()} at {at(one.decided_s)}"
    ended = "open to the end" if one.ended_s is None else f"ended at {at(one.ended_s)}"
    return f"{one.name} ({one.txn}) begun at {at(one.begun_s)}, {decided}, {ended}"


def _record(view: View, event: Event) -> Markup:
    x = view.place(event.at_s)
    index = event.detail.get("index")
    title = f"{at(event.at_s)}  record {number(float(index or 0), 0)}: {event.text}"
    return tag("line", tag("title", text(title)), x1=x, x2=x, y1=0, y2=6, class_="record")


def lock(view: View, story: Played) -> Lane:
    """Return who held the lock when; a ghost is a lock whose owner is gone."""
    bands = []
    for one in story.lock:
        span = view.clipped(one.from_s, story.drawn_to(one.to_s, view.to_s))
        if span is not None and one.state != "free":
            label, title = lock_words(one), stacked((lock_words(one), _times(one)))
            class_ = "ghost" if one.ghost else _lock_class(one)
            bands.append(band(view, span, class_=class_, label=label, title=title, height=BAND_PX))
    says = "; ".join(f"{lock_words(one)} from {at(one.from_s)}" for one in story.lock)
    return Lane(name="lock", note="who holds it", height=BAND_PX, body=join(bands), says=says)


def _lock_class(one: LockSpan) -> str:
    return "resolving" if one.state == "resolving" else "held"


def lock_words(one: LockSpan) -> str:
    """Return ``held by push-1, epoch 7``."""
    if one.state == "free":
        return "free"
    epoch = f", epoch {one.epoch}" if one.epoch else ""
    if one.ghost:
        return f"GHOST: {one.owner} is gone{epoch}"
    return f"{one.state} by {one.owner}{epoch}"


def _times(one: LockSpan) -> str:
    return f"{at(one.from_s)} to {at(one.to_s)} ({duration(one.to_s - one.from_s)})"
