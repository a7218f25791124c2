"""
What a command shows: one interface, for people and for programs.

A command hands over the same facts in two forms, a document and a function that writes text, and
the view takes the one it is for. Nothing that is shown may end the work that it tells of: a
closed pipe is ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import StringIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:  # imported where something is shown: --help stays quick
    from rich.console import Console

Document = Mapping[str, Any]
Cell = str | tuple[str, str]
"""A text, or a text and its style."""

GAP: Final = "  "


def prepare_streams() -> None:
    """
    Escape what a terminal can't show; a stream that was closed by our parent swallows all.

    Every program calls it first.
    """
    sys.stdout = sys.stdout or StringIO()
    sys.stderr = sys.stderr or StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Screen:
    """Writes text to stdout; styles where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def terminal(self) -> bool:
        """Whether a person looks at it."""
        return self._console.is_terminal

    @property
    def height(self) -> int:
        """How many lines a person sees."""
        return self._console.height

    def clear(self) -> None:
        """Begin again at the top."""
        self._console.clear()

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line, however long."""
        from rich.text import Text

        self._console.print(Text(text, style=style), soft_wrap=True)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write aligned columns without borders, fit for ``grep`` and ``awk``."""
        from rich.text import Text

        cells = [[_cell(cell) for cell in row] for row in rows]
        widths = [
            max(len(line[column]) for line in [[Text(name) for name in header], *cells])
            for column in range(len(header))
        ]
        shown = [[Text(name.upper(), style="dim") for name in header], *cells]
        for row in shown:
            line = Text(GAP).join(
                _padded(cell, width) for cell, width in zip(row, widths, strict=True)
            )
            line.rstrip()
            self._console.print(line, soft_wrap=True)


def _cell(cell: Cell) -> Any:
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(text, style=style)


def _padded(cell: Any, width: int) -> Any:
    padded = cell.copy()
    padded.pad_right(max(0, width - len(cell)))
    return padded


class View(Protocol):
    """Where a command's words go."""

    @property
    def machine(self) -> bool:
        """Whether stdout carries documents: nothing else may be written there."""
        ...

    def show(self, document: Document, text: Callable[[Screen], None]) -> None:
        """Show the result."""
        ...

    def progress(self, document: Document) -> None:
        """Show that something has happened on the way to the result."""
        ...

    def say(self, line: str, style: str = "") -> None:
        """Tell a person something beside the result, on stderr."""
        ...

    def fail(self, document: Document, lines: str) -> None:
        """Show why there is no result."""
        ...


class HumanView:
    """Text: results on stdout, the rest on stderr."""

    machine = False

    def __init__(self, *, no_color: bool) -> None:
        self._no_color = no_color

    def screen(self) -> Screen:
        """Return stdout."""
        return Screen(console(no_color=self._no_color))

    def show(self, document: Document, text: Callable[[Screen], None]) -> None:  # noqa: ARG002
        """Write the text."""
        with unbroken(stdout=True):
            text(self.screen())

    def progress(self, document: Document) -> None:
        """Leave it to what is said."""

    def say(self, line: str, style: str = "") -> None:
        """Write a line to stderr."""
        say(line, style, no_color=self._no_color)

    def fail(self, document: Document, lines: str) -> None:  # noqa: ARG002
        """Write the lines to stderr."""
        say(lines, "bold red", no_color=self._no_color)


class JsonView:
    """One document on stdout, on one line."""

    machine = True

    def __init__(self, *, no_color: bool) -> None:
        self._no_color = no_color

    def show(self, document: Document, text: Callable[[Screen], None]) -> None:  # noqa: ARG002
        """Print the document."""
        emit(document)

    def progress(self, document: Document) -> None:
        """Say nothing: there is exactly one document."""

    def say(self, line: str, style: str = "") -> None:
        """Write a line to stderr."""
        say(line, style, no_color=self._no_color)

    def fail(self, document: Document, lines: str) -> None:
        """Print the document, and the lines for whoever reads the log."""
        emit(document)
        say(lines, "bold red", no_color=self._no_color)


class JsonlView(JsonView):
    """A document a line: progress first, the result last."""

    def progress(self, document: Document) -> None:
        """Print the document."""
        emit(document)


def make_view(output: str, *, no_color: bool) -> View:
    """Return the view for ``--output``."""
    if output == "text":
        return HumanView(no_color=no_color)
    return JsonView(no_color=no_color) if output == "json" else JsonlView(no_color=no_color)


# --- the two streams --------------------------------------------------------------------------


def console(*, no_color: bool, stderr: bool = False) -> Console:
    """Return a console on a stream as it is now; it heeds NO_COLOR and FORCE_COLOR itself."""
    from rich.console import Console

    return Console(
        stderr=stderr,
        no_color=True if no_color else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def say(line: str, style: str = "", *, no_color: bool) -> None:
    """Write a line to stderr, at once."""
    with unbroken(stdout=False):
        if style and sys.stderr.isatty():
            first, _, rest = line.partition("\n")
            on = console(no_color=no_color, stderr=True)
            on.print(first, style=style, soft_wrap=True)
            if rest:
                on.print(rest, soft_wrap=True)
            return
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def emit(document: Document) -> None:
    """Print one document in the form that ``aimctl schema`` promises."""
    from orchestrator.cli.documents import encoded

    with unbroken(stdout=True):
        sys.stdout.write(encoded(document) + "\n")
        sys.stdout.flush()


@contextmanager
def unbroken(*, stdout: bool) -> Iterator[None]:
    """
    Let no reader that went away, and no full disk behind a pipe, change how the work ended.

    A stream that has failed is closed, so that the interpreter does not complain at its end.
    """
    stream = sys.stdout if stdout else sys.stderr
    try:
        yield
        stream.flush()
    except (OSError, ValueError) as error:
        with suppress(OSError):
            stream.close()
        if stdout and not isinstance(error, BrokenPipeError | ValueError):
            say(f"ERROR: the result can't be written: {error.strerror}", no_color=True)
