"""One size of fleet, from its broker's start to its end: rounds of product and floor in turn."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from drone_sim.benchmark import product
from drone_sim.benchmark.broker import Counted, Mosquitto
from drone_sim.benchmark.lines import Answer, Child, start
from drone_sim.benchmark.product import Pushed
from drone_sim.benchmark.site import Site

STARTS: Final = 3
"""How often the cost of starting ``aimctl`` is measured."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One round of product or floor; ``cpu_ms`` is the orchestrator's, or the coordinator's."""

    phases_ms: Mapping[str, float]
    counted: Counted
    kinds: Mapping[str, int]
    cpu_ms: float
    devices_cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """The fsyncs of all devices in one push."""

    count: int
    total_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One push and one floor."""

    product: Side
    floor: Side
    pushed: Pushed
    sync: Sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All rounds of one size. ``start_cpu_ms`` is what the start of an ``aimctl`` alone costs."""

    devices: int
    window_s: float
    start_cpu_ms: tuple[float, ...]
    rounds: tuple[Round, ...]


class Bench:
    """Broker and devices of both sides, running; an async context manager that ends them all."""

    def __init__(self, site: Site, program: str, tell: Tell) -> None:
        self._site = site
        self._tell = tell
        self._stack = AsyncExitStack()
        self._broker = Mosquitto(program, site.directory / "broker")
        self._devices: list[Child] = []
        self._bare: list[Child] = []
        self._coordinator: Child | None = None
        self._cpu_s: dict[str, float] = {}
        self._pushes = 0

    async def __aenter__(self) -> Self:
        """Start the broker, connect the devices, push once, and start the floor."""
        try:
            await self._stack.enter_async_context(self._broker)
            await self._start_devices()
            await self._start_floor(await self._warm_up())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End every process."""
        await self._stack.aclose()

    async def _start(self, name: str, module: str, *arguments: str) -> Child:
        child = await start(name, self._site.directory, f"{__package__}.{module}", *arguments)
        self._stack.push_async_callback(child.end)
        return child

    # --- before the rounds ----------------------------------------------------------------------

    async def _start_devices(self) -> None:
        site = self._site
        self._tell(f"{len(site.devices)} devices: connecting")
        where = (self._broker.url, str(site.fleet_file), str(site.directory / "devices"))
        for number, share in enumerate(site.shares()):
            self._devices.append(
                await self._start(f"devices-{number}", "fleet", *where, ",".join(share))
            )
        for child in self._devices:
            await child.answer()

    async def _warm_up(self) -> Mapping[str, int]:
        """Install a first version, unmeasured; return the sizes of the messages."""
        self._tell(f"{len(self._site.devices)} devices: first push, not measured")
        await self._push()
        sizes: dict[str, int] = {}
        for answer in await self._snapshots(self._devices):
            sizes |= answer["bytes"]
        return sizes

    async def _start_floor(self, sizes: Mapping[str, int]) -> None:
        site, port = self._site, str(self._broker.port)
        told = json.dumps(sizes)
        for number, share in enumerate(site.shares()):
            arguments = ("devices", port, f"floor-{site.fleet}", ",".join(share), told)
            self._bare.append(await self._start(f"bare-{number}", "floor", *arguments))
        arguments = ("coordinator", port, f"floor-{site.fleet}", ",".join(site.devices), told)
        self._coordinator = await self._start("bare-coordinator", "floor", *arguments)
        for child in (*self._bare, self._coordinator):
            await child.answer()
        await self._snapshots(self._bare)

    # --- the rounds -----------------------------------------------------------------------------

    async def starts_ms(self) -> tuple[float, ...]:
        """Return what starting ``aimctl`` costs, a few times."""
        found = [await product.start_cpu_s(self._site, self._broker.url) for _ in range(STARTS)]
        return tuple(round(cpu_s * 1e3, 3) for cpu_s in found)

    async def run(self) -> Round:
        """Run one push and one floor."""
        begin = await self._broker.counted()
        await self._snapshots(self._devices)
        pushed = await self._push()
        told = await self._snapshots(self._devices)
        middle = await self._broker.counted()
        floor = await self._floor(middle)
        return Round(
            product=Side(
                phases_ms=pushed.phases_ms(told),
                counted=middle.since(begin),
                kinds=_kinds(told),
                cpu_ms=round(pushed.cpu_s * 1e3, 3),
                devices_cpu_ms=_devices_cpu_ms(told),
            ),
            floor=floor,
            pushed=pushed,
            sync=_sync(told),
        )

    async def _push(self) -> Pushed:
        pushed = await product.push(self._site, self._broker.url, self._pushes)
        self._pushes += 1
        return pushed

    async def _floor(self, before: Counted) -> Side:
        if self._coordinator is None:
            raise RuntimeError
        await self._snapshots(self._bare)
        answer = await self._coordinator.ask("round")
        told = await self._snapshots(self._bare)
        counted = (await self._broker.counted()).since(before)
        return Side(
            phases_ms=answer["timing_ms"],
            counted=counted,
            kinds=_kinds(told),
            cpu_ms=answer["cpu_ms"],
            devices_cpu_ms=_devices_cpu_ms(told),
        )

    async def _snapshots(self, children: Sequence[Child]) -> list[Answer]:
        """Ask each; ``cpu_ms`` of an answer is what it has used since the last one."""
        answers: list[Answer] = []
        for child in children:
            answer = await child.ask("snapshot")
            before = self._cpu_s.get(child.name, 0.0)
            self._cpu_s[child.name] = answer["cpu_s"]
            answers.append({**answer, "cpu_ms": (answer["cpu_s"] - before) * 1e3})
        return answers


async def measure(site: Site, program: str, rounds: int, tell: Tell) -> Measured:
    """Measure one size of fleet. Raises OperatingError where a push does not commit."""
    async with Bench(site, program, tell) as bench:
        starts_ms = await bench.starts_ms()
        done: list[Round] = []
        for number in range(1, rounds + 1):
            tell(f"{len(site.devices)} devices: round {number} of {rounds}")
            done.append(await bench.run())
    return Measured(
        devices=len(site.devices),
        window_s=site.window_s,
        start_cpu_ms=starts_ms,
        rounds=tuple(done),
    )


def _kinds(answers: Sequence[Answer]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for answer in answers:
        total.update(answer["messages"])
    return dict(sorted(total.items()))


def _devices_cpu_ms(answers: Sequence[Answer]) -> float:
    return round(sum(float(answer["cpu_ms"]) for answer in answers), 3)


def _sync(answers: Sequence[Answer]) -> Sync:
    found = [answer["fsync"] for answer in answers]
    return Sync(
        count=sum(one["count"] for one in found),
        total_ms=round(sum(one["total_s"] for one in found) * 1e3, 3),
        max_ms=round(max(one["max_s"] for one in found) * 1e3, 3),
    )


def directory_of(parent: Path, count: int) -> Path:
    """Return where the files of one size stand."""
    return parent / f"fleet-{count}"
