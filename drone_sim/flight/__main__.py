"""
The command: ``python -m drone_sim.flight --out FILE.svg [--withhold 10]``.

Withholds the decision of a push from drones, an arm and a node that fly, carry and work, draws
what they do, and prints it. Exit codes: 0 all held and went on as they must; 1 one did not; 2
wrong use. The same arguments write the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from drone_sim.flight.withheld import Withheld, withheld
from drone_sim.flight.withheld_plot import cost_words, render_withheld_svg
from drone_sim.report.files import write_whole
from orchestrator.errors import Exit, OperatingError

WITHHOLD_S: Final = (1.0, 120.0)


def table(found: Withheld) -> str:
    """Return what happened as a table for people."""
    before_s, after_s = found.hold_at_s - found.decided_at_s, found.told_at_s - found.hold_at_s
    lines = [
        f"COMMIT decided {before_s:.2f} s before hold_at, gets out {after_s:.2f} s after it",
        f"{'device':<10}{'holds at':>20}{'held':>10}{'after the decision':>20}  cost",
    ]
    for track in found.tracks:
        late_ms = 1e3 * (track.held_from_s - found.hold_at_s)
        power = track.held_power_w
        hover = "" if power is None else f", {power:.1f} W; hover: {track.hover_power_w:.1f} W"
        lines.append(
            f"{track.device:<10}{f'hold_at {late_ms:+.1f} ms':>20}{track.held_s:>8.2f} s"
            f"{1e3 * (track.held_until_s - found.told_at_s):>17.0f} ms  {cost_words(track)}{hover}"
        )
    return "\n".join(lines)


def _withhold(text: str) -> float:
    low, high = WITHHOLD_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not low <= seconds <= high:
        msg = f"{text!r} is no number of seconds from {low:g} to {high:g}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, draw, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m drone_sim.flight",
        description="What every device does, and what it costs, while a decision is withheld.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the plot, SVG")
    parser.add_argument(
        "--withhold", type=_withhold, default=10.0, metavar="S", help="for so long"
    )
    given = parser.parse_args(arguments)
    try:
        found = withheld(given.withhold)
        write_whole(given.out, render_withheld_svg(found))
    except OperatingError as error:
        sys.stderr.write(f"{error.message}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{table(found)}\n")
    wrong = found.wrong()
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return int(Exit.UNEXPECTED if wrong else Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
