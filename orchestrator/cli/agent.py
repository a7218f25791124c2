"""``aimctl agent``: what a real device runs, beside its controller."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyclopts import App

from orchestrator.cli.context import Context, Given
from orchestrator.cli.files import find_fleet
from orchestrator.cli.text import some
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    import asyncio

    from orchestrator.protocol.types import DeviceId
    from orchestrator.staging.fleet import FleetFile

HOOK_TIMEOUT_MAX_S: Final = 3600.0


def register(app: App) -> None:
    """Add the command."""
    app.command(agent)


async def agent(  # noqa: D417 - the context is no option
    *,
    device: str,
    fleet: str,
    state_dir: Path,
    active: Path,
    hook: str,
    hook_timeout: float = 10.0,
    context: Given,
) -> int:
    r"""
    Run a device's agent until SIGTERM: it votes, keeps the active file, and calls your hook.

    For example:
      aimctl agent --device d-01 --fleet hazard-12.toml --state-dir /var/lib/aim \
        --active /etc/gimbal/aim_lock_config.conf --hook "systemctl reload gimbal"

    The hook is run without a shell, with AIM_EVENT (activate, hold, resume),
    AIM_ACTIVE, AIM_DEVICE, AIM_FLEET, AIM_VERSION, AIM_DIGEST and AIM_REASON in
    its environment, and must end with 0 when the controller has obeyed.

    Parameters
    ----------
    device
        Its id in the fleet file.
    fleet
        The fleet file, or the fleet's name.
    state_dir
        Keeps its votes and configurations; it must survive a power cut. One agent at a time.
    active
        The active configuration: always entirely the old or entirely the new bytes.
    hook
        The command that tells the controller.
    hook_timeout
        Seconds after which the hook is killed and counts as failed.
    """
    from orchestrator.protocol.types import DeviceId

    known = find_fleet(fleet)
    if DeviceId(device) not in known.members or known.loaded is None:
        raise OperatingError(
            f"fleet {known.id} has no device {device!r}; it has {some(known.members)}",
            exit_code=Exit.USAGE,
            next_command="--device ID",
        )
    if not 0 < hook_timeout <= HOOK_TIMEOUT_MAX_S:
        raise OperatingError(
            f"--hook-timeout {hook_timeout:g}: must be above 0, at most {HOOK_TIMEOUT_MAX_S:g}",
            exit_code=Exit.USAGE,
        )
    await _run(
        context,
        known.loaded.file,
        DeviceId(device),
        paths=_paths(state_dir, active),
        hook=(hook, hook_timeout),
    )
    return int(Exit.DONE)


def _paths(state: Path, active: Path) -> tuple[Path, Path]:
    """Return both as absolute paths; the active file must have a directory to stand in."""
    if not active.absolute().parent.is_dir():
        raise OperatingError(
            f"--active {active}: its directory does not exist",
            exit_code=Exit.USAGE,
            next_command=f"mkdir -p {active.parent}",
        )
    return state.absolute(), active.absolute()


async def _run(
    context: Context,
    fleet: FleetFile,
    device: DeviceId,
    *,
    paths: tuple[Path, Path],
    hook: tuple[str, float],
) -> None:
    import asyncio

    from orchestrator.wiring import make_agent

    state, active = paths
    command, timeout_s = hook
    async with make_agent(
        fleet=fleet,
        device=device,
        state=state,
        active=active,
        hook=command,
        hook_timeout_s=timeout_s,
        broker=context.settings.broker.value,
        audience=context.audience(),
    ) as made:
        task = asyncio.ensure_future(made.run())
        context.view.say(f"agent     {device} of {fleet.fleet}, {context.settings.broker.shown}")
        with until_told(task), suppress(asyncio.CancelledError):
            await task
    context.view.say("agent     stopped")


class until_told:  # noqa: N801 - reads as what it does
    """Cancel a task at SIGINT and SIGTERM, instead of being ended by them."""

    def __init__(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    def __enter__(self) -> None:
        """Take the signals over."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._task.cancel)

    def __exit__(self, *_exc: object) -> None:
        """Give them back."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                loop.remove_signal_handler(number)
