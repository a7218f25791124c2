"""A parameter set is one unit: cut off at every point there is, by agent, disk and autopilot."""

from __future__ import annotations

import asyncio

import pytest

from drone_sim.autopilot import Faults
from drone_sim.disk import Choose, PowerLost, everything_survives, nothing_survives
from orchestrator.agent.mavlink import Rejected, Silent
from orchestrator.agent.mavlink.journal import NAME, SetJournal
from orchestrator.agent.mavlink.link import WriteParam
from orchestrator.errors import OperatingError
from tests.agent.mavlink.flights import (
    NEW,
    OLD,
    STATE,
    Flight,
    activation,
    config,
    settled,
)
from tests.agent.virtual import virtual

CHANGED = (
    "mnt1-pitch-min",
    "mnt1-pitch-max",
    "mnt1-yaw-min",
    "mnt1-yaw-max",
    "mnt1-neutral-y",
    "mnt1-retract-y",
    "mnt1-lead-rll",
    "mnt1-deflt-mode",
    "mnt1-rc-rate",
)
"""What differs between the two configurations, in the order in which it is written."""

SIDES = ("before", "after")
POINTS = (
    *(f"mavlink:journal:{side}" for side in SIDES),
    *(f"mavlink:set:{name}:{side}" for name in CHANGED for side in SIDES),
    *(f"mavlink:end:{side}" for side in SIDES),
)
BACK = tuple(f"mavlink:back:{name}:{side}" for name in CHANGED[:-1] for side in SIDES)
"""The points of a set whose last parameter is refused: the others are put back."""

STEPS = len(CHANGED)


class Killed(BaseException):
    """The agent ends here: nothing is caught, flushed or closed."""


async def cut_at(flight: Flight, point: str) -> None:
    """Activate the new configuration, and die at a fault point."""

    def hit(name: str) -> None:
        if name == point:
            raise Killed

    with pytest.raises(Killed):
        async with flight.agent(own=activation(config(NEW)).digest, hit=hit) as device:
            await device.activate(activation(config(NEW), 2), config(NEW))


async def after_restart(flight: Flight, running: dict[str, bool | int | float | str]) -> None:
    """Start again with a record that says ``running``, and do what the agent does then."""
    data = config(running)
    async with flight.agent(own=activation(data).digest) as device:
        await asyncio.sleep(3)
        await device.activate(activation(data, 2), data)


@virtual
async def test_the_points_are_those_that_an_activation_passes() -> None:
    """The lists above forget none."""
    flight = await settled(OLD)
    async with flight.agent() as device:
        await device.activate(activation(config(NEW), 2), config(NEW))
        assert list(POINTS) == flight.passed
        flight.passed.clear()
        flight.autopilot.faults = Faults(reject=frozenset({"MNT1_RC_RATE"}))
        with pytest.raises(Rejected):
            await device.activate(activation(config(OLD), 3), config(OLD))
    assert list(BACK) == [name for name in flight.passed if ":back:" in name]


@pytest.mark.parametrize("point", POINTS)
@virtual
async def test_killed_and_finished(point: str) -> None:
    """The record says the new one: it is wholly there after the restart."""
    flight, fresh = await settled(OLD), await settled(NEW)
    await cut_at(flight, point)
    await after_restart(flight, NEW)
    assert fresh.params == flight.params
    assert not flight.half_written


@pytest.mark.parametrize("point", POINTS)
@virtual
async def test_killed_and_put_back(point: str) -> None:
    """The record says the old one: it is wholly there after the restart."""
    flight, fresh = await settled(OLD), await settled(OLD)
    await cut_at(flight, point)
    await after_restart(flight, OLD)
    assert fresh.params == flight.params
    assert not flight.half_written


@pytest.mark.parametrize("point", BACK)
@virtual
async def test_killed_while_a_refused_set_is_put_back(point: str) -> None:
    """The refusal comes again after the restart, and with it the old set, wholly."""
    flight, fresh = await settled(OLD), await settled(OLD)
    flight.autopilot.faults = Faults(reject=frozenset({"MNT1_RC_RATE"}))
    await cut_at(flight, point)
    with pytest.raises(Rejected, match="the former set is back"):
        await after_restart(flight, NEW)
    assert fresh.params == flight.params
    assert not flight.half_written


@pytest.mark.parametrize("choose", [nothing_survives, everything_survives])
@virtual
async def test_power_lost_at_every_call_of_the_disk(choose: Choose) -> None:
    """Whatever the disk keeps: the set is never a mix that nobody knows of."""
    fresh = await settled(NEW)
    flight = await settled(OLD)
    flight.disk.crash_at = None
    seam, ended = 0, False
    while not ended:
        flight = await settled(OLD)
        flight.disk.crash_at = flight.disk.seams + seam
        ended = await activated(flight)
        flight.disk.reboot(choose)
        await after_restart(flight, NEW)
        assert fresh.params == flight.params
        assert not flight.half_written
        seam += 1
    assert 13 == seam, "five for the active file, five for the journal, two to end it, and none"


async def activated(flight: Flight) -> bool:
    """Activate the new configuration; false where the power went."""
    try:
        async with flight.agent() as device:
            await device.activate(activation(config(NEW), 2), config(NEW))
    except PowerLost:
        return False
    return True


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
@virtual
async def test_the_autopilot_loses_power_after_each_parameter(steps: int) -> None:
    """The agent lives on, is silent for a while, and finishes the set when it comes back."""
    flight, fresh = await settled(OLD), await settled(NEW)
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + steps)
    async with flight.agent() as device:
        with pytest.raises(Silent):
            await device.activate(activation(config(NEW), 2), config(NEW))
        flight.autopilot.restart()
        await device.activate(activation(config(NEW), 2), config(NEW))
    assert fresh.params == flight.params


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
@virtual
async def test_both_lose_power(steps: int) -> None:
    """The battery fell out: device and autopilot come back, and the set is finished."""
    flight, fresh = await settled(OLD), await settled(NEW)
    flight.autopilot.faults = Faults(off_after=flight.autopilot.sets + steps)
    with pytest.raises(Silent):
        async with flight.agent() as device:
            await device.activate(activation(config(NEW), 2), config(NEW))
    flight.disk.cut_power()
    flight.disk.reboot()
    flight.autopilot.restart()
    await after_restart(flight, NEW)
    assert fresh.params == flight.params


# --- the journal ------------------------------------------------------------------------------


@virtual
async def test_the_journal_says_both_sets() -> None:
    """It has the former values before the first parameter is touched."""
    flight = await settled(OLD)
    await cut_at(flight, f"mavlink:set:{CHANGED[0]}:before")
    assert [] == [sent for sent in flight.wire.sent if isinstance(sent, WriteParam)]
    sets = [flight.journal[which] for which in ("previous", "target")]
    values = [{one["name"]: one["value"] for one in each} for each in sets]
    assert [-60, -80] == [each["MNT1_PITCH_MIN"] for each in values]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-10], id="torn"),
        pytest.param(lambda data: data.replace(b"-60", b"-61"), id="edited"),
        pytest.param(lambda data: b"", id="empty"),
    ],
)
@virtual
async def test_a_damaged_journal_is_refused(damage: type[bytes]) -> None:
    """Nobody guesses what the autopilot held."""
    flight = await settled(OLD)
    await cut_at(flight, f"mavlink:set:{CHANGED[3]}:after")
    data = flight.disk.read(STATE / NAME, 100_000)
    assert data is not None
    flight.disk.damage(STATE / NAME, damage(data))
    with pytest.raises(OperatingError, match="can't be trusted"):
        SetJournal(flight.disk, STATE).open()
