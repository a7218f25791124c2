"""The piece of time that a chart shows: where an instant lies, and the ticks of its axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from drone_sim.report.markup import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """
    From ``from_s`` to ``to_s``, in true time of the story.

    Places are shares of the width in percent, so that a browser can stretch a chart and leave the
    text in it as it is.
    """

    from_s: float
    to_s: float

    @property
    def length_s(self) -> float:
        """How long it is, in s."""
        return self.to_s - self.from_s

    def place(self, at_s: float) -> str:
        """Return where an instant lies; one outside lies beyond the edge."""
        return f"{number((at_s - self.from_s) / self.length_s * 100, 5)}%"

    def width(self, length_s: float) -> str:
        """Return how wide a time is."""
        return f"{number(max(length_s, 0.0) / self.length_s * 100, 5)}%"

    def clipped(self, from_s: float, to_s: float) -> tuple[float, float] | None:
        """Return what of a span lies inside; ``None``: nothing of it."""
        if to_s < self.from_s or from_s > self.to_s:
            return None
        return max(from_s, self.from_s), min(to_s, self.to_s)

    def holds(self, at_s: float) -> bool:
        """Whether an instant lies inside."""
        return self.from_s <= at_s <= self.to_s

    def within(self, whole: Window) -> tuple[str, str]:
        """Return x and width of a drawing of ``whole`` that shows this window of it."""
        scale = whole.length_s / self.length_s
        shift = (whole.from_s - self.from_s) / self.length_s
        return f"{number(shift * 100, 5)}%", f"{number(scale * 100, 5)}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Window):
    """
    A drawing of a whole window, of which at first only ``shown`` is seen.

    So labels stand where they are seen: at the left edge, if their band began before it.
    """

    shown: Window

    def label_at(self, from_s: float, to_s: float, stays_until_s: float) -> float:
        """Return where in a band its label begins, as a share of the band's length."""
        hidden_s = self.shown.from_s - from_s
        seen = 0.0 < hidden_s < min(to_s, stays_until_s) - from_s
        return hidden_s / (to_s - from_s) if seen else 0.0

    def seen(self, from_s: float, to_s: float) -> float:
        """Return how much of the shown window a span takes, from 0 to 1."""
        seen_s = min(to_s, self.shown.to_s) - max(from_s, self.shown.from_s)
        return max(seen_s, 0.0) / self.shown.length_s


def step_of(length: float, ticks_most: int) -> float:
    """Return the least step of 1, 2 or 5 × 10ⁿ that makes no more ticks than that."""
    rough = length / max(ticks_most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


def ticks(window: Window, ticks_most: int) -> Iterator[tuple[float, str]]:
    """Yield the instants to be marked in a window and their text, ``1.25``: all as precise."""
    step = step_of(window.length_s, ticks_most)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(window.from_s / step - 1e-9)
    last = math.floor(window.to_s / step + 1e-9)
    for index in range(first, last + 1):
        yield index * step, f"{index * step:.{digits}f}"
