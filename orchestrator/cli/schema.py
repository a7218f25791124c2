"""``aimctl schema``: the JSON Schemas of documents and files, and the AsyncAPI document."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from cyclopts import App

from orchestrator import __version__
from orchestrator.cli.context import Flag, Given
from orchestrator.cli.view import unbroken
from orchestrator.errors import Exit, OperatingError

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def register(app: App) -> None:
    """Add the command."""
    app.command(schema)


def schema(  # noqa: D417 - the context is no option
    name: str | None = None,
    /,
    *,
    asyncapi: Flag = False,
    context: Given,
) -> int:
    """
    Print the JSON Schemas of every output document and of the files, or the AsyncAPI document.

    For example:
      aimctl schema
      aimctl schema push
      aimctl schema fleet.schema.json
      aimctl schema --asyncapi

    Parameters
    ----------
    name
        One document's type, or one file's schema; all of them unless given.
    asyncapi
        The MQTT interface: topics, directions, QoS, retained or not, payloads, examples.
    """
    found = _asyncapi() if asyncapi else _schemas(name)
    indent = None if context.view.machine else 2
    with unbroken(stdout=True):
        sys.stdout.write(json.dumps(found, indent=indent, ensure_ascii=False) + "\n")
    return int(Exit.DONE)


def _asyncapi() -> dict[str, Any]:
    from orchestrator.transport.asyncapi import asyncapi

    return asyncapi(version=__version__)


def _schemas(name: str | None) -> dict[str, Any]:
    from orchestrator.staging.schemas import schemas

    documents, files = document_schemas(), schemas()
    if name is None:
        return {"schema": 1, "type": "schemas", "documents": documents, "files": dict(files)}
    known = {**documents, **files}
    if name not in known:
        raise OperatingError(
            f"there is no schema {name!r}; known are {', '.join(known)}", exit_code=Exit.USAGE
        )
    return known[name]


def document_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each document by its type."""
    from orchestrator.cli.documents import DOCUMENTS

    return {
        name: {"$schema": DIALECT, **model.model_json_schema(mode="serialization")}
        for name, model in DOCUMENTS.items()
    }
