"""
The controller of a simulated device: it is what truly aims.

It hangs behind the product's own adapter (:class:`orchestrator.agent.FileAndHook`) as the command
that the hook runs. It does what it is told, a moment later, and has a watchdog: without an agent
that lives and looks, it does not aim, whatever it was told last.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from drone_sim.disk import CrashDisk
from drone_sim.scenario.chance import stream
from orchestrator.agent.active import ACTIVE_BYTES_MAX
from orchestrator.agent.processes import Ended

OBEYS_S: Final = (0.0002, 0.002)
"""How long the controller takes to obey, and then again to say so: the shortest, the longest."""

FAILED: Final = Ended(code=1, said="simulated: the controller does not obey")
KILLED: Final = Ended(code=-9, said="simulated: somebody killed the hook")

HALF: Final = 0.5
"""Of the hooks that die half-way so many come through."""


class Controller:
    """
    See :class:`orchestrator.agent.processes.Commands`.

    ``fails`` lets every activation fail after the file was written. ``dies`` lets the hook be
    killed half-way: before the controller has heard of it, or after it has obeyed. A hold is
    obeyed in any case: no agent can make up for a hook that can't tell the controller to hold, so
    a real one does that first of all. ``changed`` is called when
    what it aims with has changed; ``astray`` when it was told to aim with other bytes than those
    that stand in the active file.
    """

    def __init__(
        self,
        *,
        seed: int,
        device: str,
        active: Path,
        changed: Callable[[], None],
        astray: Callable[[str], None],
    ) -> None:
        self.fails = False
        self.dies = False
        self.disk = CrashDisk()
        self._chance = stream(seed, "controller", device)
        self._active = active
        self._changed = changed
        self._astray = astray
        self._loaded: int | None = None
        self._aims = False
        self._fed = False
        self._starved = False

    @property
    def operating(self) -> int | None:
        """The version that it aims with, ``None`` while it does not aim."""
        return self._loaded if self._aims and self._fed else None

    @property
    def told_to_aim(self) -> bool:
        """Whether the last thing that it was told is to aim."""
        return self._aims

    def starve(self) -> None:
        """Let the watchdog bite: the agent stands still. What it was told stays."""
        self._fed, self._starved = False, True
        self._changed()

    def feed(self) -> None:
        """Take note that the agent goes on, and has told what was overdue."""
        self._fed, self._starved = True, False
        self._changed()

    def reset(self, *, power: bool) -> None:
        """End with the agent; with ``power``: know no version any more either."""
        self._aims = self._fed = self._starved = False
        if power:
            self._loaded = None
        self._changed()

    async def run(
        self,
        argv: Sequence[str],  # noqa: ARG002 - as the port: it is the one command of this device
        environment: Mapping[str, str],
        time_limit_s: float,  # noqa: ARG002 - as the port: it is always quicker
    ) -> Ended:
        """Obey one event."""
        await asyncio.sleep(self._chance.uniform(*OBEYS_S))
        event = environment["AIM_EVENT"]
        if event == "activate" and self.fails:
            return FAILED
        if self.dies and self._chance.random() < HALF:
            if event == "hold" or self._chance.random() < HALF:
                self._obey(event, environment)
            return KILLED
        self._obey(event, environment)
        await asyncio.sleep(self._chance.uniform(*OBEYS_S))
        return Ended(code=0)

    def _obey(self, event: str, environment: Mapping[str, str]) -> None:
        if event == "activate":
            self._load(int(environment["AIM_VERSION"]), environment["AIM_DIGEST"])
        else:
            self._aims = event == "resume"
        if not self._starved:
            self._fed = True  # an agent that speaks lives
        self._changed()

    def _load(self, version: int, digest: str) -> None:
        """Take the active file, as the real one does."""
        data = self.disk.read(self._active, ACTIVE_BYTES_MAX)
        found = None if data is None else f"sha256:{hashlib.sha256(data).hexdigest()}"
        if found != digest:
            self._astray(f"version {version} is {digest}, the active file is {found}")
        self._loaded = version
