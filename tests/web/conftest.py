"""The desk, as a fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.desk import Desk, at_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A server's API over a world in memory."""
    async with at_desk() as made:
        yield made
