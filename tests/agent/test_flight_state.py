"""The flight state that an operator's program keeps in a file, and what it does to a vote."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.agent.flight import (
    STATE_BYTES_MAX,
    Aged,
    FlightFile,
    FlightRules,
    Seen,
    fits_flight,
)
from orchestrator.agent.os_disk import OsDisk
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Check
from orchestrator.protocol.types import TxnId
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.kinds import REGISTRY
from orchestrator.staging.state import PHASES, FlightPhase, FlightState

PATH = Path("/run/aim/flight.json")
CHECK = Check(txn=TxnId("t"), digest=digest_of(b""), config="c.conf", data=b"")
HOVERING = {"phase": "hovering", "armed": True, "battery_pct": 71.5, "link_quality_pct": 96}
UNKNOWN = f"flight state unknown: {PATH}"


class Files:
    """One file of a given age."""

    def __init__(self, found: Aged | None) -> None:
        self.found = found

    def read_aged(self, path: Path, bytes_max: int) -> Aged | None:
        return self.found


def rules(*, error_s: float | None = 0.002, **policy: Any) -> FlightRules:
    """The policy of drones with these values, on a device with this clock error."""
    made = REGISTRY["drone"].policy.model_validate(policy)
    return FlightRules(policy=made, kind="drone", clock_error_s=lambda: error_s)


def reasons(
    said: object, *, age_s: float = 1.0, error_s: float | None = 0.002, **policy: Any
) -> tuple[str, ...]:
    """What the judge has against anything while the file says this."""
    data = said if isinstance(said, bytes) else json.dumps(said).encode()
    file = FlightFile(files=Files(Aged(data=data, age_s=age_s)), path=PATH)
    return tuple(fits_flight(rules(error_s=error_s, **policy), file)(CHECK))


def test_a_healthy_state_has_nothing_against_it() -> None:
    """A hovering drone with charge and link may vote yes under a policy like the sample's."""
    found = reasons(HOVERING, not_while=["tracking", "landing"], link_quality_min_pct=40.0)
    assert () == found


@pytest.mark.parametrize(
    ("changed", "policy", "said"),
    [
        (
            {"phase": "orbit"},
            {"not_while": ["tracking"]},
            "phase is tracking: [policy.drone] says not while tracking",
        ),
        (
            {},
            {"require_grounded": True},
            "phase is hovering, armed: [policy.drone] requires grounded and disarmed",
        ),
        ({"phase": "failsafe"}, {}, "phase is failsafe: nothing is changed in it"),
        (
            {"battery_pct": 25},
            {},
            "battery 25 % \N{MINUS SIGN} 8.34 % for 180 s of hover < reserve 20 %",
        ),
        (
            {"battery_pct": 30, "hover_power_w": 600, "battery_wh": 200},
            {},
            "battery 30 % \N{MINUS SIGN} 15 % for 180 s of hover < reserve 20 %",
        ),
        ({"battery_pct": None}, {}, "battery unknown, reserve 20 %"),
        ({"link_quality_pct": 31}, {"link_quality_min_pct": 40}, "link quality 31 % < 40 %"),
        (
            {"link_quality_pct": None},
            {"link_quality_min_pct": 40},
            "link quality unknown, at least 40 % is required",
        ),
        (
            {"recording": True},
            {"not_while": ["recording"]},
            "a pass is being recorded: [policy.drone] says not while recording",
        ),
        (
            {},
            {"not_while": ["recording"]},
            "a pass may be being recorded, nobody says: [policy.drone] says not while recording",
        ),
    ],
)
def test_a_no_comes_with_its_numbers(
    changed: dict[str, Any], policy: dict[str, Any], said: str
) -> None:
    """Each thing that the policy asks is answered from the file; what is unknown is a no."""
    assert (said,) == reasons({**HOVERING, **changed}, **policy)


@pytest.mark.parametrize(
    ("error_s", "said"),
    [
        (0.002, ()),
        (0.025, ("clock error 25 ms > 20 ms",)),
        (None, ("clock error unknown, at most 20 ms is allowed",)),
    ],
)
def test_the_clock_error_is_the_agents_own(error_s: float | None, said: tuple[str, ...]) -> None:
    """The file does not say it: the agent has a bound, or has none yet."""
    assert said == reasons(HOVERING, error_s=error_s, clock_error_max_ms=20)


def test_at_rest_no_pass_is_recorded() -> None:
    """What nobody says is no reason where it can't be."""
    assert () == reasons({"phase": "parked", "armed": False}, not_while=["recording"])


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (5.0, ()),
        (5.1, (f"{UNKNOWN} is 5.1 s old, more than 5 s",)),
        (-1.0, ()),
        (-3600.0, (f"{UNKNOWN} is dated 3600.0 s ahead of the clock",)),
    ],
)
def test_a_file_of_another_time_is_unknown(age_s: float, said: tuple[str, ...]) -> None:
    """Too old, or dated ahead of a clock that was set back: whatever it says, it is a no."""
    assert said == reasons(HOVERING, age_s=age_s)


def test_a_missing_file_is_unknown() -> None:
    """The operator's program does not run."""
    judge = fits_flight(rules(), FlightFile(files=Files(None), path=PATH))
    assert (f"{UNKNOWN} is not there",) == tuple(judge(CHECK))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "flight state"),
        (b'{"phase": "hov', "flight state"),
        ([1], "flight state"),
        ({"phase": "hovering"}, "armed"),
        ({**HOVERING, "batery_pct": 3}, "batery_pct"),
        ({**HOVERING, "battery_pct": "71"}, "battery_pct"),
        ({**HOVERING, "battery_pct": 101}, "battery_pct"),
        (b'{"phase": "grounded", "armed": false, "battery_pct": NaN}', "flight state"),
        ({**HOVERING, "phase": "swimming"}, "phase: must be one of armed, climb, climbing"),
    ],
)
def test_a_bad_file_is_unknown_and_says_why(said: object, why: str) -> None:
    """Half a file, a key that is misspelt, a text for a number: a no, whatever else it says."""
    found = reasons(said)
    assert 1 == len(found)
    assert found[0].startswith(UNKNOWN)
    assert why in found[0]


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_that_is_known_may_be_said(phase: str) -> None:
    """In the words of autopilots as well as in those of the policy."""
    data = json.dumps({"phase": phase, "armed": False}).encode()
    found = FlightFile(files=Files(Aged(data=data, age_s=0.0)), path=PATH).read()
    assert isinstance(found, Seen)
    assert (PHASES[phase],) == found.phases


def test_phases_that_can_not_be_excluded() -> None:
    """Where nobody says which, each that the policy forbids is a no of its own."""
    phases = (FlightPhase.HOVERING, FlightPhase.TRANSIT, FlightPhase.TRACKING)
    seen = Seen(phases=phases, state=FlightState(phase=phases[0], armed=True, battery_pct=90.0))
    asked = rules(not_while=["tracking", "hovering"]).against(seen)
    assert (
        "phase may be hovering, nobody says: [policy.drone] says not while hovering",
        "phase may be tracking, nobody says: [policy.drone] says not while tracking",
    ) == asked


# --- the file of this machine -----------------------------------------------------------------


def test_a_real_file_has_its_age(tmp_path: Path) -> None:
    """The age is from the file's mtime to the wall clock."""
    path = tmp_path / "flight.json"
    path.write_bytes(b"{}")
    os.utime(path, (time.time() - 100, time.time() - 100))
    found = OsDisk().read_aged(path, 10)
    assert found is not None
    assert b"{}" == found.data
    assert found.age_s >= 100
    assert None is OsDisk().read_aged(tmp_path / "none", 10)


def test_a_real_file_that_is_too_large_is_unknown(tmp_path: Path) -> None:
    """It is not read into memory, and the limit is said."""
    path = tmp_path / "flight.json"
    path.write_bytes(b" " * (STATE_BYTES_MAX + 1))
    judge = fits_flight(rules(), FlightFile(files=OsDisk(), path=path))
    why = f"flight state unknown: {path}: can't be read: it has more than 4096 bytes"
    assert (why,) == tuple(judge(CHECK))


def test_a_fifo_does_not_stop_a_vote(tmp_path: Path) -> None:
    """Nobody writes to it, and opening it would wait for ever."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(DiskError, match="it is no regular file"):
        OsDisk().read_aged(path, 10)
