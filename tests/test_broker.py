"""The broker that the other tests stand on."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.conftest import Mosquitto


def test_broker_listens_again_on_its_port_after_a_kill(
    mosquitto: Callable[..., Mosquitto],
) -> None:
    """A killed broker is gone at once, and back under the same URL after a restart."""
    broker = mosquitto(persistent=True)
    first, url = broker.pid, broker.url
    broker.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port))
    broker.restart()
    assert url == broker.url
    assert first != broker.pid
