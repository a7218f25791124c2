"""``drone-sim schema``: the JSON Schemas of the documents."""

from __future__ import annotations

import json
import sys

from cyclopts import App

from drone_sim.cli.options import Output
from orchestrator.cli.view import unbroken
from orchestrator.errors import Exit, OperatingError


def register(app: App) -> None:
    """Add the command."""
    app.command(schema)


def schema(name: str | None = None, /, *, output: Output = "text") -> int:
    """
    Print the JSON Schemas of the documents that --output json prints.

    For example:
      drone-sim schema
      drone-sim schema explore

    Parameters
    ----------
    name
        One document's type; all of them unless given.
    output
        text is indented for reading, json one line.
    """
    from drone_sim.cli.documents import document_schemas

    known = document_schemas()
    if name is not None and name not in known:
        raise OperatingError(
            f"there is no document {name!r}; known are {', '.join(known)}", exit_code=Exit.USAGE
        )
    found = known[name] if name is not None else {"schema": 1, "type": "schemas", **_all(known)}
    with unbroken(stdout=True):
        indent = None if output == "json" else 2
        sys.stdout.write(json.dumps(found, indent=indent, ensure_ascii=False) + "\n")
    return int(Exit.DONE)


def _all(known: dict[str, dict[str, object]]) -> dict[str, object]:
    return {"documents": known}
