"""Who sent a request? The long-term credential mechanism (RFC 8489 section 9.2.4).

Nothing is stored, and no table is touched, before MESSAGE-INTEGRITY verifies.
"""

from __future__ import annotations

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    DATA,
    DONT_FRAGMENT,
    EVEN_PORT,
    LIFETIME,
    MESSAGE_INTEGRITY,
    NONCE,
    REALM,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    RESERVATION_TOKEN,
    UNKNOWN_ATTRIBUTES,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
)
from tornado_webrtc.stun.integrity import verify_integrity
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.action import FindCredential, FoundCredential
from tornado_webrtc.turn.allocation import Allocation
from tornado_webrtc.turn.nonce import NonceSource
from tornado_webrtc.turn.request import RejectionError, Request, Steps

__all__ = ["UNDERSTOOD", "Authenticator", "reject_unknown_attributes"]

UNDERSTOOD = frozenset(
    attribute.code
    for attribute in (
        *(USERNAME, REALM, NONCE, MESSAGE_INTEGRITY),
        *(REQUESTED_TRANSPORT, REQUESTED_ADDRESS_FAMILY, EVEN_PORT, RESERVATION_TOKEN, LIFETIME),
        *(XOR_PEER_ADDRESS, CHANNEL_NUMBER, DATA, DONT_FRAGMENT),
        *(XOR_MAPPED_ADDRESS, XOR_RELAYED_ADDRESS),
    )
)
"""What a request may contain of attributes that have to be understood."""

MAX_LISTED_ATTRIBUTES = 16
"""An answer to whom nobody knows must not be large, however many attributes it is about."""

NOBODY_KEY = bytes(16)
"""Verified against for names that nobody knows, so that both cases cost the same."""


def reject_unknown_attributes(request: Request) -> None:
    """Refuse attributes that must be understood and are not (RFC 8489 section 6.3.1)."""
    unknown = request.message.unknown_comprehension_required(UNDERSTOOD)
    if unknown:
        raise RejectionError(420, [(UNKNOWN_ATTRIBUTES, unknown[:MAX_LISTED_ATTRIBUTES])])


def _found_in(allocation: Allocation | None, username: str) -> FoundCredential | None:
    if allocation is None or allocation.username != username:
        return None
    return FoundCredential((allocation.key,), allocation.user)


def _refuse_other_users(request: Request, allocation: Allocation | None) -> None:
    """RFC 8656 section 5: "if a non-Allocate request … does not use the same username"."""
    if allocation is None or request.message.method == Method.ALLOCATE:
        return
    if request.username != allocation.username:
        raise RejectionError(441)


class Authenticator:
    """Checks requests of one realm.

    Args:
        realm: Named in every challenge.
        nonces: Makes and checks nonces.
    """

    def __init__(self, realm: str, nonces: NonceSource) -> None:
        self._realm = realm
        self._nonces = nonces

    def authenticate(self, request: Request, allocation: Allocation | None) -> Steps:
        """Find out who sent a request, or reject it; fills in the request's key and user.

        A live allocation keeps its key: requests under its name need no look-up,
        and go on working when the name has expired.
        """
        username = request.username = self._check_form(request)
        found = _found_in(allocation, username)
        self._check_nonce(request, found)
        if found is None:
            found = yield FindCredential(username, request.five_tuple)
        keys = found.keys if found is not None else (NOBODY_KEY,)
        verified = [key for key in keys if verify_integrity(request.message, key)]
        if found is None or not verified:
            raise self._challenge(request, 401, "unknown user, or wrong password")
        request.key, request.user = verified[0], found.user
        request.credential_expires_at = found.expires_at
        reject_unknown_attributes(request)
        _refuse_other_users(request, allocation)

    def _check_form(self, request: Request) -> str:
        """Check everything that needs no look-up; returns the user name."""
        message = request.message
        if not message.has(MESSAGE_INTEGRITY):
            raise self._challenge(request, 401)
        try:
            username, realm = message.get(USERNAME), message.get(REALM)
            nonce = message.get(NONCE)
        except DecodeError:
            raise RejectionError(400) from None
        if username is None or realm is None or nonce is None:
            raise RejectionError(400)
        if realm != self._realm:
            raise self._challenge(request, 401)
        return username

    def _check_nonce(self, request: Request, found: FoundCredential | None) -> None:
        """Ask for a new nonce; whoever proves to be an allocation's owner is always answered.

        Other answers are rationed by the client's address. Since that can be
        forged, a stranger could otherwise keep a client from refreshing.
        """
        nonce = request.message.get(NONCE) or ""
        if not self._nonces.check(nonce, request.five_tuple.client.host, request.wall):
            stale = self._challenge(request, 438)
            stale.rationed = found is None or not verify_integrity(request.message, found.keys[0])
            raise stale

    def refuse_expired(self, request: Request) -> None:
        """Refuse a credential that has expired, where something new is asked for."""
        expires_at = request.credential_expires_at
        if expires_at is not None and request.wall >= expires_at:
            raise self._challenge(request, 401, "the credential has expired")

    def _challenge(self, request: Request, code: int, cause: str = "") -> RejectionError:
        nonce = self._nonces.make(request.five_tuple.client.host, request.wall)
        return RejectionError(code, [(REALM, self._realm), (NONCE, nonce)], cause=cause)
