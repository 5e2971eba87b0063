"""Which addresses servers may name: public ones, neighbours, themselves."""

import asyncio
from ipaddress import ip_address

import pytest

from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.scope import Scope, scope_of
from tornado_webrtc.doctor.target import IceUri, Target

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    ("bases", "allowed", "refused"),
    [
        ([], [PUBLIC], ["127.0.0.1", "10.0.0.1"]),
        (
            [PUBLIC],
            [PUBLIC, "8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"],
            [
                *("127.0.0.1", "169.254.169.254", "10.0.0.1", "192.168.1.1", "0.0.0.0", "::"),
                *("100.64.0.1", "::1", "fe80::1", "fe80::1%1", "fd00::1", "224.0.0.1"),
                *("::ffff:169.254.169.254", "::ffff:10.0.0.1"),
            ],
        ),
        (["127.0.0.1"], ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1"], ["169.254.169.254"]),
        (["10.0.0.1"], ["10.0.0.2", "192.168.0.1"], ["127.0.0.1", "169.254.169.254"]),
        (["169.254.1.1"], ["169.254.1.2", "10.0.0.2"], ["127.0.0.1"]),
        (["10.0.0.1", PUBLIC], ["10.0.0.1"], ["10.0.0.2", "127.0.0.1"]),
    ],
)
def test_what_may_be_tried(bases: list[str], allowed: list[str], refused: list[str]) -> None:
    scope = Scope(tuple(map(ip_address, bases)))
    assert [host for host in allowed if not scope.allows(host)] == []
    assert [host for host in refused if scope.allows(host)] == []


async def test_scope_of_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("https", "127.0.0.1", 1)
    assert await scope_of(Case(own=True, target=target)) is None
    assert await scope_of(Case(own=False, uris=[IceUri("turn", "10.0.0.1", 1, "udp")])) is None
    assert await scope_of(Case(own=False, target=target)) == Scope((ip_address("127.0.0.1"),))

    async def nobody(*_args: object) -> None:
        raise OSError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)
    assert await scope_of(Case(own=False, target=target)) == Scope()
