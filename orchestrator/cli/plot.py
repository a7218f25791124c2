"""``aimctl plot``: how a configuration would move a gimbal, and what the judge says to it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from orchestrator.cli.context import Given
from orchestrator.cli.text import some
from orchestrator.cli.view import Cell, Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.cli.gimbals import Mount
    from orchestrator.cli.picture import Picture, Side
    from orchestrator.staging.overlay import ConfigSource

AxisName = Literal["yaw", "pitch", "roll"]
Outs = Annotated[list[Path] | None, Parameter(negative="")]

FORMS: Final = {".png": "png", ".svg": "svg"}
HEADER: Final = ("config", "axis", "inertia", "phase margin", "crossover", "gain margin", "peak")


def register(app: App) -> None:
    """Add the command."""
    app.command(plot)


def plot(  # noqa: D417, PLR0913 - the context is no option; the others are named by who asks
    config: Path,
    /,
    *,
    profile: str,
    fleet: str | None = None,
    device: str | None = None,
    kind: str | None = None,
    against: Path | None = None,
    axis: AxisName | None = None,
    out: Outs = None,
    context: Given,
) -> int:
    """
    Draw how a configuration moves a gimbal: step, errors, Bode plot, verdict.

    For example:
      aimctl plot aim_lock_config.conf --profile g30
      aimctl plot new.conf --against old.conf --profile g30 --axis yaw --out yaw.svg
      aimctl plot yard_aim.conf --fleet yard-mixed --profile g30 --device drone-02

    Each axis is shown at every inertia that the judge asks for. What is valid
    and would be voted down is drawn all the same, and exits with 0; what is
    invalid exits with 9.
    Needs matplotlib: pip install 'aim-fleet[plot]'.

    Parameters
    ----------
    config
        The configuration file.
    profile
        The gimbal: the name of a [gimbal.NAME] of the fleet file that has a plant.
    fleet
        The fleet file, or the fleet's name; without it the one in configs/fleets, fleets or
        here that locks such a configuration and has the profile.
    device
        Whose overlays apply; by default those of the first device that carries the gimbal.
    kind
        Apply the overlay of this kind alone, of no group and no device.
    against
        An older configuration to draw beside it.
    axis
        Draw this axis alone. The verdict is about all of them.
    out
        Write here: .png or .svg; may be given several times. By default a .png here, named
        after the configuration and the profile.
    """
    from orchestrator.cli.gimbals import find_mount, open_config

    paths = _paths(config, profile, axis, out)
    figure = _matplotlib()
    mount = find_mount(config, profile, fleet, device, kind, context.view.say)
    new = open_config(config)
    old = None if against is None else open_config(against)
    picture = _picture(mount, axis, new, old)
    others = mount.others(new) if device is None and kind is None else ()
    for path in paths:
        _write(path, figure.draw(picture, FORMS[path.suffix]))
    document = _document(picture, mount, paths, others)
    context.view.show(document, lambda screen: _show(screen, picture, paths))
    if others:
        context.view.say(f"note      other loops run on {some(others)}: use --device ID")
    return int(Exit.DONE)


def _paths(config: Path, profile: str, axis: str | None, out: Outs) -> list[Path]:
    which = "" if axis is None else f"-{axis}"
    paths = out or [Path(f"{config.stem}-{profile}{which}.png")]
    for path in paths:
        if path.suffix not in FORMS:
            raise OperatingError(
                f"--out {path}: a figure ends in {' or '.join(FORMS)}",
                exit_code=Exit.USAGE,
                next_command="--out FILE.svg",
            )
    return paths


def _matplotlib() -> ModuleType:
    """Load what draws. Raises OperatingError (2) where matplotlib is not installed."""
    try:
        from orchestrator.cli.drawing import figure
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise OperatingError(
            "figures are drawn by matplotlib, which is not installed",
            exit_code=Exit.USAGE,
            next_command="pip install 'aim-fleet[plot]'",
        ) from error
    return figure


def _picture(
    mount: Mount, axis: AxisName | None, new: ConfigSource, old: ConfigSource | None
) -> Picture:
    from orchestrator.aim.judge import STANDARD
    from orchestrator.cli.picture import Picture, side

    sides = [
        side(source.name, mount.configured(source), mount.profile, axis)
        for source in (new, old)
        if source is not None
    ]
    picture = Picture(
        where=mount.words,
        criteria=STANDARD,
        new=sides[0],
        old=sides[1] if len(sides) > 1 else None,
    )
    if not picture.axes:
        raise OperatingError(
            f"{new.name} does not drive {axis or 'any axis'} of gimbal {mount.profile.name}",
            exit_code=Exit.USAGE,
            next_command=f"aimctl lint {new.name} {mount.fleet.name}",
        )
    return picture


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        why = error.strerror or str(error)
        raise OperatingError(f"{path}: can't be written: {why}", exit_code=Exit.USAGE) from error


# --- what is told -----------------------------------------------------------------------------


def _document(
    picture: Picture, mount: Mount, paths: list[Path], others: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "type": "plot",
        "fleet": mount.fleet.file.fleet,
        "profile": mount.profile.name,
        "device": mount.device,
        "kind": mount.target.kind,
        "others": list(others),
        "files": [str(path) for path in paths],
        **_side(picture.new),
        "against": None if picture.old is None else _side(picture.old),
    }


def _side(shown: Side) -> dict[str, Any]:
    from orchestrator.cli.picture import margins_document, verdict_document

    return {
        "config": shown.file,
        "margins": margins_document(shown),
        "verdict": verdict_document(shown),
    }


def _show(screen: Screen, picture: Picture, paths: list[Path]) -> None:
    for path in paths:
        screen.line(f"✔ {path}", "green")
    screen.line()
    screen.table(HEADER, [row for side in picture.sides for row in _rows(side)])
    for side in reversed(picture.sides):
        screen.line()
        sign, style = ("✘", "bold red") if side.verdict else ("✔", "green")
        screen.line(f"{sign} {side.file}: {side.words}", style)
        for reason in side.verdict:
            screen.line(f"    {reason.text}")


def _rows(shown: Side) -> list[list[Cell]]:
    from orchestrator.cli.picture import margins_document

    return [
        [shown.file, axis, f"{one['inertia_factor']:g}", *_cells(one)]
        for axis, margins in margins_document(shown).items()
        for one in margins
    ]


def _cells(margins: dict[str, Any]) -> list[Cell]:
    if not margins["stable"]:
        return [("unstable", "bold red"), "-", "-", "-"]
    units = {
        "phase_margin_deg": "{:.1f}°",
        "crossover_hz": "{:.1f} Hz",
        "gain_margin_db": "{:.1f} dB",
        "sensitivity_peak": "{:.2f}",
    }
    found = {name: margins[name] for name in units}
    return ["-" if value is None else units[name].format(value) for name, value in found.items()]
