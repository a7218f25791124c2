"""
Trace files: what is needed to play a run again, and what happened when it was played.

A file of JSON lines. The first says what it is, the second is the scenario with its crashes and
its speed (:mod:`drone_sim.scenario.documents`), the others are the events. The second line alone
is enough to replay it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drone_sim.explore.runs import Case, Told
from drone_sim.report.files import write_whole
from drone_sim.result import Result, Speed
from drone_sim.scenario.documents import Recorded, decode, encode
from drone_sim.trace import Trace
from orchestrator import __version__
from orchestrator.staging.load import read
from orchestrator.staging.notes import refuse

BYTES_MAX: Final = 512 * 1024 * 1024
MARK: Final = '{"schema":1,"type":"trace"'
"""How the first line of every trace file begins."""


class Header(BaseModel):
    """
    The first line. ``hash`` is that of the events, so that a file which was edited is noticed.

    ``config`` and ``fleet`` are the files of somebody's own fleet, as they were named.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_alias=True, serialize_by_alias=True
    )

    schema_version: Literal[1] = Field(default=1, alias="schema")
    type: Literal["trace"] = "trace"
    program: str = Field(default=__version__, description="The version that wrote it.")
    violations: list[str]
    hash: str
    mutant: str | None = None
    config: str | None = None
    fleet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A trace file that was read: the case that it is of, and the lines that it had."""

    header: Header | None
    recorded: Recorded
    lines: tuple[str, ...]

    def case(self, speed: Speed | None = None) -> Case:
        """Return the case, at its own speed unless another one is wanted."""
        return Case(
            seed=self.recorded.scenario.seed,
            speed=speed or self.recorded.speed or Speed.CORES,
            source=Told(scenario=self.recorded.scenario),
            crashes=self.recorded.crashes,
            mutant=None if self.header is None else self.header.mutant,
        )

    def is_like(self, trace: Trace) -> bool | None:
        """Whether a run went as the file says; ``None`` where it says nothing of a run."""
        return None if self.header is None else self.header.hash == trace.digest()


def write(
    path: Path, case: Case, result: Result, *, config: str | None = None, fleet: str | None = None
) -> None:
    """
    Write the trace of a result that has one.

    Raises OperatingError where the file can't be written.
    """
    lines = [] if result.trace is None else list(result.trace.lines())
    header = Header(
        violations=[str(violation) for violation in result.violations],
        hash=_digest(lines),
        mutant=case.mutant,
        config=config,
        fleet=fleet,
    )
    recorded = Recorded(scenario=result.scenario, crashes=case.crashes, speed=case.speed)
    head = [header.model_dump_json(), encode(recorded).decode()]
    write_whole(path, "\n".join([*head, *lines]) + "\n")


def load(path: Path) -> Recording:
    """
    Read a trace file, or the document of a scenario alone.

    Raises InvalidInput for what is neither, and for events that somebody has changed.
    """
    text = read(path, BYTES_MAX)
    lines = text.text.splitlines()
    if not text.text.startswith(MARK):
        return Recording(header=None, recorded=decode(text.text, name=text.name), lines=())
    header = _header(lines[0], text.name)
    if len(lines) == 1:
        raise refuse(text.name, "has no scenario on its second line", fix="take the whole file")
    events = tuple(lines[2:])
    if header.hash != _digest(events):
        raise refuse(text.name, "its events are not those that were written", fix="replay it anew")
    return Recording(header=header, recorded=decode(lines[1], name=text.name), lines=events)


def _header(line: str, name: str) -> Header:
    try:
        return Header.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise refuse(name, f"its first line is wrong: {where}: {first['msg']}") from None


def _digest(lines: list[str] | tuple[str, ...]) -> str:
    """Return the same digest as :meth:`drone_sim.trace.Trace.digest`."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
