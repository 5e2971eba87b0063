"""Keys from secrets, PEM and JSON: what each is for, and what is no key."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.auth_jwt.issuer import (
    KINDS,
    OTHER_SECRET,
    SECRET,
    encoded,
    jwk,
    private_key,
    private_pem,
    public_pem,
)
from tornado_webrtc.certificate import make_certificate
from tornado_webrtc.plugins.auth_jwt.algorithm import KNOWN
from tornado_webrtc.plugins.auth_jwt.key import (
    Key,
    UnusableKeyError,
    key_of_jwk,
    keys_of_pem,
    keys_of_secrets,
    looks_guessable,
)

OPENSSL = "openssl"

USES = {
    "RSA": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
    "P-256": {"ES256"},
    "P-384": {"ES384"},
    "P-521": {"ES512"},
    "Ed25519": {"EdDSA"},
    "Ed448": {"EdDSA"},
}


# --- secrets ------------------------------------------------------------------------------------


def test_secrets() -> None:
    first, second = keys_of_secrets([SECRET, OTHER_SECRET], ["HS256", "HS512"])
    assert first == Key(frozenset({"HS256", "HS512"}), SECRET.encode())
    assert second.material == OTHER_SECRET.encode()
    assert SECRET not in repr(first)


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_secret_is_as_long_as_the_hash(algorithm: str, size: int) -> None:
    fitting = SECRET[:size]
    assert keys_of_secrets([fitting], [algorithm])
    with pytest.raises(UnusableKeyError) as error:
        keys_of_secrets([SECRET, fitting[:-1]], [algorithm])
    assert str(error.value) == (
        f"secret 2 has {size - 1} bytes, but {algorithm} needs at least {size};"
        f" `openssl rand -base64 {size}` makes one"
    )


def test_longest_hash_decides() -> None:
    with pytest.raises(UnusableKeyError, match="secret 1 has 32 bytes, but HS512 needs"):
        keys_of_secrets([SECRET[:32]], ["HS256", "HS512", "HS384"])


def test_bytes_count_not_characters() -> None:
    assert keys_of_secrets(["ž" * 16], ["HS256"])


def test_what_openssl_makes_is_long_enough() -> None:
    for size in (32, 48, 64):
        made = subprocess.run(
            [OPENSSL, "rand", "-base64", str(size)], check=True, capture_output=True, text=True
        )
        assert len("".join(made.stdout.split())) >= size


@pytest.mark.parametrize(
    "secret",
    [
        public_pem("RSA"),
        public_pem("RSA").replace("\n", " "),
        private_pem("P-256"),
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHA",
        '  {"use":"sig", "kty": "RSA", "n": "AQAB", "e": "AQAB"}',
    ],
    ids=range(6),  # the keys are made anew in each process, and the names have to be the same
)
def test_public_key_is_no_secret(secret: str) -> None:
    with pytest.raises(UnusableKeyError, match=r"^secret 1 looks like a key in PEM, SSH or JWK"):
        keys_of_secrets([secret], ["HS256"])


def test_many_faults_are_counted() -> None:
    """A file of words taken for secrets: a fault each, and no message of megabytes."""
    with pytest.raises(UnusableKeyError) as error:
        keys_of_secrets(["short"] * 1000, ["HS256"])
    assert len(error.value.faults) == 21
    assert error.value.faults[19].startswith("secret 20 has 5 bytes, but HS256 needs")
    assert error.value.faults[20] == "980 more faults"
    with pytest.raises(UnusableKeyError) as error:
        keys_of_pem(b"-----BEGIN X-----\n-----END X-----\n" * 1000, ["RS256"])
    assert error.value.faults[19:] == ("key 20: the X cannot be read", "980 more faults")


def test_faults_do_not_show_secrets() -> None:
    with pytest.raises(UnusableKeyError) as error:
        keys_of_secrets(["short-secret", SECRET[:40]], ["HS512"])
    assert "short-secret" not in str(error.value)
    assert SECRET[:8] not in str(error.value)


@pytest.mark.parametrize(
    ("secret", "guessable"),
    [
        ("a" * 64, True),
        ("secret" * 6, True),
        ("0123" * 10, True),
        ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", False),
        (SECRET, False),
        ("", True),
    ],
)
def test_guessable_secrets(secret: str, guessable: bool) -> None:
    assert looks_guessable(secret) == guessable


# --- PEM ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", USES)
def test_pem(kind: str) -> None:
    (key,) = keys_of_pem(public_pem(kind).encode(), KNOWN)
    assert key.algorithms == USES[kind]
    assert key.kid is None
    assert key.material == private_key(kind).public_key()
    assert "PublicKey" not in repr(key)


def test_several_blocks_with_words_between() -> None:
    text = f"the old one\r\n{public_pem('RSA')}\n# the new one\n{public_pem('P-256')}the end"
    first, second = keys_of_pem(text.encode(), ["RS256", "ES256"])
    assert first.algorithms == USES["RSA"]
    assert second.algorithms == USES["P-256"]


def test_windows_lines() -> None:
    assert keys_of_pem(public_pem("Ed25519").replace("\n", "\r\n").encode(), KNOWN)


def test_rsa_public_key_block() -> None:
    """The older form (PKCS #1), as `openssl rsa -RSAPublicKey_out` writes it."""
    made = subprocess.run(
        [OPENSSL, "rsa", "-RSAPublicKey_out"],
        input=private_pem("RSA").encode(),
        check=True,
        capture_output=True,
    )
    assert made.stdout.startswith(b"-----BEGIN RSA PUBLIC KEY-----")
    (key,) = keys_of_pem(made.stdout, KNOWN)
    assert key.material == private_key("RSA").public_key()


BAD_PEM = [
    (b"", "it holds no PEM block"),
    (b"ssh-rsa AAAA", "it holds no PEM block"),
    (public_pem("RSA").encode()[:-5], "it holds no PEM block"),
    (private_pem("RSA").encode(), "key 1: it is private"),
    (make_certificate(["localhost"])[0], "key 1: it is a certificate"),
    (public_pem("RSA-1024").encode(), "key 1: it is an RSA key of 1024 bits; allowed are 2048 to"),
    (public_pem("K-256").encode(), "key 1: there is no algorithm for a key of its kind"),
    (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "key 1: the PUBLIC KEY cannot"),
    (b"-----BEGIN PGP X-----\nAAAA\n-----END PGP X-----", "key 1: the PGP X cannot be read"),
    (
        f"{public_pem('RSA')}{public_pem('P-384')}{private_pem('RSA')}".encode(),
        "key 2: it is for ES384, and algorithms has none of them; key 3: it is private",
    ),
]


@pytest.mark.parametrize(("content", "reason"), BAD_PEM, ids=range(len(BAD_PEM)))
def test_bad_pem(content: bytes, reason: str) -> None:
    with pytest.raises(UnusableKeyError) as error:
        keys_of_pem(content, ["RS256", "ES256"])
    assert str(error.value).startswith(reason)


def test_advice_works(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(private_pem("RSA"))
    (tmp_path / "cert.pem").write_bytes(make_certificate(["localhost"])[0])
    for command in (
        [OPENSSL, "pkey", "-pubout", "-in", "key.pem"],
        [OPENSSL, "x509", "-pubkey", "-noout", "-in", "cert.pem"],
    ):
        made = subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        assert keys_of_pem(made.stdout, KNOWN)


# --- JSON Web Keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", USES)
def test_jwk(kind: str) -> None:
    key = key_of_jwk(jwk(kind, "one", use="sig", key_ops=["verify"], x5t="whatever"))
    assert key.algorithms == USES[kind]
    assert key.kid == "one"
    assert key.material == private_key(kind).public_key()


def test_jwk_of_the_rfc() -> None:
    """The public key of RFC 7515 appendix A.3."""
    key = key_of_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }
    )
    assert key.algorithms == {"ES256"}
    assert key.kid is None


@pytest.mark.parametrize("algorithm", KINDS)
def test_jwk_that_says_its_algorithm(algorithm: str) -> None:
    assert key_of_jwk(jwk(KINDS[algorithm], alg=algorithm)).algorithms == {algorithm}


BAD_JWKS: list[tuple[Any, str]] = [
    (None, "it is no object"),
    ([], "it is no object"),
    ({}, "its kty or crv is not known"),
    (jwk("RSA", use="enc"), "its use is not sig"),
    (jwk("RSA", use=1), "its use is not sig"),
    (jwk("RSA", key_ops=["encrypt"]), "its key_ops do not hold verify"),
    (jwk("RSA", key_ops="verify"), "its key_ops do not hold verify"),
    (jwk("RSA", alg="HS256"), "its alg does not go with its kind"),
    (jwk("RSA", alg="ES256"), "its alg does not go with its kind"),
    (jwk("P-256", alg="ES384"), "its alg does not go with its kind"),
    (jwk("RSA", alg="none"), "its alg does not go with its kind"),
    (jwk("RSA", alg=5), "its kid or alg is no text"),
    (jwk("RSA") | {"kid": 5}, "its kid or alg is no text"),
    (jwk("RSA", d="AQAB"), "it is secret and should never have been published"),
    ({"kty": "oct", "k": encoded(SECRET.encode())}, "it is secret and should never have been"),
    ({"kty": "oct"}, "its kty or crv is not known"),
    ({"kty": ["RSA"]}, "its kty or crv is not known"),
    (jwk("P-256", crv="P-192"), "its kty or crv is not known"),
    (jwk("P-256", crv=["P-256"]), "its kty or crv is not known"),
    (jwk("K-256"), "its kty or crv is not known"),
    (jwk("Ed25519", crv="X25519"), "its kty or crv is not known"),
    (jwk("RSA-1024"), "it is an RSA key of 1024 bits"),
    (jwk("RSA", n=encoded(b"\xff" * 1025)), "it is an RSA key of more than 8192 bits"),
    (jwk("RSA", n=None), "its n is missing or no base64url"),
    (jwk("RSA", e=""), "its e is missing or no base64url"),
    (jwk("RSA", e="AQ AB"), "its e is missing or no base64url"),
    (jwk("RSA", e="AQAB="), "its e is missing or no base64url"),
    (jwk("RSA", e="ž"), "its e is missing or no base64url"),
    (jwk("RSA", e="A"), "its e is no base64url"),
    (jwk("RSA", e="Ag"), "its numbers are wrong"),
    (jwk("P-256", x=encoded(bytes(32))), "its numbers are wrong"),
    (jwk("P-256", x=encoded(b"\xff" * 64)), "its numbers are wrong"),
    (jwk("Ed25519", x="AQAB"), "its numbers are wrong"),
    (jwk("Ed448", x="AQAB"), "its numbers are wrong"),
]


@pytest.mark.parametrize(("value", "reason"), BAD_JWKS, ids=range(len(BAD_JWKS)))
def test_bad_jwk(value: object, reason: str) -> None:
    with pytest.raises(UnusableKeyError) as error:
        key_of_jwk(value)
    assert str(error.value).startswith(reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=5,
)
MEMBERS = ("kty", "crv", "kid", "alg", "use", "key_ops", "n", "e", "x", "y", "d", "k")
WORDS = st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "Ed448", "sig", "RS256", "AQAB"])


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON | WORDS) | JSON)
def test_whatever_comes_is_a_key_or_unusable(value: object) -> None:
    try:
        key = key_of_jwk(value)
    except UnusableKeyError:
        return
    assert key.algorithms
