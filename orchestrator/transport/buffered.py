"""
A socket that is read in large pieces and handed out in small ones.

paho reads each packet in three calls, one byte, one byte and the rest, and aiomqtt one packet
per turn of the event loop: at thousands of votes that is most of the coordinator's time. With
this in paho's place for its socket, one system call serves many packets: aiomqtt goes on reading
as long as ``pending()`` is above zero, as it does for TLS.
"""

from __future__ import annotations

import socket
from typing import Any, Final

READ_BYTES: Final = 64 * 1024


class BufferedSocket:
    """Wraps a connected, non-blocking socket; everything but reading is the socket's own."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._buffer = b""
        self._start = 0

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes; b"" at the end; raises BlockingIOError like a socket."""
        if self._start >= len(self._buffer):
            self._buffer, self._start = self._inner.recv(max(size, READ_BYTES)), 0
        end = self._start + size
        piece = self._buffer[self._start : end]
        self._start = min(end, len(self._buffer))
        return piece

    def pending(self) -> int:
        """Return how many bytes were read from the network and not handed out yet."""
        return len(self._buffer) - self._start

    def __getattr__(self, name: str) -> Any:
        """Delegate fileno, send, close and whatever else."""
        return getattr(self._inner, name)


def buffer_reads(paho: Any) -> bool:
    """
    Put a :class:`BufferedSocket` in the place of a paho client's socket; tell whether it is there.

    Call it when the client is connected, from its loop. It touches a private attribute: where
    that is not a plain TCP socket (TLS, another version of paho) nothing is changed.
    """
    inner = getattr(paho, "_sock", None)
    if type(inner) is not socket.socket:
        return False
    paho._sock = BufferedSocket(inner)  # noqa: SLF001 - guarded above, slower without
    return True
