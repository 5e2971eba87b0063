"""`cert inspect`; `cert make` is tested with the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.cli import main


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["cert", "inspect", *map(str, arguments)])


@pytest.fixture
def cert(tmp_path: Path) -> Path:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    return tmp_path / "cert.pem"


def test_file(cert: Path) -> None:
    result = inspect(cert, "--key", cert.with_name("key.pem"), "--domain", "localhost")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{cert}, signed by itself\n\nok      validity ")
    assert "warning chain" in result.stdout
    assert "key.pem: belongs to the certificate" in " ".join(result.stdout.split())


def test_configured_one(cert: Path) -> None:
    conf = cert.with_name("server.ini")
    conf.write_text("[general]\ndomain = rtc.example.org\ncert = cert.pem\nkey = key.pem\n")
    for arguments in ([], [cert]):
        result = inspect("--conf", conf, *arguments)
        assert result.exit_code == 1
        assert "problem names          rtc.example.org is not among them" in result.stdout
        assert "key.pem: belongs to the certificate" in " ".join(result.stdout.split())
    assert inspect("--conf", conf, "--domain", "localhost").exit_code == 0


def test_json(cert: Path) -> None:
    result = inspect(cert, "--json", "--domain", "other.example")
    shown = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (shown["level"], shown["self_signed"], shown["days_left"]) == ("problem", True, 396)
    assert (shown["names"], shown["key_type"]) == (["localhost"], "EC P-256")
    by_subject = {each["subject"]: each for each in shown["findings"]}
    assert by_subject["names"]["matches_domain"] is False


def test_expired(tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=10)
    (tmp_path / "old.pem").write_bytes(make_certificate(["localhost"], days=5, now=past)[0])
    result = inspect(tmp_path / "old.pem")
    assert result.exit_code == 1
    assert "problem validity       expired on" in result.stdout


def test_nothing_to_look_at(tmp_path: Path) -> None:
    result = inspect()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no certificate is configured" in result.stderr
    assert "cannot be read" in inspect(tmp_path / "missing.pem").stderr
