"""The token's file: made once, for its owner alone, and refused when others may get at it."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.web.token_file import read_or_make

TOKEN = "0123456789abcdef0123"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file that somebody has made."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_first_start_makes_it(tmp_path: Path) -> None:
    """A long random token, mode 0600, in a directory of mode 0700; nothing else is left there."""
    path = tmp_path / "state" / "serve-token"
    token = read_or_make(path)
    assert len(token) >= 43
    assert (0o600, 0o700) == (
        stat.S_IMODE(path.stat().st_mode),
        stat.S_IMODE(path.parent.stat().st_mode),
    )
    assert [path] == list(path.parent.iterdir())


def test_no_umask_opens_or_closes_it(tmp_path: Path) -> None:
    """The mode is what it must be whatever the user's umask."""
    before = os.umask(0)
    try:
        read_or_make(tmp_path / "serve-token")
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE((tmp_path / "serve-token").stat().st_mode)


def test_later_starts_read_it(tmp_path: Path) -> None:
    """The token stays the same; so clients that have it go on."""
    path = tmp_path / "serve-token"
    assert read_or_make(path) == read_or_make(path)


def test_two_first_starts_agree(tmp_path: Path) -> None:
    """Of many servers that start at once one makes the token, and all have that one."""
    path = tmp_path / "serve-token"
    with ThreadPoolExecutor(8) as pool:
        assert 1 == len(set(pool.map(read_or_make, [path] * 32)))


def test_a_token_of_ones_own_is_taken(tmp_path: Path) -> None:
    """A file that an operator has made counts, with or without a line's end."""
    assert TOKEN == read_or_make(written(tmp_path / "mine", f"{TOKEN}\n"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_file_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    """Wrong use, with the command that mends it; the token is not in the message."""
    path = written(tmp_path / "open", TOKEN, mode)
    with pytest.raises(OperatingError) as caught:
        read_or_make(path)
    assert (Exit.USAGE, f"chmod 600 {path}") == (
        caught.value.exit_code,
        caught.value.next_command,
    )
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" \n", id="blank"),
        pytest.param("short", id="short"),
        pytest.param("x" * 1025, id="long"),
        pytest.param("two words of a token", id="two-words"),
        pytest.param("tökén-tökén-tökén-tökén", id="not-ascii"),
    ],
)
def test_a_file_without_a_token_is_refused(tmp_path: Path, text: str) -> None:
    """No request may be let in by an empty or a guessable token."""
    with pytest.raises(OperatingError) as caught:
        read_or_make(written(tmp_path / "bad", text))
    assert Exit.USAGE == caught.value.exit_code


@pytest.mark.parametrize("place", ["directory", "nowhere"])
def test_a_place_that_can_not_hold_it_is_refused(tmp_path: Path, place: str) -> None:
    """A directory, or a path through a file."""
    (tmp_path / "directory").mkdir(mode=0o700)
    path = tmp_path / "directory" if place == "directory" else written(tmp_path / "f", "x") / "t"
    with pytest.raises(OperatingError) as caught:
        read_or_make(path)
    assert "token file can't be used" in caught.value.message
