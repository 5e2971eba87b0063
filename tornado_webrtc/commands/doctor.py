"""``doctor``: is all well, seen from here?"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from tornado_webrtc.commands.option import (
    EXIT_FAILED,
    conf_option,
    conf_path,
    given_conf,
    json_option,
    reports_errors,
)
from tornado_webrtc.commands.report import finding_lines, summary
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.examination import examine
from tornado_webrtc.doctor.target import IceUri, Target, parse_target
from tornado_webrtc.finding import Finding, Level, worst

__all__ = ["doctor"]

FROM_ENVIRONMENT = "TORNADO_WEBRTC_ROOM_PASSWORD"
FROM_FILE = "--room-password-file"
MAX_PASSWORD_BYTES = 16384


@click.command(short_help="Find out what is wrong with a server.")
@conf_option
@click.argument("target", required=False, metavar="[URL|HOST]")
@click.option(
    "--user",
    "username",
    metavar="NAME",
    default="",
    help="A TURN user, instead of one of /api/turn.",
)
@click.option(
    "--password",
    metavar="PASSWORD",
    default="",
    envvar="TORNADO_WEBRTC_PASSWORD",
    help="That user's password; better from the environment: TORNADO_WEBRTC_PASSWORD.",
)
@click.option(
    "--token",
    metavar="TOKEN",
    default="",
    envvar="TORNADO_WEBRTC_TOKEN",
    help="For servers that ask for one; better from the environment: TORNADO_WEBRTC_TOKEN.",
)
@click.option("--room", metavar="NAME", default="", help="The room to sign in to.")
@click.option(
    FROM_FILE,
    "password_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="That room's password is the first line of FILE, - for the standard input; or it is in"
    f" the environment: {FROM_ENVIRONMENT}.",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Send token and room's password even if the certificate cannot be trusted.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one check may take.",
)
@json_option
@click.pass_context
@reports_errors
def doctor(
    context: click.Context,
    /,
    conf: Path | None,
    target: str | None,
    room: str,
    password_file: Path | None,
    timeout_s: float,
    as_json: bool,
    **proof: Any,
) -> None:
    """Examine a server, and say what to do about what is not well.

    Without URL the server of the configuration is examined, with the machine
    it runs on. With URL, such as https://rtc.example.org:8086/, that server as
    clients on this machine see it; HOST alone means HTTPS on port 8086, and
    turn:HOST:PORT?transport=udp a TURN server alone (with --user, --password).
    The configuration counts there only if --conf names it.

    It signs in as a peer for a moment, into the lobby unless --room says
    otherwise, and sends data through TURN. It changes nothing, and works
    without a server, too.

    Exit status: 0 all is well, apart from warnings; 1 there is a problem, also if
    TURN could not be tried.
    """
    # Elsewhere is another server: what the environment names is this machine's own one.
    conf = given_conf(context) if target else conf_path(context, conf)
    case = Case(
        own=not target or conf is not None,
        conf=conf,
        room=room,
        room_password=_room_password(room, password_file),
        patience_s=timeout_s,
        **proof,
    )
    _aim(case, target)
    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            click.echo("\n".join(finding_lines(finding)))

    asyncio.run(examine(case, report))
    if as_json:
        click.echo(json.dumps(_as_json(case, findings), indent=2))
    else:
        click.echo(f"\n{summary(findings)}")
    sys.exit(EXIT_FAILED if worst(findings) is Level.PROBLEM else 0)


def _room_password(room: str, file: Path | None) -> str:
    """The password of the room, if one is given; never from the command line itself.

    Raises:
        UsageError: The file cannot be read, or nobody needs it.
    """
    if file is None:
        return os.environ.get(FROM_ENVIRONMENT, "") if room else ""
    if not room:
        raise click.UsageError(f"{FROM_FILE} has the password of a room; name it with --room.")
    asks = str(file) == "-" and sys.stdin.isatty()
    password = _asked() if asks else _first_line(file)
    if not password:
        raise click.BadParameter("the first line is empty", param_hint=FROM_FILE)
    return password


def _asked() -> str:
    password: str = click.prompt("Password of the room", hide_input=True, err=True)
    return password


def _first_line(file: Path) -> str:
    """The first line of a file, or with ``-`` of the standard input; neither may be text at all."""
    try:
        with click.open_file(str(file), "rb") as opened:
            line: bytes = opened.readline(MAX_PASSWORD_BYTES)
        return line.decode("utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.BadParameter(f"{file} cannot be read: {why}", param_hint=FROM_FILE) from None


def _aim(case: Case, target: str | None) -> None:
    """Note what is to be examined.

    Raises:
        TargetError: It makes no sense.
    """
    parsed = parse_target(target) if target else None
    if isinstance(parsed, IceUri):
        case.uris = [parsed]
    elif isinstance(parsed, Target):
        case.target = parsed


def _as_json(case: Case, findings: list[Finding]) -> dict[str, object]:
    return {
        "target": case.target.url if case.target else None,
        "level": worst(findings),
        "findings": [finding.as_json() for finding in findings],
    }
