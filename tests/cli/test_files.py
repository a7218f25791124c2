"""``aimctl lint``, ``plan`` and how files and fleets are found, without a broker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG_TEXT, Aimctl


@pytest.fixture
def site(home: Path, samples: Path) -> Path:
    """A working directory with the samples."""
    shutil.copytree(samples, home / "configs")
    return home


def test_lint_of_the_samples_is_content(aimctl: Aimctl, site: Path) -> None:
    """0, and no finding above an info."""
    ran = aimctl("lint", "configs", "--output", "json")
    assert (0, True, 0, 0) == (
        ran.code,
        *(ran.document[key] for key in ("ok", "errors", "warnings")),
    )


def test_lint_names_file_line_severity_and_fix(aimctl: Aimctl, home: Path) -> None:
    """9 where there is an error."""
    (home / "bad.conf").write_text(CONFIG_TEXT.format(rate=-5) + "colour = 1\n")
    ran = aimctl("lint", "bad.conf")
    assert 9 == ran.code
    assert "bad.conf:3: error: yaw.rate_max_deg_s: -5 is below" in ran.out
    assert "bad.conf:6: error: roll.colour: unknown key" in ran.out
    assert "    fix: use " in ran.out
    note = aimctl("lint", "bad.conf", "--output", "json").document["notes"][0]
    assert ("bad.conf", 3, "error") == (note["file"], note["line"], note["severity"])


def test_a_bad_configuration_ends_a_push_with_9(aimctl: Aimctl, site: Path) -> None:
    """Every finding is told as the linter tells it, and carried in the document."""
    (site / "bad.conf").write_text(CONFIG_TEXT.format(rate=-5))
    ran = aimctl("push", "bad.conf", "--fleet", "hazard-12", "--yes", "--output", "json")
    assert (9, 9) == (ran.code, ran.document["exit_code"])
    assert "error" == ran.document["type"]
    assert 3 == ran.document["notes"][0]["line"]
    assert "bad.conf:3: error: yaw.rate_max_deg_s: -5 is below" in ran.err


@pytest.mark.parametrize("name", ["hazard-12", "configs/fleets/hazard-12.toml"])
def test_a_fleet_is_a_file_or_a_name(aimctl: Aimctl, site: Path, name: str) -> None:
    """A plan needs no broker, makes no store, and is the same for both."""
    ran = aimctl("plan", "configs/aim_lock_config.conf", "--fleet", name, "--output", "json")
    assert (0, "hazard-12", 0, 12) == (
        ran.code,
        ran.document["fleet"],
        ran.document["base_version"],
        len(ran.document["first"]),
    )
    assert f"aimctl push configs/aim_lock_config.conf --fleet {name}" == ran.document["next"]
    assert not (site.parent / "user" / "aimctl").exists()


def test_a_name_that_no_file_has_lists_what_was_tried(aimctl: Aimctl, home: Path) -> None:
    """9, with every place."""
    ran = aimctl("push", "x.conf", "--fleet", "yard", "--yes")
    assert 9 == ran.code
    for place in ("configs/fleets/yard.toml", "fleets/yard.toml", "yard.toml"):
        assert place in ran.err


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("configs/fleets/hazard-12.toml", "is a fleet, not a configuration"),
        ("missing.conf", "can't be read: No such file"),
        ("empty.conf", "is missing"),
    ],
)
def test_what_is_no_configuration_is_refused(
    aimctl: Aimctl, site: Path, source: str, told: str
) -> None:
    """9, and why."""
    (site / "empty.conf").write_text("")
    ran = aimctl("plan", source, "--fleet", "hazard-12")
    assert (9, "") == (ran.code, ran.out)
    assert told in ran.err


def test_a_plan_file_ends_in_json_and_is_told_apart(aimctl: Aimctl, site: Path) -> None:
    """`plan` of a plan shows the same difference; a damaged one is refused with 9."""
    config = "configs/aim_lock_config.conf"
    assert 2 == aimctl("plan", config, "--fleet", "hazard-12", "--out", "x.plan").code
    first = aimctl(
        "plan", config, "--fleet", "hazard-12", "--out", "x.json", "--output", "json"
    ).document
    again = aimctl("plan", "x.json", "--fleet", "hazard-12", "--output", "json").document
    assert first["groups"] == again["groups"]
    damaged = json.loads((site / "x.json").read_text())
    damaged["plan"]["base_version"] = "no number"
    (site / "x.json").write_text(json.dumps(damaged))
    assert 9 == aimctl("plan", "x.json", "--fleet", "hazard-12").code


def test_an_unwritable_plan_file_is_told(aimctl: Aimctl, site: Path) -> None:
    """2, and why, without a traceback."""
    ran = aimctl(
        "plan", "configs/aim_lock_config.conf", "--fleet", "hazard-12", "--out", "no/x.json"
    )
    assert 2 == ran.code
    assert "ERROR: no/x.json: the plan can't be written: No such file" in ran.err


def test_reading_commands_make_no_store(aimctl: Aimctl, home: Path) -> None:
    """They say that it does not exist yet, and change nothing."""
    for words in (["lock", "list"], ["status"], ["history"], ["recover"]):
        ran = aimctl(*words, "--store", "sqlite:///none.db")
        assert 0 == ran.code
        assert "note      the store sqlite:///none.db does not exist yet" in ran.err
    assert [".git"] == [path.name for path in home.iterdir()]


def test_an_unusable_store_is_11_and_another_kind_is_2(aimctl: Aimctl, home: Path) -> None:
    """Nothing was begun, and the next command looks into it."""
    (home / "text.db").write_text("no database " * 100)
    ran = aimctl("lock", "list", "--store", "sqlite:///text.db")
    assert (11, "") == (ran.code, ran.out)
    assert "nothing was begun\n  next      aimctl doctor" in ran.err
    assert 2 == aimctl("lock", "list", "--store", "postgresql://u:p@h/d").code


def test_a_broker_that_is_away_is_11(aimctl: Aimctl, site: Path) -> None:
    """Nothing was begun: the journal has no record."""
    ran = aimctl(
        *("push", "configs/aim_lock_config.conf", "--fleet", "hazard-12", "--yes"),
        *("--broker", "mqtt://127.0.0.1:1", "--output", "json"),
    )
    assert (11, 11) == (ran.code, ran.document["exit_code"])
    assert "connection refused" in ran.document["message"]
    assert "aimctl doctor" == ran.document["next"]
    assert [] == aimctl("history", "--output", "json").document["fleets"]
