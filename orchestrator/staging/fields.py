"""
How a field of a file is declared: unit, range and source stand in its description.

The description is what the JSON Schemas show, and so what an editor shows to an operator.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

ERROR_TYPE: Final = "aim_rules"
"""The type of the pydantic error that carries what rules between fields found."""

Found = tuple[tuple[str | int, ...], str]
"""What a rule found: the key path below the table that it looked at, and a message."""

RestAction = Literal["hold", "neutral", "retract"]
"""What a gimbal does when it may not aim: stay where it is, or go to a pose."""


class Strict(BaseModel):
    """
    The base of everything that is read from a file or the wire.

    Strict: "3" is not 3. Unknown keys and numbers that are not finite are refused. Values
    can't be changed once they are checked.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


OURS = "this project"
"""The source of a field whose range no autopilot defines."""


def number(default: Any, ge: float, le: float, *, unit: str, what: str, source: str = OURS) -> Any:
    """Declare a finite number; ``default=...`` makes the key required."""
    text = f"{what} Unit: {unit}. Range: {ge:g} to {le:g}. Source: {source}."
    return Field(default=default, ge=ge, le=le, description=text)


def choice(default: Any, *, what: str, source: str = OURS) -> Any:
    """Declare a field whose type lists its values: a Literal or a bool."""
    return Field(default=default, description=f"{what} Unit: none. Source: {source}.")


def refuse_found(found: list[Found]) -> NoReturn:
    """Raise pydantic's error for everything that the rules of a model found."""
    text = "; ".join(message for _, message in found)
    raise PydanticCustomError(ERROR_TYPE, "{text}", {"text": text, "found": found})
