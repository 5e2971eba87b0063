"""The file of tokens: its lines, its faults, and how changes are noticed."""

import hashlib
import hmac
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tornado_webrtc.followedfile import BadContentError
from tornado_webrtc.hooks import Identity
from tornado_webrtc.plugins.auth_token.token_file import TokenFile, parse

ExpectLog = Callable[[str], None]

ALICE = "alices-token-0123456789"
BOB = "bobs-token-0123456789ab"
LOG = logging.getLogger("tornado_webrtc.plugins.auth_token")


class Clock:
    """Long after the file was written, unless a test says otherwise."""

    def __init__(self, path: Path) -> None:
        self.offset_ns = 3600 * 10**9
        self._path = path

    def __call__(self) -> int:
        return self._path.stat().st_mtime_ns + self.offset_ns


class File:
    """A file of tokens with its reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock(path)
        self.tokens = TokenFile(path, LOG, self.clock)

    def write(self, text: str, mode: int = 0o600) -> None:
        """Replace the file as editors and secret stores do."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.chmod(mode)
        new.rename(self.path)

    def subject(self, token: str) -> str | None:
        identity = self.tokens.identify(token)
        return identity.subject if identity else None


@pytest.fixture
def file(tmp_path: Path) -> File:
    folder = tmp_path / "secrets"
    folder.mkdir()
    made = File(folder / "tokens")
    made.write(f"alice {ALICE}\n")
    return made


# --- lines ------------------------------------------------------------------


def test_lines() -> None:
    text = f"""\ufeff
        # a comment
        ; another
        alice {ALICE}
        bob\t{BOB}  bob-* 123456
    """.removeprefix("\ufeff")
    assert [entry.identity for entry in parse(text)] == [
        Identity("alice", ("alice",)),
        Identity("bob", ("bob-*", "123456")),
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_newlines(newline: str) -> None:
    entries = parse(f"alice {ALICE}{newline}bob {BOB}{newline}")
    assert [entry.identity.subject for entry in entries] == ["alice", "bob"]


def test_only_digests_are_kept() -> None:
    (entry,) = parse(f"alice {ALICE}")
    assert entry.digest == hashlib.sha256(ALICE.encode()).digest()
    assert ALICE not in repr(entry)
    assert "digest" not in repr(entry)


@pytest.mark.parametrize("subject", ["*", "a*", "[a-z]", "??"])
def test_subject_is_no_pattern(subject: str) -> None:
    (entry,) = parse(f"{subject} {ALICE}")
    assert entry.identity.allows(subject)
    assert not entry.identity.allows("ab")
    assert not entry.identity.allows("b")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", "it has no entry"),
        ("# nothing\n\n", "it has no entry"),
        ("alice", "line 1: it has one field"),
        (f"\nalice {ALICE[:15]}", "line 2: the token .* has 15 characters, .* at least 16"),
        (f"alice {ALICE}\nbob {ALICE}", "line 2: the token is the same as on line 1$"),
        (f"alice {ALICE}\n\nalice {BOB}", "line 3: the subject is the same as on line 1$"),
        (
            f"a {ALICE}\na {ALICE}\na {ALICE}",
            "line 2: the subject .* line 1; line 2: the token .* line 1; line 3: .* line 1",
        ),
        (f"alice\nbob {BOB}\ncarol short", "line 1: .*; line 3: the token"),
    ],
)
def test_faulty_lines(text: str, faults: str) -> None:
    with pytest.raises(BadContentError, match=faults):
        parse(text)


def test_many_faults() -> None:
    with pytest.raises(BadContentError) as error:
        parse("alice\n" * 1000)
    assert len(error.value.faults) == 21
    assert error.value.faults[19].startswith("line 20: it has one field")
    assert error.value.faults[20] == "980 more faults"


def test_faults_show_nothing_of_a_line() -> None:
    text = f"{ALICE} alice\n{ALICE} {BOB}\n{ALICE} {BOB}\n{BOB}\n"
    with pytest.raises(BadContentError) as error:
        parse(text)
    assert str(error.value).count("line ") > 4
    for secret in (ALICE, BOB, "alice "):
        assert secret not in str(error.value)


# --- tokens -----------------------------------------------------------------


def test_tokens_are_told_apart(file: File) -> None:
    file.write(f"alice {ALICE}\nbob {BOB}\n")
    assert file.subject(ALICE) == "alice"
    assert file.subject(BOB) == "bob"


@pytest.mark.parametrize("token", ["", ALICE[:-1], ALICE + "x", ALICE.upper(), "\ud800", "\0"])
def test_unknown_tokens(file: File, token: str) -> None:
    assert file.subject(token) is None


def test_tokens_beyond_ascii(file: File) -> None:
    file.write("alice žluťoučký-kůň-úpěl-ďábelské")
    assert file.subject("žluťoučký-kůň-úpěl-ďábelské") == "alice"


def test_same_work_for_every_token(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare_digest = hmac.compare_digest

    def compare(known: bytes, shown: bytes) -> bool:
        compared.append(known)
        return compare_digest(known, shown)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    file.write(f"alice {ALICE}\nbob {BOB}\ncarol carols-token-0123456789\n")
    for token in (ALICE, BOB, "unknown"):
        compared.clear()
        file.subject(token)
        assert len(compared) == 3
        assert {len(digest) for digest in compared} == {32}


# --- changes ----------------------------------------------------------------


def test_change_is_noticed(file: File) -> None:
    assert file.subject(ALICE) == "alice"
    file.write(f"bob {BOB}\n")
    assert file.subject(ALICE) is None
    assert file.subject(BOB) == "bob"


@pytest.mark.parametrize("offset_ns", [10**6, 10**12])
@pytest.mark.parametrize("content", ["", "bob short", f"bob {BOB}\nbob {ALICE}"])
def test_bad_change_keeps_the_old_entries(
    file: File,
    content: str,
    offset_ns: int,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert file.subject(ALICE) == "alice"
    expect_log(r"^the tokens in .* cannot be used: .*; the earlier ones hold$")
    file.clock.offset_ns = offset_ns
    file.write(content)
    for _ in range(3):
        assert file.subject(ALICE) == "alice"
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1
    assert file.tokens.error
    file.write(f"bob {BOB}\n")
    assert file.subject(ALICE) is None
    assert not file.tokens.error


def test_file_that_is_missing_at_first(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("No such file or directory; no token is accepted$")
    file = File(tmp_path / "tokens")
    assert file.subject(ALICE) is None
    file.write(f"alice {ALICE}\n")
    assert file.subject(ALICE) == "alice"


def test_quiet_look_leaves_it_to_the_caller(tmp_path: Path, expect_log: ExpectLog) -> None:
    tokens = TokenFile(tmp_path / "tokens", logging.getLogger("tornado_webrtc.plugins.auth_token"))
    tokens.refresh(quiet=True)
    assert tokens.error.endswith("tokens cannot be used: No such file or directory")
    expect_log("Is a directory; no token is accepted$")
    (tmp_path / "tokens").mkdir()
    tokens.refresh()


def test_other_encoding(file: File, expect_log: ExpectLog) -> None:
    expect_log("it is not UTF-8 .byte 6")
    file.path.write_bytes(b"alice \xff\xfe" + b"x" * 20)
    assert file.subject(ALICE) is None


def test_byte_order_mark(file: File) -> None:
    file.write(f"\ufeffalice {ALICE}\n")
    assert file.subject(ALICE) == "alice"


@pytest.mark.parametrize(
    ("mode", "doubtful"), [(0o600, False), (0o640, False), (0o644, True), (0o660, True)]
)
def test_mode(file: File, mode: int, doubtful: bool) -> None:
    file.write(f"alice {ALICE}\n", mode)
    words = f"other users of this machine can use {file.path} (mode {mode:04o})"
    advice = f"chmod 640 {file.path}"
    assert file.tokens.doubt == (f"{words}: {advice}" if doubtful else "")


def test_tokens_are_not_logged(
    file: File, caplog: pytest.LogCaptureFixture, expect_log: ExpectLog
) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    expect_log("cannot be used")
    file.subject(ALICE)
    file.subject("unknown-" + BOB)
    file.write(f"{BOB} bob\n")
    file.subject(ALICE)
    assert "1 tokens read" in caplog.text
    for secret in (ALICE, BOB):
        assert secret not in caplog.text
        assert secret not in repr(file.tokens)
        assert secret not in str(vars(file.tokens))
