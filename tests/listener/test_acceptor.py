"""The listener as a whole: bursts, limits, certificates that change, the end."""

import asyncio
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

import tornado_webrtc
from tests.conftest import ExpectLog, LogGuard
from tests.listener.test_binding import needs_ipv6
from tests.listener.wire import (
    BINDING_REQUEST,
    BINDING_SUCCESS,
    GET,
    HELLO,
    MASKED_HELLO,
    STUN,
    UPGRADE,
    connected,
    http_server,
    make_store,
    serving,
    until,
)
from tornado_webrtc.certificate import CertificateStore, write_certificate
from tornado_webrtc.errors import ListenError
from tornado_webrtc.listener import (
    Listener,
    PushbackStream,
    StreamProtocol,
    acceptor,
    http_protocol,
)

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, no time to linger
SILENT = StreamProtocol("silent", lambda first: True, lambda *_: None)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CertificateStore | None:
    return make_store(tmp_path) if request.param else None


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no Path per entry needed


@needs_ipv6
async def test_one_port_on_all_addresses() -> None:
    listener = Listener()
    bound = listener.listen(["127.0.0.1", "::1"], 0, [STUN], None)
    assert [address.host for address in bound] == ["127.0.0.1", "::1"]
    assert bound[0].port == bound[1].port != 0
    for address in bound:
        async with connected(address) as client:
            await client.send(BINDING_REQUEST)
            assert await client.read_to_end() == BINDING_SUCCESS
    await listener.close()


async def test_several_ports_with_protocols_of_their_own(tmp_path: Path) -> None:
    listener, store, server = Listener(), make_store(tmp_path), http_server()
    (stun,) = listener.listen(["127.0.0.1"], 0, [STUN], None)
    (https,) = listener.listen(["127.0.0.1"], 0, [http_protocol(server)], store)
    async with connected(stun) as first, connected(https, store) as second:
        await first.send(BINDING_REQUEST)
        assert await first.read_to_end() == BINDING_SUCCESS
        await second.send(GET)
        assert b"[https 127.0.0.1]" in await second.read_until(b"]")
    async with connected(stun) as client:
        await client.send(GET)
        assert await client.read_to_end() == b""
    await listener.close()
    await server.close_all_connections()


async def test_port_in_use() -> None:
    async with serving(Listener()) as bound:
        listener = Listener()
        with pytest.raises(ListenError, match=f"port {bound.port} is in use"):
            listener.listen(["127.0.0.1"], bound.port, [STUN], None)
        await listener.close()


async def test_stop_keeps_what_is_open_and_refuses_what_is_new() -> None:
    listener = Listener()
    async with serving(listener) as bound, connected(bound) as client:
        await client.send(BINDING_REQUEST[:10])
        await until(lambda: listener.counters.accepted == 1)
        listener.stop()
        listener.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*bound)
        await client.send(BINDING_REQUEST[10:])
        assert await client.read_to_end() == BINDING_SUCCESS


async def test_close_ends_every_stage_of_a_connection(store: CertificateStore | None) -> None:
    before = open_descriptors()
    cancelled = asyncio.Event()

    async def forever(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    protocols = (StreamProtocol("forever", lambda first: first == b"x", forever), STUN)
    listener = Listener()
    async with AsyncExitStack() as stack:
        async with serving(listener, store, protocols=protocols) as bound:
            silent = await stack.enter_async_context(connected(bound))
            handshaking = await stack.enter_async_context(connected(bound))
            undecided = await stack.enter_async_context(connected(bound, store))
            waiting = await stack.enter_async_context(connected(bound, store))
            websocket = await stack.enter_async_context(connected(bound, store))
            handled = await stack.enter_async_context(connected(bound, store))
            await handshaking.send(b"\x16\x03" if store else b"GE")
            await undecided.send(b"GE")
            await waiting.send(BINDING_REQUEST[:7])
            await websocket.send(UPGRADE)
            await websocket.read_until(b"\r\n\r\n")
            await handled.send(b"x")
            await until(lambda: listener.counters.claimed == 3)
            assert listener.open_connections == 6
        assert listener.open_connections == 0
        assert cancelled.is_set()
        for client in (silent, handshaking, undecided, waiting, websocket, handled):
            assert await client.read_to_end() == b""
    await until(lambda: open_descriptors() <= before)


async def test_close_before_a_connection_had_its_first_turn() -> None:
    listener = Listener()
    (bound,) = listener.listen(["127.0.0.1"], 0, [STUN], None)
    with socket.create_connection(bound) as client:
        listener._accept(next(iter(listener._entrances)), 0)
        assert listener.open_connections == 1
        await listener.close()
        assert listener.open_connections == 0
        client.settimeout(5)
        assert client.recv(1) == b""


async def test_close_from_within_a_handler() -> None:
    listener = Listener()

    async def close(*_: object) -> None:
        await listener.close()

    protocol = StreamProtocol("close", lambda first: first == b"x", close)
    async with serving(listener, protocols=(protocol,)) as bound, connected(bound) as client:
        await client.send(b"x")
        assert await client.read_to_end() == b""


async def test_close_callbacks_are_the_handlers_own() -> None:
    closed = asyncio.Event()

    async def handle(stream: PushbackStream, *_: object) -> None:
        stream.set_close_callback(closed.set)
        await stream.read_bytes(1)

    listener = Listener()
    protocol = StreamProtocol("callback", lambda first: True, handle)
    async with serving(listener, protocols=(protocol,)) as bound:
        async with connected(bound) as client:
            await client.send(b"x")
            await until(lambda: listener.counters.claimed == 1)
        await asyncio.wait_for(closed.wait(), 5)
        await until(lambda: listener.open_connections == 0)


async def test_burst_with_random_resets_leaves_nothing(store: CertificateStore | None) -> None:
    chance = random.Random(8489)  # noqa: S311 - a test's choice of events
    listener = Listener()
    before = open_descriptors()
    server = http_server()
    (bound,) = listener.listen(["127.0.0.1"], 0, [STUN, http_protocol(server)], store)

    async def visit(fate: float) -> None:
        async with connected(bound, store if fate < 0.5 else None) as client:
            sock = client.writer.get_extra_info("socket")
            if fate > 0.2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            if fate < 0.9:
                await client.send(GET[: chance.randrange(len(GET) + 1)])
            if fate > 0.6:
                client.writer.transport.abort()

    visits = await asyncio.gather(
        *(visit(chance.random()) for _ in range(200)), return_exceptions=True
    )
    unexpected = [each for each in visits if each and not isinstance(each, ConnectionError)]
    assert not unexpected
    async with connected(bound, store) as client:
        await client.send(GET)
        assert b"200 OK" in await client.read_until(b"]")
    await until(lambda: listener.open_connections == 0)
    assert listener.counters.accepted > 150
    assert listener.counters.timed_out == 0
    await listener.close()
    await server.close_all_connections()
    await until(lambda: open_descriptors() <= before)


@pytest.mark.parametrize("given", ["number", "callable"])
async def test_more_connections_than_allowed_are_closed_at_once(
    given: str, expect_log: ExpectLog, log_guard: LogGuard
) -> None:
    expect_log("refused: 2 are open already")
    listener = Listener(max_connections=2 if given == "number" else lambda: 2)
    async with serving(listener) as bound, connected(bound), connected(bound) as second:
        await until(lambda: listener.open_connections == 2)
        for _ in range(5):
            async with connected(bound) as refused:
                assert await refused.read_to_end() == b""
        assert listener.counters.refused == 5
        await second.send(BINDING_REQUEST)
        assert await second.read_to_end() == BINDING_SUCCESS
        await until(lambda: listener.open_connections == 1)
        async with connected(bound) as third:
            await third.send(BINDING_REQUEST)
            assert await third.read_to_end() == BINDING_SUCCESS
    assert len(log_guard.records) == 1


async def test_streams_that_were_handed_over_count() -> None:
    listener = Listener()
    streams: list[PushbackStream] = []
    keep = StreamProtocol("keep", lambda first: True, lambda stream, *_: streams.append(stream))
    async with serving(listener, protocols=(keep,)) as bound, connected(bound) as client:
        await client.send(b"x")
        await until(lambda: listener.counters.claimed == 1)
        assert listener.open_connections == 1
        streams[0].close()
        assert listener.open_connections == 1, "its descriptor is open until the peer is done"
        client.writer.close()
        await until(lambda: listener.open_connections == 0)


@contextmanager
def descriptor_limit(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("soft", "limit"), [(512, 448), (70, 16)])
def test_default_limit_leaves_descriptors_for_the_rest(soft: int, limit: int) -> None:
    with descriptor_limit(soft):
        assert Listener()._limit() == limit


@pytest.mark.parametrize(("soft", "first_spare"), [(1024, 992), (64, 48)])
def test_last_descriptors_are_for_no_connection(soft: int, first_spare: int) -> None:
    with descriptor_limit(soft):
        for number, spare in ((first_spare - 1, False), (first_spare, True)):
            arrived = Mock(spec=socket.socket, fileno=Mock(return_value=number))
            assert Listener()._is_spare(arrived) is spare
            assert not Listener(max_connections=9)._is_spare(arrived)


async def test_connection_that_gets_one_of_the_last_descriptors_is_refused(
    expect_log: ExpectLog,
) -> None:
    """Those are for operators, logs and the state directory."""
    expect_log(r"connection of \S+ refused: ")
    async with serving(Listener(), None) as bound:
        with descriptor_limit(256), ExitStack() as held:
            while (number := os.open(os.devnull, os.O_RDONLY)) < 222:
                held.callback(os.close, number)
            held.callback(os.close, number)
            async with connected(bound) as client:
                assert await client.read_to_end() == b""
        async with connected(bound) as client:
            await client.send(BINDING_REQUEST)
            assert await client.read_until(BINDING_SUCCESS)


CHILD = """
import asyncio, logging, resource
from tests.listener.wire import STUN
from tornado_webrtc.listener import Listener

async def main():
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    listener = Listener(max_connections=1000)
    (bound,) = listener.listen(["127.0.0.1"], 0, [STUN], None)
    print(bound.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, input)
    await listener.close()

resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
asyncio.run(main())
"""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_descriptors_accepting_pauses_and_recovers() -> None:
    root = Path(tornado_webrtc.__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    with child, ExitStack() as stack:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        stack.callback(child.kill)
        address = ("127.0.0.1", int(child.stdout.readline()))
        crowd = [stack.enter_context(socket.create_connection(address)) for _ in range(40)]
        warning = child.stderr.readline()
        before = cpu_seconds(child.pid)
        time.sleep(0.8)  # the time over which the processor's work is measured
        assert cpu_seconds(child.pid) - before < 0.15
        for each in crowd:
            each.close()
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(BINDING_REQUEST)
            assert client.recv(100) == BINDING_SUCCESS
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.wait(10) == 0
        assert re.match(r"cannot accept connections with \d+ open: Too many open files", warning)
        assert child.stderr.read() == ""


async def test_listen_and_close_during_a_pause(
    expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("cannot accept connections")
    monkeypatch.setattr(acceptor, "_PAUSE_S", 0.05)
    listener = Listener()
    (bound,) = listener.listen(["127.0.0.1"], 0, [STUN], None)
    listener._pause_accepting(OSError(24, "Too many open files"))
    (second,) = listener.listen(["127.0.0.1"], 0, [STUN], None)  # waits with the others
    for address in (bound, second):
        async with connected(address) as client:
            await client.send(BINDING_REQUEST)
            assert await client.read_to_end() == BINDING_SUCCESS
    listener._pause_accepting(OSError(24, "Too many open files"))
    await listener.close()


async def test_new_certificate_for_new_handshakes_only(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    first_serial = store.certificate.serial_number
    async with serving(Listener(), store) as bound, connected(bound, store) as old:
        await old.send(UPGRADE)
        await old.read_until(b"\r\n\r\n")
        write_certificate(store.cert, store.key, ["localhost"], overwrite=True)
        assert store.reload()
        async with connected(bound, store) as new:
            assert new.serial_number() == store.certificate.serial_number != first_serial
            await new.send(GET)
            await new.read_until(b"]")
        await old.send(MASKED_HELLO)
        assert await old.read_until(HELLO) == HELLO
        assert old.serial_number() == first_serial


async def test_broken_new_certificate_changes_nothing(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("the certificate in use stays")
    store = make_store(tmp_path)
    good = store.cert.read_bytes()
    async with serving(Listener(), store) as bound:
        store.cert.write_text("broken")
        assert not store.reload()
        store.cert.write_bytes(good)  # for the client, which checks against the file
        async with connected(bound, store) as client:
            assert client.serial_number() == store.certificate.serial_number


def test_uvloop(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")
    store = make_store(tmp_path)

    async def talk() -> None:
        listener = Listener(first_byte_timeout_s=1.0)
        async with serving(listener, store) as bound:
            async with connected(bound, store) as client, connected(bound) as scan:
                await client.send(UPGRADE + MASKED_HELLO)
                await client.read_until(HELLO)
                await scan.send(b"\x16\x03")
            async with connected(bound, store) as silent:
                assert await silent.read_to_end() == b""
        assert listener.counters.claimed == 1
        assert listener.counters.timed_out == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=True) as runner:
        runner.run(talk())
