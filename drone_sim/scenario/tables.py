"""The tables of a scenario file, as TOML has them; :mod:`.story` makes a scenario of them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from drone_sim.scenario.checks import DEVICES_MAX, DRIFT_MAX_PPM, NAME_PATTERN, OFFSET_MAX_S
from drone_sim.scenario.verbs import TIME_MAX_S
from orchestrator.staging.fields import Strict, number
from orchestrator.staging.fleet import LEASE_MIN_S, Id
from orchestrator.staging.models import Kind

STORY_CHARS_MAX: Final = 100_000
TEXT_CHARS_MAX: Final = 4_000

Ids = Annotated[tuple[Id, ...], Field(strict=False, min_length=1, max_length=DEVICES_MAX)]


class LinkTable(Strict):
    """The quality of a link; what is left out is that of :class:`.model.Link`."""

    delay_s: float | None = number(None, 0, TIME_MAX_S, unit="s", what="Each message takes this.")
    up_s: float | None = number(None, 0, TIME_MAX_S, unit="s", what="And this more on its way up.")
    jitter_s: float | None = number(None, 0, TIME_MAX_S, unit="s", what="And up to this more.")
    loss: float | None = number(None, 0, 1, unit="1", what="Share of messages that are lost.")
    duplicate: float | None = number(None, 0, 1, unit="1", what="Share that comes twice.")
    spike: float | None = number(None, 0, 1, unit="1", what="Share that takes much longer.")
    spike_s: float | None = number(None, 0, TIME_MAX_S, unit="s", what="And how much, at most.")


class DeviceTable(Strict):
    """What is special about one device."""

    kind: Kind | None = Field(default=None, description="What it is: drone, arm or node.")
    offset_s: float = number(
        0.0, -OFFSET_MAX_S, OFFSET_MAX_S, unit="s", what="Its clock reads so much less."
    )
    drift_ppm: float = number(
        0.0, -DRIFT_MAX_PPM / 2, DRIFT_MAX_PPM, unit="ppm", what="Its clock is so much too fast."
    )
    battery_percent: float = number(90.0, 0, 100, unit="%", what="Charge at the start.")
    link: LinkTable = LinkTable()


class PaceTable(Strict):
    """The timing of the fleet; what is left out is the fleet file's, or the usual."""

    window_s: float | None = number(
        None, 0.05, TIME_MAX_S, unit="s", what="Time to vote; measured unless given."
    )
    clock_error_s: float | None = number(None, 0.001, 10, unit="s", what="ε.")
    settle_s: float | None = number(
        None, 0.1, TIME_MAX_S, unit="s", what="Time after which a silent device is deferred."
    )
    join_s: float | None = number(
        None, 0.01, TIME_MAX_S, unit="s", what="How long members are waited for before PREPARE."
    )
    lease_s: float | None = number(
        None, LEASE_MIN_S, TIME_MAX_S, unit="s", what="Enable lease; none unless given."
    )


class StoreTable(Strict):
    """How the store behaves."""

    append_s: float = number(0.0005, 0, 60, unit="s", what="An append takes this.")
    loses_answer: float = number(0.0, 0, 1, unit="1", what="Share of appends, answer lost.")


class ExpectTable(Strict):
    """
    What the end must be, before the last healthy push.

    ``pushes`` says how the txn of each pushing process was decided, "none" where it began none.
    """

    version: int | None = Field(default=None, ge=0, description="The fleet's version.")
    lock_free: bool | None = Field(default=None, description="Whether nobody has the lock.")
    pushes: dict[str, Literal["commit", "abort", "none"]] = Field(
        default={}, max_length=100, description="The decision of each push, by its operator."
    )


class StoryFile(Strict):
    """A scenario file."""

    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")] = Field(
        description="The scenario's name."
    )
    about: Annotated[str, Field(min_length=1, max_length=TEXT_CHARS_MAX)] = Field(
        description="One paragraph: what happens, why it matters, where it is from."
    )
    seed: int = Field(default=1, description="Feeds all that is left to chance.")
    fleet: str | None = Field(
        default=None, max_length=500, description="A fleet file, relative to this one."
    )
    devices: Annotated[int, Field(ge=1, le=DEVICES_MAX)] | None = Field(
        default=None, description="How many devices; they are called d-01, d-02, ..."
    )
    ids: Ids | None = Field(default=None, description="The devices by their ids instead.")
    kinds: Annotated[tuple[Kind, ...], Field(strict=False, min_length=1)] = Field(
        default=("drone",), description="The kinds of the devices, in turn."
    )
    fresh: bool = Field(default=False, description="Whether the fleet was never configured.")
    safety_s: float = number(30.0, 0, TIME_MAX_S, unit="s", what="When everything heals.")
    liveness_s: float = number(180.0, 1, TIME_MAX_S, unit="s", what="Until all must be well.")
    pace: PaceTable = PaceTable()
    links: LinkTable = LinkTable()
    control: LinkTable = LinkTable()
    store: StoreTable = StoreTable()
    device: Annotated[dict[Id, DeviceTable], Field(max_length=DEVICES_MAX)] = Field(
        default={}, description="What is special about a device, by its id."
    )
    expect: ExpectTable = ExpectTable()
    story: Annotated[str, Field(max_length=STORY_CHARS_MAX)] = Field(
        description="One act a line: 'at 1.2 s kill mira'. A line that begins with # is a remark."
    )
