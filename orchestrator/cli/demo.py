"""``aimctl demo``: the door to the simulator's demonstration, found by its entry point."""

from __future__ import annotations

from typing import Any, Final

from cyclopts import App

from orchestrator.cli.context import Flag, Given
from orchestrator.errors import Exit, OperatingError

GROUP: Final = "aimctl.demo"
NAME: Final = "demo"


def register(app: App) -> None:
    """Add the command."""
    app.command(demo)


def demo(  # noqa: D417 - the context is no option
    *,
    devices: int = 12,
    incident: Flag = False,
    naive: Flag = False,
    context: Given,
) -> int:
    """
    See it work: a broker, a simulated fleet and a real push, with nothing to set up.

    For example:
      aimctl demo
      aimctl demo --devices 50
      aimctl demo --incident
      aimctl demo --incident --naive

    Parameters
    ----------
    devices
        How many simulated drones.
    incident
        Kill the orchestrator with -9 at the two worst moments, and force the lock that it left.
    naive
        With --incident: the same night with a script and a lock file.
    """
    if naive and not incident:
        raise OperatingError(
            "--naive shows what a script does in the incident, so it needs --incident",
            exit_code=Exit.USAGE,
            next_command="aimctl demo --incident --naive",
        )
    run = _load()
    code = run(
        devices=devices,
        incident=incident,
        naive=naive,
        output=context.settings.output.value,
        color=False if context.no_color else None,
    )
    return int(code)


def _load() -> Any:
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP, name=NAME)
    for point in found:
        return point.load()
    raise OperatingError(
        "the simulator is not installed beside this program",
        exit_code=Exit.USAGE,
        next_command="pip install aim-fleet",
    )
