"""``doctor``: is all well, seen from here?"""

from __future__ import annotations

import asyncio
import json
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
@click.option(
    "--insecure",
    is_flag=True,
    help="Send the token even if the certificate cannot be trusted.",
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

    It signs in as a peer for a moment, and sends data through TURN. It changes
    nothing, and works without a server, too.

    Exit status: 0 all is well, apart from warnings; 1 there is a problem, also if
    TURN could not be tried.
    """
    # Elsewhere is another server: what the environment names is this machine's own one.
    conf = given_conf(context) if target else conf_path(context, conf)
    case = Case(
        own=not target or conf is not None,
        conf=conf,
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
