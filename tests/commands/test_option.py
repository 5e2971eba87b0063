"""What all commands share: --conf before or after them, errors in words."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tornado_webrtc.commands.option import (
    conf_among,
    conf_option,
    conf_path,
    given_conf,
    json_option,
    reports_errors,
    with_conf,
)
from tornado_webrtc.errors import CertificateError, ConfigError, Problem


@click.group()
@conf_option
@click.pass_context
def group(context: click.Context, conf: Path | None) -> None:
    context.obj = conf


@group.group()
def inner() -> None: ...


@inner.command()
@conf_option
@json_option
@click.pass_context
def show(context: click.Context, conf: Path | None, as_json: bool) -> None:
    click.echo(f"{conf_path(context, conf)} {as_json}")
    click.echo(f"given {given_conf(context)}", err=True)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["inner", "show"], "None False"),
        (["--conf", "a", "inner", "show", "--json"], "a True"),
        (["inner", "show", "--conf", "a"], "a False"),
        (["--conf", "a", "inner", "show", "--conf", "b"], "b False"),
    ],
)
def test_conf(arguments: list[str], output: str) -> None:
    result = CliRunner().invoke(group, arguments)
    assert result.stdout == f"{output}\n"
    assert result.stderr == f"given {output.split(maxsplit=1)[0]}\n"


def test_conf_of_the_environment_is_not_given() -> None:
    result = CliRunner().invoke(group, ["inner", "show"], env={"TORNADO_WEBRTC_CONF": "a"})
    assert (result.stdout, result.stderr) == ("a False\n", "given None\n")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (CertificateError("no good"), 1, "tornado-webrtc: no good\n"),
        (ConfigError([Problem("a", "b")]), 78, "1 problem in the configuration:\n\na: b"),
        (ConfigError([Problem("a", "b", "c")] * 2), 78, "2 problems in the configuration"),
    ],
)
def test_errors(
    error: Exception, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @reports_errors
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        fail()
    assert caught.value.code == status
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], None),
        (["a", "b"], None),
        (["--conf", "a"], "a"),
        (["x", "--conf=a", "y"], "a"),
        (["--conf", "a", "--conf=b=c"], "b=c"),
        (["--conf=b", "--conf", "a"], "a"),
        (["--conf"], None),
        (["--conf="], None),
        (["--conf", "a", "--", "--conf", "b"], "a"),
        (["--", "--conf", "b"], None),
        (["--config", "b", "-conf", "c"], None),
    ],
)
def test_conf_among_arguments(arguments: list[str], found: str | None) -> None:
    assert conf_among(arguments) == (Path(found) if found else None)


def test_conf_is_added_once_on_every_level() -> None:
    @click.group()
    def outer() -> None: ...

    @outer.command()
    def bare() -> None:
        click.echo("done")

    for _ in range(2):
        assert with_conf(outer) is outer
    result = CliRunner().invoke(outer, ["--conf", "a", "bare", "--conf", "b"])
    assert (result.exit_code, result.output) == (0, "done\n")
    for arguments in (["--help"], ["bare", "--help"]):
        assert CliRunner().invoke(outer, arguments).output.count("--conf FILE") == 1
