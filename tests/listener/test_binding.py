"""Addresses and a port become listening sockets, or a sentence that says why not."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tornado_webrtc.errors import ListenError
from tornado_webrtc.listener import binding
from tornado_webrtc.listener.binding import bind_all


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@contextmanager
def bound(*addresses: str, port: int = 0) -> Iterator[list[socket.socket]]:
    sockets = bind_all(addresses, port)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


@needs_ipv6
def test_port_zero_is_one_port_for_all_addresses() -> None:
    with bound("127.0.0.1", "::1", "127.0.0.2") as sockets:
        ports = {sock.getsockname()[1] for sock in sockets}
        assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "::1", "127.0.0.2"]
        assert len(ports) == 1
        assert ports != {0}


@needs_ipv6
def test_all_addresses_of_both_families_on_one_port() -> None:
    with bound("0.0.0.0", "::") as sockets:
        assert [sock.family for sock in sockets] == [socket.AF_INET, socket.AF_INET6]
        assert sockets[1].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_sockets_are_ready_for_an_event_loop_and_a_restart() -> None:
    with bound("127.0.0.1") as (sock,):
        assert not sock.getblocking()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def test_an_address_that_is_named_twice_or_covered_is_bound_once() -> None:
    with bound("127.0.0.1", "0.0.0.0", "0.0.0.0") as sockets:
        assert [sock.getsockname()[0] for sock in sockets] == ["0.0.0.0"]


def test_a_free_port_that_is_taken_on_another_address_is_tried_again() -> None:
    # 127.0.0.2 has every port taken that 127.0.0.1 is given first.
    taken: list[socket.socket] = []
    bind = binding._bind

    def bind_and_block(target: binding._Target, port: int) -> socket.socket:
        if len(taken) < 3 and target.host == "127.0.0.2":
            taken.append(bind(target, port))
        return bind(target, port)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binding, "_bind", bind_and_block)
        with bound("127.0.0.1", "127.0.0.2") as sockets:
            assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert len(taken) == 3
    for sock in taken:
        sock.close()


def test_a_port_in_use_is_said_in_plain_words() -> None:
    with bound("127.0.0.1") as (sock,):
        port = sock.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            bind_all(["127.0.0.2", "127.0.0.1"], port)
        assert str(caught.value) == (
            f"cannot listen on 127.0.0.1:{port}: port {port} is in use; "
            "stop the program that uses it, or choose another port"
        )
        with bound("127.0.0.2", port=port):
            pass  # what had been bound before the failure was closed


def test_an_address_of_another_machine() -> None:
    with pytest.raises(ListenError, match=r"198\.51\.100\.7:0: this machine has no address"):
        bind_all(["198.51.100.7"], 0)


@pytest.mark.parametrize("address", ["no such host", "::1%nowhere", "a" * 300, "a\0b"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ListenError, match="neither an IP address nor a name"):
        bind_all([address], 0)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist(port: int) -> None:
    with pytest.raises(ListenError, match=f"port {port} does not exist"):
        bind_all(["127.0.0.1"], port)


def test_no_address_at_all() -> None:
    with pytest.raises(ListenError, match="cannot listen on no address"):
        bind_all([], 0)


@pytest.fixture
def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = binding._bind

    def refuse(target: binding._Target, port: int) -> socket.socket:
        if target.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        return bind(target, port)

    monkeypatch.setattr(binding, "_bind", refuse)


@pytest.mark.usefixtures("without_ipv6")
def test_a_family_that_the_machine_lacks_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tornado_webrtc.listener")
    with bound("::", "0.0.0.0") as sockets:
        assert [sock.getsockname()[0] for sock in sockets] == ["0.0.0.0"]
    assert caplog.messages == ["not listening on ::: this machine lacks IPv6 or IPv4"]


@pytest.mark.usefixtures("without_ipv6")
def test_nothing_left_is_an_error() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on ::1: this machine has none"):
        bind_all(["::1"], 0)


@pytest.mark.usefixtures("unprivileged")
def test_a_reserved_port() -> None:
    with pytest.raises(ListenError, match="choose one above 1023"):
        bind_all(["127.0.0.1"], 1)
