"""
A broker for those who have none: an installed Mosquitto, or else amqtt inside this process.

Both listen on 127.0.0.1 alone, on a free port, take anybody, and keep nothing: they are for
demonstrations, tests and small fleets on one machine. Mosquitto is preferred: amqtt loses
acknowledged messages when a publisher leaves and grows with the square of the fleet, good for
some two hundred devices (the cores send again what is lost). The only module that knows amqtt.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final, Literal, Self

from orchestrator.ports import TransportUnavailable
from orchestrator.transport.broker_config import embedded_config

Kind = Literal["amqtt", "mosquitto"]
Preference = Literal["amqtt", "mosquitto", "auto"]

LOOPBACK: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.02
_PORT_ATTEMPTS: Final = 5
_LOG_TAIL_CHARS: Final = 500
_SYSTEM_PROGRAMS: Final = ("/usr/local/sbin", "/usr/sbin", "/usr/local/opt/mosquitto/sbin")
_ONE_TRY_S: Final = 1.0


def installed_mosquitto() -> str | None:
    """Return the path of an installed Mosquitto; daemons are often not on a user's PATH."""
    places = [Path(place, "mosquitto") for place in _SYSTEM_PROGRAMS]
    return shutil.which("mosquitto") or next((str(p) for p in places if p.is_file()), None)


class EmbeddedBroker:
    """
    A broker that lives as long as this context.

    ``prefer`` is ``"auto"`` (Mosquitto if installed, else amqtt) or one of the two by name;
    ``port`` a fixed port, or 0 for a free one. Inside the context :attr:`url` is where clients
    connect, :attr:`kind` which broker it is, and :attr:`pid` the process of a Mosquitto.
    Entering raises TransportUnavailable, saying why, when no broker could be started.
    """

    def __init__(self, *, prefer: Preference = "auto", port: int = 0) -> None:
        self.kind: Kind = "amqtt"
        self.port = port
        self.pid: int | None = None
        self._prefer = prefer
        self._fixed_port = port
        self._stop: Callable[[], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Self:
        """Start the broker; return when it accepts connections."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            try:
                self.port = _free_port(self._fixed_port)
                await self._start()
            except TransportUnavailable:
                # Somebody may have taken the free port before the broker did: once more.
                if self._fixed_port or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                break
        return self

    async def _start(self) -> None:
        program = None if self._prefer == "amqtt" else installed_mosquitto()
        if program is not None:
            await self._start_mosquitto(program)
        elif self._prefer == "mosquitto":
            msg = "mosquitto is not installed (apt install mosquitto, or prefer amqtt)"
            raise TransportUnavailable(msg)
        else:
            await self._start_amqtt()

    async def __aexit__(self, *_exc: object) -> None:
        """Stop the broker, in bounded time."""
        stop, self._stop, self.pid = self._stop, None, None
        if stop is not None:
            await stop()

    # --- Mosquitto -------------------------------------------------------------------------

    async def _start_mosquitto(self, program: str) -> None:
        broker = _MosquittoProcess(program, self.port)
        self.kind, self._stop = "mosquitto", broker.stop
        try:
            self.pid = await broker.start()
        except BaseException:
            await self.__aexit__()
            raise

    # --- amqtt -----------------------------------------------------------------------------

    async def _start_amqtt(self) -> None:
        broker = _amqtt_broker(self.port)
        try:
            await broker.start()
        except Exception as error:  # whatever amqtt raises ends at this edge
            msg = f"the embedded broker (amqtt) could not be started: {error}"
            raise TransportUnavailable(msg) from error
        self.kind, self._stop = "amqtt", lambda: _stop_amqtt(broker)


class _MosquittoProcess:
    """A Mosquitto with a configuration of its own in a directory of its own."""

    def __init__(self, program: str, port: int) -> None:
        self._program = program
        self._port = port
        # Its owner's alone (0700), and gone with the broker.
        self._directory = TemporaryDirectory(prefix="aim-broker-", ignore_cleanup_errors=True)
        self._process: Process | None = None

    @property
    def _log(self) -> Path:
        return Path(self._directory.name, "mosquitto.log")

    def _files(self) -> tuple[str, BinaryIO]:
        """Write the configuration, open the log."""
        config = Path(self._directory.name, "mosquitto.conf")
        config.write_text(embedded_config(self._port))
        return str(config), self._log.open("wb")

    async def start(self) -> int:
        """Return the process id once it accepts connections. Raises TransportUnavailable."""
        config, log = self._files()
        with log:
            self._process = await asyncio.create_subprocess_exec(
                *(*_dies_with_us(), self._program, "-c", config),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await _accepts(self._port):
                    self._still_runs(self._process)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise self._failed("does not accept connections") from None
        self._still_runs(self._process)  # or it was somebody else who accepted
        return self._process.pid

    def _still_runs(self, process: Process) -> None:
        if process.returncode is not None:
            raise self._failed(f"ended with code {process.returncode}")

    def _failed(self, why: str) -> TransportUnavailable:
        tail = self._log.read_text(errors="replace")[-_LOG_TAIL_CHARS:].strip()
        return TransportUnavailable(f"mosquitto on port {self._port} {why}: {tail}")

    async def stop(self) -> None:
        """End it in order, or else by force, and remove its directory."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self._directory.cleanup()


def _dies_with_us() -> tuple[str, ...]:
    """
    Return a prefix that makes the kernel end the broker when this program dies.

    A broker left behind by a kill -9 would be a ghost. Where there is no ``setpriv`` (it is part
    of util-linux) an orderly end still stops it.
    """
    setpriv = shutil.which("setpriv")
    return () if setpriv is None else (setpriv, "--pdeathsig", "TERM", "--")


async def _accepts(port: int) -> bool:
    try:
        async with asyncio.timeout(_ONE_TRY_S):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _free_port(wanted: int) -> int:
    """Return ``wanted``, or for 0 any port, that is free now. Raises TransportUnavailable."""
    with socket.socket() as probe:
        # As the brokers do: a connection that has just ended does not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            msg = f"port {wanted} can't be listened on: {error.strerror}"
            raise TransportUnavailable(msg) from error
        port: int = probe.getsockname()[1]
        return port


def _amqtt_broker(port: int) -> Any:
    """Return a broker that listens on loopback alone; nothing that it logs is for people."""
    # Here and not above: it takes a quarter of a second, and most programs never need it.
    from amqtt.broker import Broker  # noqa: PLC0415

    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    listener = {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}
    anonymous = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    broker = Broker(
        {"listeners": {"default": listener}, "plugins": {anonymous: {"allow_anonymous": True}}}
    )
    _retain_for_subscribers_alone(broker)
    return broker


_RETAINED: Final = "_publish_retained_messages_for_subscription"


def _retain_for_subscribers_alone(broker: Any) -> None:
    """
    Keep amqtt (seen in 0.12.1) from sending a newcomer what was retained for everybody else.

    It walks over all filters of all clients for each connection, and stumbles when another
    client subscribes meanwhile: some thirty devices that connect at once are cut off. A version
    that lacks the method is left as it is.
    """
    deliver = getattr(broker, _RETAINED, None)
    if deliver is None:
        return

    async def deliver_to_subscriber(subscription: tuple[str, int], session: Any) -> None:
        subscribers = broker.subscriptions.get(subscription[0], ())
        if any(known is session for known, _ in subscribers):
            await deliver(subscription, session)

    setattr(broker, _RETAINED, deliver_to_subscriber)


async def _stop_amqtt(broker: Any) -> None:
    with suppress(Exception):  # its shutdown is noisy when clients are still there
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await broker.shutdown()
