"""Options that several commands share, and reading what is typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from drone_sim.cli.face import Face
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where something is played
    from drone_sim.result import Speed

Output = Literal["text", "json"]
Pace = Literal["cores", "shells", "both"]
OneSpeed = Literal["cores", "shells"]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option that is there or not."""

SEEDS_MAX: Final = 10_000_000
_SEEDS: Final = re.compile(r"([0-9]{1,12})(?:\.\.([0-9]{1,12}))?")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """
    What is written.

    Parameters
    ----------
    junit
        Write JUnit XML: one case for each run, with how to reproduce it.
    html
        Write a page to look at, readable offline.
    trace
        Write the trace of the first violation, made as small as it can be; without a violation
        that of the only run.
    output
        text, or json: exactly one document.
    """

    junit: Path | None = None
    html: Path | None = None
    trace: Path | None = None
    output: Output = "text"

    @property
    def face(self) -> Face:
        """Return where the command's words go."""
        return Face(machine=self.output == "json")

    def require_writable(self) -> None:
        """
        See that every file can be written: a run that takes hours must not end without its report.

        Call it before anything is played. Raises OperatingError (wrong use).
        """
        from drone_sim.report.files import require_writable

        named: dict[Path, str] = {}
        given = {"--junit": self.junit, "--html": self.html, "--trace": self.trace}
        for option, path in given.items():
            if path is None:
                continue
            require_writable(path, option)
            other = named.setdefault(path.resolve(), option)
            if other != option:
                raise OperatingError(
                    f"{other} and {option} name one file, {path}: the later would replace the"
                    " other; nothing was begun",
                    exit_code=Exit.USAGE,
                    next_command=f"name another file for {option}",
                )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """
    How much is done.

    Parameters
    ----------
    jobs
        Processes; as many as there are cores unless given.
    keep_going
        Go on after the first violation.
    shrink
        Runs to spend on making the first violation smaller; 0 leaves it as it is.
    """

    jobs: int | None = None
    keep_going: Flag = False
    shrink: int | None = None

    def processes(self) -> int:
        """Return how many processes play. Raises OperatingError (wrong use) for none."""
        from drone_sim.explore.machine import cores

        if self.jobs is not None and self.jobs < 1:
            raise OperatingError(f"--jobs {self.jobs}: at least one plays", exit_code=Exit.USAGE)
        if self.shrink is not None and self.shrink < 0:
            raise OperatingError(f"--shrink {self.shrink}: 0 or more", exit_code=Exit.USAGE)
        return cores() if self.jobs is None else self.jobs


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """
    What else the run depends on: as its ``reproduce:`` line says it.

    Parameters
    ----------
    speed
        cores or shells; that of the trace file, or cores, unless given.
    scenario
        The story that is played with this seed.
    config
        The configuration that is pushed to somebody's own fleet, with --fleet.
    fleet
        The file of that fleet, with --config.
    crash
        Where somebody dies: 5 is the fifth seam of I/O, a9 the ninth callback.
    mutant
        A bug that is switched on.
    """

    speed: OneSpeed | None = None
    scenario: str | None = None
    config: Path | None = None
    fleet: Path | None = None
    crash: str | None = None
    mutant: str | None = None


NO_REPORTS: Final = Reports()
ORDINARY: Final = Effort()
NOTHING_ELSE: Final = Conditions()


def seeds_of(text: str) -> range:
    """
    Read ``17`` or ``1..2000``, both ends included.

    Raises OperatingError (wrong use) for anything else.
    """
    found = _SEEDS.fullmatch(text.strip())
    if found is None:
        raise OperatingError(
            f"--seeds {text!r} is neither a number nor such as 1..2000", exit_code=Exit.USAGE
        )
    first = int(found[1])
    last = first if found[2] is None else int(found[2])
    if not 0 <= last - first < SEEDS_MAX:
        raise OperatingError(
            f"--seeds {text}: the first is not after the last, and there are at most {SEEDS_MAX}",
            exit_code=Exit.USAGE,
        )
    return range(first, last + 1)


def speeds_of(pace: Pace) -> tuple[Speed, ...]:
    """Return the speeds: the pure cores first, since they are quick to find something."""
    from drone_sim.result import Speed

    return tuple(Speed) if pace == "both" else (Speed(pace),)
