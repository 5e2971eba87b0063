"""No text, whoever wrote it, keeps the redaction busy for longer than its length warrants."""

import time
from collections.abc import Iterator

import pytest

from tornado_webrtc.redaction import anonymize, is_secret, redact

# Every rule's own words, and what a pattern could run along or come back to.
WORDS = (
    *("token", "x-token", "password:", "secret=", "api_key: ", "nonce", "ufrag", "pwd=", "sdp"),
    *("credential", "usernamefragment", "candidate", "candidate:x 1", "candidate%3A", "cookie:"),
    *("authorization", "Bearer ", "://", "eyJ", "eyJabcde", "v=0", "v=0\na=", "v=0\\na=", "\\na="),
    *("\na=", "v%3D0%0D", "%0Aa%3D", "ice-pwd:", "IN IP4 ", "-----BEGIN ", "obMatJos2", "00"),
    *("-----BEGIN PRIVATE KEY-----", "-----END ", "token=['", "token: [\\'", 'token="', "eyJ-"),
    *("whsec_", "whsec_a"),
)
RUNS = (
    *("\\", "-", "=", "%", "%20", ".", ":", ",", "'", '"', "\\'", '\\"', " ", "\r", "\n"),
    *("\\r", "\\n", "0", "a", "[", "@", "a-", "+"),
)
SHORT, LONG, LONGEST = 1_500, 12_000, 100_000


def seconds(text: str) -> float:
    """CPU time of this thread; the shorter of two if it is long, as others disturb."""
    times = []
    for _ in range(2):
        began = time.thread_time()
        anonymize(redact(text))
        is_secret(text)
        times.append(time.thread_time() - began)
        if times[0] < 0.04:
            break
    return min(times)


def hostile_texts(word: str, run: str, length: int) -> Iterator[str]:
    yield word + run * (length // len(run))
    yield (word + run) * (length // len(word + run))
    yield (word + run * 50) * (length // len(word + run * 50))
    half = length // 2 // len(run)
    yield word + run * half + "'" + run * half


def assert_linear(short: str, long: str) -> None:
    """Eight times the text: a linear rule needs eight times as long, a quadratic one 64 times."""
    long_s = seconds(long)
    if long_s > 0.04:
        allowed_s = 24 * seconds(short) + 0.04
        assert long_s < allowed_s, f"{long_s:.2f} s for {len(long)} characters: {long[:40]!r}…"


@pytest.mark.parametrize("word", WORDS)
def test_time_grows_with_the_length_and_no_faster(word: str) -> None:
    for run in RUNS:
        pairs = zip(hostile_texts(word, run, SHORT), hostile_texts(word, run, LONG), strict=True)
        for short, long in pairs:
            assert_linear(short, long)


@pytest.mark.parametrize("piece", [*WORDS, *RUNS])
def test_longest_text_is_soon_done(piece: str) -> None:
    for start in ("", "v=0\\na=", "eyJ-token"):
        assert_linear(*(start + piece * (size // len(piece)) for size in (SHORT, LONG)))
        assert seconds(start + piece * (LONGEST // len(piece))) < 2.0
