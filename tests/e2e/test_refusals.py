"""Devices that can't or won't: one of them is enough, and nothing changes anywhere."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Case
from tests.e2e.site import DEVICES, Site

FAULTS = {
    "d-03": ('vote_no = "tracking a load"', "tracking a load"),
    "d-07": ("silent = true", "silent"),
    "d-11": ("offline = true", "offline"),
    "d-15": ("link_delay_ms = { down = 150.0 }", "clock error"),
    "d-23": ("disk_full = true", "no space"),
}
"""
The fault of a device, and what must be told of it.

A clock that can't be compared with the orchestrator's to within ε is a bad clock, whether the
crystal or a lopsided link is at fault.
"""

TIME_TO_MEASURE = ("--window", "1.5")
"""A slow link gets the time to say more than that it is slow."""


def push_with(site: Site, case: Case, wrong: tuple[str, ...]) -> dict[str, list[str]]:
    """Push to a fleet in which some devices are at fault; return the reasons that are shown."""
    faults = site.directory / "faults.toml"
    faults.write_text("".join(f"[device.{one}]\n{FAULTS[one][0]}\n" for one in wrong))
    before = {device: site.active_path(device).stat().st_mtime_ns for device in DEVICES}
    site.fleet.end()
    site.start_fleet("--faults", str(faults))
    options = TIME_TO_MEASURE if "d-15" in wrong else ()
    ran = case.ended(site.push(case.new(), *options), 4)
    assert "abort" == ran.document["decision"]
    assert ran.document["base_version"] == ran.document["version"]
    after = {device: site.active_path(device).stat().st_mtime_ns for device in DEVICES}
    assert before == after, "an active file was touched"
    assert site.running(case.old)
    heal(site, case)
    devices: dict[str, dict[str, list[str]]] = ran.document["devices"]
    return {device: part["reasons"] for device, part in devices.items() if part["reasons"]}


def heal(site: Site, case: Case) -> None:
    """Start the fleet again without faults, and let ``recover`` answer who was silent."""
    site.fleet.end()
    site.start_fleet()
    case.recovered()
    site.assert_fleet_runs(case.old)


@pytest.mark.parametrize("device", FAULTS)
def test_one_device_is_enough(site: Site, case: Case, device: str) -> None:
    """Exit code 4, its reason shown, nobody else blamed, and nothing changed anywhere."""
    fault, told = FAULTS[device]
    reasons = push_with(site, case, (device,))
    assert {device} == set(reasons)
    assert told in "; ".join(reasons[device])
    case.note("device", "prepare", fault, "push, restart, recover")


def test_every_reason_is_shown(site: Site, case: Case) -> None:
    """Several devices at fault: exit code 4, and every one of them with its own reason."""
    reasons = push_with(site, case, tuple(FAULTS))
    assert set(FAULTS) == set(reasons)
    for device, (_, told) in FAULTS.items():
        assert told in "; ".join(reasons[device])
    case.note("devices", "prepare", "all five faults", "push, restart, recover")
