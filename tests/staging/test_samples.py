"""The sample files, and the JSON Schemas that editors use."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.staging.load import load_fleet, read
from orchestrator.staging.samples import samples_directory
from orchestrator.staging.schemas import schema_text, schemas
from tests.staging.test_plan import plan_file, values_of
from tests.staging.texts import CONFIGS, DATA, bundle, sayings


def test_the_samples_are_found_in_a_checkout() -> None:
    """In a checkout the samples are the configs directory."""
    assert CONFIGS == samples_directory()


def test_the_samples_are_found_in_an_installed_package(tmp_path: Path) -> None:
    """In a wheel they are package data; these come first."""
    package = tmp_path / "orchestrator"
    for directory in (package / "_samples", tmp_path / "configs"):
        directory.mkdir(parents=True)
        (directory / "aim_lock_config.conf").touch()
    assert package / "_samples" == samples_directory(package)


def test_missing_samples_are_a_typed_error(tmp_path: Path) -> None:
    """An installation without samples says so."""
    expected = f"{tmp_path}/_samples: error: the sample configurations are not installed"
    assert [expected] == sayings(samples_directory, tmp_path)


def test_the_story_s_fleet_has_its_twelve_drones() -> None:
    """hazard-12 is the fleet of the story."""
    fleet = load_fleet(read(CONFIGS / "fleets" / "hazard-12.toml")).file
    assert [f"d-{n:02}" for n in range(1, 13)] == [device.id for device in fleet.device]
    assert ("hazard-12", "aim_lock_config.conf") == (fleet.fleet, fleet.config)


@pytest.mark.parametrize("name", schemas())
def test_a_schema_file_is_up_to_date(name: str) -> None:
    """The schema files are what the models say; write them again with schema_text(schemas())."""
    assert schema_text(schemas()[name]) == (CONFIGS / "schemas" / name).read_text()


def test_no_schema_file_is_left_over() -> None:
    """There is no schema of a file that does not exist any more."""
    assert set(schemas()) == {path.name for path in (CONFIGS / "schemas").glob("aim-*")} | {
        "effective-config.schema.json", "fleet.schema.json", "plan-file.schema.json",
    }  # fmt: skip


def errors(name: str, value: Any) -> list[str]:
    """Return what a schema says against a value."""
    schema = dict(schemas()[name])
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


@pytest.mark.parametrize("path", [*CONFIGS.glob("*aim*.conf")], ids=lambda path: path.name)
def test_sample_configurations_fit_their_schema(path: Path) -> None:
    """An editor that uses the schema has nothing to say of the samples."""
    assert [] == errors("aim-config.schema.json", tomllib.loads(path.read_text()))


@pytest.mark.parametrize("name", ["hazard-12.toml", "yard-mixed.toml"])
def test_sample_fleets_fit_their_schema(name: str) -> None:
    """The same for the fleets."""
    values = tomllib.loads((CONFIGS / "fleets" / name).read_text())
    assert [] == errors("fleet.schema.json", values)


def test_what_is_written_fits_its_schema() -> None:
    """Effective configurations and plan files are what their schemas say."""
    for data in bundle().configs.values():
        assert [] == errors("effective-config.schema.json", json.loads(data))
    assert [] == errors("plan-file.schema.json", values_of(plan_file()))


@pytest.mark.parametrize(
    ("schema", "name"),
    [("aim-config.schema.json", "bad_aim.conf"), ("fleet.schema.json", "bad_fleet.toml")],
)
def test_the_schemas_refuse_what_is_wrong(schema: str, name: str) -> None:
    """An editor finds mistakes of type, range and name by the schema alone."""
    assert 5 <= len(errors(schema, tomllib.loads((DATA / name).read_text())))
