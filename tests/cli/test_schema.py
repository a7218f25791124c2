"""``aimctl schema``, ``doctor``, ``broker config`` and ``demo``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.cli import demo as demo_module
from orchestrator.cli.documents import DOCUMENTS, encoded
from orchestrator.cli.schema import document_schemas
from orchestrator.errors import Exit, OperatingError
from tests.cli.conftest import Aimctl
from tests.source import ROOT, sources


def test_every_type_that_the_product_names_is_in_the_closed_list() -> None:
    """No document of the command line is without a schema, and no schema without a document."""
    written = {
        found
        for path in sources("orchestrator/cli", "orchestrator/service")
        for found in re.findall(r'"type": "([a-z-]+)"', path.read_text())
    }
    by_name = {"recover", "demo"}  # made under a variable name, or by the simulator
    assert set(DOCUMENTS) | {"schemas"} == written | by_name


def test_schemas_are_schemas(aimctl: Aimctl) -> None:
    """All of them at once, and each by its name."""
    found = json.loads(aimctl("schema").out)
    assert set(DOCUMENTS) == set(found["documents"])
    for name, schema in {**found["documents"], **found["files"]}.items():
        Draft202012Validator.check_schema(schema)
        assert schema == json.loads(aimctl("schema", name).out)


def test_every_document_has_its_schema_number_and_type() -> None:
    """Programs can tell documents apart, and know the form's version."""
    for name, schema in document_schemas().items():
        assert name == schema["properties"]["type"]["const"]
        assert 1 == schema["properties"]["schema"]["const"]
        assert schema["additionalProperties"] is False


def test_json_of_the_schemas_is_one_line(aimctl: Aimctl) -> None:
    """--output json holds here too."""
    assert 1 == len(aimctl("schema", "--output", "json").out.splitlines())


def test_an_unknown_schema_is_wrong_use(aimctl: Aimctl) -> None:
    """2, and what is known."""
    ran = aimctl("schema", "pusch", "--output", "json")
    assert 2 == ran.code
    assert "known are lint, plan, push" in ran.document["message"]


def test_asyncapi_names_every_channel(aimctl: Aimctl) -> None:
    """The document that a device can be written from alone."""
    found = json.loads(aimctl("schema", "--asyncapi").out)
    assert "3.0.0" == found["asyncapi"]
    assert all(one["address"].startswith("aim/v1/{fleet}/") for one in found["channels"].values())


def test_a_document_that_does_not_fit_is_printed_all_the_same() -> None:
    """A defect of ours never hides an outcome."""
    assert {"schema": 1, "type": "push", "odd": True} == json.loads(
        encoded({"type": "push", "odd": True})
    )


# --- doctor -----------------------------------------------------------------------------------


def test_doctor_of_a_fresh_machine_says_what_is_missing(aimctl: Aimctl) -> None:
    """No broker: 11, and how to get one; no store yet is well."""
    ran = aimctl("doctor", "--broker", "mqtt://127.0.0.1:1", "--output", "json")
    checks = {one["name"]: one for one in ran.document["checks"]}
    assert (11, False, "aimctl broker run") == (
        ran.code,
        ran.document["ok"],
        ran.document["next"],
    )
    assert ("ok", "error") == (checks["store"]["status"], checks["broker"]["status"])
    assert "the first push makes it" in checks["store"]["text"]
    assert [] == ran.document["diagnoses"]


def test_doctor_shows_where_each_value_comes_from(aimctl: Aimctl, home: Path) -> None:
    """A project file is named with its path."""
    (home / "aimctl.toml").write_text('broker = "mqtt://127.0.0.1:1"\n')
    told = aimctl("doctor").out
    assert f"project file {home / 'aimctl.toml'}" in told
    assert "flag" not in told.partition("\n\n")[0]


def test_doctor_of_a_damaged_store_is_11(aimctl: Aimctl, home: Path) -> None:
    """The store can't be used, and that is said beside the broker's state."""
    (home / "x.db").write_text("no database " * 100)
    ran = aimctl("doctor", "--store", "sqlite:///x.db", "--output", "json")
    assert 11 == ran.code
    assert {"store", "broker"} <= {
        one["name"] for one in ran.document["checks"] if one["status"] == "error"
    }
    assert ran.document["next"].startswith("aimctl doctor --store")


# --- broker config, demo ----------------------------------------------------------------------


def test_broker_config_prints_what_stands_in_the_repository(aimctl: Aimctl) -> None:
    """The sample files are this command's output."""
    document = aimctl("broker", "config", "--output", "json").document
    assert (ROOT / "configs/mosquitto.conf").read_text() == document["conf"]
    assert (ROOT / "configs/mosquitto.acl").read_text() == document["acl"]
    text = aimctl("broker", "config").out
    assert document["acl"] in text


@pytest.mark.parametrize(
    "arguments", [["--bind", "0.0.0.0"], ["--port", "70000"], ["--port", "x"]]
)
def test_a_broker_for_everybody_is_refused(aimctl: Aimctl, arguments: list[str]) -> None:
    """It lets anybody in, so it listens on loopback alone."""
    assert 2 == aimctl("broker", "run", *arguments).code


def test_demo_passes_its_options_on(aimctl: Aimctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the entry point gives is called, and its code is ours."""
    called: dict[str, Any] = {}

    def run(**options: Any) -> int:
        called.update(options)
        return 1

    monkeypatch.setattr(demo_module, "_load", lambda: run)
    code = aimctl("demo", "--devices", "5", "--incident", "--output", "json", "--no-color").code
    assert 1 == code
    expected = {"devices": 5, "incident": True, "naive": False, "output": "json", "color": False}
    assert expected == called


def test_naive_needs_the_incident(aimctl: Aimctl) -> None:
    """2, and the command that was meant."""
    ran = aimctl("demo", "--naive")
    assert 2 == ran.code
    assert "next      aimctl demo --incident --naive" in ran.err


def test_a_missing_simulator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door is an entry point: without it there is no demo, and no traceback."""
    monkeypatch.setattr(demo_module, "GROUP", "aimctl.nowhere")
    with pytest.raises(OperatingError, match="not installed") as caught:
        demo_module._load()
    assert Exit.USAGE is caught.value.exit_code
