"""``aimctl import`` and ``aimctl export``: from and to the parameters of an autopilot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from cyclopts import App

from orchestrator.cli.context import Given
from orchestrator.cli.files import find_fleet
from orchestrator.cli.text import some
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.autopilot import Format, ParamDocument
    from orchestrator.cli.view import View
    from orchestrator.staging.fleet import Device
    from orchestrator.staging.params import Exported, Imported

Autopilot = Literal["ardupilot", "px4"]

NAMED_MAX: Final = 12
"""Parameters that a line names before it counts the rest; the document has them all."""


def register(app: App) -> None:
    """Add the commands."""
    app.command(import_, name="import")
    app.command(export)


def import_(  # noqa: D417 - the context is no option
    file: Path,
    /,
    *,
    out: Path | None = None,
    autopilot: Autopilot | None = None,
    context: Given,
) -> int:
    """
    Read the aim configuration out of an autopilot's parameter file.

    For example:
      aimctl import vehicle.param --out aim_lock_config.toml
      aimctl import px4.params --autopilot px4

    ArduPilot's .param files and QGroundControl's .params files are read. What a parameter file
    lacks is taken at the firmware's default. Parameters that no key says are named; they stay
    in the file, and `aimctl export --base FILE` keeps them.

    Parameters
    ----------
    file
        The parameter file.
    out
        Write the configuration (TOML) here instead of to stdout.
    autopilot
        Whose names they are; told by the names unless given.
    """
    from orchestrator.staging.params import import_params, read_params

    document = read_params(file)
    imported = import_params(str(file), document, autopilot)
    if out is not None:
        _write(out, imported.text.encode())
    following = None if out is None else context.again("lint", str(out))

    def text(screen: Screen) -> None:
        if out is None:
            sys.stdout.write(imported.text)
        else:
            screen.line(f"✔ {out}: {len(imported.values)} values", "green")
            screen.line(f"next      {following}")

    context.view.show(_imported(imported, file, out, following), text)
    _tell_import(context.view, imported)
    return int(Exit.DONE)


def _tell_import(view: View, imported: Imported) -> None:
    if imported.unknown:
        view.say(f"unknown   {len(imported.unknown)}: {some(imported.unknown, NAMED_MAX)}")
    for name, why in imported.odd.items():
        view.say(f"odd       {name}: {why}", "yellow")
    for key, why in imported.chosen.items():
        view.say(f"chosen    {key} = {imported.values[key]}: {why}", "yellow")


def _imported(
    imported: Imported, file: Path, out: Path | None, following: str | None
) -> dict[str, Any]:
    return {
        "type": "import",
        "file": str(file),
        "autopilot": imported.table.autopilot,
        "dialect": imported.table.title,
        "values": dict(imported.values),
        "unknown": list(imported.unknown),
        "odd": dict(imported.odd),
        "chosen": dict(imported.chosen),
        "text": imported.text,
        "out": None if out is None else str(out),
        "next": following,
    }


# --- export -----------------------------------------------------------------------------------


def export(  # noqa: D417 - the context is no option
    config: Path,
    /,
    *,
    fleet: str,
    device: str,
    autopilot: Autopilot,
    base: Path | None = None,
    out: Path | None = None,
    context: Given,
) -> int:
    """
    Write what a device would run as a parameter file of its autopilot.

    For example:
      aimctl export aim_lock_config.conf --fleet hazard-12 --device d-01 \
        --autopilot ardupilot --base vehicle.param --out vehicle.new.param

    With a base everything of it is kept, byte for byte, but the values that change; a
    parameter that it lacks is added unless it is at the firmware's default. A value that the
    autopilot can't hold is refused (9), never rounded.

    Parameters
    ----------
    config
        The configuration file.
    fleet
        The fleet file, or the fleet's name.
    device
        Whose configuration: its overlays apply.
    autopilot
        Whose parameters.
    base
        A parameter file to change; its format and its names are kept.
    out
        Write here instead of to stdout; .params is QGroundControl's format, .param ArduPilot's.
    """
    from orchestrator.staging.params import read_params

    found = None if base is None else read_params(base)
    exported = _export(config, fleet, device, autopilot, base=found, form=_format(out, autopilot))
    data = exported.document.render()
    if out is not None:
        _write(out, data)

    def text(screen: Screen) -> None:
        if out is None:  # not by the screen, which would turn tabs into blanks
            sys.stdout.write(data.decode(errors="replace"))
        else:
            screen.line(f"✔ {out}: {len(exported.params)} parameters", "green")

    context.view.show(_exported(exported, config, device, out), text)
    _tell_export(context.view, exported, base)
    return int(Exit.DONE)


def _export(
    path: Path,
    fleet: str,
    device: str,
    autopilot: str,
    *,
    base: ParamDocument | None,
    form: Format,
) -> Exported:
    from orchestrator.staging.load import load_config, read
    from orchestrator.staging.notes import InvalidInput
    from orchestrator.staging.overlay import Target, effective, where_set
    from orchestrator.staging.params import export_params

    one = _device(fleet, device)
    source = load_config(read(path))
    target = Target(kind=one.kind, groups=one.groups, device=one.id)
    made = effective(source, target)
    if isinstance(made, list):
        raise InvalidInput(made, next_command=f"aimctl lint {path}")
    return export_params(
        made,
        name=str(path),
        where=lambda key: where_set(source, target, key),
        autopilot=autopilot,
        base=base,
        form=form,
    )


def _device(fleet: str, device: str) -> Device:
    known = find_fleet(fleet)
    devices = () if known.loaded is None else known.loaded.file.device
    for one in devices:
        if one.id == device:
            return one
    raise OperatingError(
        f"fleet {known.id} has no device {device!r}; it has {some(known.members)}",
        exit_code=Exit.USAGE,
        next_command="--device ID",
    )


def _format(out: Path | None, autopilot: str) -> Format:
    """Tell a new file's format by its ending, else by what its autopilot's people use."""
    from orchestrator.autopilot import Format

    if out is not None and out.suffix in {".param", ".parm"}:
        return Format.ARDUPILOT
    if (out is not None and out.suffix == ".params") or autopilot == "px4":
        return Format.QGROUNDCONTROL
    return Format.ARDUPILOT


def _tell_export(view: View, exported: Exported, base: Path | None) -> None:
    if base is not None:
        count = len(exported.changed)
        what = f"{count}: {some(exported.changed, NAMED_MAX)}" if count else "nothing"
        view.say(f"changed   {what}")
    if exported.left:
        view.say(f"left out  {len(exported.left)} keys that no parameter says")


def _exported(exported: Exported, config: Path, device: str, out: Path | None) -> dict[str, Any]:
    return {
        "type": "export",
        "config": str(config),
        "device": device,
        "autopilot": exported.table.autopilot,
        "dialect": exported.table.title,
        "params": dict(exported.params),
        "changed": list(exported.changed),
        "left": dict(exported.left),
        "text": exported.document.render().decode(errors="replace"),
        "out": None if out is None else str(out),
    }


def _write(out: Path, data: bytes) -> None:
    try:
        out.write_bytes(data)
    except OSError as error:
        why = error.strerror or str(error)
        raise OperatingError(f"{out}: can't be written: {why}", exit_code=Exit.USAGE) from error
