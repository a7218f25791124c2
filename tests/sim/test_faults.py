"""Faults of simulated devices: the file, and that each wrapper does what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drone_sim.disk import CrashDisk
from drone_sim.faults import (
    DeviceFaults,
    FaultyClock,
    FaultyDisk,
    FaultyLink,
    LinkDelay,
    load_faults,
)
from drone_sim.fleet import FleetOptions, SimulatedFleet
from orchestrator.errors import Exit
from orchestrator.ports import Audience, Clock, DiskError
from orchestrator.protocol.messages import Ask, Vote
from orchestrator.protocol.types import DeviceId, Outcome, TxnId
from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.notes import InvalidInput
from orchestrator.telemetry import NoAudience
from orchestrator.transport.memory import MemoryBroker, MemoryTransport
from orchestrator.transport.topics import Device as DeviceRole
from orchestrator.transport.topics import Orchestrator as OrchestratorRole
from tests.agent.stub import CONFIG, FLEET, Orchestrator, Wall, config
from tests.sim.fleets import fleet_of

D1 = DeviceId("d-01")
ASK = Ask(device=D1, txn=TxnId("t"), seq=1)


def client(
    broker: MemoryBroker, role: DeviceRole | OrchestratorRole, clock: Clock | None = None
) -> MemoryTransport:
    """A client of a broker in memory."""
    return MemoryTransport(
        broker,
        fleet=FLEET,
        role=role,
        client_id=str(role),
        clock=clock or Wall(),
        audience=NoAudience(),
    )


@asynccontextmanager
async def simulated(
    home: Path, faults: DeviceFaults, fleet: FleetFile | None = None
) -> AsyncIterator[Orchestrator]:
    """One simulated device with faults, over a broker in memory, and an orchestrator."""
    broker = MemoryBroker()
    transport = client(broker, OrchestratorRole())

    def link(device: DeviceId, clock: Clock, _audience: Audience) -> MemoryTransport:
        return client(broker, DeviceRole(id=device), clock)

    options = FleetOptions(
        fleet=fleet or fleet_of(D1),
        directory=home,
        faults={D1: faults},
        audience=lambda _: NoAudience(),
    )
    async with (
        transport,
        Orchestrator(transport, [D1]) as boss,
        SimulatedFleet(options, link),
    ):
        yield boss


async def vote_with(home: Path, faults: DeviceFaults) -> Vote:
    """What a device that connected before says to its first PREPARE, after a FENCE."""
    async with simulated(home, faults) as boss:
        await boss.fence(2)
        prepare = await boss.prepare(1, config(), window_s=3.0)
        return (await boss.votes(prepare.txn))[D1]


# --- the file ---------------------------------------------------------------------------------


def written(home: Path, text: str) -> Path:
    """A faults file."""
    path = home / "faults.toml"
    path.write_text(text)
    return path


def test_a_faults_file_is_read(tmp_path: Path) -> None:
    """Each device has the faults of its table and no other."""
    path = written(tmp_path, '[device.d-01]\nvote_no = "rain"\nlink_delay_ms = { up = 5 }\n')
    found = load_faults(path, fleet_of(D1))
    assert {D1: DeviceFaults(vote_no="rain", link_delay_ms=LinkDelay(up=5))} == found
    assert LinkDelay(up=5, down=0) == found[D1].delay


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[device.d-01]\nvote_on = 1\n", ":2: error: device.d-01.vote_on", id="key"),
        pytest.param('[device.d-01]\nsilent = "yes"\n', "silent", id="type"),
        pytest.param("[device.d-99]\nsilent = true\n", "no device of this name", id="device"),
        pytest.param("[device.d-01]\nslow_disk_ms = -1\n", "slow_disk_ms", id="range"),
        pytest.param("silent", "not TOML", id="syntax"),
    ],
)
def test_a_wrong_faults_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The error names file, line and key."""
    with pytest.raises(InvalidInput) as refused:
        load_faults(written(tmp_path, text), fleet_of(D1))
    assert said in refused.value.message
    assert Exit.INVALID == refused.value.exit_code


# --- votes ------------------------------------------------------------------------------------


async def test_a_device_without_faults_votes_yes(tmp_path: Path) -> None:
    """The other tests would be worth nothing otherwise."""
    assert (await vote_with(tmp_path, DeviceFaults())).yes


async def test_vote_no(tmp_path: Path) -> None:
    """The ordered reason is the device's reason."""
    vote = await vote_with(tmp_path, DeviceFaults(vote_no="battery low"))
    assert ("battery low",) == vote.reasons


async def test_a_clock_that_drifts_votes_no_once_two_exchanges_contradict(tmp_path: Path) -> None:
    """After half a second the second exchange disproves what the first one had promised."""
    async with simulated(tmp_path, DeviceFaults(clock_drift_ppm=400_000)) as boss:
        await boss.state(D1, lambda state: state.clock_error_s is not None)
        await asyncio.sleep(1.0)  # the drift needs real time to grow
        await boss.fence(2)
        prepare = await boss.prepare(1, config(), window_s=2.0)
        vote = (await boss.votes(prepare.txn))[D1]
    assert not vote.yes
    assert "clock error" in vote.reasons[0]


async def test_a_full_disk_votes_no(tmp_path: Path) -> None:
    """ENOSPC while staging is the reason."""
    vote = await vote_with(tmp_path, DeviceFaults(disk_full=True))
    assert "no space left on the disk" in vote.reasons[0]


async def test_a_slow_link_votes_no_where_it_spoils_the_clock(tmp_path: Path) -> None:
    """Half of the round trip is the error that the device must assume."""
    vote = await vote_with(tmp_path, DeviceFaults(link_delay_ms=80.0))
    assert "clock error" in vote.reasons[0]


async def test_a_hook_that_fails_holds_the_device_at_its_new_version(tmp_path: Path) -> None:
    """COMMIT stands: the file is there, the device says why it does not operate."""
    async with simulated(tmp_path, DeviceFaults(hook_fails=True)) as boss:
        prepare = await boss.prepare(1, config(), window_s=0.5)
        await boss.votes(prepare.txn)
        await boss.decide(prepare, Outcome.COMMIT)
        state = await boss.state(D1, lambda state: "activation failed" in state.holds)
    assert (1, None) == (state.version, state.operating)
    assert config() == (tmp_path / D1 / CONFIG).read_bytes()


async def test_a_silent_device_says_nothing(tmp_path: Path) -> None:
    """It is connected and receives, but nobody hears from it."""
    async with simulated(tmp_path, DeviceFaults(silent=True)) as boss:
        await boss.prepare(1, config(), window_s=0.3)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await boss.until(lambda: any(m.kind != "presence" for m in boss.heard))


# --- the wrappers -----------------------------------------------------------------------------


async def test_a_delayed_link_keeps_the_order(tmp_path: Path) -> None:
    """Messages arrive late, in the order in which they were sent, both ways."""
    broker = MemoryBroker()
    boss, inner = client(broker, OrchestratorRole()), client(broker, DeviceRole(id=D1))
    link = FaultyLink(inner, Wall(), delay=LinkDelay(up=30, down=20))
    async with boss:
        await link.connect()
        began = Wall().monotonic()
        for seq in range(5):
            await link.send(Ask(device=D1, txn=TxnId("t"), seq=seq))
        assert 0.02 > Wall().monotonic() - began, "nobody waits for the link"
        heard = []
        async for received in boss.receive():
            if getattr(getattr(received, "message", None), "kind", "") == "ask":
                heard.append(received.message.seq)  # type: ignore[union-attr]
            if len(heard) == 5:
                break
        assert 0.03 <= Wall().monotonic() - began
        await link.close()
    assert [0, 1, 2, 3, 4] == heard


def test_a_faulty_clock_still_measures_intervals() -> None:
    """Only the reading that the protocol lives by is wrong."""
    clock = FaultyClock(Wall(), drift_ppm=1e9)
    before = clock.now()
    while clock.now() - before < 1.0:
        pass
    assert clock.monotonic() - Wall().monotonic() < 0.1


def test_a_full_disk_still_takes_the_record() -> None:
    """Only configurations have no space."""
    inner = CrashDisk()
    inner.make_directory(Path("/state/blobs"))
    disk = FaultyDisk(inner, full=True)
    disk.create(Path("/state/participant.json")).write(b"record")
    with pytest.raises(DiskError, match="no space left"):
        disk.create(Path("/state/blobs/abc"))


def test_a_slow_disk_waits_at_each_sync() -> None:
    """File and directory syncs take the given time, and happen."""
    inner = CrashDisk()
    waited: list[float] = []
    inner.make_directory(Path("/state"))
    disk = FaultyDisk(inner, slow_ms=30, wait=waited.append)
    file = disk.create(Path("/state/x"))
    file.write(b"1")
    file.sync()
    disk.sync_directory(Path("/state"))
    assert [0.03, 0.03] == waited
    assert ["synced x", "synced state"] == inner.trace[-2:]
