"""``cert make`` and ``cert inspect``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from tornado_webrtc.certificate import machine_names, write_certificate
from tornado_webrtc.chain import Chain, key_findings, read_file
from tornado_webrtc.commands.option import (
    EXIT_FAILED,
    conf_option,
    conf_path,
    json_option,
    reports_errors,
)
from tornado_webrtc.commands.report import lines
from tornado_webrtc.errors import CertificateError
from tornado_webrtc.finding import Level, worst
from tornado_webrtc.server import load

__all__ = ["cert"]


@click.group()
def cert() -> None:
    """Certificates for TLS."""


@cert.command("make")
@click.argument("cert_file", type=click.Path(path_type=Path, dir_okay=False), metavar="CERT")
@click.argument("key_file", type=click.Path(path_type=Path, dir_okay=False), metavar="KEY")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", is_flag=True, help="Replace the files if they are there.")
@reports_errors
def make(cert_file: Path, key_file: Path, names: tuple[str, ...], force: bool) -> None:
    """Make a development certificate, signed by nobody but itself.

    It is for the NAMEs given (host names and addresses), or else for those of
    this machine.
    """
    names = names or tuple(machine_names())
    write_certificate(cert_file, key_file, names, overwrite=force)
    click.echo(f"{cert_file}: a development certificate, for {', '.join(names)}")
    click.echo(f"{key_file}: its key; keep it")


@cert.command("inspect")
@conf_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The key that should belong to it; the configured one with the configured certificate.",
)
@click.option(
    "--domain", metavar="NAME", help="The name it has to be for; [general] domain if not given."
)
@json_option
@click.pass_context
@reports_errors
def inspect(
    context: click.Context,
    conf: Path | None,
    file: Path | None,
    key_file: Path | None,
    domain: str | None,
    as_json: bool,
) -> None:
    """Say what clients will think of a certificate.

    FILE is a PEM file: the server's certificate, then who signed it. Without
    it the configured one is looked at.

    Exit status: 0 clients will take it, 1 they will not, or there is none.
    """
    file, key_file, domain = _subject(conf_path(context, conf), file, key_file, domain)
    chain = read_file(file)
    findings = [*chain.findings(domain), *key_findings(chain, key_file)]
    if as_json:
        shown = {"file": str(file), **chain.as_json(), "level": str(worst(findings))}
        click.echo(
            json.dumps({**shown, "findings": [each.as_json() for each in findings]}, indent=2)
        )
    else:
        click.echo(f"{file}, signed by {_issuer(chain)}\n")
        click.echo("\n".join(lines(findings)))
    sys.exit(EXIT_FAILED if worst(findings) is Level.PROBLEM else 0)


def _subject(
    conf: Path | None, file: Path | None, key_file: Path | None, domain: str | None
) -> tuple[Path, Path | None, str]:
    """What to look at: what was given, and for the rest what is configured.

    Raises:
        ConfigError: The configuration is needed, and wrong.
        CertificateError: There is nothing to look at.
    """
    if file is not None and conf is None:
        return file, key_file, domain or ""
    general = load(conf)[0].general
    if file is None:
        file = general.cert
        key_file = key_file or general.key
    elif general.cert is not None and file.resolve() == general.cert.resolve():
        key_file = key_file or general.key
    if file is None:
        raise CertificateError(
            "no certificate is configured (general.cert is empty); name a file to look at"
        )
    return file, key_file, general.domain if domain is None else domain


def _issuer(chain: Chain) -> str:
    return "itself" if chain.self_signed else chain.leaf.issuer.rfc4514_string()
