"""How far it is: a bar on a terminal, elsewhere a plain line now and then. On stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from drone_sim.cli.campaign import Campaign, Outcomes
from drone_sim.cli.face import Face
from drone_sim.cli.words import count, time_words
from drone_sim.explore.machine import real_s

if TYPE_CHECKING:  # loaded where a bar is drawn
    from rich.progress import Progress

SAY_EVERY_S: Final = 10.0
REDRAW_A_SECOND: Final = 5


@dataclass(slots=True)
class Pace:
    """What was done since when, and how much there is to do; ``total`` may still grow."""

    total: int
    began_s: float = field(default_factory=real_s)

    def rate(self, done: int) -> float:
        """Return runs a second of real time."""
        passed_s = real_s() - self.began_s
        return done / passed_s if passed_s > 0 else 0.0

    def words(self, done: int, failed: int) -> str:
        """Say it in a line."""
        rate = self.rate(done)
        left_s = (self.total - done) / rate if rate > 0 else 0.0
        return (
            f"{done:,} of {count(self.total, 'run')}, {rate:.3g} a second,"
            f" {time_words(max(0.0, left_s))} left, {failed:,} violated"
        )


class Ticker:
    """Tells how far a campaign is; see :func:`watched`."""

    def __init__(self, face: Face, total: int, bar: Progress | None) -> None:
        self.pace = Pace(total)
        self._face = face
        self._bar = bar
        self._said_s = real_s()
        self._task = None if bar is None else bar.add_task("", total=total, rate="")

    def tick(self, campaign: Campaign) -> None:
        """Look at the campaign after a run; cheap."""
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                total=self.pace.total,
                completed=campaign.done,
                description=_found(campaign.failed),
                rate=f"{self.pace.rate(campaign.done):,.3g}/s",
            )
        elif real_s() - self._said_s >= SAY_EVERY_S:
            self._said_s = real_s()
            self._face.say(self.pace.words(campaign.done, campaign.failed))


def _found(failed: int) -> str:
    return f"[bold red]{failed:,} violated[/]" if failed else "0 violated"


@contextmanager
def watched(face: Face, total: int) -> Iterator[Ticker]:
    """Draw a bar while the context lasts, where somebody watches; it leaves nothing behind."""
    if not face.drawing or total == 1:
        yield Ticker(face, total, None)
        return
    with _bar() as bar:
        yield Ticker(face, total, bar)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    return Progress(
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", style="cyan"),
        Remaining(compact=True),
        TextColumn("left"),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=REDRAW_A_SECOND,
    )


def follow(campaign: Campaign, outcomes: Outcomes, ticker: Ticker) -> None:
    """Take every outcome, and tell how far it is."""
    began_s = real_s()
    for asked, ran in outcomes:
        campaign.take(asked, ran)
        ticker.tick(campaign)
    campaign.elapsed_s += real_s() - began_s
