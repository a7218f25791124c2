"""The simulated network: what it does to packets, and that its chance is everybody's own."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from functools import partial

import pytest

from drone_sim.scenario.model import Link
from drone_sim.shells.loop import Process, simulate, spawn
from drone_sim.shells.network import End, Network, Packet, Parcel, Way
from tests.shells.virtual import simulated

SURE = Link(delay_s=0.01, jitter_s=0.0)
D1, D2 = "d-01", "d-02"


class Wire:
    """A network with two links, and what came over it: ``(name, number)`` in order."""

    def __init__(self, quality: Link = SURE, *, seed: int = 1) -> None:
        self.ends: Counter[End] = Counter()
        self.network = Network(seed=seed, on_message=self._told)
        self.came: list[tuple[str, int]] = []
        self.at_s: list[float] = []
        for name in (D1, D2):
            self.network.join(name, quality)

    def _told(self, end: End, _packet: Packet) -> None:
        self.ends[end] += 1

    def send(self, name: str, number: int, way: Way = Way.UP, *, reliable: bool = False) -> None:
        """Send something that is known by its number."""
        packet = Packet(link=name, way=way, topic=str(number), payload=b"")
        deliver = partial(self._deliver, name, number)
        parcel = Parcel(deliver=deliver, packet=None if reliable else packet)
        self.network.send(name, way, parcel)

    def _deliver(self, name: str, number: int) -> None:
        self.came.append((name, number))
        self.at_s.append(asyncio.get_running_loop().time())

    @property
    def numbers(self) -> list[int]:
        """What came, whoever sent it."""
        return [number for _, number in self.came]


async def passed(wire: Wire, count: int, name: str = D1) -> list[int]:
    """Send so many, one each millisecond, and return what has come in the end."""
    for number in range(count):
        wire.send(name, number)
        await asyncio.sleep(0.001)
    await asyncio.sleep(60)
    return wire.numbers


@simulated
async def test_a_sure_link_delivers_in_order_and_in_time() -> None:
    """Without jitter all comes, in order, exactly ``delay_s`` later."""
    wire = Wire()
    for number in range(50):
        wire.send(D1, number)
    await asyncio.sleep(1)
    assert list(range(50)) == wire.numbers
    assert [0.01] * 50 == pytest.approx(wire.at_s)
    assert {End.SENT: 50, End.ARRIVED: 50} == wire.ends


@simulated
async def test_jitter_lets_messages_overtake() -> None:
    """With jitter all comes, no later than delay and jitter say, and not in order."""
    wire = Wire(Link(delay_s=0.01, jitter_s=0.05))
    for number in range(200):
        wire.send(D1, number)
    await asyncio.sleep(1)
    assert list(range(200)) == sorted(wire.numbers)
    assert list(range(200)) != wire.numbers
    assert min(wire.at_s) >= 0.01
    assert max(wire.at_s) <= 0.06


@simulated
async def test_spikes_are_rare_and_long() -> None:
    """With the rate ``spike`` a message takes up to ``spike_s`` more."""
    wire = Wire(Link(delay_s=0.01, jitter_s=0.0, spike=0.1, spike_s=2.0))
    for number in range(1000):
        wire.send(D1, number)
    await asyncio.sleep(10)
    late = [at_s for at_s in wire.at_s if at_s > 0.011]
    assert 60 < len(late) < 140
    assert 1.5 < max(late) <= 2.011


@simulated
async def test_loss_and_repetition_are_as_rare_as_they_say() -> None:
    """Of a thousand messages about a tenth is lost and a fifth comes twice."""
    wire = Wire(Link(loss=0.1, duplicate=0.2))
    await passed(wire, 1000)
    times = Counter(Counter(wire.numbers).values())
    assert 60 < wire.ends[End.LOST] < 140
    assert 140 < wire.ends[End.REPEATED] < 220
    assert {1, 2} == set(times)
    assert wire.ends[End.REPEATED] == times[2]
    assert 1000 - wire.ends[End.LOST] == times[1] + times[2]


@simulated
async def test_what_is_lost_by_chance_can_leave_something() -> None:
    """``lost`` is called in place of ``deliver`` at the other end, and not after a cut."""
    network, came = Network(), list[str]()
    network.join(D1, Link(loss=1.0))
    packet = Packet(link=D1, way=Way.UP, topic="", payload=b"")
    parcel = Parcel(
        deliver=lambda: came.append("whole"), lost=lambda: came.append("rest"), packet=packet
    )
    network.send(D1, Way.UP, parcel)
    await asyncio.sleep(1)
    network.cut()
    network.send(D1, Way.UP, parcel)
    await asyncio.sleep(1)
    assert ["rest"] == came


@simulated
async def test_what_is_reliable_keeps_its_place() -> None:
    """What ends a connection comes after all that was sent before it, and is never lost."""
    wire = Wire(Link(delay_s=0.01, jitter_s=0.05, loss=0.5, duplicate=0.5))
    for number in range(0, 100, 2):
        wire.send(D1, number)
        wire.send(D1, number + 1, reliable=True)
    await asyncio.sleep(1)
    reliable = [number for number in wire.numbers if number % 2]
    assert list(range(1, 100, 2)) == reliable
    for place, number in enumerate(wire.numbers):
        assert not number % 2 or all(later > number for later in wire.numbers[place + 1 :])


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "way", "expected"),
    [
        ([D1], None, [(D1, Way.UP), (D1, Way.DOWN)]),
        ([D1], Way.UP, [(D1, Way.UP)]),
        ([], Way.DOWN, [(D1, Way.DOWN), (D2, Way.DOWN)]),
        (["nobody"], None, []),
    ],
)
def test_a_cut_loses_what_is_sent(
    names: list[str], way: Way | None, expected: list[tuple[str, Way]]
) -> None:
    """In the directions that it says, from then until it is healed; what is on its way arrives."""

    async def story() -> list[tuple[str, Way]]:
        wire, both = Wire(), [(name, way) for name in (D1, D2) for way in Way]
        for number, (name, one) in enumerate(both):
            wire.send(name, number, one)
        wire.network.cut(names, way)
        for number, (name, one) in enumerate(both, 10):
            wire.send(name, number, one)
        for number, (name, one) in enumerate(both, 20):
            wire.send(name, number, one, reliable=True)
        await asyncio.sleep(1)
        wire.network.heal(names)
        for number, (name, one) in enumerate(both, 30):
            wire.send(name, number, one)
        await asyncio.sleep(1)
        assert {*range(4), *range(30, 34)} <= set(wire.numbers)
        lost = [number for number in range(10, 14) if number not in wire.numbers]
        assert [number + 10 for number in lost] == [
            number for number in range(20, 24) if number not in wire.numbers
        ]
        return [both[number - 10] for number in lost]

    assert expected == simulate(story())


@simulated
async def test_a_clog_delivers_later_and_in_another_order() -> None:
    """What was held comes when it is undone: all of it, shuffled; connections keep their order."""
    wire = Wire()
    wire.network.clog([D1])
    for number in range(50):
        wire.send(D1, number)
    wire.send(D1, 100, reliable=True)
    wire.send(D1, 101, reliable=True)
    wire.send(D2, 200)
    await asyncio.sleep(5)
    assert [200] == wire.numbers
    wire.network.unclog()
    await asyncio.sleep(1)
    assert list(range(50)) == sorted(wire.numbers[1:51])
    assert list(range(50)) != wire.numbers[1:51]
    assert [100, 101] == wire.numbers[51:]


@simulated
async def test_a_bad_patch_is_added_to_the_link() -> None:
    """A lossy time loses beside the link's own loss, until it is called off."""
    wire = Wire()
    wire.network.lossy([D1], loss=0.3, duplicate=0.3)
    during = len(set(await passed(wire, 300)))
    repeated = wire.ends[End.REPEATED]
    wire.network.lossy()
    await passed(wire, 300)
    assert 180 < during < 240
    assert 40 < repeated < 90
    assert (300 - during, repeated) == (wire.ends[End.LOST], wire.ends[End.REPEATED])


@simulated
async def test_a_slow_patch_delays() -> None:
    """An extra delay is added to each message, until it is called off."""
    wire = Wire()
    wire.network.delay([D1], extra_s=3.0)
    wire.send(D1, 1)
    wire.send(D2, 2)
    await asyncio.sleep(5)
    wire.network.delay()
    wire.send(D1, 3)
    await asyncio.sleep(5)
    assert [2, 1, 3] == wire.numbers
    assert [0.01, 3.01, 5.01] == pytest.approx(wire.at_s)


@simulated
async def test_a_replay_asks_for_packets_of_the_past() -> None:
    """So many of what was published are repeated, of the links that are named, each only once."""
    wire, again = Wire(), list[Packet]()
    wire.network.repeat = again.append
    for number in range(20):
        wire.send(D1, number)
        wire.send(D2, 100 + number, Way.DOWN)
        wire.send(D1, 200 + number, reliable=True)
    found = [wire.network.replay([D1], count=count) for count in (5, 1000)]
    assert [5, 20] == found
    assert {D1} == {packet.link for packet in again}
    assert 5 == len({packet.topic for packet in again[:5]})
    assert {str(number) for number in range(20)} == {packet.topic for packet in again[5:]}


@simulated
async def test_a_perfect_network_has_no_fault_left() -> None:
    """Cuts, clogs, bad patches and the links' own faults are gone; what was held has come."""
    wire = Wire(Link(delay_s=0.01, jitter_s=0.0, loss=0.5, duplicate=0.5, spike=1.0, spike_s=9.0))
    wire.network.clog()
    wire.send(D1, 1000, reliable=True)
    wire.network.cut([D1], Way.UP)
    wire.network.lossy(loss=0.5)
    wire.network.delay(extra_s=5.0)
    wire.network.perfect()
    assert [1000, *range(100)] == await passed(wire, 100)


# --- chance -----------------------------------------------------------------------------------


def test_the_chance_of_a_link_is_its_own() -> None:
    """What happens on one link does not depend on what is sent over another."""

    async def story(others: int, seed: int) -> list[float]:
        wire = Wire(Link(jitter_s=0.5, loss=0.2, duplicate=0.1), seed=seed)
        for number in range(others):
            wire.send(D2, 1000 + number)
            wire.send(D1, 2000 + number, Way.DOWN)
        for number in range(50):
            wire.send(D1, number)
        await asyncio.sleep(5)
        return [at for at, number in zip(wire.at_s, wire.numbers, strict=True) if number < 1000]

    alone = simulate(story(0, 1))
    assert alone == simulate(story(77, 1))
    assert alone != simulate(story(0, 2))


@simulated
async def test_a_packet_outlives_its_sender() -> None:
    """What a process has handed over arrives, though it was killed at once."""
    wire, process = Wire(), Process("push")

    async def work() -> None:
        wire.send(D1, 1)
        process.kill()
        wire.send(D1, 2)  # the rest of this callback: its ports must look at it themselves

    spawn(process, work())
    await asyncio.sleep(1)
    assert [1, 2] == wire.numbers


@simulated
async def test_a_packet_for_a_dead_process_reaches_nobody() -> None:
    """What is delivered in the context of a process is taken by it alone: not once it is dead."""
    network, process, came = Network(), Process("device"), list[str]()
    contexts: list[contextvars.Context] = []
    network.join(D1, SURE)

    async def work() -> None:
        contexts.append(contextvars.copy_context())
        await asyncio.sleep(100)

    def send(word: str) -> None:
        parcel = Parcel(deliver=partial(came.append, word), context=contexts[0])
        network.send(D1, Way.DOWN, parcel)

    spawn(process, work())
    await asyncio.sleep(0)
    send("early")
    await asyncio.sleep(1)
    send("late")
    process.kill()
    await asyncio.sleep(1)
    assert ["early"] == came
