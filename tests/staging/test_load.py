"""Fleet files, reading, sizes and encodings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.types import CONFIG_BYTES_MAX, FLEET_DEVICES_MAX
from orchestrator.staging.load import identify, load_config, load_fleet, read, source
from orchestrator.staging.notes import NOTES_MAX, InvalidInput
from tests.staging.texts import CONFIG, DATA, FLEET, fleet, sayings
from tests.staging.texts import source as text

DRONE = '[[device]]\nid = "d-01"\nkind = "drone"\n'
HEAD = 'fleet = "f"\nconfig = "a.conf"\n'

BAD_FLEET = """\
f.toml:2: error: fleet: 'Hazard 12' is not a name
f.toml:3: error: config: '../aim.conf' is not a name
f.toml:6: error: timing.clock_error_ms: 0 is below 1
f.toml:7: error: timing.enable_lease: must be "none", or 2 to 3600 seconds
f.toml:9: error: gimbal.g30.torque_peak_nm: is missing
f.toml:13: error: gimbal.g30.modes[1]: 'glide' is not 'lock', 'follow' or 'fpv'
f.toml:17: error: device[0].kind: 'boat' is not 'drone', 'arm' or 'node'
f.toml:22: error: device[1].groups: must be a list, is 'north'"""


def test_a_fleet_tells_everything_that_is_wrong_with_it() -> None:
    """All mistakes of a fleet file are told at once, each with its line and key."""
    bad = (DATA / "bad_fleet.toml").read_text()
    assert BAD_FLEET.splitlines() == sayings(load_fleet, text(bad, "f.toml"))


BETWEEN = [
    (HEAD + DRONE + DRONE, "f.toml:7: error: device[1].id: 'd-01' is device[0] already"),
    (
        HEAD + DRONE + 'gimbal = "g31"\n[gimbal.g30]\nrate_max_deg_s = 9\naccel_max_deg_s2 = 90\n'
        'torque_peak_nm = 1\nmodes = ["lock"]\n',
        "f.toml:6: error: device[0].gimbal: no [gimbal.g31] in this file (known: g30)",
    ),
    (
        HEAD + DRONE + 'groups = ["a", "b", "a"]',
        "f.toml:6: error: device[0].groups: names 'a' twice",
    ),
    (
        FLEET.replace("min_deg = -40", "min_deg = 40"),
        "f.toml:6: error: gimbal.g30.roll.min_deg: 40 is not below max_deg 40",
    ),
    (
        FLEET.replace("[gimbal.g30]", '[gimbal.g30]\nname = "g31"'),
        "f.toml:4: error: gimbal.g30.name: must be 'g30', as its table",
    ),
    (
        HEAD + DRONE + "[timing]\nenable_lease = 30",
        "f.toml:7: error: timing.enable_lease: a lease needs an `aimctl serve` that renews it",
    ),
    (
        HEAD + 'serve = "localhost"\n' + DRONE,
        "f.toml:3: error: serve: must be a URL such as http://127.0.0.1:8470",
    ),
    (HEAD, "f.toml:1: error: device: is missing"),
    (HEAD + "device = []", "f.toml:3: error: device: needs at least 1, has 0"),
    (HEAD + DRONE + "colour = 1", "f.toml:6: error: device[0].colour: unknown key"),
    (HEAD + "timing = 3\n" + DRONE, "f.toml:3: error: timing: must be a table, is 3"),
    (
        HEAD + "timing.window_s = 2026-01-01\n" + DRONE,
        "f.toml:3: error: timing.window_s: must be a number, is a date",
    ),
    (
        HEAD + DRONE.replace("d-01", "../x"),
        "f.toml:4: error: device[0].id: '../x' is not a name",
    ),
]


@pytest.mark.parametrize(("toml", "expected"), BETWEEN)
def test_a_fleet_is_refused_by_line_and_key(toml: str, expected: str) -> None:
    """Each mistake alone gives exactly one note that names its place."""
    assert [expected] == sayings(load_fleet, text(toml, "f.toml"))


def test_a_lease_is_accepted_where_a_server_renews_it() -> None:
    """A number of seconds is the fleet's hover budget; "none" is no lease."""
    served = HEAD + 'serve = "http://127.0.0.1:8470"\n' + DRONE
    assert 30.0 == load_fleet(text(served + "[timing]\nenable_lease = 30")).file.timing.lease_s
    assert None is load_fleet(text(served)).file.timing.lease_s


FIXES = [
    (HEAD + DRONE + 'gimbel = "g"', "did you mean gimbal?"),
    (HEAD + DRONE + "[timing]\nsettle = 3", "did you mean settle_s?"),
    (HEAD + DRONE + "[gimbal.g]\nmode = []", "did you mean modes?"),
    (HEAD + DRONE.replace("d-01", "D 1"), ("use lower-case letters, digits, '.', '_' and '-', "
     "at most 63")),
    (HEAD + DRONE + "[timing]\nsettle_s = 0", "use 0.1 or more"),
    (HEAD + DRONE + "[timing]\nenable_lease = true",
     'write enable_lease = "none", or seconds without quotes'),
    (HEAD + DRONE.replace("drone", "boat"), "use 'drone', 'arm' or 'node'"),
    (HEAD + DRONE + "[timing]\nsettle_s = '3'", "write a number without quotes"),
    (HEAD + DRONE + "[timing]\nzzz = 3",
     "remove it; known are clock_error_ms, enable_lease, settle_s, window_s"),
]  # fmt: skip


@pytest.mark.parametrize(("toml", "expected"), FIXES)
def test_a_note_says_how_to_mend_it(toml: str, expected: str) -> None:
    """A mistake comes with a hint that names what was probably meant."""
    with pytest.raises(InvalidInput) as caught:
        load_fleet(text(toml, "f.toml"))
    assert expected in [note.fix for note in caught.value.notes]


@pytest.mark.parametrize("name", ["aim.conf", "a", "A-1_x.tar.gz", "aim_lock_config.next.conf"])
def test_a_config_name_is_a_plain_file_name(name: str) -> None:
    """Names that are safe as file names are accepted."""
    assert name == fleet(FLEET.replace("aim.conf", name)).file.config


@pytest.mark.parametrize("name", ["", ".", "..", ".conf", "a/b", "a b", "a.", "a..b", "é", "-a",
                                  "a\\\\n", "a" * 101])  # fmt: skip
def test_a_config_name_never_leaves_its_directory(name: str) -> None:
    """Names that a file system could take for something else are refused."""
    assert [] != sayings(fleet, FLEET.replace("aim.conf", name))


def test_the_three_formats_say_the_same() -> None:
    """One fleet in TOML, YAML and JSON is one fleet."""
    values = {"fleet": "f", "config": "a.conf", "device": [{"id": "d-01", "kind": "drone"}]}
    toml = load_fleet(text(HEAD + DRONE, "f.toml")).file
    yaml = "fleet: f\nconfig: a.conf\ndevice:\n- id: d-01\n  kind: drone\n"
    assert toml == load_fleet(text(yaml, "f.yml")).file
    assert toml == load_fleet(text(json.dumps(values), "f.json")).file


def test_a_large_fleet_is_read_and_a_larger_one_refused() -> None:
    """The bound on devices holds, and one mistake in each of them stays readable."""
    devices = [f'[[device]]\nid = "d-{n}"\nkind = "drone"\n' for n in range(FLEET_DEVICES_MAX)]
    whole = HEAD + "".join(devices)
    assert FLEET_DEVICES_MAX == len(fleet(whole).file.device)
    more = whole + '[[device]]\nid = "x"\nkind = "drone"\n'
    assert ["f.toml:3: error: device: may have at most 20000"] == sayings(fleet, more)
    wrong = sayings(fleet, whole.replace('"drone"', '"boat"'))
    assert NOTES_MAX == len(wrong)
    assert "f.toml:302: error: and 19901 more" == wrong[-1]


def test_a_file_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    """A file that can't be opened is told with the system's reason."""
    path = tmp_path / "none.toml"
    assert [f"{path}: error: can't be read: No such file or directory"] == sayings(read, path)
    assert [f"{tmp_path}: error: can't be read: Is a directory"] == sayings(read, tmp_path)


def test_a_file_is_read_up_to_its_cap(tmp_path: Path) -> None:
    """One byte more than the cap is refused."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * 11)
    assert "#" * 11 == read(path, 11).text
    assert [f"{path}: error: has more than 10 bytes"] == sayings(read, path, 10)


def test_other_encodings_are_refused_by_line() -> None:
    """Bytes that are not UTF-8 are refused, with their line; a byte order mark is harmless."""
    assert ["a: error: is not UTF-8 (line 2)"] == sayings(source, "a", b"x = 1\n\xff")
    assert source("a", b"\xef\xbb\xbfx = 1").text == "x = 1"


def test_a_configuration_is_capped() -> None:
    """A configuration larger than the cap of a configuration is refused."""
    long = CONFIG + "#" * CONFIG_BYTES_MAX
    assert ["aim.conf: error: has more than 65536 bytes"] == sayings(load_config, text(long))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes make the loaders raise anything but the typed error."""
    for name in ("a.toml", "a.yaml", "a.json"):
        sayings(lambda name=name: load_fleet(source(name, data)))
        sayings(lambda name=name: load_config(source(name, data)))


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("plan", {"schema": 1, "type": "plan-file"}),
        ("fleet", {"fleet": "f", "config": "a", "device": []}),
        ("fleet", {"fleet": "f", "config": "a"}),
        ("config", {"schema": 1, "yaw": {}}),
        ("config", {"yaw": {}}),
        ("other", {"$schema": "…"}),
        ("other", {"fleet": "f", "wave": []}),
        ("other", []),
    ],
)
def test_files_are_told_apart(expected: str, values: object) -> None:
    """Top-level keys say whether a file is a plan, a fleet, a configuration or another thing."""
    assert expected == identify(values)
