"""The parts of the simulated world, one at a time: controller, battery, clocks, fleets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from drone_sim.disk import CrashDisk, PowerLost
from drone_sim.shells.battery import FLYING_PERCENT_S, HOVERING_PERCENT_S, Battery
from drone_sim.shells.controller import Controller
from drone_sim.shells.device_clock import SimDeviceClock
from drone_sim.shells.fleetware import known_bytes, sample_fleetware
from drone_sim.shells.hosts import WallClock
from drone_sim.shells.ids import SimIds
from drone_sim.shells.lasting import Lasting
from drone_sim.shells.program import SimProgram
from drone_sim.shells.sim_disk import SimDisk, SimOffload
from drone_sim.shells.truth import STORY_AT_S
from orchestrator.agent.disk import write_atomically
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Check
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.types import DeviceId, Digest, TxnId
from orchestrator.staging.bundle import decode_config
from tests.shells.virtual import simulated

ACTIVE = Path("/device/a.conf")
DATA = b"version 2"
FLEET = (("d-01", "drone"), ("d-02", "drone"))


# --- the controller -----------------------------------------------------------------------------


class Told:
    """What a controller has told."""

    def __init__(self) -> None:
        disk = CrashDisk()
        disk.make_directory(ACTIVE.parent)
        write_atomically(disk, ACTIVE, DATA, temporary=".new")
        self.aims: list[int | None] = []
        self.astray: list[str] = []
        self.controller = Controller(
            seed=1,
            device="d-01",
            active=ACTIVE,
            changed=lambda: self.aims.append(self.controller.operating),
            astray=self.astray.append,
        )
        self.controller.disk = disk

    async def obey(self, event: str, version: int = 2, data: bytes = DATA) -> int | None:
        """Run the hook's command; return its exit code."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        told = {"AIM_EVENT": event, "AIM_VERSION": str(version), "AIM_DIGEST": digest}
        return (await self.controller.run(("controller",), told, 10.0)).code


@simulated
async def test_a_controller_aims_with_what_it_was_told_last() -> None:
    """It needs a version and the word to aim; a hold ends it."""
    told = Told()
    for event in ("activate", "resume", "hold"):
        assert 0 == await told.obey(event)

    assert [None, 2, None] == told.aims
    assert [] == told.astray


@simulated
async def test_a_controller_notices_other_bytes_in_the_active_file() -> None:
    """It reads the file itself, as a real one does."""
    told = Told()
    await told.obey("activate", data=b"version 3")

    assert ["version 2 is sha256:"] == [why[:20] for why in told.astray]


@simulated
async def test_a_controller_does_not_aim_without_its_agent() -> None:
    """The watchdog bites at once; a command that was under way does not feed it."""
    told = Told()
    await told.obey("activate")
    resuming = asyncio.ensure_future(told.obey("resume"))
    await asyncio.sleep(0)
    told.controller.starve()
    await resuming
    aimed = told.controller.operating
    told.controller.feed()

    assert (None, 2) == (aimed, told.controller.operating)


@simulated
async def test_a_controller_knows_no_version_after_a_power_loss() -> None:
    """An agent that was only killed finds it as it was, but not aiming."""
    told = Told()
    await told.obey("activate")
    told.controller.reset(power=False)
    await told.obey("resume")
    kept = told.controller.operating
    told.controller.reset(power=True)
    await told.obey("resume")

    assert (2, None) == (kept, told.controller.operating)


@simulated
async def test_a_hook_that_dies_half_way_may_have_told_its_controller_or_not() -> None:
    """Of an activation nobody knows; a hold is obeyed first of all."""
    told = Told()
    told.controller.dies = True
    loaded = [(await told.obey("activate"), told.aims[-1:]) for _ in range(40)]
    codes = {code for code, _ in loaded}
    await told.obey("resume")
    held = set()
    for _ in range(40):
        told.controller.dies = False
        await told.obey("resume")
        told.controller.dies = True
        held.add((await told.obey("hold"), told.controller.operating))

    assert {0, -9} == codes
    assert {(0, None), (-9, None)} == held


# --- the battery --------------------------------------------------------------------------------


@simulated
async def test_a_drone_that_hovers_drains_faster_than_one_that_flies() -> None:
    """And what stands on the ground hardly drains at all."""
    hovers, flies, stands = (
        Battery(90, flies=True),
        Battery(90, flies=True),
        Battery(90, flies=False),
    )
    flies.hovers = False
    await asyncio.sleep(100)

    assert pytest.approx(90 - 100 * HOVERING_PERCENT_S) == hovers.percent
    assert pytest.approx(90 - 100 * FLYING_PERCENT_S) == flies.percent
    assert 89 < stands.percent < 90


@simulated
async def test_a_low_battery_refuses_lands_and_goes_off() -> None:
    """Below 20 % no vote, below 10 % on the ground, at 0 nothing."""
    battery = Battery(21, flies=True)
    fine = list(battery.judge(CHECK))
    battery.set(19)
    low = list(battery.judge(CHECK))
    battery.set(9)

    assert ([], ["battery: 19 % are left, 20 % are needed"]) == (fine, low)
    assert battery.landed
    assert battery.look()
    battery.set(0)
    assert not battery.look()


CHECK = Check(txn=TxnId("t"), digest=Digest("sha256:0"), config="a.conf", data=b"")


# --- clocks, and what lasts ---------------------------------------------------------------------


@simulated
async def test_a_device_clock_is_wrong_and_right_again() -> None:
    """What measures how long something takes is never wrong."""
    clock = SimDeviceClock(offset_s=5.0, drift_ppm=0.0)
    clock.step("jump", 3.0)
    clock.drift("drift", 100_000.0)
    await asyncio.sleep(10)
    wrong = clock.now(), clock.monotonic()
    clock.set_right("jump")
    clock.set_right("drift")

    assert pytest.approx((9.0, 5.0)) == wrong
    assert pytest.approx(5.0) == clock.now()


@simulated
async def test_a_device_clock_begins_anew_with_its_computer() -> None:
    """A jump is forgotten, how fast it runs is not."""
    clock = SimDeviceClock(offset_s=5.0, drift_ppm=0.0)
    clock.step("jump", 3.0)
    clock.drift("drift", 100_000.0)
    await asyncio.sleep(10)
    clock.restart()
    await asyncio.sleep(10)

    assert pytest.approx(11.0) == clock.now()


@simulated
async def test_a_wall_clock_is_read_by_those_who_start() -> None:
    """It may jump and drift, each until that is undone."""
    wall = WallClock()
    wall.step("jump", 3.0)
    wall.drift("drift", 100_000.0)
    await asyncio.sleep(10)
    ahead_s = wall.ahead_s
    wall.set_right("drift")
    wall.set_right("jump")

    assert pytest.approx(4.0) == ahead_s
    assert 0.0 == wall.ahead_s


@simulated
async def test_what_is_said_twice_lasts_to_the_later_end() -> None:
    """It is undone once; each of the two is over at its own time."""
    await asyncio.sleep(STORY_AT_S)
    lasting, told = Lasting(), list[str]()
    lasting.keep({"cut": lambda: told.append("whole")}, 3.0, lambda: told.append("first"))
    lasting.keep({"cut": lambda: told.append("whole")}, 5.0, lambda: told.append("second"))
    await asyncio.sleep(4)
    before = list(told)
    await asyncio.sleep(4)

    assert ["first"] == before
    assert ["first", "whole", "second"] == told


@simulated
async def test_what_lasts_can_be_ended_before_its_time() -> None:
    """At the end of the story nothing is left over, and nothing ends twice."""
    await asyncio.sleep(STORY_AT_S)
    lasting, told = Lasting(), list[str]()
    lasting.keep({"cut": lambda: told.append("whole")}, 3.0, lambda: told.append("over"))
    lasting.finish()
    await asyncio.sleep(5)

    assert ["whole", "over"] == told


# --- disks --------------------------------------------------------------------------------------


def sim_disk(
    died: Callable[[], None] = lambda: None, failed: Callable[[], None] = lambda: None
) -> tuple[SimDisk, list[str]]:
    """A disk, and the seams that were passed on it."""
    passed: list[str] = []
    return SimDisk(pass_seam=passed.append, died=died, failed=failed), passed


def test_every_change_of_a_disk_is_a_seam_of_the_run() -> None:
    """An atomic write is made of five."""
    disk, passed = sim_disk()
    disk.make_directory(ACTIVE.parent)
    passed.clear()
    write_atomically(disk, ACTIVE, DATA, temporary=".new")

    names = ["made", "written", "synced", "replaced", "synced"]
    assert [f"disk:{name}" for name in names] == passed


def test_a_full_disk_takes_no_configuration_but_a_record() -> None:
    """What a device has promised can be written all the same."""
    disk, _ = sim_disk()
    disk.make_directory(Path("/state/blobs"))
    disk.full = True
    write_atomically(disk, Path("/state/participant.json"), DATA, temporary=".new")

    with pytest.raises(DiskError, match="no space left"):
        write_atomically(disk, Path("/state/blobs/0"), DATA, temporary=".new")


def test_a_disk_that_takes_the_power_away_says_so_first() -> None:
    """Its computer is dead before anything unwinds."""
    died: list[bool] = []
    disk, _ = sim_disk(died=lambda: died.append(True))
    disk.make_directory(ACTIVE.parent)
    disk.crash_at = disk.seams

    with pytest.raises(PowerLost):
        disk.create(ACTIVE)
    assert [True] == died


def test_a_disk_that_fails_once_says_so() -> None:
    """The act that had it fail takes place there; the next change works."""
    failed: list[bool] = []
    disk, _ = sim_disk(failed=lambda: failed.append(True))
    disk.make_directory(ACTIVE.parent)
    disk.fail_at = disk.seams

    with pytest.raises(DiskError):
        disk.create(ACTIVE)
    disk.create(ACTIVE)
    assert [True] == failed


def test_what_is_to_happen_at_a_write_outlives_a_power_loss() -> None:
    """Writes are counted on; only what was due before that is over."""
    disk, _ = sim_disk()
    disk.make_directory(ACTIVE.parent)
    due = [disk.seams + 7, disk.seams - 1]
    disk.crash_at, disk.fail_at = due
    disk.cut_power()
    disk.reboot()

    assert [due[0], None] == [disk.crash_at, disk.fail_at]


@simulated
async def test_work_on_a_disk_takes_time_and_is_noticed_as_it_is_done() -> None:
    """A slow disk adds to both sides of it; an error is noticed too."""
    loop, done = asyncio.get_running_loop(), list[float]()
    offload = SimOffload(1, "d-01", lambda: done.append(loop.time()))
    offload.slow_s = 2.0
    answer = await offload(lambda: 7)
    ended = loop.time()
    with pytest.raises(DiskError):
        await offload(refuse)

    assert (7, 2) == (answer, len(done))
    assert 0.0 < done[0] < ended < 2.01


def refuse() -> None:
    """Fail as a disk does."""
    raise DiskError("full")


# --- programs and fleets ------------------------------------------------------------------------


@simulated
async def test_a_program_ends_by_itself_or_when_it_is_told_to() -> None:
    """Its exit code says which."""
    alone, told = SimProgram(3.0), SimProgram(3.0)
    told.send(15)

    assert (143, 0) == (await told.wait(), await alone.wait())
    await told.end(5.0)


def test_ids_are_as_random_as_their_seed() -> None:
    """The same names give the same ids, others others."""
    one, same, other = SimIds(1, "a"), SimIds(1, "a"), SimIds(1, "b")
    first = one.new()

    assert first == same.new()
    assert len({first, one.new(), other.new()}) == 3


def test_each_push_brings_bytes_that_no_push_had() -> None:
    """They decode, and differ; number 0 is version 1."""
    ware = sample_fleetware((("d-01", "drone"), ("d-02", "arm"), ("d-03", "node")))
    bundles = [ware.bundle(number) for number in range(20)]

    assert 60 == len(known_bytes(bundles))
    assert [True] * 60 == [bool(decode_config(data)) for data in known_bytes(bundles)]


def test_who_is_left_out_or_retired_is_no_member() -> None:
    """Who is left out keeps a configuration in the bundle; who is retired is gone."""
    ware = sample_fleetware((*FLEET, ("d-03", "drone")))
    order = ware.order(1, 4, Timing(), left_out=[DeviceId("d-02")], retired=[DeviceId("d-03")])

    assert (DeviceId("d-01"),) == order.plan.members
    assert (DeviceId("d-02"),) == order.plan.excused
    assert [DeviceId("d-02")] == list(order.spare)
