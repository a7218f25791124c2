"""What lasts: things that begin at once and end later, where two of them may be the same thing."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from drone_sim.shells.loop import sim_loop
from drone_sim.shells.truth import story_s

NEVER_EARLY_S: Final = 1e-6

Undo = Callable[[], Any]


def later(delay_s: float, act: Callable[[], Any]) -> None:
    """Do something later, in nobody's process: whoever lives then."""
    sim_loop().call_later(max(0.0, delay_s), act, context=contextvars.Context())


def nothing() -> None:
    """Undo what undoes itself, or took no time."""


def sets(thing: object, name: str, value: object) -> Undo:
    """Return what gives an attribute of ``thing`` this value."""
    return partial(setattr, thing, name, value)


class Lasting:
    """
    Keeps what lasts until its end. Times are of the story, in s.

    What is said of one thing twice (the same key) lasts to the later end.
    """

    def __init__(self) -> None:
        self._ends: dict[object, float] = {}
        self._undo: dict[object, Undo] = {}
        self._told: list[Undo] = []

    def keep(self, things: Mapping[object, Undo], until_s: float, over: Undo) -> Undo:
        """
        Undo each of ``things`` at ``until_s``, then call ``over``.

        Returns what ends them before that.
        """
        for key, undo in things.items():
            self._ends[key] = max(until_s, self._ends.get(key, until_s))
            self._undo[key] = undo
        self._told.append(over)
        later(until_s - story_s(), lambda: self._end(tuple(things), over))
        return lambda: self._end(tuple(things), over, early=True)

    def _end(self, keys: tuple[object, ...], over: Undo, *, early: bool = False) -> None:
        if over not in self._told:
            return
        self._told.remove(over)
        for key in keys:
            due = key in self._ends and self._ends[key] <= story_s() + NEVER_EARLY_S
            if due or (early and key in self._ends):
                del self._ends[key]
                self._undo.pop(key)()
        over()

    def finish(self) -> None:
        """End everything now, in the order of its beginning."""
        undo, self._undo = self._undo, {}
        told, self._told = self._told, []
        self._ends.clear()
        for one in (*undo.values(), *told):
            one()
