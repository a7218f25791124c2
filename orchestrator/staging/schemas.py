"""
JSON Schemas of the files, for editors and other tools: generated from the models.

``configs/schemas/`` holds what :func:`schemas` returns; a test says when it is out of date.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.protocol.types import ID_PATTERN
from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.kinds import KINDS
from orchestrator.staging.models import AimConfig
from orchestrator.staging.planfile import PlanFileModel

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> Mapping[str, dict[str, Any]]:
    """Return the schema of each kind of file by the name of its schema file."""
    return {
        "aim-config.schema.json": _config_file(),
        "effective-config.schema.json": _titled(
            AimConfig.model_json_schema(), "What one device runs, as canonical JSON (RFC 8785)"
        ),
        "fleet.schema.json": _fleet(),
        "plan-file.schema.json": _titled(PlanFileModel.model_json_schema(), "A plan file"),
    }


def schema_text(schema: Mapping[str, Any]) -> str:
    """Return the text of a schema file."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _titled(schema: dict[str, Any], title: str) -> dict[str, Any]:
    return {**schema, "$schema": DIALECT, "title": title}


def _fleet() -> dict[str, Any]:
    schema = _titled(FleetFile.model_json_schema(), "A fleet")
    profile = schema["$defs"]["GimbalProfile"]
    profile["required"].remove("name")  # given by the table's name
    return schema


def _config_file() -> dict[str, Any]:
    """Add the overlays: tables of the same shape in which nothing is required."""
    schema = _titled(AimConfig.model_json_schema(), "A configuration with its overlays")
    partial = _partial(schema)
    schema["$defs"] |= partial.pop("$defs")
    schema["$defs"]["Overlay"] = partial
    one = {"$ref": "#/$defs/Overlay"}
    named = {
        "type": "object",
        "additionalProperties": one,
        "propertyNames": {"pattern": f"^{ID_PATTERN}$"},
    }
    schema["properties"]["overlay"] = {
        "type": "object",
        "additionalProperties": False,
        "description": "Differences by kind, then by group, then by device.",
        "properties": {
            "kind": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict.fromkeys(KINDS, one),
            },
            "group": named,
            "device": named,
        },
    }
    return schema


def _partial(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose definitions have other names and whose tables require nothing."""
    text = json.dumps({"$defs": schema["$defs"], "properties": schema["properties"]})
    changed: dict[str, Any] = json.loads(text.replace('"#/$defs/', '"#/$defs/Partial'))
    changed["$defs"] = {
        f"Partial{name}": _relaxed(table, keep_required=name == "KeepOut")
        for name, table in changed["$defs"].items()
    }
    del changed["properties"]["schema"]
    return {"type": "object", "additionalProperties": False, **changed}


def _relaxed(table: Mapping[str, Any], *, keep_required: bool) -> dict[str, Any]:
    relaxed = copy.deepcopy(dict(table))
    if not keep_required:  # an element of a list is replaced as a whole
        relaxed.pop("required", None)
    return relaxed
