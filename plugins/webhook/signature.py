"""Signatures as in the Standard Webhooks specification, version 1.0.0: HMAC with SHA-256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

__all__ = ["MAX_KEY_BYTES", "MIN_KEY_BYTES", "parse_secret", "signature"]

PREFIX = "whsec_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64

_FORM = (
    f"allowed is {PREFIX} and the Base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} random bytes;"
    f" this makes one: echo {PREFIX}$(openssl rand -base64 32)"
)


def parse_secret(text: str) -> bytes:
    """Decode a secret: ``whsec_`` and Base64 ("Signature scheme", symmetric).

    Raises:
        ValueError: It is none; the message says why and shows nothing of it.
    """
    if not text.startswith(PREFIX):
        raise ValueError(f"a secret does not begin with {PREFIX}; {_FORM}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {PREFIX} in a secret is no Base64; {_FORM}") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"a secret has {len(key)} bytes; {_FORM}")
    return key


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header ``webhook-signature``.

    "the signature is calculated over ``msg_id.timestamp.payload``"; several, one for each
    key, are separated by spaces, so that keys can be exchanged.

    Args:
        keys: What `parse_secret` made of the secrets.
        message_id: The value of ``webhook-id``.
        timestamp: The value of ``webhook-timestamp``, in Unix seconds.
        body: What is sent, byte by byte.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
