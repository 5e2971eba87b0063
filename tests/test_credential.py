"""TURN credentials: the same as any other implementation makes, and nothing forged gets in."""

import base64
import hashlib
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tornado_webrtc.credential import (
    MAX_NAME_LENGTH,
    Credential,
    check_name,
    mint,
    password_for,
    verify,
)

SECRET = "north-sea-herring"
WALL = 1_700_000_000.9
USERNAME = "1700086400:ann"
PASSWORD = "7qTa8hgQcI9GrnfYhwJgqKv/XOg="  # openssl dgst -sha1 -hmac SECRET -binary | base64

names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40)
any_text = st.text(st.characters(codec=None), max_size=60)


def hmac_sha1(key: bytes, text: bytes) -> bytes:
    """HMAC by the book (RFC 2104 section 2)."""
    block = (sha1(key) if len(key) > 64 else key).ljust(64, b"\0")
    return sha1(bytes(byte ^ 0x5C for byte in block) + sha1(bytes(x ^ 0x36 for x in block) + text))


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


# --- the password ---------------------------------------------------------------


def test_known_passwords() -> None:
    assert password_for(SECRET, USERNAME) == PASSWORD
    # RFC 2202 section 3, test case 2: 0xeffcdf6ae5eb2fa2d27416d5f184df9c259a7c79
    assert password_for("Jefe", "what do ya want for nothing?") == "7/zfauXrL6LSdBbV8YTfnCWafHk="
    # Beyond ASCII: both are hashed as UTF-8.
    assert password_for("grüße", "1700086400:Jürgen 🎉:2") == "ypnd6esBTe092LPcO3HwXH1mZPw="


def test_password_as_openssl_makes_it() -> None:
    openssl = shutil.which("openssl")
    assert openssl, "this test needs the command openssl"
    command = [openssl, "dgst", "-sha1", "-hmac", SECRET, "-binary"]
    made = subprocess.run(command, input=USERNAME.encode(), capture_output=True, check=True)
    assert password_for(SECRET, USERNAME) == base64.b64encode(made.stdout).decode()


@given(secret=st.text(min_size=1, max_size=100), username=st.text(max_size=100))
def test_password_is_hmac_sha1_in_padded_base64(secret: str, username: str) -> None:
    password = password_for(secret, username)
    assert base64.b64decode(password, validate=True) == hmac_sha1(
        secret.encode(), username.encode()
    )
    assert len(password) == 28
    assert password.endswith("=")


# --- minting ----------------------------------------------------------------------


def test_minted_credential_says_until_when_and_for_whom() -> None:
    assert mint(SECRET, "ann", 86400, WALL) == Credential(USERNAME, PASSWORD, 86400)


def test_repr_shows_no_password() -> None:
    assert PASSWORD not in repr(mint(SECRET, "ann", 86400, WALL))


# --- verifying --------------------------------------------------------------------


def test_credential_is_valid_until_it_expires() -> None:
    for wall in (0.0, WALL, 1_700_086_399.999):
        assert verify([SECRET], USERNAME, PASSWORD, wall) == "ann"
    for wall in (1_700_086_400.0, 1_700_086_400.1, 9e9):
        assert verify([SECRET], USERNAME, PASSWORD, wall) is None


@given(name=names, ttl_s=st.integers(1, 10**7), wall=st.floats(0, 1e11))
@example(name="a:b:c", ttl_s=1, wall=0.0)
def test_what_is_minted_verifies(name: str, ttl_s: int, wall: float) -> None:
    made = mint(SECRET, name, ttl_s, wall)
    assert verify([SECRET], made.username, made.password, wall) == name
    assert verify([SECRET], made.username, made.password, wall + ttl_s + 1) is None


def test_every_secret_is_tried_old_ones_included() -> None:
    secrets = ["new", "old", "older"]
    for secret in secrets:
        made = mint(secret, "ann", 60, WALL)
        assert verify(secrets, made.username, made.password, WALL) == "ann"
        assert verify([each for each in secrets if each != secret], *pair(made), WALL) is None
    assert verify([], USERNAME, PASSWORD, WALL) is None


def pair(credential: Credential) -> tuple[str, str]:
    return credential.username, credential.password


@pytest.mark.parametrize(
    "username",
    [
        "",
        ":",
        ":ann",
        "ann",
        "1700086400",
        "1700086400ann",
        " 1700086400:ann",
        "1700086400 :ann",
        "+1700086400:ann",
        "-1700086400:ann",
        "1_700_086_400:ann",
        "1700086400.5:ann",
        "1e99:ann",
        "nan:ann",
        "0x6555d380:ann",
        "１７０００８６４００:ann",  # noqa: RUF001 - full-width digits are digits to Python
        "²:ann",
        "9" * 13 + ":ann",
        "9" * 5000 + ":ann",
    ],
)
def test_malformed_user_name_is_refused_even_with_its_password(username: str) -> None:
    assert verify([SECRET], username, password_for(SECRET, username), 0.0) is None


@pytest.mark.parametrize(
    "password",
    [
        "",
        PASSWORD[:-1],
        PASSWORD + "=",
        PASSWORD + "\n",
        " " + PASSWORD,
        PASSWORD.lower(),
        PASSWORD.replace("/", "_"),
        "é",
        "\ud800",
    ],
)
def test_password_has_to_be_exact(password: str) -> None:
    assert verify([SECRET], USERNAME, password, WALL) is None


@given(username=any_text, password=any_text)
@example(username="1700086400:\ud800", password=PASSWORD)
@example(username=USERNAME, password="\udcff")
def test_hostile_input_is_refused_and_nothing_else_happens(username: str, password: str) -> None:
    assert verify([SECRET, "other"], username, password, 0.0) is None


@given(name=names, other=names)
def test_password_of_one_name_does_not_fit_another(name: str, other: str) -> None:
    made = mint(SECRET, name, 60, WALL)
    stolen = made.username.partition(":")[0] + ":" + other
    found = verify([SECRET], stolen, made.password, WALL)
    assert found == (name if name == other else None)


def test_expiry_cannot_be_put_off() -> None:
    made = mint(SECRET, "ann", 60, WALL)
    later = f"{int(WALL) + 61}:ann"
    assert verify([SECRET], later, made.password, WALL) is None


# --- names ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a", "123456", "ann", "a:b", "Ann B.", "Jürgen", "日本語", "🎉", "a" * MAX_NAME_LENGTH]
)
def test_good_name(name: str) -> None:
    assert check_name(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("a" * (MAX_NAME_LENGTH + 1), f"longer than {MAX_NAME_LENGTH} characters"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\r", "control"),
        ("\x7f", "control"),
        ("\x85", "control"),
        ("a\u0085b", "control"),
        ("a\u001bb", "control"),
        ("\ud800", "control"),
        ("🎉" * 124, "longer than 495 bytes"),
    ],
)
def test_bad_name(name: str, problem: str) -> None:
    assert problem in (check_name(name) or "")


@given(name=any_text)
@example(name="🎉" * MAX_NAME_LENGTH)
def test_name_that_is_good_makes_a_user_name_that_stun_can_carry(name: str) -> None:
    """RFC 8489 section 14.3: USERNAME is "a UTF-8-encoded sequence of fewer than 509 bytes"."""
    if check_name(name) is None:
        username = mint(SECRET, name, 86400, 999_999_900_000.0).username
        assert len(username.encode()) < 509
