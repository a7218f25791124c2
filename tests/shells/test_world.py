"""The unchanged product in a simulated world: what a run is, and that it is judged."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from drone_sim.result import Crash, Speed
from drone_sim.scenario import swarm
from drone_sim.scenario.model import Pace
from drone_sim.shells.engine import play
from drone_sim.shells.fleetware import fleetware
from drone_sim.trace import Kind, Trace
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.joining import Joiner
from orchestrator.service import locks
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.samples import samples_directory
from tests.shells.plays import THREE, played, scenario


def test_a_healthy_push_takes_the_whole_fleet_along() -> None:
    """Version 1 is there before the story, then every device goes to 2 and, at the end, to 3."""
    run = played(scenario("at 1 s mira pushes"))

    assert run.result.held
    assert Speed.SHELLS is run.result.speed
    assert ["commit", "commit"] == run.outcomes()
    assert [[None, 2, None, 3]] * 3 == [run.operated(one.id)[-4:] for one in THREE]
    assert run.end("mira").startswith("ends: exit 0: decided COMMIT")


def test_a_fresh_fleet_begins_with_nothing() -> None:
    """The first push is the story's."""
    run = played(scenario("at 1 s mira pushes", fresh=True))

    assert run.result.held
    assert [1, 2] == [event.detail["seq"] for event in run.records("begun")]
    assert run.state_at("d-01", 0.9)["operating"] is None


def test_times_are_those_of_the_story() -> None:
    """The freeze of a push lies where its record says, in story time."""
    run = played(scenario("at 1 s mira pushes"))
    begun = run.records("begun")[0].detail
    hold_at, activate_at = begun["hold_at_s"], begun["activate_at_s"]
    assert isinstance(hold_at, float)
    assert isinstance(activate_at, float)

    assert 1.0 < hold_at < activate_at < 2.0
    middle = run.state_at("d-01", (hold_at + activate_at) / 2)
    assert (None, "waiting for its activation") == (middle["operating"], middle["holds"])


def test_what_is_not_there_is_passed_over() -> None:
    """Acts may name processes and devices that shrinking has taken away."""
    run = played(
        scenario(
            "at 1 s kill nobody",
            "at 1 s pause nobody for 1 s",
            "at 2 s cut d-09 from the broker for 1 s",
            "at 2 s d-09 is replaced",
            "at 3 s nobody retires d-09",
        )
    )

    assert run.result.held
    assert {"retire"} == {event.detail["verb"] for event in run.of(Kind.ACT)}


# --- the same run again -------------------------------------------------------------------------

STORY = """
from drone_sim.scenario import swarm
from drone_sim.shells.engine import play
from drone_sim.trace import Trace
trace = Trace()
play(swarm.draw(3), trace=trace)
print(trace.digest())
"""


def test_the_same_scenario_gives_the_same_trace() -> None:
    """Byte for byte, in another process and with another PYTHONHASHSEED too."""
    traces = [Trace(), Trace()]
    for trace in traces:
        play(swarm.draw(3), trace=trace)
    elsewhere = subprocess.run(
        [sys.executable, "-c", STORY],
        env={"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert [traces[0].digest()] * 2 == [traces[1].digest(), elsewhere.stdout.strip()]


def test_a_trace_changes_nothing() -> None:
    """A run that keeps no trace comes to the same figures."""
    made = swarm.draw(5)

    assert play(made, trace=Trace()).figures == play(made).figures


@pytest.mark.parametrize("seed", range(1, 7))
def test_drawn_scenarios_hold(seed: int) -> None:
    """Whatever is drawn, every invariant holds."""
    assert () == play(swarm.draw(seed)).violations


# --- crashes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("await_", [False, True])
def test_whoever_gets_to_a_crash_point_dies_there(*, await_: bool) -> None:
    """An orchestrator stays dead, a device comes back: in both cases the fleet gets well."""
    made = scenario("at 0.1 s mira pushes", safety_s=5.0)
    healthy = play(made).figures
    points = healthy.awaits if await_ else healthy.seams
    runs = [
        played(made, crashes=(Crash(at=at, await_=await_),))
        for at in range(1, points + 1, points // 8)
    ]

    assert [True] * len(runs) == [run.result.held for run in runs]
    dead = [[event.who for event in run.of(Kind.PROCESS) if died(event.text)] for run in runs]
    assert [1] * len(runs) == [len(names) for names in dead]
    assert {"mira", "d-01", "d-02", "d-03"} >= {name for names in dead for name in names}


def died(text: str) -> bool:
    """Whether a process, or a device, is said to have died."""
    return text in {"is killed", "is down"}


def test_a_crash_point_beyond_the_end_kills_nobody() -> None:
    """There are as many points as the figures say."""
    made = scenario("at 0.1 s mira pushes", safety_s=5.0)
    points = play(made).figures.seams

    assert played(made, crashes=(Crash(at=points + 1),)).end("mira").startswith("ends: exit 0")


# --- it is judged -------------------------------------------------------------------------------


def test_a_wrong_product_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that accepts an old epoch breaks I10 as soon as it is told one."""

    def obeys(self: Any, message: Any, now: float) -> None:
        durable = replace(self.durable, max_epoch=message.epoch)
        self._save(durable, then="fenced", message=message)

    monkeypatch.setattr(Joiner, "_fence", obeys)
    run = played(scenario("at 1 s mira pushes", "at 3 s ada serves for 2 s"))

    assert {"I10"} == {violation.id for violation in run.result.violations}
    assert run.result.violated_at_s is not None
    assert [Kind.VIOLATION] == [event.kind for event in run.events[-1:]]


def test_a_decision_without_its_votes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A COMMIT that lacks a yes breaks I3."""
    decide = Coordinator._decide

    def rash(self: Coordinator, txn: Any, _silent: Any, now: float) -> Any:
        return decide(self, txn, {}, now)

    monkeypatch.setattr(Coordinator, "_decide", rash)
    run = played(scenario("at 1 s cut d-02 from the broker", "at 2 s mira pushes"))

    assert "I3" in {violation.id for violation in run.result.violations}


def test_a_program_that_breaks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expects is a violation too."""

    async def broken(*_args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(locks, "look", broken)
    run = played(scenario("at 1 s ops holds the lock for 3 s", "at 2 s mira pushes"))

    assert ["X"] == [violation.id for violation in run.result.violations]
    assert "mira: RuntimeError: broken" in str(run.result.violations[0])


# --- the user's own files -----------------------------------------------------------------------


def test_a_fleet_of_real_files_is_played() -> None:
    """Its devices, with the bytes that its own overlays make for each of them."""
    samples = samples_directory()
    fleet = load_fleet(read(samples / "fleets" / "yard-mixed.toml"))
    ware = fleetware(fleet, load_config(read(samples / "yard_aim.conf")))
    devices = tuple(
        replace(THREE[0], id=device.id, kind=device.kind) for device in fleet.file.device
    )
    made = scenario("at 1 s mira pushes", devices=devices, pace=Pace(settle_s=2.0))
    run = played(made, fleetware=ware)

    assert run.result.held
    assert 8 == len(ware.bundle(1).configs)
    assert [3] * len(devices) == [run.operated(device.id)[-1] for device in devices]


def test_a_configuration_that_no_device_can_run_is_refused() -> None:
    """The devices' own gimbals say no, with the reason, and the healthy push can't commit."""
    samples = samples_directory()
    fleet = load_fleet(read(samples / "fleets" / "hazard-12.toml"))
    sane = load_config(read(samples / "aim_lock_config.conf"))
    yaw = {**sane.base["yaw"], "angle_max_deg": 175.0}
    ware = fleetware(fleet, replace(sane, base={**sane.base, "yaw": yaw}), sane)
    devices = tuple(replace(THREE[0], id=device.id) for device in fleet.file.device)
    run = played(scenario("at 1 s mira pushes", devices=devices), fleetware=ware)

    assert ["I4"] == [violation.id for violation in run.result.violations]
    assert ["abort", "abort"] == run.outcomes()
    why = "d-01: yaw angle_max_deg 175 > 170 of gimbal 'g30'"
    assert why in str(run.records("decided")[0].detail["refused"])
