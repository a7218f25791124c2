"""
What the simulated broker can do wrong, which no real one could be asked to do when we want it.

What it does right is in tests/transport/test_broker_contract.py.
"""

from __future__ import annotations

import asyncio

import pytest

from drone_sim.shells.broker import SimBroker
from drone_sim.shells.network import Network, Way
from orchestrator.transport.codec import Outgoing
from tests.shells.virtual import simulated
from tests.transport.brokers import Bare, Heard, SimulatedBroker

TOPIC = "aim/v1/hazard-12/from/d-01/presence"
HERE: Heard = (TOPIC, b"here")
GONE: Heard = (TOPIC, b"gone")
WILL = Outgoing(topic=TOPIC, payload=b"gone", qos=1, retain=True)
HOP_S = 0.005
"""How long a packet takes over a link of :class:`SimulatedBroker`."""


def now_s() -> float:
    """True time."""
    return asyncio.get_running_loop().time()


async def listener_of(broker: SimulatedBroker) -> Bare:
    """Return a client that hears everything."""
    listener = await broker.client("listener")
    await listener.subscribe("#")
    return listener


@simulated
async def test_a_cut_link_costs_the_session_after_its_keepalive() -> None:
    """Nobody tells the broker of a cut: one and a half keep-alives later the will is published."""
    broker = SimulatedBroker()
    listener = await listener_of(broker)
    device = await broker.client("d-01", will=WILL, keepalive_s=4)
    await device.publish(*HERE, retain=True)
    at_s = now_s() - HOP_S
    broker.sim.network.cut(["d-01"])
    await device.vanish()
    await listener.until_heard(GONE)
    assert at_s + 6.0 + HOP_S == pytest.approx(now_s())
    assert ("listener",) == broker.sim.client_ids()


@simulated
async def test_who_answers_in_time_stays() -> None:
    """A session lives as long as something comes within one and a half keep-alives."""
    broker = SimulatedBroker()
    device = await broker.client("d-01", will=WILL, keepalive_s=4)
    for _ in range(10):
        await asyncio.sleep(5.9)
        await device.publish(*HERE)
    assert ("d-01",) == broker.sim.client_ids()


@simulated
async def test_each_packet_spends_its_time_in_a_slow_broker() -> None:
    """Each packet takes ``slow_s`` longer, however many there are: nothing is dammed up."""
    broker = SimulatedBroker()
    clients = [await broker.client(name) for name in ("a", "b", "c")]
    broker.sim.slow_s, began_s = 0.5, now_s()
    took_s = await asyncio.gather(*(published(client, began_s) for client in clients))
    assert [0.5 + 2 * HOP_S] * 3 == pytest.approx(took_s)


async def published(client: Bare, since_s: float) -> float:
    """Publish, and return when it was acknowledged."""
    await client.publish(*HERE)
    return now_s() - since_s


@simulated
async def test_a_broker_that_was_slow_keeps_its_order() -> None:
    """What comes after it has become quick again waits for what it has still to do."""
    broker = SimulatedBroker()
    client = await listener_of(broker)
    broker.sim.slow_s = 2.0
    slowly = asyncio.ensure_future(client.publish(TOPIC, b"first"))
    await asyncio.sleep(0.1)
    broker.sim.slow_s = 0.0
    await client.publish(TOPIC, b"second")
    await slowly
    assert [(TOPIC, b"first"), (TOPIC, b"second")] == client.heard


@simulated
async def test_a_full_queue_drops_what_was_acknowledged() -> None:
    """At the rate ``drops`` a message reaches nobody though its PUBACK came; all is retained."""
    broker = SimulatedBroker()
    listener = await listener_of(broker)
    broker.sim.drops = 0.5
    for number in range(200):
        await listener.publish(TOPIC, b"%d" % number, retain=True)
    await asyncio.sleep(1)
    assert 70 < len(listener.heard) < 130
    assert {TOPIC: b"199"} == broker.sim.retained


@simulated
async def test_what_is_retained_can_be_forgotten() -> None:
    """Without a restart, and without a word: the sessions stay."""
    broker = SimulatedBroker()
    client = await broker.client("sender")
    await client.publish(*HERE, retain=True)
    broker.sim.forget()
    await client.subscribe("#")
    await asyncio.sleep(1)
    assert ([], False) == (client.heard, client.is_lost)


@simulated
async def test_a_stranger_can_take_a_session_over() -> None:
    """Whoever has that client id is ended and its will published; who has none is nobody."""
    broker = SimulatedBroker()
    listener = await listener_of(broker)
    device = await broker.client("d-01", will=WILL)
    taken = [broker.sim.take_over(name) for name in ("d-01", "d-02")]
    await device.until_lost()
    await listener.until_heard(GONE)
    assert [True, False] == taken


def test_kill_9_tears_some_of_what_was_just_sent() -> None:
    """What a killed broker had on its way to a client arrives over some connections, not all."""

    @simulated
    async def torn(seed: int) -> None:
        broker = SimulatedBroker(SimBroker(Network(seed=seed), seed=seed))
        listener = await listener_of(broker)
        broker.sim.publish(*HERE)
        broker.sim.kill()
        await listener.until_lost()
        found.append(listener.heard)

    found: list[list[Heard]] = []
    for seed in range(20):
        torn(seed)
    assert 4 < found.count([HERE]) < 16
    assert 20 == found.count([HERE]) + found.count([])


@simulated
async def test_what_a_killed_broker_had_not_done_yet_is_lost() -> None:
    """A packet that it had received is not handled by its next life."""
    broker = SimulatedBroker()
    client = await broker.client("sender")
    broker.sim.slow_s = 1.0
    lost = asyncio.ensure_future(client.publish(*HERE, retain=True))
    await asyncio.sleep(0.5)
    broker.sim.kill()
    broker.sim.start()
    await asyncio.sleep(5)
    assert ({}, False) == (broker.sim.retained, lost.done())
    lost.cancel()


@simulated
async def test_a_connection_does_not_survive_its_broker() -> None:
    """Who learns nothing of a restart, the link being cut, is told when it says something."""
    broker = SimulatedBroker()
    client = await broker.client("sender")
    broker.sim.network.cut()
    broker.sim.kill()
    broker.sim.start()
    await asyncio.sleep(5)
    broker.sim.network.heal()
    lost_before = client.is_lost
    silent = asyncio.ensure_future(client.publish(*HERE, retain=True))
    await client.until_lost()
    assert (False, False, {}) == (lost_before, silent.done(), broker.sim.retained)
    silent.cancel()


@simulated
async def test_a_kept_store_survives_kill_9() -> None:
    """With ``keeps`` what is retained is there after a kill; no session is, and no will."""
    broker = SimulatedBroker()
    await broker.keep()
    device = await broker.client("d-01", will=WILL)
    await device.publish(*HERE, retain=True)
    broker.sim.kill()
    await device.until_lost()
    broker.sim.start()
    assert ({TOPIC: b"here"}, ()) == (broker.sim.retained, broker.sim.client_ids())


@simulated
async def test_a_replay_is_published_again() -> None:
    """A packet of the past that comes once more is retained once more: a stale message."""
    broker = SimulatedBroker()
    device = await broker.client("d-01")
    await device.publish(*HERE, retain=True)
    await device.vanish()
    broker.sim.forget()
    assert 1 == broker.sim.network.replay(["d-01"], count=100)
    await asyncio.sleep(1)
    assert {TOPIC: b"here"} == broker.sim.retained


@simulated
async def test_a_replay_reaches_who_is_there_now() -> None:
    """A packet of the past reaches the present session of its link, subscribed or not."""
    broker = SimulatedBroker()
    device = await listener_of(broker)
    broker.sim.publish(*GONE)
    await device.until_heard(GONE)
    await device.vanish()
    again = await broker.client("listener")
    assert 1 == broker.sim.network.replay(["listener"], count=100)
    await again.until_heard(GONE)


@simulated
async def test_a_lost_publish_is_acknowledged() -> None:
    """What the network loses by chance looks like what a full queue drops: its PUBACK comes."""
    broker = SimulatedBroker()
    client = await listener_of(broker)
    broker.sim.network.lossy(loss=1.0)
    await client.publish(*HERE, retain=True)
    assert ([], {}) == (client.heard, broker.sim.retained)


@simulated
async def test_a_one_way_cut_hides_one_side() -> None:
    """Cut on the way up, a client still hears what others say, until its keep-alive is over."""
    broker = SimulatedBroker()
    listener = await listener_of(broker)
    sender = await broker.client("sender")
    broker.sim.network.cut(["listener"], Way.UP)
    await sender.publish(*HERE)
    await listener.until_heard(HERE)
    await asyncio.sleep(100)
    assert ((), True) == (broker.sim.client_ids(), listener.is_lost)


@simulated
async def test_healing_starts_it_again() -> None:
    """Healed, it runs, is quick and drops nothing; what it retained is still there."""
    broker = SimulatedBroker()
    await broker.keep()
    broker.sim.publish(*HERE, retain=True)
    broker.sim.slow_s, broker.sim.drops = 1.0, 1.0
    broker.sim.kill()
    broker.sim.publish(*GONE, retain=True)
    broker.sim.heal()
    client = await listener_of(broker)
    await client.until_heard(HERE)
    assert [HERE] == client.heard
