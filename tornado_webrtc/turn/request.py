"""A request on its way through the steps of the RFCs.

Steps are generators: where they have to know something from outside they yield
a `Question` and are sent its answer. What they want done they append to
`Request.actions`; what they refuse they refuse by raising `RejectionError`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tornado_webrtc.stun.address import FiveTuple
from tornado_webrtc.stun.attribute import ERROR_CODE, FINGERPRINT, Attribute, ErrorCode
from tornado_webrtc.stun.message import Message, MessageClass, encode
from tornado_webrtc.turn.action import Action, Question

__all__ = ["AttributeValue", "RejectionError", "Request", "Steps"]

Steps: TypeAlias = Generator[Question, Any, None]
AttributeValue: TypeAlias = tuple[Attribute[Any], Any]


class RejectionError(Exception):
    """A request is answered with an error response.

    Args:
        code: The error code (RFC 8489 section 14.8, RFC 8656 section 19).
        attributes: What the response carries beside it.
        cause: For the operator: why it had to be, in words that are always the
            same; empty if a client is refused so in the ordinary course of things.

    Attributes:
        rationed: Whether a client without a credential is answered only as often
            as its address may ask.
    """

    def __init__(
        self, code: int, attributes: Sequence[AttributeValue] = (), *, cause: str = ""
    ) -> None:
        super().__init__(code)
        self.code = code
        self.attributes = tuple(attributes)
        self.cause = cause
        self.rationed = True


@dataclass(slots=True, eq=False)
class Request:
    """One request and the time at which its current step runs.

    Attributes:
        message: The request.
        five_tuple: Where it came from.
        now: Monotonic seconds.
        wall: Unix seconds.
        key: The key it was authenticated with; the response is protected by it.
        username: The name that key belongs to; without a key, who it claims to be.
        user: The account behind it.
        credential_expires_at: Unix seconds after which nothing new is allocated.
        actions: What is to be done, in order.
    """

    message: Message
    five_tuple: FiveTuple
    now: float
    wall: float
    key: bytes | None = field(default=None, repr=False)
    username: str = ""
    user: str = ""
    credential_expires_at: float | None = None
    actions: list[Action] = field(default_factory=list, repr=False)

    def success(self, attributes: Sequence[AttributeValue] = ()) -> bytes:
        """Encode the success response."""
        return self._respond(MessageClass.SUCCESS, attributes)

    def error(self, rejection: RejectionError) -> bytes:
        """Encode the error response; its reason phrase is empty, the code says it all."""
        code = (ERROR_CODE, ErrorCode(rejection.code, ""))
        return self._respond(MessageClass.ERROR, (code, *rejection.attributes))

    def _respond(self, message_class: MessageClass, attributes: Sequence[AttributeValue]) -> bytes:
        return encode(
            self.message.method,
            message_class,
            self.message.transaction_id,
            attributes,
            key=self.key,
            fingerprint=self.message.has(FINGERPRINT),
        )
