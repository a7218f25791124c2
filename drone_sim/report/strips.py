"""
One lane of a chart: its name as text, and beside it a strip of time as an inline SVG.

The strip is two SVGs in each other. The inner one is as long as all that was drawn, the outer one
cuts out what is shown; everything in them is placed in percent. So a chart of any width has text
of its own size, and zooming is a matter of two attributes: no script draws anything but ticks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drone_sim.report.markup import NOTHING, Markup, join, number, tag, text
from drone_sim.report.window import View

TEXT_PX: Final = 4
"""The gap between the edge of a band and its text."""

FLAG_PX: Final = 16
"""How high a row of labels is."""

LABEL_SHARE_MIN: Final = 0.015
"""A band that takes less of what is shown has no room for its label; the tooltip has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """
    What a lane is made of.

    ``name`` and ``note`` stand beside the strip. ``who`` is the device that a filter asks for;
    empty: it is always shown. ``says`` is the lane in words, for those who can't see it.
    """

    name: str
    note: str = ""
    who: str = ""
    class_: str = ""
    height: int
    body: Markup
    says: str


def lane_row(lane: Lane, view: View) -> Markup:
    """Return a lane with its name."""
    note = tag("small", text(lane.note)) if lane.note else NOTHING
    return tag(
        "div",
        tag("div", tag("b", text(lane.name)), note, class_="name"),
        strip(lane, view),
        class_=f"lane {lane.class_}".rstrip(),
        data_who=lane.who or None,
    )


def strip(lane: Lane, view: View) -> Markup:
    """Return the strip of a lane."""
    x, width = view.shown.within(view)
    window = tag("svg", lane.body, class_="win", x=x, width=width, height=lane.height)
    return tag(
        "svg",
        window,
        class_="strip",
        width="100%",
        height=lane.height,
        role="img",
        aria_label=f"{lane.name}: {lane.says}",
    )


def band(
    view: View,
    span: tuple[float, float],
    *,
    class_: str,
    label: str = "",
    title: str = "",
    y: int = 0,
    height: int,
) -> Markup:
    """Return a band of time; its label is cut off at its end, and stays in sight while it does."""
    rect = tag("rect", width="100%", height="100%", class_=class_)
    written = _label(view, span, span[1], label, f"on-{class_}")
    return _box(view, span, title, join((rect, written)), y=y, height=height)


def flag(
    view: View,
    span: tuple[float, float],
    label: str,
    *,
    stays_until_s: float | None = None,
    class_: str,
    title: str,
    y: int = 0,
) -> Markup:
    """
    Return a label that begins at an instant and is cut off where the span ends.

    It stays in sight until ``stays_until_s``; ``None``: it is about that instant alone.
    """
    until_s = span[0] if stays_until_s is None else stays_until_s
    written = _label(view, span, until_s, label, class_)
    stay = max(until_s - span[0], 0.0) / max(span[1] - span[0], 1e-9)
    return _box(view, span, title, written, y=y, height=FLAG_PX, stay=min(stay, 1.0))


def _box(
    view: View,
    span: tuple[float, float],
    title: str,
    inside: Markup,
    *,
    y: int,
    height: int,
    stay: float = 1.0,
) -> Markup:
    """Return what cuts off a label at the ends of a span; the script moves labels by it."""
    small = view.seen(*span) < LABEL_SHARE_MIN
    return tag(
        "svg",
        tag("title", text(title)) if title else NOTHING,
        inside,
        class_="band tiny" if small else "band",
        data_stay=None if stay == 1.0 else stay,
        x=view.place(span[0]),
        y=y,
        width=view.width(span[1] - span[0]),
        height=height,
    )


def _label(
    view: View, span: tuple[float, float], stays_until_s: float, label: str, class_: str
) -> Markup:
    if not label:
        return NOTHING
    place = f"{number(view.label_at(*span, stays_until_s) * 100, 5)}%"
    return tag("text", text(label), x=place, dx=TEXT_PX, y="50%", class_=class_)


def line(view: View, at_s: float, *, class_: str, top: int = 0) -> Markup:
    """Return a line from ``top`` to the bottom at an instant."""
    x = view.place(at_s)
    return tag("line", x1=x, x2=x, y1=top, y2="100%", class_=class_)


def stacked(lines: Iterable[str]) -> str:
    """Return the lines of a tooltip."""
    return "\n".join(line for line in lines if line)
