"""A vehicle behind the port of an agent: what it says to a vote, and when it begins to aim."""

from __future__ import annotations

from pathlib import Path

import pytest

from drone_sim.flight.device import FlyingDevice
from drone_sim.flight.vehicle import Vehicle
from orchestrator.agent.device import DeviceRefused
from orchestrator.agent.hook import FileAndHook
from orchestrator.agent.os_disk import OsDisk
from orchestrator.protocol.device import Activate, Check
from orchestrator.protocol.types import DeviceId, Digest, FleetId, TxnId, Version
from orchestrator.staging.bundle import encode_config
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.models import AimConfig
from orchestrator.staging.state import FlightPhase
from tests.agent.inline import inline
from tests.flight.flights import Flight, flight, good, policy_of, spoilt, vehicle

NAME = "yard_aim.conf"


class Rigged:
    """A flying device whose files are in ``directory``; ``error_s`` is its clock's."""

    def __init__(self, directory: Path, of: Vehicle) -> None:
        self.error_s: float | None = 0.004
        self.active = directory / NAME
        self.flight: Flight = flight(of)
        files = FileAndHook(
            fleet=FleetId("yard-mixed"),
            device=DeviceId(of.id),
            active=self.active,
            disk=OsDisk(),
            offload=inline,
        )
        self.device = FlyingDevice(files, of, clock_error_s=lambda: self.error_s)

    async def vote(self) -> tuple[str, ...]:
        """Its reasons against the good configuration; none for a yes."""
        data = encode_config(good())
        asked = Check(txn=TxnId("t"), digest=digest_of(data), config=NAME, data=data)
        return await self.device.check(asked)

    async def activate(self, data: bytes) -> None:
        """Tell it to aim by these bytes."""
        digest: Digest = digest_of(data)
        await self.device.activate(Activate(version=Version(2), digest=digest, config=NAME), data)


@pytest.fixture
def rigged(tmp_path: Path) -> Rigged:
    """A drone that operates the good configuration under the yard's policy; its aim is exact."""
    return Rigged(tmp_path, vehicle(physics=False))


# --- votes --------------------------------------------------------------------------------------

YES = (FlightPhase.GROUNDED, FlightPhase.CLIMBING, FlightPhase.TRANSIT, FlightPhase.HOVERING)


@pytest.mark.parametrize("phase", YES)
async def test_it_votes_yes_where_nothing_is_against_it(
    rigged: Rigged, phase: FlightPhase
) -> None:
    """The yard's drones may be on the ground, climb, travel or hover."""
    rigged.flight.to(phase)
    assert () == await rigged.vote()


@pytest.mark.parametrize("phase", [FlightPhase.TRACKING, FlightPhase.LANDING])
async def test_it_votes_no_while_the_policy_says_so(rigged: Rigged, phase: FlightPhase) -> None:
    """``not_while`` names the phase, and the no does."""
    rigged.flight.to(phase)
    assert (f"phase is {phase}: [policy.drone] says not while {phase}",) == await rigged.vote()


async def test_it_votes_no_where_the_worst_hold_is_too_dear(rigged: Rigged) -> None:
    """With what hovering takes in this wind, and what would be left."""
    rigged.flight.to(FlightPhase.TRANSIT)
    battery = rigged.flight.of.body.battery
    assert battery is not None
    battery.left_wh = 0.25 * battery.full_wh
    dear = 100.0 * battery.hover_power_w * 120.0 / 3600.0 / battery.full_wh
    left = f"battery 25 % \N{MINUS SIGN} {dear:.3g} %"
    assert (f"{left} for 120 s of hover < reserve 20 %",) == await rigged.vote()


async def test_it_votes_no_in_a_failsafe(rigged: Rigged) -> None:
    """Where its battery lands it, nothing is changed."""
    rigged.flight.to(FlightPhase.TRANSIT)
    battery = rigged.flight.of.body.battery
    assert battery is not None
    battery.left_wh = 0.05 * battery.full_wh
    rigged.flight.to(FlightPhase.FAILSAFE)
    assert "phase is failsafe: nothing is changed in it" in await rigged.vote()


@pytest.mark.parametrize(
    ("error_s", "reason"),
    [
        pytest.param(0.03, "clock error 30 ms > 20 ms", id="too large"),
        pytest.param(None, "clock error unknown, at most 20 ms is allowed", id="unknown"),
    ],
)
async def test_it_votes_no_without_a_clock(
    tmp_path: Path, error_s: float | None, reason: str
) -> None:
    """The bound that the agent has of its clock is what the policy asks for."""
    rigged = Rigged(
        tmp_path, vehicle(policy=policy_of("drone", clock_error_max_ms=20.0), physics=False)
    )
    rigged.error_s = error_s
    assert (reason,) == await rigged.vote()


async def test_a_weak_link_is_a_no_far_away(tmp_path: Path) -> None:
    """Quality falls with the distance: enough at home, too little on the way."""
    rigged = Rigged(
        tmp_path, vehicle(policy=policy_of("drone", link_quality_min_pct=94.0), physics=False)
    )
    assert () == await rigged.vote()
    rigged.flight.to(FlightPhase.HOVERING)
    (reason,) = await rigged.vote()
    assert reason.startswith("link quality 8")
    assert reason.endswith(" % < 94 %")


async def test_reasons_of_the_ground_come_after(tmp_path: Path) -> None:
    """Those of what it wraps are told as well."""
    rigged = Rigged(tmp_path, vehicle())

    class Refuses(FileAndHook):
        async def check(self, check: Check) -> tuple[str, ...]:
            return ("lens cap on",)

    files = Refuses(fleet=FleetId("f"), device=DeviceId("d"), active=rigged.active, disk=OsDisk())
    rigged.device = FlyingDevice(files, rigged.flight.of, clock_error_s=lambda: None)
    rigged.flight.to(FlightPhase.TRACKING)
    reasons = await rigged.vote()
    assert (2, "lens cap on") == (len(reasons), reasons[-1])


@pytest.mark.parametrize("kind", ["arm", "node"])
async def test_others_follow_their_own_policies(tmp_path: Path, kind: str) -> None:
    """Of the yard's arms none votes yes with a load in motion; nodes always do."""
    rigged = Rigged(tmp_path, vehicle(kind, physics=False))
    phase = FlightPhase.TRANSIT if kind == "arm" else FlightPhase.TRACKING
    rigged.flight.to(phase)
    no = "phase is transit: [policy.arm] says not while transit"
    assert ((no,) if kind == "arm" else ()) == await rigged.vote()


# --- activation ---------------------------------------------------------------------------------


def operates(rigged: Rigged) -> AimConfig | None:
    """What the vehicle aims by."""
    return rigged.flight.of.config


async def test_it_begins_where_that_is_safe(rigged: Rigged) -> None:
    """Held in transit it hovers: the file is written, and it aims by the new version."""
    new = spoilt(rate_max_deg_s=80.0)
    rigged.flight.to(FlightPhase.TRANSIT)
    await rigged.device.hold(("in doubt",))
    rigged.flight.on(3.0)
    await rigged.activate(encode_config(new))
    await rigged.device.resume(2)
    rigged.flight.on(1.0)
    assert (new, False) == (operates(rigged), rigged.flight.of.held)
    assert encode_config(new) == rigged.active.read_bytes()


async def test_it_waits_where_that_is_unsafe(rigged: Rigged) -> None:
    """In a landing it refuses, with the file written, until it stands; then it obeys (I30)."""
    new = spoilt(rate_max_deg_s=80.0)
    rigged.flight.to(FlightPhase.LANDING)
    await rigged.device.hold(("in doubt",))
    with pytest.raises(DeviceRefused, match="not now: phase is landing"):
        await rigged.activate(encode_config(new))
    assert (good(), encode_config(new)) == (operates(rigged), rigged.active.read_bytes())
    rigged.flight.to(FlightPhase.GROUNDED)
    rigged.flight.on(2.0)
    await rigged.activate(encode_config(new))
    assert new == operates(rigged)


async def test_a_tracking_drone_is_safe_as_soon_as_it_holds(tmp_path: Path) -> None:
    """What is held does not track: it hovers, and begins once its camera stands, in any wind."""
    rigged = Rigged(tmp_path, vehicle())
    rigged.flight.to(FlightPhase.TRACKING)
    rigged.flight.on(10.0)
    with pytest.raises(DeviceRefused, match="phase is tracking"):
        await rigged.activate(encode_config(good()))
    await rigged.device.hold(("in doubt",))
    rigged.flight.on(1.0)
    await rigged.activate(encode_config(spoilt(rate_max_deg_s=80.0)))
    assert 80.0 == rigged.flight.of.config.yaw.rate_max_deg_s  # type: ignore[union-attr] # above


async def test_bytes_that_are_no_configuration_are_refused(rigged: Rigged) -> None:
    """Whatever a disk has made of them: it goes on as before."""
    with pytest.raises(DeviceRefused):
        await rigged.activate(b"{}")
    assert good() == operates(rigged)


async def test_what_can_not_be_written_is_not_flown(tmp_path: Path) -> None:
    """The file comes first: where that fails, the vehicle keeps what it has."""
    rigged = Rigged(tmp_path / "missing", vehicle())
    with pytest.raises(Exception, match="missing"):
        await rigged.activate(encode_config(spoilt(rate_max_deg_s=80.0)))
    assert good() == operates(rigged)
