"""
The file that ``aimctl plan --out`` writes: everything that ``push`` needs, frozen.

It holds the plan, the bytes of every distinct configuration, the whole bundle's manifest and
the timing, so a push of it reads no other file. Loading verifies every digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.protocol.types import (
    CONFIG_BYTES_MAX,
    FLEET_DEVICES_MAX,
    Digest,
    Plan,
)
from orchestrator.staging.bundle import (
    Bundle,
    Devices,
    DigestText,
    bundle_of,
    decode_config,
    devices_by_digest,
    digests_by_device,
)
from orchestrator.staging.canonical import canonical, digest_of
from orchestrator.staging.documents import Document, Source, parse
from orchestrator.staging.explain import at, checked
from orchestrator.staging.fields import Strict
from orchestrator.staging.fleet import FleetFile, Timing
from orchestrator.staging.notes import InvalidInput, Note, Path, dotted, line_of
from orchestrator.staging.plan import PlanBlob, plan_document

PLAN_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
NAME_CHARS_MAX: Final = 500

Name = Annotated[str, Field(max_length=NAME_CHARS_MAX)]


class PlanFileModel(Strict):
    """The form of the file."""

    schema_version: int = Field(alias="schema", ge=1, le=1)
    type: Literal["plan-file"]
    made_by: Name = Field(description="Who made the plan: user@host.")
    made_at: Name = Field(description="When, as RFC 3339 UTC.")
    sources: dict[Literal["config", "fleet"], Name] = Field(
        description="The files it was made from, for people; they are not read again."
    )
    timing: Timing
    plan: PlanBlob
    bundle: Devices = Field(description="Every device of the fleet, excused ones too.")
    configs: Annotated[
        dict[DigestText, Annotated[str, Field(max_length=CONFIG_BYTES_MAX)]],
        Field(min_length=1, max_length=FLEET_DEVICES_MAX),
    ] = Field(description="The canonical text of each distinct configuration.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan with its bundle, and where it came from. ``sources``: names of config and fleet."""

    plan: Plan
    bundle: Bundle
    timing: Timing
    sources: Mapping[str, str]
    made_by: str
    made_at: str


def make_plan_file(
    plan: Plan,
    bundle: Bundle,
    fleet: FleetFile,
    *,
    config_name: str,
    fleet_name: str,
    made_by: str,
    made_at: str,
) -> PlanFile:
    """Put a plan together with its bundle and origin; ``made_at`` is RFC 3339 in UTC."""
    return PlanFile(
        plan=plan,
        bundle=bundle,
        timing=fleet.timing,
        made_by=made_by,
        made_at=made_at,
        sources={"config": config_name, "fleet": fleet_name},
    )


def encode_plan_file(file: PlanFile) -> bytes:
    """Return the bytes to write: canonical JSON and a newline, as text files end."""
    document = {
        "schema": 1,
        "type": "plan-file",
        "made_by": file.made_by[:NAME_CHARS_MAX],
        "made_at": file.made_at,
        "sources": {what: name[-NAME_CHARS_MAX:] for what, name in file.sources.items()},
        "timing": file.timing.model_dump(mode="json", exclude_none=True),
        "plan": plan_document(file.plan),
        "bundle": devices_by_digest(file.bundle.digests),
        "configs": {digest: data.decode() for digest, data in file.bundle.configs.items()},
    }
    return canonical(document) + b"\n"


def load_plan_file(text: Source) -> PlanFile:
    """Read the text of a plan file and verify all of it. Raises InvalidInput."""
    return plan_file_of(parse(text))


def plan_file_of(document: Document) -> PlanFile:
    """Check a document that was parsed already: every digest, every configuration."""
    model = checked(PlanFileModel, document.values, document.name, at(document.lines))
    if isinstance(model, list):
        raise InvalidInput(model)
    plan = model.plan.to_plan()
    configs = {Digest(digest): text.encode() for digest, text in model.configs.items()}
    bundle = bundle_of(configs, digests_by_device(model.bundle, document.name))
    _verify(document, plan, bundle)
    return PlanFile(
        plan=plan,
        bundle=bundle,
        timing=model.timing,
        made_by=model.made_by,
        made_at=model.made_at,
        sources={str(what): name for what, name in model.sources.items()},
    )


def _verify(document: Document, plan: Plan, bundle: Bundle) -> None:
    notes = [*_config_notes(document, bundle)]
    if bundle.digest != plan.bundle:
        notes.append(_note(document, ("plan", "bundle"), "is not the digest of 'bundle'"))
    wanted = {**plan.digests, **{device: bundle.digests.get(device) for device in plan.excused}}
    if dict(bundle.digests) != wanted:
        notes.append(_note(document, ("plan", "devices"), "does not agree with 'bundle'"))
    if set(bundle.configs) != set(bundle.digests.values()):
        notes.append(_note(document, ("configs",), "is not the set that 'bundle' refers to"))
    if notes:
        raise InvalidInput(notes)


def _config_notes(document: Document, bundle: Bundle) -> list[Note]:
    notes: list[Note] = []
    for digest, data in bundle.configs.items():
        path: Path = ("configs", digest)
        if digest_of(data) != digest:
            notes.append(_note(document, path, "the text has another digest"))
            continue
        try:
            decode_config(data)
        except InvalidInput as error:
            notes += [_note(document, path, reason) for reason in error.reasons]
    return notes


def _note(document: Document, path: Path, message: str) -> Note:
    return Note(
        file=document.name,
        line=line_of(document.lines, path),
        key=dotted(path),
        message=message,
        component="digest",
        fix="make the plan again with `aimctl plan`",
    )
