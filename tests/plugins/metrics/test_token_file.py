"""Token files: what they may hold, who gets in, and that nothing of it is told."""

import os
from pathlib import Path

import pytest

from tornado_webrtc.plugins.metrics.token_file import (
    MAX_FILE_BYTES,
    MIN_LENGTH,
    TokenFile,
    TokenFileError,
)

ONE, OTHER = "a" * MIN_LENGTH, "0123456789abcdefABCDEF._~+/-=="


def written(tmp_path: Path, content: bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "content", [f"{ONE}\n{OTHER}", f"\n  {ONE} \r\n\n{OTHER}\n", f"{OTHER}\n{ONE}\n\n"]
)
def test_every_token_lets_in(tmp_path: Path, content: str) -> None:
    tokens = TokenFile(written(tmp_path, content.encode()))
    assert tokens.doubt == ""
    for token in (ONE, OTHER):
        assert tokens.accepts(f"Bearer {token}")
        assert tokens.accepts(f"bearer  {token} ")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        ONE,
        f"Basic {ONE}",
        f"Bearer {ONE}a",
        f"Bearer {ONE[1:]}",
        "Bearer ä",
        f"Bearer {ONE} {ONE}",
        f"Bearer {ONE}\n{OTHER}",
        "Bearer \udcff",
    ],
)
def test_nothing_else_does(tmp_path: Path, authorization: str) -> None:
    assert not TokenFile(written(tmp_path, f"{ONE}\n{OTHER}\n".encode())).accepts(authorization)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; it has to hold a token"),
        (b" \n\n", "is empty"),
        (b"a" * (MIN_LENGTH - 1), "line 1: allowed is a token of 16 or more"),
        (ONE.encode() + b"\n\nsecret with spaces", "line 3: allowed is a token"),
        ("sëcret-with-accents".encode(), "line 1: allowed is a token"),
        (b"a" * (MAX_FILE_BYTES + 1), f"cannot be read: it has more than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes, reason: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(TokenFileError) as caught:
        TokenFile(path)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "ecret" not in str(caught.value).removeprefix(str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "missing", "No such file"),
        (tmp_path / "pipe", "cannot be read"),
        (tmp_path, "cannot be read"),
        (Path("a\0b"), "there is no such file"),
    ):
        with pytest.raises(TokenFileError, match=reason):
            TokenFile(path)


@pytest.mark.parametrize(
    ("mode", "doubtful"),
    [(0o600, False), (0o640, False), (0o400, False), (0o644, True), (0o660, True), (0o602, True)],
)
def test_modes(tmp_path: Path, mode: int, doubtful: bool) -> None:
    doubt = TokenFile(written(tmp_path, ONE.encode(), mode)).doubt
    assert bool(doubt) == doubtful
    assert ONE not in doubt
    assert not doubt or f"{mode:04o}" in doubt
