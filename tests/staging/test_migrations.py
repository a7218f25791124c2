"""Configurations of older schemas: files, the bytes that devices hold, and schemas to come."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import __version__
from orchestrator.staging.bundle import decode_config, encode_config, make_bundle
from orchestrator.staging.canonical import canonical, digest_of
from orchestrator.staging.lint import lint_texts
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.migrations import OLDEST, STEPS, from_1_to_2, migrate
from orchestrator.staging.models import SCHEMA_VERSION, AimConfig
from orchestrator.staging.notes import Severity
from orchestrator.staging.overlay import Target, effective, merge
from tests.staging.texts import CONFIG, CONFIGS, DATA, FLEET, sayings, source

OLD = DATA / "schema-1"
OLD_SCHEMA = json.loads((OLD / "effective-config.schema.json").read_text())
SAMPLES = [
    ("aim_lock_config.conf", "hazard-12.toml"),
    ("aim_lock_config.next.conf", "hazard-12.toml"),
    ("yard_aim.conf", "yard-mixed.toml"),
]
HELD = ("arm-03.json", "d-01.json", "node-01.json")
"""Canonical bytes that devices of a fleet ran before schema 2."""

OLD_TEXT = CONFIG.replace("schema = 2", "schema = 1")


def test_every_step_leads_to_the_next_and_the_last_to_the_newest() -> None:
    """There is a way from every known schema."""
    assert list(range(OLDEST + 1, SCHEMA_VERSION + 1)) == [step.to for step in STEPS]


def test_every_step_says_what_it_does() -> None:
    """Each step has a docstring: it is what a person reads who wonders about a value."""
    assert [] == [step.to for step in STEPS if not (step.change.__doc__ or "").strip()]


def test_the_target_lock_of_schema_1_has_new_names() -> None:
    """Step 1 to 2: the old names are gone, the thresholds beside the old one are in order."""
    old = {
        "schema": 1,
        "yaw": {"angle_p": 9},
        "tracking": {"confidence_min": 0.8, "coast_s": 2, "reacquire_s": 7, "roi_px": 32},
        "overlay": {"group": {"north": {"tracking": {"confidence_min": 0.3}}}},
    }
    assert {
        "schema": 2,
        "yaw": {"angle_p": 9, "notch_hz": 0, "notch_bandwidth_hz": 20,
                "notch_attenuation_db": 30},
        "tracking": {"acquire_confidence": 0.8, "hold_confidence": 0.8, "lose_confidence": 0.4,
                     "prediction_horizon_s": 2, "reacquire_timeout_s": 7, "roi_px": 32},
        "overlay": {"group": {"north": {"tracking": {
            "acquire_confidence": 0.7, "hold_confidence": 0.3, "lose_confidence": 0.3}}}},
    } == from_1_to_2(old)  # fmt: skip


@pytest.mark.parametrize(
    "old",
    [
        {"schema": 1, "yaw": 3, "tracking": [], "overlay": 4},
        {"schema": 1, "tracking": {"confidence_min": "0.6"}, "overlay": {"kind": 4}},
        {"schema": 1, "tracking": {"confidence_min": True}, "overlay": {"kind": {"arm": 4}}},
        {"schema": "1"},
        {},
    ],
)
def test_what_is_wrong_stays_wrong(old: dict[str, Any]) -> None:
    """A step never mends nor hides a mistake, raises nothing and changes only a copy."""
    before = copy.deepcopy(old)
    found = migrate(old)
    assert before == old
    assert {key: value for key, value in found.items() if key not in {"schema", "tracking"}} == {
        key: value for key, value in old.items() if key not in {"schema", "tracking"}
    }
    assert sayings(decode_config, canonical(found))


# ---------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(("config", "fleet"), SAMPLES)
def test_an_old_sample_is_still_a_sample(config: str, fleet: str) -> None:
    """Every sample of schema 1 goes with today's fleets, but for what its gimbals can't do."""
    loaded = load_fleet(read(CONFIGS / "fleets" / fleet))
    old = load_config(read(OLD / config))
    assert make_bundle(old, loaded, check_hardware=False).digests


@pytest.mark.parametrize("config", [config for config, _ in SAMPLES[:2]])
def test_an_old_sample_says_what_the_new_one_says(config: str) -> None:
    """The two samples that only changed their schema mean what they meant."""
    loaded = load_fleet(read(CONFIGS / "fleets" / "hazard-12.toml"))
    old = make_bundle(load_config(read(OLD / config)), loaded)
    new = make_bundle(load_config(read(CONFIGS / config)), loaded)
    changed = {"acquire_confidence": 0.7, "lose_confidence": 0.4}
    (was,), (now,) = ([json.loads(each) for each in b.configs.values()] for b in (old, new))
    now["tracking"].update(changed)
    assert was == now


def test_lint_tells_of_an_old_schema_at_its_line() -> None:
    """A file of schema 1 is read; a note names the line and the keys that have new names."""
    text = OLD_TEXT + "[tracking]\nconfidence_min = 0.8\n[overlay.group.a.tracking]\ncoast_s = 2\n"
    (note,) = lint_texts([source(text), source(FLEET.replace('"arm"', '"drone"'), "f.toml")])[:1]
    assert (Severity.INFO, 1, "schema", "schema") == (
        note.severity, note.line, note.key, note.component,
    )  # fmt: skip
    assert (
        "1 is an older schema, read as 2: tracking.confidence_min is hold_confidence, "
        "tracking.coast_s is prediction_horizon_s"
    ) == note.message
    assert "write schema = 2, and the keys by their new names" == note.fix


def test_lint_tells_of_an_old_schema_without_a_fleet_too() -> None:
    """The same for a configuration alone."""
    assert "aim.conf:1: info: schema: 1 is an older schema, read as 2" in [
        str(note) for note in lint_texts([source(OLD_TEXT)])
    ]


def test_a_mistake_in_an_old_file_is_told_at_its_line() -> None:
    """A value under an old name is told by the new one, at the line where it stands."""
    text = OLD_TEXT + "[overlay.kind.drone.tracking]\nroi_px = 64\ncoast_s = 9\n"
    key = "overlay.kind.drone.tracking.prediction_horizon_s"
    loaded = load_fleet(source(FLEET, "f.toml"))
    assert [f"aim.conf:9: error: {key}: 9 is above 5 (for d-01, d-02)"] == sayings(
        make_bundle, load_config(source(text)), loaded
    )


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("[tracking]\nhold_confidence = 0.5", "tracking.hold_confidence", 8),
        ("[overlay.device.x.yaw]\nnotch_hz = 50", "overlay.device.x.yaw.notch_hz", 8),
    ],
)
def test_a_key_that_the_old_schema_did_not_have_is_refused(
    text: str, path: str, line: int
) -> None:
    """Programs of its time refused it, so the file can't be meant as one of theirs."""
    expected = f"aim.conf:{line}: error: {path}: is new in schema 2, this file says schema 1"
    assert [expected] == sayings(load_config, source(OLD_TEXT + text))


def test_a_newer_schema_is_refused_with_the_version_that_it_needs() -> None:
    """A file from the future is told as such, not as a heap of unknown keys."""
    text = CONFIG.replace("schema = 2", "schema = 3") + "[colour]\nx = 1\n"
    expected = f"3 is newer than what this program knows: {__version__} reads 1 to 2"
    (note,) = lint_texts([source(text)])
    assert f"aim.conf:1: error: schema: {expected}" == str(note)
    assert f"use an aim-fleet later than {__version__}" == note.fix
    assert [f"configuration:1: error: schema: {expected}"] == sayings(
        decode_config, canonical({"schema": 3})
    )


@pytest.mark.parametrize("schema", [0, -1])
def test_a_schema_that_never_was_is_refused(schema: int) -> None:
    """Only schemas that there were can be read."""
    text = CONFIG.replace("schema = 2", f"schema = {schema}")
    assert [f"aim.conf:1: error: schema: {schema} is no schema; known are 1 to 2"] == sayings(
        load_config, source(text)
    )


# ---------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("name", HELD)
def test_bytes_that_a_device_holds_are_read(name: str) -> None:
    """Canonical bytes of schema 1 decode to a configuration of schema 2."""
    config = decode_config((OLD / name).read_bytes())
    assert (2, 0.6) == (config.schema_version, config.tracking.hold_confidence)
    assert {0} == {axis.notch_hz for axis in (config.yaw, config.pitch, config.roll)}


def test_the_digest_of_old_bytes_stays_their_own() -> None:
    """What a fleet ran before schema 2 is named as it was: its bytes are never written anew."""
    data = (OLD / "d-01.json").read_bytes()
    assert "sha256:85d04306e2c7a5ccd4f68a3b8fb99e3e04f9ee2e5024b85aa4190b86d190d525" == digest_of(
        data
    )
    assert digest_of(data) != digest_of(encode_config(decode_config(data)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"coast_s":1', b'"coast_s":1.0'),
        (b'"coast_s":1,', b""),
        (b'"keep_out":[', b'"keep_out" :['),
        (b'"schema":1', b'"node":null,"schema":1'),
        (b'"yaw":{', b'"yaw":{"notch_hz":0,'),
    ],
)
def test_a_second_spelling_of_old_bytes_is_refused(old: bytes, new: bytes) -> None:
    """Old bytes have one form too: canonical, every key of their schema written out."""
    data = (OLD / "d-01.json").read_bytes()
    assert [] == sayings(decode_config, data)
    changed = data.replace(old, new, 1)
    assert changed != data
    assert [] != sayings(decode_config, changed)


# ----------------------------------------------------------------------------------- properties


def share(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers as a file or canonical bytes have them."""
    return st.floats(low, high) | st.integers(int(low) + (low > int(low)), int(high))


def old_axis(*, brakes: bool) -> st.SearchStrategy[dict[str, Any]]:
    """An axis of schema 1; rates that brake in time, whatever else is drawn."""
    rates = {"rate_max_deg_s": share(90, 100), "accel_max_deg_s2": share(600, 5000)}
    return st.fixed_dictionaries(
        rates if brakes else {},
        optional={
            "angle_p": share(0.5, 40),
            "rate_p": share(0.001, 2),
            "rate_i": share(0, 20),
            "rate_d": st.floats(0, 0.02),
            "gyro_lpf_hz": share(5, 400),
            "integrator_max_nm": st.floats(0, 0.2),
            "torque_max_nm": share(0.21, 2),
            "lead_s": st.floats(0, 0.2),
        },
    )


OLD_TRACKING: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "roi_px": st.integers(64, 512),
        "gate_px": st.integers(8, 64),
        "confidence_min": share(0, 1),
        "coast_s": share(0, 5),
        "reacquire_s": share(0, 30),
        "rate_max_deg_s": share(1, 90),
        "on_lost": st.sampled_from(["hold", "neutral", "search"]),
    },
)
OLD_KINDS = st.one_of(
    st.fixed_dictionaries({"drone": st.just({}) | st.just({"low_battery_pct": 50})}),
    st.fixed_dictionaries({"arm": st.fixed_dictionaries({"pause_ramp_s": share(0.1, 10)})}),
    st.fixed_dictionaries({"node": st.fixed_dictionaries({"frame_rate_hz": share(1, 120)})}),
)
OLD_CONFIGS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda base, kind: {**base, **kind},
    st.fixed_dictionaries(
        {
            "schema": st.just(1),
            "yaw": old_axis(brakes=True),
            "pitch": old_axis(brakes=True),
            "roll": st.just({"rate_max_deg_s": 90}),
            "tracking": OLD_TRACKING,
        },
        optional={"failsafe": st.just({"overtemp_c": 70}), "apply": st.just({"blend_s": 0})},
    ),
    OLD_KINDS,
)


@given(OLD_CONFIGS)
def test_a_valid_old_configuration_is_a_valid_new_one(old: Mapping[str, Any]) -> None:
    """What schema 1 accepted, schema 2 accepts after the step."""
    assert [] == list(jsonschema.Draft202012Validator(OLD_SCHEMA).iter_errors(old))
    AimConfig.model_validate(migrate(old))


@given(OLD_CONFIGS, OLD_TRACKING)
def test_migrating_and_merging_commute(old: dict[str, Any], tracking: dict[str, Any]) -> None:
    """An old file with overlays gives each device what its old configuration becomes."""
    layer = {"tracking": tracking}
    whole = {**old, "overlay": {"kind": {"drone": layer}}}
    through = migrate(whole)
    merged = merge({k: v for k, v in through.items() if k != "overlay"},
                   through["overlay"]["kind"]["drone"])  # fmt: skip
    assert migrate(merge(old, layer)) == merged


@given(OLD_CONFIGS)
def test_migrating_twice_changes_nothing_more(old: dict[str, Any]) -> None:
    """A document of the newest schema is left as it is."""
    once = migrate(old)
    assert once == migrate(once)


def test_an_old_configuration_is_effective_for_a_device() -> None:
    """The whole way: text of schema 1, overlays, what one device runs."""
    text = OLD_TEXT + "[tracking]\ncoast_s = 2\n[overlay.device.d-02.tracking]\ncoast_s = 3\n"
    found = effective(load_config(source(text)), Target(kind="drone", device="d-02"))
    assert isinstance(found, AimConfig)
    assert 3 == found.tracking.prediction_horizon_s
