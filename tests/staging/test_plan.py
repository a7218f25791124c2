"""Plans, their blobs and the file that a push can start from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    DISTINCT_CONFIGS_MAX,
    FLEET_DEVICES_MAX,
    DeviceId,
    Digest,
    FleetId,
    Plan,
)
from orchestrator.staging.bundle import bundle_of
from orchestrator.staging.canonical import canonical, digest_of
from orchestrator.staging.documents import Source
from orchestrator.staging.load import identify
from orchestrator.staging.plan import decode_plan, encode_plan, make_plan
from orchestrator.staging.planfile import (
    PlanFile,
    encode_plan_file,
    load_plan_file,
    make_plan_file,
)
from tests.staging.texts import bundle, fleet, sayings

D01, D02, ARM = DeviceId("d-01"), DeviceId("d-02"), DeviceId("arm-01")
WITH_OVERLAY = "[overlay.device.d-02.failsafe]\novertemp_c = 70\n"


def plan(**options: Any) -> Plan:
    """Plan the small fleet's push from version 17."""
    return make_plan(fleet().file, bundle(WITH_OVERLAY), 17, **options)


def test_a_plan_names_every_member_and_what_it_will_run() -> None:
    """A plan has nothing left to decide: fleet, base, bundle, digest by device."""
    made = bundle(WITH_OVERLAY)
    found = plan()
    assert ("f", "aim.conf", 17, made.digest) == (
        found.fleet, found.config, found.base_version, found.bundle,
    )  # fmt: skip
    assert made.digests == found.digests
    assert (ARM, D01, D02) == found.members


def test_an_excused_device_is_no_member() -> None:
    """Who is excused does not vote, is named, and stays in the bundle."""
    found = plan(excused=[D02])
    assert ((ARM, D01), (D02,)) == (found.members, found.excused)
    assert D02 in bundle(WITH_OVERLAY).digests


def test_a_plan_without_members_is_refused() -> None:
    """A push to nobody is a mistake."""
    assert ["f: error: has no device left to push to"] == sayings(plan, excused=[ARM, D01, D02])


def test_an_unknown_device_can_t_be_excused() -> None:
    """A mistyped id must not silently excuse nobody."""
    assert ["f: error: has no device d-99 to excuse"] == sayings(plan, excused=[DeviceId("d-99")])


def test_a_plan_survives_its_blob() -> None:
    """decode(encode(plan)) is the plan, in the same order of members."""
    for found in (plan(), plan(excused=[D01])):
        again = decode_plan(encode_plan(found))
        assert found == again
        assert found.members == again.members


def test_the_bytes_of_a_plan_never_change() -> None:
    """Devices written in other languages depend on the form of the plan blob."""
    small = Plan(
        fleet=FleetId("f"), config="a.conf", base_version=0, bundle=Digest(f"sha256:{'b' * 64}"),
        digests={D02: Digest(f"sha256:{'a' * 64}"), D01: Digest(f"sha256:{'a' * 64}")},
        excused=(ARM,),
    )  # fmt: skip
    expected = (
        '{"base_version":0,"bundle":"sha256:' + "b" * 64 + '","config":"a.conf","devices":'
        '{"sha256:' + "a" * 64 + '":["d-01","d-02"]},"excused":["arm-01"],"fleet":"f",'
        '"schema":1,"type":"plan"}'
    )
    assert expected.encode() == encode_plan(small)


def test_a_plan_of_too_many_configurations_is_refused() -> None:
    """PREPARE names every distinct configuration in one message of bounded size."""
    digests = {DeviceId(f"d-{n:05}"): digest_of(str(n).encode()) for n in range(3_001)}
    (said,) = sayings(make_plan, fleet().file, bundle_of({}, digests), 0)
    assert said.endswith(f"has 3001 distinct configurations, more than {DISTINCT_CONFIGS_MAX}")


def test_the_largest_plan_fits_a_blob() -> None:
    """Twenty thousand long ids and as many configurations as are allowed fit into a blob."""
    digests = {
        DeviceId(f"d-{n:05}" + "x" * 56): digest_of(b"%d" % (n % DISTINCT_CONFIGS_MAX))
        for n in range(FLEET_DEVICES_MAX)
    }
    assert len(encode_plan(make_plan(fleet().file, bundle_of({}, digests), 0))) <= BLOB_BYTES_MAX


def test_a_plan_of_the_largest_fleet_fits() -> None:
    """Twenty thousand devices that run a few configurations fit into a blob."""
    digests = {DeviceId(f"drone-{n:05}"): digest_of(b"%d" % (n % 5)) for n in range(20_000)}
    made = make_plan(fleet().file, bundle_of({}, digests), 0)
    assert made == decode_plan(encode_plan(made))


def spoiled(**changes: Any) -> bytes:
    """Return the bytes of a plan with some entries changed."""
    return canonical({**json.loads(encode_plan(plan(excused=[D02]))), **changes})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (spoiled(fleet="F"), "plan:1: error: fleet: 'F' is not a name"),
        (spoiled(base_version=-1), "plan:1: error: base_version: -1 is below 0"),
        (spoiled(base_version=1.5), "plan:1: error: base_version: must be a whole number, is 1.5"),
        (spoiled(bundle="sha256:0"), "plan:1: error: bundle: 'sha256:0' is not a name"),
        (spoiled(config="../x"), "plan:1: error: config: '../x' is not a name"),
        (spoiled(type="bundle"), "plan:1: error: type: 'bundle' is not 'plan'"),
        (spoiled(devices={}), "plan:1: error: devices: needs at least 1, has 0"),
        (spoiled(more=1), "plan:1: error: more: unknown key"),
        (spoiled(excused=["d-01"]), "plan: error: excuses a member, or a device twice"),
        (spoiled(excused=["d-02", "d-02"]), "plan: error: excuses a member, or a device twice"),
        (encode_plan(plan()) + b" ", "plan: error: is not in canonical form"),
        (b"x" * (BLOB_BYTES_MAX + 1), f"plan: error: has more than {BLOB_BYTES_MAX} bytes"),
    ],
)
def test_a_spoiled_plan_is_refused(data: bytes, expected: str) -> None:
    """A device takes no plan that is not exactly one that encode_plan writes."""
    assert [expected] == sayings(decode_plan, data)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_plan(data: bytes) -> None:
    """No bytes make the decoder raise anything but the typed error."""
    assert [] != sayings(decode_plan, data)


# ------------------------------------------------------------------------------------ plan files


def plan_file(**options: Any) -> PlanFile:
    """Return the plan file of the same push."""
    return make_plan_file(
        plan(**options), bundle(WITH_OVERLAY), fleet().file, config_name="aim.conf",
        fleet_name="f.toml", made_by="mira@aim-control", made_at="2026-11-23T03:12:00Z",
    )  # fmt: skip


def text_of(values: Any) -> Source:
    """Write values as the text of a plan file."""
    return Source(name="p.json", text=json.dumps(values, indent=1))


def values_of(file: PlanFile) -> Any:
    """Read a plan file's values back."""
    return json.loads(encode_plan_file(file))


def test_a_plan_file_survives_its_text() -> None:
    """What was written is read again, excused devices and all; white space does not matter."""
    for file in (plan_file(), plan_file(excused=[D02])):
        assert file == load_plan_file(Source(name="p", text=encode_plan_file(file).decode(),
                                             suffix="json"))  # fmt: skip
        assert file == load_plan_file(text_of(values_of(file)))


def test_a_plan_file_is_told_from_a_configuration() -> None:
    """Push takes both, so the file says what it is."""
    assert "plan" == identify(values_of(plan_file()))


def changed(*path: str, to: Any) -> Source:
    """Return the text of a plan file with one value changed."""
    values = values_of(plan_file(excused=[D02]))
    table = values
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = to
    return text_of(values)


def first_config() -> str:
    """Return the digest of a configuration in the plan file."""
    return str(next(iter(values_of(plan_file())["configs"])))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (changed("configs", first_config(), to="{}"), "the text has another digest"),
        (changed("plan", "bundle", to="sha256:" + "0" * 64), "is not the digest of 'bundle'"),
        (changed("plan", "excused", to=[]), "does not agree with 'bundle'"),
        (changed("plan", "excused", to=["d-77"]), "does not agree with 'bundle'"),
        (changed("configs", "sha256:" + "0" * 64, to="{}"), "is not the set that 'bundle'"),
        (changed("timing", "settle_s", to="5"), "must be a number, is '5'"),
        (changed("type", to="plan"), "'plan' is not 'plan-file'"),
    ],
)
def test_a_changed_plan_file_is_refused(text: Source, expected: str) -> None:
    """Nothing in a plan file can be edited by hand without the digests telling."""
    assert any(expected in each for each in sayings(load_plan_file, text))


def test_a_plan_file_holds_only_valid_configurations() -> None:
    """A text with a fitting digest that is no configuration is refused by its reasons."""
    digest = digest_of(b"{}")
    values = values_of(plan_file())
    values["configs"] = {digest: "{}"}
    values["bundle"] = values["plan"]["devices"] = {digest: ["arm-01", "d-01", "d-02"]}
    said = sayings(load_plan_file, text_of(values))
    assert any(each.endswith("yaw: is missing") for each in said)
    assert all(f'configs."{digest[:20]}' in each or "plan.bundle" in each for each in said)
