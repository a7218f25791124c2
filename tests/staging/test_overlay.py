"""What each device runs, and where a mistake is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.staging.bundle import make_bundle
from orchestrator.staging.load import load_config
from orchestrator.staging.models import AimConfig
from orchestrator.staging.overlay import Target, effective, merge
from tests.staging.texts import CONFIG, DATA, bundle, config, fleet, sayings, source

LAYERS = """
[overlay.kind.drone.failsafe]
overtemp_c = 71
link_loss_s = 11
[overlay.group.b.failsafe]
overtemp_c = 73
[overlay.group.a.failsafe]
overtemp_c = 72
link_loss_s = 12
[overlay.device.d-02.failsafe]
overtemp_c = 74
"""


def made(text: str, target: Target) -> AimConfig:
    """Return what the target runs; it must be valid."""
    found = effective(config(text), target)
    assert isinstance(found, AimConfig), found
    return found


@pytest.mark.parametrize(
    ("expected", "target"),
    [
        ((80, 5), Target(kind="arm")),
        ((71, 11), Target(kind="drone")),
        ((72, 12), Target(kind="drone", groups=("a",))),
        ((73, 12), Target(kind="drone", groups=("a", "b"))),
        ((72, 12), Target(kind="drone", groups=("b", "a"))),
        ((74, 12), Target(kind="drone", groups=("a", "b"), device="d-02")),
        ((71, 11), Target(kind="drone", groups=("c",), device="d-01")),
    ],
)
def test_overlays_apply_in_order(expected: tuple[float, float], target: Target) -> None:
    """Kind, then groups in the device's order, then the device; the last one wins."""
    failsafe = made(LAYERS, target).failsafe
    assert expected == (failsafe.overtemp_c, failsafe.link_loss_s)


def test_a_list_is_replaced() -> None:
    """A list in an overlay replaces the list below as a whole."""
    zone = "yaw_min_deg = {0}\nyaw_max_deg = {1}\npitch_min_deg = 5\npitch_max_deg = 9\n"
    below = "[[keep_out]]\nreason = 'a'\n" + zone.format(10, 20)
    above = "[[overlay.kind.drone.keep_out]]\nreason = 'b'\n" + zone.format(30, 40)
    found = made(below * 2 + above, Target(kind="drone"))
    assert ["b"] == [each.reason for each in found.keep_out]


def test_sections_of_other_kinds_are_left_out() -> None:
    """A device has the section of its kind, with its defaults, and no other."""
    found = made("[drone]\nlow_battery_pct = 30\n[node]\n", Target(kind="arm"))
    assert "arm" == found.kind
    assert {"arm"} == {"drone", "arm", "node"} & found.model_dump(exclude_none=True).keys()


BAD = [
    ("[overlay.kind.boat]", "aim.conf:7: error: overlay.kind.boat: unknown kind"),
    ("[overlay.colour.red]", "aim.conf:7: error: overlay.colour: unknown overlay"),
    ("[overlay]\nkind = 3", "aim.conf:8: error: overlay.kind: must be a table of tables"),
    ("[overlay.group]\na = 3", "aim.conf:8: error: overlay.group.a: must be a table"),
    (
        "[overlay.group.a]\nschema = 2",
        "aim.conf:8: error: overlay.group.a.schema: can't stand in an overlay",
    ),
    (
        "[overlay.group.c.failsafe]\novertemp_c = 70",
        "aim.conf:7: error: overlay.group.c: fleet 'f' has no group of this name",
    ),
    (
        "[overlay.device.d-99.failsafe]\novertemp_c = 70",
        "aim.conf:7: error: overlay.device.d-99: fleet 'f' has no device of this name",
    ),
    (
        "[overlay.device.d-02.failsafe]\novertemp_c = 170",
        "aim.conf:8: error: overlay.device.d-02.failsafe.overtemp_c: 170 is above 100 (for d-02)",
    ),
    (
        "[overlay.group.a]\nfailsafe.overtemp = 70",
        "aim.conf:8: error: overlay.group.a.failsafe.overtemp: unknown key (for d-01)",
    ),
    (
        "[overlay.kind.drone]\nyaw = 3",
        (
            "aim.conf:8: error: overlay.kind.drone.yaw: an overlay can't turn a table into a "
            "value or back (for d-01, d-02)"
        ),
    ),
    (
        "[overlay.kind.arm.pitch]\nangle_max_deg = -10",
        "aim.conf:1: error: neutral.pitch_deg: 0 is outside pitch's -90 to -10 (for arm-01)",
    ),
    (
        (
            "[overlay.kind.arm.yaw]\nangle_max_deg = -10\n[neutral]\nyaw_deg = -20\n[retract]\n"
            "yaw_deg = 10"
        ),
        "aim.conf:12: error: retract.yaw_deg: 10 is outside yaw's -160 to -10 (for arm-01)",
    ),
    ("[node]\nframe_rate_hz = 500", "aim.conf:8: error: node.frame_rate_hz: 500 is above 120"),
    ("[fialsafe]", "aim.conf:7: error: fialsafe: unknown key"),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_a_mistake_is_told_where_it_was_made(text: str, expected: str) -> None:
    """What is wrong with a device's configuration is told at the overlay that makes it so."""
    found = sayings(bundle, text)
    assert expected in found
    assert all("neutral" in each or "retract" in each for each in found if each != expected)


BAD_AIM = """\
aim.conf:6: error: yaw.angle_min_deg: must be a number, is '-160'
aim.conf:7: error: yaw.rate_max_dps: unknown key
aim.conf:8: error: yaw.accel_max_deg_s2: 9000 is above 5000
aim.conf:11: error: pitch.angle_p: must be a finite number, is nan
aim.conf:12: error: pitch.enabled: must be true or false, is 1
aim.conf:15: error: stabilisation.mode: 'locked' is not 'lock', 'follow' or 'fpv'
aim.conf:17: error: keep_out[0].pitch_max_deg: is missing
aim.conf:21: error: keep_out[0].reason: must not be empty
aim.conf:24: error: overlay.kind.drone.tracking.gate_px: must be a whole number, is 4.5\
 (for d-01, d-02)"""


def test_a_configuration_tells_everything_that_is_wrong_with_it() -> None:
    """All mistakes of a configuration are told at once, each with its line and key."""
    bad = load_config(source((DATA / "bad_aim.conf").read_text()))
    found = sayings(make_bundle, bad, fleet())
    assert {*BAD_AIM.splitlines()} <= {*found}
    assert {"roll: is missing", "mode: unknown key"} == {
        each.partition("error: ")[2] for each in {*found} - {*BAD_AIM.splitlines()}
    }


def test_notes_come_in_the_order_of_the_file() -> None:
    """A person reads the mistakes from the top of the file to its end."""
    bad = load_config(source((DATA / "bad_aim.conf").read_text()))
    lines = [int(each.split(":")[1]) for each in sayings(make_bundle, bad, fleet())]
    assert sorted(lines) == lines


def test_yaml_and_json_overlays_name_their_lines() -> None:
    """The other formats name the line of an overlay's value as well."""
    text = "schema: 2\nyaw: {}\npitch: {}\nroll: {}\noverlay:\n  kind:\n    drone:\n      yaw:\n"
    text += "        angle_p: 99\n"
    found = sayings(make_bundle, load_config(source(text, "aim.yaml")), fleet())
    assert [
        "aim.yaml:9: error: overlay.kind.drone.yaw.angle_p: 99 is above 40 (for d-01, d-02)"
    ] == found


KEYS = st.sampled_from("abc")


def shaped(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Tables where a key is a table or a value by its depth alone, as in one schema."""
    item: st.SearchStrategy[Any] = shaped(depth - 1) if depth else st.integers()
    return st.dictionaries(KEYS, item, max_size=3)


TABLE = shaped(2)


@given(TABLE, TABLE, TABLE)
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    """Where tables have one shape it does not matter which overlays are merged first."""
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(TABLE)
def test_merging_with_nothing_or_itself_changes_nothing(a: dict[str, Any]) -> None:
    """The empty overlay is neutral on both sides, and an overlay applied twice is idempotent."""
    assert a == merge(a, {}) == merge({}, a) == merge(a, a)


def test_merging_is_not_associative_across_shapes() -> None:
    """Where a value replaces a table the order matters: that is why overlays refuse it."""
    a, b, c = {"x": {"p": 1}}, {"x": 3}, {"x": {"q": 2}}
    assert merge(merge(a, b), c) != merge(a, merge(b, c))


def test_merging_leaves_its_arguments_alone() -> None:
    """A base can be laid under many overlays."""
    base = {"x": {"p": 1}}
    merge(base, {"x": {"p": 2}})
    assert {"x": {"p": 1}} == base


def test_the_empty_configuration_is_refused_at_its_first_line() -> None:
    """What is missing as a whole is told at the top of the file."""
    assert {"aim.conf:1: error: schema: is missing", "aim.conf:1: error: yaw: is missing"} <= set(
        sayings(make_bundle, load_config(source("")), fleet())
    )


def test_the_small_configuration_fits_the_small_fleet() -> None:
    """The text from which these tests start is itself valid."""
    assert CONFIG
    assert [] == sayings(bundle)
