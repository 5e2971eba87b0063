"""STUN and TURN as clients use them, up to a datagram that goes through the relay and back."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from tornado_webrtc.doctor.case import (
    Case,
    milliseconds,
    ok,
    problem,
    short,
    skipped,
    warning,
    words,
)
from tornado_webrtc.doctor.scope import Scope, scope_of
from tornado_webrtc.doctor.target import IceUri
from tornado_webrtc.doctor.turnclient import (
    CHANNEL,
    NoAnswerError,
    RefusedError,
    StreamWire,
    TurnClient,
    UdpWire,
    UnexpectedError,
    open_stream,
)
from tornado_webrtc.errors import DecodeError, TornadoWebrtcError
from tornado_webrtc.finding import Finding, Level
from tornado_webrtc.stun.address import IPV6, TransportAddress

__all__ = ["relay"]

FAILURES = (NoAnswerError, RefusedError, UnexpectedError, DecodeError, OSError, UnicodeError)
HANGS_UP = ConnectionResetError | ConnectionAbortedError
PATIENCE = 0.4
"""The part of a check's time that an answer may take: enough is left to try elsewhere."""

AGAIN_S = 0.2
LEAVE_S = 0.2
"""An allocation that cannot be given up in this time expires by itself."""

UNAUTHENTICATED, FORBIDDEN, WRONG_FAMILY = 401, 403, 440
QUOTA_REACHED, NO_CAPACITY = 486, 508
SOME = 3


class _NotTriedError(TornadoWebrtcError):
    """An ICE server is left alone.

    Attributes:
        reason: Always the same words for the same thing.
        hint: What to do about it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


async def relay(case: Case) -> AsyncIterator[Finding]:
    """Try every ICE server, all at the same time."""
    if not case.uris:
        yield skipped("turn", "no TURN server is known")
        return
    scope = await scope_of(case)
    found = await asyncio.gather(*(_examine(case, uri, scope) for uri in case.uris))
    left: dict[tuple[str, str], list[IceUri]] = {}
    turn_is_tried = False
    for uri, each in zip(case.uris, found, strict=True):
        if isinstance(each, Finding):
            turn_is_tried = turn_is_tried or uri.is_turn
            yield each
        else:
            left.setdefault((each.reason, each.hint), []).append(uri)
    for (reason, hint), uris in left.items():
        yield _not_tried(uris, reason, hint, turn_is_tried)


def _not_tried(uris: list[IceUri], reason: str, hint: str, turn_is_tried: bool) -> Finding:
    """One finding for all: there can be many. Without any TURN server tried it is a problem."""
    some = ", ".join(short(uri.place) for uri in uris[:SOME])
    more = f" and {len(uris) - SOME} more" if len(uris) > SOME else ""
    is_problem = not turn_is_tried and any(uri.is_turn for uri in uris)
    level = problem if is_problem else warning
    text = f"not tried: {some}{more}: {reason}"
    return level("turn", text, hint, not_tried=[short(uri.place) for uri in uris])


async def _examine(case: Case, uri: IceUri, scope: Scope | None) -> Finding | _NotTriedError:
    """Try an ICE server, if it may be; if it does not answer, also by an address inside."""
    try:
        found = await Trial(case, uri, scope=scope).run()
    except _NotTriedError as error:
        return error
    inside = _inside(case, uri)
    if found.level is not Level.PROBLEM or not found.values.get("silent") or not inside:
        return found
    again = await Trial(case, replace(uri, host=inside)).run()
    if again.level is Level.PROBLEM:
        return found
    return warning(
        uri.kind,
        f"{uri.place} does not answer from here, but {inside} does: {again.text}",
        "that is so behind many NATs; see from outside: tornado-webrtc doctor URL",
        **again.values,
    )


def _inside(case: Case, uri: IceUri) -> str:
    """An address by which this machine reaches its own server; empty if there is no other."""
    if not case.own or case.config is None:
        return ""
    try:
        version = ip_address(uri.host).version
    except ValueError:
        return ""
    entries = [each for each in case.config.turn.public_ip if each.private]
    private = [str(each.private) for each in entries if each.version == version]
    loopback = "127.0.0.1" if version == 4 else "::1"  # noqa: PLR2004
    return next((each for each in (*private, loopback) if each != uri.host), "")


@dataclass
class Trial:
    """One ICE server that is tried.

    Attributes:
        case: The examination.
        uri: The server.
        step: What is tried at the moment, for people.
        scope: Which addresses may be tried; None: all.
    """

    case: Case
    uri: IceUri
    step: str = "connecting"
    scope: Scope | None = None
    _clients: list[TurnClient] = field(default_factory=list)
    _server: TransportAddress = field(init=False)

    async def run(self) -> Finding:
        """Try it.

        Raises:
            _NotTriedError: It is left alone.
        """
        try:
            self._refuse_dtls()
            await self._look_up()
            if not self.uri.is_turn:
                return await self._stun()
            if not self.case.username:
                return self._no_credential()
            return await self._turn()
        except FAILURES as error:
            return self._failure(error)
        finally:
            await self._leave()

    def _refuse_dtls(self) -> None:
        if self.uri.is_secure and self.uri.transport == "udp":
            hint = f"to try TLS: tornado-webrtc doctor turns:{short(self.uri.place)}?transport=tcp"
            raise _NotTriedError("DTLS, which this command does not speak", hint)

    def _no_credential(self) -> Finding:
        given = self.case.target is None and not self.case.own
        hint = "give --user and --password" + ("" if given else "; clients get none for it either")
        text = f"{short(self.uri.place)} cannot be tried: there is no credential for it"
        return problem(self.uri.kind, text, hint)

    async def _stun(self) -> Finding:
        client = await self._client()
        self.step = "asking for the own address"
        mapped = await client.mapped_address()
        took = milliseconds(client.took_s)
        text = f"{self.uri.place} sees this machine as {mapped}, {took:g} ms"
        return ok(self.uri.kind, text, mapped=str(mapped), rtt_ms=took)

    async def _turn(self) -> Finding:
        first, second = await self._client(), await self._client()
        self.step = "asking for the own address"
        await first.mapped_address()
        took = milliseconds(first.took_s)
        self.step = "an allocation"
        here, there = await _allocated(first), await _allocated(second)
        self.step = "a permission for the other relayed address"
        await first.permit(there)
        await second.permit(here)
        self.step = "data through the relay"
        await self._pass(lambda data: first.send(there, data), second, here)
        self.step = "a channel"
        await first.bind(there)
        await second.bind(here)
        self.step = "data through a channel, there and back"
        began = time.perf_counter()
        await self._pass(first.send_channel, second, CHANNEL)
        await self._pass(second.send_channel, first, CHANNEL)
        circle = milliseconds(time.perf_counter() - began)
        text = (
            f"{self.uri.place} answers in {took:g} ms; allocation, permission and channel work;"
            f" data goes through the relay and back in {circle:g} ms"
        )
        return ok(self.uri.kind, text, rtt_ms=took, relayed_rtt_ms=circle, relayed=str(here))

    @property
    def _patience_s(self) -> float:
        return self.case.patience_s * PATIENCE

    async def _client(self) -> TurnClient:
        try:
            async with asyncio.timeout(self._patience_s):
                wire = await self._wire()
        except TimeoutError:
            raise NoAnswerError("no connection") from None
        client = TurnClient(
            wire, self.case.username, self.case.password, patience_s=self._patience_s
        )
        self._clients.append(client)
        return client

    async def _look_up(self) -> None:
        """Find the address, once: it is the one that was judged.

        Raises:
            OSError: There is none.
            _NotTriedError: The server that named this one may not name that address.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience_s):
                found = await loop.getaddrinfo(self.uri.host, self.uri.port)
        except TimeoutError:
            raise NoAnswerError("the name is not looked up in time") from None
        self._server = TransportAddress(str(found[0][4][0]), self.uri.port)
        if self.scope is not None and not self.scope.allows(self._server.host):
            raise _NotTriedError(
                "an address inside a network, named by a server outside of it",
                "set [turn] public_ip there; to try it nevertheless: tornado-webrtc doctor"
                " turn:HOST:PORT",
            )

    async def _wire(self) -> UdpWire | StreamWire:
        server = self._server
        if self.uri.transport == "udp":
            return UdpWire(server)
        tls = ssl.create_default_context() if self.uri.is_secure else None
        return await open_stream(server, tls, self.uri.host)

    async def _pass(
        self, send: Callable[[bytes], None], receiver: TurnClient, sender: TransportAddress | int
    ) -> None:
        """Send data, over UDP perhaps again, until the receiver has it from the sender."""
        data = secrets.token_bytes(32)
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    send(data)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(AGAIN_S):
                            while await receiver.data() != (sender, data):
                                continue
                            return
        except TimeoutError:
            raise NoAnswerError("nothing arrives") from None

    async def _leave(self) -> None:
        for client in self._clients:
            with suppress(*FAILURES):
                async with asyncio.timeout(LEAVE_S):
                    await client.release()
            client.close()

    # --- what went wrong --------------------------------------------------------

    def _failure(self, error: Exception) -> Finding:
        silent = self.step in {"connecting", "asking for the own address"} and not isinstance(
            error, RefusedError | UnexpectedError | DecodeError | ssl.SSLError | HANGS_UP
        )
        text = f"{short(self.uri.place)}: {self.step} fails: {words(error)}"
        return problem(
            self.uri.kind, text, self._hint(error, silent), silent=silent, step=self.step
        )

    def _hint(self, error: Exception, silent: bool) -> str:
        port = f"{self.uri.transport.upper()} port {self.uri.port}"
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens on {port} there; does the server run, and on that port?"
        if silent:
            return f"open {port} in the firewall; see that the server runs, and listens there"
        if isinstance(error, HANGS_UP):
            spoken = "TLS" if self.uri.is_secure else "TURN, without TLS,"
            return f"it hangs up: does it speak {spoken} on {port}?"
        if isinstance(error, ssl.SSLError):
            return "the certificate has to be one that clients trust, for that name"
        if isinstance(error, RefusedError):
            return self._hint_for_code(error.code)
        if self.step.startswith("data"):
            return (
                f"open UDP ports {self._relay_ports()} in the firewall, also for this machine"
                " itself; does [turn] public_ip name this server?"
            )
        return "is that a TURN server, or something in between that changes what it says?"

    def _relay_ports(self) -> str:
        config = self.case.config
        return str(config.turn.relay_ports) if config else "of its relay (49152-65535)"

    def _hint_for_code(self, code: int) -> str:
        if code == UNAUTHENTICATED:
            return "do both share the secret? is the credential still good, are the clocks right?"
        if code == FORBIDDEN:
            return "a rule of the server forbids it: [turn] deny_peers, or a plugin"
        if code == QUOTA_REACHED:
            return "a limit is reached: [turn] max_allocations and the like; try again later"
        if code == NO_CAPACITY and not self.case.takes_clients:
            return "the server is being drained, see above: nothing new is relayed until it is back"
        if code == NO_CAPACITY:
            return "is it being drained, or is no port of [turn] relay_ports free? try again later"
        return "the server's log says more"


async def _allocated(client: TurnClient) -> TransportAddress:
    """An allocation for IPv4, or for IPv6 where there is no other (RFC 8656 section 7.2)."""
    try:
        return await client.allocate()
    except RefusedError as error:
        if error.code != WRONG_FAMILY:
            raise
        return await client.allocate(IPV6)
