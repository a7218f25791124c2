"""
Plots over many runs, as SVG of a fixed size: in the page, or in a file of their own.

The horizontal axis of times is logarithmic, four bins a factor of ten: holds reach from
milliseconds to minutes. Text of a plot is text, and its colours follow the reader's scheme.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drone_sim.explore.figures import is_fault
from drone_sim.report.causes import Cause, causes, quantile, skews, used, worst
from drone_sim.report.markup import Attribute, Markup, number, tag, text
from drone_sim.report.words import counted, duration, share
from drone_sim.result import Hold, Result
from drone_sim.scenario.model import Verb

WIDTH: Final = 820
LEFT: Final = 150
RIGHT: Final = 190
TOP: Final = 26
ROW: Final = 38
BAR: Final = 22
SKEW_HEIGHT: Final = 120
BINS_A_DECADE: Final = 4
LEAST_S: Final = 1e-3
"""What is shorter is in the first bin."""

KNOWN: Final = frozenset(verb.value for verb in Verb)
"""Acts. What links do by themselves, loss and repetition, is far more often: it has a cut bar."""

STYLE: Final = """
.plot{font:12px system-ui,"DejaVu Sans",sans-serif;--ink:#1d232b;--dim:#5a6472;--faint:#d9dee5;
--bar:#3b6ea8;--with:#a9c3e0;--limit:#b3261e;--deed:#5b7f3a;--fault:#9a5b13}
@media (prefers-color-scheme:dark){.plot{--ink:#e6e9ee;--dim:#9aa5b4;--faint:#39424e;
--bar:#7fb0ea;--with:#3f5f86;--limit:#ff8a80;--deed:#9ccc65;--fault:#e0a458}}
.plot text{fill:var(--ink)}.plot .dim{fill:var(--dim)}.plot .end{text-anchor:end}
.plot .mid{text-anchor:middle}.plot .grid{stroke:var(--faint)}.plot .base{stroke:var(--dim)}
.plot .alone{fill:var(--bar)}.plot .with{fill:var(--with)}.plot .action{fill:var(--deed)}
.plot .harm{fill:var(--fault)}.plot .limit{stroke:var(--limit);stroke-width:2;
stroke-dasharray:4 3}.plot .over{fill:var(--limit);font-weight:700}.plot .curve{fill:none;
stroke:var(--bar);stroke-width:2}
"""


def render_holding_svg(results: Sequence[Result]) -> str:
    """Return the plot of holding times by cause as a file."""
    return _file(holding_plot(results))


def render_skew_svg(results: Sequence[Result]) -> str:
    """Return the plot of activation skews as a file."""
    return _file(skew_plot(results))


def render_acts_svg(results: Sequence[Result]) -> str:
    """Return the plot of what happened how often as a file."""
    return _file(acts_plot(results))


def _file(plot: Markup) -> str:
    """Make an SVG that stands by itself: with its name space, its style, and a last newline."""
    head, rest = plot.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}\n'


def _plot(title: str, height: int, *parts: Markup) -> Markup:
    return tag(
        "svg",
        tag("title", text(title)),
        *parts,
        class_="plot",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=title,
    )


def _text(x: float, y: float, words: str, class_: str = "") -> Markup:
    return tag("text", text(words), x=x, y=y, class_=class_ or None)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _nothing(title: str, why: str) -> Markup:
    return _plot(title, 40, _text(8, 24, why, "dim"))


# --- the axis of times ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A logarithmic axis from ``10**low`` to ``10**high`` s."""

    low: int
    high: int

    def x(self, seconds: float) -> float:
        """Return where a time lies, in px; one outside lies at the edge."""
        span = self.high - self.low
        place = (math.log10(max(seconds, 10.0**self.low)) - self.low) / span
        return LEFT + min(place, 1.0) * (WIDTH - LEFT - RIGHT)

    def bin_of(self, seconds: float) -> int:
        """Return the bin of a time, from 0."""
        if seconds <= 10.0**self.low:
            return 0
        place = math.floor((math.log10(seconds) - self.low) * BINS_A_DECADE + 1e-9)
        return min(place, (self.high - self.low) * BINS_A_DECADE - 1)

    def bin_x(self, place: int) -> float:
        """Return where a bin begins, in px."""
        return self.x(10.0 ** (self.low + place / BINS_A_DECADE))


def scale_of(times: Sequence[float]) -> Scale:
    """Return the least axis of whole decades that has room for all times."""
    known = [max(time, LEAST_S) for time in times] or [LEAST_S]
    low = math.floor(math.log10(min(known)) + 1e-9)
    return Scale(low=low, high=max(math.ceil(math.log10(max(known)) - 1e-9), low + 1))


def _decades(scale: Scale, bottom: float) -> Iterator[Markup]:
    for power in range(scale.low, scale.high + 1):
        x = scale.x(10.0**power)
        yield _line(x, TOP - 8, x, bottom, "grid")
        yield _text(x, TOP - 12, duration(10.0**power), "dim mid")


# --- holding time -----------------------------------------------------------------------------


def holding_plot(results: Sequence[Result]) -> Markup:
    """Return a histogram of holding times for each cause, with the line of its budget."""
    title = "Holding time by cause, beside its budget"
    found = causes(results)
    if not found:
        return _nothing(title, "No device has held.")
    every = [hold for cause in found for hold in cause.holds]
    scale = scale_of([time for hold in every for time in (hold.lasted_s, hold.budget_s) if time])
    bottom = TOP + ROW * len(found)
    rows = (
        part
        for place, cause in enumerate(found)
        for part in _cause_row(cause, scale, TOP + ROW * (place + 1))
    )
    return _plot(title, bottom + 4, *_decades(scale, bottom), *rows)


def _cause_row(cause: Cause, scale: Scale, base: float) -> Iterator[Markup]:
    yield _text(8, base - 14, cause.name)
    yield _text(8, base - 1, counted(len(cause.holds), "hold"), "dim")
    yield _line(LEFT, base, WIDTH - RIGHT, base, "base")
    yield from _bars(cause, scale, base)
    if cause.budget_s > 0:
        x = scale.x(cause.budget_s)
        yield _line(x, base - ROW + 6, x, base, "limit")
    closest = cause.closest
    if closest is not None and used(closest) > 1:
        yield _text(WIDTH - RIGHT + 8, base - 14, f"OVER: {budget_words(closest)}", "over")
    else:
        yield _text(WIDTH - RIGHT + 8, base - 14, worst_words(cause.alone, "alone"))
    yield _text(WIDTH - RIGHT + 8, base - 1, worst_words(cause.among, "with others"), "dim")


def worst_words(holds: Sequence[Hold], how: str) -> str:
    """Return the longest of some holds beside its budget: ``alone 2.3 s of 12 s``."""
    longest = worst(holds)
    if longest is None:
        return f"never {how}"
    budget = f" of {duration(longest.budget_s)}" if longest.budget_s else ""
    return f"{how} {duration(longest.lasted_s)}{budget}"


def budget_words(hold: Hold) -> str:
    """Return how much of its budget a hold has used: ``51 % of 200 ms``."""
    return f"{share(used(hold))} of {duration(hold.budget_s)}"


def _bars(cause: Cause, scale: Scale, base: float) -> Iterator[Markup]:
    alone = Counter(scale.bin_of(hold.lasted_s) for hold in cause.alone)
    every = Counter(scale.bin_of(hold.lasted_s) for hold in cause.holds)
    most = max(every.values())
    for place, count in sorted(every.items()):
        x, width = scale.bin_x(place), scale.bin_x(place + 1) - scale.bin_x(place) - 1
        low = _bar_height(alone[place], most)
        high = max(_bar_height(count, most), low)
        said = tag("title", text(f"{cause.name}: {_bin_words(scale, place, count, alone[place])}"))
        yield _bar(said, x=x, y=base - high, width=width, height=high - low, class_="with")
        yield _bar(said, x=x, y=base - low, width=width, height=low, class_="alone")


def _bar_height(count: int, most: int) -> float:
    """Return the height of a bar: at least 2 px, so that a single worst case is seen."""
    return max(2.0, count / most * (ROW - 10)) if count else 0.0


def _bar(said: Markup, **place: Attribute) -> Markup:
    return tag("rect", said, **place)


def _bin_words(scale: Scale, place: int, count: int, alone: int) -> str:
    low = 10.0 ** (scale.low + place / BINS_A_DECADE)
    high = 10.0 ** (scale.low + (place + 1) / BINS_A_DECADE)
    least = "up" if place == 0 else duration(low)
    return f"{least} to {duration(high)}: {counted(count, 'hold')}, {alone:,} by it alone"


# --- activation skew --------------------------------------------------------------------------


def skew_plot(results: Sequence[Result]) -> Markup:
    """Return which share of all committed versions had a skew of at most so much."""
    title = "Activation skew: first to last device of a version"
    times = sorted(skews(results))
    if not times:
        return _nothing(title, "Nothing was activated.")
    scale = scale_of(times)
    bottom = TOP + SKEW_HEIGHT
    return _plot(
        title,
        bottom + 8,
        *_decades(scale, bottom),
        *_shares(bottom),
        tag("path", d=_curve(times, scale, bottom), class_="curve"),
        *_quantiles(times),
    )


def _shares(bottom: float) -> Iterator[Markup]:
    for part in (0.0, 0.5, 1.0):
        y = bottom - part * SKEW_HEIGHT
        yield _line(LEFT, y, WIDTH - RIGHT, y, "grid")
        yield _text(LEFT - 8, y + 4, share(part), "dim end")


def _curve(times: Sequence[float], scale: Scale, bottom: float) -> str:
    """Return the steps of the cumulative distribution; those on one pixel are one step."""
    steps = {round(scale.x(time)): rank / len(times) for rank, time in enumerate(times, 1)}
    path = [f"M{LEFT} {number(bottom, 1)}"]
    for x, part in sorted(steps.items()):
        path.append(f"H{x}V{number(bottom - part * SKEW_HEIGHT, 1)}")
    return "".join([*path, f"H{WIDTH - RIGHT}"])


def _quantiles(times: Sequence[float]) -> Iterator[Markup]:
    told: tuple[tuple[str, Callable[[], float]], ...] = (
        ("median", lambda: quantile(times, 0.5)),
        ("99 %", lambda: quantile(times, 0.99)),
        ("worst", lambda: times[-1]),
    )
    yield _text(WIDTH - RIGHT + 8, TOP + 4, counted(len(times), "version"), "dim")
    for place, (name, of) in enumerate(told, 1):
        yield _text(WIDTH - RIGHT + 8, TOP + 4 + 18 * place, f"{name} {duration(of())}")


# --- acts -------------------------------------------------------------------------------------


def acts_plot(results: Sequence[Result]) -> Markup:
    """Return how often each act and fault took place."""
    title = "Acts and faults, how often"
    total: Counter[str] = sum((result.figures.acts for result in results), Counter())
    ranked = sorted(((verb, n) for verb, n in total.items() if n > 0), key=lambda one: -one[1])
    if not ranked:
        return _nothing(title, "Nothing was done to the fleet.")
    most = max((count for verb, count in ranked if verb in KNOWN), default=ranked[0][1])
    bars = (
        part
        for place, (verb, count) in enumerate(ranked)
        for part in _act_bar(verb, count, most, 4 + BAR * place)
    )
    return _plot(title, BAR * len(ranked) + 8, *bars)


def _act_bar(verb: str, count: int, most: int, top: float) -> Iterator[Markup]:
    fault, cut = is_fault(verb), count > most
    width = max(1.0, min(count / most, 1.0) * (WIDTH - LEFT - RIGHT))
    yield _text(8, top + 15, f"{'◆' if fault else '▸'} {verb}")
    class_ = "harm" if fault else "action"
    yield tag("rect", x=LEFT, y=top + 4, width=width, height=BAR - 8, class_=class_)
    yield _text(LEFT + width + 6, top + 15, f"{count:,}{' (bar is cut)' if cut else ''}")
