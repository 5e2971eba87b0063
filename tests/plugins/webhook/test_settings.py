"""The section: what is taken over, what is wrong and doubtful in it."""

from pathlib import Path
from typing import Any

import pytest

from tests.plugins.section import marks, said, section
from tests.plugins.webhook.receiver import OLD_SECRET, SECRET
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.config import Config
from tornado_webrtc.plugins.webhook.event import TYPES
from tornado_webrtc.plugins.webhook.settings import SPECIFICATION, Settings, url_fault
from tornado_webrtc.plugins.webhook.signature import parse_secret
from tornado_webrtc.redaction import redact

URL = "https://app.example.org/hook/s3cr3t"


def read(folder: Path | None = None, **written: Any) -> Settings:
    path = folder / "server.ini" if folder else None
    return Settings.read(section(SPECIFICATION, **{"url": URL, **written}), Config(path=path))


def test_defaults() -> None:
    settings = read(secret=SECRET)
    assert settings.findings == ()
    assert settings == Settings(
        url=URL, keys=(parse_secret(SECRET),), types=frozenset(TYPES), findings=()
    )


def test_every_key_is_live() -> None:
    assert marks(SPECIFICATION) == {"live"}


def test_nothing_secret_is_shown() -> None:
    shown = repr(read(secret=SECRET))
    assert "s3cr3t" not in shown
    assert repr(parse_secret(SECRET)) not in shown


def test_several_secrets_in_order(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"\n {OLD_SECRET} \n\n")
    file.chmod(0o600)
    settings = read(tmp_path, secret=[SECRET], secret_file="secrets")
    assert settings.findings == ()
    assert settings.keys == (parse_secret(SECRET), parse_secret(OLD_SECRET))


def test_no_secret() -> None:
    ((key, doubtful, text),) = said(read().findings)
    assert (key, doubtful) == ("secret", False)
    assert "echo whsec_$(openssl rand -base64 32)" in text


def test_bad_secret(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("whsec_s3cr3t\n")
    file.chmod(0o600)
    settings = read(tmp_path, secret=["s3cr3t"], secret_file="secrets")
    assert [key for key, _, _ in said(settings.findings)] == ["secret", "secret_file"]
    assert len(settings.faults) == 2
    assert "s3cr3t" not in str(settings.findings)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b"\xff", "it is no text")],
)
def test_bad_secret_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "secrets").write_bytes(content)
    ((key, doubtful, text),) = said(read(tmp_path, secret_file="secrets").findings)
    assert (key, doubtful) == ("secret_file", False)
    assert words in text
    line = f"webhook.{key}: {text}"
    assert redact(line) == line, "the log shows the hint as it is"


def test_no_regular_file(tmp_path: Path) -> None:
    ((key, _, text),) = said(read(tmp_path, secret_file=str(tmp_path)).findings)
    assert key == "secret_file"
    assert "cannot be read" in text


def test_secret_file_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(SECRET)
    file.chmod(0o644)
    ((key, doubtful, text),) = said(read(tmp_path, secret_file="secrets").findings)
    assert (key, doubtful) == ("secret_file", True)
    assert "chmod 600" in text


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.org",
        "https://app.example.org:8443/a/b?c=d",
        "http://127.0.0.1:3000/hook",
        "http://[::1]:3000/hook",
        "http://10.1.2.3/hook",
        "http://localhost/hook",
        "http://app/hook",
    ],
)
def test_good_urls(url: str) -> None:
    assert said(read(url=url, secret=SECRET).findings) == []


@pytest.mark.parametrize(
    "url",
    ["http://93.184.216.34/", "http://app.example.org/hook", "HTTP://app.example.org/hook"],
)
def test_plain_http_over_the_internet(url: str) -> None:
    ((key, doubtful, text),) = said(read(url=url, secret=SECRET).findings)
    assert (key, doubtful) == ("url", True)
    assert "use https" in text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cr3t",
        "ftp://s3cr3t.example.org/",
        "https:///s3cr3t",
        "https://host:s3cr3t/",
        "https://[s3cr3t/",
        "https://user:s3cr3t@host/",
        "https://s3cr3t@host/",
        "https://host/#s3cr3t",
        "https://host/s3cr3t s3cr3t",
        "https://host/s3cr3t\n",
        "https://höst/s3cr3t",
    ],
)
def test_bad_urls(url: str) -> None:
    fault = url_fault(url)
    assert "https://HOST/PATH" in fault
    assert "s3cr3t" not in fault
    assert ("url", fault) in read(url=url, secret=SECRET).faults


@pytest.mark.parametrize(
    ("patterns", "types"),
    [
        (["*"], set(TYPES)),
        (["session.*"], {"session.offered", "session.answered", "session.ended"}),
        (["peer.left", "server.st*"], {"peer.left", "server.started", "server.stopped"}),
    ],
)
def test_events(patterns: list[str], types: set[str]) -> None:
    assert read(secret=SECRET, events=patterns).types == types


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("peer.jioned", "'peer.jioned' is no event; did you mean peer.joined?"),
        ("Session.*", "'Session.*' is no event; did you mean session.*?"),
        ("sessions.*", "'sessions.*' is no event; did you mean session.*?"),
        ("allocations.*", "'allocations.*' is no event; did you mean allocation.*?"),
        ("zzz", "there are peer.joined, peer.left, "),
    ],
)
def test_no_such_event(pattern: str, words: str) -> None:
    ((key, doubtful, text),) = said(read(secret=SECRET, events=["peer.left", pattern]).findings)
    assert (key, doubtful) == ("events", False)
    assert words in text


def test_authorities(tmp_path: Path) -> None:
    write_certificate(tmp_path / "ca.pem", tmp_path / "ca.key", ["app.example.org"])
    settings = read(tmp_path, secret=SECRET, ca_file="ca.pem")
    assert (settings.findings, settings.ca_file) == ((), tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read: No such file"), ("nothing", "no certificate")]
)
def test_bad_authorities(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    ((key, doubtful, text),) = said(read(tmp_path, secret=SECRET, ca_file="ca.pem").findings)
    assert (key, doubtful) == ("ca_file", False)
    assert words in text
