"""Keys that signatures are checked with: from secrets, PEM and JSON Web Keys (RFC 7517).

A key knows the algorithms that it is for. Whatever a token says of itself, its
signature is checked with a key and an algorithm that belong together.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tornado_webrtc.followedfile import BadContentError

from .algorithm import CURVES, EDDSA, HMAC_BYTES, RSA

__all__ = [
    "Key",
    "NoKeysError",
    "UnusableKeyError",
    "check_use",
    "key_of_jwk",
    "keys_of_pem",
    "keys_of_secrets",
    "looks_guessable",
    "secret_faults",
]

MIN_RSA_BITS = 2048
"""RFC 7518 sections 3.3 and 3.5: "A key of size 2048 bits or larger MUST be used"."""

MAX_RSA_BITS = 8192
"""Larger ones take the server's time, and nobody has them."""

_MIN_SECRET_BITS = 96
_PUBLIC_WORDS = re.compile(r"\s*(?:ssh-|ecdsa-)|-----BEGIN |\"kty\"")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_JWK_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}

PublicKey: TypeAlias = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
)


class UnusableKeyError(BadContentError):
    """A key, or all that a file holds, cannot be used; the message says why."""


class NoKeysError(Exception):
    """There is no key at the moment, so that no token can be checked; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a signature is checked with.

    Attributes:
        algorithms: Those it is for; all of them symmetric, or none.
        material: A secret's bytes, or a public key; never shown in a repr.
        kid: Its name, if it has one.
    """

    algorithms: frozenset[str]
    material: bytes | PublicKey = field(repr=False)
    kid: str | None = None


# --- secrets ----------------------------------------------------------------------------


def secret_faults(secrets: Sequence[str], algorithms: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with secrets, by their place in the list and nothing else."""
    needed = max((HMAC_BYTES.get(each, 0) for each in algorithms), default=0)
    longest = next((each for each, size in HMAC_BYTES.items() if size == needed), "")
    for number, secret in enumerate(secrets, 1):
        size = len(secret.encode())
        if _PUBLIC_WORDS.search(secret):
            yield f"secret {number} looks like a key in PEM, SSH or JWK form, which is no secret"
        elif size < needed:
            yield (
                f"secret {number} has {size} bytes, but {longest} needs at least {needed};"
                f" `openssl rand -base64 {needed}` makes one"
            )


def looks_guessable(secret: str | bytes) -> bool:
    """Whether a secret repeats so few characters that length alone does not make it strong."""
    return len(secret) * log2(max(1, len(set(secret)))) < _MIN_SECRET_BITS


def keys_of_secrets(secrets: Sequence[str], algorithms: Sequence[str]) -> tuple[Key, ...]:
    """Make keys of secrets.

    Raises:
        UnusableKeyError: One of them is too short, or is no secret.
    """
    if faults := list(secret_faults(secrets, algorithms)):
        raise UnusableKeyError(*faults)
    symmetric = frozenset(algorithms) & HMAC_BYTES.keys()
    return tuple(Key(frozenset(symmetric), secret.encode()) for secret in secrets)


# --- PEM --------------------------------------------------------------------------------


def keys_of_pem(content: bytes, algorithms: Sequence[str]) -> tuple[Key, ...]:
    """Read public keys in PEM form (RFC 7468 section 13), at least one.

    Args:
        content: The blocks; what is between them is skipped.
        algorithms: Those that are allowed.

    Raises:
        UnusableKeyError: One of them cannot be used, or there is none.
    """
    keys, faults = [], []
    for number, found in enumerate(_PEM.finditer(content), 1):
        try:
            keys.append(_key_of_pem(found[1].decode(), found[0]))
            check_use(keys[-1], algorithms)
        except UnusableKeyError as error:
            faults.append(f"key {number}: {error}")
    if not keys and not faults:
        faults.append("it holds no PEM block; public keys begin with -----BEGIN PUBLIC KEY-----")
    if faults:
        raise UnusableKeyError(*faults)
    return tuple(keys)


def check_use(key: Key, algorithms: Sequence[str]) -> None:
    """See that a key is of any use.

    Raises:
        UnusableKeyError: It is for none of the algorithms.
    """
    if key.algorithms.isdisjoint(algorithms):
        own = ", ".join(sorted(key.algorithms))
        raise UnusableKeyError(f"it is for {own}, and algorithms has none of them")


def _key_of_pem(label: str, block: bytes) -> Key:
    if "PRIVATE" in label:
        raise UnusableKeyError(
            "it is private and does not belong here; `openssl pkey -pubout` gives the public one"
        )
    if "CERTIFICATE" in label:
        raise UnusableKeyError(
            "it is a certificate; `openssl x509 -pubkey -noout` takes the key out of it"
        )
    try:
        return _public_key(load_pem_public_key(block))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKeyError(f"the {label} cannot be read") from error


def _public_key(loaded: object, kid: str | None = None, only: str | None = None) -> Key:
    """Find out what a public key is for; `only` is the algorithm that it says itself."""
    material, algorithms = _fitting(loaded)
    if only is not None:
        if only not in algorithms:
            raise UnusableKeyError("its alg does not go with its kind")
        algorithms = frozenset({only})
    return Key(algorithms, material, kid)


def _fitting(loaded: object) -> tuple[PublicKey, frozenset[str]]:
    """A public key with the algorithms of its kind and size."""
    if isinstance(loaded, rsa.RSAPublicKey):
        bits = loaded.key_size
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            limits = f"{MIN_RSA_BITS} to {MAX_RSA_BITS}"
            raise UnusableKeyError(f"it is an RSA key of {bits} bits; allowed are {limits}")
        return loaded, RSA
    if isinstance(loaded, ec.EllipticCurvePublicKey) and loaded.curve.name in CURVES:
        return loaded, frozenset({CURVES[loaded.curve.name]})
    if isinstance(loaded, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return loaded, EDDSA
    raise UnusableKeyError("there is no algorithm for a key of its kind")


# --- JSON Web Keys ----------------------------------------------------------------------


def key_of_jwk(jwk: object) -> Key:
    """Read a public key as JSON has it (RFC 7517 section 4, RFC 7518 section 6, RFC 8037).

    Raises:
        UnusableKeyError: It is private, meant for something else, of a kind that is not
            known, or malformed. Nothing else is raised for any value.
    """
    if not isinstance(jwk, dict):
        raise UnusableKeyError("it is no object")
    kid, only = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str | None) or not isinstance(only, str | None):
        raise UnusableKeyError("its kid or alg is no text")
    if jwk.get("use", "sig") != "sig":
        raise UnusableKeyError("its use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("its key_ops do not hold verify")
    if "d" in jwk or "k" in jwk:
        raise UnusableKeyError("it is secret and should never have been published")
    try:
        return _public_key(_material_of(jwk), kid, only)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKeyError("its numbers are wrong") from error


def _material_of(jwk: Mapping[str, Any]) -> PublicKey:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        modulus, exponent = (int.from_bytes(_bytes_of(jwk, name)) for name in ("n", "e"))
        if modulus.bit_length() > MAX_RSA_BITS:
            raise UnusableKeyError(f"it is an RSA key of more than {MAX_RSA_BITS} bits")
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if kind == "EC" and isinstance(curve, str) and curve in _JWK_CURVES:
        x, y = (int.from_bytes(_bytes_of(jwk, name)) for name in ("x", "y"))
        return ec.EllipticCurvePublicNumbers(x, y, _JWK_CURVES[curve]).public_key()
    if kind == "OKP" and curve == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(_bytes_of(jwk, "x"))
    if kind == "OKP" and curve == "Ed448":
        return ed448.Ed448PublicKey.from_public_bytes(_bytes_of(jwk, "x"))
    raise UnusableKeyError("its kty or crv is not known")


def _bytes_of(jwk: Mapping[str, Any], name: str) -> bytes:
    """A number or text in base64url without padding (RFC 7515 section 2)."""
    text = jwk.get(name)
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise UnusableKeyError(f"its {name} is missing or no base64url")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise UnusableKeyError(f"its {name} is no base64url") from error
