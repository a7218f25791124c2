"""One run of a report: what was drawn, how it ended, its lanes and its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from drone_sim.report.lanes import chart
from drone_sim.report.lists import acts_list, events_list, last_events, states_table
from drone_sim.report.markup import NOTHING, Markup, join, tag, text
from drone_sim.report.meanings import INVARIANTS
from drone_sim.report.page import facts
from drone_sim.report.played import Played, played
from drone_sim.report.views import CLOSE_SHARE_MAX, first_view, near_violation, toolbar
from drone_sim.report.window import View
from drone_sim.report.words import at, counted, duration, listed, scenario_in_words
from drone_sim.result import Figures, Result


def run_article(result: Result, command: str, name: str) -> Markup:
    """Return all of a run; ``name`` is its anchor, ``command`` what plays it again."""
    scenario = result.scenario
    story = played(scenario, result.trace) if result.trace is not None else None
    return tag(
        "article",
        tag("h2", text(scenario.name), tag("small", text(f" {_which(result)}"))),
        tag("p", *verdict(result), class_="verdict good" if result.held else "verdict bad"),
        tag("p", tag("code", text(f"reproduce: {command}")), class_="reproduce"),
        _violations(result),
        _close_up(result, story),
        _about(result, story),
        _lanes(result, story),
        _texts(result, story),
        class_="run",
        id=name,
    )


def _about(result: Result, story: Played | None) -> Markup:
    """Return what was drawn, what happened and what it was made of, beside each other."""
    scenario = result.scenario
    drawn = [(what, text(how)) for what, how in scenario_in_words(scenario)]
    acts = acts_list(story, len(scenario.acts)) if story is not None else NOTHING
    return tag(
        "div",
        tag(
            "div",
            tag("h3", text("What was drawn")),
            facts(*drawn) if scenario.devices else tag("p", text("Only the seed is left.")),
        ),
        tag("div", tag("h3", text("What happened")), acts) if acts else NOTHING,
        tag("div", tag("h3", text("Figures")), facts(*figures_of(result.figures))),
        class_="about",
    )


def _which(result: Result) -> str:
    """Name a run beside its name: by its seed, if that is not its name, and by its speed."""
    seed = f"seed {result.scenario.seed}"
    return result.speed.value if seed == result.scenario.name else f"{seed}, {result.speed.value}"


# --- the verdict ------------------------------------------------------------------------------


def verdict(result: Result) -> Iterator[Markup]:
    """Yield how a run ended, in words."""
    if result.held:
        yield text("HELD: every invariant held.")
        return
    ids = ", ".join(dict.fromkeys(violation.id for violation in result.violations))
    when = "" if result.violated_at_s is None else f" at {at(result.violated_at_s)}"
    yield text(f"VIOLATED{when}: {ids}, seed {result.scenario.seed}")


def _violations(result: Result) -> Markup:
    if result.held:
        return NOTHING
    items = [
        tag(
            "li",
            tag("b", text(f"{violation.id}: {violation.text}", 1000)),
            tag("br"),
            text(f"must hold: {INVARIANTS.get(violation.id, 'see the README')}"),
        )
        for violation in result.violations
    ]
    return tag("ul", join(items), class_="violations")


# --- lanes ------------------------------------------------------------------------------------


def _lanes(result: Result, story: Played | None) -> Markup:
    if story is None:
        return tag("p", text("No trace was kept: play it again to see how it went."))
    view = first_view(story)
    before = "" if story.begin_s >= 0 else " Before 0 s the fleet is brought to version 1."
    return join(
        (
            tag("h3", text("The whole run")),
            tag(
                "p",
                text(f"True time in s since the story began.{before} "),
                _help(),
                class_="note",
            ),
            toolbar(story, view),
            chart(story, view, _kinds(result)),
        )
    )


def _help() -> Markup:
    return tag("a", text("How to read the lanes."), href="#legend")


def _kinds(result: Result) -> dict[str, str]:
    return {device.id: device.kind for device in result.scenario.devices}


def _close_up(result: Result, story: Played | None) -> Markup:
    """Show what came before a violation, larger, and what happened last."""
    at_s, trace = result.violated_at_s, result.trace
    if story is None or at_s is None or trace is None:
        return NOTHING
    near = near_violation(story, trace.events, at_s)
    view = View(from_s=near.window.from_s, to_s=near.window.to_s, shown=near.window)
    large = near.window.length_s < CLOSE_SHARE_MAX * (story.end_s - story.begin_s)
    return join(
        (
            tag("h3", text(near.words)),
            chart(story, view, _kinds(result)) if large else NOTHING,
            last_events(story, trace.events),
        )
    )


# --- text and figures -------------------------------------------------------------------------


def _texts(result: Result, story: Played | None) -> Markup:
    if story is None or result.trace is None:
        return NOTHING
    listing = events_list(result.trace.events, result.scenario.names)
    return join((states_table(story), listing))


def figures_of(figures: Figures) -> Iterator[tuple[str, Markup]]:
    """Yield what a run was made of."""
    longest = max(figures.holds, key=lambda hold: hold.lasted_s, default=None)
    yield "played", text(f"{duration(figures.virtual_s)} of virtual time")
    steps = counted(figures.steps, "step")
    yield "checked after", text(f"{steps}, {counted(figures.messages, 'message')}")
    yield (
        "transactions",
        text(
            f"{figures.committed:,} committed, {figures.aborted:,} aborted,"
            f" {figures.forced:,} forced"
        ),
    )
    if longest is not None:
        caused = f" ({listed(longest.causes)})" if longest.causes else " (healthy)"
        budget = f", budget {duration(longest.budget_s)}" if longest.budget_s else ""
        yield (
            "longest hold",
            text(f"{longest.device} {duration(longest.lasted_s)}{caused}{budget}"),
        )
    if figures.skews_s:
        yield "activation skew", text(f"{duration(max(figures.skews_s))} at most")
    yield "acts and faults", text(_acts(figures.acts))


def _acts(acts: Counter[str]) -> str:
    ranked = sorted(((count, verb) for verb, count in acts.items() if count), reverse=True)
    return ", ".join(f"{count:,} × {verb}" for count, verb in ranked)
