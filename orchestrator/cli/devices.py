"""``aimctl devices``: every device, and all that is known of one; see ``said``, ``deciding``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclopts import App

from orchestrator.cli import deciding, said
from orchestrator.cli.context import Given
from orchestrator.cli.dossiers import find_device, next_step, show_dossier, with_file
from orchestrator.cli.files import KnownFleet, chosen_fleets
from orchestrator.cli.status import device_row, left_out
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.service.reading import FleetView

HELP = """\
Devices: what each of them is, and what people may say of one. Alone it lists them.

For example:
  aimctl devices --fleet hazard-12
  aimctl devices show d-07
  aimctl devices retire d-07 --reason "lost at sea"
"""
HEADER = ("device", "kind", "state", "version", "operating", "digest", "note")


def register(app: App) -> None:
    """Add the commands."""
    devices = App(name="devices", help=HELP)
    devices.default(devices_list)
    devices.command(devices_list, name="list")
    devices.command(devices_show, name="show")
    said.register(devices)
    devices.command(deciding.decide)
    app.command(devices)


# --- list -------------------------------------------------------------------------------------


async def devices_list(  # noqa: D417 - the context is no option
    *,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Show every device of a fleet: its state, version, and whether it is with the fleet.

    For example:
      aimctl devices list --fleet hazard-12
      aimctl devices --output json

    Parameters
    ----------
    fleet
        A fleet file, or a fleet's name; all fleets of the store unless given.
    """
    from orchestrator.service import reading
    from orchestrator.service.locks import read_fleet
    from orchestrator.service.reading import known_devices

    async with context.world(reading=True) as world:
        fleets = [await with_file(world, one) for one in await chosen_fleets(world, fleet)]
        views = []
        for known in fleets:
            names = known_devices(await read_fleet(world, known.id), known.members)
            views.append(await reading.status(world, known.id, names))

    def text(screen: Screen) -> None:
        if not views:
            screen.line("no fleet is known: nothing has been pushed with this store yet")
        for number, (known, view) in enumerate(zip(fleets, views, strict=True)):
            if number:
                screen.line()
            _show_devices(screen, known, view)

    documents = [_listed(known, view) for known, view in zip(fleets, views, strict=True)]
    context.view.show({"type": "devices", "fleets": documents}, text)
    return int(Exit.DONE)


def _listed(known: KnownFleet, view: FleetView) -> dict[str, Any]:
    document = view.document()
    kinds = {str(name): kind for name, kind in known.kinds.items()}
    kept = ("fleet", "version", "enable_lease_s", "exceptions", "asked", "why")
    devices = {name: {**one, "kind": kinds.get(name)} for name, one in document["devices"].items()}
    return {**{key: document[key] for key in kept}, "devices": devices}


def _show_devices(screen: Screen, known: KnownFleet, view: FleetView) -> None:
    count = len(view.devices)
    screen.line(f"fleet {view.fleet}   version {view.version}   {count} devices", "bold")
    for line, style in left_out(view):
        screen.line(line, style)
    if view.why is not None:
        screen.line(f"unasked   the devices could not be asked: {view.why}", "yellow")
    if view.devices:
        rows = [device_row(known, name, device) for name, device in view.devices.items()]
        screen.table(HEADER, rows)


# --- show -------------------------------------------------------------------------------------


async def devices_show(  # noqa: D417 - the context is no option
    device: str,
    /,
    *,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Show all that is known of one device: what the journal has of it, and its own last word.

    For example:
      aimctl devices show d-07
      aimctl devices show d-07 --fleet hazard-12 --output json

    Parameters
    ----------
    device
        Its id.
    fleet
        Its fleet, where several fleets of the store have a device of that id.
    """
    async with context.world(reading=True) as world:
        known, found = await find_device(world, device, fleet)
    following = next_step(found)
    kind = known.kinds.get(found.device)
    document = {**found.document(kind), "next": following}

    def text(screen: Screen) -> None:
        show_dossier(screen, found, kind)
        if following is not None:
            screen.line(f"next      {following}", "bold")

    context.view.show(document, text)
    return int(Exit.DONE)
