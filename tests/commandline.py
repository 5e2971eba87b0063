"""The command line, called in this process."""

from click.testing import CliRunner, Result

from tornado_webrtc.cli import main

NO_PORT = "port 0 is known only once the server runs"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments], prog_name="tornado-webrtc")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
