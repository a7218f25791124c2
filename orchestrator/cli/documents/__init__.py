"""
The documents of ``--output json``: a closed list of types, as models that make every one of them.

``encoded`` lets each document pass through its model, so what is printed has exactly the keys
that ``aimctl schema`` promises. A document that does not fit is a defect of this program, and no
reason to hide an outcome: it is printed as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from orchestrator.cli.documents.devices import (
    Decide,
    DeviceDocument,
    Devices,
    Retire,
    Settle,
)
from orchestrator.cli.documents.files import (
    Export,
    Import,
    Lint,
    PlanDocument,
    Plot,
)
from orchestrator.cli.documents.fleets import (
    Abort,
    History,
    ProgressDocument,
    PushDocument,
    Show,
    Status,
    Statuses,
)
from orchestrator.cli.documents.locks import (
    BreakGlass,
    ForceUnlock,
    Hot,
    LockDocument,
    LockRun,
    Locks,
    Recover,
    Recoveries,
    Release,
    RequestRelease,
    Reseed,
    Waiting,
)
from orchestrator.cli.documents.others import (
    Broker,
    BrokerConfig,
    Demo,
    Doctor,
    ErrorDocument,
)
from orchestrator.service.parts import Top

__all__ = ["DOCUMENTS", "SCHEMA", "encoded"]

SCHEMA: Final = 1

DOCUMENTS: Final[Mapping[str, type[Top]]] = {
    "lint": Lint,
    "plan": PlanDocument,
    "push": PushDocument,
    "progress": ProgressDocument,
    "status": Status,
    "statuses": Statuses,
    "devices": Devices,
    "device": DeviceDocument,
    "retire": Retire,
    "decide": Decide,
    "settle": Settle,
    "history": History,
    "show": Show,
    "abort": Abort,
    "locks": Locks,
    "lock": LockDocument,
    "release": Release,
    "request-release": RequestRelease,
    "force-unlock": ForceUnlock,
    "break-glass": BreakGlass,
    "lock-run": LockRun,
    "waiting": Waiting,
    "reseed": Reseed,
    "recover": Recover,
    "recoveries": Recoveries,
    "hot": Hot,
    "error": ErrorDocument,
    "doctor": Doctor,
    "plot": Plot,
    "import": Import,
    "export": Export,
    "broker": Broker,
    "broker-config": BrokerConfig,
    "demo": Demo,
}
"""The closed list of types. ``aimctl schema`` prints the schemas themselves, and no document."""


def encoded(document: Mapping[str, Any]) -> str:
    """Return a document on one line, in the form that its schema promises."""
    full = {"schema": SCHEMA, **document}
    try:
        model = DOCUMENTS[full["type"]].model_validate(full)
    except (ValidationError, KeyError):
        return json.dumps(full, ensure_ascii=False, default=str)
    found = model.model_dump(mode="json", exclude_unset=True)
    head = {"schema": SCHEMA, "type": found["type"]}
    return json.dumps({**head, **found}, ensure_ascii=False)
