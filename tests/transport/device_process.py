"""A device in a process of its own, to be killed: ``python device_process.py URL``."""

from __future__ import annotations

import asyncio
import sys

from orchestrator.transport.examples import DEVICE, FLEET
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Device
from tests.transport.peers import Remembered, SystemClock


async def main(url: str) -> None:
    """Connect, and stay."""
    async with MqttTransport(
        url,
        fleet=FLEET,
        role=Device(id=DEVICE),
        client_id=f"device-{DEVICE}",
        clock=SystemClock(),
        audience=Remembered(),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
