"""The MAVLink adapter against a simulated autopilot, in virtual time."""

from __future__ import annotations

import asyncio
import math

import pytest

from drone_sim.autopilot import Faults
from orchestrator.agent.device import DeviceRefused
from orchestrator.agent.mavlink import Rejected, Silent
from orchestrator.agent.mavlink.link import Landed, Verb, WriteParam
from tests.agent.mavlink.flights import (
    ACTIVE,
    NEW,
    OLD,
    Flight,
    activation,
    config,
    question,
    settled,
)
from tests.agent.virtual import virtual

# --- activate ---------------------------------------------------------------------------------


@virtual
async def test_activation_writes_the_file_and_the_parameters() -> None:
    """The active file holds the bytes, the autopilot what they say."""
    flight, data = Flight(), config(NEW)
    async with flight.agent() as device:
        await device.activate(activation(data), data)
    said = {
        "MNT1_PITCH_MIN": -80,
        "MNT1_PITCH_MAX": 25,
        "MNT1_YAW_MIN": -90,
        "MNT1_YAW_MAX": 90,
        "MNT1_NEUTRAL_Y": -20.5,
        "MNT1_RETRACT_Y": 15,
        "MNT1_DEFLT_MODE": 2,
        "MNT1_RC_RATE": 45,
        "MNT1_OPTIONS": 2,
    }
    assert said == {name: flight.params[name] for name in said}
    assert 0.05 == pytest.approx(flight.params["MNT1_LEAD_RLL"])
    assert data == flight.disk.read(ACTIVE, 100_000)
    assert not flight.half_written


@virtual
async def test_whole_numbers_travel_bytewise_to_px4() -> None:
    """PX4 gets the integer's own bytes, and takes them."""
    flight, data = Flight("px4"), config({"default_mode": "mavlink", "manual.mode": "angle"})
    async with flight.agent() as device:
        await device.activate(activation(data), data)
    said = {"MNT_MODE_IN": 4, "MNT_RC_IN_MODE": 0, "MNT_DO_STAB": 1, "MNT_RANGE_ROLL": 60}
    assert said == {name: flight.params[name] for name in said}


@virtual
async def test_only_what_differs_is_written() -> None:
    """A second activation of the same configuration writes nothing."""
    flight = await settled(OLD)
    data = config(OLD)
    async with flight.agent() as device:
        await device.activate(activation(data), data)
    assert [] == [sent for sent in flight.wire.sent if isinstance(sent, WriteParam)]
    assert [] == flight.passed


@virtual
async def test_other_bits_of_a_mask_are_kept() -> None:
    """MNT1_OPTIONS has a bit that no configuration knows; it stays."""
    flight, data = Flight(), config({"failsafe.link_loss_action": "hold"})
    flight.autopilot.values["MNT1_OPTIONS"] = 7
    async with flight.agent() as device:
        await device.activate(activation(data), data)
    assert 5 == flight.params["MNT1_OPTIONS"]


@pytest.mark.parametrize("kind", ["ardupilot", "px4"])
@pytest.mark.parametrize("seed", range(5))
@virtual
async def test_a_link_that_loses_and_doubles(kind: str, seed: int) -> None:
    """A fifth of the packets lost, a fifth doubled, either way: the set is whole all the same."""
    flight = Flight("px4" if kind == "px4" else "ardupilot")
    flight.autopilot.faults = Faults(loss=0.2, duplicate=0.2)
    flight.autopilot._chance.seed(seed)
    data = config({**NEW, "yaw.angle_min_deg": -90.0})
    async with flight.agent() as device:
        await device.activate(activation(data), data)
        flight.autopilot.faults = Faults()
        assert () == await device.check(question(data))
    name = "MNT_MIN_PITCH" if kind == "px4" else "MNT1_PITCH_MIN"
    assert -80 == flight.params[name]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        pytest.param(
            Faults(reject=frozenset({"MNT1_YAW_MIN"})),
            "MNT1_YAW_MIN: asked -90, got -180",
            id="rejected",
        ),
        pytest.param(
            Faults(clamp={"MNT1_RC_RATE": (0, 40)}), "MNT1_RC_RATE: asked 45, got 40", id="clamped"
        ),
    ],
)
@virtual
async def test_a_value_that_is_not_taken_puts_the_set_back(faults: Faults, said: str) -> None:
    """The reason names the parameter, what was asked, what it is; nothing of the set stays."""
    flight = await settled(OLD)
    before = flight.params
    flight.autopilot.faults = faults
    async with flight.agent() as device:
        with pytest.raises(Rejected) as refused:
            await device.activate(activation(config(NEW), 2), config(NEW))
    assert f"the autopilot does not take {said}; the former set is back" == str(refused.value)
    assert before == flight.params
    assert not flight.half_written


@virtual
async def test_what_was_refused_is_tried_first_again() -> None:
    """An activation is told again for ever; the rest of the set is not stirred each time."""
    flight = await settled(OLD)
    flight.autopilot.faults = Faults(reject=frozenset({"MNT1_RC_RATE"}))
    async with flight.agent() as device:
        for _ in range(2):
            flight.wire.sent.clear()
            with pytest.raises(Rejected):
                await device.activate(activation(config(NEW), 2), config(NEW))
    stirred = {sent.name for sent in flight.wire.sent if isinstance(sent, WriteParam)}
    assert {"MNT1_RC_RATE"} == stirred


@virtual
async def test_a_late_echo_is_not_taken_for_a_refusal() -> None:
    """An older value that comes behind the order is waited out; the right one follows."""
    flight, data = await settled(OLD), config(NEW)
    late = flight.autopilot._send(flight.autopilot._value("MNT1_PITCH_MIN"))
    async with flight.agent(hit=lambda _name: flight.wire.take(late)) as device:
        await device.activate(activation(data, 2), data)
    assert -80 == flight.params["MNT1_PITCH_MIN"]


@virtual
async def test_a_former_value_that_can_not_be_put_back_is_told() -> None:
    """Then the set stays in the journal, and the gimbal is not given back."""
    flight = await settled(OLD)
    flight.autopilot.faults = Faults(clamp={"MNT1_YAW_MIN": (-45.0, 45.0)})
    async with flight.agent() as device:
        with pytest.raises(Rejected, match="and the former set is not back yet"):
            await device.activate(activation(config(NEW), 2), config(NEW))
        assert flight.half_written
        with pytest.raises(DeviceRefused, match="half-written"):
            await device.resume(2)


@virtual
async def test_an_autopilot_that_loses_power_in_the_middle() -> None:
    """Its parameters are a mix then; told again, the agent finishes the set."""
    flight = await settled(OLD)
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + 3)
    data = config(NEW)
    async with flight.agent() as device:
        with pytest.raises(Silent):
            await device.activate(activation(data, 2), data)
        assert flight.half_written
        flight.autopilot.restart()
        await device.activate(activation(data, 2), data)
    assert -80 == flight.params["MNT1_PITCH_MIN"]
    assert 45 == flight.params["MNT1_RC_RATE"]
    assert not flight.half_written


@virtual
async def test_the_former_values_are_those_before_the_first_try() -> None:
    """A set that is tried again and then refused goes back to what was whole, not to the mix."""
    flight = await settled(OLD)
    before = flight.params
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + 3)
    async with flight.agent() as device:
        with pytest.raises(Silent):
            await device.activate(activation(config(NEW), 2), config(NEW))
        assert before != flight.params
        flight.autopilot.faults = Faults(reject=frozenset({"MNT1_RC_RATE"}))
        flight.autopilot.restart()
        with pytest.raises(Rejected, match="MNT1_RC_RATE: asked 45"):
            await device.activate(activation(config(NEW), 2), config(NEW))
    assert before == flight.params


@virtual
async def test_another_version_first_puts_the_half_written_one_back() -> None:
    """What was begun for one configuration is not left in the next one."""
    flight = await settled(OLD)
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + 3)
    third = config({**OLD, "pitch.angle_min_deg": -50.0})
    async with flight.agent() as device:
        with pytest.raises(Silent):
            await device.activate(activation(config(NEW), 2), config(NEW))
        flight.autopilot.restart()
        await device.activate(activation(third, 3), third)
    fresh = await settled({**OLD, "pitch.angle_min_deg": -50.0})
    assert fresh.params == flight.params


@virtual
async def test_a_set_that_nobody_will_finish_is_put_back_at_the_start() -> None:
    """Where the record says another configuration, the half-written one goes by itself."""
    flight = await settled(OLD)
    before = flight.params
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + 3)
    async with flight.agent() as device:
        with pytest.raises(Silent):
            await device.activate(activation(config(NEW), 2), config(NEW))
    flight.autopilot.restart()
    async with flight.agent(own=activation(config(OLD)).digest):
        await asyncio.sleep(10)
    assert before == flight.params
    assert not flight.half_written


@virtual
async def test_a_set_that_is_the_devices_own_waits_to_be_finished() -> None:
    """Where the record says that configuration, nothing is put back at the start."""
    flight = await settled(OLD)
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + 3)
    async with flight.agent() as device:
        with pytest.raises(Silent):
            await device.activate(activation(config(NEW), 2), config(NEW))
    flight.autopilot.restart()
    async with flight.agent(own=activation(config(NEW)).digest):
        await asyncio.sleep(10)
        assert flight.half_written


# --- hold and resume --------------------------------------------------------------------------


@virtual
async def test_hold_takes_the_gimbal_and_freezes_it() -> None:
    """Control first, then rates of zero with all axes locked and no angle."""
    flight = Flight()
    async with flight.agent() as device:
        await device.hold(("in doubt",))
        steering = [flight.autopilot.primary]
        await device.resume(1)
        steering.append(flight.autopilot.primary)
    verbs = [number for number, _ in flight.autopilot.asked]
    assert [Verb.GIMBAL_CONFIGURE, Verb.GIMBAL_PITCHYAW, Verb.GIMBAL_CONFIGURE] == verbs
    taken, frozen, given = (values for _, values in flight.autopilot.asked)
    assert [7, 191, -1, -1, 0, 0, 0] == [*taken]
    assert [True, True, 0, 0, 28] == [*map(math.isnan, frozen[:2]), *frozen[2:5]]
    assert [-3, -3, -1, -1, 0, 0, 0] == [*given]
    assert [(7, 191), (0, 0)] == steering


@pytest.mark.parametrize(
    ("verb", "result", "said"),
    [
        (Verb.GIMBAL_CONFIGURE, 2, "the autopilot answers GIMBAL_CONFIGURE with DENIED"),
        (Verb.GIMBAL_PITCHYAW, 4, "the autopilot answers GIMBAL_PITCHYAW with FAILED"),
        (Verb.GIMBAL_PITCHYAW, 99, "the autopilot answers GIMBAL_PITCHYAW with FAILED"),
    ],
)
@virtual
async def test_a_hold_that_is_refused(verb: Verb, result: int, said: str) -> None:
    """The agent is told, so that it tells again and does not say that it holds."""
    flight = Flight(faults=Faults(deny={verb: result}))
    async with flight.agent() as device:
        with pytest.raises(DeviceRefused) as refused:
            await device.hold(())
    assert said == str(refused.value)


@virtual
async def test_a_hold_that_nobody_hears() -> None:
    """An autopilot that is off refuses nothing: it is silent, and that is said."""
    flight = Flight()
    flight.autopilot.on = False
    async with flight.agent() as device:
        with pytest.raises(Silent, match="the autopilot was never heard"):
            await device.hold(())


# --- check ------------------------------------------------------------------------------------


@virtual
async def test_a_configuration_that_fits_has_no_reasons() -> None:
    """A healthy autopilot says yes to what its parameters can say."""
    flight = Flight()
    async with flight.agent() as device:
        await asyncio.sleep(1)
        assert () == await device.check(question(config(NEW)))


@virtual
async def test_limits_beyond_the_hardware_are_a_no_with_numbers() -> None:
    """What the gimbal says of itself counts, not only the fleet file."""
    flight = Flight()
    flight.autopilot.limits_deg |= {"pitch": (-70.0, 45.0), "yaw": (-200.0, 80.0)}
    async with flight.agent() as device:
        await asyncio.sleep(1)
        found = await device.check(question(config(NEW)))
    assert (
        "yaw angle_max_deg 90 > 80.0 of the gimbal's hardware",
        "pitch angle_min_deg -80 < -70.0 of the gimbal's hardware",
    ) == found


@virtual
async def test_a_gimbal_that_says_nothing_is_no_reason() -> None:
    """Many gimbals do not tell their limits; the fleet file's profile stands for them."""
    flight = Flight()
    flight.autopilot.has_gimbal = False
    async with flight.agent() as device:
        await asyncio.sleep(1)
        assert () == await device.check(question(config(NEW)))


@pytest.mark.parametrize(("armed", "count"), [(True, 1), (False, 0)])
@virtual
async def test_a_restart_that_an_armed_vehicle_can_not_do(*, armed: bool, count: int) -> None:
    """A change of a parameter that needs a restart is a no while armed, and none on the ground."""
    flight = Flight("px4")
    flight.autopilot.armed = armed
    async with flight.agent() as device:
        await asyncio.sleep(1)
        found = await device.check(question(config({"default_mode": "rc"})))
    said = "MNT_MODE_IN -1 → 1 needs a restart of the autopilot, which is armed"
    assert (said,) * count == found


@virtual
async def test_an_autopilot_that_is_not_heard_is_a_no() -> None:
    """A yes is a promise that it can be told."""
    flight = Flight()
    async with flight.agent() as device:
        await asyncio.sleep(1)
        flight.autopilot.on = False
        await asyncio.sleep(7)
        found = await device.check(question(config(NEW)))
    assert 1 == len(found)
    assert found[0].startswith("the autopilot was not heard for ")


@virtual
async def test_a_parameter_that_does_not_exist_is_a_no() -> None:
    """An autopilot without a gimbal can't promise to steer one."""
    flight = Flight(faults=Faults(missing=frozenset({"MNT1_RC_RATE"})))
    async with flight.agent() as device:
        await asyncio.sleep(1)
        found = await device.check(question(config(NEW)))
    assert ("the autopilot does not say its MNT1_RC_RATE",) == found


@virtual
async def test_a_value_that_the_autopilot_can_not_hold_is_a_no() -> None:
    """ArduPilot has whole degrees; nothing is rounded in silence."""
    flight = Flight()
    async with flight.agent() as device:
        await asyncio.sleep(1)
        found = await device.check(question(config({**OLD, "pitch.angle_min_deg": -60.5})))
    said = "pitch.angle_min_deg -60.5 is no whole number, which MNT1_PITCH_MIN must be"
    assert (said,) == found


@virtual
async def test_another_autopilot_than_was_named_is_a_no() -> None:
    """``--autopilot`` is a promise too."""
    flight = Flight("px4")
    async with flight.agent(autopilot="ardupilot") as device:
        await asyncio.sleep(1)
        found = await device.check(question(config(NEW)))
    assert ("the autopilot is PX4, not ardupilot",) == found


@virtual
async def test_what_the_vehicle_says_of_itself() -> None:
    """Armed, landed, battery and who steers the gimbal, with the age of the heartbeat."""
    flight = Flight()
    async with flight.agent() as device:
        nothing = device.flight
        flight.autopilot.armed, flight.autopilot.landed = True, Landed.IN_AIR
        flight.autopilot.battery_pct = 55
        await asyncio.sleep(2.5)
        found = device.flight
    assert (None, None, False) == (nothing.armed, nothing.heard_ago_s, nothing.link)
    assert (True, False, 55) == (found.armed, found.grounded, found.battery_pct)
    assert 0.5 == found.heard_ago_s
    assert found.link
