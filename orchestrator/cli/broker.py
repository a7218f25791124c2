"""``aimctl broker``: a broker for those who have none, and the configuration for a real one."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal

from cyclopts import App

from orchestrator.cli.agent import until_told
from orchestrator.cli.context import Given
from orchestrator.errors import Exit, OperatingError

PORT_MAX: Final = 65535
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def register(app: App) -> None:
    """Add the commands."""
    broker = App(name="broker", help="The embedded broker; configuration for Mosquitto.")
    broker.command(run)
    broker.command(config)
    app.command(broker)


async def run(  # noqa: D417 - the context is no option
    *,
    port: int = 1883,
    bind: str = "127.0.0.1",
    prefer: Literal["auto", "mosquitto", "amqtt"] = "auto",
    context: Given,
) -> int:
    """
    Run an embedded broker on this machine until SIGTERM; prints its URL when it is ready.

    For example:
      aimctl broker run
      aimctl broker run --port 0 --output json

    It takes anybody, keeps nothing, and listens on loopback alone: for
    demonstrations, tests and small fleets. For everything else, run Mosquitto
    with `aimctl broker config`.

    Parameters
    ----------
    port
        Where it listens; 0 picks a free port.
    bind
        The address; only loopback is offered, since it lets anybody in.
    prefer
        An installed Mosquitto, or the one that comes with this program.
    """
    import asyncio

    from orchestrator.ports import TransportUnavailable
    from orchestrator.transport.embedded import EmbeddedBroker

    _check(port, bind)
    try:
        async with EmbeddedBroker(prefer=prefer, port=port) as broker:
            url = broker.url
            context.view.show(
                {"type": "broker", "url": url, "kind": broker.kind, "port": broker.port},
                lambda screen: screen.line(url),
            )
            context.view.say(f"broker    {broker.kind}, until Ctrl-C or SIGTERM")
            forever = asyncio.ensure_future(asyncio.Event().wait())
            with until_told(forever), suppress(asyncio.CancelledError):
                await forever
    except TransportUnavailable as error:
        raise OperatingError(
            str(error), exit_code=Exit.UNREACHABLE, next_command="aimctl broker run --port 0"
        ) from error
    return int(Exit.DONE)


def _check(port: int, bind: str) -> None:
    if not 0 <= port <= PORT_MAX:
        raise OperatingError(f"--port {port}: must be 0 to {PORT_MAX}", exit_code=Exit.USAGE)
    if bind not in LOOPBACK:
        raise OperatingError(
            f"--bind {bind}: the embedded broker lets anybody in, so it listens on loopback alone",
            exit_code=Exit.USAGE,
            next_command="aimctl broker config, and an installed Mosquitto",
        )


def config(  # noqa: D417 - the context is no option
    *,
    directory: str = "/etc/mosquitto/aim",
    port: int = 8883,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Print the configuration and the access list for a Mosquitto, with mutual TLS.

    For example:
      aimctl broker config
      aimctl broker config --output json | jq -r .acl

    Parameters
    ----------
    directory
        Where its certificates and the access list will stand.
    port
        Where it listens.
    fleet
        Let devices into this fleet alone.
    """
    from orchestrator.transport.broker_config import mosquitto_acl, mosquitto_conf

    conf = mosquitto_conf(port=port, directory=directory)
    acl = mosquitto_acl(fleet=fleet)
    document = {"type": "broker-config", "conf": conf, "acl": acl}

    def text(screen: object) -> None:
        write = getattr(screen, "line")  # noqa: B009
        write(f"# --- {directory}/mosquitto.conf")
        write(conf)
        write(f"# --- {directory}/mosquitto.acl")
        write(acl)

    context.view.show(document, text)
    return int(Exit.DONE)
