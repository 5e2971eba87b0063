"""The server as a service: what signals do to it and to live calls, and what systemd is told."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.plugins.turn.client import TurnClient, UdpWire
from tests.service import Served
from tests.web.rawhttp import fetch
from tests.wire import WireClient, until
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.cli import serve
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.stun.address import TransportAddress

CONF = """
[general]
bind = 127.0.0.1,
port = 0
drain_s = {drain_s}
[turn]
bind = 127.0.0.1,
port = 0
port_tcp =
public_ip = 127.0.0.1,
secret = a-secret-of-some-length
[admin]
socket = {socket}
"""

PLUGIN = """
import asyncio
import logging
from pathlib import Path
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Collection

log = logging.getLogger("games")

class Plugin:
    def __init__(self, context):
        pass

"""
"""How each plugin begins; hooks follow."""


class Site:
    """A server in a process of its own, and TURN clients of it."""

    def __init__(self, served: Served, conf: Path, stack: ExitStack) -> None:
        self.served = served
        self.process = served.process
        self.conf = conf
        self._stack = stack

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def heard(self) -> str:
        return await asyncio.to_thread(self.served.heard)

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self.served.exit_code)

    async def logged(self, pattern: str) -> None:
        await until(lambda: bool(re.search(pattern, self.served.log)))

    async def turn(self) -> TurnClient:
        path = "/api/turn?service=turn&username=alice"
        made = json.loads((await fetch(self.served.port(), path)).body)
        match = re.match(r"turn:127\.0\.0\.1:(\d+)", made["uris"][0])
        assert match
        wire = UdpWire("127.0.0.1", TransportAddress("127.0.0.1", int(match[1])))
        self._stack.callback(wire.close)
        return TurnClient(wire, made["username"], made["password"])


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    drain_s: float = 600,
    environ: Mapping[str, str] | None = None,
    plugin: str = "",
    socket: str = "",
    ready: bool = True,
) -> AsyncIterator[Site]:
    conf = folder / "server.ini"
    text = CONF.format(drain_s=drain_s, socket=socket)
    if plugin:
        (folder / "plugins").mkdir()
        (folder / "plugins" / "games.py").write_text(PLUGIN + plugin)
        text += "[plugins]\npath = plugins,\n"
    conf.write_text(text)
    with Served(folder, ["--conf", conf], environ=environ) as served, ExitStack() as stack:
        site = Site(served, conf, stack)
        if ready:
            assert await site.heard() == "READY=1"
        yield site


async def test_sigterm_waits_for_the_last_allocation(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        client, late = await site.turn(), await site.turn()
        await client.allocate()
        site.send(signal.SIGTERM)
        assert await site.heard() == "STOPPING=1"
        await site.logged("draining, at most 600 s: 1 allocation\n")
        answer = await fetch(site.served.port(), "/readyz")
        assert (answer.status, answer.json) == (503, {"status": "draining"})
        assert await late.try_to_allocate() == 508
        assert await client.refresh(600) == 0
        assert await client.refresh(0) == 0
        assert await site.exit_code() == 0
    assert site.served.log.endswith("INFO    stopped\n")


async def test_drain_ends_at_its_limit(tmp_path: Path) -> None:
    async with serving(tmp_path, drain_s=0.2) as site:
        await (await site.turn()).allocate()
        site.send(signal.SIGTERM)
        assert await site.exit_code() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_second_signal_ends_at_once(tmp_path: Path, second: signal.Signals) -> None:
    async with serving(tmp_path) as site:
        async with await WireClient.connect(site.served.port()) as ann:
            await ann.register("1")
            await (await site.turn()).allocate()
            site.send(signal.SIGTERM)
            await site.logged("draining, ")
            assert await ann.settled() == []
            site.send(second)
            assert (await ann.read_until_closed()).code == 1001
        assert await site.exit_code() == 0
    assert site.served.log.count("told again: stops at once") == 1


async def test_sigint_does_not_drain(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        await (await site.turn()).allocate()
        site.send(signal.SIGINT)
        assert await site.exit_code() == 0
    assert "draining" not in site.served.log
    assert "told again" not in site.served.log


async def test_sighup_reads_the_configuration_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        client = await site.turn()
        await client.allocate()
        site.conf.write_text(site.conf.read_text().replace("600", "601").replace("port_tcp", "#"))
        site.send(signal.SIGHUP)
        reloading = (await site.heard()).splitlines()
        assert reloading[0] == "RELOADING=1"
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[1])
        assert await site.heard() == "READY=1"
        await site.logged("applied general.drain_s; a restart is needed for turn.port_tcp")
        site.conf.write_text("[general]\nport = many\n")
        site.send(signal.SIGHUP)
        assert (await site.heard()).startswith("RELOADING=1")
        assert await site.heard() == "READY=1"
        await site.logged(r"all stays as it is:\n.*line 2, general\.port")
        assert await client.refresh(600) == 0
        site.send(signal.SIGINT)
        assert await site.exit_code() == 0
    assert "Traceback" not in site.served.log


async def test_systemd_hears_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path, environ={"WATCHDOG_USEC": "200000"}) as site:
        while site.served.told.count("WATCHDOG=1") < 3:
            site.served.told.append(await asyncio.to_thread(site.served.heard_next))
        assert "STATUS=running: peers 0, sessions 0, allocations 0" in site.served.told
        site.send(signal.SIGTERM)
        assert await site.heard() == "STOPPING=1"
        assert await site.exit_code() == 0


ENDLESS = """
    @hookimpl
    async def stop(self):
        log.warning("games end")
        await asyncio.Event().wait()
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)]
)
async def test_signal_while_it_stops_ends_it_on_the_spot(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    async with serving(tmp_path, plugin=ENDLESS) as site:
        site.send(signal.SIGTERM)
        await site.logged("games end")
        site.send(number)
        assert await site.exit_code() == status
    assert "INFO    stopped" not in site.served.log


# --- while it starts ------------------------------------------------------------

SLOW = """
    @hookimpl
    async def start(self):
        log.warning("games begin")
        while not Path("go-on").exists():
            await asyncio.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_while_a_plugin_starts(tmp_path: Path, number: signal.Signals) -> None:
    async with serving(tmp_path, plugin=SLOW, ready=False) as site:
        await site.logged("games begin")
        site.send(number)
        assert await site.heard() == "STOPPING=1"
        assert await site.exit_code() == 0
    assert "stopping, although not everything is started" in site.served.log
    assert site.served.log.endswith("INFO    stopped\n")
    assert "Traceback" not in site.served.log


async def test_sighup_while_it_starts_is_remembered(tmp_path: Path) -> None:
    async with serving(tmp_path, plugin=SLOW, ready=False) as site:
        await site.logged("games begin")
        site.send(signal.SIGHUP)
        site.conf.write_text(site.conf.read_text().replace("600", "601"))
        (tmp_path / "go-on").touch()
        assert await site.heard() == "READY=1"
        assert (await site.heard()).startswith("RELOADING=1")
        await site.logged("applied general.drain_s")
        site.send(signal.SIGINT)
        assert await site.exit_code() == 0


EARLY = """
import os, signal, sys
import tornado_webrtc.cli as cli

load = cli.load

def loading(conf):
    os.kill(os.getpid(), signal.SIGHUP)
    return load(conf)

cli.load = loading
cli.main()
"""


async def test_sighup_from_the_first_moment(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text(CONF.format(drain_s=1, socket=""))
    with Served(tmp_path, ["--conf", conf], EARLY) as served, ExitStack() as stack:
        site = Site(served, conf, stack)
        assert await site.heard() == "READY=1"
        assert (await site.heard()).startswith("RELOADING=1")
        assert await site.heard() == "READY=1"
        site.send(signal.SIGINT)
        assert await site.exit_code() == 0


async def test_signals_of_this_process_are_left_as_they_were(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with pytest.raises(ConfigError):
        serve(tmp_path / "nothing.ini")
    assert signal.getsignal(signal.SIGHUP) is before


# --- what plugins and many signals do ----------------------------------------------

BROKEN = """
    @hookimpl
    def collections(self, server):
        return {"games": Collection(count=lambda: 1 // 0, entries=list, get=lambda _: None)}

    @hookimpl
    def stop(self):
        log.warning("games end")
"""


async def test_a_plugin_that_cannot_count_ends_nothing(tmp_path: Path) -> None:
    environ = {"WATCHDOG_USEC": "200000"}
    async with serving(tmp_path, plugin=BROKEN, environ=environ) as site:
        while site.served.told.count("WATCHDOG=1") < 3:
            site.served.told.append(await asyncio.to_thread(site.served.heard_next))
        assert "STATUS=running: peers 0, sessions 0, allocations 0, games ?" in site.served.told
        site.send(signal.SIGTERM)
        assert await site.exit_code() == 0
    assert "the games cannot be counted" in site.served.log
    assert "games end" in site.served.log


CHECKED = """
    @hookimpl
    async def check(self):
        if Path("hold").exists():
            log.warning("games are checked")
        while Path("hold").exists():
            await asyncio.sleep(0.01)
"""


async def test_many_sighups_are_two_reloads(tmp_path: Path) -> None:
    async with serving(tmp_path, plugin=CHECKED) as site:
        (tmp_path / "hold").touch()
        site.send(signal.SIGHUP)
        await site.logged("games are checked")
        for _ in range(50):
            site.send(signal.SIGHUP)
            await asyncio.sleep(0.001)
        (tmp_path / "hold").unlink()
        told = [(await site.heard()).partition("\n")[0] for _ in range(4)]
        assert told == ["RELOADING=1", "READY=1"] * 2
        site.send(signal.SIGINT)
        assert await site.heard() == "STOPPING=1"
        assert await site.exit_code() == 0
    assert site.served.log.count("configuration read again") == 2


async def test_a_drain_over_the_socket_is_not_a_stop_yet(tmp_path: Path) -> None:
    """From STOPPING=1 on, systemd would give it no more than TimeoutStopSec."""
    async with serving(tmp_path, socket="admin.sock") as site:
        client = await site.turn()
        await client.allocate()
        admin = AdminClient(tmp_path / "state" / "admin.sock")
        await asyncio.to_thread(admin.request, "POST", "/drain", {"seconds": 600})
        await site.logged("draining, at most 600 s: 1 allocation\n")
        assert site.served.told_now() == []
        assert await client.refresh(0) == 0
        assert await site.heard() == "STOPPING=1"
        assert await site.exit_code() == 0
