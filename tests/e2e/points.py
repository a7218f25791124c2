"""
Every step of a push that a process may die or freeze at, in the order of a healthy run.

``test_points.py`` compares both lists with what a traced push really passes, so that a step that
is added to the product is added here, or a test fails.
"""

from __future__ import annotations

from typing import Final

_TO_BEGUN: Final = (
    "append:lock_taken:before",
    "append:lock_taken:after",
    "send:fence:before",
    "send:fence:after",
    "send:welcome:before",
    "send:welcome:after",
    "append:begun:before",
)
_TO_DECIDED: Final = (
    "append:begun:after",
    "send:prepare:before",
    "send:prepare:after",
    "publish:blob:before",
    "publish:blob:after",
    "votes:1:after",
    "votes:12:after",
    "votes:24:after",
    "append:decided:before",
)
_TO_ENDED: Final = (
    "append:decided:after",
    "send:decision:before",
    "send:decision:after",
    "append:ended:before",
)
_TO_FREE: Final = (
    "append:ended:after",
    "append:lock_released:before",
)
_FREE: Final = (
    "append:lock_released:after",
    "clear:before",
    "clear:after",
)

ORCHESTRATOR: Final = (*_TO_BEGUN, *_TO_DECIDED, *_TO_ENDED, *_TO_FREE, *_FREE)
COMMITTED: Final = frozenset((*_TO_ENDED, *_TO_FREE, *_FREE))
"""The points after the decision was stored: from here on the fleet ends on the new version."""

LOCKED: Final = ORCHESTRATOR[1 : ORCHESTRATOR.index("append:ended:before") + 1]
"""From the lock durable to before ``Ended`` is durable: where a zombie can be made."""

DEVICE_TO_VOTE: Final = (
    "stage:before",
    "stage:after",
    "save:prepared:before",
    "save:prepared:after",
    "send:vote:before",
)
DEVICE_VOTED: Final = (
    "send:vote:after",
    "save:decision:before",
    "save:decision:after",
    "activate:before",
    "activate:after",
    "save:activated:before",
    "save:activated:after",
)
DEVICE_BESIDE: Final = (
    "save:fence:before",
    "save:fence:after",
    "save:welcome:before",
    "save:welcome:after",
    "save:catch-up:before",
    "save:catch-up:after",
    "send:hello:before",
    "send:hello:after",
    "send:report:before",
    "send:report:after",
)
DEVICE: Final = (*DEVICE_TO_VOTE, *DEVICE_VOTED)
