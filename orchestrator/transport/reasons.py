"""Why a broker can't be reached, in words for people who may not know MQTT."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from orchestrator.transport.broker_url import BrokerUrl

LATE: Final = "no answer in time"

_CONNACK_WHY: Final = {
    0x85: "the broker refused the client id",
    0x86: "user or password is wrong",
    0x87: "the broker refused this user: not authorized",
    0x88: "the broker is not available",
}


def connack_says(code: int) -> str:
    """Say why the broker refused us, by its reason code (MQTT 5 §3.2.2.2; paho maps 3.1.1's)."""
    return _CONNACK_WHY.get(code, f"the broker refused the connection (code {code})")


def system_says(cause: OSError) -> str:
    """Say why the operating system or TLS did not connect us."""
    match cause:
        case ssl.SSLCertVerificationError():
            return f"the broker's certificate is not trusted: {cause.verify_message}"
        case ssl.SSLError():
            return f"TLS failed ({cause.reason or cause}): does this port speak TLS?"
        case socket.gaierror():
            return "no such host"
        case ConnectionRefusedError():
            return "connection refused: no broker listens there"
        case ConnectionResetError():
            return "connection reset by the other side: mqtt to an mqtts port, or the other way?"
        case FileNotFoundError():
            return f"a TLS file is missing: {cause.filename or cause}"
        case TimeoutError():
            return LATE
        case _:
            return cause.strerror or str(cause)


def silent_says(broker: BrokerUrl) -> str:
    """Say what it may mean that somebody accepted the connection and then kept silent."""
    if broker.tls:
        return "no MQTT answer in time: is it a broker, and does it ask for a client certificate?"
    return "no MQTT answer in time: is it a broker, and does it want mqtts?"
