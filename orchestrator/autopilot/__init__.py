"""
Autopilots' parameters: what they mean, and the files that carry them. Pure.

:data:`TABLES` say which key of a configuration is which parameter of ArduPilot and of PX4;
:func:`params_of` and :func:`values_of` go from one to the other and name everything that gets
lost. :func:`parse_params` reads ``.param`` and ``.params`` files. A configuration is a plain map
of key paths here: the models that know more are further up.
"""

from __future__ import annotations

from orchestrator.autopilot.documents import (
    FILE_BYTES_MAX,
    Format,
    ParamDocument,
    WrongLine,
    new_document,
    parse_params,
)
from orchestrator.autopilot.mapping import (
    Decoded,
    Encoded,
    params_of,
    table_for,
    values_of,
)
from orchestrator.autopilot.numbers import ParamType, from_wire, same, show, to_wire
from orchestrator.autopilot.rows import Param, Plain, Unfit, Values
from orchestrator.autopilot.tables import ARDUPILOT, ARDUPILOT_OLDER, AUTOPILOTS, PX4, Table

__all__ = [
    "ARDUPILOT",
    "ARDUPILOT_OLDER",
    "AUTOPILOTS",
    "FILE_BYTES_MAX",
    "PX4",
    "Decoded",
    "Encoded",
    "Format",
    "Param",
    "ParamDocument",
    "ParamType",
    "Plain",
    "Table",
    "Unfit",
    "Values",
    "WrongLine",
    "from_wire",
    "new_document",
    "params_of",
    "parse_params",
    "same",
    "show",
    "table_for",
    "to_wire",
    "values_of",
]
