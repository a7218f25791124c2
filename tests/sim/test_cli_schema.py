"""``drone-sim schema``: what programs may rely on."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from drone_sim.cli.documents import DOCUMENTS, document_schemas
from tests.sim.playing import run


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_has_a_schema(name: str) -> None:
    """It is a JSON Schema, which knows the version of all schemas and asks for the type."""
    schema = document_schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert ("type" in schema["required"], 1) == (True, schema["properties"]["schema"]["const"])


def test_all_schemas_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """By the type of their document."""
    done = run(capsys, "schema")
    assert list(DOCUMENTS) == list(json.loads(done.out)["documents"])


def test_one_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """On one line, if it is for a program."""
    done = run(capsys, "schema", "explore", "--output", "json")
    assert document_schemas()["explore"] == done.document


def test_an_unknown_document_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists those that there are."""
    done = run(capsys, "schema", "push")
    assert (2, "") == (done.code, done.out)
    assert "known are run, explore" in done.err
