"""
An orchestrator by hand, for tests of the device's side over any transport.

It answers HELLO as the fleet's state says and keeps what devices say; a test sends the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Self, TypeVar

from orchestrator.ports import Clock, Received, Transport, TransportUnavailable
from orchestrator.protocol.messages import (
    Blob,
    CatchUp,
    Decision,
    DeviceMessage,
    DeviceState,
    Fence,
    Hello,
    Heuristic,
    Prepare,
    Report,
    Vote,
    Want,
    Welcome,
)
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Plan,
    Timeline,
    TxnId,
)
from orchestrator.staging.bundle import encode_config
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.models import AimConfig
from orchestrator.staging.plan import encode_plan

FLEET = FleetId("f")
CONFIG = "aim_lock_config.conf"
WAIT_S = 20.0
RESEND_S = 0.5
CLOCK_ERROR_S = 0.05

M = TypeVar("M", bound=DeviceMessage)


def config(rate: float = 100.0) -> bytes:
    """A drone's configuration in canonical bytes; another rate makes another one."""
    values = {"schema": 2, "yaw": {"rate_max_deg_s": rate}, "pitch": {}, "roll": {}, "drone": {}}
    return encode_config(AimConfig.model_validate(values))


class Wall:
    """The orchestrator's clock of a test."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class Orchestrator:
    """
    A stub. ``heard`` is everything that devices said; ``answering`` may be switched off.

    ``enable`` and ``lease_s`` are what a WELCOME says, ``answers_after_s`` is how long after the
    HELLO it is sent; ``welcomed`` keeps them. Use as an async context manager
    around a connected transport.
    """

    def __init__(
        self, transport: Transport, devices: Sequence[str], *, clock: Clock | None = None
    ) -> None:
        self.transport = transport
        self.clock = clock or Wall()
        self.devices = [DeviceId(device) for device in devices]
        self.heard: list[DeviceMessage] = []
        self.answering = True
        self.enable = True
        self.lease_s: float | None = None
        self.answers_after_s = 0.0
        self.welcomed: list[Welcome] = []
        self.epoch = Epoch(1, 1)
        self.version = 0
        self.digests: Mapping[DeviceId, Digest] = {}
        self.last_seq = 0
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Cease to."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _listen(self) -> None:
        async for received in self.transport.receive():
            if not isinstance(received, Received):
                continue
            message = received.message
            if isinstance(message, Hello) and self.answering:
                with suppress(TransportUnavailable):
                    await self._welcome(message, received.at)
            async with self._news:
                self.heard.append(message)  # type: ignore[arg-type] # from devices only
                self._news.notify_all()

    async def _welcome(self, hello: Hello, at: float) -> None:
        if self.answers_after_s:
            await self.clock.sleep(self.answers_after_s)
        welcome = Welcome(
            boot=hello.boot,
            nonce=hello.nonce,
            sent_at_device_s=hello.sent_at_device_s,
            received_at=at,
            sent_at=self.clock.now(),
            epoch=self.epoch,
            version=self.version,
            digest=self.digests.get(hello.device),
            last_seq=self.last_seq,
            enable=self.enable,
            clock_error_s=CLOCK_ERROR_S,
            lease_s=self.lease_s,
        )
        self.welcomed.append(welcome)
        await self.transport.send(welcome, hello.device)

    # --- waiting ------------------------------------------------------------------------------

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until ``done()`` is true of what was heard."""
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(done)

    def of(self, kind: type[M], device: str | None = None) -> list[M]:
        """What was heard of one kind, from one device."""
        return [
            message
            for message in self.heard
            if isinstance(message, kind) and device in {None, message.device}
        ]

    def states(self, device: str) -> list[DeviceState]:
        """What a device has said of itself, in order."""
        told = [m for m in self.heard if isinstance(m, Hello | Report) and m.device == device]
        return [message.state for message in told]

    async def state(self, device: str, holds: Callable[[DeviceState], bool]) -> DeviceState:
        """Wait for a state of a device that ``holds`` is true of."""
        await self.until(lambda: any(holds(state) for state in self.states(device)))
        return next(state for state in self.states(device) if holds(state))

    async def votes(self, txn: TxnId) -> dict[str, Vote]:
        """Wait until every device has voted on ``txn``."""

        def found() -> dict[str, Vote]:
            return {vote.device: vote for vote in self.of(Vote) if vote.txn == txn}

        await self.until(lambda: set(self.devices) <= set(found()))
        return found()

    # --- speaking -----------------------------------------------------------------------------

    async def fence(self, number: int) -> None:
        """Raise the epoch, and say so until all devices have acknowledged it."""
        self.epoch = Epoch(1, number)

        async def again() -> None:
            while True:
                with suppress(TransportUnavailable):
                    await self.transport.send(Fence(epoch=self.epoch))
                await asyncio.sleep(RESEND_S)

        task = asyncio.create_task(again())
        try:
            for device in self.devices:
                await self.state(device, lambda state: state.max_epoch >= self.epoch)
        finally:
            task.cancel()
            await asyncio.wait({task})

    def plan(self, data: bytes) -> Plan:
        """A plan that gives all devices the same configuration."""
        digests = dict.fromkeys(sorted(self.devices), digest_of(data))
        return Plan(
            fleet=FLEET,
            config=CONFIG,
            base_version=self.version,
            bundle=digest_of(b"bundle"),
            digests=digests,
        )

    async def prepare(
        self, seq: int, data: bytes, *, window_s: float = WAIT_S, publish: bool = True
    ) -> Prepare:
        """Publish the blobs and PREPARE."""
        blob = encode_plan(self.plan(data))
        vote_by = self.clock.now() + window_s
        hold_at = vote_by + 0.05
        prepare = Prepare(
            txn=TxnId(f"t{seq}"),
            seq=seq,
            epoch=self.epoch,
            base_version=self.version,
            config=CONFIG,
            plan=digest_of(blob),
            digests=(digest_of(data),),
            timeline=Timeline(
                vote_by=vote_by,
                hold_at=hold_at,
                activate_at=hold_at + 2 * CLOCK_ERROR_S,
                clock_error_s=CLOCK_ERROR_S,
            ),
        )
        if publish:
            await self.publish(prepare.txn, blob)
            await self.publish(prepare.txn, data)
        await self.transport.send(prepare)
        return prepare

    async def say(self, txn: TxnId, outcome: Outcome, device: str) -> None:
        """Let a device operate as if ``txn`` had this outcome: a person's word."""
        await self.transport.send(Heuristic(txn=txn, outcome=outcome), DeviceId(device))

    async def publish(self, txn: TxnId, data: bytes) -> None:
        await self.transport.send(Blob(txn=txn, digest=digest_of(data), data=data))

    async def decide(self, prepare: Prepare, outcome: Outcome) -> None:
        """Decide for good: the fleet's state follows, DECISION is published."""
        self.last_seq = max(self.last_seq, prepare.seq)
        if outcome is Outcome.COMMIT:
            self.version = prepare.seq
            self.digests = dict.fromkeys(self.devices, prepare.digests[0])
        decision = Decision(
            txn=prepare.txn,
            seq=prepare.seq,
            epoch=prepare.epoch,
            plan=prepare.plan,
            outcome=outcome,
        )
        await self.transport.send(decision)

    async def push(self, seq: int, data: bytes, *, window_s: float = 0.5) -> Prepare:
        """A whole transaction: all vote, COMMIT, all activate."""
        prepare = await self.prepare(seq, data, window_s=window_s)
        votes = await self.votes(prepare.txn)
        assert all(vote.yes for vote in votes.values()), votes
        await self.decide(prepare, Outcome.COMMIT)
        for device in self.devices:
            await self.state(device, lambda state: state.operating == seq and not state.pending)
        return prepare

    async def catch_up(self, device: str, data: bytes) -> None:
        """Give a device the fleet's version."""
        txn = TxnId(f"t{self.version}")
        await self.publish(txn, data)
        message = CatchUp(
            txn=txn,
            epoch=self.epoch,
            version=self.version,
            digest=digest_of(data),
            config=CONFIG,
            last_seq=self.last_seq,
            activate_at=self.clock.now(),
        )
        await self.transport.send(message, DeviceId(device))

    def wants(self, device: str) -> list[Want]:
        return self.of(Want, device)
