"""`reload` tells the truth about certificates and doubts."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from tests.admin.conftest import Operate, Operated, operate, serve
from tests.commands.test_operate import run_on, said
from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.commands.option import EXIT_FAILED
from tornado_webrtc.reload import ReloadReport
from tornado_webrtc.server import Server, load

__all__ = ["operate", "serve"]


async def test_reload_with_doubts(operate: Operate, monkeypatch: pytest.MonkeyPatch) -> None:
    operated = await operate()
    report = ReloadReport(
        applied=("turn.secret_file",),
        warnings=("a.ini, turn.secret_file: short", "b: \x1b[2J open\n    chmod 600 b"),
    )
    monkeypatch.setattr(operated.server, "reload", AsyncMock(return_value=report))
    for option in ([], ["--json"]):
        result = await run_on(operated, "reload", *option)
        assert result.exit_code == 0
        assert result.stderr == (
            "warning: a.ini, turn.secret_file: short\nwarning: b: \\x1b[2J open\n    chmod 600 b\n"
        )
        if not option:
            assert result.stdout == "applied: turn.secret_file\n"
            continue
        assert json.loads(result.stdout) == {
            "applied": ["turn.secret_file"],
            "needs_restart": [],
            "certificate": False,
            "certificate_error": "",
            "warnings": list(report.warnings),
        }


async def test_reload_with_a_certificate_that_cannot_be_used(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("the certificate in use stays")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key, ["localhost"])
    conf = tmp_path / "server.ini"
    conf.write_text(
        f"[general]\nbind = 127.0.0.1,\nport = 0\ncert = {cert}\nkey = {key}\n"
        "[plugins]\nrequired =\ndisabled = turn, logging_console\n"
    )
    server = Server(*load(conf))
    await server.start()
    try:
        operated = Operated(server)
        assert await said(operated, "reload") == "nothing has changed\n"
        key.write_bytes(make_certificate(["localhost"])[1])
        reason = f"the key {key} does not belong to the certificate {cert}"
        result = await run_on(operated, "reload")
        assert (result.exit_code, result.stdout) == (EXIT_FAILED, "not applied: the certificate\n")
        assert result.stderr == f"tornado-webrtc: {reason}; the certificate in use stays\n"
        result = await run_on(operated, "reload", "--json")
        assert result.exit_code == EXIT_FAILED
        assert json.loads(result.stdout)["certificate_error"] == reason
    finally:
        await server.stop()
