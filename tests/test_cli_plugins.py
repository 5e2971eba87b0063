"""Commands that plugins add: found, run with the right configuration, missed in plain words."""

import re
from pathlib import Path

import pytest

from tests.commandline import GREETER, broken, greeter, run
from tests.conftest import ExpectLog

__all__ = ["broken", "greeter"]

pytestmark = pytest.mark.usefixtures("turn_on_loopback")


def test_command_of_a_plugin_runs_with_its_settings(greeter: Path) -> None:
    result = run("--conf", greeter, "greet", "world")
    assert (result.exit_code, result.stdout) == (0, "moin, world\n")


@pytest.mark.parametrize("words", [["--conf", "{}"], ["--conf={}"]])
def test_command_of_a_plugin_takes_conf_behind_itself(
    greeter: Path, broken: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    conf = [each.format(greeter) for each in words]
    expected = (0, "moin, world\n")
    monkeypatch.setenv("TORNADO_WEBRTC_CONF", str(broken))
    for arguments in (["greet", *conf, "world"], ["greet", "world", *conf]):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == expected, result.output
        again = run("--conf", broken, *arguments)
        assert (again.exit_code, again.stdout) == expected, "the last one counts"
    shown = run("greet", *conf, "--help").output
    assert shown.count("--conf FILE") == 1


def test_command_of_a_group_takes_conf_behind_itself(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[routing_rules]\nrules = deny a -> b\n")
    for arguments in (["test", "--conf", conf, "a", "b"], ["--conf", conf, "test", "a", "b"]):
        result = run("routing-rules", *arguments)
        assert result.output == "denied by rules, entry 1: deny a -> b\n"
        assert result.exit_code == 1


def test_conf_of_a_plugins_own_is_left_alone(greeter: Path) -> None:
    source = GREETER.replace(
        "        def greet(name):",
        '        @click.option("--conf")\n        def greet(name, conf):',
    ).replace('{name}")', '{name}, {conf}")')
    (greeter.parent / "plugins" / "greeter.py").write_text(source)
    result = run("greet", "world", "--conf", greeter)
    assert (result.exit_code, result.stdout) == (0, f"moin, world, {greeter}\n"), result.output


def test_conf_behind_two_dashes_is_an_argument(greeter: Path) -> None:
    result = run("--conf", greeter, "greet", "--", "--conf")
    assert (result.exit_code, result.stdout) == (0, "moin, --conf\n")


def test_help_lists_commands_of_plugins(greeter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(r"^  greet +Greet somebody\.$", run("--conf", greeter, "-h").output, re.M)
    monkeypatch.setenv("TORNADO_WEBRTC_CONF", str(greeter))
    assert re.search(r"^  greet +Greet somebody\.$", run("-h").output, re.M)
    assert "NAME" in run("greet", "--help").output


def test_slow_plugin_blocks_no_server_where_none_runs(
    greeter: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = GREETER.replace(
        "        self.greeting", "        import time; time.sleep(0.15)\n        self.greeting"
    )
    (greeter.parent / "plugins" / "greeter.py").write_text(
        f"{slow}\n    @hookimpl\n    def check(self):\n        import time; time.sleep(0.15)\n"
    )
    assert run("greet", "world", "--conf", greeter).stdout == "moin, world\n"
    assert "no problems" in run("check", "--conf", greeter).stdout
    run("doctor", "--conf", greeter, "--timeout", "0.5")
    assert "blocked" not in caplog.text


def test_plugin_cannot_take_a_command_of_the_core(greeter: Path) -> None:
    assert "no problems" in run("--conf", greeter, "check").stdout
    assert "Take a command" not in run("--conf", greeter, "--help").output


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_broken_configuration_costs_no_help(broken: Path, option: str) -> None:
    result = run("--conf", broken, option)
    assert (result.exit_code, result.stderr) == (0, "")
    if option == "--help":
        assert "check" in result.output


def test_broken_configuration_costs_no_command_of_the_core(broken: Path, tmp_path: Path) -> None:
    assert run("--conf", broken, "init", tmp_path / "new").exit_code == 0
    assert run("--conf", broken, "check", "--help").exit_code == 0


def test_command_of_a_plugin_with_a_broken_configuration_exits_78(broken: Path) -> None:
    result = run("--conf", broken, "greet", "world")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "2 problems in the configuration" in result.stderr


@pytest.mark.parametrize("name", ["frobnicate", "rooms"])
def test_command_that_nobody_has_exits_2(greeter: Path, name: str) -> None:
    for conf in ([], ["--conf", greeter]):
        result = run(*conf, name, "hash")
        assert result.exit_code == 2
        assert f"No such command '{name}'." in result.stderr
        assert "If a plugin has it: --conf FILE names a configuration in which" in result.stderr


def test_option_that_nobody_has_is_no_command_of_a_plugin() -> None:
    for arguments in (["--nonsense"], ["--", "--nonsense"]):
        assert "a plugin" not in run(*arguments).stderr


@pytest.mark.parametrize("body", ["return ['greet']", "raise RuntimeError('out of order')"])
def test_plugin_that_fails_costs_only_its_own_commands(
    greeter: Path, expect_log: ExpectLog, body: str
) -> None:
    (greeter.parent / "plugins" / "greeter.py").write_text(
        "from tornado_webrtc import hookimpl\nSETTINGS = 'greeting = string'\n"
        f"@hookimpl\ndef cli_commands():\n    {body}\n"
    )
    expect_log(r"greeter.*cli_commands")
    result = run("--conf", greeter, "--help")
    assert result.exit_code == 0
    assert "check" in result.output
    assert run("--conf", greeter, "greet").exit_code == 2
