"""What people read about scenarios is what the table says."""

from __future__ import annotations

import re

import pytest

from drone_sim.scenario.phrase_book import phrase_book
from drone_sim.scenario.story import parse
from tests.scenario.stories import SHIPPED, file

README = SHIPPED[0].parent / "README.md"
MARK = "<!-- phrase book -->\n"


def test_the_phrase_book_is_the_table(request: pytest.FixtureRequest) -> None:
    """The README of the scenarios ends with the phrase book (``--rewrite`` writes it anew)."""
    written = README.read_text()
    head, mark, _ = written.partition(MARK)
    told = f"{head}{mark}\n{phrase_book()}"
    if request.config.getoption("--rewrite"):
        README.write_text(told)
    else:
        assert written == told


def test_the_example_of_the_readme_is_a_scenario() -> None:
    """The file that the README shows is read as it stands."""
    example = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    assert "ghost" == parse(file(example[1])).scenario.name
