"""What many runs came to, in words: for a person at a terminal, or in the log of a CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from drone_sim.cli.campaign import Campaign, Failure
from drone_sim.explore.figures import Distribution, Holds, Spread, Tally, is_fault
from drone_sim.result import Speed

if TYPE_CHECKING:  # loaded where something is shown
    from drone_sim.explore.shrink import Shrunk
    from orchestrator.cli.view import Screen

KINDS_MAX: Final = 5
WHOLE_FROM: Final = 100
_UNITS: Final = (
    *((3600.0, 7200.0, "h"), (60.0, 120.0, "min"), (1.0, 1.0, "s")),
    *((1e-3, 1e-3, "ms"), (1e-6, 1e-6, "µs")),
)
"""Units of time, in s, and from when on each is used."""

WIDTH: Final = 14


def count(number: int, what: str, many: str = "") -> str:
    """Show ``1 device``, ``1,200 devices``."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def time_words(seconds: float) -> str:
    """Show a time with three digits, in the unit that fits: minutes from two on, and hours."""
    for unit_s, least_s, unit in _UNITS:
        if seconds >= least_s:
            value = seconds / unit_s
            return f"{value:,.0f} {unit}" if value >= WHOLE_FROM else f"{value:.3g} {unit}"
    return "0 s"


def rate_words(rate: float) -> str:
    """Show a rate without an exponent: ``0.0015``, ``0.00003``."""
    return f"{rate:.8f}".rstrip("0").rstrip(".") if rate < 1 else f"{rate:.0f}"


def speed_up_words(factor: float) -> str:
    """Show with two digits how much faster than real time."""
    return f"{float(f'{factor:.2g}'):,.0f}" if factor >= 1 else f"{factor:.2g}"


def kinds_words(kinds: Counter[str]) -> str:
    """Show the most frequent kinds, and how many others there are."""
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{kind} {number:,}" for kind, number in ordered[:KINDS_MAX])
    rest = ordered[KINDS_MAX:]
    if not rest:
        return shown
    return f"{shown}, {len(rest)} other kinds {sum(number for _, number in rest):,}"


def figures_lines(campaign: Campaign, speed: Speed) -> Iterator[tuple[str, str]]:
    """Yield the figures of the runs at one speed: what, and how much."""
    tally, bound = campaign.tallies[speed], campaign.bound(speed)
    faults = Counter({kind: number for kind, number in tally.acts.items() if is_fault(kind)})
    forced = count(tally.forced, "forced unlock")
    yield "transactions", f"{tally.committed:,} committed, {tally.aborted:,} aborted, {forced}"
    yield "faults", f"{tally.faults:,}" + (f": {kinds_words(faults)}" if faults else "")
    yield "checked", f"after each of {count(tally.steps, 'step')}; {tally.messages:,} messages"
    yield "simulated", _simulated(tally)
    if tally.skews.count:
        yield "skew", f"first to last activation: {_spread_words(tally.skews)}"
    if tally.held.count:
        yield "holds", f"{tally.held.count:,}: {_spread_words(tally.held)}"
    if bound is not None:
        none = f"no violation in {count(tally.runs, 'run')}"
        below = f"{rate_words(100 * bound)} % of all seeds have one (rule of three)"
        yield "bound", f"{none}: at 95 % confidence fewer than {below}"


def _simulated(tally: Tally) -> str:
    faster = f"{speed_up_words(tally.speed_up)} × real time"
    rate = f"{tally.runs_per_core_s:.3g} runs a second on one core"
    return f"{time_words(tally.virtual_s)}, {faster}; {rate}"


def _spread_words(times: Distribution) -> str:
    half, most = (time_words(times.percentile_s(percent)) for percent in (50, 99))
    return f"half below {half}, 99 % below {most}, worst {time_words(times.worst_s)}"


HOLDS_HEADER: Final = (
    *("held for", "alone", "worst", "budget"),
    *("others too", "worst", "budget", "used"),
)


def hold_row(row: Holds) -> tuple[str, ...]:
    """
    Return the holds of one cause, alone and with other faults: the worst beside its budget.

    The last is the largest share of its own budget that any of them used.
    """
    closest = row.closest
    used = "-" if closest is None or closest.hold.budget_s <= 0 else f"{closest.share:.0%}"
    return (row.cause, *_spread(row.alone), *_spread(row.among), used)


def _spread(spread: Spread) -> tuple[str, str, str]:
    if spread.longest is None:
        return ("-", "-", "-")
    budget_s = spread.longest.hold.budget_s
    return (
        f"{spread.lasted.count:,}",
        time_words(spread.lasted.worst_s),
        time_words(budget_s) if budget_s > 0 else "-",
    )


# --- on a screen ------------------------------------------------------------------------------


def show_campaign(
    screen: Screen, campaign: Campaign, missing: dict[Speed, tuple[str, ...]] | None
) -> None:
    """Write the verdict on all runs, and the figures of each speed."""
    for speed, tally in campaign.tallies.items():
        unseen = (missing or {}).get(speed, ())
        mark, style = mark_of(campaign, tally, unseen)
        screen.line(f"{mark} {verdict(campaign, speed, tally, unseen)}", style)
        for what, text in figures_lines(campaign, speed):
            screen.line(f"  {what:{WIDTH}}{text}")
        if missing is not None:
            screen.line(f"  {'goals':{WIDTH}}{goals_words(unseen)}")
            for line in goal_lines(unseen):
                screen.line(line)
        if tally.holds:
            screen.table(HOLDS_HEADER, [hold_row(row) for row in tally.rows()])
    if not campaign.tallies:
        before = "interrupted before anything" if campaign.interrupted else "nothing"
        screen.line(f"{before} was played", "bold")


def mark_of(campaign: Campaign, tally: Tally, missing: Sequence[str]) -> tuple[str, str]:
    """Return the mark that says what the exit code says, and its style."""
    if tally.failed or missing:
        return "✘", "bold red"
    return ("■", "bold yellow") if campaign.interrupted else ("✔", "bold green")


def verdict(campaign: Campaign, speed: Speed, tally: Tally, missing: Sequence[str] = ()) -> str:
    """Say how the runs at one speed ended; ``missing`` are the goals that were never seen."""
    what = f"{campaign.title}, {speed}: {count(tally.runs, 'run')}"
    if campaign.interrupted:
        what += ", then interrupted"
    said = f"{tally.failed:,} of them violated" if tally.failed else "every invariant held"
    if not missing:
        return f"{what}, {said}"
    return f"{what}, {said}, {'and' if tally.failed else 'but'} {unseen_words(missing)}"


def unseen_words(missing: Sequence[str]) -> str:
    """Say how many goals are missing."""
    return f"{count(len(missing), 'goal')} {'was' if len(missing) == 1 else 'were'} never seen"


def goals_words(missing: Sequence[str]) -> str:
    """Say which goals were never seen."""
    return "all were seen" if not missing else f"NOT SEEN: {', '.join(missing)}"


def goal_lines(missing: Sequence[str]) -> Iterator[str]:
    """Yield what each goal is that was never seen."""
    from drone_sim.checker.goals import GOALS

    return (f"  {'':{WIDTH}}{name}: {GOALS[name].text}" for name in missing)


def show_failure(screen: Screen, failure: Failure, shrunk: Shrunk | None) -> None:
    """Write what did not hold, and what it was shrunk to."""
    ran = failure.ran
    at = "" if ran.violated_at_s is None else f" at {ran.violated_at_s:.3f} s"
    screen.line(f"VIOLATION in {failure.name}, {ran.case.speed}{at}", "bold red")
    for violation in ran.violations:
        screen.line(f"  {violation}")
    if shrunk is not None and ran.result is not None:
        screen.line(f"  {shrunk_words(failure, shrunk)}")


def shrunk_words(failure: Failure, shrunk: Shrunk) -> str:
    """Say how much smaller it has become."""
    before = failure.ran.result.scenario if failure.ran.result is not None else None
    after = shrunk.result.scenario
    was = "" if before is None else f" (were {len(before.devices)} and {len(before.acts)})"
    more = "" if shrunk.complete else "; there was more to try"
    return (
        f"shrunk to {count(len(after.devices), 'device')}"
        f" and {count(len(after.acts), 'act')}{was} in {count(shrunk.runs, 'run')}{more}"
    )
