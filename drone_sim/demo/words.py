"""What is told before and after the stories, and the contrast between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drone_sim.demo.scene import Run
from drone_sim.demo.teller import Style, Teller, duration

_OPENING: Final = {
    "push": "aimctl demo: one configuration, {devices} simulated drones, all or nothing",
    "incident": "aimctl demo --incident: the orchestrator dies, its lock is HOT, and is forced",
    "naive": "aimctl demo --incident --naive: the same night with a script and a lock file",
}


def begin(teller: Teller, mode: str, devices: int) -> None:
    """Say what is about to be played."""
    teller.title(_OPENING[mode].format(devices=devices))


def end(teller: Teller, mode: str, runs: Sequence[Run]) -> None:
    """Say what was shown, what differs, and what to try next."""
    if mode == "push":
        _end_push(teller, runs[0])
    elif mode == "incident":
        _end_incident(teller, runs)
    else:
        _end_naive(teller, runs[0])
    _verdict(teller, runs)


def _end_push(teller: Teller, run: Run) -> None:
    skew, held = run.activation_skew_ms, run.hold_ms
    teller.line()
    if skew is not None and held is not None:
        teller.line(
            f"activation skew {skew:.1f} ms, held at most {duration(held)},"
            f" {run.total_ms / 1e3:.1f} s from start to end"
        )
    _next(
        teller,
        ("aimctl demo --incident", "the orchestrator is killed at the two worst moments"),
        ("aimctl demo --incident --naive", "what a script with a lock file does that night"),
    )


def _end_incident(teller: Teller, runs: Sequence[Run]) -> None:
    teller.title("What you have seen")
    for run in runs:
        version = ", ".join(str(version) for version in run.versions)
        held = "-" if run.hold_ms is None else duration(run.hold_ms)
        teller.line(
            f"  {run.story:<10} all {len(run.devices)} drones on version {version}, the same"
            f" bytes; held {held} at most, until forced"
        )
    teller.line()
    teller.paragraph(
        "Lock and decision are rows of one journal. Forcing the lock is one append: the epoch"
        " rises, and where no decision exists ABORT is stored with it; where one exists it is"
        " driven to every drone. A drone that voted yes holds until it hears which."
    )
    _next(
        teller,
        ("aimctl demo --incident --naive", "the same kill under a lock file: what differs"),
    )


def _end_naive(teller: Teller, run: Run) -> None:
    count = [sum(end.version == version for end in run.devices.values()) for version in (2, 1)]
    teller.title("What differs, exactly")
    rows = (
        ("", "script and lock file (this run)", "aimctl (the run of --incident)"),
        ("killed in the middle", f"{count[0]} changed, {count[1]} did not", "nobody has changed"),
        ("meanwhile devices", "operate, on two versions", "hold, and ask"),
        ("the lock says", "nothing", "who, since when, dead or alive, which txn"),
        ("forcing it", "deletes a file", "one append: decides, or drives on"),
        ("afterwards", "split, and nobody knows", "one version, everywhere"),
    )
    for name, script, ours in rows:
        line = f"  {name:<22}{script:<34}{ours}"
        teller.line(teller.styled(line, Style.DIM) if not name else line)
    teller.line()
    teller.paragraph(
        "Both are real runs, and the script is as careful as scripts are: acknowledged publishes,"
        " retained messages, whole files, an exclusive lock file. Running it again would mend the"
        " fleet, if somebody knew that it is broken; until then half of it aims differently."
    )
    _next(
        teller,
        ("aimctl demo --incident", "the same kill, same broker, devices and files, with aimctl"),
    )


def _next(teller: Teller, *commands: tuple[str, str]) -> None:
    teller.line()
    for shown, why in commands:
        teller.line(f"  next   {teller.styled(f'{shown:<32}', Style.BOLD)}{why}")


def _verdict(teller: Teller, runs: Sequence[Run]) -> None:
    broken = [check.claim for run in runs for check in run.checks if not check.kept]
    teller.line()
    if broken:
        text = f"NOT as told: {len(broken)} of what was promised did not hold"
        teller.line(teller.styled(text, Style.BAD))
    else:
        total = sum(len(run.checks) for run in runs)
        teller.line(f"everything went as told ({total} checks, {teller.elapsed_s:.1f} s)")
