"""``drone-sim`` in this process, with an engine that plays what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from drone_sim.cli import main
from drone_sim.cli.documents import document_schemas
from drone_sim.result import Figures, Hold, Result, Speed
from drone_sim.scenario.model import Scenario, Verb
from drone_sim.trace import Kind, Trace
from tests.explore.fakes import MIXED, figures

SHELLS = ("--speed", "shells", "--jobs", "1")
STORY = """\
name = "two"
about = "Two drones, a push and a crash."
devices = 2
seed = 7
story = '''
at 0 s mira pushes
at 1 s d-01 loses power
'''
"""

Fails = Callable[[Scenario], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def reproduce(self) -> list[str]:
        """The commands of all ``reproduce:`` lines."""
        lines = [*self.out.splitlines(), *self.err.splitlines()]
        return [line.removeprefix("reproduce: ") for line in lines if "reproduce:" in line]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Run a command to its end."""
    code = main(words)
    out, err = capsys.readouterr()
    return Done(code=code, out=out, err=err)


def never(_scenario: Scenario) -> bool:
    """Everything holds."""
    return False


@contextmanager
def engine(
    fails: Fails = never,
    speed: Speed = Speed.SHELLS,
    version: int = 1,
    holds: Sequence[str] = (),
) -> Iterator[list[tuple[Scenario, dict[str, Any]]]]:
    """
    Let an engine violate something where ``fails`` says so; yields what it was asked to play.

    It notes a line in its trace for each device: that it operates ``version``. One device has
    held for each cause of ``holds``, beside the usual hold.
    """
    asked: list[tuple[Scenario, dict[str, Any]]] = []

    def play(scenario: Scenario, *, trace: Trace | None = None, **more: Any) -> Result:
        asked.append((scenario, more))
        if trace is not None:
            for name in scenario.names:
                text = f"{name} operates {version}"
                trace.note(1.5, Kind.STATE, name, text, operating=version)
        failed = fails(scenario)
        return Result(
            scenario=scenario,
            speed=speed,
            violations=(MIXED,) if failed else (),
            violated_at_s=2.5 if failed else None,
            figures=_figures(scenario, holds),
            trace=trace,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"drone_sim.{speed.value}.engine.play", play)
        yield asked


def _figures(scenario: Scenario, causes: Sequence[str]) -> Figures:
    usual = figures(scenario.seed)
    held = (
        Hold(device="d-01", began_s=2.0, lasted_s=1.0, causes=(cause,), budget_s=10.0)
        for cause in causes
    )
    return replace(usual, holds=(*usual.holds, *held))


def from_thirteen(scenario: Scenario) -> bool:
    """Seeds from 13 on fail while anybody pushes."""
    return scenario.seed >= 13 and any(act.verb is Verb.PUSH for act in scenario.acts)


def explored(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Explore with shells in this process."""
    return run(capsys, "explore", *words, *SHELLS)


def valid(done: Done) -> dict[str, object]:
    """The document, which has the form that its schema promises."""
    document = done.document
    Draft202012Validator(document_schemas()[document["type"]]).validate(document)
    return document
