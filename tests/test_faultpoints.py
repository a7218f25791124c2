"""The switch that ends a process at a named step."""

from __future__ import annotations

import signal

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.faultpoints import VARIABLE, FaultPoints


def test_without_an_order_nothing_happens() -> None:
    """A process that was not told to fail passes every point."""
    FaultPoints.of({}).hit("append:decided:after")


@pytest.mark.parametrize(
    ("order", "number"), [("kill@a:b:after", signal.SIGKILL), ("stop@a:b:after", signal.SIGSTOP)]
)
def test_it_strikes_at_its_point_alone(order: str, number: int) -> None:
    """Other points are passed."""
    struck: list[int] = []
    faults = FaultPoints.of({VARIABLE: order})
    faults._strike = struck.append

    faults.hit("a:b:before")
    assert [] == struck
    faults.hit("a:b:after")
    assert [number] == struck


def test_it_counts() -> None:
    """``#3`` is the third time, and only that one."""
    struck: list[int] = []
    faults = FaultPoints("kill@x:after#3", strike=struck.append)

    for _ in range(5):
        faults.hit("x:after")

    assert [signal.SIGKILL] == struck


@pytest.mark.parametrize("order", ["x", "kill@", "boom@x:after", "kill@x#0", "kill@x y"])
def test_a_wrong_order_is_wrong_use(order: str) -> None:
    """A misspelt switch must not look like a test that passed."""
    with pytest.raises(OperatingError) as raised:
        FaultPoints(order)

    assert Exit.USAGE == raised.value.exit_code
