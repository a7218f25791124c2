"""Runs as documents: what is kept of a failure replays exactly that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from drone_sim.result import Crash, Speed
from drone_sim.scenario.documents import BYTES_MAX, Recorded, decode, document, encode
from drone_sim.scenario.story import Story, parse
from orchestrator.staging.notes import InvalidInput
from tests.scenario.stories import SMALL, file, stories

SCENARIO = parse(file(SMALL)).scenario
CRASHES = (Crash(at=3), Crash(at=7, await_=True))


@given(stories())
def test_what_is_kept_is_read(story: Story) -> None:
    """A scenario that was kept is read as it was, and kept again in the same bytes."""
    recorded = Recorded(scenario=story.scenario, crashes=CRASHES, speed=Speed.SHELLS)
    kept = encode(recorded)
    assert recorded == decode(kept)
    assert kept == encode(decode(kept))


def test_a_document_is_plain() -> None:
    """The document is what JSON has, with a version and a type."""
    found = document(Recorded(scenario=SCENARIO))
    assert (1, "scenario", None, []) == (
        found["schema"],
        found["type"],
        found["speed"],
        found["crashes"],
    )
    assert found == json.loads(json.dumps(found))


def set_in(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Return what sets the value at a dotted path."""

    def change(values: Any) -> None:
        *above, last = path.split(".")
        for part in above:
            values = values[int(part) if part.isdigit() else part]
        values[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema", 2, "error: schema: Input should be 1"),
        ("type", "trace", "error: type: Input should be 'scenario'"),
        ("extra", 1, "error: extra: Unexpected keyword argument"),
        ("scenario.links", 1, "error: scenario.links: Unexpected keyword argument"),
        ("scenario.acts.0.whom", "x", "error: scenario.acts[0].whom: Unexpected keyword"),
        ("scenario.devices.0.link.delay", 1, "scenario.devices[0].link.delay: Unexpected"),
        ("scenario.seed", "7", "error: scenario.seed: Input should be a valid integer"),
        ("scenario.acts.0.verb", "explode", "error: scenario.acts[0].verb: Input should be"),
        ("scenario.acts.0.at_s", -1, "error: scenario: acts[0] (push): at_s must be within"),
        ("scenario.acts.0.who", "the end", "acts[0] (push): 'the end' is not a name"),
        ("scenario.acts.0.at_s", 3000, "error: scenario: acts: must be in the order of their"),
        ("scenario.devices.0.link.loss", 2, "d-01: link: loss must be within 0 and 1"),
        ("scenario.devices.0.kind", "boat", "d-01: kind must be drone, arm or node"),
        ("scenario.devices", [], "error: scenario: devices: must be 1 to 200"),
        ("scenario.pace.window_s", 0, "pace: window_s must be within 0.05 and 3600"),
        ("scenario.name", "a/b", "error: scenario: name: must be letters"),
        ("crashes", [{"at": 1, "await_": 0}], "error: crashes[0].await_: Input should be"),
    ],
)
def test_a_document_that_says_something_else_is_refused(
    path: str, value: object, said: str
) -> None:
    """An unknown key, another type, a value out of range: nothing is guessed."""
    values = document(Recorded(scenario=SCENARIO))
    set_in(path, value)(values)
    with pytest.raises(InvalidInput) as caught:
        decode(json.dumps(values), name="t.json")
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": NaN}', "\0"])
def test_what_is_no_document_is_refused(text: str) -> None:
    """What is no JSON, or no document, is refused like everything else."""
    with pytest.raises(InvalidInput, match=r"t\.json: error"):
        decode(text, name="t.json")


def test_a_document_has_an_end() -> None:
    """More bytes than any run needs are not even read."""
    with pytest.raises(InvalidInput, match="has more than 8388608 bytes"):
        decode(" " * (BYTES_MAX + 1))
