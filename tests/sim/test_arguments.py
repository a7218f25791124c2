"""What programs that are run as modules have in common."""

from __future__ import annotations

import argparse

import pytest

from drone_sim.arguments import count, tell


@pytest.mark.parametrize("text", ["0", "21", "-1", "many", "", "1.5"])
def test_a_number_is_within_its_range(text: str) -> None:
    """Anything else is wrong use, in words."""
    with pytest.raises(argparse.ArgumentTypeError, match="is no number from 1 to 20"):
        count(text, 20)


def test_both_ends_are_in_the_range() -> None:
    """From one to the most."""
    assert [1, 20] == [count(text, 20) for text in ("1", "20")]


def test_narration_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole lines; the result has stdout for itself."""
    tell("so far so good")
    assert ("", "so far so good\n") == tuple(capsys.readouterr())
