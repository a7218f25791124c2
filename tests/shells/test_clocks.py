"""What processes read of true time."""

from __future__ import annotations

import asyncio

import pytest

from drone_sim.shells.clocks import UTC_AT_START_S, DeviceClock, MachineClock, true_s
from tests.shells.virtual import simulated


@simulated
async def test_a_machine_reads_utc_and_the_time_since_its_boot() -> None:
    """Both pass as true time does; UTC is off by what the machine is wrong."""
    await asyncio.sleep(100)
    clock = MachineClock(offset_s=0.25, booted_s=40.0)
    await clock.sleep(50)
    assert (150.0, 110.0) == (true_s(), clock.monotonic())
    assert pytest.approx(UTC_AT_START_S + 150.25, abs=1e-6) == clock.now()


@simulated
async def test_a_device_reads_less_than_true_time() -> None:
    """``offset_s`` is what it reads less, on either of its readings."""
    clock = DeviceClock(offset_s=7.5)
    await asyncio.sleep(100)
    assert (92.5, 92.5, -7.5) == (clock.now(), clock.monotonic(), clock.error_s)


@simulated
async def test_drift_adds_up() -> None:
    """A clock that gains 200 ppm is 0.2 s ahead after a thousand seconds."""
    clock = DeviceClock(drift_ppm=200.0)
    await asyncio.sleep(1000)
    assert pytest.approx(0.2) == clock.error_s


@simulated
async def test_another_drift_counts_from_now_on() -> None:
    """What was gained so far stays; the reading makes no jump when the drift changes."""
    clock = DeviceClock(offset_s=1.0, drift_ppm=1000.0)
    await asyncio.sleep(100)
    before = clock.now()
    clock.set_drift(-500.0)
    after = clock.now()
    await asyncio.sleep(100)
    assert before == after
    assert pytest.approx(-1.0 + 0.1 - 0.05) == clock.error_s


@pytest.mark.parametrize("step_s", [3.0, -3.0])
def test_a_step_is_there_at_once(step_s: float) -> None:
    """A step adds to the reading and changes nothing of the drift."""

    @simulated
    async def story() -> None:
        clock = DeviceClock(drift_ppm=100.0)
        await asyncio.sleep(10)
        before = clock.now()
        clock.step(step_s)
        assert pytest.approx(before + step_s) == clock.now()
        await asyncio.sleep(10)
        assert pytest.approx(step_s + 0.002) == clock.error_s

    story()


@simulated
async def test_a_wait_is_a_wait_whatever_a_clock_reads() -> None:
    """Sleeping is measured by true time."""
    for clock in (DeviceClock(drift_ppm=1e6), MachineClock(offset_s=9.0)):
        began_s = true_s()
        await clock.sleep(5)
        assert began_s + 5 == true_s()
