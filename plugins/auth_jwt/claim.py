"""What a token claims (RFC 7519 section 4), and whom that makes its bearer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from typing import Any, NoReturn

from tornado_webrtc.credential import MAX_NAME_LENGTH, check_name
from tornado_webrtc.hooks import Identity

from .refusal import Cause, TokenError

__all__ = ["MAX_PEER_IDS", "SUBJECT", "ClaimRules", "read_claims"]

MAX_PEER_IDS = 32
"""A token may list so many ids: each is compared when a peer signs in."""

SUBJECT = "{subject}"
"""Stands for the token's subject in `ClaimRules.peer_ids`."""

Claims = Mapping[str, Any]


def read_claims(payload: bytes) -> Claims:
    """Read the claims of a token whose signature is right.

    Raises:
        TokenError: They are no JSON object in UTF-8.
    """
    try:
        claims = json.loads(payload.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise TokenError(Cause.MALFORMED, "the claims are no JSON") from error
    if not isinstance(claims, dict):
        raise TokenError(Cause.MALFORMED, "the claims are no JSON object")
    return claims


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("neither NaN nor Infinity is JSON")


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What is demanded of claims.

    Attributes:
        issuers: `iss` is one of them; empty for whoever has the key.
        audiences: `aud` holds one of them; empty for tokens without `aud` alone.
        leeway_s: By how much clocks may differ.
        required: Claims that have to be there.
        subject_claim: The claim that names the subject.
        peer_ids: Patterns of the peer ids that the subject may have, with `SUBJECT` in them.
        peer_ids_claim: The claim that lists ids instead; empty for none.
        close_at_expiry: Whether `exp` ends what the token allowed, too, not only the token.
    """

    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    leeway_s: float = 0.0
    required: tuple[str, ...] = ("exp",)
    subject_claim: str = "sub"
    peer_ids: tuple[str, ...] = (SUBJECT,)
    peer_ids_claim: str = "peer_ids"
    close_at_expiry: bool = False

    def identify(self, claims: Claims, wall: float) -> Identity:
        """Check claims, and say whose they are.

        Args:
            claims: Those of a token whose signature is right.
            wall: Unix time.

        Raises:
            TokenError: A claim is missing or wrong.
        """
        for name in self.required:
            if name not in claims:
                raise TokenError(Cause.CLAIM, f"the claim {name!r} is missing")
        self._check_times(claims, wall)
        self._check_issuer(claims)
        self._check_audience(claims)
        subject = self._subject(claims)
        return Identity(subject, self._peer_ids(claims, subject), self._expires_at(claims))

    def _check_times(self, claims: Claims, wall: float) -> None:
        """RFC 7519 sections 4.1.4 to 4.1.6.

        "The processing of the "exp" claim requires that the current date/time MUST be
        before the expiration date/time"; with "nbf" it "MUST be after or equal to" that.
        A token from the future, by its "iat", is as early as one by its "nbf".
        """
        expires_at = _date(claims, "exp")
        if expires_at is not None and wall >= expires_at + self.leeway_s:
            raise TokenError(Cause.EXPIRED, f"{wall - expires_at:.0f} s ago")
        for name in ("nbf", "iat"):
            begins_at = _date(claims, name)
            if begins_at is not None and wall < begins_at - self.leeway_s:
                raise TokenError(
                    Cause.NOT_YET_VALID, f"{name} is in {begins_at - wall:.0f} s; compare clocks"
                )

    def _expires_at(self, claims: Claims) -> float | None:
        """When its bearer has to go: never before the token itself would be refused."""
        expires_at = _date(claims, "exp") if self.close_at_expiry else None
        return None if expires_at is None else expires_at + self.leeway_s

    def _check_issuer(self, claims: Claims) -> None:
        if self.issuers and claims.get("iss") not in self.issuers:
            raise TokenError(Cause.ISSUER, "iss is missing" if "iss" not in claims else "iss")

    def _check_audience(self, claims: Claims) -> None:
        """RFC 7519 section 4.1.3.

        "If the principal processing the claim does not identify itself with a value in the
        "aud" claim when this claim is present, then the JWT MUST be rejected."
        """
        if "aud" not in claims:
            if self.audiences:
                raise TokenError(Cause.AUDIENCE, "aud is missing")
            return
        audience = claims["aud"]
        meant = audience if isinstance(audience, list) else [audience]
        if not any(each in self.audiences for each in meant):
            known = "aud" if self.audiences else "it has aud, but no audience is configured"
            raise TokenError(Cause.AUDIENCE, known)

    def _subject(self, claims: Claims) -> str:
        """A text or whole number: many applications number their users."""
        subject = claims.get(self.subject_claim)
        if isinstance(subject, int) and not isinstance(subject, bool):
            subject = str(subject)
        if not isinstance(subject, str):
            raise TokenError(Cause.CLAIM, f"{self.subject_claim!r} is missing or no text")
        if problem := check_name(subject):
            raise TokenError(Cause.CLAIM, f"{self.subject_claim!r}: {problem}")
        return subject

    def _peer_ids(self, claims: Claims, subject: str) -> tuple[str, ...]:
        if not self.peer_ids_claim or self.peer_ids_claim not in claims:
            return tuple(each.replace(SUBJECT, escape(subject)) for each in self.peer_ids)
        listed = claims[self.peer_ids_claim]
        entries = listed if isinstance(listed, list) else [listed]
        if len(entries) > MAX_PEER_IDS or not all(map(_is_entry, entries)):
            wanted = f"at most {MAX_PEER_IDS} texts of 1 to {MAX_NAME_LENGTH} characters"
            raise TokenError(Cause.CLAIM, f"{self.peer_ids_claim!r} is not {wanted}")
        return tuple(map(_pattern, entries))


def _date(claims: Claims, name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2): seconds since 1970, perhaps with a fraction."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(Cause.CLAIM, f"{name} is no number")
    try:
        date = float(value)
    except OverflowError:
        date = math.inf
    if not math.isfinite(date):
        raise TokenError(Cause.CLAIM, f"{name} is out of range")
    return date


def _is_entry(entry: object) -> bool:
    return isinstance(entry, str) and 1 <= len(entry) <= MAX_NAME_LENGTH


def _pattern(entry: str) -> str:
    """An id as it is; with ``*`` at its end, all that begin with the rest."""
    if entry.endswith("*"):
        return f"{escape(entry[:-1])}*"
    return escape(entry)
