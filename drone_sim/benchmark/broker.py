"""Mosquitto, with the settings that the product ships, and what it counts."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from drone_sim.benchmark.lines import dies_with_us, tail
from drone_sim.benchmark.pattern import Messages
from drone_sim.benchmark.wire import BareClient, WireError, connect
from orchestrator.errors import Exit, OperatingError
from orchestrator.transport.broker_config import embedded_config
from orchestrator.transport.embedded import installed_mosquitto

HOST: Final = "127.0.0.1"
START_S: Final = 10.0
END_S: Final = 10.0
POLL_S: Final = 0.02
CALM_S: Final = 120.0
"""How long the counters may take to come to rest."""

CALM_TICKS: Final = 3
"""So many equal readings, a second apart, mean that nothing moves any more."""

_SYS: Final = "$SYS/broker/publish/messages/"
_NAMES: Final = ("received", "sent", "dropped")
_EVERY_SECOND: Final = "\nsys_interval 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The broker's counters since its start, without what reading them has added."""

    messages: Messages
    dropped: int

    def since(self, before: Counted) -> Counted:
        """Return what has been counted after ``before``."""
        return Counted(
            messages=Messages(
                published=self.messages.published - before.messages.published,
                delivered=self.messages.delivered - before.messages.delivered,
            ),
            dropped=self.dropped - before.dropped,
        )


class Mosquitto:
    """A broker on loopback, of this benchmark alone; an async context manager."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._process: Process | None = None
        self._meter: BareClient | None = None
        self._told: dict[str, int] = {}
        self._heard = 0
        self._ticks = 0
        self._last: Counted | None = None
        self._calm = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def version(self) -> str:
        """The version that the program tells of itself."""
        said = subprocess.run(  # noqa: S603 - the path of an installed program
            [self._program, "-h"], capture_output=True, text=True, check=False, timeout=START_S
        )
        found = re.search(r"mosquitto version (\S+)", said.stdout + said.stderr)
        return found.group(1) if found else "unknown"

    async def __aenter__(self) -> Self:
        """Start it. Raises OperatingError."""
        self._directory.mkdir()
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = int(probe.getsockname()[1])
        config, log = self._directory / "mosquitto.conf", self._directory / "mosquitto.log"
        config.write_text(embedded_config(self.port) + _EVERY_SECOND)
        with log.open("wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(*dies_with_us(), self._program, "-c", str(config)),
                stdin=DEVNULL,
                stdout=said,
                stderr=said,
            )
        try:
            await self._until_it_answers(self._process, log)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _until_it_answers(self, process: Process, log: Path) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while process.returncode is None:
                    with suppress(OSError, WireError):
                        self._meter = await connect(HOST, self.port, "aim-meter", self._take)
                        await self._meter.granted(
                            [(_SYS + name).encode() for name in _NAMES], qos=0
                        )
                        return
                    await asyncio.sleep(POLL_S)
        raise OperatingError(f"mosquitto does not start: {tail(log)}", exit_code=Exit.UNEXPECTED)

    async def __aexit__(self, *_exc: object) -> None:
        """End it, by force if need be."""
        meter, self._meter = self._meter, None
        if meter is not None:
            await meter.close()
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        for urge in (process.terminate, process.kill):
            with suppress(ProcessLookupError):
                urge()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await process.wait()
                    return

    # --- what it counts -------------------------------------------------------------------------

    async def counted(self) -> Counted:
        """
        Wait until nothing moves any more, and return the counters.

        Raises OperatingError where they never come to rest.
        """
        self._ticks = 0
        self._calm.clear()
        try:
            async with asyncio.timeout(CALM_S):
                await self._calm.wait()
        except TimeoutError:
            message = "the broker does not come to rest"
            raise OperatingError(message, exit_code=Exit.UNEXPECTED) from None
        return self._counted()

    def _counted(self) -> Counted:
        told = self._told
        return Counted(
            messages=Messages(
                published=told.get("received", 0), delivered=told.get("sent", 0) - self._heard
            ),
            dropped=told.get("dropped", 0),
        )

    def _take(self, topic: bytes, payload: bytes) -> None:
        """
        Take a counter. It is told when it has changed, and forgotten by the broker a minute later.

        Each telling is itself a message sent, so there is one of ``sent`` every second: our
        clock. What the broker has sent to us is taken off again.
        """
        name = topic.decode().removeprefix(_SYS)
        self._told[name] = int(payload)
        if name == "sent":
            now = self._counted()
            self._ticks = self._ticks + 1 if now == self._last else 0
            self._last = now
            if self._ticks >= CALM_TICKS:
                self._calm.set()
        self._heard += 1


def find_mosquitto() -> str:
    """Return the installed program. Raises OperatingError (wrong use)."""
    program = installed_mosquitto()
    if program is None:
        raise OperatingError(
            "mosquitto is not installed: the benchmark needs it",
            exit_code=Exit.USAGE,
            next_command="apt install mosquitto",
        )
    return program
