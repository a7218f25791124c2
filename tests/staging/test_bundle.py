"""Canonical bytes, digests, bundles and what a device refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.types import CONFIG_BYTES_MAX
from orchestrator.staging.bundle import (
    Bundle,
    decode_config,
    decode_manifest,
    encode_config,
    make_bundle,
)
from orchestrator.staging.canonical import canonical, digest_of
from orchestrator.staging.load import load_config, load_fleet, read
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import InvalidInput
from orchestrator.staging.overlay import Target, effective
from tests.staging.texts import CONFIG, CONFIGS, FLEET, bundle, config, fleet, sayings, source

GOLDEN = {
    "aim_lock_config": "77c1f6dbeab6a25907881e8ccd9f71b37d1d55424f39957e3a8e96ef9472cdda",
    "aim_lock_config.next": "bdf9bd691db856112dd3feedd28c035b23f0cd72f02f4e3ea5de430cefb1495c",
}
GOLDEN_YARD = "sha256:735b86d709054f844025ab8802d7e6186031173da4c94571ba826632beb326e5"


def sample(config_name: str, fleet_name: str) -> Bundle:
    """Bundle a sample configuration for a sample fleet."""
    fleet_file = load_fleet(read(CONFIGS / "fleets" / fleet_name))
    return make_bundle(load_config(read(CONFIGS / config_name)), fleet_file)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_digest_of_a_sample_never_changes(name: str) -> None:
    """Another encoder, default or library must not change the digests that fleets run."""
    (digest,) = sample(f"{name}.conf", "hazard-12.toml").configs
    assert f"sha256:{GOLDEN[name]}" == digest


def test_the_digest_of_a_mixed_bundle_never_changes() -> None:
    """The same for a manifest of several configurations."""
    assert GOLDEN_YARD == sample("yard_aim.conf", "yard-mixed.toml").digest


def plain() -> AimConfig:
    """Return what a drone runs of the small configuration."""
    found = effective(config(), Target(kind="drone"))
    assert isinstance(found, AimConfig)
    return found


def test_canonical_bytes_are_rfc_8785_with_the_defaults_explicit() -> None:
    """Sorted keys, shortest numbers, no blanks, no newline; nothing is left to a default."""
    data = encode_config(plain())
    values = json.loads(data)
    assert data.startswith(b'{"apply":{"allow_in_flight":true,"blend_s":0.5,')
    assert json.dumps(values, separators=(",", ":"), sort_keys=True).encode() == data
    assert 8 == values["pitch"]["angle_p"]
    assert "arm" not in values


def test_spelling_does_not_change_the_bytes() -> None:
    """Order, comments, 8 or 8.0, a default written out or not, TOML or YAML: one digest."""
    yaml = "drone: {}\nroll: {}\npitch: {angle_p: 8.0}\nyaw:\n  angle_max_deg: 160.0\n"
    yaml += "  angle_min_deg: -160\nschema: 2\n"
    other = make_bundle(load_config(source(yaml, "aim.yaml")), fleet())
    assert bundle().digest == other.digest


def test_a_digest_is_that_of_the_file() -> None:
    """The digest is SHA-256 of the bytes, as sha256sum prints it."""
    assert f"sha256:{hashlib.sha256(b'x').hexdigest()}" == digest_of(b"x")


def test_devices_that_run_the_same_share_one_configuration() -> None:
    """A bundle holds each distinct configuration once, and names it for every device."""
    made = bundle("[overlay.device.d-02.failsafe]\novertemp_c = 70\n")
    assert ["arm-01", "d-01", "d-02"] == list(made.digests)
    assert 3 == len(set(made.digests.values()))
    assert 2 == len(bundle().configs)
    assert set(made.digests.values()) == set(made.configs)


def test_the_manifest_names_the_bundle() -> None:
    """The bundle's digest is that of its manifest, from which the devices can be read again."""
    made = bundle()
    assert made.digest == digest_of(made.manifest)
    assert made.digests == decode_manifest(made.manifest)


def test_a_bundle_does_not_depend_on_the_order_of_the_fleet_file() -> None:
    """Devices in another order are the same bundle."""
    head, *devices = FLEET.split("[[device]]")
    other = "[[device]]".join([head, *reversed(devices)])
    assert bundle() == make_bundle(config(), fleet(other))


def test_hardware_limits_are_told_at_the_line_that_exceeds_them() -> None:
    """What the gimbal can't do is refused where it is asked for, with the devices concerned."""
    text = "[overlay.group.a]\nyaw = { angle_max_deg = 200, rate_max_deg_s = 190 }\n"
    text += "[stabilisation]\nmode = 'fpv'\n"
    assert [
        (
            "aim.conf:8: error: overlay.group.a.yaw.angle_max_deg: 200 > 170 of gimbal 'g30' "
            "(for d-01)"
        ),
        (
            "aim.conf:8: error: overlay.group.a.yaw.rate_max_deg_s: 190 > 180 of gimbal 'g30' "
            "(for d-01)"
        ),
        (
            "aim.conf:10: error: stabilisation.mode: fpv is not supported by gimbal 'g30' "
            "(lock, follow) (for d-01, d-02)"
        ),
    ] == sayings(bundle, text)


def test_hardware_limits_can_be_left_to_the_votes() -> None:
    """Without the check the bundle is made, and it is the devices that say no."""
    text = config("[overlay.group.a]\nyaw.angle_max_deg = 200\n")
    assert make_bundle(text, fleet(), check_hardware=False).digests


def test_many_devices_are_counted_in_a_message() -> None:
    """A message names three devices and counts the rest."""
    more = "".join(
        f'[[device]]\nid = "d-{n}"\nkind = "drone"\ngimbal = "g30"\n' for n in range(10, 13)
    )
    text = config("[overlay.kind.drone]\nyaw.angle_max_deg = 200\n")
    (said,) = sayings(make_bundle, text, fleet(FLEET + more))
    assert said.endswith("(for d-01, d-02, d-10 and 2 more)")


def test_an_invalid_configuration_exits_with_9_and_names_lint() -> None:
    """The error of a bundle carries the exit code and the next command."""
    with pytest.raises(InvalidInput) as caught:
        bundle("[fialsafe]")
    assert (9, "aimctl lint aim.conf f.toml") == (
        caught.value.exit_code,
        caught.value.next_command,
    )
    assert "(fix: did you mean failsafe?)" in caught.value.message


BAD_BYTES = [
    (b"", "configuration:1: error: not JSON: Expecting value"),
    (b"[]", "configuration:1: error: must be a table of keys and values"),
    (b"\xff", "configuration: error: is not UTF-8 (line 1)"),
    (b" " * (CONFIG_BYTES_MAX + 1), "configuration: error: has more than 65536 bytes"),
]


@pytest.mark.parametrize(("data", "expected"), BAD_BYTES)
def test_bytes_that_are_no_configuration_are_refused(data: bytes, expected: str) -> None:
    """A device says what is wrong with the bytes that it was sent."""
    assert [expected] == sayings(decode_config, data)


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "newline": lambda data: data + b"\n",
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "long number": lambda data: data.replace(b'"angle_p":8', b'"angle_p":8.0', 1),
    "blank": lambda data: data.replace(b":", b": ", 1),
    "order": lambda data: json.dumps(dict(reversed(json.loads(data).items()))).encode(),
    "escape": lambda data: data.replace(b'"neutral"', b'"neutra\\u006c"', 1),
    "null": lambda data: data.replace(b'"schema":2', b'"schema":2,"arm":null'),
    "default": lambda data: data.replace(b'"keep_out":[],', b""),
    "minus nought": lambda data: data.replace(b'"roll_deg":0', b'"roll_deg":-0', 1),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_second_spelling_is_refused(spelling: str) -> None:
    """Equal configurations have equal bytes: a device takes no other spelling."""
    data = SPELLINGS[spelling](encode_config(plain()))
    assert encode_config(plain()) != data
    assert [] != sayings(decode_config, data)


def test_a_device_hears_every_reason() -> None:
    """The refusal of a configuration carries one reason for each thing that is wrong."""
    values = json.loads(encode_config(plain()))
    values["yaw"]["angle_p"] = 99
    values["neutral"]["zoom"] = 1
    with pytest.raises(InvalidInput) as caught:
        decode_config(canonical(values))
    assert {"yaw.angle_p: 99 is above 40", "neutral.zoom: unknown key"} == set(
        caught.value.reasons
    )


def test_a_manifest_names_each_device_once() -> None:
    """A device under two digests is refused."""
    devices = {f"sha256:{'0' * 64}": ["a"], f"sha256:{'1' * 64}": ["a"]}
    data = canonical({"schema": 1, "type": "bundle", "devices": devices})
    assert ["bundle: error: names a device twice"] == sayings(decode_manifest, data)


AXIS = st.fixed_dictionaries(
    {},
    optional={
        "angle_p": st.floats(0.5, 40),
        "rate_p": st.floats(0.001, 2),
        "rate_i": st.floats(0, 20) | st.integers(0, 20),
        "gyro_lpf_hz": st.floats(5, 400),
        "lead_s": st.floats(0, 0.2) | st.just(-0.0),
    },
)
VALUES = st.fixed_dictionaries(
    {"schema": st.just(2), "yaw": AXIS, "pitch": AXIS, "roll": AXIS},
    optional={
        "failsafe": st.fixed_dictionaries({"overtemp_c": st.floats(50, 100)}),
        "apply": st.fixed_dictionaries({"allow_in_flight": st.booleans()}),
        "keep_out": st.lists(
            st.fixed_dictionaries(
                {
                    "yaw_min_deg": st.floats(20, 50),
                    "yaw_max_deg": st.floats(60, 90),
                    "pitch_min_deg": st.floats(5, 8),
                    "pitch_max_deg": st.floats(9, 15),
                    "reason": st.text(
                        st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20
                    ),
                }
            ),
            max_size=3,
        ),
    },
)


@given(VALUES, st.sampled_from(["drone", "arm", "node"]))
def test_decoding_gives_back_what_was_encoded(values: dict[str, Any], kind: str) -> None:
    """decode(encode(x)) is x, and encoding is a fixed point."""
    made = AimConfig.model_validate({**values, kind: {}})
    data = encode_config(made)
    assert made == decode_config(data)
    assert data == encode_config(decode_config(data))


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    """No bytes make the decoders raise anything but the typed error."""
    assert [] != sayings(decode_config, data)
    assert [] != sayings(decode_manifest, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(AimConfig.model_fields)), JSON)
def test_any_value_anywhere_is_decoded_or_refused(key: str, value: Any) -> None:
    """Nor does any JSON value in the place of a section."""
    values = json.loads(encode_config(plain()))
    values[key] = value
    sayings(decode_config, json.dumps(values, sort_keys=True, separators=(",", ":")).encode())


@given(st.data())
def test_damaged_bytes_are_refused(data: st.DataObject) -> None:
    """One changed byte never passes for the same configuration."""
    good = bytearray(encode_config(plain()))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_config(bytes(good))
    except InvalidInput:
        return
    assert found != plain()


def test_the_small_texts_are_the_base_of_these_tests() -> None:
    """The configuration in TOML that the others vary is read as it stands."""
    assert load_config(source(CONFIG)).base["schema"] == 2
