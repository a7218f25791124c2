"""
From a seed to a scenario: swarm testing.

The seed draws everything: which classes of faults are on and how fierce they are, the fleet and
the world it lives in, who pushes what when, who meddles, and what goes wrong at which instant. One
stream of chance for each aspect: a draw more in one shifts nothing in the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from drone_sim.scenario import nemesis, plot, surroundings
from drone_sim.scenario.dice import DIGITS, Dice
from drone_sim.scenario.drama import dramas
from drone_sim.scenario.episodes import episodes
from drone_sim.scenario.model import Act, Scenario, SimulatedDevice, Verb
from drone_sim.scenario.plot import Cast, Plot
from drone_sim.scenario.verbs import VERBS, Who

ACTS_MAX: Final = 40
"""A story with more in it tells nothing more, and takes longer."""

CALM_SHARE: Final = 0.06
"""Seeds without any fault and without anybody who meddles: a push must COMMIT (I4)."""

QUIET_SHARE: Final = 0.08
QUIET_S: Final = (30.0, 600.0)
"""In so many seeds the story begins after a long silence, and how long that may be."""

SELDOM: Final = 0.02
"""How often each class is on that is beyond the design."""


def draw(seed: int, *, devices: tuple[SimulatedDevice, ...] | None = None) -> Scenario:
    """
    Draw the scenario of ``seed``: the same on every Python, whatever PYTHONHASHSEED.

    With ``devices`` it happens to that fleet: only their ids and kinds are kept, since the links,
    clocks and batteries are the seed's.
    """
    calm = _is_calm(seed)
    fleet = surroundings.fleet(seed, devices, calm=calm)
    control, store = surroundings.control(seed), surroundings.store(seed, calm=calm)
    likely_s = surroundings.likely_s(fleet, control)
    slowest_s = surroundings.slowest_s(fleet, control)
    pace = surroundings.pace(seed, slowest_s, store.append_s)
    names = tuple(device.id for device in fleet)
    cast = Cast()
    pushes = plot.pushes(seed, cast, names)
    story = Plot(
        devices=names,
        pace=pace,
        acts=pushes,
        instants=tuple(plot.guessed(act.at_s, pace, likely_s, store.append_s) for act in pushes),
        fierceness=Dice(seed, "fierceness").one((0.5, 1.0, 1.0, 2.0)),
    )
    acts = _kept(seed, pushes, _acts(seed, story, cast))
    ends_s, quiet_s = plot.ending(seed, _last(story, acts)), _quiet_s(seed)
    return Scenario(
        name=f"seed {seed}",
        seed=seed,
        devices=fleet,
        pace=pace,
        store=store,
        control=control,
        acts=_after(quiet_s, acts),
        safety_s=round(ends_s + quiet_s, DIGITS),
        fresh=Dice(seed, "fresh").chance(0.05),
    )


def _quiet_s(seed: int) -> float:
    """Return how long nobody does anything at first: what devices knew of the time grows old."""
    dice = Dice(seed, "quiet")
    return dice.span(*QUIET_S) if dice.chance(QUIET_SHARE) else 0.0


def _after(quiet_s: float, acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """Let everything come later, but for what runs from the start."""
    if not quiet_s:
        return acts
    return tuple(
        act if act.at_s == 0 and act.verb is Verb.SERVE else _later(act, quiet_s) for act in acts
    )


def _later(act: Act, by_s: float) -> Act:
    return replace(act, at_s=round(act.at_s + by_s, DIGITS))


def _is_calm(seed: int) -> bool:
    return Dice(seed, "calm").chance(CALM_SHARE)


def _acts(seed: int, story: Plot, cast: Cast) -> list[Act]:
    """Draw what is beside the pushes: servers, people, and the classes of faults that are on."""
    dice, calm = Dice(seed, "classes"), _is_calm(seed)
    share = dice.one((0.05, 0.1, 0.2, 0.4))
    deeds = list(plot.servers(seed, cast, story))
    if not calm:
        deeds += dramas(seed, story, cast)
    for name, (deed, often) in plot.DEEDS.items():
        if dice.chance(often) and not calm:
            deeds += deed(Dice(seed, "deeds", name), story, cast)
    known = Plot(
        devices=story.devices,
        pace=story.pace,
        acts=_in_order([*story.acts, *deeds]),
        instants=story.instants,
        fierceness=story.fierceness,
    )
    for one in nemesis.FAULTS:
        if dice.chance(SELDOM if one.seldom else share) and not calm:
            deeds += one.draw(Dice(seed, "faults", one.name), known)
    if not calm:
        deeds += episodes(seed, story, cast)
    return deeds


def _kept(seed: int, pushes: tuple[Act, ...], others: list[Act]) -> tuple[Act, ...]:
    """
    Keep so many that there are not too many: what runs from the start, and some of the rest.

    Whoever is not started any more is not killed, paused or cut off either.
    """
    first = [*pushes, *(act for act in others if act.at_s == 0 and act.verb is Verb.SERVE)]
    rest = [act for act in others if act not in first]
    room = ACTS_MAX - len(first)
    kept = [*first, *Dice(seed, "kept").some(rest, room, room)]
    gone = _started(others) - _started(kept)
    told = (replace(act, target=tuple(n for n in act.target if n not in gone)) for act in kept)
    return _in_order(
        [
            act
            for before, act in zip(kept, told, strict=True)
            if act.who not in gone and bool(act.target) == bool(before.target)
        ]
    )


def _started(acts: list[Act]) -> set[str]:
    return {act.who for act in acts if VERBS[act.verb].who is Who.NEW}


def _in_order(acts: list[Act]) -> tuple[Act, ...]:
    return tuple(sorted(acts, key=lambda act: act.at_s))


def _last(story: Plot, acts: tuple[Act, ...]) -> float:
    return max(acts[-1].at_s, *(instants.settled for instants in story.instants))


# --- what was drawn ---------------------------------------------------------------------------


def describe(scenario: Scenario) -> list[str]:
    """Say in a few lines what a scenario is made of: printed before it is played."""
    faults = Counter(act.verb.value for act in scenario.acts if VERBS[act.verb].fault)
    deeds = Counter(act.verb.value for act in scenario.acts if not VERBS[act.verb].fault)
    return [
        f"{scenario.name}: {_count(len(scenario.devices), 'device')}{_kinds(scenario)},"
        f" {scenario.safety_s:g} s with faults, then at most {scenario.liveness_s:g} s without"
        + (", on a fleet that was never configured" if scenario.fresh else ""),
        f"links    {_links(scenario)}",
        f"pace     {_pace(scenario)}",
        f"story    {_counted(deeds) or 'nobody does anything'}",
        f"faults   {_counted(faults) or 'none'}",
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))


def _kinds(scenario: Scenario) -> str:
    kinds = Counter(device.kind for device in scenario.devices)
    return f" ({_counted(kinds)})"


def _range(values: list[float], scale: float, unit: str) -> str:
    least, most = min(values) * scale, max(values) * scale
    return f"{least:.4g} {unit}" if least == most else f"{least:.4g} to {most:.4g} {unit}"


def _links(scenario: Scenario) -> str:
    links = [device.link for device in scenario.devices]
    found = [f"delay {_range([link.delay_s for link in links], 1000, 'ms')}"]
    for what, rates in (
        ("loss", [link.loss for link in links]),
        ("repeated", [link.duplicate for link in links]),
        ("late", [link.spike for link in links]),
    ):
        if any(rates):
            found.append(f"{what} {_range(rates, 100, '%')}")
    found.append(f"clocks off {_range([d.offset_s for d in scenario.devices], 1, 's')}")
    return ", ".join(found)


def _pace(scenario: Scenario) -> str:
    return ", ".join(_pace_parts(scenario))


def _pace_parts(scenario: Scenario) -> Iterator[str]:
    pace, store = scenario.pace, scenario.store
    yield "window measured" if pace.window_s is None else f"window {pace.window_s:g} s"
    yield f"ε {pace.clock_error_s * 1000:g} ms"
    yield f"settle {pace.settle_s:g} s"
    yield f"join {pace.join_s:g} s"
    if pace.lease_s is not None:
        yield f"enable leases of {pace.lease_s:g} s"
    yield f"an append takes {store.append_s * 1000:g} ms"
    if store.loses_answer:
        yield f"{store.loses_answer:.2%} of the answers are lost"
