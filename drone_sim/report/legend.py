"""How the lanes are read: a sample of everything that is drawn in them, with its words."""

from __future__ import annotations

from typing import Final

from drone_sim.report.markup import NOTHING, Markup, join, tag, text
from drone_sim.report.page import details

LEGEND: Final = (
    ("v1", "v1", "aims with version 1; each version has its own colour and its number"),
    ("hold", "holds: …", "holds: its aim is frozen, it still flies; why is in the band"),
    ("idle", "", "up, and operates nothing"),
    ("down", "off", "off: no power, or its program is not running"),
    ("prepared", "", "prepared: has voted yes, knows no decision yet"),
    ("fault", "", "a fault or an act is on this device; its number is that of the list"),
    ("open", "txn 2", "transaction undecided"),
    ("commit", "txn 2", "COMMIT is in the journal, and not everybody has acknowledged it"),
    ("abort", "txn 2", "ABORT is in the journal, and not everybody has acknowledged it"),
    ("held", "push-1", "who holds the lock"),
    ("ghost", "GHOST", "the lock's owner is gone"),
    ("resolving", "ops", "lock being resolved: forced, recovered or expired"),
    ("paused", "", "process stopped (SIGSTOP)"),
)

MARKS: Final = (
    ("sent", "message sent (upper tick)"),
    ("arrived", "message arrived (lower tick)"),
    ("lost", "message lost"),
    ("repeated", "message came twice"),
    ("notice", "told to people"),
)

LINES: Final = (
    ("decided commit", "decided: the fate of the fleet is in the journal"),
    ("hold-at", "hold_at: who knows no decision by then holds"),
    ("activate-at", "activate_at: who knows COMMIT aims with the new version"),
    ("violation", "violation"),
)


def legend() -> Markup:
    """Return how the lanes are read."""
    bands = (_key(_band_sample(class_, label), words) for class_, label, words in LEGEND)
    marks = (_key(_mark_sample(class_), words) for class_, words in MARKS)
    lines = (_key(_line_sample(class_), words) for class_, words in LINES)
    return details(
        "How to read the lanes",
        tag("ul", *bands, *marks, *lines, class_="legend"),
        id_="legend",
    )


def _key(sample: Markup, words: str) -> Markup:
    return tag("li", tag("svg", sample, width=56, height=18, aria_hidden="true"), text(words))


def _band_sample(class_: str, label: str) -> Markup:
    thin = class_ in {"prepared", "fault"}
    rect = tag("rect", width=56, height=5 if thin else 18, y=6 if thin else 0, class_=class_)
    written = tag("text", text(label), x=4, y=9, class_=f"on-{class_}") if label else NOTHING
    return join((rect, written))


def _mark_sample(class_: str) -> Markup:
    match class_:
        case "lost":
            return tag("text", text("×"), x=28, y=10, class_=class_)
        case "repeated" | "notice":
            radius = 2.5 if class_ == "repeated" else 1.5
            return tag("circle", cx=28, cy=9, r=radius, class_=class_)
        case "sent":
            return tag("line", x1=28, x2=28, y1=4, y2=9, class_=class_)
    return tag("line", x1=28, x2=28, y1=9, y2=14, class_=class_)


def _line_sample(class_: str) -> Markup:
    return tag("line", x1=28, x2=28, y1=0, y2=18, class_=class_)
