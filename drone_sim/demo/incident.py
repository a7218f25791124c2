"""
The incident, replayed: the orchestrator is killed with -9 and its lock is HOT.

Twice: once while the votes come in (nothing is decided: the forced unlock decides ABORT), once
after the decision is durable and before anybody was told (the forced unlock drives it forward).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from drone_sim.demo.observer import Observer
from drone_sim.demo.processes import KILLED, StepError
from drone_sim.demo.scene import Run, Scene
from drone_sim.demo.steps import document_of, ends, fleet_at_version_1, push
from drone_sim.demo.teller import Style, duration
from drone_sim.demo.workspace import NEW, OLD
from orchestrator.errors import Exit
from orchestrator.protocol.device import Holding
from orchestrator.protocol.messages import DeviceState

REASON: Final = "its orchestrator was killed"
_NEXT: Final = re.compile(r"lock force-unlock (\S+) --dry-run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When the orchestrator dies, and what must become of the fleet."""

    name: str
    title: str
    fault: str
    died: str
    outcome: str
    expected: str
    because: str
    window_s: int = 0


def votes_before_death(devices: int) -> int:
    """Return how many votes are counted before the end: 7 of 12, and alike for other fleets."""
    return max(1, min(devices - 1, round(devices * 7 / 12)))


def moments(devices: int) -> tuple[Moment, Moment]:
    """Return the two worst moments for a fleet of this size."""
    votes = votes_before_death(devices)
    undecided = Moment(
        name="undecided",
        title=f"1. Killed with -9 after {votes} of {devices} votes: nothing is decided",
        fault=f"kill@votes:{votes}:after",
        died=f"killed with -9 (a shell says 137) when {votes} of {devices} votes were counted",
        outcome="abort",
        expected=OLD,
        because="no decision existed, so taking the lock stored ABORT in the same write:"
        " the answer was no, and stays no",
    )
    decided = Moment(
        name="decided",
        title="2. Killed with -9 after the decision is on the disk, before anybody was told",
        fault="kill@append:decided:after",
        died="killed with -9 (137): COMMIT is one durable row in the journal, and no drone knows",
        outcome="commit",
        expected=NEW,
        because="the decision existed, so the new holder of the lock drove it forward:"
        " a forced unlock changes who drives, never what was decided",
        window_s=1,  # on a busy machine a late vote would make it another story
    )
    return undecided, decided


async def incident_story(scene: Scene, moment: Moment) -> Run:
    """Play one of the two moments."""
    async with fleet_at_version_1(scene) as observer:
        await _die(scene, observer, moment)
        lock = await _hot(scene)
        await _look(scene, observer, lock)
        await _force(scene, lock, moment)
        devices = await ends(scene, observer, moment.expected)
        scene.check(
            "from before the kill to the end no two drones operated different versions",
            kept=not observer.mixed,
        )
        return scene.ended(devices, _skew_ms(observer) if moment.outcome == "commit" else None)


async def _die(scene: Scene, observer: Observer, moment: Moment) -> None:
    """Push until the orchestrator is killed; wait until every drone holds."""
    observer.watch()
    await push(scene, NEW, KILLED, fault=moment.fault, window_s=moment.window_s)
    scene.teller.result(moment.died, Style.BAD)
    await observer.until_all(_in_doubt, "every drone that voted yes holds")
    total = len(scene.workspace.devices)
    scene.teller.result(
        f"{observer.count(_in_doubt)} of {total} drones hold: all have voted yes by now, and must"
        " obey a decision that they don't know. They hover with their aim frozen, and ask",
        Style.HOT,
    )


def _in_doubt(told: DeviceState) -> bool:
    return Holding.DOUBT.value in told.holds and told.operating is None


async def _hot(scene: Scene) -> str:
    """Let a second push find the lock HOT; return the lock id that its message names."""
    done = await scene.run(f"aimctl push {NEW} --fleet {scene.workspace.fleet_file} --yes")
    scene.teller.quote(done.stderr, Style.HOT)
    scene.teller.result(f"exit code {done.code}")
    scene.check(
        f"a second push finds the lock HOT and changes nothing (exit code {int(Exit.HOT)})",
        kept=done.code == Exit.HOT and f"{scene.workspace.config}: HOT" in done.stderr,
    )
    found = _NEXT.search(done.stderr)
    if found is None:
        raise StepError(f"{done.command}\nnames no way out:\n{done.stderr[-2000:]}")
    return found[1]


async def _look(scene: Scene, observer: Observer, lock: str) -> None:
    """Run what the message says: the dry run."""
    done = await scene.run(f"aimctl lock force-unlock {lock} --dry-run")
    scene.teller.quote(done.stdout.strip() or done.stderr.strip())
    total = len(scene.workspace.devices)
    scene.check(
        "the dry run tells what would happen, and changes nothing",
        kept=done.code == Exit.DONE and observer.count(_in_doubt) == total,
    )


async def _force(scene: Scene, lock: str, moment: Moment) -> None:
    """Force the lock from a second process."""
    line = f"aimctl lock force-unlock {lock} --reason '{REASON}' --confirm {lock} --output json"
    done = await scene.run(line)
    forced = document_of(done)
    decision = str(forced.get("decision"))
    scene.teller.result(f"{decision.upper()}: {moment.because}", Style.GOOD)
    timing = forced.get("timing_ms") or {}
    if "total" in timing:
        scene.teller.result(f"({duration(timing['total'])} from the order to the end)", Style.DIM)
    scene.check(
        f"the forced unlock ends it with {moment.outcome.upper()}, and no device is deferred",
        kept=decision == moment.outcome and not forced.get("deferred"),
    )


def _skew_ms(observer: Observer) -> float | None:
    instants = [
        told.activated_at for told in observer.states().values() if told.activated_at is not None
    ]
    return round((max(instants) - min(instants)) * 1e3, 3) if instants else None
