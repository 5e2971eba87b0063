"""What an operator may decide about the TURN server's protocol."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TurnSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """Limits and life times; the defaults are those of RFC 8656.

    Attributes:
        realm: Named in every challenge.
        default_lifetime_s: Of an allocation whose client asks for less or nothing (section 3.2).
        max_lifetime_s: Of an allocation, whatever its client asks for.
        permission_lifetime_s: Fixed by section 9.
        channel_lifetime_s: Fixed by section 12.
        reservation_lifetime_s: How long the port after an EVEN-PORT one is kept (section 7.2).
        channel_numbers: Those that may be bound. RFC 8656 ends at 0x4FFF; clients
            of RFC 5766 use more.
        max_permissions: Per allocation, and as many channels; 0 for no limit.
        question_timeout_s: A request whose question is open for longer is answered with 500.
        max_lookups: Unauthenticated requests of all clients that may wait for the
            answer to `FindCredential` at a time; more are answered with 500.
        max_lookups_per_client: The same of one IPv4 address or IPv6 /64.
        families: Address families that are relayed: 1 for IPv4, 2 for IPv6.
    """

    realm: str
    default_lifetime_s: int = 600
    max_lifetime_s: int = 3600
    permission_lifetime_s: int = 300
    channel_lifetime_s: int = 600
    reservation_lifetime_s: int = 30
    channel_numbers: range = range(0x4000, 0x7FFF)
    max_permissions: int = 256
    question_timeout_s: float = 10
    max_lookups: int = 1024
    max_lookups_per_client: int = 16
    families: tuple[int, ...] = (1,)
