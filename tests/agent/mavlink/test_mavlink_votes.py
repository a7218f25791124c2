"""What an autopilot says that it is doing, and what the fleet's policy has against it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pymavlink.dialects.v20 import common as mavlink

from orchestrator.agent.flight import FlightRules
from orchestrator.agent.mavlink.codec import Codec
from orchestrator.agent.mavlink.link import Address, Charge, Flying, Heartbeat, Landed
from orchestrator.agent.mavlink.state import Flight as Snapshot
from orchestrator.agent.mavlink.state import Memory
from orchestrator.staging.kinds import REGISTRY
from tests.agent.mavlink.flights import NEW, Flight, config, question
from tests.agent.virtual import virtual

IN_AIR = ("hovering", "transit", "climbing", "tracking")
ANY = (*IN_AIR, "landing", "grounded")
SOURCE = Address(system=7, component=1)


def rules(**policy: Any) -> FlightRules:
    """The policy of drones with these values."""
    made = REGISTRY["drone"].policy.model_validate(policy)
    return FlightRules(policy=made, kind="drone", clock_error_s=lambda: 0.002)


@pytest.mark.parametrize(
    ("armed", "landed", "phases"),
    [
        (False, Landed.ON_GROUND, ("grounded",)),
        (True, Landed.ON_GROUND, ("grounded",)),
        (True, Landed.TAKING_OFF, ("climbing",)),
        (True, Landed.IN_AIR, IN_AIR),
        (True, Landed.LANDING, ("landing",)),
        (False, Landed.IN_AIR, IN_AIR),
        (False, Landed.UNDEFINED, ("grounded",)),
        (False, None, ("grounded",)),
        (True, Landed.UNDEFINED, ANY),
        (True, None, ANY),
        (None, None, ANY),
    ],
)
def test_the_phases_of_a_landed_state(
    *, armed: bool | None, landed: Landed | None, phases: tuple[str, ...]
) -> None:
    """The likeliest first; what is not said to be disarmed counts as armed."""
    seen = Snapshot(armed=armed, landed=landed).seen()
    assert phases == tuple(phase.value for phase in seen.phases)
    assert (phases[0], armed is not False) == (seen.state.phase.value, seen.state.armed)


def test_a_failsafe_is_a_phase_of_its_own() -> None:
    """Wherever the vehicle is."""
    seen = Snapshot(armed=True, landed=Landed.LANDING, failsafe=True).seen()
    assert ("failsafe",) == tuple(phase.value for phase in seen.phases)


@pytest.mark.parametrize(
    ("status", "failsafe"),
    [
        (mavlink.MAV_STATE_STANDBY, False),
        (mavlink.MAV_STATE_ACTIVE, False),
        (mavlink.MAV_STATE_CRITICAL, True),
        (mavlink.MAV_STATE_EMERGENCY, True),
        (mavlink.MAV_STATE_FLIGHT_TERMINATION, True),
    ],
)
def test_a_heartbeat_says_the_failsafe(*, status: int, failsafe: bool) -> None:
    """By its MAV_STATE, from the packet as it is on the wire."""
    sender = mavlink.MAVLink(None, srcSystem=7, srcComponent=1)
    packet = mavlink.MAVLink_heartbeat_message(2, 3, 128, 0, status, 3).pack(sender)
    beat = Heartbeat(source=SOURCE, autopilot=3, armed=True, failsafe=failsafe)
    assert [beat] == list(Codec().feed(packet))


def test_what_was_not_told_lately_is_unknown() -> None:
    """Heartbeats go on, landed state and one of two batteries have stopped."""
    memory = Memory()
    memory.note(Flying(source=SOURCE, landed=Landed.ON_GROUND), 0.0)
    memory.note(Charge(source=SOURCE, battery=0, percent=80), 0.0)
    memory.note(Charge(source=SOURCE, battery=1, percent=60), 5.0)
    memory.note(Heartbeat(source=SOURCE, autopilot=3, armed=True), 10.0)
    fresh, stale = memory.snapshot(10.0), memory.snapshot(10.5)
    assert (Landed.ON_GROUND, 60) == (fresh.landed, fresh.battery_pct)
    assert (None, None, True) == (stale.landed, stale.battery_pct, stale.link)


@virtual
async def test_a_healthy_autopilot_on_the_ground_keeps_the_default_policy() -> None:
    """Grounded, disarmed, charged: a yes, though MAVLink does not tell everything."""
    flight = Flight()
    async with flight.agent(rules=rules()) as device:
        await asyncio.sleep(1)
        assert () == await device.check(question(config(NEW)))


@pytest.mark.parametrize(
    ("landed", "battery_pct", "policy", "said"),
    [
        (Landed.IN_AIR, 90, {}, ()),
        (
            Landed.IN_AIR,
            21,
            {},
            ("battery 21 % \N{MINUS SIGN} 8.34 % for 180 s of hover < reserve 20 %",),
        ),
        (
            Landed.IN_AIR,
            90,
            {"not_while": ["tracking"]},
            ("phase may be tracking, nobody says: [policy.drone] says not while tracking",),
        ),
        (
            Landed.LANDING,
            90,
            {"not_while": ["landing"]},
            ("phase is landing: [policy.drone] says not while landing",),
        ),
        (
            Landed.ON_GROUND,
            90,
            {"require_grounded": True},
            ("phase is grounded, armed: [policy.drone] requires grounded and disarmed",),
        ),
        (
            Landed.IN_AIR,
            90,
            {"link_quality_min_pct": 40},
            ("link quality unknown, at least 40 % is required",),
        ),
    ],
)
@virtual
async def test_an_armed_autopilot_keeps_the_policy(
    landed: Landed, battery_pct: int, policy: dict[str, Any], said: tuple[str, ...]
) -> None:
    """Each no has its numbers; what the link can't tell is a no where the policy asks for it."""
    flight = Flight()
    flight.autopilot.armed, flight.autopilot.landed = True, landed
    flight.autopilot.battery_pct = battery_pct
    async with flight.agent(rules=rules(**policy)) as device:
        await asyncio.sleep(1)
        assert said == await device.check(question(config(NEW)))


@virtual
async def test_a_silent_autopilot_is_asked_nothing_more() -> None:
    """That it is silent is the one reason; what it said before is of no use."""
    flight = Flight()
    async with flight.agent(rules=rules(require_grounded=True)) as device:
        flight.autopilot.armed = True
        await asyncio.sleep(1)
        flight.autopilot.on = False
        await asyncio.sleep(7)
        found = await device.check(question(config(NEW)))
    assert ["the autopilot was not heard for"] == [one[:31] for one in found]
