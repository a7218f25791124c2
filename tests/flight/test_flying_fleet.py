"""The flying fleet: time that passes for it, what it writes, and votes over a real broker."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import pytest

from drone_sim.cli import main
from drone_sim.fleet import FleetOptions, SimulatedFleet, mqtt_links
from drone_sim.flight.fleet import HEALTH, Flights
from orchestrator.agent.disk import Disk
from orchestrator.agent.os_disk import OsDisk
from orchestrator.protocol.types import DeviceId
from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.state import FlightPhase
from orchestrator.telemetry import NoAudience
from tests.agent.inline import inline
from tests.agent.stub import FLEET, config
from tests.agent.virtual import LoopClock, virtual
from tests.agent.worlds import Told
from tests.flight.flights import good, yard
from tests.sim.fleets import fleet_of, fleet_text
from tests.sim.simulators import StartBroker, orchestrator


class Fleet:
    """The yard's flights in virtual time; drone-01 and arm-01 are there and aim."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.told = Told()
        self.clock = LoopClock()
        self.directory = directory
        self.flights = Flights(
            yard()[0],
            seed=1,
            clock=self.clock,
            disk=disk or OsDisk(),
            directory=directory,
            audience=self.told,
            offload=inline,
        )
        for device in yard()[0].device:
            if device.id in {"drone-01", "arm-01"}:
                vehicle = self.flights.vehicle(device)
                vehicle.configure(good(device.kind))
                vehicle.resume()

    async def fly(self, span_s: float) -> None:
        """Let so much time pass."""
        with suppress(TimeoutError):
            async with asyncio.timeout(span_s):
                await self.flights.run()

    def document(self, device: str) -> dict[str, object]:
        """What a device has written."""
        found: dict[str, object] = json.loads((self.directory / device / HEALTH).read_text())
        return found


@virtual
async def story_of_a_flight(directory: Path) -> None:
    """Each has written how it is, and nothing else stands in its directory."""
    fleet = Fleet(directory)
    await fleet.fly(40.0)
    health = fleet.flights.health()
    assert FlightPhase.TRANSIT is health["drone-01"].phase
    assert [[HEALTH]] * 2 == [
        [path.name for path in (directory / name).iterdir()] for name in ("drone-01", "arm-01")
    ]
    drone, arm = fleet.document("drone-01"), fleet.document("arm-01")
    assert {
        "schema": 1, "type": "flight", "device": "drone-01", "healthy": True, "phase": "transit",
        "why": "", "held": False, "held_s": 0.0,
        "lost": {"from": "battery", "amount": 0.0, "unit": "Wh"},
    }.items() <= drone.items()  # fmt: skip
    assert 39.0 < float(str(arm["at_s"])) <= 40.0
    assert arm["battery_pct"] is None


def test_a_flight_is_written_once_a_second(tmp_path: Path) -> None:
    """After 40 s that of the last second, one line of JSON per device."""
    for name in ("drone-01", "arm-01"):
        (tmp_path / name).mkdir()
    story_of_a_flight(tmp_path)


@virtual
async def story_without_directories(directory: Path) -> None:
    """It flies on, and the trouble is told a single time."""
    fleet = Fleet(directory)
    await fleet.fly(10.0)
    assert ["health-not-written"] == fleet.told.events
    assert FlightPhase.GROUNDED is fleet.flights.health()["drone-01"].phase


def test_health_that_can_not_be_written_is_told_once(tmp_path: Path) -> None:
    """The directories of the devices are missing."""
    story_without_directories(tmp_path)


class Sleepy(LoopClock):
    """The clock of a machine that sleeps for an hour at the twentieth look."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic() + (3600.0 if self.looks >= 20 else 0.0)


@virtual
async def story_of_a_sleep(directory: Path) -> None:
    """10 s are 10 s and no hour: half a second of the sleep counts."""
    fleet = Fleet(directory)
    fleet.flights._clock = Sleepy()
    await fleet.fly(10.0)
    assert 10.0 <= fleet.flights._squadron.now_s <= 10.5


def test_nobody_flies_while_the_machine_sleeps(tmp_path: Path) -> None:
    """Else an hour would be integrated at a stroke, and every battery be empty."""
    story_of_a_sleep(tmp_path)


def options(directory: Path, fleet: FleetFile) -> FleetOptions:
    """Run all devices of a fleet, flying."""
    return FleetOptions(
        fleet=fleet, directory=directory, audience=lambda _: NoAudience(), fly=True
    )


async def test_a_push_reaches_devices_that_fly(mosquitto: StartBroker, tmp_path: Path) -> None:
    """They begin on the ground, where nothing is against it, and aim by what was pushed."""
    broker = mosquitto()
    fleet = options(tmp_path, fleet_of("d-01", "d-02"))
    async with (
        SimulatedFleet(fleet, mqtt_links(broker.url, FLEET)) as flying,
        orchestrator(broker, "d-01", "d-02") as boss,
    ):
        assert flying.flights is not None
        assert {"it has no configuration"} == {one.why for one in flying.flights.health().values()}
        await boss.push(1, config(90))
        assert [1, 1] == [state.operating for state in flying.states().values()]
        assert {""} == {one.why for one in flying.flights.health().values()}


@pytest.mark.parametrize(
    ("not_while", "reason"),
    [
        pytest.param((), (), id="allowed"),
        pytest.param(
            ("grounded",),
            ("phase is grounded: [policy.drone] says not while grounded",),
            id="forbidden",
        ),
    ],
)
async def test_the_fleets_policy_decides_votes(
    mosquitto: StartBroker, tmp_path: Path, not_while: tuple[str, ...], reason: tuple[str, ...]
) -> None:
    """What the fleet file says of a kind is what its devices say to PREPARE over MQTT."""
    broker, file = mosquitto(), fleet_of("d-01").model_dump(by_alias=True)
    file["policy"] = {"drone": {"not_while": not_while}}
    fleet = options(tmp_path, FleetFile.model_validate(file))
    async with (
        SimulatedFleet(fleet, mqtt_links(broker.url, FLEET)),
        orchestrator(broker, "d-01") as boss,
    ):
        await boss.fence(2)
        prepare = await boss.prepare(1, config(90), window_s=5.0)
        votes = await boss.votes(prepare.txn)
    assert reason == votes[DeviceId("d-01")].reasons


@pytest.mark.parametrize("flags", [("--fly",), ()])
def test_the_command_lets_them_fly_where_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """``--fly``, and not otherwise: what they do decides votes."""
    given: list[FleetOptions] = []

    async def runs(options: FleetOptions, _links: object) -> dict[str, object]:
        given.append(options)
        return {}

    monkeypatch.setattr("orchestrator.telemetry.configure", lambda _level: None)
    monkeypatch.setattr("drone_sim.cli.fleet._until_interrupted", runs)
    (tmp_path / "fleet.toml").write_text(fleet_text("d-01"))
    assert 0 == main(["fleet", str(tmp_path / "fleet.toml"), "--state-dir", str(tmp_path), *flags])
    assert [bool(flags)] == [options.fly for options in given]
