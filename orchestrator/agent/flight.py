"""
The flight state in a device's vote: what ``[policy.KIND]`` of the fleet file asks (row D1).

An autopilot says what it is doing by MAVLink. Beside a hook, the operator's own program says it
in a file, which it replaces atomically (write another, then rename) every second or so:

    {"phase": "hovering", "armed": true, "battery_pct": 71.5, "link_quality_pct": 96}

What nobody says is unknown, and unknown is a no where the policy asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from orchestrator.agent.device import Judge
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Check
from orchestrator.staging.bundle import decoded
from orchestrator.staging.fields import Strict, choice, number
from orchestrator.staging.flight import flight_refusals
from orchestrator.staging.models import Kind
from orchestrator.staging.notes import InvalidInput
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import PHASES, FlightPhase, FlightState

STATE_BYTES_MAX: Final = 4096
STATE_AGE_MAX_S: Final = 5.0
"""What is older is unknown, unless the operator says otherwise."""

AHEAD_MAX_S: Final = 1.0
"""A file that is dated later than this was written before the wall clock was set back."""

MS_PER_S: Final = 1000.0


# --- what is seen, and what the policy says to it -----------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What is known of a device at the moment.

    ``phases`` are those that it may be in, the likeliest first: one where that is known.
    ``recording`` is ``None`` where nobody says it. The rest is that of ``state``, whose own
    phase, recording and clock error are not looked at.
    """

    phases: tuple[FlightPhase, ...]
    state: FlightState
    recording: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightRules:
    """The policy of a device's kind. ``clock_error_s`` asks the agent for its own bound."""

    policy: Policy
    kind: Kind
    clock_error_s: Callable[[], float | None]

    def against(self, seen: Seen) -> tuple[str, ...]:
        """Return every reason to vote no, with its numbers; empty for a yes."""
        error_s, banned = self.clock_error_s(), self.policy.not_while
        free = [phase for phase in seen.phases if phase.value not in banned]
        state = replace(
            seen.state,
            phase=(free or seen.phases)[0],
            recording=bool(seen.recording),
            clock_error_ms=None if error_s is None else error_s * MS_PER_S,
        )
        return (
            *self._unknown(seen, state),
            *flight_refusals(self.policy, self.kind, state),
        )

    def _unknown(self, seen: Seen, state: FlightState) -> Iterator[str]:
        """Yield what the policy forbids and nobody can exclude; at rest no pass is recorded."""
        whose = f"[policy.{self.kind}]"
        for phase in seen.phases:
            if phase is not state.phase and phase.value in self.policy.not_while:
                yield f"phase may be {phase}, nobody says: {whose} says not while {phase}"
        if seen.recording is None and not state.at_rest and "recording" in self.policy.not_while:
            yield f"a pass may be being recorded, nobody says: {whose} says not while recording"


# --- the file that the operator's program keeps -------------------------------------------------


def _is_a_phase(value: str) -> str:
    if value in PHASES:
        return value
    raise PydanticCustomError("phase", "must be one of " + ", ".join(sorted(PHASES)))


class FlightSaid(Strict):
    """The file. A key that is left out, but for the first two, is unknown."""

    phase: Annotated[str, AfterValidator(_is_a_phase)] = Field(
        description="What the device is about, in the words of its autopilot or the policy's."
    )
    armed: bool = choice(..., what="Whether its motors may turn.")
    battery_pct: float | None = number(None, 0, 100, unit="%", what="Charge of the battery.")
    battery_wh: float | None = number(
        None, 1, 20_000, unit="Wh", what="Energy of the full battery."
    )
    hover_power_w: float | None = number(
        None, 5, 20_000, unit="W", what="What hovering takes at the present load."
    )
    link_quality_pct: float | None = number(None, 0, 100, unit="%", what="Link quality.")
    recording: bool | None = choice(None, what="Whether a pass is being recorded.")

    def seen(self) -> Seen:
        """Return what it says."""
        phase = PHASES[self.phase]
        state = FlightState(
            phase=phase,
            armed=self.armed,
            battery_pct=self.battery_pct,
            battery_wh=self.battery_wh,
            hover_power_w=self.hover_power_w,
            link_quality_pct=self.link_quality_pct,
        )
        return Seen(phases=(phase,), state=state, recording=self.recording)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """A file's bytes, and how long ago they were written; below 0 for the future."""

    data: bytes
    age_s: float


class AgedFiles(Protocol):
    """Files of others, which may be anything. It blocks."""

    def read_aged(self, path: Path, bytes_max: int) -> Aged | None:
        """Return a file, ``None`` where there is none. Raises DiskError over ``bytes_max``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightFile:
    """The file at ``path``; what is older than ``age_max_s`` is unknown."""

    files: AgedFiles
    path: Path
    age_max_s: float = STATE_AGE_MAX_S

    def read(self) -> Seen | tuple[str, ...]:
        """Return what the file says, or every reason why the flight state is unknown."""
        try:
            found = self.files.read_aged(self.path, STATE_BYTES_MAX)
        except DiskError as error:
            return (str(error),)
        if found is None:
            return (f"{self.path} is not there",)
        if found.age_s > self.age_max_s:
            return (f"{self.path} is {found.age_s:.1f} s old, more than {self.age_max_s:g} s",)
        if found.age_s < -AHEAD_MAX_S:
            return (f"{self.path} is dated {-found.age_s:.1f} s ahead of the clock",)
        try:
            return decoded(FlightSaid, found.data, "flight state", STATE_BYTES_MAX).seen()
        except InvalidInput as invalid:
            return tuple(f"{self.path}: {reason}" for reason in invalid.reasons)


def fits_flight(rules: FlightRules, file: FlightFile) -> Judge:
    """Judge what the device is doing, as the file says it; a state that is unknown is a no."""

    def judge(_check: Check) -> Iterable[str]:
        seen = file.read()
        if isinstance(seen, Seen):
            return rules.against(seen)
        return tuple(f"flight state unknown: {why}" for why in seen)

    return judge
