"""
A tiny MQTT 3.1.1 client on a plain socket: it says what it is told to, well-formed or not.

It shares nothing with the product, so that it can record what really travels, publish what no
codec of ours would ever make, and forge the other side.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

CONNECT_S = 5.0
KEEPALIVE_S = 0  # none: a test may be quiet for long
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 0x20, 0x30, 0x40, 0x90


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message as it was delivered; ``at`` is UTC in s."""

    at: float
    topic: str
    payload: bytes
    retained: bool

    @property
    def kind(self) -> str:
        """The last level of the topic that names a kind."""
        levels = self.topic.split("/")
        return "blob" if "blob" in levels else levels[-1]

    @property
    def body(self) -> dict[str, Any]:
        """The envelope's body; empty where the payload is none of ours."""
        with contextlib.suppress(ValueError, RecursionError):
            envelope = json.loads(self.payload)
            if isinstance(envelope, dict) and isinstance(envelope.get("body"), dict):
                body: dict[str, Any] = envelope["body"]
                return body
        return {}


@dataclass(kw_only=True)
class RawClient:
    """One connection. What arrives is kept in ``heard``, oldest first."""

    port: int
    client_id: str
    heard: list[Heard] = field(default_factory=list)
    _socket: socket.socket | None = field(default=None, init=False)
    _reader: threading.Thread | None = field(default=None, init=False)
    _answers: dict[tuple[int, int], threading.Event] = field(default_factory=dict, init=False)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(1, 65535)))

    def connect(self, *filters: str) -> RawClient:
        """Connect, and subscribe to ``filters``."""
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=CONNECT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = _text("MQTT") + bytes((4, 2)) + struct.pack("!H", KEEPALIVE_S)
        self._send(0x10, head + _text(self.client_id))
        kind, body = self._read()
        assert (_CONNACK, b"\x00\x00") == (kind & 0xF0, body)
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read_all, daemon=True)
        self._reader.start()
        if filters:
            self._ask(0x82, b"".join(_text(one) + b"\x01" for one in filters), _SUBACK)
        return self

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1 and wait for the broker's PUBACK."""
        self._ask(0x32 | int(retain), payload, _PUBACK, before=_text(topic))

    def flood(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 0: nobody waits."""
        self._send(0x30, _text(topic) + payload)

    def close(self) -> None:
        """Cut the connection. Idempotent."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        if self._reader is not None:
            self._reader.join(CONNECT_S)
            self._reader = None

    def _ask(self, kind: int, payload: bytes, answer: int, *, before: bytes = b"") -> None:
        number = next(self._ids)
        event = self._answers[answer, number] = threading.Event()
        self._send(kind, before + struct.pack("!H", number) + payload)
        assert event.wait(CONNECT_S), f"the broker did not answer {kind:#x} of {self.client_id}"
        del self._answers[answer, number]

    def _send(self, kind: int, body: bytes) -> None:
        assert self._socket is not None, "not connected"
        self._socket.sendall(bytes((kind,)) + _length(len(body)) + body)

    def _read_all(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                kind, body = self._read()
                self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind & 0xF0 in {_PUBACK, _SUBACK}:
            event = self._answers.get((kind & 0xF0, struct.unpack("!H", body[:2])[0]))
            if event is not None:
                event.set()
        elif kind & 0xF0 == _PUBLISH:
            size = struct.unpack("!H", body[:2])[0]
            topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
            if kind & 0x06:
                self._send(_PUBACK, rest[:2])
                rest = rest[2:]
            heard = Heard(at=time.time(), topic=topic, payload=rest, retained=bool(kind & 1))
            self.heard.append(heard)

    def _read(self) -> tuple[int, bytes]:
        kind = self._exactly(1)[0]
        size = shift = 0
        while True:
            byte = self._exactly(1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = b"" if self._socket is None else self._socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _length(size: int) -> bytes:
    """Encode a remaining length (MQTT 3.1.1 §2.2.3)."""
    out = bytearray()
    while True:
        size, byte = divmod(size, 128)
        out.append(byte | (0x80 if size else 0))
        if not size:
            return bytes(out)
