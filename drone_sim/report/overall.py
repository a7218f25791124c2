"""What all runs of a report came to: sums, plots, and the holding times by cause as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from drone_sim.explore.figures import is_fault, rate_bound
from drone_sim.report.causes import Cause, causes, quantile, worst
from drone_sim.report.markup import Markup, number, table, tag, text
from drone_sim.report.page import facts
from drone_sim.report.plots import acts_plot, budget_words, holding_plot, skew_plot
from drone_sim.report.words import counted, duration, share
from drone_sim.result import Hold, Result

_WORST: Final = ("worst", "its budget")
HOLD_HEADS: Final = ("cause", "alone", "median", "99 %", *_WORST, "with others", *_WORST, "used")


def overall(results: Sequence[Result]) -> Markup:
    """Return the section over all runs."""
    found = causes(results)
    return tag(
        "section",
        tag("h2", text(f"Over {counted(len(results), 'run')}")),
        facts(*_sums(results)),
        tag("h3", text("Holding time")),
        tag("p", text(HOLDING_WORDS), class_="note"),
        _scrolled(holding_plot(results)),
        _scrolled(table(HOLD_HEADS, map(_cells, found))) if found else text(""),
        tag("h3", text("Activation skew")),
        _scrolled(skew_plot(results)),
        tag("h3", text("Acts and faults")),
        _scrolled(acts_plot(results)),
        id="over-all",
    )


HOLDING_WORDS: Final = (
    "How long devices did not aim, for each fault that had a part in it: dark bars where it was"
    " the only one, pale bars where others were in force too. Beside them the longest, of its"
    " budget; the dashed line is the budget of the longest by the fault alone. The axis is"
    " logarithmic."
)


def _scrolled(wide: Markup) -> Markup:
    """Let what is wider than a narrow page be scrolled by itself, by keys too."""
    return tag("div", wide, class_="wide", tabindex=0)


def _sums(results: Sequence[Result]) -> Iterator[tuple[str, Markup]]:
    figures = [result.figures for result in results]
    failed = sum(not result.held for result in results)
    yield "runs", text(f"{len(results):,}, {failed:,} violated{_bound(len(results), failed)}")
    yield "played", text(f"{duration(sum(one.virtual_s for one in figures))} of virtual time")
    steps, messages = sum(one.steps for one in figures), sum(one.messages for one in figures)
    yield "checked after", text(f"{counted(steps, 'step')}, {counted(messages, 'message')}")
    committed, aborted = sum(f.committed for f in figures), sum(f.aborted for f in figures)
    forced = sum(one.forced for one in figures)
    yield "transactions", text(f"{committed:,} committed, {aborted:,} aborted, {forced:,} forced")
    faults = sum(count for one in figures for verb, count in one.acts.items() if is_fault(verb))
    each = f", {number(faults / len(results), 1)} a run" if results else ""
    yield "faults", text(f"{faults:,}{each}")


def _bound(runs: int, failed: int) -> str:
    bound = None if failed else rate_bound(runs)
    return "" if bound is None else f": at 95 % confidence, less than {share(bound)} of all seeds"


def _cells(cause: Cause) -> Iterator[Markup]:
    yield text(cause.name)
    yield text(f"{len(cause.alone):,}")
    times = [hold.lasted_s for hold in cause.alone]
    for part in (0.5, 0.99):
        yield text(duration(quantile(times, part)) if times else "")
    yield from _worst_cells(cause.alone)
    yield text(f"{len(cause.among):,}")
    yield from _worst_cells(cause.among)
    closest = cause.closest
    yield text("" if closest is None else budget_words(closest))


def _worst_cells(holds: Sequence[Hold]) -> Iterator[Markup]:
    longest = worst(holds)
    yield text("" if longest is None else duration(longest.lasted_s))
    yield text(duration(longest.budget_s) if longest is not None and longest.budget_s else "")
