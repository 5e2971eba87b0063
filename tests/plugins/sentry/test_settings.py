"""The section: what is taken over, what is wrong and doubtful in it."""

import logging
from pathlib import Path
from typing import Any

import pytest
from sentry_sdk.utils import Dsn

from tests.plugins.section import marks, said, section
from tornado_webrtc import __version__
from tornado_webrtc.config import Config
from tornado_webrtc.plugins.sentry.settings import SPECIFICATION, Settings, dsn_fault

DSN = "https://s3cr3t@o1.ingest.sentry.io/42"


def read(folder: Path | None = None, **written: Any) -> Settings:
    path = folder / "server.ini" if folder else None
    return Settings.read(section(SPECIFICATION, **written), Config(path=path))


def test_defaults() -> None:
    assert read(dsn=DSN) == Settings(
        dsn=DSN,
        findings=(),
        environment="production",
        release=f"tornado-webrtc@{__version__}",
        server_name="",
        sample_rate=1.0,
        traces_sample_rate=0.0,
        level=logging.ERROR,
        breadcrumbs=30,
        events_per_minute=60,
        anonymous=True,
        debug=False,
    )


def test_every_key_is_live() -> None:
    assert marks(SPECIFICATION) == {"live"}


def test_nothing_secret_is_shown() -> None:
    assert "s3cr3t" not in repr(read(dsn=DSN))


def test_no_dsn() -> None:
    ((key, doubtful, text),) = said(read().findings)
    assert (key, doubtful) == ("dsn", False)
    assert "nothing would be reported; allowed is https://KEY@HOST/PROJECT" in text


def test_dsn_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text(f"{DSN}\n")
    file.chmod(0o600)
    settings = read(tmp_path, dsn_file="dsn")
    assert (settings.dsn, settings.findings) == (DSN, ())


def test_file_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    file.write_text(DSN)
    file.chmod(0o644)
    ((key, doubtful, text),) = said(read(tmp_path, dsn_file="dsn").findings)
    assert (key, doubtful) == ("dsn_file", True)
    assert f"chmod 600 {file}" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "it is empty"),
        (b"\xff", "it is no text"),
        (b"s3cr3t", "it does not begin with https://"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "dsn").write_bytes(content)
        (tmp_path / "dsn").chmod(0o600)
    ((key, doubtful, text),) = said(read(tmp_path, dsn_file="dsn").findings)
    assert (key, doubtful) == ("dsn_file", False)
    assert words in text
    assert "s3cr3t" not in text


def test_both(tmp_path: Path) -> None:
    ((key, doubtful, text),) = said(read(tmp_path, dsn=DSN, dsn_file="dsn").findings)
    assert (key, doubtful) == ("dsn_file", False)
    assert "leave one of them out" in text


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("https://s3cr3t@host/1?x=s3cr3t", "something behind the project"),
        ("https://s3cr3t@host/1#s3cr3t", "something behind the project"),
        ("s3cr3t", "does not begin with https://"),
        ("s3cr3t://key@host/1", "does not begin with https://"),
        ("https://host/1", "no key before the @"),
        ("https://:s3cr3t@host/1", "no key before the @"),
        ("https://s3cr3t@/1", "names no host"),
        ("https://s3cr3t@host/", "number of a project"),
        ("https://s3cr3t@host", "number of a project"),
        ("https://s3cr3t@host/s3cr3t", "number of a project"),
        ("https://s3cr3t@host/٣", "number of a project"),
        ("https://s3cr3t@host:s3cr3t/1", "it is no URL"),
        ("https://s3cr3t@[host/1", "it is no URL"),
        ("https://s3cr 3t@host/1", "a space"),
    ],
)
def test_bad_dsn(dsn: str, words: str) -> None:
    fault = dsn_fault(dsn)
    assert words in fault
    assert "as Sentry shows it" in fault
    assert "s3cr3t" not in fault
    assert read(dsn=dsn).faults == (("dsn", fault),)
    assert read(dsn=dsn).dsn == ""


@pytest.mark.parametrize(
    "dsn", [DSN, "https://k@sentry.example.org:9000/a/b/7", "http://k@127.0.0.1:9000/1"]
)
def test_good_dsn(dsn: str) -> None:
    assert read(dsn=dsn).findings == ()
    assert Dsn(dsn).host, "the library takes it, too"


@pytest.mark.parametrize(
    ("dsn", "doubt"),
    [
        ("http://k@sentry.example.org/1", "use https"),
        ("http://k@93.184.216.34/1", "use https"),
        ("https://k:s3cr3t@sentry.example.org/1", "a secret key, which is not needed"),
        ("http://k@sentry/1", ""),
        ("http://k@localhost/1", ""),
        ("http://k@10.0.0.5/1", ""),
    ],
)
def test_doubts(dsn: str, doubt: str) -> None:
    settings = read(dsn=dsn)
    assert settings.dsn == dsn
    assert settings.faults == ()
    assert [doubt in text for _, _, text in said(settings.findings)] == ([True] if doubt else [])
    assert "s3cr3t" not in str(settings.findings)
