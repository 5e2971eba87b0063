"""The command line, called in this process."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tornado_webrtc.cli import main

NO_PORT = "port 0 is known only once the server runs"

GREETER = """
import click
from tornado_webrtc import hookimpl

SETTINGS = "greeting = string(default=hello)"

class Plugin:
    def __init__(self, context):
        self.greeting = context.settings["greeting"]

    @hookimpl
    def cli_commands(self):
        @click.command()
        @click.argument("name")
        def greet(name):
            "Greet somebody."
            click.echo(f"{self.greeting}, {name}")

        @click.command()
        def check():
            "Take a command of the core's."
            click.echo("never")

        return [greet, check]
"""


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments], prog_name="tornado-webrtc")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """A configuration with a plugin that adds a command."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "greeter.py").write_text(GREETER)
    conf = tmp_path / "greeter.ini"
    conf.write_text(f"[plugins]\npath = {folder},\n[greeter]\ngreeting = moin\n")
    return conf


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A configuration with two faults."""
    conf = tmp_path / "broken.ini"
    conf.write_text("[general]\nport = many\n[signalling]\nheartbeat_s = 5\n")
    return conf
