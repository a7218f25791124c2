"""
Runs as one page for people: what was drawn, what came of it, and how it went.

The page is one file without references to anything else; see :mod:`.page`. It is made of values
alone: the same results make the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drone_sim.report.legend import legend
from drone_sim.report.markup import NOTHING, Markup, join, tag, text
from drone_sim.report.overall import overall
from drone_sim.report.page import details, document, facts
from drone_sim.report.run import run_article, verdict
from drone_sim.report.words import counted
from drone_sim.result import Result

RUNS_MAX: Final = 12
FAILED_MAX: Final = 50
PAGE_BYTES_MAX: Final = 4_500_000

HELD: Final = "HELD"
"""How the headline of a page begins whose command ended with 0."""

Run = tuple[Result, str]
"""A result, and the command that plays it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """
    What the results alone do not tell.

    ``missing`` are the goals that were never seen, at each speed that was asked for them;
    ``interrupted`` is whether more runs were to come. ``smallest`` is a failure that was made
    smaller: it is shown first, and counts in no figure.
    """

    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    interrupted: bool = False
    smallest: Run | None = None

    @property
    def unseen(self) -> dict[str, Sequence[str]]:
        """The speeds of which goals are missing."""
        return {speed: names for speed, names in self.missing.items() if names}


NOTHING_BESIDE: Final = Beside()


def render_page(
    results: Sequence[Result],
    *,
    title: str,
    reproduce: Sequence[str] = (),
    beside: Beside = NOTHING_BESIDE,
) -> str:
    """
    Return the page of some runs as text; write it as UTF-8.

    Every run that has a trace gets its lanes, violated ones first, as long as there is room; what
    has none counts in the figures and plots. ``reproduce`` are the commands that play each result
    again, in the same order; without them they are taken to be drawn from their seeds. Its
    headline says what the exit code says.
    """
    commands = reproduce or [reproduced_by_seed(result) for result in results]
    runs = list(zip(results, commands, strict=True))
    shown = runs if beside.smallest is None else [beside.smallest, *runs]
    traced = [run for run in shown if run[0].trace is not None]
    ranked = sorted(traced, key=lambda run: run[0].held)
    over_all = overall(results)
    articles = _articles(ranked, PAGE_BYTES_MAX - _size(over_all))
    body = (
        _header(runs, title, beside),
        _left_out(ranked[len(articles) :]),
        legend() if articles else NOTHING,
        *articles,
        over_all,
    )
    return document(title, tag("main", *body))


def reproduced_by_seed(result: Result) -> str:
    """Return how a run that was drawn from its seed is played again."""
    return f"drone-sim replay {result.scenario.seed} --speed {result.speed.value}"


def _size(part: str) -> int:
    return len(part.encode())


def _articles(ranked: Iterable[Run], room: int) -> list[Markup]:
    articles: list[Markup] = []
    for number, (result, command) in enumerate(ranked, 1):
        if len(articles) == RUNS_MAX:
            break
        article = run_article(result, command, f"run-{number}")
        room -= _size(article)
        if room < 0:
            break
        articles.append(article)
    return articles


# --- the head ---------------------------------------------------------------------------------


def _header(runs: Sequence[Run], title: str, beside: Beside) -> Markup:
    head = tag("h1", text(title))
    failed = [run for run in runs if not run[0].held]
    alone = len(runs) == 1 and runs[0][0].trace is not None
    if alone and not beside.unseen and not beside.interrupted:
        return tag("header", head)  # its article says how it went
    words = _verdict_words(len(runs), len(failed), beside)
    good = words.startswith(HELD)
    verdict_ = tag("p", text(words), class_="verdict good" if good else "verdict bad")
    return tag("header", head, verdict_, _unseen(beside), _failed(failed))


def _verdict_words(runs: int, failed: int, beside: Beside) -> str:
    if not runs:
        return "No run was made."
    if failed:
        return f"VIOLATED in {failed:,} of {counted(runs, 'run')}."
    held = f"every invariant held in {counted(runs, 'run')}"
    if beside.unseen:
        goals = counted(sum(map(len, beside.unseen.values())), "goal")
        return f"FAILED: {held}, but of what must be seen {goals} never came."
    return f"INTERRUPTED: {held}; more were to come." if beside.interrupted else f"{HELD}: {held}."


def _unseen(beside: Beside) -> Markup:
    """List what must be seen somewhere in so many runs, and was not."""
    items = [
        tag("li", text(f"never seen, {speed}: {', '.join(names)}"))
        for speed, names in beside.unseen.items()
    ]
    return tag("ul", join(items), class_="violations") if items else NOTHING


def _failed(failed: Sequence[Run]) -> Markup:
    """List the runs that failed, each with the command that plays it again."""
    if not failed:
        return NOTHING
    items = [
        tag("li", *verdict(result), tag("code", text(f"reproduce: {command}")))
        for result, command in failed[:FAILED_MAX]
    ]
    more = len(failed) - len(items)
    note = tag("p", text(f"{counted(more, 'more run')} not listed."), class_="note")
    return join((tag("ol", join(items), class_="failed"), note if more > 0 else NOTHING))


def _left_out(skipped: Sequence[Run]) -> Markup:
    if not skipped:
        return NOTHING
    shown = [
        (f"seed {result.scenario.seed}", tag("code", text(command)))
        for result, command in skipped[:FAILED_MAX]
    ]
    words = f"{counted(len(skipped), 'more run')} with a trace, without lanes: no room"
    return details(words, facts(*shown))
