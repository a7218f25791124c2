"""The store of the simulation: its time, its faults, and what becomes of those who die in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from drone_sim.result import Crash
from drone_sim.scenario.model import StoreQuality
from drone_sim.shells.clocks import true_s
from drone_sim.shells.loop import Process, simulate, spawn, spawn_in
from drone_sim.shells.seams import Seams
from drone_sim.shells.store import AWAY_S, SimStore, StoreServer
from orchestrator.ports import Claim, Conflict, OutcomeUnknown, RolledBack, StoreUnavailable
from orchestrator.protocol.records import START, Entry, Head, Record
from orchestrator.protocol.types import Epoch, FleetId, Owner
from tests.shells.virtual import simulated
from tests.storage.samples import FLEET, MIRA, NOA, begun, head_of, noise, taken

APPEND_S = 0.1
QUALITY = StoreQuality(append_s=APPEND_S)


async def idle() -> None:
    """Live until killed."""
    await asyncio.sleep(1e9)


class Bench:
    """A store and a process that uses it; ``told`` is what the hooks were told."""

    def __init__(self, quality: StoreQuality = QUALITY, *, seed: int = 1) -> None:
        self.server = StoreServer(seed=seed, quality=quality)
        self.process = Process("push")
        self.told: list[object] = []
        self.server.on_append = self._appended
        self.server.on_touch = self._touched
        self.server.on_extend = lambda: self.told.append("extended")
        self.server.on_rollback = lambda: self.told.append("rolled back")
        self.store = self.connect(self.process)
        spawn(self.process, idle())

    def connect(self, process: Process, seams: Seams | None = None) -> SimStore:
        """Connect a process."""
        seams = seams or Seams()
        return self.server.connect(process, now=true_s, seam=seams.passes)

    def _appended(self, _fleet: FleetId, entries: Sequence[Entry]) -> None:
        self.told.append(tuple(entry.index for entry in entries))

    def _touched(self, _fleet: FleetId, claim: Claim, owner: Owner) -> None:
        self.told.append((claim, owner.user))

    def start(self, head: Head, *records: Record) -> asyncio.Task[Sequence[Entry]]:
        """Begin an append, in its process."""
        return spawn_in(self.process, self.store.append(FLEET, head, records))

    async def journal(self) -> list[Record]:
        """Return what is stored, asked by somebody else."""
        return [entry.record for entry in await self._reader().read(FLEET)]

    async def head(self) -> Head:
        """Return where it ends, asked by somebody else."""
        return await head_of(self._reader())

    def _reader(self) -> SimStore:
        return self.server.connect(Process("reader"), now=true_s)


# --- time -------------------------------------------------------------------------------------


@simulated
async def test_an_append_takes_its_time_and_a_read_half_of_it() -> None:
    """It is there for others half-way through, which is when the hook is told."""
    bench, at_s = Bench(), list[float]()
    bench.server.on_append = lambda *_: at_s.append(true_s())
    await bench.store.append(FLEET, START, [noise(1)])
    appended_s = true_s()
    await bench.store.read(FLEET)
    assert [APPEND_S / 2] == pytest.approx(at_s)
    assert [APPEND_S, 1.5 * APPEND_S] == pytest.approx([appended_s, true_s()])


@simulated
async def test_a_slow_store_takes_longer() -> None:
    """``slow_s`` is added to every call, until it is well again."""
    bench = Bench()
    bench.server.slow_s = 3.0
    [first] = await bench.store.append(FLEET, START, [noise(1)])
    await bench.store.read(FLEET)
    slowly_s = true_s()
    bench.server.heal()
    await bench.store.append(FLEET, first.head, [noise(2)])
    assert [6 + 1.5 * APPEND_S, 6 + 2.5 * APPEND_S] == pytest.approx([slowly_s, true_s()])


@simulated
async def test_one_of_two_at_one_head_wins() -> None:
    """Two processes that append at one head at one time never both write."""
    bench, other = Bench(), Process("other")
    theirs = asyncio.ensure_future(bench.connect(other).append(FLEET, START, [taken(1, NOA)]))
    await bench.store.append(FLEET, START, [taken(1, MIRA)])
    with pytest.raises(Conflict):
        await theirs
    assert [taken(1, MIRA)] == await bench.journal()


@simulated
async def test_hooks_are_told_what_is_written() -> None:
    """Appends, renewals that match and fresh leases; not what changed nothing."""
    bench = Bench()
    await bench.store.append(FLEET, START, [taken(), begun()])
    with pytest.raises(Conflict):
        await bench.store.append(FLEET, START, [noise(1)])
    assert await bench.store.touch(FLEET, Epoch(1, 1), MIRA)
    assert not await bench.store.touch(FLEET, Epoch(1, 1), NOA)
    await bench.store.extend_leases()
    assert [(1, 2), (Epoch(1, 1), "mira"), "extended"] == bench.told


# --- away -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.append(FLEET, START, [noise(1)]),
        lambda store: store.read(FLEET),
        lambda store: store.touch(FLEET, Epoch(1, 1), MIRA),
        lambda store: store.leases(FLEET),
        lambda store: store.extend_leases(),
        lambda store: store.fleets(),
        lambda store: store.put_blob(b"blob"),
        lambda store: store.get_blob("sha256:" + "0" * 64),
    ],
    ids=["append", "read", "touch", "leases", "extend", "fleets", "put", "get"],
)
def test_nobody_is_there(call: Callable[[SimStore], Awaitable[object]]) -> None:
    """Every call says so, soon, and changes nothing; afterwards it works."""

    @simulated
    async def story() -> None:
        bench = Bench()
        bench.server.away = True
        with pytest.raises(StoreUnavailable):
            await call(bench.store)
        assert pytest.approx(AWAY_S) == true_s()
        assert ([], {}) == (bench.told, dict(bench.server.disk.live.journals))
        bench.server.away = False
        await call(bench.store)

    story()


@simulated
async def test_an_append_that_comes_too_late_is_not_written() -> None:
    """Where the store goes away before the append gets there, that is known."""
    bench = Bench()
    appending = bench.start(START, noise(1))
    await asyncio.sleep(APPEND_S / 4)
    bench.server.away = True
    await asyncio.wait({appending})
    bench.server.away = False
    assert isinstance(appending.exception(), StoreUnavailable)
    assert [] == await bench.journal()


@simulated
async def test_an_append_whose_answer_does_not_come_back_is_unknown() -> None:
    """Where the store goes away after it has written, nobody can know."""
    bench = Bench()
    appending = bench.start(START, noise(1))
    await asyncio.sleep(3 * APPEND_S / 4)
    bench.server.away = True
    await asyncio.wait({appending})
    bench.server.away = False
    assert isinstance(appending.exception(), OutcomeUnknown)
    assert [noise(1)] == await bench.journal()


@simulated
async def test_lost_answers_hide_what_was_written() -> None:
    """At the rate that it says an append is unknown, and about half of those are written."""
    bench = Bench(StoreQuality(append_s=APPEND_S, loses_answer=0.5))
    unknown, written = 0, 0
    for number in range(200):
        before = await bench.journal()
        try:
            await bench.store.append(FLEET, await bench.head(), [noise(number)])
        except OutcomeUnknown:
            unknown += 1
            written += len(await bench.journal()) - len(before)
        else:
            assert noise(number) == (await bench.journal())[-1]
    assert 70 < unknown < 130
    assert 0.3 < written / unknown < 0.7


@simulated
async def test_a_lost_answer_hides_a_conflict_too() -> None:
    """Who hears nothing does not hear that the head was another."""
    bench = Bench(StoreQuality(append_s=APPEND_S, loses_answer=1.0))
    for _ in range(10):
        with pytest.raises(OutcomeUnknown):
            await bench.store.append(FLEET, Head(index=7), [noise(1)])
    assert [] == await bench.journal()


# --- what does not last -----------------------------------------------------------------------


@simulated
async def test_a_power_cut_loses_nothing_that_was_written() -> None:
    """A store that does not lie has synced what it acknowledged."""
    bench = Bench()
    await bench.store.append(FLEET, START, [noise(1)])
    assert not bench.server.power_cut()
    assert ([noise(1)], [(1,)]) == (await bench.journal(), bench.told)


@simulated
async def test_lies_come_out_at_a_power_cut() -> None:
    """What was written while it lied is gone, and only that."""
    bench = Bench()
    await bench.store.append(FLEET, START, [noise(1)])
    bench.server.lies = True
    await bench.store.append(FLEET, await bench.head(), [noise(2)])
    assert bench.server.power_cut()
    await bench.connect(bench.process).append(FLEET, await bench.head(), [noise(3)])
    assert [noise(1), noise(3)] == await bench.journal()
    assert [(1,), (2,), "rolled back", (2,)] == bench.told


@simulated
async def test_lies_that_are_over_hurt_nobody() -> None:
    """Once it has become honest, and so synced, a power cut loses nothing."""
    bench = Bench()
    bench.server.lies = True
    await bench.store.append(FLEET, START, [noise(1)])
    bench.server.heal()
    assert not bench.server.power_cut()
    assert [noise(1)] == await bench.journal()


@pytest.mark.parametrize(
    ("lacking", "kept", "is_lost"),
    [(0, 6, False), (1, 4, True), (2, 4, True), (3, 3, True), (5, 1, True), (99, 0, True)],
)
def test_a_backup_lacks_whole_appends(*, lacking: int, kept: int, is_lost: bool) -> None:
    """It is older by so many records at least, and never holds a part of an append."""

    @simulated
    async def story() -> None:
        bench = Bench()
        appends: list[list[Record]] = [
            [noise(1)],
            [noise(2), noise(3)],
            [noise(4)],
            [noise(5), noise(6)],
        ]
        for records in appends:
            await bench.store.append(FLEET, await bench.head(), records)
        assert is_lost == bench.server.restore(lacking)
        everything = [record for records in appends for record in records]
        assert everything[:kept] == await bench.journal()
        assert is_lost == (bench.told[-1] == "rolled back")

    story()


@simulated
async def test_a_restored_journal_goes_on_from_where_it_is() -> None:
    """Who connects anew finds it so; who had the old file open is refused, whatever it asks."""
    bench = Bench()
    bench.server.in_place = False
    for number in range(3):
        await bench.store.append(FLEET, await bench.head(), [noise(number)])
    known = await bench.head()
    bench.server.restore(2)
    with pytest.raises(StoreUnavailable, match="replaced"):
        await bench.store.append(FLEET, known, [noise(9)])
    with pytest.raises(StoreUnavailable, match="replaced"):
        await bench.store.read(FLEET)
    again = bench.connect(bench.process)
    with pytest.raises(Conflict):
        await again.append(FLEET, known, [noise(9)])
    await again.append(FLEET, await bench.head(), [noise(4)])
    bench.server.restore(1)
    assert [noise(0)] == await bench.journal()


@simulated
async def test_a_store_restored_in_place_is_told_by_its_marks_alone() -> None:
    """Who had it open goes on in it, and never where its own last entry is gone."""
    bench = Bench()
    bench.server.in_place = True
    for number in range(3):
        await bench.store.append(FLEET, await bench.head(), [noise(number)])
    known = await bench.head()
    bench.server.restore(1)
    await bench.store.append(FLEET, await bench.head(), [noise(9)])
    with pytest.raises(Conflict):
        await bench.store.append(FLEET, known, [noise(3)])
    with pytest.raises(RolledBack):
        await bench.store.read(FLEET, known)
    assert [noise(0), noise(1), noise(9)] == await bench.journal()


def test_stores_are_restored_in_either_way() -> None:
    """Some seeds replace the file, some the data under living connections."""
    assert {False, True} == {StoreServer(seed=seed).in_place for seed in range(20)}


# --- death ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "written"), [(0.0, 0), (0.49, 0), (0.51, 1), (0.99, 1)])
def test_who_dies_in_an_append_has_written_or_not(after: float, written: int) -> None:
    """Before half of its time nothing is written, after it all; the call never returns."""

    @simulated
    async def story() -> None:
        bench = Bench()
        appending = bench.start(START, noise(1), noise(2))
        await asyncio.sleep(after * APPEND_S)
        bench.process.kill()
        await asyncio.sleep(60)
        assert (2 * written, False) == (len(await bench.journal()), appending.done())

    story()


@simulated
async def test_the_dead_change_nothing() -> None:
    """Whatever a process still asks as it unwinds, it gets no answer and has no effect."""
    bench = Bench()
    [taking] = await bench.store.append(FLEET, START, [taken()])
    image, told = bench.server.disk.live, list(bench.told)
    bench.process.kill()
    calls = (
        bench.store.append(FLEET, taking.head, [begun()]),
        bench.store.read(FLEET),
        bench.store.touch(FLEET, Epoch(1, 1), MIRA),
        bench.store.extend_leases(),
        bench.store.put_blob(b"blob"),
        bench.store.close(),
    )
    asking: list[asyncio.Task[object]] = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(60)
    assert [False] * 6 == [task.done() for task in asking]
    assert (image, told) == (bench.server.disk.live, bench.told)


@pytest.mark.parametrize(("at", "written"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_a_crash_strikes_before_and_after_each_append(at: int, written: int) -> None:
    """Seams are numbered over all appends; who dies at one never comes back from it."""

    async def story() -> tuple[int, list[str]]:
        names: list[str] = []
        seams = Seams([Crash(at=at)], on_seam=lambda _n, _process, name: names.append(name))
        bench = Bench()
        store = bench.connect(bench.process, seams)

        async def work() -> None:
            await store.append(FLEET, START, [taken(), begun()])
            await store.append(FLEET, await bench.head(), [noise(1)])

        spawn_in(bench.process, work())
        await asyncio.sleep(60)
        assert (at > 4) is bench.process.alive
        return len(bench.told), names

    appends, names = simulate(story())
    kinds = ("lock_taken+begun", "abort_requested")
    expected = [f"store:{kind}:{side}" for kind in kinds for side in ("before", "after")]
    assert (written, expected[:at]) == (appends, names)
