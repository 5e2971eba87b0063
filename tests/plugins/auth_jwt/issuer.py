"""An issuer of tokens with real keys, and a web server that publishes its key set."""

import asyncio
import base64
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Self, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tornado_webrtc.plugins.auth_jwt.claim import ClaimRules
from tornado_webrtc.plugins.auth_jwt.key import Key
from tornado_webrtc.plugins.auth_jwt.settings import Settings

SECRET = "a shared secret that is long enough for every hash: 64 bytes or more!"
OTHER_SECRET = SECRET[::-1]

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

KINDS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}
"""The kind of key that each algorithm needs."""


def private_key(kind: str, number: int = 0) -> PrivateKey:
    """A key, made once; another `number` gives another key."""
    return _made(kind, number)


@cache
def _made(kind: str, _number: int) -> PrivateKey:
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    if kind == "RSA-1024":
        return rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused
    if kind == "K-256":
        return ec.generate_private_key(ec.SECP256K1())
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ec.generate_private_key(curves[kind])


def public_pem(kind: str, number: int = 0) -> str:
    key = private_key(kind, number).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(kind: str, number: int = 0) -> str:
    key = private_key(kind, number)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    return encoded(value.to_bytes(size or (value.bit_length() + 7) // 8))


def jwk(kind: str, kid: str | None = None, number: int = 0, **members: Any) -> dict[str, Any]:
    """The public key as a JSON Web Key, made by hand from RFC 7518 and RFC 8037."""
    key = private_key(kind, number).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        made = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    elif isinstance(key, ec.EllipticCurvePublicKey):
        size, point = (key.key_size + 7) // 8, key.public_numbers()
        made = {"kty": "EC", "crv": kind, "x": _number(point.x, size), "y": _number(point.y, size)}
    else:
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        made = {"kty": "OKP", "crv": kind, "x": encoded(raw)}
    return made | ({} if kid is None else {"kid": kid}) | members


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def sign(
    claims: dict[str, Any],
    algorithm: str = "HS256",
    *,
    kid: str | None = None,
    number: int = 0,
    secret: str = SECRET,
    **header: Any,
) -> str:
    """A token as any issuer would make it."""
    key = private_key(KINDS[algorithm], number) if algorithm in KINDS else secret
    headers = header | ({} if kid is None else {"kid": kid})
    return jwt.encode(claims, key, algorithm, headers=headers)


def crafted(header: object, payload: object, signature: bytes = b"") -> str:
    """A token as no library would make it."""
    parts = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in
             (header, payload))  # fmt: skip
    return ".".join((*map(encoded, parts), encoded(signature)))


def settings(*algorithms: str, **changes: Any) -> Settings:
    """Settings that take every claim, unless a test says otherwise."""
    return Settings(algorithms=algorithms, **({"rules": ClaimRules(required=())} | changes))


class Held:
    """A source that has keys."""

    counters: dict[str, int] = {}  # noqa: RUF012 - nobody changes it

    def __init__(self, keys: Sequence[Key]) -> None:
        self.held = tuple(keys)
        self.asked: list[str | None] = []

    async def examine(self) -> list[tuple[str, str]]:
        return []

    def open(self) -> None:
        return

    async def close(self) -> None:
        return

    async def keys(self, kid: str | None) -> tuple[Key, ...]:
        self.asked.append(kid)
        return self.held


class Publisher:
    """A web server with one document: the key set.

    Attributes:
        content: What it answers with.
        status: The HTTP status of it.
        headers: What the answer carries besides.
        requests: How many there were.
        released: While it is not set, requests are not answered.
    """

    def __init__(self, ssl_options: Any = None, host: str = "127.0.0.1") -> None:
        self.content = b""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests = 0
        self.released = asyncio.Event()
        self.released.set()
        self._tls = ssl_options
        self._host = host
        publisher = self

        class Handler(RequestHandler):
            async def get(self) -> None:
                publisher.requests += 1
                await publisher.released.wait()
                self.set_status(publisher.status)
                for name, value in publisher.headers.items():
                    self.set_header(name, value)
                self.finish(publisher.content or None)

        application = Application([(r"/.*", Handler)], log_function=lambda _handler: None)
        self._server = HTTPServer(application, ssl_options=ssl_options)
        (self._socket,) = bind_sockets(0, host)
        self._server.add_socket(self._socket)

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        name = "localhost" if self._tls else self._host
        return f"{'https' if self._tls else 'http'}://{name}:{self.port}/keys"

    def publish(self, *keys: dict[str, Any]) -> None:
        self.content = key_set(*keys)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.released.set()
        self._server.stop()
        await self._server.close_all_connections()
