"""Which signature algorithms there are (RFC 7518, RFC 8037), and which go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["CURVES", "EDDSA", "HMAC_BYTES", "KNOWN", "RSA", "faults", "is_symmetric"]

HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes that a secret has at least: "A key of the same size as the hash output […] or larger
MUST be used" (RFC 7518 section 3.2)."""

RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
"""The one algorithm of each curve (RFC 7518 section 3.4)."""

EDDSA = frozenset({"EdDSA"})

KNOWN = (*HMAC_BYTES, *sorted(RSA), *CURVES.values(), *EDDSA)


def is_symmetric(algorithm: str) -> bool:
    """Whether who can check a signature can also make it."""
    return algorithm in HMAC_BYTES


def faults(algorithms: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with a list of algorithms.

    Secrets and public keys in one list are refused altogether: a verifier that takes
    both can be led to take a public key, which everybody has, for a secret (RFC 8725
    section 2.1).
    """
    for each in algorithms:
        if each.lower() == "none":
            yield f"{each} means no signature: anybody could write such a token; leave it out"
        elif each not in KNOWN:
            yield f"{each} is not known; allowed are {', '.join(KNOWN)}"
    if len({is_symmetric(each) for each in algorithms if each in KNOWN}) > 1:
        yield (
            "HS… goes with secrets, the others with public keys, and the two may not be mixed:"
            " a public key could be taken for a secret; name one kind"
        )
