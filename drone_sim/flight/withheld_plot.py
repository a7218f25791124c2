"""The plot of a push whose decision was withheld, as an SVG file of a fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from drone_sim.flight.withheld import Sample, Track, Withheld
from drone_sim.report.markup import Markup, number, tag, text
from drone_sim.report.plots import LEFT, RIGHT, STYLE, WIDTH
from drone_sim.report.words import duration
from orchestrator.staging.state import FlightPhase

TOP: Final = 46
ROW: Final = 104
STRIP: Final = 16
CURVE: Final = 52
FOOT: Final = 26
TICK_S: Final = 2.0
ROOM: Final = 1.15
"""Room above a curve, as a factor of its highest point."""

STRAIGHT_PX: Final = 0.05

NAMED_PX: Final = 56.0
"""A phase that is narrower is not named in its strip."""

COLOURS: Final = """
.flight .phase{fill:#a9c3e0}.flight .transit{fill:#c8b6e2}.flight .tracking{fill:#b5d6a0}
.flight .hovering{fill:#f2d08a}.flight .grounded{fill:#d9dee5}.flight .on{fill:#1d232b}
.flight .held{fill:var(--bar);opacity:.14}.flight .band{fill:var(--limit);opacity:.25}
.flight .spent{fill:none;stroke:var(--fault);stroke-width:2}
.flight .hover{stroke:var(--dim);stroke-dasharray:2 3}.flight .said{stroke:var(--deed);
stroke-width:2}.flight .spent-words{fill:var(--fault)}.flight .power-words{fill:var(--bar)}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The horizontal axis, in s of the story."""

    from_s: float
    until_s: float

    def x(self, at_s: float) -> float:
        """Return where an instant lies, in px."""
        share = (at_s - self.from_s) / (self.until_s - self.from_s)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def render_withheld_svg(found: Withheld) -> str:
    """Return the plot as a file: phase, power and what holding costs, device by device."""
    samples = found.tracks[0].samples
    span = Span(from_s=samples[0].at_s, until_s=samples[-1].at_s)
    height = TOP + ROW * len(found.tracks) + FOOT
    withheld_s = found.told_at_s - found.hold_at_s
    title = f"Hold: the decision is withheld for {duration(withheld_s)}"
    rows = (
        part
        for place, track in enumerate(found.tracks)
        for part in _row(track, found, span, TOP + ROW * place)
    )
    drawn = tag(
        "svg",
        tag("title", text(title)),
        tag("style", Markup(STYLE + COLOURS)),
        *_instants(found, span, height - FOOT),
        *rows,
        *_ticks(found, span, height - FOOT),
        xmlns="http://www.w3.org/2000/svg",
        class_="plot flight",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
        aria_label=title,
    )
    return f"{drawn}\n"


def _words(x: float, y: float, words: str, class_: str = "") -> Markup:
    return tag("text", text(words), x=x, y=y, class_=class_ or None)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _box(left: float, top: float, width: float, height: float, class_: str) -> Markup:
    return tag("rect", x=left, y=top, width=width, height=height, class_=class_)


def _instants(found: Withheld, span: Span, bottom: float) -> Iterator[Markup]:
    """Draw when everybody must hold, give or take the clock error, and when they are told."""
    left, right = (span.x(found.hold_at_s + sign * found.clock_error_s) for sign in (-1.0, 1.0))
    hold_x, told_x = span.x(found.hold_at_s), span.x(found.told_at_s)
    error = duration(found.clock_error_s)
    yield _box(left, TOP - 10, right - left, bottom - TOP + 10, "band")
    yield _line(hold_x, TOP - 10, hold_x, bottom, "limit")
    yield _words(hold_x, TOP - 16, f"hold_at ± {error}", "mid")
    yield _line(told_x, TOP - 10, told_x, bottom, "said")
    yield _words(told_x, TOP - 16, "COMMIT gets out", "mid")


def _ticks(found: Withheld, span: Span, bottom: float) -> Iterator[Markup]:
    """Draw the time, counted from hold_at."""
    first = -int((found.hold_at_s - span.from_s) / TICK_S)
    last = int((span.until_s - found.hold_at_s) / TICK_S)
    for tick in range(first, last + 1):
        x = span.x(found.hold_at_s + tick * TICK_S)
        yield _line(x, bottom, x, bottom + 4, "base")
        yield _words(x, bottom + 17, f"{tick * TICK_S:+g} s" if tick else "0", "dim mid")


# --- one device ---------------------------------------------------------------------------------


def _row(track: Track, found: Withheld, span: Span, top: float) -> Iterator[Markup]:
    left, right = span.x(track.held_from_s), span.x(track.held_until_s)
    base = top + STRIP + CURVE + 8
    yield _box(left, top, right - left, base - top, "held")
    yield _words(8, top + 13, track.device)
    yield from _strip(track.samples, span, top)
    yield _line(LEFT, base, WIDTH - RIGHT, base, "base")
    yield from _curves(track, span, base)
    yield from _told(track, found, top)


def _strip(samples: Sequence[Sample], span: Span, top: float) -> Iterator[Markup]:
    """Draw what it is about, one box for each phase."""
    for phase, group in groupby(samples, key=lambda sample: sample.phase):
        run = list(group)
        left, right = span.x(run[0].at_s), span.x(run[-1].at_s)
        yield _box(left, top, right - left, STRIP, f"phase {phase.value}")
        if right - left >= NAMED_PX:
            yield _words((left + right) / 2, top + 12, _named(run[0]), "on mid")


def _named(sample: Sample) -> str:
    """Name a phase; what stands because it is held is not said to be on the ground."""
    stands = sample.held and sample.phase is FlightPhase.GROUNDED
    return "held" if stands else sample.phase.value


def _curves(track: Track, span: Span, base: float) -> Iterator[Markup]:
    """Draw the power, where there is one, and what has been spent since the plot begins."""
    samples = track.samples
    if track.hover_power_w is not None:
        most_w = ROOM * max(sample.power_w or 0.0 for sample in samples)
        y = base - CURVE * track.hover_power_w / most_w
        yield _line(LEFT, y, WIDTH - RIGHT, y, "hover")
        yield _path(
            samples, span, lambda one: base - CURVE * (one.power_w or 0.0) / most_w, "curve"
        )
        yield _words(LEFT - 8, y + 4, f"{track.hover_power_w:.0f} W hover", "power-words end")
    low, high = sorted((_left(samples[0]), _left(samples[-1])))
    scale = CURVE / (ROOM * max(1e-9, high - low))
    yield _path(samples, span, lambda one: base - scale * (_left(one) - low), "spent")
    yield _words(LEFT - 8, base - 2, _left_words(track), "spent-words end")


def _left(sample: Sample) -> float:
    """Return what the lower curve is of: what the battery has left, or what holding took."""
    return sample.lost if sample.battery_wh is None else sample.battery_wh


def _left_words(track: Track) -> str:
    change = _left(track.samples[-1]) - _left(track.samples[0])
    if track.hover_power_w is not None:
        return f"battery \N{MINUS SIGN}{-change:.2f} Wh"
    return f"{change:.3g} {track.lost.unit} lost"


def _path(
    samples: Sequence[Sample], span: Span, y: Callable[[Sample], float], class_: str
) -> Markup:
    points = _corners([(span.x(one.at_s), y(one)) for one in samples])
    joined = "L".join(f"{number(x, 1)} {number(height, 1)}" for x, height in points)
    return tag("path", d=f"M{joined}", class_=class_)


def _corners(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out the points that lie, to a twentieth of a pixel, between those beside them."""
    kept = points[:1]
    for (x, y), (next_x, next_y) in pairwise(points[1:]):
        from_x, from_y = kept[-1]
        between = from_y + (next_y - from_y) * (x - from_x) / (next_x - from_x)
        if abs(between - y) > STRAIGHT_PX:
            kept.append((x, y))
    return [*kept, points[-1]]


def _told(track: Track, found: Withheld, top: float) -> Iterator[Markup]:
    """Say in figures what the row shows."""
    x, late_ms = WIDTH - RIGHT + 8, 1e3 * (track.held_from_s - found.hold_at_s)
    after = duration(track.held_until_s - found.told_at_s)
    lines = [
        f"holds at hold_at {late_ms:+.1f} ms",
        f"held {track.held_s:.2f} s",
        f"resumes {after} later",
        cost_words(track),
    ]
    if track.held_power_w is not None:
        lines.append(f"that is {track.held_power_w:.1f} W")
    for place, line in enumerate(lines):
        yield _words(x, top + 12 + 16 * place, line, "" if place else "dim")


def cost_words(track: Track) -> str:
    """Return what the hold has cost: ``1.34 Wh of the battery``."""
    lost = track.lost
    what = {"battery": "of the battery", "time": "lost to its loads", "work": "lost"}[
        lost.taken_from
    ]
    return f"{lost.amount:.3g} {lost.unit} {what}"
