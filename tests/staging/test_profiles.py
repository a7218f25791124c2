"""What a fleet file says of physics and of policies, and what the linter says of both."""

from __future__ import annotations

import pytest

from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.kinds.drone import DronePolicy
from orchestrator.staging.lint import lint_texts
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.models import AimConfig
from orchestrator.staging.overlay import Target, effective
from orchestrator.staging.physics import judged_axes
from tests.staging.test_bundle import sample
from tests.staging.texts import CONFIG, CONFIGS, FLEET, bundle, sayings, source

GIMBALLED = FLEET.replace('kind = "arm"', 'kind = "arm"\ngimbal = "g30"')


def load(text: str) -> FleetFile:
    """A fleet from its text."""
    return load_fleet(source(text, "f.toml")).file


def refused(text: str) -> list[str]:
    """What is wrong with a fleet's text, without file and line."""
    return [each.partition("error: ")[2] for each in sayings(load, text)]


def lint(text: str = "", fleet: str = GIMBALLED) -> list[str]:
    """What is said of the small configuration with ``text`` at its end, in its fleet."""
    return [str(note) for note in lint_texts([source(CONFIG + text), source(fleet, "f.toml")])]


# -------------------------------------------------------------------------------------- physics


def test_an_axis_has_what_its_gimbal_has_but_for_its_own() -> None:
    """Numbers under an axis' name count for that axis alone."""
    plant = load(FLEET + "pitch = { inertia_kg_m2 = 2e-3 }\n").gimbal["g30"].plant
    assert plant is not None
    assert [1.2e-3, 2e-3, 1.2e-3] == [
        plant.of_axis(axis)["inertia_kg_m2"] for axis in ("yaw", "pitch", "roll")
    ]


BAD_PLANTS = [
    (
        FLEET.replace("coulomb_nm = 4e-3\n", ""),
        [f"gimbal.g30.plant: coulomb_nm missing for {axis}" for axis in ("pitch", "roll", "yaw")],
    ),
    (
        FLEET.replace("mode_hz = 55", "mode_hz = 500"),
        ["gimbal.g30.plant.mode_hz: 500 is not below half of 1000 Hz"],
    ),
    (
        FLEET.replace("inertia_kg_m2 = 1.2e-3", "inertia_kg_m2 = 0"),
        ["gimbal.g30.plant.inertia_kg_m2: 0 is below 1e-06"],
    ),
    (
        FLEET.replace("dead_time_samples = 2", "dead_time_samples = 1.5"),
        ["gimbal.g30.plant.dead_time_samples: must be a whole number, is 1.5"],
    ),
    (
        FLEET.replace("roll = { min_deg = -40, max_deg = 40 }\n", "") + "roll = { mode_hz = 9 }",
        ["gimbal.g30.plant.roll: the gimbal has no such axis"],
    ),
    (FLEET + "mass_kg = 1", ["gimbal.g30.plant.mass_kg: unknown key"]),
]


@pytest.mark.parametrize(("text", "expected"), BAD_PLANTS)
def test_a_plant_that_can_t_be_is_refused(text: str, expected: list[str]) -> None:
    """Missing and impossible numbers are told by key."""
    assert expected == refused(text)


def test_one_axis_may_be_described_alone() -> None:
    """A plant without common numbers is complete where every axis has its own."""
    numbers = FLEET.partition("[gimbal.g30.plant]\n")[2]
    heads = "".join(f"[gimbal.g30.plant.{axis}]\n{numbers}" for axis in ("yaw", "pitch", "roll"))
    assert load(FLEET.partition("[gimbal.g30.plant]\n")[0] + heads).gimbal["g30"].plant


def test_a_profile_without_plant_is_noted() -> None:
    """That stability was not judged is said, as a note that fails nothing."""
    bare = GIMBALLED.partition("[gimbal.g30.plant]\n")[0]
    assert [
        "f.toml:3: info: gimbal.g30: no plant, so the stability of its loops is not judged"
    ] == lint(fleet=bare)


def test_a_loop_that_will_not_fly_is_told_where_it_is_tuned() -> None:
    """The linter names the overlay that touches the axis, and the devices concerned."""
    text = "[overlay.group.a.yaw]\nrate_p = 0.4\n"
    (note,) = lint_texts([source(CONFIG + text), source(GIMBALLED, "f.toml")])
    assert ("aim.conf", 7, "overlay.group.a.yaw", "physics") == (
        note.file, note.line, note.key, note.component,
    )  # fmt: skip
    assert note.message.startswith("unstable: oscillation of ")
    assert note.message.endswith(" on yaw at 0.7 × inertia (for d-01)")


def test_a_torque_is_blamed_on_the_acceleration_that_asks_it() -> None:
    """A reason about one key stands at the line of that key."""
    text = "[overlay.kind.drone.pitch]\naccel_max_deg_s2 = 1200\ntorque_max_nm = 0.02\n"
    text += "integrator_max_nm = 0.01\n"
    assert "aim.conf:8: error: overlay.kind.drone.pitch.accel_max_deg_s2" in {
        each.rpartition(": ")[0] for each in lint(text)
    }


def test_a_bundle_that_will_not_fly_is_not_made() -> None:
    """The plan and the push refuse what every device would refuse."""
    assert any("on yaw at" in each for each in sayings(bundle, "[overlay.kind.drone.yaw]\n"
                                                               "rate_p = 0.4\n"))  # fmt: skip


@pytest.mark.parametrize(
    ("config", "fleet"),
    [
        ("aim_lock_config.conf", "hazard-12.toml"),
        ("aim_lock_config.next.conf", "hazard-12.toml"),
        ("yard_aim.conf", "yard-mixed.toml"),
    ],
)
def test_every_sample_is_sound_on_every_sample_gimbal(config: str, fleet: str) -> None:
    """The samples are judged, all of their axes, and pass."""
    file = load_fleet(read(CONFIGS / "fleets" / fleet)).file
    assert all(profile.plant is not None for profile in file.gimbal.values())
    assert sample(config, fleet).digests


def test_a_two_axis_gimbal_is_judged_on_two_axes() -> None:
    """What the hardware does not have is not judged."""
    file = load_fleet(read(CONFIGS / "fleets" / "yard-mixed.toml")).file
    made = effective(load_config(read(CONFIGS / "yard_aim.conf")), Target(kind="node"))
    assert isinstance(made, AimConfig)
    assert ["yaw", "pitch"] == list(judged_axes(made, file.gimbal["mast-2"]))


# ------------------------------------------------------------------------------------- policies


def test_a_policy_is_what_the_file_says_of_the_kind() -> None:
    """Each kind has its own; one that is left out has the defaults."""
    text = '[policy.drone]\nnot_while = ["landing", "recording"]\nbattery_reserve_pct = 30\n'
    file = load(FLEET + text)
    drone = file.policy_of("drone")
    assert isinstance(drone, DronePolicy)
    assert (("landing", "recording"), 30, 180) == (
        drone.not_while, drone.battery_reserve_pct, drone.hold_worst_s,
    )  # fmt: skip
    assert ((), 180) == (file.policy_of("arm").not_while, file.policy_of("arm").hold_worst_s)


BAD_POLICIES = [
    ("[policy.boat]", "policy.boat: unknown key"),
    ("[policy.arm]\nbattery_reserve_pct = 20", "policy.arm.battery_reserve_pct: unknown key"),
    (
        '[policy.drone]\nnot_while = ["tracking", "sleeping"]',
        (
            "policy.drone.not_while[1]: 'sleeping' is not 'grounded', 'climbing', 'transit', "
            "'hovering', 'tracking', 'landing' or 'recording'"
        ),
    ),
    ("[policy.drone]\nhold_worst_s = 0", "policy.drone.hold_worst_s: 0 is below 1"),
    (
        "[policy.drone]\nbattery_reserve_pct = 20\nhold_worst_s = 1800",
        (
            "policy.drone.hold_worst_s: 83.4 % of the battery for 1800 s of hover at 439 W and a "
            "reserve of 20 % are more than a full battery: no drone could ever vote yes"
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), BAD_POLICIES)
def test_a_policy_that_makes_no_sense_is_refused(text: str, expected: str) -> None:
    """Unknown keys and phases, and what no device could ever keep, are told by key."""
    assert [expected] == refused(FLEET + text)


def test_a_policy_for_nobody_is_a_warning() -> None:
    """A policy of a kind that the fleet lacks is probably meant for another fleet."""
    assert ["f.toml:37: warning: policy.node: no device of the fleet is of this kind"] == lint(
        fleet=GIMBALLED + "[policy.node]\n"
    )


CAUTIONS = [
    (
        "[drone]\nlow_battery_pct = 30",
        (
            "aim.conf:8: warning: drone.low_battery_pct: 30 is above the reserve of 20 that "
            "[policy.drone] leaves: a drone that voted yes may rest its gimbal while it holds"
        ),
    ),
    (
        "[arm]\npause_ramp_s = 1.5",
        (
            "aim.conf:8: warning: arm.pause_ramp_s: 1.5 s is longer than the freeze of a healthy "
            "push, 1 s (twice clock_error_ms): the arm still slows down when the new version "
            "begins to aim"
        ),
    ),
    (
        "[arm]\nload_rate_max_deg_s = 90\npause_ramp_s = 0.1",
        (
            "aim.conf:9: warning: arm.pause_ramp_s: coming to rest from 90 deg/s in 0.1 s takes "
            "900 deg/s², more than yaw.accel_max_deg_s2 600"
        ),
    ),
    (
        "[tracking]\nenabled = true\nprediction_horizon_s = 2.5",
        (
            "aim.conf:9: warning: tracking.prediction_horizon_s: 2.5 s of prediction at 60 deg/s "
            "is 150 deg unseen, more than the whole range of pitch, 110 deg"
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), CAUTIONS)
def test_what_is_allowed_and_unwise_is_a_warning(text: str, expected: str) -> None:
    """Each kind's own cautions stand at the line that decides the value."""
    assert expected in lint(text)


NODES = FLEET.replace('"arm-01"', '"node-01"').replace('"arm"', '"node"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[node]\nhold_throttle_pct = 100",
            (
                "aim.conf:8: warning: node.hold_throttle_pct: 100 is no throttle: a hold changes "
                "nothing"
            ),
        ),
        (
            "[node]\nframe_rate_hz = 4\n[tracking]\nenabled = true\nprediction_horizon_s = 0.2",
            (
                "aim.conf:11: warning: tracking.prediction_horizon_s: 0.2 s is less than the time "
                "between two pictures, 0.25 s: one bad picture loses the lock"
            ),
        ),
    ],
)
def test_a_node_s_cautions_are_told(text: str, expected: str) -> None:
    """The same for a node."""
    assert expected in lint(text, NODES)
