"""Scenario files: what is written is read, and what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from drone_sim.scenario.model import Act, Link, Pace, Verb
from drone_sim.scenario.story import Expected, Story, load, parse, write
from orchestrator.staging.notes import InvalidInput
from tests.scenario.stories import SHIPPED, SMALL, file, stories


def sayings(text: str) -> list[str]:
    """What is said of a file that is wrong."""
    with pytest.raises(InvalidInput) as caught:
        parse(file(text))
    return [str(note) for note in caught.value.notes]


@settings(max_examples=300)
@given(stories())
def test_what_is_written_is_read(story: Story) -> None:
    """A story that was written to a file is read from it as it was, to the last digit."""
    assert story == parse(file(write(story)))


def test_a_small_file() -> None:
    """A file with nothing but a story has everything else as usual."""
    story = parse(file(SMALL))
    assert (
        Act(at_s=0.0, verb=Verb.PUSH, who="mira"),
        Act(at_s=0.06, verb=Verb.KILL, who="mira"),
        Act(at_s=3.0, verb=Verb.FORCE_UNLOCK, who="ops"),
    ) == story.scenario.acts
    assert ("d-01", "d-02", "d-03") == story.scenario.names
    assert Pace() == story.scenario.pace
    assert Expected(version=1, lock_free=True, pushes={"mira": "abort"}) == story.expected


def test_links_of_all_and_of_one() -> None:
    """[links] is for every device, [device.x.link] for one, key by key."""
    text = SMALL + "[links]\ndelay_s = 0.1\nloss = 0.5\n[device.d-02.link]\nloss = 0\n"
    links = [device.link for device in parse(file(text)).scenario.devices]
    assert [Link(delay_s=0.1, loss=0.5), Link(delay_s=0.1), links[0]] == links


def test_kinds_in_turn() -> None:
    """Kinds are given to the devices in turn; a device's own table goes first."""
    text = SMALL.replace("devices = 3", 'devices = 3\nkinds = ["drone", "arm"]')
    kinds = [d.kind for d in parse(file(text + '[device.d-03]\nkind = "node"\n')).scenario.devices]
    assert ["drone", "arm", "node"] == kinds


def test_a_fleet_file(tmp_path: Path) -> None:
    """The devices and the timing of a fleet file are taken; the file's own [pace] goes first."""
    (tmp_path / "f.toml").write_text(
        'fleet = "f"\nconfig = "a.conf"\nserve = "http://127.0.0.1:1"\n'
        "[timing]\nwindow_s = 2\nsettle_s = 3\nclock_error_ms = 20\nenable_lease = 5\n"
        '[[device]]\nid = "x-1"\nkind = "arm"\n'
    )
    text = SMALL.replace("devices = 3", 'fleet = "f.toml"') + "[pace]\nsettle_s = 1.5\n"
    (tmp_path / "s.toml").write_text(text)
    scenario = load(tmp_path / "s.toml").scenario
    assert [("x-1", "arm")] == [(device.id, device.kind) for device in scenario.devices]
    assert Pace(window_s=2, settle_s=1.5, clock_error_s=0.02, lease_s=5) == scenario.pace


def test_without_files_no_fleet_file() -> None:
    """A text without a place can name no fleet file."""
    text = SMALL.replace("devices = 3", 'fleet = "f.toml"')
    assert ["s.toml:3: error: fleet: no fleet file can be read here"] == sayings(text)


WRONG = [
    (
        "kill mira",
        "kil mira",
        ["s.toml:7: error: story: 'kil mira' is nothing that can happen"],
    ),
    (
        "kill mira",
        "kill ops",
        ["s.toml:7: error: story: ops was not started before 0.06 s"],
    ),
    (
        "kill mira",
        "cut d-07 and ops from the broker",
        ["s.toml:7: error: story: there is no device or process 'd-07'"],
    ),
    (
        "kill mira",
        "mira freezes",
        ["s.toml:7: error: story: there is no device 'mira'"],
    ),
    (
        "kill mira",
        "cut d-01 from the broker for 4000 s",
        ["s.toml:7: error: story: at 60 ms cut d-01 from the broker for 4000 s: for_s must be"],
    ),
    (
        "mira pushes",
        "everybody pushes",
        [
            "s.toml:5: error: story: at 0 s everybody pushes: 'everybody' is not a name",
            "s.toml:7: error: story: mira was not started before 0.06 s",
            "s.toml:13: error: expect.pushes.mira: mira pushes nothing",
        ],
    ),
    (
        "devices = 3",
        'devices = 3\nids = ["a"]',
        ["s.toml:4: error: ids: needs one of fleet, devices and ids, has devices and ids"],
    ),
    (
        "devices = 3\n",
        "",
        ["s.toml:1: error: needs one of fleet, devices and ids, has none of them"],
    ),
    ("devices = 3", "devices = 0", ["s.toml:3: error: devices: 0 is below 1"]),
    (
        "devices = 3",
        'ids = ["a", "a", "and"]',
        [
            "s.toml:1: error: device and: the id is not a name",
            "s.toml:1: error: devices: two have the same id",
        ],
    ),
    ("version = 1", "version = -1", ["s.toml:11: error: expect.version: -1 is below 0"]),
    ('"abort"', '"maybe"', ["s.toml:13: error: expect.pushes.mira: 'maybe' is not 'commit',"]),
    (
        "mira = ",
        "ops = ",
        ["s.toml:13: error: expect.pushes.ops: ops pushes nothing"],
    ),
    ('name = "small"', "", ["s.toml:1: error: name: is missing"]),
    (
        "devices = 3",
        "devices = 3\nsaftey_s = 3",
        ["s.toml:4: error: saftey_s: unknown key"],
    ),
    (
        "[expect]",
        "[device.d-09]\n[pace]\nwindow_s = 0\n[expect]",
        ["s.toml:12: error: pace.window_s: 0 is below 0.05"],
    ),
    (
        "[expect]",
        "[device.d-09]\n[expect]",
        ["s.toml:10: error: device.d-09: the fleet has no device of this name"],
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "said"), WRONG, ids=[repr(new or old) for old, new, _ in WRONG]
)
def test_what_is_wrong_is_told(old: str, new: str, said: list[str]) -> None:
    """Everything that is wrong with a file is told at once, with its line and what to do."""
    found = sayings(SMALL.replace(old, new, 1))
    assert len(said) == len(found)
    assert [True] * len(said) == [
        told.startswith(start) for told, start in zip(found, said, strict=True)
    ], found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_story_is_whole(path: Path) -> None:
    """Every story that ships is named as its file, says what it is, and what must come of it."""
    story = load(path)
    pushing = {act.who for act in story.scenario.acts if act.verb is Verb.PUSH}
    assert path.stem == story.scenario.name
    assert len(story.about) > 100
    assert story.expected.version is not None
    assert story.expected.lock_free is True
    assert pushing == set(story.expected.pushes)
    assert path.read_text().startswith("# ")


def test_the_stories_that_were_promised() -> None:
    """The incident at both moments, a partition, a battery, a broker, failures of others."""
    names = [path.stem for path in SHIPPED]
    assert [
        "force-while-blocked",
        "heartbeat-of-another",
        "incident-decided",
        "incident-undecided",
        "late-prepare",
        "low-battery-while-holding",
        "partition",
        "replayed-prepare",
        "second-push-while-pending",
        "slow-broker",
    ] == names
