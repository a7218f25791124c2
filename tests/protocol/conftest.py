"""``--rewrite`` writes the golden transcripts anew; read the difference before you keep it."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rewrite``."""
    parser.addoption(
        "--rewrite", action="store_true", help="write tests/scenarios/*.txt as they come out now"
    )
