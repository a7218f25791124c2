"""One run: what it depends on, playing it, and what of it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from drone_sim.explore import machine
from drone_sim.explore.machine import Endless, computing_at_most, cpu_s
from drone_sim.result import Crash, Figures, Result, Speed
from drone_sim.scenario.model import Scenario
from drone_sim.trace import Kind, Trace
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.invariants import Violation

if TYPE_CHECKING:  # imported where it is played: a worker for pure cores needs no shells
    from drone_sim.mutants import Mutant
    from drone_sim.scenario.story import Expected
    from drone_sim.shells.fleetware import Fleetware

BROKEN: Final = "X"
"""The id of a violation that is no invariant: a program, or the simulator, raised an error."""

NO_END: Final = "no end"
"""How the text of a violation begins that is a run without an end."""

ENDLESS_S: Final = {Speed.CORES: 60.0, Speed.SHELLS: 900.0}
"""A run that computes for so long is not slow, it hangs."""

Source = Callable[[int], Scenario]
"""Makes the scenario of a seed. It pickles: a function of a module, or a frozen dataclass."""


def drawn(seed: int) -> Scenario:
    """Draw everything from the seed; see :mod:`drone_sim.scenario.swarm`."""
    from drone_sim.scenario import swarm  # noqa: PLC0415 - those who play one story draw nothing

    return swarm.draw(seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The source of one story: the seed feeds its chances only."""

    scenario: Scenario

    def __call__(self, seed: int) -> Scenario:
        """Return the story with this seed."""
        return replace(self.scenario, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    All that one run depends on, beside the code.

    ``mutant`` names a bug of :mod:`drone_sim.mutants` that is switched on meanwhile. ``fleetware``
    is whose bytes the devices are given; whole shells only. ``expected`` is how a story must end;
    where it ends otherwise that is a violation too. ``traced`` keeps the trace, ``hashed`` its
    digest.
    """

    seed: int
    speed: Speed
    source: Source = drawn
    crashes: tuple[Crash, ...] = ()
    mutant: str | None = None
    fleetware: Fleetware | None = None
    expected: Expected | None = None
    traced: bool = False
    hashed: bool = False

    def scenario(self) -> Scenario:
        """Return what is played."""
        return self.source(self.seed)

    @property
    def label(self) -> str:
        """Name it for people: ``seed 17, cores, crash 5,a9``."""
        crashed = f", crash {crash_words(self.crashes)}" if self.crashes else ""
        return f"seed {self.seed}, {self.speed}{crashed}"


def crash_words(crashes: Sequence[Crash]) -> str:
    """Show crashes as ``--crash`` takes them: ``5,a9`` is seam 5 and callback 9."""
    return ",".join(f"{'a' * crash.await_}{crash.at}" for crash in crashes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """
    What is kept of one run, small where every invariant held. ``took_s`` is computing time.

    ``result`` is there where one did not hold, or the trace was asked for.
    """

    case: Case
    name: str
    took_s: float
    violations: tuple[Violation, ...] = ()
    violated_at_s: float | None = None
    goals: Counter[str] = field(default_factory=Counter)
    figures: Figures = field(default_factory=Figures)
    digest: str | None = None
    result: Result | None = None

    @property
    def held(self) -> bool:
        """Whether every invariant held."""
        return not self.violations

    def as_result(self) -> Result:
        """Return the whole result, or one with a scenario of which only its name is left."""
        if self.result is not None:
            return self.result
        bare = Scenario(name=self.name, seed=self.case.seed, devices=())
        return Result(scenario=bare, speed=self.case.speed, goals=self.goals, figures=self.figures)


class Play(Protocol):
    """Plays one case; see :func:`play`."""

    def __call__(self, case: Case, /) -> Result:
        """Return what it came to."""
        ...


def play(case: Case) -> Result:
    """
    Play one case in this process.

    Raises OperatingError for a mutant that does not exist. Any error of the simulator itself is a
    result with the violation :data:`BROKEN`, so that its seed can be replayed.
    """
    with applied(case.mutant):
        if case.expected is None:
            return _guarded(case)
        return _judged(case, case.expected, _guarded(replace(case, traced=True)))


def ran(case: Case, playing: Play = play) -> Ran:
    """Play one case and keep of it what is worth keeping."""
    began = cpu_s()
    result = playing(replace(case, traced=True) if case.hashed else case)
    took_s = cpu_s() - began
    trace = result.trace
    kept = result if case.traced else replace(result, trace=None)
    return Ran(
        case=case,
        name=result.scenario.name,
        took_s=took_s,
        violations=result.violations,
        violated_at_s=result.violated_at_s,
        goals=result.goals,
        figures=result.figures,
        digest=trace.digest() if case.hashed and trace is not None else None,
        result=None if result.held and not case.traced else kept,
    )


def _guarded(case: Case) -> Result:
    """Let no defect of the simulator go by without its seed."""
    trace = Trace() if case.traced else None
    try:
        scenario = case.scenario()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return _broken(Scenario(name="none", seed=case.seed, devices=()), case, trace, error)
    try:
        with computing_at_most(ENDLESS_S[case.speed]):
            return _engine(case)(scenario, trace=trace, crashes=case.crashes)
    except (Exception, Endless) as error:  # noqa: BLE001 - the same
        return _broken(scenario, case, trace, error)


def _judged(case: Case, expected: Expected, result: Result) -> Result:
    """Judge how a story ended, which the trace tells."""
    from drone_sim.explore import ends  # noqa: PLC0415 - for stories only

    if result.held and result.trace is not None:
        end = ends.end_of(result.trace.events, fresh=result.scenario.fresh)
        result = replace(result, violations=tuple(ends.unmet(expected, end)))
    return result if case.traced else replace(result, trace=None)


def _engine(case: Case) -> Callable[..., Result]:
    """Return the engine of a speed: each is loaded by those who play at it."""
    if case.speed is Speed.CORES:
        from drone_sim.cores.engine import play as play_cores  # noqa: PLC0415

        return play_cores
    from drone_sim.shells.engine import play as play_shells  # noqa: PLC0415

    return partial(play_shells, fleetware=case.fleetware)


def _broken(scenario: Scenario, case: Case, trace: Trace | None, error: BaseException) -> Result:
    """Tell a defect of the simulator as a violation; the trace says how it came to it."""
    frames = _frames(error)
    if trace is not None:
        for frame in frames:
            trace.note(0.0, Kind.NOTICE, "simulator", frame)
    what = f"{type(error).__name__} in the simulator itself: {error}"
    if isinstance(error, Endless):
        what = f"{NO_END} after {ENDLESS_S[case.speed]:g} s of computing"
    return Result(
        scenario=scenario,
        speed=case.speed,
        violations=(Violation(id=BROKEN, text=f"{what} ({frames[-1]})"),),
        trace=trace,
    )


def _frames(error: BaseException) -> list[str]:
    """Return where it was raised, the outermost first, without anybody's directories."""
    found: list[str] = []
    here = error.__traceback__
    while here is not None:
        name = here.tb_frame.f_globals.get("__name__", "?")
        if name != machine.__name__:
            found.append(f"{name}, line {here.tb_lineno}, in {here.tb_frame.f_code.co_name}")
        here = here.tb_next
    return found or ["nowhere"]


# --- mutants ----------------------------------------------------------------------------------


def mutants() -> Mapping[str, Mutant]:
    """Return all that there are, by name."""
    from drone_sim.mutants import MUTANTS  # noqa: PLC0415 - for those who want one

    return MUTANTS


def applied(name: str | None) -> AbstractContextManager[Any]:
    """Switch a mutant on, or none. Raises OperatingError (wrong use) for an unknown name."""
    if name is None:
        return nullcontext()
    known = mutants()
    if name not in known:
        raise OperatingError(
            f"there is no mutant {name!r}; known are {', '.join(known)}", exit_code=Exit.USAGE
        )
    return known[name].applied()
