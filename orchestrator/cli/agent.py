"""``aimctl agent``: what a real device runs, beside its controller."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from cyclopts import App

from orchestrator.cli.context import Context, Given
from orchestrator.cli.files import find_fleet
from orchestrator.cli.text import some
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    import asyncio

    from orchestrator.protocol.types import DeviceId
    from orchestrator.staging.fleet import FleetFile
    from orchestrator.wiring import Autopilot, HookCommand

Kind = Literal["ardupilot", "px4"]

HOOK_TIMEOUT_MAX_S: Final = 3600.0
FLIGHT_STATE_AGE_MAX_S: Final = 60.0
"""What a minute ago was so says nothing of now."""


def register(app: App) -> None:
    """Add the command."""
    app.command(agent)


async def agent(  # noqa: D417, PLR0913 - the context is no option, and each other is one
    *,
    device: str,
    fleet: str,
    state_dir: Path,
    active: Path,
    hook: str | None = None,
    hook_timeout: float = 10.0,
    mavlink: str | None = None,
    autopilot: Kind | None = None,
    flight_state: Path | None = None,
    flight_state_age: float | None = None,
    context: Given,
) -> int:
    r"""
    Run a device's agent until SIGTERM: it votes, keeps the active file, tells the controller.

    For example:
      aimctl agent --device d-01 --fleet hazard-12.toml --state-dir /var/lib/aim \
        --active /etc/gimbal/aim_lock_config.conf --hook "systemctl reload gimbal" \
        --flight-state /run/aim/flight.json

    The hook is run without a shell, with AIM_EVENT (activate, hold, resume),
    AIM_ACTIVE, AIM_DEVICE, AIM_FLEET, AIM_VERSION, AIM_DIGEST and AIM_REASON in
    its environment, and must end with 0 when the controller has obeyed.

    Where the fleet file has a [policy.KIND] for this device, the vote needs to know what the
    device is doing. Beside a hook, a program of yours keeps that in the file --flight-state:
    it writes another and renames it, every second or so. One JSON object, at most 4096 bytes:
      {"phase": "hovering", "armed": true, "battery_pct": 71.5, "link_quality_pct": 96}
    The phase is grounded, climbing, transit, hovering, tracking, landing or failsafe; battery_wh,
    hover_power_w and recording may be there too. What is left out, too old or wrong is unknown,
    and unknown is a no where the policy asks for it; without a readable state the vote is no.

    An autopilot is told by MAVLink instead: its gimbal parameters are written as one unit, and
    to hold is to take the gimbal and freeze its aim.
      aimctl agent --device d-01 --fleet hazard-12.toml --state-dir /var/lib/aim \
        --active /var/lib/aim/aim_lock_config.conf --mavlink serial:/dev/ttyAMA0:921600

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
    mavlink
        The autopilot: udpin:HOST:PORT, udpout:HOST:PORT or serial:DEVICE[:BAUD].
    autopilot
        Which one must answer there; any that is known unless given.
    flight_state
        The file that says what the device is doing; an autopilot says it itself.
    flight_state_age
        Seconds after which that file is too old; 5 unless given.
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
        controller=_asked(
            _controller(hook, hook_timeout, mavlink, autopilot), flight_state, flight_state_age
        ),
    )
    return int(Exit.DONE)


def _controller(
    hook: str | None, timeout_s: float, mavlink: str | None, autopilot: Kind | None
) -> HookCommand | Autopilot:
    """Return the one controller that was named."""
    from orchestrator.wiring import Autopilot, HookCommand

    if mavlink is not None and hook is None:
        return Autopilot(url=mavlink, kind=autopilot)
    if hook is not None and mavlink is None and autopilot is None:
        return HookCommand(command=hook, timeout_s=timeout_s)
    raise OperatingError(
        "a device has one controller: give --hook COMMAND, or --mavlink URL",
        exit_code=Exit.USAGE,
        next_command="aimctl agent --help",
    )


def _asked(
    controller: HookCommand | Autopilot, path: Path | None, age_s: float | None
) -> HookCommand | Autopilot:
    """Return the controller with the file that says what the device is doing, if there is one."""
    from orchestrator.agent import STATE_AGE_MAX_S
    from orchestrator.wiring import Autopilot

    if age_s is not None and not 0 < age_s <= FLIGHT_STATE_AGE_MAX_S:
        most = FLIGHT_STATE_AGE_MAX_S
        raise _wrong_state(f"--flight-state-age {age_s:g}: must be above 0, at most {most:g}")
    if path is None:
        if age_s is not None:
            raise _wrong_state("--flight-state-age needs --flight-state PATH")
        return controller
    if isinstance(controller, Autopilot):
        raise _wrong_state("--flight-state is for a hook: an autopilot says itself what it does")
    return replace(
        controller,
        flight_state=path.absolute(),
        flight_age_max_s=STATE_AGE_MAX_S if age_s is None else age_s,
    )


def _wrong_state(why: str) -> OperatingError:
    return OperatingError(why, exit_code=Exit.USAGE, next_command="aimctl agent --help")


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
    controller: HookCommand | Autopilot,
) -> None:
    import asyncio

    from orchestrator.wiring import make_agent

    state, active = paths
    async with make_agent(
        fleet=fleet,
        device=device,
        state=state,
        active=active,
        controller=controller,
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
