"""``drone-sim fleet``: the devices of a fleet file over real MQTT, until somebody interrupts."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from drone_sim.cli.options import Flag

if TYPE_CHECKING:  # loaded where a command needs them
    from drone_sim.fleet import FleetOptions, MakeLink, SimulatedFleet
    from orchestrator.protocol.messages import DeviceState

BROKER: Final = "mqtt://127.0.0.1:1883"
SCHEMA: Final = 1

Output = Literal["text", "json", "jsonl"]
Level = Literal["debug", "info", "warning", "error"]


def register(app: App) -> None:
    """Add the command."""
    app.command(fleet)


def fleet(  # noqa: PLR0913 - each is an option, named by who asks
    fleet: Path,
    /,
    *,
    broker: Annotated[str, Parameter(env_var="AIMCTL_BROKER")] = BROKER,
    state_dir: Path | None = None,
    faults: Path | None = None,
    fly: Flag = False,
    only: str = "",
    without: Annotated[str, Parameter(name="--except")] = "",
    output: Output = "text",
    log_level: Level = "warning",
) -> int:
    """
    Run the simulated devices of a fleet over real MQTT until interrupted.

    Parameters
    ----------
    fleet
        The fleet file.
    broker
        mqtt:// or mqtts:// URL; each device makes its own connection.
    state_dir
        Keeps each device's active configuration as DIR/<device id>/<config name>, and its state
        in DIR/.state. Without it, the user's state directory.
    faults
        TOML file of what is wrong with which device.
    fly
        Let them fly, carry and work: phase, battery and link decide their votes as the fleet's
        policies say, and each tells how it aims in DIR/<device id>/.flight.json every second.
    only
        Devices to run, separated by commas; all unless given.
    without
        Devices not to run, separated by commas.
    output
        json prints one document at the end, jsonl a line for each change of a device.
    log_level
        What is told on stderr.
    """
    from drone_sim.faults import load_faults
    from drone_sim.fleet import FleetOptions, mqtt_links
    from orchestrator import telemetry
    from orchestrator.protocol.types import FleetId
    from orchestrator.staging.load import load_fleet, read
    from orchestrator.wiring import environment_faults

    telemetry.configure(log_level)
    file = load_fleet(read(fleet)).file
    options = FleetOptions(
        fleet=file,
        directory=(state_dir or _user_directory(file.fleet)).absolute(),
        only=_names(only),
        without=_names(without),
        faults=load_faults(faults, file) if faults is not None else {},
        on_change=_print_change if output == "jsonl" else None,
        fault_points=environment_faults(),
        fly=fly,
    )
    links = mqtt_links(broker, FleetId(file.fleet))
    states = asyncio.run(_until_interrupted(options, links))
    if output == "json":
        _print(_document(file.fleet, states))
    return 0


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def _user_directory(name: str) -> Path:
    from platformdirs import user_state_path

    return user_state_path("aim-fleet") / "simulated" / name


async def _until_interrupted(options: FleetOptions, links: MakeLink) -> dict[str, DeviceState]:
    """Run the fleet until SIGINT or SIGTERM; return what its devices last said."""
    from drone_sim.fleet import SimulatedFleet

    running = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel if running else loop.stop)
    states: dict[str, DeviceState] = {}
    try:
        async with SimulatedFleet(options, links) as simulated:
            print(_connected(simulated), file=sys.stderr, flush=True)
            try:
                await simulated.wait()
            finally:
                states = {str(name): state for name, state in simulated.states().items()}
    except asyncio.CancelledError:
        return states
    return states


def _connected(simulated: SimulatedFleet) -> str:
    line = f"{simulated.connected} of {len(simulated.devices)} connected"
    return f"{line} (offline: {', '.join(simulated.offline)})" if simulated.offline else line


# --- output -----------------------------------------------------------------------------------


def _document(name: str, states: dict[str, DeviceState]) -> dict[str, object]:
    devices = {device: _shown(state) for device, state in states.items()}
    return {"schema": SCHEMA, "type": "simulated-fleet", "fleet": name, "devices": devices}


def _print_change(device: str, state: DeviceState) -> None:
    _print({"schema": SCHEMA, "type": "simulated-device", "device": device, **_shown(state)})


def _shown(state: DeviceState) -> dict[str, object]:
    shown = asdict(state)
    return {**shown, "max_epoch": str(state.max_epoch)}


def _print(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)
