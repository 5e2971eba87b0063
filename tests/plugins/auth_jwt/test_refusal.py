"""What clients are told: short, and nothing of the token."""

import re

import pytest

from tornado_webrtc.plugins.auth_jwt.refusal import Cause, TokenError

MAX_CLOSE_REASON_BYTES = 123  # RFC 6455 section 5.5


@pytest.mark.parametrize("cause", Cause)
def test_sentences_fit_into_a_close_frame(cause: Cause) -> None:
    assert re.fullmatch(r"[A-Z][a-z ]+\.", cause.value)
    assert len(cause.value) <= MAX_CLOSE_REASON_BYTES
    assert re.fullmatch(r"refused\.[a-z-]+", cause.counter)


def test_counters_differ() -> None:
    assert len({cause.counter for cause in Cause}) == len(Cause)


def test_error_says_what_the_client_is_told() -> None:
    error = TokenError(Cause.EXPIRED, "5 s ago")
    assert str(error) == "The token has expired."
    assert (error.cause, error.detail) == (Cause.EXPIRED, "5 s ago")
