"""Between packets and messages: the one place that names pymavlink. No input, no output."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pymavlink.dialects.v20 import common as mavlink

from orchestrator.agent.mavlink.link import (
    Ack,
    Address,
    Alive,
    Charge,
    Command,
    Flying,
    GimbalControl,
    GimbalRange,
    Heartbeat,
    Incoming,
    Landed,
    Outgoing,
    ParamValue,
    ReadParam,
    WriteParam,
)

_FIELD_BYTES: Final = 4
_HEADER_BYTES: Final = {0xFE: 6, 0xFD: 10}
"""The length of a header by the first byte of a packet: MAVLink 1 and 2."""

_FULL_PERCENT: Final = 100


class Codec:
    """
    One end of a link, with the state that MAVLink has: sequence numbers and half a packet.

    ``encode`` makes packets of MAVLink 2; ``feed`` takes bytes as they come and drops what has
    a wrong checksum.
    """

    def __init__(self) -> None:
        self._out = mavlink.MAVLink(None)
        self.forget()

    def forget(self) -> None:
        """Drop half a packet: datagrams hold whole ones, and noise must not swallow the next."""
        self._in = mavlink.MAVLink(None)
        self._in.robust_parsing = True

    def encode(self, message: Outgoing, source: Address) -> bytes:
        """Return the packet of a message."""
        self._out.srcSystem = source.system
        self._out.srcComponent = source.component
        packet = bytes(_packed(message).pack(self._out))
        self._out.seq = (self._out.seq + 1) % 256
        return packet

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """Yield the messages that end in ``data``; those of no interest are left out."""
        for message in self._in.parse_buffer(data) or ():
            read = _READERS.get(message.get_type())
            if read is not None:
                source = Address(
                    system=message.get_srcSystem(), component=message.get_srcComponent()
                )
                found = read(message, source)
                if found is not None:
                    yield found


# --- out --------------------------------------------------------------------------------------


def _packed(message: Outgoing) -> Any:
    match message:
        case Alive():
            return mavlink.MAVLink_heartbeat_message(
                mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
                mavlink.MAV_AUTOPILOT_INVALID,
                0,
                0,
                mavlink.MAV_STATE_ACTIVE,
                3,
            )
        case ReadParam(to=to, name=name):
            return mavlink.MAVLink_param_request_read_message(
                to.system, to.component, name.encode(), -1
            )
        case WriteParam(to=to, name=name, type=kind, raw=raw):
            return mavlink.MAVLink_param_set_message(
                to.system, to.component, name.encode(), _as_float(raw), kind
            )
        case Command(to=to, verb=verb, values=values, again=again):
            return mavlink.MAVLink_command_long_message(
                to.system, to.component, int(verb), min(again, 255), *values
            )


def _as_float(raw: bytes) -> float:
    """
    Return the float of four bytes, as the library wants it.

    Raises ValueError for the integers whose bytes are a signalling NaN: a float would not give
    them back. They are beyond eight millions, and no gimbal parameter comes near.
    """
    value = float(struct.unpack("<f", raw)[0])
    if struct.pack("<f", value) != raw:
        raise ValueError(f"the bytes {raw.hex()} can't travel in a float")
    return value


# --- in ---------------------------------------------------------------------------------------

_Read = Callable[[Any, Address], Incoming | None]

_FAILSAFE: Final = frozenset(
    {
        mavlink.MAV_STATE_CRITICAL,
        mavlink.MAV_STATE_EMERGENCY,
        mavlink.MAV_STATE_FLIGHT_TERMINATION,
    }
)


def _heartbeat(message: Any, source: Address) -> Heartbeat:
    armed = bool(message.base_mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED)
    failsafe = message.system_status in _FAILSAFE
    return Heartbeat(source=source, autopilot=message.autopilot, armed=armed, failsafe=failsafe)


def _param_value(message: Any, source: Address) -> ParamValue:
    # Not message.param_value: an integer's bytes need not survive as a float. The field stands
    # first behind the header, and before the name, so that no zeros of it were cut off.
    packet = bytes(message.get_msgbuf())
    start = _HEADER_BYTES[packet[0]]
    raw = packet[start : start + _FIELD_BYTES]
    return ParamValue(source=source, name=message.param_id, type=message.param_type, raw=raw)


def _ack(message: Any, source: Address) -> Ack:
    return Ack(source=source, command=message.command, result=message.result)


def _range(message: Any, source: Address) -> GimbalRange:
    def degrees(axis: str) -> tuple[float, float]:
        low, high = (getattr(message, f"{axis}_{end}") for end in ("min", "max"))
        return math.degrees(low), math.degrees(high)

    return GimbalRange(
        source=source,
        device=message.get_type() == "GIMBAL_DEVICE_INFORMATION",
        roll=degrees("roll"),
        pitch=degrees("pitch"),
        yaw=degrees("yaw"),
    )


def _control(message: Any, source: Address) -> GimbalControl:
    primary = Address(
        system=message.primary_control_sysid, component=message.primary_control_compid
    )
    return GimbalControl(source=source, primary=primary)


def _flying(message: Any, source: Address) -> Flying | None:
    if message.landed_state not in {*Landed}:
        return None
    return Flying(source=source, landed=Landed(message.landed_state))


def _charge(message: Any, source: Address) -> Charge | None:
    percent = message.battery_remaining
    if not 0 <= percent <= _FULL_PERCENT:  # -1: it is not measured
        return None
    number = message.id if message.get_type() == "BATTERY_STATUS" else None
    return Charge(source=source, battery=number, percent=percent)


_READERS: Final[Mapping[str, _Read]] = {
    "HEARTBEAT": _heartbeat,
    "PARAM_VALUE": _param_value,
    "COMMAND_ACK": _ack,
    "GIMBAL_DEVICE_INFORMATION": _range,
    "GIMBAL_MANAGER_INFORMATION": _range,
    "GIMBAL_MANAGER_STATUS": _control,
    "EXTENDED_SYS_STATE": _flying,
    "SYS_STATUS": _charge,
    "BATTERY_STATUS": _charge,
}
