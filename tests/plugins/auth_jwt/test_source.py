"""Sources of keys: each gives what the settings name, and says what is wrong with it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.auth_jwt.issuer import (
    OTHER_SECRET,
    SECRET,
    Publisher,
    jwk,
    key_set,
    public_pem,
    settings,
)
from tornado_webrtc.hooks import Doubt
from tornado_webrtc.plugins.auth_jwt.key import NoKeysError
from tornado_webrtc.plugins.auth_jwt.settings import GUESSABLE
from tornado_webrtc.plugins.auth_jwt.source import KeySource, make_source

ExpectLog = Callable[[str], None]

LOG = logging.getLogger("tornado_webrtc.plugins.auth_jwt")


def source(*algorithms: str, **changes: Any) -> KeySource:
    return make_source(settings(*algorithms, **changes), LOG)


async def materials(source: KeySource) -> list[object]:
    return [key.material for key in await source.keys(None)]


async def test_secrets_of_settings_come_before_those_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{OTHER_SECRET}\n\n  {SECRET[:65]}  \n")
    file.chmod(0o600)
    both = source("HS256", secrets=(SECRET,), secret_file=file)
    expected = [SECRET.encode(), OTHER_SECRET.encode(), SECRET[:65].encode()]
    assert await materials(both) == expected
    assert await materials(source("HS256", secret_file=file)) == expected[1:]
    assert await both.examine() == []
    file.write_text(OTHER_SECRET[:40])
    assert await materials(both) == [SECRET.encode(), OTHER_SECRET[:40].encode()]


async def test_secrets_of_settings_alone() -> None:
    alone = source("HS256", secrets=(SECRET,))
    alone.open()
    assert await materials(alone) == [SECRET.encode()]
    assert await alone.examine() == []
    await alone.close()
    assert alone.counters == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty; it has to hold a secret a line"),
        (b"\n \n", "it is empty; it has to hold a secret a line"),
        (b"\xff" * 40, "it is not UTF-8 (byte 0)"),
        (SECRET.encode() + b"\nshort", "secret 2 has 5 bytes, but HS256 needs at least 32"),
        (public_pem("RSA").encode(), "secret 1 looks like a key in PEM"),
    ],
    ids=range(5),  # the key is made anew in each process, and the names have to be the same
)
async def test_bad_secret_file(
    tmp_path: Path, content: bytes, reason: str, expect_log: ExpectLog
) -> None:
    expect_log("cannot be used: .*; no token is accepted$")
    (tmp_path / "secrets").write_bytes(content)
    bad = source("HS256", secret_file=tmp_path / "secrets")
    bad.open()
    (key, sentence), *_others = await bad.examine()
    assert (key, isinstance(sentence, Doubt)) == ("secret_file", False)
    assert reason in sentence
    with pytest.raises(NoKeysError, match="cannot be used"):
        await bad.keys(None)


async def test_each_bad_secret_of_a_file_stands_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("short\n" * 1000)
    found = await make_source(settings("HS256", secret_file=file), None).examine()
    assert len(found) == 21
    assert all(key == "secret_file" for key, _ in found)
    assert all(sentence.startswith(f"{file} cannot be used: ") for _, sentence in found)
    assert found[19][1].partition("used: ")[2].startswith("secret 20 has 5 bytes, but HS256")
    assert found[20][1].endswith("used: 980 more faults")


async def test_open_secret_file_is_doubtful(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text(SECRET)
    (tmp_path / "secrets").chmod(0o644)
    ((key, sentence),) = await source("HS256", secret_file=tmp_path / "secrets").examine()
    assert (key, isinstance(sentence, Doubt)) == ("secret_file", True)
    assert "chmod 640 " in sentence


async def test_guessable_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("secret" * 6)
    (tmp_path / "secrets").chmod(0o600)
    found = await source("HS256", secret_file=tmp_path / "secrets").examine()
    assert found == [("secret_file", GUESSABLE)]


async def test_pem_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_text(public_pem("RSA"))
    pem = source("RS256", key_file=file)
    assert [key.algorithms for key in await pem.keys("any")] == [
        {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    ]
    file.write_text(public_pem("P-256"))
    quiet = make_source(settings("RS256", key_file=file), None)
    ((key, sentence),) = await quiet.examine()
    assert key == "key_file"
    assert sentence.endswith("key 1: it is for ES256, and algorithms has none of them")
    await pem.close()
    assert pem.counters == {}


async def test_key_set_in_a_file(tmp_path: Path, expect_log: ExpectLog) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(jwk("RSA", "a"), jwk("RSA", "b", use="enc")))
    keys = source("RS256", jwks_file=file)
    assert [key.kid for key in await keys.keys("c")] == ["a"]
    file.write_bytes(key_set(jwk("RSA", "c")))
    assert [key.kid for key in await keys.keys("c")] == ["c"]
    expect_log("cannot be used: it is no JSON; the earlier keys hold$")
    file.write_bytes(b"{")
    assert [key.kid for key in await keys.keys("c")] == ["c"]
    ((key, sentence),) = await keys.examine()
    assert (key, isinstance(sentence, Doubt)) == ("jwks", False)


async def test_key_set_without_keys_in_a_file_is_a_fault(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    """Nobody but the operator writes it: he has made a mistake."""
    expect_log("cannot be used: no key of the set can be used; the earlier keys hold$")
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(jwk("RSA", "a")))
    keys = source("RS256", jwks_file=file)
    keys.open()
    file.write_bytes(key_set())
    assert [key.kid for key in await keys.keys("a")] == ["a"]
    ((key, sentence),) = await keys.examine()
    assert (key, isinstance(sentence, Doubt)) == ("jwks", False)


async def test_key_set_without_keys_at_a_url_is_doubtful() -> None:
    async with Publisher() as publisher:
        publisher.publish()
        keys = make_source(settings("RS256", jwks_url=publisher.url), None)
        ((key, sentence),) = await keys.examine()
        assert (key, isinstance(sentence, Doubt)) == ("jwks", True)
        assert sentence.endswith("cannot be used: no key of the set can be used")
        with pytest.raises(NoKeysError, match="no key of the set can be used"):
            await keys.keys(None)


async def test_authorities_that_are_not_there(tmp_path: Path) -> None:
    changes = {"jwks_url": "https://localhost:1/", "jwks_ca_file": tmp_path / "missing"}
    ((key, sentence),) = await make_source(settings("RS256", **changes), None).examine()
    assert (key, isinstance(sentence, Doubt)) == ("jwks_ca_file", False)
    assert sentence.endswith("missing cannot be used: No such file or directory")


async def test_key_set_at_a_url() -> None:
    async with Publisher() as publisher:
        publisher.publish(jwk("RSA", "a"), jwk("RSA", "b", use="enc"))
        keys = make_source(settings("RS256", jwks_url=publisher.url), None)
        assert await keys.examine() == [("jwks", "key 2 (kid 'b'): its use is not sig")]
        assert [key.kid for key in await keys.keys("a")] == ["a"]
        publisher.status = 500
        ((key, sentence),) = await keys.examine()
        assert (key, isinstance(sentence, Doubt)) == ("jwks", True)
        assert sentence.endswith("the answer is HTTP 500, not 200")
        assert keys.counters == {"jwks.fetches": 2, "jwks.failures": 1}
        keys.open()
        await keys.close()
