"""`tornado-webrtc init`: a folder with everything a first start needs."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tornado_webrtc.certificate import machine_names, write_certificate
from tornado_webrtc.config import parse_bind_address, parse_host
from tornado_webrtc.errors import ConfigError, Problem, TornadoWebrtcError
from tornado_webrtc.paths import conf_dir
from tornado_webrtc.state import write_file

__all__ = ["Scaffold", "make_folder", "set_keys"]

_EXAMPLE = "#   tornado-webrtc --conf conf/server.ini\n"
_PROMISE = "# Nothing has to be set: as it stands, this file gives plain HTTP on port 8086.\n"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What `make_folder` made.

    Attributes:
        conf: The configuration file.
        secret: The file with the TURN secret, mode 0600.
        cert: The development certificate, None without TLS.
        key: Its key, mode 0600, None without TLS.
        names: The names and addresses that the certificate is for.
    """

    conf: Path
    secret: Path
    cert: Path | None
    key: Path | None
    names: tuple[str, ...]


def make_folder(
    folder: Path,
    *,
    domain: str = "",
    port: int | None = None,
    bind: Sequence[str] = (),
    tls: bool = True,
) -> Scaffold:
    """Make a ready configuration with a random secret and a development certificate.

    Args:
        folder: Made if it is missing; files in it are never overwritten.
        domain: The public name of the server, if it has one.
        port: Another port than the default.
        bind: Other addresses than the default.
        tls: Whether to make a certificate; without one it is plain HTTP.

    Raises:
        ConfigError: If a name or address is not one.
        CertificateError: If the certificate cannot be made.
        TornadoWebrtcError: If the folder has such files already, or cannot be written.
    """
    _check("domain", parse_host, [domain] if domain else [])
    _check("bind", parse_bind_address, bind)
    conf, secret = folder / "server.ini", folder / "secret"
    cert, key = folder / "certs" / "cert.pem", folder / "certs" / "key.pem"
    taken = [path for path in (conf, secret, *((cert, key) if tls else ())) if path.exists()]
    if taken:
        found = ", ".join(path.name for path in taken)
        raise TornadoWebrtcError(
            f"{folder} has {found} already; nothing was changed, use another folder"
        )
    values = {("turn", "secret_file"): "secret"}
    if tls:
        values |= {("general", "cert"): "certs/cert.pem", ("general", "key"): "certs/key.pem"}
    if domain:
        values["general", "domain"] = domain
    if port is not None:
        values["general", "port"] = str(port)
    if bind:
        values["general", "bind"] = ", ".join(bind) + ("," if len(bind) == 1 else "")
    names = tuple(dict.fromkeys([*([domain] if domain else []), *machine_names()]))
    reference = (conf_dir() / "server.ini").read_text(encoding="utf-8")
    text = _header(set_keys(reference, values), conf, tls=tls)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if tls:
            write_certificate(cert, key, names)  # first: it may refuse the domain
        write_file(secret, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
        write_file(conf, text.encode(), mode=0o644)
    except OSError as error:
        raise TornadoWebrtcError(f"{folder} cannot be written: {error.strerror}") from error
    return Scaffold(conf, secret, cert if tls else None, key if tls else None, names if tls else ())


def _check(key: str, parse: Callable[[str], str], values: Sequence[str]) -> None:
    """Refuse what the configuration would refuse, in its words."""
    for value in values:
        try:
            parse(value)
        except ValueError as error:
            message = f"found {value!r}; allowed is {error}"
            raise ConfigError([Problem(f"general.{key}", message)]) from None


def _header(text: str, conf: Path, *, tls: bool) -> str:
    """Let the comment at the top be about the file that was made."""
    served = "HTTPS with a development certificate" if tls else "plain HTTP"
    for before, after in (
        (_EXAMPLE, f"#   tornado-webrtc --conf {shlex.quote(str(conf))}\n"),
        (_PROMISE, f"# It was made by `tornado-webrtc init`, and gives {served}.\n"),
    ):
        if before not in text:
            raise ValueError(f"not in the reference configuration: {before!r}")
        text = text.replace(before, after, 1)
    return text


def set_keys(reference: str, values: Mapping[tuple[str, str], str]) -> str:
    """Give keys of the reference configuration a value, where they stand commented out.

    Args:
        reference: `conf/server.ini`: each key once, as ``#key = default``.
        values: By section and key.

    Raises:
        KeyError: If the reference does not have a key.
    """
    section = ""
    lines = reference.splitlines(keepends=True)
    missing = dict(values)
    for number, line in enumerate(lines):
        if header := re.match(r"\[(\w+)\]", line):
            section = header[1]
        elif (entry := re.match(r"#(\w+) =", line)) and (section, entry[1]) in missing:
            lines[number] = f"{entry[1]} = {missing.pop((section, entry[1]))}\n"
    if missing:
        raise KeyError(f"not in the reference configuration: {sorted(missing)}")
    return "".join(lines)
