"""The port for plain HTTP beside HTTPS: answers ACME challenges, sends everybody else to HTTPS.

Nothing else is served there, and nothing that was asked for is kept: a page, a
credential or a WebSocket comes over TLS or not at all.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from tornado_webrtc.web.application import CoreApplication, Quiet, identifying, log_request
from tornado_webrtc.web.handler import MissingPage, PageHandler
from tornado_webrtc.web.static import ACME_CHALLENGE

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["ChallengeHandler", "RedirectHandler", "make_redirect_application"]

HTTPS_PORT = 443
MAX_CHALLENGE_BYTES = 4096

_CHALLENGE_RULE = rf"/{re.escape('/'.join(ACME_CHALLENGE))}/(.*)"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,256}")
"""A token has 128 bits of entropy at least, in the base64url alphabet (RFC 8555 section 8.3)."""

_NOT_FOLLOWING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_HOST = re.compile(r"(?P<name>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.I)
_ABSOLUTE = re.compile(r"https?://(?P<host>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))

MOVED = {"GET": 301, "HEAD": 301}
"""Other methods are repeated as they are, with their body (RFC 9110 section 15.4.9)."""


def make_redirect_application(server: Server) -> CoreApplication:
    """Build what the plain port serves.

    Args:
        server: The server, which has a certificate and listens already.
    """
    return CoreApplication(
        [(_CHALLENGE_RULE, ChallengeHandler)],
        default_handler_class=RedirectHandler,
        transforms=[identifying(server)],
        log_function=log_request,
        server=server,
    )


class RedirectHandler(MissingPage):
    """Sends everything to the same place over HTTPS; the log shows it at the level DEBUG only."""

    def prepare(self) -> None:
        """Answer, whatever the method."""
        send_on(self)


class ChallengeHandler(Quiet, PageHandler):
    """Shows a certificate authority that this server obeys its owner (RFC 8555 section 8.3)."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def prepare(self) -> None:
        """Send it to HTTPS like everything else if there is no folder for challenges."""
        if self.server.config.general.challenge_dir is None:
            send_on(self)

    def get(self, token: str) -> None:
        """Answer with what the ACME client has put there."""
        folder = self.server.config.general.challenge_dir
        content = None if folder is None else read_challenge(folder, token)
        if content is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Cache-Control", "no-store")
        self.finish(content)

    head = get


def send_on(handler: PageHandler) -> None:
    """Send a client to HTTPS: with 301 for GET and HEAD, with 308 for other methods.

    Raises:
        HTTPError: 400, if it cannot be said where that is.
    """
    server = handler.server
    target = redirect_target(handler.request, server.config.general.domain, server.port)
    if target is None:
        raise HTTPError(400)
    handler.set_status(MOVED.get(handler.request.method or "", 308))
    handler.set_header("Location", target)
    handler.clear_header("Content-Type")
    handler.finish()


def redirect_target(request: HTTPServerRequest, domain: str, port: int) -> str | None:
    """Where a request is sent.

    Args:
        request: The request.
        domain: The server's name; empty for the one that the client used.
        port: The port for HTTPS.

    Returns:
        The URL; None if the request names no host, or nothing that can be one.
    """
    target, host = request.uri or "", request.headers.get("Host", "")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:  # RFC 9112 section 3.2.2: what it names counts, not Host
        host, target = absolute["host"], absolute["rest"]
        target = target if target.startswith("/") else f"/{target}"
    named = f"[{domain}]" if ":" in domain else domain
    if not named:
        match = _HOST.fullmatch(host)
        named = match["name"] if match else ""
    if not named or not target.startswith("/"):
        return None
    place = named if port == HTTPS_PORT else f"{named}:{port}"
    return f"https://{place}{quote(target.encode('latin-1', 'replace'), safe=_PRINTABLE)}"


def read_challenge(folder: Path, token: str) -> bytes | None:
    """Read what answers a challenge.

    Args:
        folder: Holds it: either directly, or in the folders of its URL, as
            ``certbot --webroot`` makes them.
        token: The last part of the URL.

    Returns:
        The content; None if there is no such file, or none that is fit to be shown.
    """
    if _TOKEN.fullmatch(token) is None:
        return None
    for folders in (ACME_CHALLENGE, ()):
        try:
            content = _read_small_file(folder, folders, token)
        except OSError:
            continue
        if content is not None:
            return content
    return None


def _read_small_file(root: Path, folders: Sequence[str], name: str) -> bytes | None:
    """Read a regular file: no pipe, nothing large, no symbolic link anywhere below the root.

    Raises:
        OSError: It cannot be read, or there is none.
    """
    with ExitStack() as opened:

        def enter(descriptor: int) -> int:
            opened.callback(os.close, descriptor)
            return descriptor

        place = enter(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for each in folders:
            place = enter(os.open(each, _NOT_FOLLOWING | os.O_DIRECTORY, dir_fd=place))
        file = enter(os.open(name, _NOT_FOLLOWING, dir_fd=place))
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_CHALLENGE_BYTES:
            return None
        return os.read(file, MAX_CHALLENGE_BYTES)
