"""
What is verified: which faults, how many of them, how fine the steps are, and which property.

Each scope is exhaustive for what is on in it. :data:`DEFAULT` is what the tests verify,
:data:`FULL` what takes up to a minute each: run by hand, before the protocol or the model changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.model.spin import Scope

NO_FAULTS: Final[Mapping[str, int]] = {"FAULTS": 0, "TIMEOUTS": 0, "REFUSALS": 0}
COARSE: Final[Mapping[str, int]] = {"LATES": 0, "STAGES": 0, "LOOKS": 0, "ZOMBIES": 0}
"""What can be merged without another outcome: each is a step that nobody sees (see fleet.pml)."""

PLAIN: Final[Mapping[str, int]] = {**COARSE, "CONFIRMS": 0, "EXPIRIES": 0}
"""And without what devices operate, and leases."""

EVERY_STEP: Final = Scope(
    name="every-step",
    about="2 devices, 2 pushes, any one fault, all steps apart",
    switches={"FAULTS": 1},
)

CALM: Final[Mapping[str, int]] = {"FAULTS": 1, **COARSE}

DEFAULT: Final = (
    EVERY_STEP,
    Scope(
        name="two-faults",
        about="2 devices, 2 pushes, any two faults but leases",
        switches={"FAULTS": 2, **PLAIN},
    ),
    Scope(
        name="all-faults",
        about="2 devices, 1 push, one fault of each kind but leases",
        switches={"PUSHES": 1, **PLAIN},
    ),
    Scope(
        name="three-devices",
        about="3 devices, 1 push, any three faults but leases",
        switches={"N": 3, "PUSHES": 1, "FAULTS": 3, **PLAIN},
    ),
    Scope(
        name="raw",
        about="2 devices, 1 push, any one fault, no reduction",
        switches={"PUSHES": 1, "FAULTS": 1, "RAW": 1},
    ),
    Scope(
        name="no-faults",
        about="2 devices, 2 pushes, all yes, in time",
        switches=NO_FAULTS,
        claim="I4",
    ),
    Scope(
        name="no-faults-3",
        about="3 devices, 2 pushes, all yes, in time",
        switches={"N": 3, **NO_FAULTS},
        claim="I4",
    ),
    Scope(name="calm", about="2 devices, 2 pushes, any one fault", switches=CALM, claim="I6"),
    Scope(
        name="calm-fair",
        about="2 devices, 1 push, any two faults; endless time, weak fairness",
        switches={"PUSHES": 1, "FAULTS": 2, "TICKS": 1, **COARSE},
        claim="I6",
    ),
    Scope(name="forced", about="2 devices, 2 pushes, any one fault", switches=CALM, claim="I16"),
    Scope(
        name="any-order", about="2 devices, 2 pushes, any one fault", switches=CALM, claim="I18"
    ),
)

FULL: Final = (
    Scope(
        name="two-faults-confirms",
        about="2 devices, 2 pushes, any two faults",
        switches={"FAULTS": 2, **COARSE},
    ),
    Scope(
        name="three-faults",
        about="2 devices, 1 push, any three faults, all steps apart",
        switches={"PUSHES": 1, "FAULTS": 3},
    ),
    Scope(
        name="three-devices-steps",
        about="3 devices, 1 push, any two faults, all steps apart",
        switches={"N": 3, "PUSHES": 1, "FAULTS": 2},
    ),
    Scope(
        name="three-devices-2",
        about="3 devices, 2 pushes, any one fault",
        switches={"N": 3, "FAULTS": 1, **COARSE},
    ),
    Scope(
        name="raw-2",
        about="2 devices, 2 pushes, no fault but time-outs and refusals, no reduction",
        switches={"FAULTS": 0, "RAW": 1},
    ),
    Scope(
        name="raw-two-faults",
        about="2 devices, 1 push, any two faults, no reduction",
        switches={"PUSHES": 1, "FAULTS": 2, "RAW": 1},
    ),
    Scope(
        name="calm-fair-2",
        about="2 devices, 2 pushes, any one fault; endless time, weak fairness",
        switches={**CALM, "TICKS": 1},
        claim="I6",
    ),
    Scope(
        name="calm-3",
        about="3 devices, 2 pushes, any one fault",
        switches={"N": 3, "FAULTS": 1, **PLAIN},
        claim="I6",
    ),
    Scope(
        name="calm-fair-3",
        about="3 devices, 1 push, any one fault; endless time, weak fairness",
        switches={"N": 3, "PUSHES": 1, **CALM, "TICKS": 1},
        claim="I6",
    ),
    Scope(
        name="forced-fair",
        about="2 devices, 2 pushes, any one fault; endless time, weak fairness",
        switches={**CALM, "TICKS": 1},
        claim="I16",
    ),
)

SCOPES: Final = {scope.name: scope for scope in (*DEFAULT, *FULL)}
