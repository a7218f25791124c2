"""``drone-sim autopilot``: an autopilot's parameters and gimbal over MAVLink, to try an agent."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where a command needs them
    from drone_sim.autopilot import SimulatedAutopilot


def register(app: App) -> None:
    """Add the command."""
    app.command(autopilot)


def autopilot(
    kind: Literal["ardupilot", "px4"] = "ardupilot",
    /,
    *,
    port: int = 14550,
    state: Path | None = None,
    loss: float = 0.0,
    duplicate: float = 0.0,
    armed: bool = False,
    seed: int = 0,
) -> int:
    """
    Run a simulated autopilot on a UDP port of this machine until interrupted.

    For example:
      drone-sim autopilot --state /tmp/parameters.json --loss 0.1
      aimctl agent ... --mavlink udpout:127.0.0.1:14550

    Parameters
    ----------
    kind
        Whose parameters, and whose encoding of whole numbers.
    port
        The UDP port; whoever speaks to it is answered.
    state
        Keeps the parameters over restarts, each as it is set; in memory unless given.
    loss
        Share of the packets that are lost, either way.
    duplicate
        Share of the packets that come twice.
    armed
        Whether it says that it is armed.
    seed
        Another seed loses other packets.
    """
    from drone_sim.autopilot import Faults, InFile, InMemory, SimulatedAutopilot

    if not (0 <= loss < 1 and 0 <= duplicate <= 1):
        raise OperatingError(
            "--loss is from 0 to below 1, --duplicate from 0 to 1", exit_code=Exit.USAGE
        )
    made = SimulatedAutopilot(
        kind,
        store=InMemory() if state is None else InFile(state),
        faults=Faults(loss=loss, duplicate=duplicate),
        seed=seed,
    )
    made.armed = armed
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_until_interrupted(made, port))
    return 0


async def _until_interrupted(made: SimulatedAutopilot, port: int) -> None:
    from drone_sim.autopilot import flying

    running = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel if running else loop.stop)
    try:
        async with flying(made, port=port) as found:
            print(f"{made.kind} on {found.url}", file=sys.stderr, flush=True)
            await asyncio.Event().wait()
    except OSError as error:
        raise OperatingError(
            f"port {port} can't be used: {error.strerror}", exit_code=Exit.USAGE
        ) from error
