"""
The plan: the frozen difference from a version to a bundle, and its bytes on the wire.

A plan blob is fetched and verified by every device before it votes. It is small: the devices
stand under the digest of what they will run.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.protocol.types import (
    BLOB_BYTES_MAX,
    DISTINCT_CONFIGS_MAX,
    FLEET_DEVICES_MAX,
    DeviceId,
    Digest,
    FleetId,
    Plan,
    Version,
)
from orchestrator.staging.bundle import (
    Bundle,
    Devices,
    DigestText,
    decoded,
    devices_by_digest,
    digests_by_device,
)
from orchestrator.staging.canonical import canonical
from orchestrator.staging.fields import Strict
from orchestrator.staging.fleet import CONFIG_NAME_PATTERN, FleetFile, Id
from orchestrator.staging.notes import refuse

VERSION_MAX: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps (RFC 8785, RFC 7493 §2.2)."""


class PlanBlob(Strict):
    """The wire form of a plan."""

    schema_version: int = Field(alias="schema", ge=1, le=1)
    type: Literal["plan"]
    fleet: Id
    config: str = Field(pattern=f"^{CONFIG_NAME_PATTERN}$", max_length=100)
    base_version: int = Field(ge=0, le=VERSION_MAX)
    bundle: DigestText
    devices: Devices
    excused: Annotated[tuple[Id, ...], Field(strict=False, max_length=FLEET_DEVICES_MAX)] = ()

    def to_plan(self) -> Plan:
        """Return the protocol's plan; refuses a device that stands there twice."""
        digests = digests_by_device(self.devices, "plan")
        excused = tuple(sorted(DeviceId(device) for device in self.excused))
        if len(set(excused)) != len(excused) or not digests.keys().isdisjoint(excused):
            raise refuse("plan", "excuses a member, or a device twice", component="rules")
        return Plan(
            fleet=FleetId(self.fleet),
            config=self.config,
            base_version=self.base_version,
            bundle=Digest(self.bundle),
            digests=digests,
            excused=excused,
        )


def make_plan(
    fleet: FleetFile, bundle: Bundle, base_version: Version, excused: Collection[DeviceId] = ()
) -> Plan:
    """
    Freeze what will be pushed: every device of ``bundle`` votes, but for those ``excused``.

    The bundle is that of the whole fleet, so an excused device can be caught up to it later.
    Raises InvalidInput where nobody would be left, where a device to excuse is unknown, or
    where PREPARE could not carry so many distinct configurations.
    """
    unknown = sorted(set(excused) - set(bundle.digests))
    if unknown:
        raise refuse(
            fleet.fleet, f"has no device {', '.join(unknown[:3])} to excuse", component="fleet"
        )
    digests = {
        device: digest for device, digest in bundle.digests.items() if device not in excused
    }
    if not digests:
        raise refuse(
            fleet.fleet,
            "has no device left to push to",
            component="fleet",
            fix="excuse fewer devices",
        )
    plan = Plan(
        fleet=FleetId(fleet.fleet),
        config=fleet.config,
        base_version=base_version,
        bundle=bundle.digest,
        digests=digests,
        excused=tuple(sorted(excused)),
    )
    if len(plan.distinct_digests) > DISTINCT_CONFIGS_MAX:
        raise refuse(
            fleet.fleet,
            f"has {len(plan.distinct_digests)} distinct configurations, more than"
            f" {DISTINCT_CONFIGS_MAX}",
            component="fleet",
            fix="use fewer overlays, or several fleets",
        )
    return plan


def encode_plan(plan: Plan) -> bytes:
    """Return the canonical bytes of the plan blob; their digest is what PREPARE carries."""
    return canonical(plan_document(plan))


def plan_document(plan: Plan) -> dict[str, object]:
    """Return the plan as a JSON object."""
    return {
        "schema": 1,
        "type": "plan",
        "fleet": plan.fleet,
        "config": plan.config,
        "base_version": plan.base_version,
        "bundle": plan.bundle,
        "devices": devices_by_digest(plan.digests),
        "excused": list(plan.excused),
    }


def decode_plan(data: bytes) -> Plan:
    """
    Read a plan blob. Raises InvalidInput, never anything else.

    The caller verifies the digest; bytes that are not canonical are refused.
    """
    plan = decoded(PlanBlob, data, "plan", BLOB_BYTES_MAX).to_plan()
    if encode_plan(plan) != data:
        raise refuse("plan", "is not in canonical form", component="syntax")
    return plan
