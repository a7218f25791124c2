"""What a push would change, as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.types import DeviceId
from orchestrator.staging.diff import Change, diff, group_changes

A, B, C, D = (DeviceId(name) for name in "abcd")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"x": 1}, {"x": 1}, []),
        ({"x": {"y": 1}}, {"x": {"y": 2}}, ["~ x.y: 1 → 2"]),
        ({"x": {"y": 1}}, {"x": {}}, ["- x.y: 1"]),
        ({}, {"x": {"y": "lock"}}, ["+ x.y: 'lock'"]),
        (None, {"x": True}, ["+ x: true"]),
        ({"x": [1]}, {"x": [1, 2]}, ["~ x: a list → a list"]),
        ({"x": {"y": 1}}, {"x": 2}, ["+ x: 2", "- x.y: 1"]),
        ({"x": 0}, {"x": False}, ["~ x: 0 → false"]),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, ["~ a: 1 → 2", "~ b: 1 → 2"]),
    ],
)
def test_a_difference_is_listed_by_path(old: Any, new: Any, expected: list[str]) -> None:
    """Tables are compared key by key, everything else as a whole, in the order of the paths."""
    assert expected == [str(change) for change in diff(old, new)]


def test_devices_with_equal_change_are_one_group() -> None:
    """What changes alike is shown once, the most devices first; the unchanged are left out."""
    old = {A: {"x": 1}, B: {"x": 1}, C: {"x": 2}, D: {"x": 3}}
    new = {A: {"x": 3}, B: {"x": 3}, C: {"x": 3}, D: {"x": 3}}
    groups = group_changes(old, new)
    assert [(A, B), (C,)] == [group.devices for group in groups]
    assert (Change(path="x", old=1, new=3),) == groups[0].changes


def test_new_devices_are_a_group() -> None:
    """Devices that have no configuration yet get everything."""
    (group,) = group_changes({A: None}, {A: {"x": 1}, B: {"x": 1}})
    assert (A, B) == group.devices


TABLES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
).filter(lambda value: isinstance(value, dict))


@given(TABLES, TABLES)
def test_there_is_no_difference_only_between_equals(old: Any, new: Any) -> None:
    """Nothing is different from itself; what differs in a value has a difference both ways."""
    assert [] == diff(old, old)
    assert bool(diff(old, new)) == bool(diff(new, old))
