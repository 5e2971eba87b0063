"""docs/migration.md: coturn's options are options, our keys are keys, the old file is taken."""

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.config.test_oldserver import OLD_FILE
from tests.interop.coturn import utility
from tornado_webrtc.cli import main
from tornado_webrtc.config import marks
from tornado_webrtc.scaffold import make_folder

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "migration.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """The rows of the table about coturn."""
    table = PAGE.partition("| `turnserver.conf` |")[2].partition("\n\n")[0]
    return [line.strip("|").split(" | ") for line in table.splitlines()[2:]]


def test_options_are_those_of_coturn() -> None:
    said = subprocess.run(
        [utility("turnserver"), "--help"], capture_output=True, text=True, timeout=20, check=False
    )
    options = set(re.findall(r"--([a-z-]+)", said.stdout + said.stderr))
    named = {option for row in rows() for option in re.findall(r"`([a-z-]+)`", row[0])}
    assert len(named) > 20
    assert named - options == set()


def test_keys_exist() -> None:
    cells = [row[1] for row in rows() if row[1].startswith("`[turn] ")]
    named = re.findall(r"`(?:\[turn\] )?([a-z_]+)`", " ".join(cells))
    keys = {f"turn.{key}" for key in named}
    assert {"turn.relay_ports", "turn.users_file", "turn.secret_file"} <= keys
    assert keys - set(marks()) == set()


def test_the_old_servers_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0]
    check, serve = block.splitlines()
    assert check.split()[1:] == ["check", *serve.split()[1:]]
    monkeypatch.chdir(tmp_path)
    Path("configs/certs").mkdir(parents=True)
    Path("configs/config.ini").write_bytes(OLD_FILE)
    made = make_folder(tmp_path / "made")
    assert made.cert is not None
    assert made.key is not None
    made.cert.rename("configs/certs/cert.pem")
    made.key.rename("configs/certs/key.pem")
    monkeypatch.setenv("TORNADO_WEBRTC__GENERAL__DOMAIN", "localhost")
    result = CliRunner().invoke(main, check.split()[1:])
    assert result.exit_code == 0, result.output
    assert "127.0.0.1" in result.output
