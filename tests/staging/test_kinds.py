"""Kinds of devices: what each brings, and that a further one is one file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from orchestrator.staging.kind import HoldAction, Resource
from orchestrator.staging.kinds import KINDS, REGISTRY
from orchestrator.staging.models import AimConfig
from orchestrator.staging.state import FlightPhase, FlightState
from tests.staging.texts import ROOT

CRANE = '''
"""A crane."""

from orchestrator.staging.fields import Strict, number
from orchestrator.staging.kind import DeviceKind, Hold, HoldAction, HoldCost, Resource
from orchestrator.staging.policy import Policy


class Crane(Strict):
    """What only a crane has."""

    sway_max_deg: float = number(3, 0, 20, unit="deg", what="Sway at which it stops.")


class CranePolicy(Policy):
    """When cranes vote no."""

    wind_max_m_s: float = number(15, 0, 40, unit="m/s", what="Wind above which it votes no.")


class CraneKind(DeviceKind[Crane, CranePolicy]):
    """Stops."""

    __slots__ = ()

    def hold(self, own):
        """Stop."""
        return Hold(action=HoldAction.PAUSE_MOTION, words="stops")

    def cost(self, own, policy, hold_s, state=None):
        """Time."""
        return HoldCost(taken_from=Resource.TIME, amount=hold_s, unit="s", power_w=None, words="")

    def rules(self, config, own):
        """Sway less than it may tilt."""
        if own.sway_max_deg > config.roll.angle_max_deg:
            yield ("crane", "sway_max_deg"), f"{own.sway_max_deg:g} is above roll.angle_max_deg"

    def refusals(self, policy, state):
        """Say no in any phase but at rest."""
        if not state.at_rest:
            yield f"it moves, wind allowed {policy.wind_max_m_s:g} m/s"


KIND = CraneKind(name="crane", about="a crane", section=Crane, policy=CranePolicy)
'''
FLEET = """
fleet = "port"
config = "aim.conf"
[policy.crane]
wind_max_m_s = 12
[[device]]
id = "crane-01"
kind = "crane"
"""
CONFIG = """
schema = 2
[yaw]
[pitch]
[roll]
angle_max_deg = 10
rate_max_deg_s = 40
[overlay.kind.crane.crane]
sway_max_deg = {sway}
"""
PROGRAM = """
import json, pathlib, sys
from orchestrator.staging.bundle import decode_config, make_bundle
from orchestrator.staging.flight import FlightPhase, FlightState, flight_refusals
from orchestrator.staging.kinds import KINDS
from orchestrator.staging.lint import lint_paths
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.schemas import schemas

here = pathlib.Path(sys.argv[1])
fleet = load_fleet(read(here / "port.toml"))
made = make_bundle(load_config(read(here / "aim.conf")), fleet)
(data,) = made.configs.values()
moving = FlightState(phase=FlightPhase.TRANSIT)
print(json.dumps({
    "kinds": KINDS,
    "kind": decode_config(data).kind,
    "own": json.loads(data)["crane"],
    "refusals": flight_refusals(fleet.file.policy_of("crane"), "crane", moving),
    "lint": [str(note.message) for note in lint_paths([here / "bad.conf", here / "port.toml"])
             if note.severity == "error"],
    "schema": "crane" in schemas()["aim-config.schema.json"]["properties"],
    "policy": "crane" in schemas()["fleet.schema.json"]["$defs"]["Policies"]["properties"],
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a program says whose package of kinds has one file more."""
    home = tmp_path_factory.mktemp("crane")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "orchestrator", home / "orchestrator", ignore=ignored)
    (home / "orchestrator" / "staging" / "kinds" / "crane.py").write_text(CRANE)
    (home / "port.toml").write_text(FLEET)
    (home / "aim.conf").write_text(CONFIG.format(sway=4))
    (home / "bad.conf").write_text(CONFIG.format(sway=12))
    (home / "play.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, home / "play.py", home], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_further_kind_is_one_file(told: dict[str, Any]) -> None:
    """A file in the package, and nothing else, makes a fourth kind, behind the others."""
    assert ["drone", "arm", "node", "crane"] == told["kinds"]


def test_a_further_kind_has_its_section(told: dict[str, Any]) -> None:
    """Its section stands in the configuration, goes through the bytes, and says the kind."""
    assert ("crane", {"sway_max_deg": 4}) == (told["kind"], told["own"])


def test_a_further_kind_has_its_rules(told: dict[str, Any]) -> None:
    """Its rules refuse a configuration."""
    assert ["12 is above roll.angle_max_deg"] == told["lint"]


def test_a_further_kind_has_its_policy(told: dict[str, Any]) -> None:
    """The fleet file takes its policy, and its own reasons are told in a vote."""
    assert ["it moves, wind allowed 12 m/s"] == told["refusals"]


def test_a_further_kind_is_in_the_schemas(told: dict[str, Any]) -> None:
    """Editors know it: the JSON Schemas have its section and its policy."""
    assert (True, True) == (told["schema"], told["policy"])


# ------------------------------------------------------------------------------ the three kinds


def configured(kind: str, **own: Any) -> AimConfig:
    """A plain configuration of one kind."""
    values = {"schema": 2, "yaw": {}, "pitch": {}, "roll": {}, kind: own}
    return AimConfig.model_validate(values)


def test_there_are_three_kinds_and_a_drone_is_the_first() -> None:
    """Where nothing says a kind, a drone is meant."""
    assert ("drone", "arm", "node") == KINDS


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_known_by_its_section(name: str) -> None:
    """The kind, the section's name and the policy's name are one word."""
    assert (name, REGISTRY[name].section) == (configured(name).kind, type(configured(name).own))


HOLDS = [
    ("drone", {}, HoldAction.FREEZE_AIM, "hovers and freezes its aim", {}),
    (
        "arm",
        {"pause_ramp_s": 0.5},
        HoldAction.PAUSE_MOTION,
        "pauses its motion and freezes its aim",
        {"ramp_s": 0.5},
    ),
    (
        "node",
        {"hold_throttle_pct": 40},
        HoldAction.THROTTLE,
        "throttles its work and freezes its aim",
        {"share_pct": 40},
    ),
]


@pytest.mark.parametrize(("kind", "own", "action", "words", "settings"), HOLDS)
def test_a_hold_is_an_order_of_the_kind(
    kind: str, own: dict[str, Any], action: HoldAction, words: str, settings: dict[str, float]
) -> None:
    """Each kind holds in its own way, with the numbers of its configuration."""
    hold = REGISTRY[kind].hold(configured(kind, **own).own)
    assert (action, words, settings) == (hold.action, hold.words, hold.settings)


COSTS = [
    ("drone", {}, Resource.BATTERY, 8.34, "%", 439,
     "8.34 % of the battery for 180 s of hover at 439 W"),
    ("arm", {}, Resource.TIME, 180, "s", None, "180 s that its load waits"),
    ("node", {"frame_rate_hz": 20, "hold_throttle_pct": 25}, Resource.WORK, 2700, "pictures",
     None, "2.7e+03 pictures that are not analysed in 180 s"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "own", "of", "amount", "unit", "power_w", "words"), COSTS)
def test_a_hold_has_its_price(
    kind: str,
    own: dict[str, Any],
    of: Resource,
    amount: float,
    unit: str,
    power_w: float | None,
    words: str,
) -> None:
    """A drone pays with battery at its hover power, an arm with time, a node with work."""
    found = REGISTRY[kind]
    cost = found.cost(configured(kind, **own).own, found.policy(), 180)
    assert (of, unit, power_w, words) == (cost.taken_from, cost.unit, cost.power_w, cost.words)
    assert pytest.approx(amount, rel=1e-3) == cost.amount


def test_a_drone_s_own_figures_come_before_the_policy_s() -> None:
    """A heavier drone, measured, pays more than the published one."""
    kind = REGISTRY["drone"]
    measured = FlightState(phase=FlightPhase.HOVERING, hover_power_w=600, battery_wh=300)
    cost = kind.cost(configured("drone").own, kind.policy(), 180, measured)
    assert 600 == cost.power_w
    assert pytest.approx(10.0) == cost.amount


def test_the_published_hover_is_the_maker_s() -> None:
    """The defaults empty a full battery in the 36 min of hover that the maker publishes."""
    kind = REGISTRY["drone"]
    cost = kind.cost(configured("drone").own, kind.policy(), 36 * 60)
    assert pytest.approx(100, abs=0.1) == cost.amount
