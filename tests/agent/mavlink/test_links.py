"""Real links: UDP on the loopback, and a serial line that is a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drone_sim.autopilot import Faults, SimulatedAutopilot, flying
from orchestrator.agent.machine import DeviceClock
from orchestrator.agent.mavlink import MavlinkDevice, Patience, mavlink_device, open_link
from orchestrator.agent.mavlink.codec import Codec
from orchestrator.agent.mavlink.link import (
    Address,
    Alive,
    Command,
    Heartbeat,
    Link,
    ParamValue,
    ReadParam,
    Verb,
    WriteParam,
)
from orchestrator.agent.os_disk import OsDisk
from orchestrator.agent.site import Site
from orchestrator.errors import OperatingError
from orchestrator.faultpoints import FaultPoints
from tests.agent.mavlink.flights import CONFIG, NEW, activation, config, question
from tests.agent.worlds import Told
from tests.conftest import free_port

ME = Address(system=7, component=191)
IT = Address(system=7, component=1)
WAIT_S = 20.0


@asynccontextmanager
async def device_on(link: Link, home: Path) -> AsyncIterator[MavlinkDevice]:
    """The adapter with the real disk and clock."""
    site = Site(
        state=home,
        active=home / CONFIG,
        disk=OsDisk(),
        clock=DeviceClock(),
        audience=Told(),
        faults=FaultPoints(),
    )
    patience = Patience(tries=20, reply_s=0.03)
    async with mavlink_device(link, site, patience=patience) as device:
        yield device


@pytest.mark.parametrize("kind", ["ardupilot", "px4"])
async def test_a_set_over_a_lossy_udp_link(tmp_path: Path, kind: str) -> None:
    """A tenth of real packets lost, a tenth doubled: written, read back, held, given back."""
    faults = Faults(loss=0.1, duplicate=0.1)
    autopilot = SimulatedAutopilot("px4" if kind == "px4" else "ardupilot", faults=faults)
    data = config(NEW)
    async with (
        asyncio.timeout(WAIT_S),
        flying(autopilot) as flown,
        open_link(flown.url) as link,
        device_on(link, tmp_path) as device,
    ):
        await device.activate(activation(data), data)
        await device.hold(())
        await device.resume(1)
        found = await device.check(question(data))
    assert () == found
    name = "MNT_MIN_PITCH" if kind == "px4" else "MNT1_PITCH_MIN"
    assert -80 == autopilot.values[name]
    assert data == (tmp_path / CONFIG).read_bytes()


async def test_udpin_answers_whom_it_has_heard() -> None:
    """A listening link sends nothing before, and to the sender after the first good packet."""
    port = free_port()
    autopilot = SimulatedAutopilot()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(WAIT_S), open_link(f"udpin:127.0.0.1:{port}") as link:
        link.send(Alive(), ME)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            await loop.sock_connect(peer, ("127.0.0.1", port))
            await loop.sock_sendall(peer, b"\xfd no packet at all")
            await loop.sock_sendall(peer, autopilot.beat()[0])
            assert Heartbeat(source=IT, autopilot=3, armed=False) == await link.receive()
            link.send(ReadParam(to=IT, name="MNT1_RC_RATE"), ME)
            for packet in autopilot.feed(await loop.sock_recv(peer, 1000)):
                await loop.sock_sendall(peer, packet)
            raw = bytes(4)
            expected = ParamValue(source=IT, name="MNT1_RC_RATE", type=4, raw=raw)
            assert expected == await link.receive()


async def test_nobody_listens_there() -> None:
    """Packets to a closed port are lost, like any other."""
    async with open_link(f"udpout:127.0.0.1:{free_port()}") as link:
        for _ in range(3):
            link.send(Alive(), ME)
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.receive(), 0.05)


async def test_a_serial_line() -> None:
    """The same packets over a serial port, cut anywhere."""
    master, slave = os.openpty()
    tty.setraw(master)
    autopilot = SimulatedAutopilot()
    try:
        url = f"serial:{os.ttyname(slave)}:115200"
        async with asyncio.timeout(WAIT_S), open_link(url) as link:
            beat = autopilot.beat()[0]
            os.write(master, beat[:5])
            await asyncio.sleep(0)
            os.write(master, beat[5:])
            assert Heartbeat(source=IT, autopilot=3, armed=False) == await link.receive()
            link.send(ReadParam(to=IT, name="MNT1_PITCH_MIN"), ME)
            os.write(master, autopilot.feed(os.read(master, 1000))[0])
            found = await link.receive()
            assert isinstance(found, ParamValue)
            assert "MNT1_PITCH_MIN" == found.name
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    "url",
    [
        "tcp:127.0.0.1:5760",
        "udpin:127.0.0.1",
        "udpout:127.0.0.1:99999",
        "udpout::1",
        "serial:/dev/null:12345",
        "serial:/no/such/port",
        "/dev/null",
        "",
    ],
)
async def test_a_url_that_can_not_be_used(url: str) -> None:
    """It is wrong use, with what would be right."""
    with pytest.raises(OperatingError, match="can't be used"):
        async with open_link(url):
            pass


# --- packets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [-1, 0, 4, -180, 2_000_000, -(2**31), 2**31 - 1])
def test_the_bytes_of_an_integer_survive(number: int) -> None:
    """-1 is a NaN among floats; PX4 has it for a gimbal that is switched off."""
    raw = number.to_bytes(4, "little", signed=True)
    order = WriteParam(to=IT, name="MNT_MODE_IN", type=6, raw=raw)
    packet = Codec().encode(order, ME)
    assert raw == packet[10:14]


def test_an_integer_that_a_float_would_bend_is_refused() -> None:
    """The bytes of a signalling NaN would come out as others."""
    raw = (-5_000_000).to_bytes(4, "little", signed=True)
    order = WriteParam(to=IT, name="X", type=6, raw=raw)
    with pytest.raises(ValueError, match="can't travel in a float"):
        Codec().encode(order, ME)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda packet: packet[:-1] + bytes([packet[-1] ^ 1]), id="checksum"),
        pytest.param(lambda packet: packet[3:], id="beheaded"),
        pytest.param(lambda packet: b"\xfd" * 300, id="noise"),
    ],
)
def test_damaged_packets_are_dropped(damage: Callable[[bytes], bytes]) -> None:
    """And the next good one is read."""
    autopilot, codec = SimulatedAutopilot(), Codec()
    good = autopilot.beat()[0]
    found = [*codec.feed(damage(good)), *codec.feed(good * 20)]
    assert found
    assert {Heartbeat(source=IT, autopilot=3, armed=False)} == {*found}


def test_a_command_is_numbered_when_it_is_sent_again() -> None:
    """MAVLink's confirmation counts the times before, so that a command is not done twice."""
    order = Command(to=IT, verb=Verb.GIMBAL_CONFIGURE, values=(1.0,) * 7, again=2)
    packet = Codec().encode(order, ME)
    assert 2 == packet[10 + 7 * 4 + 2 + 2]
