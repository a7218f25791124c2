"""The summary of a step of GitHub Actions: the verdict, the figures, the failures. Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from drone_sim.cli.ending import Ending
from drone_sim.cli.words import (
    HOLDS_HEADER,
    figures_lines,
    goals_words,
    hold_row,
    mark_of,
    verdict,
)
from drone_sim.report.github import table

FAILURES_SHOWN: Final = 20

EMOJI: Final[Mapping[str, str]] = {"✔": "✅", "✘": "❌", "■": "⚠️"}
"""What GitHub's readers know the marks of a terminal by."""


def summary(ending: Ending) -> str:
    """Return it."""
    return "\n".join(_parts(ending))


def _parts(ending: Ending) -> Iterator[str]:
    campaign = ending.campaign
    for speed, tally in campaign.tallies.items():
        unseen = (ending.missing or {}).get(speed, ())
        mark = EMOJI[mark_of(campaign, tally, unseen)[0]]
        yield f"### {mark} {verdict(campaign, speed, tally, unseen)}\n"
        rows = list(figures_lines(campaign, speed))
        if ending.missing is not None and speed in ending.missing:
            rows.append(("goals", goals_words(ending.missing[speed])))
        yield table(("figure", "value"), rows)
        if tally.holds:
            yield table(HOLDS_HEADER, [hold_row(row) for row in tally.rows()])
    if campaign.failures:
        yield table(("run", "violation", "reproduce"), _failures(ending))


def _failures(ending: Ending) -> Iterator[tuple[str, str, str]]:
    for failure in ending.campaign.failures[:FAILURES_SHOWN]:
        yield failure.name, failure.text, failure.reproduce
