"""Small words that several commands share. Pure, but for the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime  # noqa: TID251 - shows instants that it is given
from typing import Final

NAMED_MAX: Final = 12

ICONS: Final = {
    "active": ("✔", "green"),
    "prepared": ("◌", "cyan"),
    "committed": ("◐", "cyan"),
    "holding": ("‖", "yellow"),
    "in-doubt": ("?", "bold yellow"),
    "empty": ("∅", "yellow"),
    "offline": ("○", "red"),
    "unknown": ("·", "dim"),
}
"""A sign and a style for each state of a device; the word always stands beside them."""


def state_cell(word: str) -> tuple[str, str]:
    """Return ``✔ active`` and its style."""
    icon, style = ICONS.get(word, ("·", ""))
    return f"{icon} {word}", style


def vote_cell(vote: str | None) -> tuple[str, str]:
    """Return the vote with a sign."""
    if vote is None:
        return "-", "dim"
    return ("✔ yes", "green") if vote == "yes" else ("✘ no", "bold red")


def or_dash(value: object) -> str:
    """Show what is not known as a dash."""
    return "-" if value is None else str(value)


def milliseconds(value: float | None) -> str:
    """Show ms below a second, else s."""
    if value is None:
        return "-"
    return f"{value / 1e3:.1f} s" if value >= 1e3 else f"{value:.0f} ms"  # noqa: PLR2004


def short_digest(digest: str | None) -> str:
    """Show the first twelve digits of a digest."""
    return "-" if digest is None else digest.removeprefix("sha256:")[:12]


def some(names: Sequence[str], most: int = NAMED_MAX) -> str:
    """Name a few, and count the rest."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def rfc3339(at: float) -> str:
    """Show a UTC instant as RFC 3339 does, to the millisecond."""
    shown = datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")
    return shown.replace("+00:00", "Z")


def duration(seconds: float | None) -> str:
    """Show how long ago something was."""
    if seconds is None:
        return "-"
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"
