"""Which pieces of time of a run are worth looking at: at first, near its end, and by a button."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from drone_sim.report.markup import Markup, join, tag, text
from drone_sim.report.played import Played
from drone_sim.report.window import View, Window
from drone_sim.report.words import at
from drone_sim.trace import Event, Kind

MARGIN: Final = 0.01
"""So much room there is on each side of a chart, as a share of its length."""

AFTER_VIOLATION: Final = 0.05
"""So much there is behind a violation, for the labels of the states that broke something."""

CLOSE_BEFORE_S: Final = 3.0
"""A violation is shown from where its transaction began, or else from so long before it."""

CLOSE_LEAST_S: Final = 0.3
CLOSE_LENGTH_MAX_S: Final = 8.0
CLOSE_SHARE_MAX: Final = 0.7
"""A run that is hardly longer than what is near its end is drawn once."""

ZOOMS_MAX: Final = 14

CHANGES: Final = frozenset({Kind.STATE, Kind.JOURNAL, Kind.PROCESS, Kind.ACT, Kind.HEALED})
"""Events by which something is otherwise than before."""


def first_view(story: Played) -> View:
    """Return the view of a whole run; at first the story is seen, not what came before it."""
    start_s = 0.0 if story.begin_s < 0.0 < story.end_s else story.begin_s
    margin_s = (story.end_s - start_s) * MARGIN
    last_s = story.end_s + margin_s
    if story.violations:
        last_s += (story.end_s - start_s) * AFTER_VIOLATION
    shown = Window(from_s=start_s - margin_s, to_s=last_s)
    return View(from_s=story.begin_s - margin_s, to_s=last_s, shown=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """The piece of time that explains a violation, and what it is, in words."""

    window: Window
    words: str


def near_violation(story: Played, events: Iterable[Event], at_s: float) -> Near:
    """
    Return what is worth looking at before a violation.

    That is the time just before it, unless nothing had changed for long: then it is all that came
    before the standstill, since something that did not happen has no instant of its own.
    """
    stood_s = max((one.at_s for one in events if _changes(one, at_s)), default=at_s)
    if at_s - stood_s > CLOSE_LENGTH_MAX_S:
        window = _window(max(min(0.0, stood_s), story.begin_s), stood_s)
        words = f"Nothing changed from {at(stood_s)} to the violation at {at(at_s)}; before that:"
        return Near(window=window, words=words)
    window = close_window(story, at_s)
    return Near(window=window, words=f"Before the violation at {at(at_s)}")


def _changes(event: Event, before_s: float) -> bool:
    """Whether something has changed; leases that are renewed are none."""
    renews = event.detail.get("record") == "lease_horizon"
    return event.at_s < before_s and event.kind in CHANGES and not renews


def close_window(story: Played, at_s: float) -> Window:
    """Return the time around a violation: from where its transaction began, if that is near."""
    begun = [one.begun_s for one in story.transactions if one.begun_s <= at_s]
    from_s = min(begun[-1] if begun else at_s, at_s - CLOSE_LEAST_S)
    if at_s - from_s > CLOSE_LENGTH_MAX_S:
        from_s = at_s - CLOSE_BEFORE_S
    return _window(max(from_s, story.begin_s), at_s)


def _window(from_s: float, to_s: float) -> Window:
    """Return a window with some room on both sides."""
    length_s = max(to_s - from_s, 1e-3)
    after_s = length_s * (MARGIN + AFTER_VIOLATION)
    return Window(from_s=from_s - length_s * MARGIN, to_s=to_s + after_s)


# --- what a script makes work -----------------------------------------------------------------


def toolbar(story: Played, view: View) -> Markup:
    """Return the controls; the page's script shows them."""
    devices = join(tag("option", text(name), value=name) for name in story.devices)
    everybody = tag("option", text("all devices"), value="")
    return tag(
        "div",
        tag("label", text("device "), tag("select", everybody, devices, class_="who")),
        tag("label", text("from "), _seconds("from", view.shown.from_s), text(" s")),
        tag("label", text("to "), _seconds("to", view.shown.to_s), text(" s")),
        join(_zooms(story, view)),
        tag("small", text("drag over the lanes to zoom; arrows, + and - where they have focus")),
        class_="tools",
        hidden=True,
    )


def _seconds(name: str, value: float) -> Markup:
    return tag("input", type="number", class_=name, step="any", value=f"{value:.3f}")


def _zooms(story: Played, view: View) -> Iterator[Markup]:
    yield _zoom("whole run", view.shown)
    if view.from_s < view.shown.from_s:
        yield _zoom("with the start", view)
    ends = (*(one.at_s for one in story.phases[1:]), story.end_s)
    for event, end_s in zip(story.phases, ends, strict=True) if len(story.phases) > 1 else ():
        if event.at_s >= 0.0 and end_s > event.at_s:
            margin_s = (end_s - event.at_s) * MARGIN
            yield _zoom(event.text, Window(from_s=event.at_s - margin_s, to_s=end_s + margin_s))
    for event in story.violations[:1]:
        yield _zoom("violation", close_window(story, event.at_s))
    for one in story.transactions[:ZOOMS_MAX]:
        margin_s = (one.last_s - one.begun_s) * 0.1 + 0.05
        near = Window(from_s=one.begun_s - margin_s, to_s=one.last_s + margin_s)
        yield _zoom(f"{one.name} {one.outcome}".rstrip(), near)


def _zoom(words: str, to: Window) -> Markup:
    return tag(
        "button", text(words), type="button", data_from=to.from_s, data_to=to.to_s, class_="zoom"
    )
