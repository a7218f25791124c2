"""
The document around a report: one file, which asks for nothing from anywhere.

Its policy forbids the browser every request and every script and style but the page's own, by
their hashes: a text of a trace that looks like markup could do nothing even if it were taken for
it. Without scripts the page is whole; the script adds zooming and filters.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

from drone_sim.report.markup import Markup, join, tag, text
from drone_sim.report.plots import STYLE

PATTERNS: Final = (
    # id, size, the stripes' path, and the class that gives them their colour
    ("hold", 10, "M-2 12L12 -2M-2 2L2 -2M8 12L12 8", "stripe-hold"),
    ("prepared", 7, "M-1 8L8 -1M-2 2L2 -2M5 9L9 5", "stripe-prepared"),
    ("paused", 8, "M0 0V8M4 0V8", "stripe-paused"),
    ("resolving", 8, "M-2 6L6 -2M2 10L10 2", "stripe-resolving"),
)
"""How stripes and hatches are drawn, for whoever does not tell colours apart."""


def document(title: str, body: Markup) -> str:
    """Return a whole page."""
    style, script = _resource("page.css") + STYLE, _resource("page.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", text(title)),
        tag("style", Markup(style)),
    )
    shown = tag("body", _patterns(), body, tag("script", Markup(script)))
    return f"<!DOCTYPE html>\n{tag('html', head, shown, lang='en')}\n"


def _resource(name: str) -> str:
    return files(__package__ or "drone_sim.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _patterns() -> Markup:
    """Return what the style sheet fills stripes with; it takes no room on the page."""
    drawn = (_pattern(*pattern) for pattern in PATTERNS)
    return tag(
        "svg", tag("defs", join(drawn)), class_="defs", width=0, height=0, aria_hidden="true"
    )


def _pattern(name: str, size: int, path: str, class_: str) -> Markup:
    ground = tag("rect", width=size, height=size, class_=f"ground-{name}")
    stripes = tag("path", d=path, class_=class_)
    return tag(
        "pattern",
        ground,
        stripes,
        id=name,
        width=size,
        height=size,
        patternUnits="userSpaceOnUse",
    )


def details(summary: str, *inside: Markup, id_: str = "") -> Markup:
    """Return something that opens when it is asked to."""
    return tag("details", tag("summary", text(summary)), *inside, id=id_ or None)


def facts(*pairs: tuple[str, Markup]) -> Markup:
    """Return a list of names and what they are; an empty value is left out."""
    told = (join((tag("dt", text(name)), tag("dd", value))) for name, value in pairs if value)
    return tag("dl", join(told))
