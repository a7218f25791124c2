"""Scenarios for tests: drawn by hypothesis, as files, and the ones that the project ships."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from drone_sim.scenario.model import (
    Act,
    Link,
    Pace,
    Scenario,
    SimulatedDevice,
    StoreQuality,
    Verb,
)
from drone_sim.scenario.phrases import RESERVED
from drone_sim.scenario.story import Expected, Story
from drone_sim.scenario.verbs import TIME_MAX_S, VERBS, Meaning, Target, Who, word_of
from orchestrator.staging.documents import Source

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "scenarios").glob("*.toml"))

SMALL = """\
name = "small"
about = "A push dies, an operator forces."
devices = 3
story = '''
at 0 s mira pushes
# and then
at 60 ms kill mira
at 3 s ops force-unlocks
'''
[expect]
version = 1
lock_free = true
pushes = { mira = "abort" }
"""


def file(text: str) -> Source:
    """A scenario file with this text."""
    return Source(name="s.toml", text=text)


def spelled(act: Act) -> Act:
    """The act with its word spelled out, as it is read."""
    return replace(act, word=word_of(act))


# --- strategies -------------------------------------------------------------------------------

names = st.from_regex(r"[a-z][a-z0-9_-]{0,9}(@[a-z][a-z0-9.-]{0,9})?", fullmatch=True).filter(
    lambda name: name not in RESERVED
)
devices = st.from_regex(r"[a-z][a-z0-9._-]{0,9}", fullmatch=True).filter(
    lambda name: name not in RESERVED
)
times = st.floats(0, TIME_MAX_S)
rates = st.floats(0, 1)
reasons = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" \"'\\#"),
    max_size=40,
).map(lambda text: re.sub(r"\s+", " ", text).strip())


def amounts(meaning: Meaning) -> st.SearchStrategy[float]:
    """Every amount that a verb may have."""
    amount = meaning.amount
    if amount is None:
        return st.just(0.0)
    if amount.whole:
        return st.integers(int(amount.least), int(amount.most)).map(float)
    return st.floats(amount.least, amount.most)


def targets(
    meaning: Meaning, known: st.SearchStrategy[str], processes: st.SearchStrategy[str]
) -> st.SearchStrategy[tuple[str, ...]]:
    """Every target that a verb may have."""
    if meaning.target is Target.NOBODY:
        return st.just(())
    least = 1 if meaning.target is Target.SOME_DEVICES else 0
    one = known | processes if meaning.target is Target.PARTIES else known
    return st.lists(one, min_size=least, max_size=4, unique=True).map(tuple)


@st.composite
def acts(
    draw: st.DrawFn,
    known: st.SearchStrategy[str] = devices,
    processes: st.SearchStrategy[str] = names,
    verb: Verb | None = None,
) -> Act:
    """Every act that fits its verb's meaning."""
    verb = verb or draw(st.sampled_from(Verb))
    meaning = VERBS[verb]
    words = reasons if meaning.free_word else st.sampled_from(list(meaning.words) or [""])
    return Act(
        at_s=draw(times),
        verb=verb,
        who="" if meaning.who is Who.NOBODY else draw(processes),
        target=draw(targets(meaning, known, processes)),
        for_s=draw(st.none() | times) if meaning.lasts else None,
        amount=draw(amounts(meaning)),
        word=draw(words),
    )


links = st.builds(
    Link,
    delay_s=times,
    up_s=times,
    jitter_s=times,
    loss=rates,
    duplicate=rates,
    spike=rates,
    spike_s=times,
)


def fleets(ids: list[str]) -> st.SearchStrategy[tuple[SimulatedDevice, ...]]:
    """Every fleet of these devices."""
    return st.tuples(
        *(
            st.builds(
                SimulatedDevice,
                id=st.just(name),
                kind=st.sampled_from(("drone", "arm", "node")),
                offset_s=st.floats(-1e6, 1e6),
                drift_ppm=st.floats(-1000, 1000),
                battery_percent=st.floats(0, 100),
                link=links,
            )
            for name in ids
        )
    )


paces = st.builds(
    Pace,
    window_s=st.none() | st.floats(0.05, TIME_MAX_S),
    clock_error_s=st.floats(0.001, 10),
    settle_s=st.floats(0.1, TIME_MAX_S),
    join_s=st.floats(0.01, TIME_MAX_S),
    lease_s=st.none() | st.floats(2, TIME_MAX_S),
)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Every story whose processes are started before they are named."""
    ids = draw(st.lists(devices, min_size=1, max_size=4, unique=True))
    people = ["mira", "ops@laptop"]
    pushes = [Act(at_s=0.0, verb=Verb.PUSH, who=name) for name in people]
    others = draw(st.lists(acts(st.sampled_from(ids), st.sampled_from(people)), max_size=6))
    told = sorted((spelled(act) for act in [*pushes, *others]), key=lambda act: act.at_s)
    scenario = Scenario(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}", fullmatch=True)),
        seed=draw(st.integers(-(2**63), 2**63 - 1)),
        devices=draw(fleets(ids)),
        pace=draw(paces),
        store=draw(st.builds(StoreQuality, append_s=st.floats(0, 60), loses_answer=rates)),
        control=draw(links),
        acts=tuple(told),
        safety_s=draw(times),
        liveness_s=draw(st.floats(1, TIME_MAX_S)),
        fresh=draw(st.booleans()),
    )
    decisions = st.sampled_from(("commit", "abort", "none"))
    expected = Expected(
        version=draw(st.none() | st.integers(0, 100)),
        lock_free=draw(st.none() | st.booleans()),
        pushes=draw(st.dictionaries(st.sampled_from(people), decisions)),
    )
    about = draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
    return Story(scenario=scenario, about=about, expected=expected)
