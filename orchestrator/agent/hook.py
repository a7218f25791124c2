"""
The device adapter "file and hook": the active configuration is a file, the controller a command.

The command is the operator's, run without a shell, with the event in its environment:
``AIM_EVENT`` (activate, hold, resume), ``AIM_DEVICE``, ``AIM_FLEET``, ``AIM_ACTIVE`` (the path of
the active file), and where they apply ``AIM_VERSION``, ``AIM_DIGEST``, ``AIM_REASON``; those that
don't are set and empty. It must end by itself, with 0 when the controller has obeyed.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.agent.active import ActiveFile
from orchestrator.agent.device import DeviceRefused, Judge, judged
from orchestrator.agent.disk import Disk
from orchestrator.agent.lane import Offload, in_thread
from orchestrator.agent.processes import Commands, CommandUnusable, Ended
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.device import Activate, Check
from orchestrator.protocol.types import DeviceId, FleetId

HOOK_TIMEOUT_S: Final = 10.0


def parse_hook(command: str) -> tuple[str, ...]:
    """Split a command line as a shell would, without running one. Raises OperatingError."""
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise _wrong_hook(command, str(error)) from None
    if not argv:
        raise _wrong_hook(command, "it is empty")
    return argv


def _wrong_hook(command: str, why: str) -> OperatingError:
    return OperatingError(
        f"the hook {command!r} can't be used: {why}",
        exit_code=Exit.USAGE,
        next_command="--hook 'PROGRAM ARGUMENT...'",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """The operator's command. It gets ``time_limit_s`` for each event, then it is killed."""

    argv: tuple[str, ...]
    commands: Commands
    time_limit_s: float = HOOK_TIMEOUT_S


class FileAndHook:
    """
    See :class:`orchestrator.agent.device.Device`. Without a ``hook`` the file alone is written.

    ``active`` is the active file; its directory must exist. ``judges`` are the checks of row D1.
    """

    def __init__(
        self,
        *,
        fleet: FleetId,
        device: DeviceId,
        active: Path,
        disk: Disk,
        judges: Sequence[Judge] = (),
        hook: Hook | None = None,
        offload: Offload = in_thread,
    ) -> None:
        self._active = ActiveFile(disk, active)
        self._judges = tuple(judges)
        self._hook = hook
        self._offload = offload
        self._always = {"AIM_FLEET": fleet, "AIM_DEVICE": device, "AIM_ACTIVE": str(active)}

    async def check(self, check: Check) -> tuple[str, ...]:
        """Ask all judges, off the event loop."""
        return await self._offload(lambda: judged(self._judges, check))

    async def activate(self, activate: Activate, data: bytes) -> None:
        """Write the active file unless it is right already, then run the hook in any case."""
        await self._offload(lambda: self._active.write(data))
        await self._tell("activate", version=str(activate.version), digest=activate.digest)

    async def hold(self, reasons: tuple[str, ...]) -> None:
        """Run the hook."""
        await self._tell("hold", reason="; ".join(reasons))

    async def resume(self, version: int) -> None:
        """Run the hook."""
        await self._tell("resume", version=str(version))

    async def _tell(
        self, event: str, *, version: str = "", digest: str = "", reason: str = ""
    ) -> None:
        if self._hook is None:
            return
        told = {"AIM_VERSION": version, "AIM_DIGEST": digest, "AIM_REASON": reason}
        environment = {**self._always, "AIM_EVENT": event, **told}
        try:
            ended = await self._hook.commands.run(
                self._hook.argv, environment, self._hook.time_limit_s
            )
        except CommandUnusable as error:
            msg = f"the hook can't be started: {error}"
            raise DeviceRefused(msg) from error
        if ended.code != 0:
            raise DeviceRefused(_why(event, ended, self._hook.time_limit_s))


def _why(event: str, ended: Ended, time_limit_s: float) -> str:
    if ended.code is None:
        how = f"did not end within {time_limit_s:g} s and was killed"
    elif ended.code < 0:
        how = f"was ended by signal {-ended.code}"
    else:
        how = f"ended with code {ended.code}"
    return f"the hook {how} at {event}" + (f": {ended.said}" if ended.said else "")
