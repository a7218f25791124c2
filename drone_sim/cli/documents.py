"""
The documents of ``--output json``: a closed list of types, as models that make every one of them.

Times are in s: those of a story count from its start, ``elapsed_s`` and ``cpu_s`` are real time
and computing time. Rates are per run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue

from orchestrator.cli.documents.others import ErrorDocument
from orchestrator.cli.documents.parts import NotePart
from orchestrator.service.parts import DigestText, Part, Top

SpeedWord = Literal["cores", "shells"]


class ViolationPart(Part):
    """An invariant that did not hold: its id, or X where a program raised an error."""

    id: str
    text: str


class FailurePart(Part):
    """A run in which something did not hold; ``crash`` is as ``--crash`` takes it."""

    scenario: str
    seed: int
    speed: SpeedWord
    crash: str | None
    at_s: float | None
    violations: list[ViolationPart]
    reproduce: str


class ShrunkPart(Part):
    """The smallest scenario found in which the same does not hold, and the file it is in."""

    devices: int
    acts: int
    crashes: int
    of_devices: int
    of_acts: int
    runs: int
    complete: bool
    violations: list[ViolationPart]
    trace: str | None


class TimesPart(Part):
    """A distribution: percentiles to 2 %, the worst exactly."""

    count: int
    p50: float
    p99: float
    worst: float


class SpreadPart(Part):
    """Some holds; ``budget_s`` is that of the longest."""

    lasted_s: TimesPart
    longest_in: str
    budget_s: float


class HoldPart(Part):
    """
    The holds that one cause had a part in: a fault, ``healthy``, or a state of the fleet.

    ``alone`` are those that it caused by itself, ``among`` those with other faults; null: none.
    ``used_most`` is the largest share of its own budget that any of them used.
    """

    cause: str
    alone: SpreadPart | None
    among: SpreadPart | None
    used_most: float
    used_most_in: str


class FiguresPart(Part):
    """What the runs at one speed were made of; ``rate_below`` is at 95 %, null if it says none."""

    runs: int
    failed: int
    rate_below: float | None
    cpu_s: float
    runs_per_core_s: float
    virtual_s: float
    speed_up: float
    steps: int
    messages: int
    seams: int
    awaits: int
    committed: int
    aborted: int
    forced: int
    faults: int
    acts: dict[str, int]
    goals: dict[str, int]
    missing: Annotated[
        list[str] | None,
        Field(description="Goals that were never seen; null where they were not asked for."),
    ]
    held_s: TimesPart
    holds: list[HoldPart]
    skew_s: TimesPart


class FilesPart(Part):
    """The files that were written."""

    junit: str | None
    html: str | None
    trace: str | None


class Played(Part):
    """What is alike wherever scenarios are played."""

    held: Annotated[bool, Field(description="Nothing failed, and no goal is missing.")]
    interrupted: bool
    mutant: str | None
    jobs: int
    elapsed_s: float
    speeds: dict[SpeedWord, FiguresPart]
    failures: Annotated[
        list[FailurePart], Field(description="In order; at most a hundred. Figures count all.")
    ]
    shrunk: ShrunkPart | None
    reproduce: Annotated[
        str | None, Field(description="The command that shows the first failure again.")
    ]
    files: FilesPart


SeedsPart = Annotated[
    list[int], Field(min_length=2, max_length=2, description="First and last, both included.")
]


class Explore(Played, Top):
    """What `drone-sim explore` found."""

    type: Literal["explore"]
    seeds: SeedsPart
    scenario: str | None
    drawn: Annotated[list[str] | None, Field(description="Of a single seed: what it has drawn.")]
    hash: Annotated[str | None, Field(description="Over the hashes of all traces, in order.")]
    hashes: Annotated[dict[str, str] | None, Field(description="Of each trace, by its run.")]


class Run(Played, Top):
    """What `drone-sim run` found."""

    type: Literal["run"]
    scenarios: list[str]
    crash: str | None


class VotePart(Part):
    """What one device says of the configuration."""

    vote: Literal["yes", "no"]
    reasons: list[str]


class Check(Top):
    """Whether a configuration may be rolled out; ``played`` is null where nothing was."""

    type: Literal["check"]
    ok: bool
    verdict: str
    config: str
    fleet: str
    notes: list[NotePart]
    votes: dict[str, VotePart]
    seeds: SeedsPart
    played: Played | None


class ScriptPart(Part):
    """
    How often the fleets of a script were mixed: for longer than is said, and at the end still.

    ``first_*`` is the first seed in which that was so.
    """

    seeds: int
    mixed: int
    mixed_rate: float
    first_mixed: int | None
    left_mixed: int
    left_mixed_rate: float
    first_left_mixed: int | None


class OursPart(Part):
    """
    The same seeds with the pure cores.

    ``mixed`` counts the runs that violate I1 or I5, ``left_mixed`` those that violate I6.
    """

    seeds: int
    mixed: int
    left_mixed: int
    failed: Annotated[int, Field(description="Runs that violate anything at all.")]
    rate_below: float | None
    reproduce: str | None


class Baseline(Top):
    """What scripts did on the same seeds; ``explore`` is the command that judges ours on them."""

    type: Literal["baseline"]
    seeds: SeedsPart
    mixed_longer_than_s: float
    scripts: dict[str, ScriptPart]
    ours: Annotated[OursPart | None, Field(description="Null where it was not asked for.")]
    explore: str


class Replay(Top):
    """
    A run, step by step; ``hash`` is that of its whole trace, whatever ``events`` were asked for.

    ``as_before`` is whether it went as the file says that was replayed; null for a seed.
    """

    type: Literal["replay"]
    scenario: str
    seed: int
    speed: SpeedWord
    crash: str | None
    mutant: str | None
    drawn: list[str]
    held: bool
    violations: list[ViolationPart]
    violated_at_s: float | None
    hash: str
    as_before: bool | None
    reproduce: str | None
    events: list[dict[str, JsonValue]]


class StatePart(Part):
    """What a simulated device says of itself, as HELLO and REPORT carry it."""

    version: int
    digest: DigestText | None
    last_seq: int
    max_epoch: str
    prepared: str | None
    pending: bool
    outcome_txn: str | None
    outcome: str | None
    operating: int | None
    holds: list[str]
    clock_error_s: float | None
    staging_s: float
    activated_at: float | None
    hold_s: float | None
    prepared_seq: int | None
    prepared_plan: DigestText | None
    prepared_digest: DigestText | None
    outcome_seq: int | None
    heuristic: str | None
    leased: bool


class SimulatedFleet(Top):
    """How the devices of `drone-sim fleet` ended."""

    type: Literal["simulated-fleet"]
    fleet: str
    devices: dict[str, StatePart]


class SimulatedDevice(StatePart, Top):
    """A device of `drone-sim fleet` has changed."""

    type: Literal["simulated-device"]
    device: str


DOCUMENTS: Final[Mapping[str, type[Top]]] = {
    "run": Run,
    "explore": Explore,
    "replay": Replay,
    "check": Check,
    "baseline": Baseline,
    "simulated-fleet": SimulatedFleet,
    "simulated-device": SimulatedDevice,
    "error": ErrorDocument,
}
"""The closed list of types. ``drone-sim schema`` prints the schemas themselves."""


def encoded(document: Top) -> str:
    """Return a document on one line, ``schema`` and ``type`` first."""
    found = document.model_dump(mode="json")
    head = {"schema": found["schema"], "type": found["type"]}
    return json.dumps({**head, **found}, ensure_ascii=False)


def document_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each document by its type."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {
        name: {"$schema": dialect, **model.model_json_schema(mode="serialization")}
        for name, model in DOCUMENTS.items()
    }
