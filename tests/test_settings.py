"""Where settings come from, and what is said of bad ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.settings import Places, load_settings, project_file, redacted


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """A working directory two below its repository's root, and a user's directories."""
    work = tmp_path / "repository" / "site" / "deep"
    work.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (tmp_path / "user").mkdir()
    return Places(directory=work, user_config=tmp_path / "user", user_state=tmp_path / "state")


def write_project(where: Places, text: str) -> Path:
    """Write the project file, one directory above the working directory."""
    path = where.directory.parent / "aimctl.toml"
    path.write_text(text)
    return path


def write_user(where: Places, text: str) -> Path:
    """Write the user file."""
    path = where.user_config / "config.toml"
    path.write_text(text)
    return path


def test_defaults(where: Places) -> None:
    """A user who has configured nothing gets a store of their own and the local broker."""
    found = load_settings(where)
    assert f"sqlite:///{where.user_state}/journal.sqlite" == found.store.value
    assert ("mqtt://localhost:1883", "text", "warning", "false") == (
        found.broker.value,
        found.output.value,
        found.log_level.value,
        found.no_color.value,
    )
    assert {"default"} == {setting.origin for setting in found.all()}


def test_precedence_and_origins(where: Places) -> None:
    """Flag, environment, project file, user file, default: the first that has it wins."""
    user = write_user(where, 'broker = "mqtt://user"\nlog_level = "error"\noutput = "json"\n')
    assert ("mqtt://user", f"user file {user}") == seen(where, "broker")
    project = write_project(where, 'broker = "mqtt://project"\nlog_level = "info"\n')
    assert ("mqtt://project", f"project file {project}") == seen(where, "broker")
    where = replace(where, environment={"AIMCTL_BROKER": "mqtt://variable"})
    assert ("mqtt://variable", "environment AIMCTL_BROKER") == seen(where, "broker")
    where = replace(where, flags={"broker": "mqtt://flag", "store": None})
    assert ("mqtt://flag", "flag --broker") == seen(where, "broker")
    assert ("info", f"project file {project}") == seen(where, "log_level")
    assert ("json", f"user file {user}") == seen(where, "output")


def seen(where: Places, name: str) -> tuple[str, str]:
    """The value and the origin of one setting."""
    setting = getattr(load_settings(where), name)
    return setting.value, setting.origin


def test_no_color_of_the_environment(where: Places) -> None:
    """NO_COLOR counts if it is not empty, whatever it says."""
    for value, expected in (("1", "true"), ("0", "true"), ("", "false")):
        there = replace(where, environment={"NO_COLOR": value})
        assert expected == load_settings(there).no_color.value


def test_the_project_file_is_looked_for_up_to_the_repository(where: Places) -> None:
    """A file above ``.git`` belongs to somebody else."""
    outside = where.directory.parents[2] / "aimctl.toml"
    outside.write_text('output = "json"\n')
    assert project_file(where.directory) is None
    inside = where.directory.parents[1] / "aimctl.toml"
    inside.write_text('output = "jsonl"\n')
    assert inside == project_file(where.directory)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///journal.db", "sqlite:///{beside}/journal.db"),
        ("sqlite:////var/journal.db", "sqlite:////var/journal.db"),
        ("sqlite:///~/journal.db", "sqlite:///~/journal.db"),
        ("memory:", "memory:"),
    ],
)
def test_a_store_of_a_file_is_relative_to_the_file(
    where: Places, written: str, meant: str
) -> None:
    """Wherever the command is run, it is the same store."""
    project = write_project(where, f'store = "{written}"\n')
    assert meant.format(beside=project.parent) == load_settings(where).store.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stroe = 1\n", "stroe (project file {path}): unknown key; known are store, broker"),
        ("output = 3\n", "output (project file {path}): must be one of text, json, jsonl"),
        ('broker = "http://x"\n', "broker (project file {path}): must be a URL such as mqtt://"),
        ("no_color = 1\n", "no_color (project file {path}): must be true or false"),
        ("store = [\n", "project file {path}: it is not TOML"),
        ("# \xff", "project file {path}: it is not TOML"),
        ("#" * 70_000, "project file {path}: it has more than 65536 bytes"),
    ],
)
def test_bad_files_are_named_with_their_key(where: Places, text: str, told: str) -> None:
    """Wrong use, never a traceback: which file, which key, what instead."""
    path = where.directory.parent / "aimctl.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(OperatingError) as caught:
        load_settings(where)
    assert Exit.USAGE is caught.value.exit_code
    assert told.format(path=path) in caught.value.message


def test_bad_values_of_flag_and_environment_name_their_source(where: Places) -> None:
    """The value itself is not repeated: it may hold a password."""
    bad = "htp://u:hunter2@x"
    for changed, told in (
        (replace(where, flags={"broker": bad}), "broker (flag --broker)"),
        (replace(where, environment={"AIMCTL_STORE": bad}), "store (environment AIMCTL_STORE)"),
    ):
        with pytest.raises(OperatingError, match="can't be used") as caught:
            load_settings(changed)
        assert told in caught.value.message
        assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtts://mira:pass@host:8883", "mqtts://host:8883"),
        ("mqtts://mira:p@ss@host/", "mqtts://host/"),
        ("mqtt://mira:p/a@s@host/", "mqtt://host/"),
        ("mqtt://host", "mqtt://host"),
        ("sqlite:////tmp/a@b", "sqlite:////tmp/a@b"),
        ("text", "text"),
    ],
)
def test_what_is_shown_holds_no_password(url: str, shown: str) -> None:
    """User and password are cut out of a URL, and of nothing else."""
    assert shown == redacted(url)
