"""Nonces: valid for one client, one realm and some minutes; nothing else is a nonce."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tornado_webrtc.turn.nonce import CLOCK_SKEW_S, NonceSource, SecurityFeature

KEY = bytes(range(32))
REALM = "example.org"
IP = "192.0.2.1"
WALL = 1_700_000_000.75
SOURCE = NonceSource(KEY, REALM)
COOKIES = NonceSource(KEY, REALM, features=SecurityFeature.PASSWORD_ALGORITHMS)

ips = st.ip_addresses().map(str)
walls = st.floats(0, 1e11)
alphabet = st.sampled_from("0123456789abcdefABCXYZ-_+x \n\x00é\u0661\ud800")


def test_what_it_is_made_of() -> None:
    text = f"006553f100\n{IP}\n{REALM}".encode()
    digest = hmac.new(KEY, text, hashlib.sha256).digest()
    assert SOURCE.make(IP, WALL) == "006553f100" + base64.urlsafe_b64encode(digest[:12]).decode()


def test_it_is_short_and_of_characters_that_need_no_quoting() -> None:
    """NONCE is "fewer than 128 characters" of "qdtext or quoted-pair" (RFC 8489 section 14.10)."""
    for source, length in ((SOURCE, 26), (COOKIES, 39)):
        nonce = source.make(IP, WALL)
        assert len(nonce) == length
        assert nonce.isascii()
        assert nonce.replace("-", "").replace("_", "").isalnum()


@given(ips, walls)
def test_valid_for_who_got_it_and_in_all_servers_of_a_fleet(ip: str, wall: float) -> None:
    assert SOURCE.check(SOURCE.make(ip, wall), ip, wall)
    assert NonceSource(KEY, REALM).check(SOURCE.make(ip, wall), ip, wall)


@given(ips, ips, walls)
def test_never_valid_for_another_address(ip: str, other: str, wall: float) -> None:
    assume(ip != other)
    assert not SOURCE.check(SOURCE.make(ip, wall), other, wall)


@pytest.mark.parametrize(
    "source",
    [
        NonceSource(KEY, "example.com"),
        NonceSource(KEY, f"{REALM}\n"),
        NonceSource(KEY[::-1], REALM),
        COOKIES,
    ],
    ids=["realm", "realm that begins alike", "key", "features"],
)
def test_not_valid_elsewhere(source: NonceSource) -> None:
    assert not source.check(SOURCE.make(IP, WALL), IP, WALL)
    assert not SOURCE.check(source.make(IP, WALL), IP, WALL)


def test_address_and_realm_cannot_be_confused() -> None:
    one = NonceSource(KEY, "b\nc").make("a", WALL)
    assert one[10:] != NonceSource(KEY, "c").make("ab", WALL)[10:]


@pytest.mark.parametrize(
    ("age_s", "valid"),
    [
        (0.0, True),
        (599.0, True),
        (599.999, True),
        (600.0, False),
        (1e9, False),
        (-CLOCK_SKEW_S, True),
        (-CLOCK_SKEW_S - 0.001, False),
        (-3600.0, False),
    ],
)
def test_both_ends_of_its_life(age_s: float, valid: bool) -> None:
    made_at = float(int(WALL))
    assert SOURCE.check(SOURCE.make(IP, made_at), IP, made_at + age_s) is valid


@given(walls, st.floats(-2000, 2000), st.floats(1, 1000))
def test_valid_exactly_while_it_lives(wall: float, age_s: float, lifetime_s: float) -> None:
    source = NonceSource(KEY, REALM, lifetime_s)
    later = wall + age_s
    lives = int(wall) - CLOCK_SKEW_S <= later < int(wall) + lifetime_s
    assert source.check(source.make(IP, wall), IP, later) is lives


def test_clock_that_was_set_back_makes_no_nonce_live_longer() -> None:
    """One from the future would be valid for all that time, and its lifetime on top."""
    nonce = SOURCE.make(IP, WALL)
    assert not SOURCE.check(nonce, IP, WALL - 86_400)
    assert SOURCE.check(SOURCE.make(IP, WALL - 86_400), IP, WALL - 86_400)


@given(st.data())
def test_truncated_or_extended_is_forged(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from([SOURCE, COOKIES]))
    nonce = source.make(IP, WALL)
    assert not source.check(nonce[: data.draw(st.integers(0, len(nonce) - 1))], IP, WALL)
    assert not source.check(nonce[data.draw(st.integers(1, len(nonce))) :], IP, WALL)
    assert not source.check(nonce + data.draw(st.text(alphabet, min_size=1)), IP, WALL)
    assert not source.check(data.draw(st.text(alphabet, min_size=1)) + nonce, IP, WALL)


@given(st.data())
def test_one_changed_character_is_forged(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from([SOURCE, COOKIES]))
    nonce = source.make(IP, WALL)
    place = data.draw(st.integers(0, len(nonce) - 1))
    changed = data.draw(st.one_of(alphabet, st.characters()))
    assume(changed != nonce[place])
    assert not source.check(nonce[:place] + changed + nonce[place + 1 :], IP, WALL)


@given(st.text(max_size=60) | st.text(alphabet, max_size=60))
def test_any_other_text_is_forged_and_raises_nothing(text: str) -> None:
    assert not SOURCE.check(text, IP, WALL)
    assert not COOKIES.check(text, IP, WALL)


@pytest.mark.parametrize("spelling", ["006553F100", "0x6553f100", "+06553f100", "00_6553f10"])
def test_its_time_has_one_spelling(spelling: str) -> None:
    assert not SOURCE.check(spelling + SOURCE.make(IP, WALL)[10:], IP, WALL)


@pytest.mark.parametrize(
    ("features", "cookie"),
    [
        (SecurityFeature(0), "obMatJos2AAAA"),
        (SecurityFeature.PASSWORD_ALGORITHMS, "obMatJos2gAAA"),
        (SecurityFeature.USERNAME_ANONYMITY, "obMatJos2QAAA"),
        (
            SecurityFeature.PASSWORD_ALGORITHMS | SecurityFeature.USERNAME_ANONYMITY,
            "obMatJos2wAAA",
        ),
    ],
)
def test_nonce_cookie(features: SecurityFeature, cookie: str) -> None:
    source = NonceSource(KEY, REALM, features=features)
    nonce = source.make(IP, WALL)
    assert nonce.startswith(cookie)
    assert source.check(nonce, IP, WALL)


def test_features_cannot_be_bid_down() -> None:
    nonce = COOKIES.make(IP, WALL)
    assert not COOKIES.check(nonce.replace("gAAA", "AAAA"), IP, WALL)
    assert not COOKIES.check(nonce.removeprefix("obMatJos2gAAA"), IP, WALL)


def test_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="a key of 15 bytes; it needs at least 16"):
        NonceSource(bytes(15), REALM)
