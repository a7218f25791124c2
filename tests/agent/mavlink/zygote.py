"""
A process that starts real agents by fork, with everything imported already.

Each line on stdin is a JSON list: home, MAVLink URL, fault. The agent's process id comes back on
stdout. It is the real ``make_agent`` on the real disk; its broker does not exist, so that it does
what its record says and nothing else. A child is this process's: it reaps it when it is asked to
by a line that is a number, and prints how it ended. At the end of its stdin it kills the rest.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from orchestrator.agent import mavlink, os_disk
from orchestrator.protocol.types import DeviceId
from orchestrator.staging.load import load_fleet, read
from orchestrator.transport import mqtt
from orchestrator.wiring import Autopilot, make_agent
from tests.agent.worlds import Told

LOADED = (mavlink, os_disk, mqtt)
NOBODY = "mqtt://127.0.0.1:1"


async def run(home: Path, url: str) -> None:
    """Be the agent of ``home`` until something ends it."""
    fleet = load_fleet(read(home.parent / "fleet.toml")).file
    async with make_agent(
        fleet=fleet,
        device=DeviceId("d-01"),
        state=home / "state",
        active=home / fleet.config,
        controller=Autopilot(url=url),
        broker=NOBODY,
        audience=Told(),
    ) as agent:
        await agent.run()


def child(home: Path, url: str, fault: str) -> None:
    """Never return."""
    os.environ["AIMCTL_FAULT"] = fault
    log = os.open(home / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        asyncio.run(run(home, url))
    finally:
        traceback.print_exc()
        os._exit(1)


def answer(number: int) -> None:
    """Print a number on a line of its own."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Do what the lines say."""
    alive: dict[int, None] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            _, status = os.waitpid(asked, 0)
            del alive[asked]
            answer(os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            child(Path(asked[0]), asked[1], asked[2])
        alive[pid] = None
        answer(pid)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
