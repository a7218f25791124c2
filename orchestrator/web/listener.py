"""Where the API listens: an address, its socket, and the HTTP server on it."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from fastapi import FastAPI

from orchestrator.errors import Exit, OperatingError

PORT_MAX: Final = 65535
CONNECTIONS_MAX: Final = 1000
"""Beyond that a request is answered with 503: watchers and waiters keep theirs open."""

HEADER_BYTES_MAX: Final = 16 * 1024
IDLE_S: Final = 10
GRACE_S: Final = 1
"""How long requests under way may still take when the server ends; then they are cancelled."""

UNDONE_S: Final = 0.5
"""How long those that are cancelled may take to leave their queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen; port 0 picks a free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """The address as clients write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``, an IPv6 address in brackets. Raises OperatingError (wrong use)."""
    host, separator, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        separator = ""
    digits = port.isascii() and port.isdigit()
    if not separator or not host or not digits or not 0 <= int(port[:9]) <= PORT_MAX:
        raise OperatingError(
            f"--listen {text}: must be HOST:PORT, such as 127.0.0.1:8470 or [::1]:8470",
            exit_code=Exit.USAGE,
            next_command="aimctl serve --help",
        )
    return Address(host=host, port=int(port))


@contextmanager
def bound(address: Address) -> Iterator[tuple[socket.socket, Address]]:
    """
    Bind a socket; yield it with the address that it really has.

    Raises OperatingError (wrong use) where the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        made = socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise _not_bound(address, error) from error
    with made:
        yield made, Address(host=address.host, port=made.getsockname()[1])


def _not_bound(address: Address, error: OSError) -> OperatingError:
    why = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        why = f"port {address.port} is in use: another `aimctl serve`?"
    return OperatingError(
        f"{address.url} can't be listened on: {why}",
        exit_code=Exit.USAGE,
        next_command="aimctl serve --listen 127.0.0.1:0   (picks a free port)",
    )


@asynccontextmanager
async def serving(
    app: FastAPI, listening: socket.socket
) -> AsyncIterator[Coroutine[None, None, None]]:
    """
    Serve ``app`` for as long as the context lasts; leaving it takes GRACE_S and UNDONE_S at most.

    Yields what the caller must await beside its own work: it ends only if the server does. Signals
    are the caller's business.
    """
    server = _Server(_config(app))
    task = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        yield _end_of(task)
    finally:
        server.should_exit = True
        await asyncio.wait({task})
        if server.server_state.tasks:
            await asyncio.wait(set(server.server_state.tasks), timeout=UNDONE_S)


async def _end_of(task: asyncio.Future[None]) -> None:
    await asyncio.shield(task)


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,  # what is worth telling goes to the audience
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Server(uvicorn.Server):
    """A server that leaves the signals to its host."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
