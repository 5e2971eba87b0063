"""`plugins`: a table, the reasons, and what keeps a server from starting."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tornado_webrtc.cli import main


def plugins(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plugins", *map(str, arguments)])


def test_table() -> None:
    result = plugins()
    assert (result.exit_code, result.stderr) == (0, "")
    states, hooks, reasons = result.stdout.split("\n\n")
    heading, *rows = states.splitlines()
    assert heading.split() == ["NAME", "STATE", "VERSION", "ORIGIN"]
    by_name = {row.split()[0]: row for row in rows}
    assert "runs, required" in by_name["turn"]
    assert "off" in by_name["auth_token"]
    assert "auth_token       authenticate, check" in hooks
    assert max(map(len, hooks.splitlines())) <= 100
    assert "auth_token (off): nobody asks for it: name it in plugins.enabled" in reasons


def test_problems_are_told(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text("import nothing_of_that_name\n")
    conf = tmp_path / "server.ini"
    conf.write_text("[plugins]\npath = plugins,\n")
    result = plugins("--conf", conf)
    assert result.exit_code == 78
    assert "bad (left out): cannot be imported" in result.stdout
    assert "With this problem the server does not start" in result.stdout
    shown = json.loads(plugins("--conf", conf, "--json").stdout)
    assert [each["state"] for each in shown["plugins"] if each["name"] == "bad"] == ["left out"]
    assert "bad.py, line 1" in shown["problems"][0]["where"]
    conf.write_text("[plugins]\npath = plugins,\n[general]\nport = many\n")
    assert "With these 2 problems" in plugins("--conf", conf).stdout


def test_file_that_is_not_there(tmp_path: Path) -> None:
    assert plugins("--conf", tmp_path / "missing.ini").exit_code == 78


def test_new_plugin(tmp_path: Path) -> None:
    folder = tmp_path / "call limit"
    result = plugins("new", "call_limit", "--into", folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert str(folder / "plugins" / "call_limit.py") in result.stdout.splitlines()
    assert f"Try it: cd '{folder}' && pip install pytest && pytest" in result.stdout
    shown = json.loads(plugins("--conf", folder / "server.ini", "--json").stdout)
    assert shown["problems"] == []
    (entry,) = (each for each in shown["plugins"] if each["name"] == "call_limit")
    assert (entry["state"], entry["required"]) == ("runs", True)
    assert plugins("new", "call_limit", "--into", folder).exit_code == 1
    assert "it has to be a Python identifier" in plugins("new", "call-limit").stderr
