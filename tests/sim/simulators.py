"""``drone-sim fleet`` as a process, and an orchestrator for it: for tests over a real broker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.telemetry import NoAudience
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Orchestrator as OrchestratorRole
from tests.agent.stub import FLEET, Orchestrator, Wall
from tests.conftest import Mosquitto
from tests.sim.fleets import fleet_text

StartBroker = Callable[..., Mosquitto]

WAIT_S = 30.0


@asynccontextmanager
async def orchestrator(broker: Mosquitto, *devices: str) -> AsyncIterator[Orchestrator]:
    """A stub of an orchestrator for these devices."""
    transport = MqttTransport(
        broker.url,
        fleet=FLEET,
        role=OrchestratorRole(),
        client_id="boss",
        clock=Wall(),
        audience=NoAudience(),
    )
    async with transport, Orchestrator(transport, devices) as boss:
        yield boss


@dataclass(kw_only=True)
class DroneSim:
    """``drone-sim fleet`` as a process."""

    home: Path
    broker: Mosquitto
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    def command(self) -> list[str]:
        fleet = ["fleet", str(self.home / "fleet.toml"), "--state-dir", str(self.home)]
        return [sys.executable, "-m", "drone_sim", *fleet, "--broker", self.broker.url]

    async def start(self) -> str:
        """Start it and return the line that says that all are connected."""
        self.process = await asyncio.create_subprocess_exec(
            *(*self.command(), *self.arguments),
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        async with asyncio.timeout(WAIT_S):
            return (await self.process.stderr.readline()).decode().strip()

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Signal it; return its exit code and its stdout."""
        assert self.process is not None
        self.process.send_signal(how)
        return await self.ended()

    async def ended(self) -> tuple[int, str]:
        assert self.process is not None
        async with asyncio.timeout(WAIT_S):
            out, err = await self.process.communicate()
        assert b"Traceback" not in err, err.decode()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode()


@asynccontextmanager
async def drone_sim(
    home: Path, broker: Mosquitto, *arguments: str, **environment: str
) -> AsyncIterator[DroneSim]:
    """A process that is killed in the end, if it still runs."""
    sim = DroneSim(home=home, broker=broker, arguments=arguments, environment=environment)
    try:
        yield sim
    finally:
        if sim.process is not None and sim.process.returncode is None:
            sim.process.kill()
            await sim.process.communicate()


def home_of(tmp_path: Path, *devices: str) -> Path:
    """A directory with the fleet file of these devices."""
    home = tmp_path / "fleet"
    home.mkdir(exist_ok=True)
    (home / "fleet.toml").write_text(fleet_text(*devices))
    return home
