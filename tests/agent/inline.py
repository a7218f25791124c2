"""Runs what blocks at once: for disks that live in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def inline(work: Callable[[], T]) -> T:
    """Return what ``work`` returns."""
    return work()
