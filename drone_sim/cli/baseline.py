"""``drone-sim baseline``: what scripts do to fleets on the same seeds."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from drone_sim.cli.face import Face
from drone_sim.cli.options import Effort, Output, seeds_of
from orchestrator.errors import Exit

if TYPE_CHECKING:  # loaded where something is played
    from drone_sim.cli.campaign import Campaign
    from drone_sim.cli.documents import Baseline, OursPart, ScriptPart
    from orchestrator.cli.view import Screen

MIXED_S: Final = 1.0
"""For longer than this a fleet was mixed, and not just about to be configured."""

MIXED: Final = ("I1", "I5")
"""The invariants that say that no fleet of ours is mixed: what is decided, what is operated."""

LEFT_MIXED: Final = ("I6",)
"""That none is left so: once faults stop, everybody operates the fleet's version."""


def register(app: App) -> None:
    """Add the command."""
    app.command(baseline)


def baseline(
    *,
    seeds: str,
    with_ours: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    jobs: int | None = None,
    output: Output = "text",
) -> int:
    """
    Play the same seeds with scripts in the place of the orchestrator: how often fleets end mixed.

    For example:
      drone-sim baseline --seeds 1..1000
      drone-sim baseline --seeds 1..1000 --with-ours

    Two of them: retained (one retained message for each device, under a lock file) and deleted
    (two-phase commit whose lock is deleted where somebody forces it). Both are given the benefit
    of the doubt.

    Parameters
    ----------
    seeds
        A..B, both included, or one seed.
    with_ours
        Play them with the pure cores too, and count the runs that violate I1 or I5, and I6. It
        takes longer; whatever else they violate ends it with 1 as well.
    jobs
        Processes that play ours; as many as there are cores unless given.
    output
        text, or json: exactly one document.
    """
    chosen, face = seeds_of(seeds), Face(machine=output == "json")
    found = {name: counted(name, chosen) for name in _scripts()}
    campaign = _ours(seeds, chosen, jobs, face) if with_ours else None

    def text(screen: Screen) -> None:
        _show(screen, found, campaign, seeds)

    face.show(lambda: _document(found, campaign, chosen, seeds), text)
    if campaign is None:
        return int(Exit.DONE)
    if campaign.failed:
        return int(Exit.UNEXPECTED)
    return int(Exit.INTERRUPTED if campaign.interrupted else Exit.DONE)


@dataclass(slots=True, kw_only=True)
class Counted:
    """How often the fleets of one script were mixed; ``first_*`` is the first seed of that."""

    seeds: int = 0
    mixed: int = 0
    first_mixed: int | None = None
    left_mixed: int = 0
    first_left_mixed: int | None = None

    def add(self, seed: int, *, mixed: bool, left_mixed: bool) -> None:
        """Count one run."""
        self.seeds += 1
        self.mixed += mixed
        self.left_mixed += left_mixed
        if mixed and self.first_mixed is None:
            self.first_mixed = seed
        if left_mixed and self.first_left_mixed is None:
            self.first_left_mixed = seed


def counted(script: str, seeds: range) -> Counted:
    """Play every seed with this script."""
    from drone_sim.baseline import play
    from drone_sim.scenario import swarm

    found = Counted()
    for seed in seeds:
        ran = play(swarm.draw(seed), script)
        found.add(seed, mixed=ran.mixed_s > MIXED_S, left_mixed=ran.left_mixed)
    return found


def _scripts() -> tuple[str, ...]:
    from drone_sim.baseline import SCRIPTS

    return tuple(SCRIPTS)


def _ours(text: str, seeds: range, jobs: int | None, face: Face) -> Campaign:
    """Play every seed with the pure cores, whatever they violate."""
    from drone_sim.cli.asked import by_seed
    from drone_sim.cli.campaign import Campaign
    from drone_sim.cli.explore import play_seeds
    from drone_sim.result import Speed

    effort = Effort(jobs=jobs, keep_going=True)
    campaign = Campaign(title=f"seeds {text}", jobs=effort.processes())
    play_seeds(campaign, by_seed(None), seeds, (Speed.CORES,), effort, face=face)
    return campaign


def explore_words(seeds: str) -> str:
    """Return the command that judges ours on the same seeds."""
    return shlex.join(["drone-sim", "explore", "--seeds", seeds])


# --- showing ----------------------------------------------------------------------------------

HEADER: Final = ("on the same seeds", "seeds", "mixed > 1 s", "rate", "left mixed", "rate")


def _show(screen: Screen, found: dict[str, Counted], ours: Campaign | None, seeds: str) -> None:
    rows = [_row(name, one) for name, one in found.items()]
    if ours is not None:
        rows.append(_row("ours, cores", _as_counted(ours)))
    screen.table(HEADER, rows)
    if ours is None:
        screen.line(f"ours   {explore_words(seeds)}, or --with-ours", "dim")
        return
    words = f"{' or '.join(MIXED)} violated at any step; {' or '.join(LEFT_MIXED)} in the end"
    screen.line(f"ours: {words}", "dim")
    for failure in ours.failures[:1]:
        screen.line(f"VIOLATION in {failure.name}: {failure.text}", "bold red")
        screen.line(f"reproduce: {failure.reproduce}")


def _as_counted(ours: Campaign) -> Counted:
    mixed, left = ours.broke(*MIXED), ours.broke(*LEFT_MIXED)
    return Counted(seeds=ours.done, mixed=mixed, left_mixed=left)


def _row(name: str, one: Counted) -> tuple[str, ...]:
    mixed, left = _rate(one.mixed, one.seeds), _rate(one.left_mixed, one.seeds)
    return (name, f"{one.seeds:,}", f"{one.mixed:,}", mixed, f"{one.left_mixed:,}", left)


def _rate(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def _document(
    found: dict[str, Counted], ours: Campaign | None, chosen: range, seeds: str
) -> Baseline:
    from drone_sim.cli.documents import Baseline

    return Baseline(
        type="baseline",
        seeds=[chosen[0], chosen[-1]],
        mixed_longer_than_s=MIXED_S,
        scripts={name: _part(one) for name, one in found.items()},
        ours=None if ours is None else _ours_part(ours),
        explore=explore_words(seeds),
    )


def _part(one: Counted) -> ScriptPart:
    from drone_sim.cli.documents import ScriptPart

    return ScriptPart(
        seeds=one.seeds,
        mixed=one.mixed,
        mixed_rate=round(one.mixed / one.seeds, 6),
        first_mixed=one.first_mixed,
        left_mixed=one.left_mixed,
        left_mixed_rate=round(one.left_mixed / one.seeds, 6),
        first_left_mixed=one.first_left_mixed,
    )


def _ours_part(ours: Campaign) -> OursPart:
    from drone_sim.cli.documents import OursPart
    from drone_sim.result import Speed

    return OursPart(
        seeds=ours.done,
        mixed=ours.broke(*MIXED),
        left_mixed=ours.broke(*LEFT_MIXED),
        failed=ours.failed,
        rate_below=ours.bound(Speed.CORES) if ours.tallies else None,
        reproduce=ours.failures[0].reproduce if ours.failures else None,
    )
