"""The client's side: what it asks, and every way in which it may go wrong, in words."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.admin.conftest import Operate
from tests.wire import WireClient
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.errors import AdminError, ConfigError, Problem, UnavailableError


async def test_it_gets_and_ends_whatever_the_id(operate: Operate) -> None:
    operated = await operate()
    async with await WireClient.connect(operated.server.port) as ann:
        await ann.register("a?b#c%/ü")
        (peer,) = (await operated.client("get", "peers"))["peers"]
        shown = await operated.client("get", "peers", peer["id"])
        assert shown["name"] == "peer a?b#c%/ü"
        await operated.client("end", "peers", peer["id"], reason="nö & so=on")
        closed = await ann.read_until_closed()
        assert (closed.code, closed.reason) == (4403, "nö & so=on")


async def test_errors_are_those_of_the_server(
    operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = await operate()
    with pytest.raises(AdminError, match=r"^There is no 'x' among the peers\.$") as caught:
        await operated.client("end", "peers", "x")
    assert (caught.value.status, caught.value.code) == (404, "not-found")
    problem = Problem("server.ini, line 2, general.port", "is no number", "Give one.")

    def fail() -> None:
        raise ConfigError([problem])

    monkeypatch.setattr(operated.server, "reload", fail)
    with pytest.raises(ConfigError) as wrong:
        await operated.client("request", "POST", "/reload")
    assert wrong.value.problems == (problem,)


async def test_nobody_there(operate: Operate, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"there is no such socket.*\n.*--conf.*\n.*--sock"):
        AdminClient(tmp_path / "nothing").get("status")
    operated = await operate()
    await operated.server.stop()
    with pytest.raises(UnavailableError, match="no server listens on"):
        AdminClient(operated.path).get("status")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(operated.path))
    with pytest.raises(UnavailableError, match="the server that made it is gone"):
        AdminClient(operated.path).get("status")


def test_somebody_else_s_socket(unprivileged: Path) -> None:
    path = unprivileged / "admin.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        with pytest.raises(AdminError, match=r"you may not use .*: try sudo") as caught:
            AdminClient(path).get("status")
    assert not isinstance(caught.value, UnavailableError)


def test_a_path_that_is_too_long_or_no_socket(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="AF_UNIX path too long"):
        AdminClient(tmp_path / ("x" * 108)).get("status")
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(AdminError, match="file is no socket"):
        AdminClient(path).get("status")


@contextmanager
def answering(path: Path, answer: bytes | None) -> Iterator[None]:
    """A server that says something to whoever comes, or nothing at all."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    connection.recv(65536)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "the server broke off"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "the server broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the server broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "does not answer as tornado-webrtc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{", "does not answer as tornado-webrtc"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n\xff\xff", r"tornado-webrtc does \(500\)"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}", "answered 500"),
        (b'HTTP/1.1 500 Oh\r\nContent-Length: 11\r\n\r\n{"error":7}', "answered 500"),
        (b'HTTP/1.1 422 Oh\r\nContent-Length: 14\r\n\r\n{"problems":7}', "answered 422"),
    ],
)
def test_somebody_else_answers(tmp_path: Path, answer: bytes, complaint: str) -> None:
    path = tmp_path / "s"
    with answering(path, answer), pytest.raises(AdminError, match=complaint):
        AdminClient(path).get("status")


def test_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        answering(path, None),
        pytest.raises(AdminError, match=r"does not answer within 0\.05 s"),
    ):
        AdminClient(path, timeout_s=0.05).get("status")


async def test_many_at_once(operate: Operate) -> None:
    operated = await operate()
    answers = await asyncio.gather(*(operated.client("get", "status") for _ in range(20)))
    assert {each["pid"] for each in answers} == {os.getpid()}


def test_what_it_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s"
    reason = r"does not answer within 0\.1 s, while it waits for the checks of games \("
    with answering(path, None), pytest.raises(AdminError, match=reason):
        AdminClient(path, timeout_s=0.05).request(
            "POST", "/reload", more_s=0.05, waits_for="the checks of games"
        )
