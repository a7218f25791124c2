"""What is played, and the words of the command line that say it: for the line that repeats it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drone_sim.explore.runs import Case, Source, Told, crash_words, drawn, mutants
from drone_sim.result import Crash, Speed
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # loaded where a story or a fleet of one's own is played
    from drone_sim.scenario.story import Expected
    from drone_sim.shells.fleetware import Fleetware
    from orchestrator.staging.load import LoadedFleet
    from orchestrator.staging.overlay import ConfigSource

STORY_SUFFIX: Final = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    Where scenarios come from. ``words`` are the options of ``replay`` that mean the same.

    ``story`` is one that is played as it was written, and must end as ``expected``; without it
    runs differ by their seed. ``mutant`` names a bug that is switched on.
    """

    story: str | None = None
    words: tuple[str, ...] = ()
    source: Source = drawn
    mutant: str | None = None
    fleetware: Fleetware | None = None
    expected: Expected | None = None

    def case(self, seed: int, speed: Speed, crashes: tuple[Crash, ...] = ()) -> Case:
        """Return the case of one seed."""
        return Case(
            seed=seed,
            speed=speed,
            source=self.source,
            crashes=crashes,
            mutant=self.mutant,
            fleetware=self.fleetware,
            expected=None if crashes else self.expected,
        )

    def replay(self, case: Case) -> str:
        """Return the command that shows a case again, ready for a shell."""
        what = str(case.seed) if self.story is None else self.story
        words = ["drone-sim", "replay", what, "--speed", case.speed.value, *self.words]
        if case.crashes:
            words += ["--crash", crash_words(case.crashes)]
        if case.mutant is not None:
            words += ["--mutant", case.mutant]
        return shlex.join(words)


def by_seed(mutant: str | None) -> Asked:
    """Ask for what seeds draw. Raises OperatingError for a mutant that does not exist."""
    return Asked(mutant=_known(mutant))


def by_story(text: str, mutant: str | None = None, *, seeded: bool = False) -> Asked:
    """
    Ask for a story: a file, or the name of one that comes with the program.

    Raises OperatingError where there is none, or it can't be read.
    """
    from drone_sim.scenario import story

    told = story.load(story_path(text))
    as_written = not seeded and mutant is None
    return Asked(
        story=None if seeded else text,
        expected=told.expected if as_written else None,
        words=("--scenario", text) if seeded else (),
        source=Told(scenario=told.scenario),
        mutant=_known(mutant),
    )


def by_fleet(config: Path, fleet: Path, mutant: str | None = None) -> Asked:
    """
    Ask for what seeds draw on this very fleet, with this configuration; whole shells only.

    Raises OperatingError where a file is missing, or can't be staged.
    """
    from orchestrator.staging.load import load_config, load_fleet, read

    for path in (config, fleet):
        require_file(path)
    return of_files(load_config(read(config)), load_fleet(read(fleet)), mutant)


def of_files(config: ConfigSource, fleet: LoadedFleet, mutant: str | None = None) -> Asked:
    """Ask for the same with files that were read already."""
    from drone_sim.explore.fleets import on_fleet
    from drone_sim.shells.fleetware import fleetware

    return Asked(
        words=("--config", config.name, "--fleet", fleet.name),
        source=on_fleet(fleet.file),
        mutant=_known(mutant),
        fleetware=fleetware(fleet, config),
    )


def story_path(text: str) -> Path:
    """Return the file of a story, by its path or by its name among those of the program."""
    from orchestrator.staging.samples import samples_directory

    given = Path(text)
    if given.is_file():
        return given
    home = samples_directory() / "scenarios"
    known = {path.stem: path for path in sorted(home.glob(f"*{STORY_SUFFIX}"))}
    if text in known:
        return known[text]
    raise OperatingError(
        f"there is no scenario {text!r}: no such file, and the names are {', '.join(known)}",
        exit_code=Exit.USAGE,
    )


def require_file(path: Path) -> None:
    """Refuse a file that is not there, which is wrong use and not a bad configuration."""
    if not path.is_file():
        raise OperatingError(f"{path}: there is no such file", exit_code=Exit.USAGE)


def _known(mutant: str | None) -> str | None:
    if mutant is not None and mutant not in mutants():
        raise OperatingError(
            f"there is no mutant {mutant!r}; known are {', '.join(mutants())}",
            exit_code=Exit.USAGE,
        )
    return mutant
