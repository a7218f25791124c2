"""Runs Debian's `spin` on the model: generates the verifier, compiles it, reads what it says."""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MODEL: Final = Path(__file__).parent / "fleet.pml"
DEPTH_MAX: Final = 100_000
MEMORY_MB_MAX: Final = 3_000
SECONDS_MAX: Final = 900
COMPILE: Final = ("-w", "-DVECTORSZ=1024", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB_MAX}")
SAFETY: Final = ("-DSAFETY", "-DNOCLAIM")
LIVENESS: Final = ("-DNFAIR=4", "-DNOREDUCE")

_FIGURES: Final = {
    "states": r"^\s*(\d+) states, stored",
    "transitions": r"^\s*([\d.e+]+) transitions",
    "depth": r"depth reached (\d+)",
    "errors": r"errors: (\d+)",
    "memory_mb": r"^\s*(\d+)\.\d+\s+total actual memory usage",
}
_CHECK: Final = re.compile(r"assertion violated \(+(\d+)[!=]=\d+\)")
_UNREACHED: Final = re.compile(r"^\t(\S+\.pml:\d+), state \d+, \"(.*)\"$", re.MULTILINE)
_STEP: Final = re.compile(r"\s*(\d+):\s+proc +(\d+) \((\w+)[:\d]*\) \S*?(\w+\.pml):(\d+) ")


class SpinError(Exception):
    """The model does not compile, or its verifier did not end as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """
    One verification: the switches of the model (those of fleet.pml), and what is looked for.

    ``claim`` is the LTL formula that is verified; without it the assertions are, and that no
    process is stuck in the middle of a step. ``about`` says in words what is on.

    A run of the model ends where nothing can happen any more, and spin then takes that end to last
    for ever; but not under weak fairness, which speaks of endless runs alone: so whoever asks for
    it lets time pass (TICKS).
    """

    name: str
    about: str
    switches: Mapping[str, int] = field(default_factory=dict)
    claim: str | None = None

    @property
    def fair(self) -> bool:
        """Whether nobody who can always go on waits for ever: weak fairness."""
        return bool(self.switches.get("TICKS"))

    def defines(self, mutant: str | None, only: int | None) -> tuple[str, ...]:
        """Return the switches as the preprocessor takes them."""
        found = [f"-D{name}={value}" for name, value in self.switches.items()]
        found += [] if mutant is None else [f"-D{mutant}"]
        return (*found, *([] if only is None else [f"-DONLY={only}"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """
    What a verifier has said; ``seconds`` are of the processor.

    ``violated`` is the id of what does not hold (``I7``), or pan's own words. ``unreached`` are
    the statements that no execution comes to, beside the ends of processes that never end.
    """

    states: int
    transitions: int
    depth: int
    errors: int
    memory_mb: int
    seconds: float
    complete: bool
    violated: str | None
    unreached: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every execution was looked at and nothing was violated."""
        return self.complete and not self.errors


def verify(
    scope: Scope,
    directory: Path,
    *,
    mutant: str | None = None,
    only: int | None = None,
    level: str = "-O2",
) -> Verified:
    """
    Verify ``scope``; ``mutant`` and ``only`` are switches of the model.

    ``only`` is the number of the invariant that is asserted alone (0: none). ``directory`` is for
    scratch. ``level`` is the compiler's: less for what takes longer to compile than to run.
    Raises SpinError where spin, the compiler or the verifier fails.
    """
    build(scope, directory, mutant=mutant, only=only, level=level)
    return run(scope, directory)


def build(
    scope: Scope,
    directory: Path,
    *,
    mutant: str | None = None,
    only: int | None = None,
    level: str = "-O2",
) -> None:
    """Make the verifier in ``directory``: one for all claims about the same switches."""
    _run(directory, "spin", "-a", *scope.defines(mutant, only), str(MODEL))
    kind = SAFETY if scope.claim is None else LIVENESS
    _run(directory, "gcc", level, *COMPILE, *kind, "-o", "pan", "pan.c")


def run(scope: Scope, directory: Path) -> Verified:
    """Let the verifier in ``directory`` look for what the scope asks."""
    claim = () if scope.claim is None else ("-a", "-N", scope.claim)
    fair = ("-f",) if scope.fair else ()
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    said = _run(directory, "./pan", f"-m{DEPTH_MAX}", *claim, *fair)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began
    return _read(scope, said, seconds)


def _read(scope: Scope, said: str, seconds: float) -> Verified:
    figures = {name: _figure(pattern, said) for name, pattern in _FIGURES.items()}
    reached_end = "Search not completed" not in said and "max search depth too small" not in said
    unreached, _, _ = said.partition("unreached in claim")
    return Verified(
        **figures,
        seconds=seconds,
        complete=reached_end and "out of memory" not in said,
        violated=_violated(scope, said),
        unreached=tuple(
            f"{Path(place).name} {what}"
            for place, what in _UNREACHED.findall(unreached)
            if what != "-end-"
        ),
    )


def _figure(pattern: str, said: str) -> int:
    found = re.search(pattern, said, re.MULTILINE)
    if found is None:
        raise SpinError(f"the verifier did not say {pattern}:\n{said}")
    return int(float(found[1]))  # many are told as 1.23e+08


def _violated(scope: Scope, said: str) -> str | None:
    found = re.search(r"^pan:1: (.*)$", said, re.MULTILINE)
    if found is None:
        return None
    check = _CHECK.search(found[1])
    if check is not None:
        return f"I{check[1]}"
    return scope.claim if "acceptance cycle" in found[1] else found[1]


def story(scope: Scope, directory: Path, *, mutant: str | None = None) -> str:
    """Tell the execution to the violation that :func:`verify` has found in ``directory``."""
    trail, defines = f"{MODEL.name}.trail", scope.defines(mutant, None)
    said = _run(directory, "spin", "-t", "-p", *defines, "-k", trail, str(MODEL), ends_well=False)
    lines, last = [], ""
    for line in said.splitlines():
        step = _STEP.match(line)
        if "START OF CYCLE" in line:
            lines.append("--- for ever:")
        elif step is not None and step[1] != last:
            last = step[1]
            source = (MODEL.parent / step[4]).read_text().splitlines()[int(step[5]) - 1].strip()
            lines.append(f"{last:>4} {step[3]} {step[2]}: {source}")
    return "\n".join(lines)


def _run(directory: Path, *command: str, ends_well: bool = True) -> str:
    """Run a program in ``directory`` and return what it prints; it must not find an error."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )
    said = done.stdout + done.stderr
    if not ends_well:
        return said
    if done.returncode or re.search(r"^spin: .*[Ee]rror", said, re.MULTILINE):
        raise SpinError(f"{' '.join(command)}\n{said}")
    return said
