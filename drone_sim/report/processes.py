"""
The lanes of the processes: who lived when, and how each came to its end.

Whoever lives for long has a lane of its own. The others, most of them commands that take a blink,
share a few lanes in which none covers another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drone_sim.report.marks import MARKS_PX, Marks
from drone_sim.report.markup import NOTHING, Markup, join, tag, text
from drone_sim.report.played import Played
from drone_sim.report.spans import ProcessSpan
from drone_sim.report.strips import Lane, band, flag, stacked
from drone_sim.report.window import View
from drone_sim.report.words import at

LONG: Final = 0.04
"""The share of what is shown that a process with a lane of its own lives for."""

OWN_LANES_MAX: Final = 16
SHARED_LANES_MAX: Final = 4
SHARED: Final = "commands"
BAND_PX: Final = 16
PROCESS_PX: Final = MARKS_PX + BAND_PX + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A lane, and the processes in it."""

    name: str
    names: tuple[str, ...]
    shared: bool = False


def process_rows(view: View, story: Played) -> list[Row]:
    """Lay out the processes that live in a view: shared lanes first, then those of one each."""
    inside = [name for name, spans in story.processes.items() if _lives_in(view, spans)]
    ranked = sorted(inside, key=lambda name: -_share(view, story.processes[name]))
    own = {name for name in ranked[:OWN_LANES_MAX] if _share(view, story.processes[name]) >= LONG}
    shared = _packed(story, [name for name in inside if name not in own])
    several = len(shared) > 1
    return [
        *(
            Row(name=f"{SHARED} {n}" if several else SHARED, names=tuple(names), shared=True)
            for n, names in enumerate(shared, 1)
        ),
        *(Row(name=name, names=(name,)) for name in inside if name in own),
    ]


def _lives_in(view: View, spans: Sequence[ProcessSpan]) -> bool:
    return any(view.clipped(span.from_s, span.to_s) for span in spans)


def _share(view: View, spans: Sequence[ProcessSpan]) -> float:
    return sum(view.seen(span.from_s, span.to_s) for span in spans)


def _packed(story: Played, names: Sequence[str]) -> list[list[str]]:
    """Lay each process in the first lane where all others have ended; the last takes the rest."""
    rows: list[list[str]] = []
    free_s: list[float] = []
    for name in names:
        spans = story.processes[name]
        place = next((n for n, at_s in enumerate(free_s) if at_s <= spans[0].from_s), len(rows))
        if place == len(rows) and len(rows) < SHARED_LANES_MAX:
            rows.append([])
            free_s.append(0.0)
        place = min(place, len(rows) - 1)
        rows[place].append(name)
        free_s[place] = spans[-1].to_s
    return rows


def process_lane(view: View, story: Played, row: Row, marked: Marks) -> Lane:
    """Return one lane."""
    lives = [(name, span) for name in row.names for span in story.processes[name]]
    body = [part for name, span in lives for part in _band(view, story, name, span, row)]
    if row.shared:
        body += list(_names(view, story, row.names))
    note = "brief" if row.shared else lives[0][1].does or "process"
    says = "; ".join(f"{name} {process_words(span)}" for name, span in lives)
    return Lane(
        name=row.name,
        note=note,
        class_="process",
        height=PROCESS_PX,
        body=join([*body, marked.of_lane.get(row.name, NOTHING)]),
        says=says,
    )


def _names(view: View, story: Played, names: Sequence[str]) -> Iterator[Markup]:
    """Yield the names of processes that may be too brief to have one in their band."""
    begun = [story.processes[name][0].from_s for name in names]
    for name, from_s, until_s in zip(names, begun, (*begun[1:], view.to_s), strict=True):
        last = story.processes[name][-1]
        inside = view.clipped(from_s, max(until_s, from_s))
        if inside is not None:
            x = view.place(from_s)
            yield tag("line", x1=x, x2=x, y1=MARKS_PX, y2=MARKS_PX + BAND_PX, class_="record")
            yield flag(
                view,
                inside,
                _does(name, last),
                stays_until_s=last.to_s,
                class_="brief",
                title=_title(name, last),
                y=MARKS_PX,
            )


def _does(name: str, span: ProcessSpan) -> str:
    return f"{name}: {span.does}" if span.does else name


def _title(name: str, span: ProcessSpan) -> str:
    times = f"{_does(name, span)}  {at(span.from_s)} to {at(span.to_s)}"
    return stacked((times, process_words(span), span.said))


def process_words(span: ProcessSpan) -> str:
    """Return how a process was: ``runs``, ``runs, then killed``, ``stopped (SIGSTOP)``."""
    if span.paused:
        return "stopped (SIGSTOP)"
    return f"runs, then {span.end}" if span.end in {"killed", "ended"} else "runs"


def _band(view: View, story: Played, name: str, span: ProcessSpan, row: Row) -> Iterator[Markup]:
    inside = view.clipped(span.from_s, story.drawn_to(span.to_s, view.to_s))
    if inside is None:
        return
    yield band(
        view,
        inside,
        class_="paused" if span.paused else "runs",
        label="" if row.shared else process_words(span),
        title=_title(name, span),
        y=MARKS_PX,
        height=BAND_PX,
    )
    if span.end == "killed" and inside[1] == span.to_s:
        x = view.place(span.to_s)
        yield tag("text", text("✖"), x=x, y=MARKS_PX + BAND_PX // 2, class_="killed")
