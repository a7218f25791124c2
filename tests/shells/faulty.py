"""
A story with every fault of the network and the broker; run as a program it prints it.

Another Python, another hash seed and other addresses must print the same.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

from drone_sim.scenario.model import Link
from drone_sim.shells.loop import sim_loop, simulate, spawn_in
from drone_sim.shells.network import Way
from orchestrator.protocol.messages import Ask, Decision, Message
from orchestrator.transport.examples import DEVICE, EXAMPLES, TXN
from tests.shells.sites import D1, PUSH, Site, Station

ROUGH = Link(delay_s=0.01, jitter_s=0.02, loss=0.05, duplicate=0.05, spike=0.02, spike_s=1.0)
MANY = 200
"""Messages of each, twice a second: past the last misfortune."""


async def talk(station: Station, messages: list[Message]) -> None:
    """Say something twice a second, whatever becomes of it."""
    for message in messages:
        spawn_in(station.process, station.say(message))
        await asyncio.sleep(0.5)


def questions() -> list[Message]:
    """What the device says."""
    return [Ask(device=DEVICE, txn=TXN, seq=seq) for seq in range(MANY)]


def decisions() -> list[Message]:
    """What the orchestrator says: each is retained."""
    decision = EXAMPLES["decision"]
    assert isinstance(decision, Decision)
    return [replace(decision, seq=seq) for seq in range(MANY)]


async def misfortune(site: Site) -> None:
    """Let everything go wrong in turn."""
    network, broker = site.network, site.broker
    for begin, end in (
        (lambda: network.cut([D1]), network.heal),
        (lambda: network.clog([PUSH, D1]), network.unclog),
        (lambda: network.cut([PUSH], Way.DOWN), network.heal),
        (broker.kill, broker.start),
        (site.device.process.pause, site.device.process.resume),
        (lambda: network.lossy(loss=0.3, duplicate=0.3), network.lossy),
        (lambda: network.replay(count=20), broker.forget),
        (lambda: broker.take_over(D1), network.perfect),
    ):
        begin()
        await asyncio.sleep(9.0)
        end()
        await asyncio.sleep(3.0)


def trail(seed: int) -> list[str]:
    """Return what both heard, when, and what they were told."""

    async def main() -> list[str]:
        site = await Site(ROUGH, seed=seed).start()
        await asyncio.gather(
            talk(site.device, questions()), talk(site.push, decisions()), misfortune(site)
        )
        await asyncio.sleep(20)
        lines = [f"{station.name} {item}" for station in site.stations for item in station.all()]
        return [*lines, f"{sim_loop().jumps} jumps, unhandled: {sim_loop().unhandled}"]

    return simulate(main())


if __name__ == "__main__":
    print("\n".join(trail(int(sys.argv[1]))))  # noqa: T201 - a program of its own
