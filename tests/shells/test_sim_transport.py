"""
The product's MQTT transport over the simulated broker: sessions, time-outs, life and death.

What every transport promises is in tests/transport/test_contract.py.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from drone_sim.shells.loop import sim_loop, spawn_in
from drone_sim.shells.network import Way
from orchestrator.ports import Reconnected, TransportUnavailable
from orchestrator.protocol.messages import Message
from orchestrator.protocol.types import DeviceId
from orchestrator.transport.examples import DEVICE, EXAMPLES
from orchestrator.transport.mqtt import (
    ANSWER_TIMEOUT_S,
    BACKOFF_MAX_S,
    CONNECT_TIMEOUT_S,
    KEEPALIVE_S,
)
from orchestrator.transport.topics import Device
from tests.shells import faulty
from tests.shells.sites import D1, GONE, HERE, PUSH, Site, Station, now_s
from tests.shells.virtual import simulated
from tests.source import ROOT

ASK = EXAMPLES["ask"]
FENCE = EXAMPLES["fence"]
HOP_S = 0.005
"""How long a packet takes over a sure link."""


# --- death ------------------------------------------------------------------------------------


@simulated
async def test_who_dies_is_known_to_be_gone() -> None:
    """A killed process' kernel closes its connection: the last will comes two hops later."""
    site = await Site().start()
    died_at_s = now_s()
    site.device.process.kill()
    await asyncio.sleep(1)
    assert [HERE, GONE] == site.push.messages
    assert [died_at_s + 2 * HOP_S] == pytest.approx(site.push.heard_at_s(GONE))


@simulated
async def test_who_dies_behind_a_cut_is_missed_by_its_silence() -> None:
    """Where the link is cut, its end is found one and a half keep-alives after its last word."""
    site = await Site().start()
    site.network.cut([D1])
    site.device.process.kill()
    cut_at_s = now_s()
    await asyncio.sleep(60)
    (gone_at_s,) = site.push.heard_at_s(GONE)
    assert KEEPALIVE_S / 2 <= gone_at_s - cut_at_s <= 1.5 * KEEPALIVE_S + 2 * HOP_S


@simulated
async def test_what_was_sent_arrives_though_its_sender_dies() -> None:
    """A message on its way belongs to the world."""
    site = await Site().start()
    site.device.send(ASK)
    await asyncio.sleep(HOP_S / 2)
    site.device.process.kill()
    await asyncio.sleep(1)
    assert [HERE, ASK, GONE] == site.push.messages


@simulated
async def test_the_dead_say_nothing() -> None:
    """A send of a dead process, as it unwinds, never returns, is not told and goes nowhere."""
    site = await Site().start()
    site.device.process.kill()
    sending = asyncio.ensure_future(unwound(site.device))
    await asyncio.sleep(60)
    assert (False, [HERE, GONE]) == (sending.done(), site.push.messages)


async def unwound(station: Station) -> None:
    """Send as a process that was killed in this very callback."""
    await spawn_in(station.process, station.transport.send(ASK))


@simulated
async def test_a_second_life_is_a_new_session() -> None:
    """A device that is started again under its name is heard, though its old link was cut."""
    site = await Site().start()
    site.network.cut([D1])
    site.device.process.kill()
    site.network.heal()
    again = await Station(D1, Device(id=DEVICE), site.broker).start()
    again.send(ASK)
    await asyncio.sleep(1)
    assert [HERE, GONE, HERE, ASK] == site.push.messages
    assert (PUSH, D1) == site.broker.client_ids()


# --- sessions ---------------------------------------------------------------------------------


@simulated
async def test_a_killed_broker_is_found_again() -> None:
    """Each client notices at once, tries ever more seldom, and announces its new session."""
    site = await Site().start()
    site.broker.kill()
    await asyncio.sleep(30)
    site.broker.start()
    started_at_s = now_s()
    await asyncio.sleep(2 * BACKOFF_MAX_S)
    for station in site.stations:
        assert 2 == len(station.sessions_at_s)
        assert station.sessions_at_s[1] - started_at_s <= BACKOFF_MAX_S + 1
        assert ["broker-lost", "broker-found"] == [
            notice.event for notice in station.notices if notice.event != "broker-unreachable"
        ]
    assert [HERE] * 2 == site.push.messages


@simulated
async def test_a_client_notices_a_cut_by_its_pings() -> None:
    """Behind a cut a session lasts one to two keep-alives, and there is none until it heals."""
    site = await Site().start()
    await asyncio.sleep(17)
    site.network.cut([PUSH])
    await asyncio.sleep(KEEPALIVE_S - 0.1)
    before = len(site.push.notices)
    await asyncio.sleep(KEEPALIVE_S + 0.2)
    after = len(site.push.notices)
    await asyncio.sleep(60)
    site.network.heal()
    healed_at_s = now_s()
    await asyncio.sleep(30)
    assert "broker-lost" == site.push.notices[0].event
    assert (0, 1) == (before, after)
    (_, again_at_s) = site.push.sessions_at_s
    assert 0 < again_at_s - healed_at_s <= BACKOFF_MAX_S + ANSWER_TIMEOUT_S + 1


@simulated
async def test_a_short_cut_costs_no_session() -> None:
    """What is over within a keep-alive loses messages and nothing else."""
    site = await Site().start()
    site.network.cut()
    lost = site.device.send(ASK)
    await asyncio.sleep(4)
    site.network.heal()
    await asyncio.wait({lost})
    assert isinstance(lost.exception(), TransportUnavailable)
    await asyncio.sleep(60)
    assert ([1, 1], [HERE]) == (
        [len(station.sessions_at_s) for station in site.stations],
        site.push.messages,
    )


@simulated
async def test_a_stopped_process_loses_its_session() -> None:
    """Who is paused pings no more: it is given up, and has a new session once it goes on."""
    site = await Site().start()
    site.device.process.pause()
    paused_at_s = now_s()
    await asyncio.sleep(60)
    site.device.process.resume()
    await asyncio.sleep(60)
    (gone_at_s,) = site.push.heard_at_s(GONE)
    assert KEEPALIVE_S / 2 < gone_at_s - paused_at_s <= 1.5 * KEEPALIVE_S + 2 * HOP_S
    assert 2 == len(site.device.sessions_at_s)
    assert [HERE, GONE, HERE] == site.push.messages


@simulated
async def test_what_comes_to_a_stopped_process_waits_in_its_kernel() -> None:
    """Messages of a short pause are read when it goes on, and stamped then."""
    site = await Site().start()
    site.device.process.pause()
    site.push.send(FENCE)
    await asyncio.sleep(3)
    site.device.process.resume()
    await asyncio.sleep(1)
    (at_s,) = site.device.heard_at_s(FENCE)
    assert pytest.approx(now_s() - 1) == at_s


@simulated
async def test_a_session_that_was_taken_over_is_made_anew() -> None:
    """The rightful client comes back, and its presence with it."""
    site = await Site().start()
    site.broker.take_over(D1)
    await asyncio.sleep(10)
    assert 2 == len(site.device.sessions_at_s)
    assert [HERE, GONE, HERE] == site.push.messages


@simulated
async def test_quiet_sessions_last() -> None:
    """Over an hour without a message nobody loses a session: pings keep it."""
    site = await Site().start()
    await asyncio.sleep(3600)
    assert [1, 1] == [len(station.sessions_at_s) for station in site.stations]
    assert [] == sim_loop().unhandled


# --- calls ------------------------------------------------------------------------------------


@simulated
async def test_a_send_waits_for_its_acknowledgement() -> None:
    """It takes a round trip, and is told as it begins."""
    told: list[tuple[float, Message, DeviceId | None]] = []
    site = Site()
    site.push.transport._on_send = lambda message, to: told.append((now_s(), message, to))
    await site.start()
    began_s = now_s()
    await site.push.send(FENCE, DEVICE)
    assert 2 * HOP_S == pytest.approx(now_s() - began_s)
    assert [(began_s, FENCE, DEVICE)] == told


@simulated
async def test_a_send_without_an_answer_ends() -> None:
    """Where no PUBACK comes, a send raises after the answer's time-out; it may have arrived."""
    site = await Site().start()
    site.network.cut([PUSH], Way.DOWN)
    began_s = now_s()
    sending = site.push.send(FENCE)
    await asyncio.wait({sending})
    assert isinstance(sending.exception(), TransportUnavailable)
    assert pytest.approx(ANSWER_TIMEOUT_S) == now_s() - began_s
    assert [FENCE] == site.device.messages


@simulated
async def test_a_lost_session_ends_what_waits() -> None:
    """Whoever waits for an answer learns at once that the broker died."""
    site = await Site().start()
    site.broker.slow_s = 4.0
    sending = site.push.send(FENCE)
    await asyncio.sleep(1)
    site.broker.kill()
    await asyncio.wait({sending}, timeout=1)
    assert isinstance(sending.exception(), TransportUnavailable)


@simulated
async def test_what_waits_ends_in_its_order() -> None:
    """Of many calls that a dead broker owes an answer the first ends first."""
    site = await Site().start()
    site.broker.slow_s, ended = 1.0, list[int]()

    async def send(number: int) -> None:
        await site.push.say(FENCE)
        ended.append(number)

    for number in range(60):
        spawn_in(site.push.process, send(number))
    await asyncio.sleep(0.5)
    site.broker.kill()
    await asyncio.sleep(1)
    assert list(range(60)) == ended


@simulated
async def test_connecting_says_why_not() -> None:
    """A dead broker refuses; behind a cut nobody answers in time."""
    site = Site()
    site.broker.kill()
    began_s = now_s()
    with pytest.raises(TransportUnavailable, match="connection refused"):
        await site.push.transport.connect()
    assert pytest.approx(2 * HOP_S) == now_s() - began_s
    site.broker.start()
    site.network.cut()
    with pytest.raises(TransportUnavailable, match="no answer in time"):
        await site.push.transport.connect()
    assert ANSWER_TIMEOUT_S <= now_s() - began_s <= CONNECT_TIMEOUT_S


@simulated
async def test_who_has_no_process_can_be_killed_too() -> None:
    """``kill`` ends a transport without a goodbye: its will is published, its reader ends."""
    site = Site()
    await site.push.start()
    await site.device.transport.connect()
    site.device.transport.kill()
    items = [item async for item in site.device.transport.receive()]
    await asyncio.sleep(60)
    assert [HERE, GONE] == site.push.messages
    assert [Reconnected()] == items
    assert (PUSH,) == site.broker.client_ids()


# --- the same again ---------------------------------------------------------------------------


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_a_story_with_every_fault_is_the_same_everywhere(hash_seed: str) -> None:
    """In another process, with another hash seed, everything comes at the same instants."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.shells.faulty", "7"],
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert faulty.trail(7) == done.stdout.splitlines()


def test_a_story_with_every_fault_recovers() -> None:
    """In the end both have a session and hear each other, and no error was left unseen."""
    told = faulty.trail(7)
    assert told[-1].endswith("unhandled: []")
    assert any(line.startswith(D1) and "seq=199" in line for line in told)
    assert any(line.startswith(PUSH) and "seq=199" in line for line in told)


def test_another_seed_is_another_story() -> None:
    """The seed is what a story depends on."""
    assert faulty.trail(7) != faulty.trail(8)
