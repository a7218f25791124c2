"""
Markup made of values: whatever is text is escaped, and whatever is not escaped is not markup.

HTML and SVG alike; what comes out is well-formed XML as well. Only :func:`text`, :func:`tag` and
:func:`join` make :data:`Markup`, so that the type checker sees to the escaping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Final, NewType

Markup = NewType("Markup", str)
"""Text that a browser may interpret."""

Attribute = str | int | float | bool | None

NOTHING: Final = Markup("")
VOID: Final = frozenset({"meta", "input", "br", "hr"})
"""Elements of HTML that have no end tag; those of SVG are closed in any case."""

TEXT_CHARS_MAX: Final = 400
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_FORGING: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
"""Marks that turn the direction of what follows: a text could pass for another."""


def text(value: object, limit: int = TEXT_CHARS_MAX) -> Markup:
    """Return a text for people, escaped; a long one is cut, with an ellipsis."""
    return Markup(escape(_shown(str(value), limit)))


def _shown(value: str, limit: int) -> str:
    cut = value if len(value) <= limit else f"{value[: limit - 1]}…"
    return _FORGING.sub("\N{REPLACEMENT CHARACTER}", _UNPRINTABLE.sub(_picture, cut))


def _picture(match: re.Match[str]) -> str:
    """Show a control character as its picture: a tab is not nothing."""
    code = ord(match.group())
    return chr(0x2400 + code) if code < ord(" ") else "\N{REPLACEMENT CHARACTER}"


def number(value: float, digits: int = 3) -> str:
    """Return a number as short as it can be: ``1.5``, not ``1.500``; never an exponent."""
    shown = f"{value:.{digits}f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if shown in {"-0", ""} else shown


def tag(name: str, /, *children: Markup, **attributes: Attribute) -> Markup:
    """
    Return one element. ``class_`` stands for class, ``data_from`` for data-from.

    An attribute that is ``None`` or ``False`` is left out, one that is ``True`` is its own name.
    """
    opened = f"{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in VOID:
        return Markup(f"<{opened}/>")
    return Markup(f"<{opened}>{''.join(children)}</{name}>")


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        shown = name
    elif isinstance(value, float):
        shown = number(value, 5)
    else:
        shown = escape(_shown(str(value), TEXT_CHARS_MAX * 10))
    return f' {name}="{shown}"'


def join(parts: Iterable[Markup], separator: str = "") -> Markup:
    """Return all parts, one after the other."""
    return Markup(escape(separator).join(parts))


def table(heads: Iterable[str], rows: Iterable[Iterable[Markup]], class_: str = "") -> Markup:
    """Return a table; the first cell of each row is its heading."""
    head = tag("tr", join(tag("th", text(one), scope="col") for one in heads))
    body = join(_row(tuple(row)) for row in rows)
    return tag("table", tag("thead", head), tag("tbody", body), class_=class_ or None)


def _row(cells: tuple[Markup, ...]) -> Markup:
    first = tag("th", cells[0], scope="row")
    return tag("tr", first, join(tag("td", cell) for cell in cells[1:]))
