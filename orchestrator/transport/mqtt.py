"""
The transport over any MQTT 3.1.1 broker: the only module that knows aiomqtt and paho.

Theory of operation
===================
A *session* is one connection: a fresh client, clean session, last will, subscriptions, for a
device its retained presence. :meth:`MqttTransport.connect` makes the first one or says why not;
from then on a *keeper* task waits for its loss and makes the next, for ever, with a growing and
jittered pause. Each session is announced to the reader as Reconnected, before anything that it
delivered. Nothing of one session is carried into the next: what was on its way may or may not
have arrived, and the cores send again.

Known traps of the libraries, and what is done about them:

- Nagle and delayed ACK cost 40 ms per exchange: ``TCP_NODELAY`` is set.
- aiomqtt lists all pending calls at each call, and logs: concurrent calls are bounded, and its
  logger is a detached, disabled one.
- aiomqtt makes a task per message that is read from its queue, and acknowledges and discards
  when the queue is full: its queue is replaced by :class:`_Gate`, which hands every message to
  the shared reception at once. That one is bounded, and tells of what it drops.
- paho reads a packet in three system calls: :mod:`.buffered` reads many in one.
- a publish whose connection dies waits for its full time-out: :mod:`.deadlines` ends it.
- a failed SUBSCRIBE is returned, not raised: :func:`_refused` looks.
- a client whose CONNACK never came leaves its socket behind, which could later take the
  client id over: :func:`_shut` closes it.
- a PUBACK is no receipt, and an access list denies silently: nothing here trusts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Self, TypeVar, cast
from zlib import crc32

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from orchestrator.ports import Audience, Clock, Received, Reconnected, TransportUnavailable
from orchestrator.protocol.errors import require
from orchestrator.protocol.messages import Message, Presence
from orchestrator.protocol.ready import Level, notice
from orchestrator.protocol.types import DeviceId, Digest, FleetId, TxnId
from orchestrator.transport.broker_url import BrokerUrl, TlsFiles, parse_broker_url
from orchestrator.transport.buffered import buffer_reads
from orchestrator.transport.codec import Outgoing, encode
from orchestrator.transport.deadlines import Deadlines
from orchestrator.transport.reasons import LATE, connack_says, silent_says, system_says
from orchestrator.transport.reception import Reception
from orchestrator.transport.topics import (
    QOS,
    Device,
    Role,
    blob_topic,
    decision_topic,
    filters,
)

T = TypeVar("T")

KEEPALIVE_S: Final = 5
ANSWER_TIMEOUT_S: Final = 5.0
"""How long a CONNACK, SUBACK or PUBACK may take."""

CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
CALLS_MAX: Final = 100
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
STABLE_AFTER_S: Final = 5.0
"""A shorter session does not reset the pause: two clients of one id would else spin."""

_REFUSED_FROM: Final = 0x80
_NODELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class _Gate(asyncio.Queue[aiomqtt.Message]):
    """
    Stands where aiomqtt has its queue: passes each message on as it comes.

    Closed at first, so that Reconnected comes before what the new session delivers.
    """

    def __init__(self, reception: Reception) -> None:
        super().__init__()
        self._reception = reception
        self._held: list[aiomqtt.Message] | None = []

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Take a message from the client's callback."""
        if self._held is not None:
            self._held.append(item)
            return
        self._reception.arrived(item.topic.value, item.payload)

    def open(self) -> None:
        """Announce the session and let its messages through."""
        held, self._held = self._held or [], None
        self._reception.reconnected()
        for item in held:
            self.put_nowait(item)


class MqttTransport:
    """
    A client of an MQTT broker; see :class:`orchestrator.ports.Transport`.

    ``url`` is ``mqtt://`` or ``mqtts://`` with optional ``user:password@`` and port (1883,
    8883). ``client_id`` must be unique at the broker: a second client of the same id takes the
    session over. ``tls`` names files where the system's certificates are not the right ones.
    Raises OperatingError (wrong use) for a URL that is none.

    Use as an async context manager, or call :meth:`connect` and, in the end, :meth:`close`.
    """

    def __init__(
        self,
        url: str,
        *,
        fleet: FleetId,
        role: Role,
        client_id: str,
        clock: Clock,
        audience: Audience,
        tls: TlsFiles | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self._broker: BrokerUrl = parse_broker_url(url)
        self._fleet = fleet
        self._role = role
        self._client_id = client_id
        self._clock = clock
        self._audience = audience
        self._tls = tls or TlsFiles()
        self._answer_timeout_s = answer_timeout_s
        self._reception = Reception(fleet=fleet, role=role, clock=clock, audience=audience)
        self._blobs: dict[str, None] = {}
        # What changes from session to session:
        self._session: aiomqtt.Client | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._strays: set[asyncio.Task[None]] = set()
        self._deadlines = Deadlines()

    async def __aenter__(self) -> Self:
        """Connect. Raises TransportUnavailable, saying why."""
        await self.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close."""
        await self.close()

    # --- sessions ------------------------------------------------------------------------

    async def connect(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """
        Make the first session, within ``timeout_s``; later ones are made unasked.

        Raises TransportUnavailable with a reason for people: refused, no such host, wrong
        password, TLS, no MQTT answer, subscription refused. Nothing goes on in the background
        then, and the caller may try again.
        """
        require(self._keeper is None, "a transport is connected once")
        made = await self._attempt(timeout_s)
        if made is None:
            msg = f"{self._broker.shown}: no connection within {timeout_s:g} s"
            raise TransportUnavailable(msg)
        self._begin(*made)
        self._keeper = asyncio.create_task(self._keep(made[0]))

    async def _attempt(self, timeout_s: float | None) -> tuple[aiomqtt.Client, _Gate] | None:
        """
        Return a session, or ``None`` if it took too long. Raises TransportUnavailable.

        aiomqtt connects in a thread, which nothing can cancel: an attempt that nobody waits for
        any more goes on, and is closed when it succeeds, or it would later take over the session.
        """
        attempt = asyncio.create_task(self._open())
        try:
            await asyncio.wait({attempt}, timeout=timeout_s)
        finally:
            if not attempt.done():
                self._stray(self._abandon(attempt))
        return attempt.result() if attempt.done() else None

    def _stray(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._strays.add(task)
        task.add_done_callback(self._strays.discard)

    async def _abandon(self, attempt: asyncio.Task[tuple[aiomqtt.Client, _Gate]]) -> None:
        """Close what comes of an attempt that nobody waits for any more."""
        with suppress(TransportUnavailable):
            client, _ = await attempt
            await _shut(client)

    async def _open(self) -> tuple[aiomqtt.Client, _Gate]:
        """Connect, subscribe, and for a device publish that it is there."""
        gate = _Gate(self._reception)
        with _mapped(self._broker):
            client = self._client(gate)
        try:
            with _mapped(self._broker, silent_says(self._broker)):
                await client.__aenter__()
            buffer_reads(getattr(client, "_client", None))
            _write_at_once(getattr(client, "_client", None))
            with _mapped(self._broker):
                await self._settle(client)
        except BaseException:
            await _shut(client)
            raise
        return client, gate

    def _client(self, gate: _Gate) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.user,
            password=self._broker.password,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=KEEPALIVE_S,
            timeout=self._answer_timeout_s,
            will=self._will(),
            tls_context=self._tls.context() if self._broker.tls else None,
            socket_options=_NODELAY,
            max_inflight_messages=CALLS_MAX,
            max_concurrent_outgoing_calls=CALLS_MAX,
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda **_: gate),
            logger=_silence(),
        )
        client.pending_calls_threshold = CALLS_MAX
        return client

    def _will(self) -> aiomqtt.Will | None:
        will = self._presence(online=False)
        if will is None:
            return None
        return aiomqtt.Will(will.topic, will.payload, will.qos, will.retain)

    async def _settle(self, client: aiomqtt.Client) -> None:
        wanted = [(topic, QOS) for topic in (*filters(self._fleet, self._role), *self._blobs)]
        refused = _refused(await client.subscribe(wanted))
        if refused:
            msg = f"{self._broker.shown}: the broker refused to subscribe: look at its access list"
            raise TransportUnavailable(msg)
        online = self._presence(online=True)
        if online is not None:
            await _publish(client, online)

    def _presence(self, *, online: bool) -> Outgoing | None:
        if not isinstance(self._role, Device):
            return None
        return encode(self._fleet, Presence(device=self._role.id, online=online))

    def _begin(self, client: aiomqtt.Client, gate: _Gate) -> None:
        self._session = client
        gate.open()

    async def _keep(self, client: aiomqtt.Client) -> None:
        """Replace each lost session by the next, until cancelled."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            await self._until_lost(client)
            if self._clock.monotonic() - began >= STABLE_AFTER_S:
                failures = 0
            client, failures = await self._reopen(failures)

    async def _until_lost(self, client: aiomqtt.Client) -> None:
        try:
            # Nothing is ever put into the queue that this reads: it only ends, with the session.
            with _mapped(self._broker):
                await anext(client.messages)
        except TransportUnavailable:
            self._session = None
            self._deadlines.expire()
            self._tell(Level.WARNING, "broker-lost", f"{self._broker.shown}: connection lost")
        finally:
            self._session = None
            await _shut(client)

    async def _reopen(self, failures: int) -> tuple[aiomqtt.Client, int]:
        """Return the next session and how often in a row there was none, or a short one."""
        while True:
            await self._clock.sleep(self._pause_s(failures))
            failures += 1
            try:
                made = await self._attempt(None)
            except TransportUnavailable as error:
                if failures & (failures - 1) == 0:  # 1, 2, 4, 8 ...: seldomer and seldomer
                    self._tell(Level.WARNING, "broker-unreachable", str(error))
                continue
            if made is not None:
                self._begin(*made)
                self._tell(Level.INFO, "broker-found", self._broker.shown)
                return made[0], failures

    def _pause_s(self, failures: int) -> float:
        """
        Grow from BACKOFF_MIN_S to BACKOFF_MAX_S, each time at least half of it.

        The other half differs from client to client, so that a fleet does not come back as one;
        a hash of the client's id does that as well as randomness would.
        """
        full = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** min(failures, 16))
        spread = crc32(f"{failures} {self._client_id}".encode()) / 2**32
        return full * (0.5 + spread / 2)

    def _tell(self, level: Level, event: str, reason: str) -> None:
        self._audience.tell(notice(level, event, reason=reason))

    async def close(self) -> None:
        """Say goodbye, and end the reader's iteration. Idempotent, bounded in time."""
        await self._farewell()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            self._keeper = None
        self._session = None
        self._deadlines.expire()
        if self._strays:
            await asyncio.wait(self._strays, timeout=CLOSE_TIMEOUT_S)
        self._reception.close()

    async def _farewell(self) -> None:
        """Publish a device's absence: a clean disconnect does not publish its last will."""
        offline = self._presence(online=False)
        if offline is not None and self._session is not None:
            with suppress(TransportUnavailable, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._call(partial(_publish, outgoing=offline))

    # --- the port ------------------------------------------------------------------------

    async def _call(self, ask: Callable[[aiomqtt.Client], Coroutine[Any, Any, T]]) -> T:
        """Ask something of the present session, in bounded time."""
        client = self._session
        if client is None:
            msg = f"{self._broker.shown}: not connected"
            raise TransportUnavailable(msg)
        with _mapped(self._broker):
            async with self._deadlines.within(self._answer_timeout_s):
                return await ask(client)

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        """
        Publish one message and wait for the broker's PUBACK, at most ``answer_timeout_s``.

        Raises TransportUnavailable; the message may or may not arrive then.
        """
        outgoing = encode(self._fleet, message, to)
        await self._call(partial(_publish, outgoing=outgoing))

    async def clear(self, txn: TxnId, digests: Sequence[Digest], *, decision: bool) -> None:
        """
        Remove the retained blobs of ``txn``, and its DECISION where asked to.

        Raises TransportUnavailable; what is left then is a cache that nobody trusts.
        """
        topics = [blob_topic(self._fleet, txn, digest) for digest in digests]
        if decision:
            topics.append(decision_topic(self._fleet, txn))
        for topic in topics:
            gone = Outgoing(topic=topic, payload=b"", qos=QOS, retain=True)
            await self._call(partial(_publish, outgoing=gone))

    async def watch_blob(self, txn: TxnId, digest: Digest) -> None:
        """
        Subscribe to one blob, now and in every later session.

        Called again it subscribes again, which makes the broker send once more what it retains.
        Without a connection it is remembered for the next; a refusal is told as a notice.
        """
        topic = blob_topic(self._fleet, txn, digest)
        self._blobs[topic] = None
        with suppress(TransportUnavailable):
            if _refused(await self._call(lambda client: client.subscribe(topic, QOS))):
                self._tell(Level.WARNING, "blob-subscription-refused", topic)

    async def unwatch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Cease to receive it."""
        topic = blob_topic(self._fleet, txn, digest)
        self._blobs.pop(topic, None)
        with suppress(TransportUnavailable):
            await self._call(lambda client: client.unsubscribe(topic))

    def receive(self) -> AsyncIterator[Received | Reconnected]:
        """Yield what arrives, until :meth:`close`. One reader at a time."""
        return self._reception.receive()


# --- the edge to the libraries --------------------------------------------------------------


async def _publish(client: aiomqtt.Client, outgoing: Outgoing) -> None:
    await client.publish(outgoing.topic, outgoing.payload, outgoing.qos, outgoing.retain)


def _write_at_once(paho: Any) -> None:
    """
    Register a connected socket for writing now, not in the loop's next turn as aiomqtt does.

    By then the socket may be closed and its number another's. Once connected, all of paho runs
    in the loop's own thread; that the connection is lost, its reader notices.
    """
    if paho is None:
        return
    loop = asyncio.get_running_loop()

    def write() -> None:
        with suppress(OSError, ValueError):
            paho.loop_write()

    paho.on_socket_register_write = lambda _paho, _data, sock: loop.add_writer(
        sock.fileno(), write
    )


def _refused(codes: Sequence[Any]) -> bool:
    """Tell whether a SUBACK holds a failure (MQTT 3.1.1 §3.9.3)."""
    return any(int(getattr(code, "value", code)) >= _REFUSED_FROM for code in codes)


def _silence() -> logging.Logger:
    """Return a logger outside the tree that says nothing: the notices say what matters."""
    logger = logging.Logger("orchestrator.transport.mqtt")  # noqa: LOG001 - detached on purpose
    logger.disabled = True
    return logger


async def _shut(client: aiomqtt.Client) -> None:
    """Give a client's connection back, whatever state it is in; bounded by CLOSE_TIMEOUT_S."""
    client.timeout = CLOSE_TIMEOUT_S
    with suppress(aiomqtt.MqttError, OSError):
        await client.__aexit__(None, None, None)
    # aiomqtt has no public way for the rest. Its reason for the end must be looked at, or asyncio
    # complains that nobody did; and an exception in a callback makes it forget the open socket.
    ended = getattr(client, "_disconnected", None)
    if isinstance(ended, asyncio.Future) and ended.done() and not ended.cancelled():
        ended.exception()
    paho = getattr(client, "_client", None)
    if paho is not None:
        paho.disconnect()


@contextlib.contextmanager
def _mapped(broker: BrokerUrl, late: str = LATE) -> Iterator[None]:
    """Let no exception of a library travel inward; ``late`` says what a time-out means here."""
    try:
        yield
    except (aiomqtt.MqttError, OSError, TimeoutError, ValueError, RuntimeError) as error:
        msg = f"{broker.shown}: {_why(error, late)}"
        raise TransportUnavailable(msg) from error


def _why(error: BaseException, late: str) -> str:
    """Say in a person's words what kept us from the broker."""
    if isinstance(error, MqttConnectError):
        code: Any = getattr(error.rc, "value", error.rc)
        return connack_says(code)
    if str(error) == "Operation timed out":  # aiomqtt's words for an answer that did not come
        return late
    # aiomqtt turns an OSError into text; the original is still its context.
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    return system_says(cause) if isinstance(cause, OSError) else str(error)
