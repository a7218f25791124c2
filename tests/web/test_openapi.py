"""The OpenAPI document: complete, and true to what the services return."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.service import locks
from orchestrator.service.parts import LockPart, TxnPart, WaiterPart
from orchestrator.web.documents import HotDocument
from tests.storage.samples import W1, begun, decided, requested
from tests.web.desk import FLEET, MIRA, NOA, Desk


def keys(model: type[BaseModel]) -> set[str]:
    """What a model describes."""
    return {field.alias or name for name, field in model.model_fields.items()}


async def test_the_models_describe_every_key(desk: Desk) -> None:
    """What the service layer tells of a lock is in the document, key by key."""
    await desk.acquired()
    await desk.append(begun(), decided(), requested(W1))
    view = await locks.look(desk.world, await desk.state())
    document = view.document()
    assert keys(LockPart) == set(document)
    assert keys(TxnPart) == set(document["txn"])
    assert keys(WaiterPart) == set(document["waiters"][0])
    hot = locks.hot(view, "x").document
    assert hot is not None
    assert keys(HotDocument) - {"schema", "exit_code", "recover"} == set(hot) - {"recover"}


@pytest.fixture
def document(desk: Desk) -> dict[str, Any]:
    """The document that /openapi.json has."""
    return desk.app.openapi()


async def test_it_says_how_to_authenticate(document: dict[str, Any]) -> None:
    """Everything under /api names the bearer token, nothing else does."""
    assert {"type": "http", "scheme": "bearer"}.items() <= (
        document["components"]["securitySchemes"]["token"].items()
    )
    secured = {
        path: "security" in operation
        for path, item in document["paths"].items()
        for operation in item.values()
    }
    assert {path: path.startswith("/api/") for path in secured} == secured


async def test_every_operation_has_a_name_and_says_what_it_does(document: dict[str, Any]) -> None:
    """Generators of clients make function names and their documentation from it."""
    operations = [one for item in document["paths"].values() for one in item.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names))
    assert [] == [one["operationId"] for one in operations if not one.get("description")]


async def test_every_refusal_has_the_error_model(document: dict[str, Any]) -> None:
    """No operation answers an error in a form of its own, but for the HOT document."""
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if path.startswith("/api/") and status >= "4":
                    told = str(response["content"]["application/json"]["schema"])
                    assert "schemas/ErrorDocument" in told, (path, status)


async def test_fields_that_people_fill_in_are_explained(document: dict[str, Any]) -> None:
    """Kernel evidence says what it is for and where to find it."""
    holder = document["components"]["schemas"]["Holder"]
    assert "judged by its lease alone" in holder["description"]
    for name in ("machine_id", "boot_id", "pid_namespace", "start_ticks"):
        assert "Kernel evidence" in holder["properties"][name]["description"]


async def test_the_examples_are_accepted(desk: Desk) -> None:
    """Who copies the example of a holder gets a lock."""
    holder = desk.app.openapi()["components"]["schemas"]["Holder"]["properties"]
    example = {name: holder[name]["examples"][0] for name in ("user", "host", "program", "pid")}
    assert "hazard-12@1" == await desk.acquired(example)
    answer = await desk.post("acquire", FLEET, holder=NOA, purpose="x" * 200)
    assert 409 == answer.status_code
    assert MIRA["user"] == answer.json()["lock"]["owner"]["user"]
