"""Keys of long-term credentials, MESSAGE-INTEGRITY and FINGERPRINT."""

from __future__ import annotations

import hashlib
import hmac
import stringprep
import unicodedata
import zlib
from typing import TYPE_CHECKING

from tornado_webrtc.stun.attribute import (
    FINGERPRINT,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    Attribute,
    PasswordAlgorithm,
)
from tornado_webrtc.stun.header import ATTRIBUTE_HEADER_BYTES, with_length

if TYPE_CHECKING:
    from tornado_webrtc.stun.message import Message

__all__ = [
    "MD5",
    "SHA_256",
    "append_fingerprint",
    "append_integrity",
    "compute_fingerprint",
    "long_term_key",
    "opaque_string",
    "userhash",
    "verify_integrity",
]

MD5 = PasswordAlgorithm(1)
SHA_256 = PasswordAlgorithm(2)
"""The password algorithms (RFC 8489 section 18.5.1)."""

_HASH = {MESSAGE_INTEGRITY.code: "sha1", MESSAGE_INTEGRITY_SHA256.code: "sha256"}
_SIZE = {MESSAGE_INTEGRITY.code: 20, MESSAGE_INTEGRITY_SHA256.code: 32}
_FINGERPRINT_MASK = 0x5354554E
_FINGERPRINT_BYTES = 4


def long_term_key(
    username: str, realm: str, password: str, algorithm: PasswordAlgorithm = MD5
) -> bytes:
    """Compute the key of a long-term credential (RFC 8489 section 18.5.1).

    ``key = MD5(username ":" OpaqueString(realm) ":" OpaqueString(password))``

    Args:
        username: As it came in USERNAME: not prepared again.
        realm: As it was sent in REALM.
        password: The shared secret.
        algorithm: `MD5`, or `SHA_256` if that was negotiated.

    Returns:
        The 16 or 32 bytes of the hash.

    Raises:
        ValueError: If the algorithm is neither of the two.
    """
    joined = f"{username}:{opaque_string(realm)}:{opaque_string(password)}".encode()
    if algorithm == MD5:
        return hashlib.md5(joined, usedforsecurity=False).digest()
    if algorithm == SHA_256:
        return hashlib.sha256(joined).digest()
    raise ValueError(f"{algorithm} is neither MD5 nor SHA-256")


def userhash(username: str, realm: str) -> bytes:
    """Compute what USERHASH carries in place of a username (RFC 8489 section 14.4)."""
    return hashlib.sha256(f"{opaque_string(username)}:{opaque_string(realm)}".encode()).digest()


def opaque_string(text: str) -> str:
    """Prepare a password or realm by the OpaqueString profile (RFC 8265 section 4.2.2).

    Every space becomes U+0020, the rest is normalised to NFC. Characters that
    the profile disallows stay: browsers prepare nothing, and so agree with us.
    """
    if text.isascii():
        return text
    spaced = "".join(" " if stringprep.in_table_c12(each) else each for each in text)
    return unicodedata.normalize("NFC", spaced)


def append_integrity(
    message: bytes, key: bytes, attribute: Attribute[bytes] = MESSAGE_INTEGRITY
) -> bytes:
    """Append MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 to an encoded message.

    Args:
        message: As it is without the attribute.
        key: The long-term key, or a short-term password.
        attribute: Which of the two.

    Raises:
        ValueError: If the message would be longer than its length field can say.
    """
    size = _SIZE[attribute.code]
    message = with_length(message, len(message) + ATTRIBUTE_HEADER_BYTES + size)
    digest = hmac.digest(key, message, _HASH[attribute.code])
    return message + attribute.code.to_bytes(2) + size.to_bytes(2) + digest


def verify_integrity(
    message: Message, key: bytes, attribute: Attribute[bytes] = MESSAGE_INTEGRITY
) -> bool:
    """Tell whether whoever sent the message has the key, in constant time.

    "The Length field of the STUN message header is adjusted to point to the
    end of the MESSAGE-INTEGRITY attribute", whatever follows it (RFC 8489
    section 14.5).

    Args:
        message: As it was received.
        key: The long-term key, or a short-term password.
        attribute: MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256. The latter
            "must be the full 32 bytes unless the STUN Usage explicitly
            specifies that truncation is allowed" (section 14.6); TURN does not.

    Returns:
        False also when the attribute is missing or its length is wrong.
    """
    place = message.place(attribute)
    if place is None:
        return False
    start, length = place
    data = with_length(message.raw[: start - ATTRIBUTE_HEADER_BYTES], start + length)
    expected = hmac.digest(key, data, _HASH[attribute.code])
    return hmac.compare_digest(expected, message.raw[start : start + length])


def append_fingerprint(message: bytes) -> bytes:
    """Append FINGERPRINT to an encoded message; raises as `append_integrity` does."""
    message = with_length(message, len(message) + ATTRIBUTE_HEADER_BYTES + _FINGERPRINT_BYTES)
    value = compute_fingerprint(message).to_bytes(_FINGERPRINT_BYTES)
    return message + FINGERPRINT.code.to_bytes(2) + _FINGERPRINT_BYTES.to_bytes(2) + value


def compute_fingerprint(data: bytes) -> int:
    """Compute the value of FINGERPRINT (RFC 8489 section 14.7).

    Args:
        data: The message up to the attribute, which its length field includes.
    """
    return zlib.crc32(data) ^ _FINGERPRINT_MASK
