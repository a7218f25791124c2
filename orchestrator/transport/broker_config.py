"""
Configurations for Mosquitto, generated from the table of topics. Pure: text in, text out.

:func:`mosquitto_conf` and :func:`mosquitto_acl` are what ``aimctl broker config`` prints and what
stands in ``configs/``. Each number is one that a default was measured to be wrong for; the
comments in the text say what happens otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.protocol.types import BLOB_BYTES_MAX
from orchestrator.transport.topics import ROOT, ROUTES, Route, Side

ORCHESTRATORS: Final = ("coordinator", "coordinator-serve", "coordinator-standby")
"""The users that may drive fleets: one for each ``aimctl`` that runs at the same time."""

INFLIGHT_MAX: Final = 100
QUEUED_MAX: Final = 100_000
PACKET_BYTES_MAX: Final = BLOB_BYTES_MAX + 64 * 1024
"""The largest payload, and room for its topic."""

_LIMITS: Final = f"""\
# Without it each exchange waits some 40 ms for a delayed acknowledgement.
set_tcp_nodelay true

# With the default of 1000 queued messages a fleet of 5000 loses four votes of five, though each
# device has its acknowledgement. At least four times the size of the largest fleet.
max_queued_messages {QUEUED_MAX}
max_inflight_messages {INFLIGHT_MAX}

# The largest message is a blob of {BLOB_BYTES_MAX} bytes.
max_packet_size {PACKET_BYTES_MAX}
"""

_CONF: Final = """\
# Mosquitto for one or more fleets. Generated: aimctl broker config

per_listener_settings false

listener {port}
cafile {directory}/ca.crt
certfile {directory}/broker.crt
keyfile {directory}/broker.key
tls_version tlsv1.2

# A client is who its certificate says (CN): a device's id, or an orchestrator's name below.
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {directory}/mosquitto.acl

# Without it a device could take over another's session by using its client id. With it two
# programs of one name end each other's session: each aimctl that runs at the same time needs a
# certificate of its own ({orchestrators}).
use_username_as_clientid true

{limits}
# What is retained is a cache and is published again after a loss: this is convenience only.
persistence true
persistence_location /var/lib/mosquitto/
autosave_interval 60

# aimctl doctor watches $SYS/broker/publish/messages/dropped.
sys_interval 10
"""

_EMBEDDED: Final = """\
# An embedded broker: this machine only, anybody, nothing kept.
listener {port} 127.0.0.1
allow_anonymous true
persistence false
{limits}
log_dest stderr
log_type error
log_type warning
# Only looked at when it is started by root, whose directory no other user may enter.
user root
"""


def mosquitto_conf(
    *,
    port: int = 8883,
    directory: str = "/etc/mosquitto/aim",
    orchestrators: Sequence[str] = ORCHESTRATORS,
) -> str:
    """Return a ``mosquitto.conf``: mutual TLS, the access list, limits that lose no vote."""
    return _CONF.format(
        port=port,
        directory=directory,
        limits=_LIMITS,
        orchestrators=", ".join(orchestrators),
    )


def embedded_config(port: int) -> str:
    """Return the configuration of an embedded Mosquitto on loopback."""
    return _EMBEDDED.format(port=port, limits=_LIMITS)


def mosquitto_acl(
    *, fleet: str | None = None, orchestrators: Sequence[str] = ORCHESTRATORS
) -> str:
    """
    Return the access list: who may publish and read what.

    A device is the user of its own id and may publish under its own name alone. Without
    ``fleet`` that holds in all fleets, so a device's id must then be unique at the broker.
    Mosquitto answers what it denies as if it had been granted, so test a new list.
    """
    where = fleet or "+"
    lines = [
        "# Who may publish and read what. Generated: aimctl broker config",
        "",
        *(line for user in orchestrators for line in _orchestrator(user, where)),
        "# Every other user is the device of that name (%u).",
        *(_device(route, where) for route in ROUTES),
    ]
    return "\n".join(lines) + "\n"


def _orchestrator(user: str, fleet: str) -> Iterator[str]:
    yield f"user {user}"
    for route in ROUTES:
        verb = "write" if route.sender is Side.ORCHESTRATOR else "read"
        yield f"topic {verb} {_filter(route, fleet, device='+')}"
    yield "topic read $SYS/#"
    yield ""


def _device(route: Route, fleet: str) -> str:
    verb = "read" if route.sender is Side.ORCHESTRATOR else "write"
    return f"pattern {verb} {_filter(route, fleet, device='%u')}"


def _filter(route: Route, fleet: str, *, device: str) -> str:
    values = {name: device if name == "device" else "+" for name in route.parameters}
    return f"{ROOT}/{fleet}/{route.path.format(**values)}"
