"""
A run as a chart: one lane for each device over true time, and above them what happened to it.

Nothing is told by colour alone: every band has its words in it and in its tooltip, holding is
striped, prepared is hatched, a lost message is a cross.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from drone_sim.report.deeds import ActSpan
from drone_sim.report.marks import MARKS_PX, Marks, apart_words, marks
from drone_sim.report.markup import NOTHING, Markup, join, tag, text
from drone_sim.report.played import Played
from drone_sim.report.processes import process_lane, process_rows
from drone_sim.report.rulers import (
    INSTANTS,
    Instant,
    acts,
    axis,
    grid,
    instant_lane,
    instants,
    journal,
    lock,
    phases,
)
from drone_sim.report.spans import DeviceSpan
from drone_sim.report.strips import FLAG_PX, Lane, band, lane_row, line, stacked
from drone_sim.report.window import View
from drone_sim.report.words import at, counted, duration
from drone_sim.trace import Event

DEVICES_MAX: Final = 48
"""So many have a lane; the table and the list of events have them all."""

COLOURS: Final = 6
"""After so many versions a colour comes again; the number stands in every band."""

VIOLATION: Final = "VIOLATION"
SAID_CHARS_MAX: Final = 160
BAND_PX: Final = 18
STRIPE_PX: Final = 5
DEVICE_PX: Final = MARKS_PX + BAND_PX + 2 * STRIPE_PX + 2


def chart(story: Played, view: View, kinds: Mapping[str, str]) -> Markup:
    """
    Draw what lies in a view. ``kinds`` says of each device what it is.

    The order of the lanes is that of the scenario.
    """
    rows, names = process_rows(view, story), [*story.devices][:DEVICES_MAX]
    lane_of = {name: row.name for row in rows for name in row.names}
    marked = marks(
        view, (*story.messages, *story.notices), {**lane_of, **{name: name for name in names}}
    )
    found = [one for one in instants(story.transactions) if view.holds(one.at_s)]
    drawn: list[Lane | None] = [
        axis(view),
        _violation_lane(view, story),
        phases(view, story),
        acts(view, story),
        *(instant_lane(view, found, row) for row in range(len(INSTANTS))),
        journal(view, story),
        lock(view, story),
        *(process_lane(view, story, row, marked) for row in rows),
        *(_device_lane(view, story, name, marked, kinds.get(name, "")) for name in names),
        axis(view),
    ]
    lanes = [lane for lane in drawn if lane is not None]
    whole = tag(
        "div",
        join(lane_row(lane, view) for lane in lanes),
        _layer("underlay", view, grid(view)),
        _layer("overlay", view, _lines(view, story, found, lanes)),
        class_="chart",
        tabindex=0,
        role="group",
        aria_label="lanes over time",
        data_begin=view.from_s,
        data_end=view.to_s,
        data_from=view.shown.from_s,
        data_to=view.shown.to_s,
    )
    return join((whole, _left_out(len(story.devices) - len(names), marked)))


def _left_out(devices: int, marked: Marks) -> Markup:
    """Say what of a run has no mark or lane of its own."""
    told = [apart_words(marked)]
    if devices > 0:
        told.append(text(f"{counted(devices, 'more device')} without a lane."))
    sentences = [one for one in told if one]
    return tag("p", join(sentences, " "), class_="note") if sentences else NOTHING


def _layer(class_: str, view: View, inside: Markup) -> Markup:
    """Return something that lies over or under all lanes."""
    x, width = view.shown.within(view)
    window = tag("svg", inside, class_="win", x=x, width=width, height="100%")
    return tag("svg", window, class_=class_, aria_hidden="true")


def _lines(view: View, story: Played, found: Sequence[Instant], lanes: Sequence[Lane]) -> Markup:
    """Return the vertical lines; each begins in the lane that has its label, and goes down."""
    tops: dict[str, int] = {}
    height = 0
    for lane in lanes:
        tops.setdefault(lane.name, height)
        height += lane.height
    lines = [line(view, one.at_s, class_=one.class_, top=tops[INSTANTS[one.row]]) for one in found]
    lines += [
        line(view, event.at_s, class_="violation", top=tops[VIOLATION])
        for event in story.violations
        if view.holds(event.at_s)
    ]
    return join(lines)


def _violation_lane(view: View, story: Played) -> Lane | None:
    found = [event for event in story.violations if view.holds(event.at_s)]
    if not found:
        return None
    body = []
    for row, event in enumerate(found):
        late = event.at_s > (view.from_s + view.to_s) / 2
        said = violation_words(event)
        body.append(
            tag(
                "text",
                tag("title", text(f"{at(event.at_s)}  {said}")),
                text(f"{said} ▸" if late else f"◂ {said}", SAID_CHARS_MAX),
                x=view.place(event.at_s),
                y=row * FLAG_PX + FLAG_PX // 2,
                dx=-3 if late else 3,
                class_="violation-text late" if late else "violation-text",
            )
        )
    says = "; ".join(f"{violation_words(event)} at {at(event.at_s)}" for event in found)
    height = FLAG_PX * len(found)
    return Lane(name=VIOLATION, class_="bad", height=height, body=join(body), says=says)


def violation_words(event: Event) -> str:
    """Return a violation as it is told everywhere: ``I5: d-01 operates 1, d-02 operates 2``."""
    return f"{event.who}: {event.text}"


# --- devices ----------------------------------------------------------------------------------


def _device_lane(view: View, story: Played, name: str, marked: Marks, kind: str) -> Lane:
    spans, broken = story.devices[name], violations_of(story, name)
    body = [part for span in visible(spans) for part in _device_band(view, story, name, span)]
    body += list(_prepared(view, story, name))
    body += list(_faults(view, name, story.acts))
    return Lane(
        name=name,
        note=", ".join(part for part in (kind, *broken) if part),
        who=name,
        class_="device bad" if broken else "device",
        height=DEVICE_PX,
        body=join([*body, marked.of_lane.get(name, NOTHING)]),
        says=_device_says(spans),
    )


def violations_of(story: Played, name: str) -> tuple[str, ...]:
    """Return the ids of the violations that name this device."""
    named = [one for one in story.violations if name in re.findall(r"[\w.-]+", one.text)]
    return tuple(dict.fromkeys(one.who for one in named))


def _device_says(spans: Sequence[DeviceSpan]) -> str:
    held_s = sum(span.to_s - span.from_s for span in spans if is_holding(span))
    last = state_words(spans[-1]) if spans else "nothing is known"
    return f"{counted(len(spans), 'state')}, held for {duration(held_s)} in all, at last {last}"


def visible(spans: Sequence[DeviceSpan]) -> list[DeviceSpan]:
    """Return the states as bands: what is prepared has a stripe of its own and parts none."""
    found: list[DeviceSpan] = []
    for span in spans:
        bare = replace(span, prepared=None)
        if found and replace(bare, from_s=found[-1].from_s, to_s=found[-1].to_s) == found[-1]:
            found[-1] = replace(found[-1], to_s=span.to_s)
        else:
            found.append(bare)
    return found


def is_holding(span: DeviceSpan) -> bool:
    """Whether a device is up and does not operate."""
    return span.up and span.operating is None


def state_class(span: DeviceSpan) -> str:
    """Return how a state is drawn."""
    if not span.up:
        return "down"
    if span.operating is None:
        return "hold" if span.holds else "idle"
    return f"v{(span.operating - 1) % COLOURS + 1}"


def state_words(span: DeviceSpan) -> str:
    """Return a state in words: ``v2``, ``holds: in doubt``, ``off``, ``operates nothing``."""
    if not span.up:
        return "off"
    if span.operating is None:
        return f"holds: {span.holds}" if span.holds else "operates nothing"
    stored = f" (v{span.version} stored)" if span.version != span.operating else ""
    leased = ", on a lease" if span.leased else ""
    held = f", should hold: {span.holds}" if span.holds else ""
    return f"v{span.operating}{stored}{leased}{held}"


def _device_band(view: View, story: Played, name: str, span: DeviceSpan) -> Iterator[Markup]:
    inside = view.clipped(span.from_s, story.drawn_to(span.to_s, view.to_s))
    if inside is not None:
        yield band(
            view,
            inside,
            class_=state_class(span),
            label=state_words(span),
            title=_device_title(name, span),
            y=MARKS_PX,
            height=BAND_PX,
        )


def _device_title(name: str, span: DeviceSpan) -> str:
    length = duration(span.to_s - span.from_s)
    return stacked(
        (
            f"{name}  {at(span.from_s)} to {at(span.to_s)} ({length})",
            state_words(span),
            f"has version {span.version}" if span.version else "has no configuration",
        )
    )


def _prepared(view: View, story: Played, name: str) -> Iterator[Markup]:
    """Yield a hatched stripe wherever the device has voted yes and knows no decision."""
    for txn, from_s, to_s in prepared_times(story.devices[name]):
        inside = view.clipped(from_s, story.drawn_to(to_s, view.to_s))
        if inside is not None:
            title = (
                f"{name}  {at(from_s)} to {at(to_s)} ({duration(to_s - from_s)})\n"
                f"prepared for {story.name_of(txn)}: has voted yes, knows no decision yet"
            )
            yield band(
                view,
                inside,
                class_="prepared",
                title=title,
                y=MARKS_PX + BAND_PX,
                height=STRIPE_PX,
            )


def prepared_times(spans: Sequence[DeviceSpan]) -> list[tuple[str, float, float]]:
    """Return for which txn a device was prepared, from when to when."""
    found: list[tuple[str, float, float]] = []
    for span in spans:
        if span.prepared is None:
            continue
        if found and found[-1][0] == span.prepared and found[-1][2] == span.from_s:
            found[-1] = (span.prepared, found[-1][1], span.to_s)
        else:
            found.append((span.prepared, span.from_s, span.to_s))
    return found


def _faults(view: View, name: str, acts_: Sequence[ActSpan]) -> Iterator[Markup]:
    """Yield a stripe for every act on this device, with its number in the tooltip."""
    for one in acts_:
        inside = view.clipped(one.from_s, one.to_s or one.from_s)
        if name in one.targets and inside is not None:
            title = f"{one.number}. {one.text}"
            y = MARKS_PX + BAND_PX + STRIPE_PX + 1
            if inside[1] > inside[0]:
                yield band(view, inside, class_="fault", title=title, y=y, height=STRIPE_PX)
            x = view.place(one.from_s)
            yield tag("circle", tag("title", text(title)), cx=x, cy=y + 2, r=3, class_="struck")
