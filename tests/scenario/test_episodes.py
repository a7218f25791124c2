"""Episodes: which there are, whom they are about, and that their times fit together."""

from __future__ import annotations

import pytest

from drone_sim.scenario import episodes
from drone_sim.scenario.dice import Dice
from drone_sim.scenario.episodes import Episode, Stage
from drone_sim.scenario.model import Act, Pace, Verb
from drone_sim.scenario.plot import Cast, Plot, guessed

NAMES = ("d-01", "d-02", "d-03")
SEEDS = range(50)


def told(episode: Episode, seed: int) -> list[Act]:
    """The acts of an episode after a push at 0.5 s."""
    cast, pace = Cast(), Pace()
    first = Act(at_s=0.5, verb=Verb.PUSH, who=cast.new(Dice(seed, "pushes")))
    instants = guessed(0.5, pace, 0.005, 0.001)
    plot = Plot(devices=NAMES, pace=pace, acts=(first,), instants=(instants,))
    return list(episode(Stage(Dice(seed, "episode"), plot, cast)))


def test_every_episode_is_drawn() -> None:
    """Each comes up within two thousand seeds, in the share of them that has one."""
    drawn = [Dice(seed, "episode") for seed in range(2_000)]
    found = [dice.one(episodes._EPISODES) for dice in drawn if dice.chance(episodes.SHARE)]
    assert set(episodes._EPISODES) == set(found)
    assert 0.15 < len(found) / 2_000 < 0.25


@pytest.mark.parametrize("episode", dict.fromkeys(episodes._EPISODES))
def test_an_episode_is_about_one_device(episode: Episode) -> None:
    """Whoever is away, repeated or left out is the same one."""
    for seed in SEEDS:
        named = {act.target for act in told(episode, seed) if act.target}
        assert len(named) <= 1
        assert all(target[0] in NAMES for target in named)


@pytest.mark.parametrize("episode", dict.fromkeys(episodes._EPISODES))
def test_no_episode_begins_before_the_story(episode: Episode) -> None:
    """All times are of the story, and whoever is away comes back."""
    for seed in SEEDS:
        acts = told(episode, seed)
        assert all(act.at_s >= 0 for act in acts)
        away = [act for act in acts if act.verb in {Verb.CUT, Verb.SUSPEND}]
        assert all(act.for_s is not None and act.for_s > 0 for act in away)


def test_old_votes_come_while_the_device_is_silent() -> None:
    """Whoever repeats a vote does so while the device can't vote itself."""
    for seed in SEEDS:
        acts = told(episodes._old_votes, seed)
        (silent,) = [act for act in acts if act.verb is Verb.SUSPEND]
        repeated = [act.at_s for act in acts if act.verb is Verb.REPLAY]
        assert all(silent.at_s < at_s < silent.at_s + (silent.for_s or 0) for at_s in repeated)
