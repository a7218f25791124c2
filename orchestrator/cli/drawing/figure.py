"""The figure as a whole: its words, and a band of panels for each axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from textwrap import wrap
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from orchestrator.cli.drawing.panels import (
    BAD,
    COMMAND,
    DASHES,
    DIM,
    INK,
    SHADE,
    Strand,
    bode,
    errors,
    step,
)
from orchestrator.cli.picture import Picture, Side
from orchestrator.staging.notes import shortened

Form = Literal["png", "svg"]

NEW: Final = "#0b5cad"
OLD: Final = "#d9730d"
GOOD: Final = "#2e6b34"

DPI: Final = 100
WIDTH_IN: Final = 15.0
HEADER_IN: Final = 0.95
BAND_IN: Final = 5.3
LINE_IN: Final = 0.19
LEFT_IN: Final = 0.62
RIGHT_IN: Final = 0.15
TOP_IN: Final = 0.72
BETWEEN_IN: Final = 0.56
BOTTOM_IN: Final = 0.52
UPPER_SHARES: Final = (0.66, 0.5, 0.5)
"""Of the height of a column, what its upper panel has."""

CAPTION_CHARS: Final = 190
CHANGES_CHARS: Final = 205
ABSURD_CHARS: Final = 44
GLUE: Final = "\N{NO-BREAK SPACE}"

STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": DIM,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "grid.color": "#e3e7ec",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "aimctl plot",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": DIM,
    "xtick.labelsize": 8.0,
    "ytick.color": DIM,
    "ytick.labelsize": 8.0,
}
_METADATA: Final[dict[Form, dict[str, str | None]]] = {
    "png": {"Software": "aimctl plot"},
    "svg": {"Creator": "aimctl plot", "Date": None},
}


def draw(picture: Picture, form: Form) -> bytes:
    """Return the figure as a file of this form; the same command makes the same bytes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        made = BytesIO()
        _figure(picture).savefig(made, format=form, dpi=DPI, metadata=_METADATA[form])
    return made.getvalue()


def _figure(picture: Picture) -> Figure:
    new_first = picture.sides[::-1]
    captions = [list(_caption(side, len(new_first))) for side in new_first]
    footer_in = LINE_IN * (max(map(len, captions)) + 1.6)
    heights = [HEADER_IN, *[BAND_IN] * len(picture.axes), footer_in]
    figure = Figure(figsize=(WIDTH_IN, sum(heights)))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    parts = [figure.add_subfigure(grid[row, 0]) for row in range(len(heights))]
    _header(parts[0], picture)
    for name, part in zip(picture.axes, parts[1:-1], strict=True):
        _band(part, picture, name)
    for place, (side, lines) in enumerate(zip(new_first, captions, strict=True)):
        _write(parts[-1], picture, side, lines, footer_in, 0.5 * place)
    return figure


def _look(picture: Picture, side: Side) -> tuple[str, str]:
    """Return a side's colour, and what it is called where there are two."""
    who = "new" if side is picture.new else "old"
    return NEW if side is picture.new else OLD, "" if picture.old is None else f"{who} "


def _header(part: SubFigure, picture: Picture) -> None:
    files = "  against  ".join(shortened(side.file) for side in reversed(picture.sides))
    part.text(0.01, 0.92, files, fontsize=13, fontweight="bold", va="top")
    part.text(0.01, 0.58, picture.where, fontsize=9.5, color=DIM, va="top")
    handles: list[Any] = []
    for side in reversed(picture.sides):
        colour, who = _look(picture, side)
        handles += [
            Line2D([], [], color=colour, linestyle=dash, label=f"{who}{factor:g} × inertia")
            for factor, dash in zip(picture.criteria.inertia_factors, DASHES, strict=False)
        ]
    handles.append(Line2D([], [], **COMMAND, label="command"))
    whose = "" if picture.old is None else " (a step: the new one's)"
    handles.append(Patch(**SHADE, label=f"what the judge does not allow{whose}"))
    part.legend(handles=handles, loc="lower left", ncols=len(handles), fontsize=8.5)


def _band(part: SubFigure, picture: Picture, name: str) -> None:
    part.text(0.01, 0.985, name, fontsize=12, fontweight="bold", va="top")
    part.text(0.055, 0.978, _changes(picture, name), fontsize=8.5, color=DIM, va="top")
    panels = list(_panels(part))
    strands = list(_strands(picture, name))
    step(panels[0], panels[1], strands, picture.criteria)
    errors(panels[2], panels[3], strands, picture.criteria)
    bode(panels[4], panels[5], strands, picture.criteria)
    _say_absurd(panels[0], picture, name)


def _changes(picture: Picture, name: str) -> str:
    """Say what is new in a loop, in lines that part no name from its value."""
    glued = picture.changes(name).replace(" ", GLUE).replace(f"{GLUE}·{GLUE}", f"{GLUE}· ")
    return "\n".join(wrap(glued, CHANGES_CHARS)).replace(GLUE, " ")


def _panels(part: SubFigure) -> Iterator[Axes]:
    """Make the six panels of a band: two in each column, the upper one first."""
    column_in = (WIDTH_IN - 3 * LEFT_IN - RIGHT_IN) / 3
    room_in = BAND_IN - TOP_IN - BETWEEN_IN - BOTTOM_IN
    for column, share in enumerate(UPPER_SHARES):
        left = LEFT_IN + column * (LEFT_IN + column_in)
        lower_in, upper_in = room_in * (1.0 - share), room_in * share
        upper = BOTTOM_IN + lower_in + BETWEEN_IN
        for bottom_in, height_in in ((upper, upper_in), (BOTTOM_IN, lower_in)):
            rectangle = (
                left / WIDTH_IN,
                bottom_in / BAND_IN,
                column_in / WIDTH_IN,
                height_in / BAND_IN,
            )
            yield part.add_axes(rectangle)


def _say_absurd(axes: Axes, picture: Picture, name: str) -> None:
    """Say why a loop has no curves, where a step has none either: low at the right."""
    told = [
        line
        for side in picture.sides
        if name in side.axes
        for why in side.axes[name].absurd
        for line in wrap(f"{_look(picture, side)[1]}can't be run: {why}", ABSURD_CHARS)
    ]
    style: dict[str, Any] = {"ha": "right", "va": "top", "color": BAD, "fontsize": 8.5}
    axes.text(0.97, 0.6, "\n".join(told), transform=axes.transAxes, **style)


def _strands(picture: Picture, name: str) -> Iterator[Strand]:
    for side in picture.sides:
        view = side.axes.get(name)
        if view is None:
            continue
        colour, who = _look(picture, side)
        for dash, (factor, seen) in zip(DASHES, view.portraits.items(), strict=False):
            yield Strand(
                loop=view.loop,
                plant=view.plant,
                factor=factor,
                seen=seen,
                colour=colour,
                dash=dash,
                who=who,
            )


def _caption(side: Side, sides: int) -> Iterator[str]:
    """Return every finding, in lines that fit beside those of another configuration."""
    for reason in side.verdict:
        yield from wrap(f"• {reason.text}", CAPTION_CHARS // sides - 6, subsequent_indent="   ")


def _write(
    part: SubFigure,
    picture: Picture,
    side: Side,
    lines: Sequence[str],
    height_in: float,
    left: float,
) -> None:
    """Write the verdict on one configuration under its panels."""
    who = _look(picture, side)[1]
    head = f"Verdict on {who}{shortened(side.file)}: {side.words}"
    for number, line in enumerate((head, *lines)):
        first = number == 0
        part.text(
            0.01 + left,
            1.0 - (number + 0.3) * LINE_IN / height_in,
            line,
            va="top",
            fontsize=9.5,
            fontweight="bold" if first else "normal",
            color=INK if not first else BAD if side.verdict else GOOD,
        )
