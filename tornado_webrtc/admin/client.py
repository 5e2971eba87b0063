"""Talks to a server through its admin socket; for commands, not for the server itself."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tornado_webrtc.errors import AdminError, ConfigError, Problem, UnavailableError

__all__ = ["AdminClient", "RefusedConfigError"]

TIMEOUT_S = 30.0


class RefusedConfigError(ConfigError):
    """A server does not take its configuration over.

    Attributes:
        answer: All of what it answered.
    """

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__([Problem(**each) for each in answer["problems"]])
        self.answer = answer


class AdminClient:
    """One server's socket; each request is a connection of its own.

    Args:
        path: The socket.
        timeout_s: How long the server may take for an answer.
    """

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s

    def get(self, *steps: str) -> dict[str, Any]:
        """Ask for ``/STEP/STEP``; see `request`."""
        return self.request("GET", _path(steps))

    def end(self, *steps: str, reason: str = "") -> dict[str, Any]:
        """End ``/COLLECTION/ID``; see `request`."""
        query = f"?{urlencode({'reason': reason})}" if reason else ""
        return self.request("DELETE", _path(steps) + query)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        more_s: float = 0.0,
        waits_for: str = "",
    ) -> dict[str, Any]:
        """Ask for something, and wait for the answer.

        Args:
            method: The HTTP method.
            path: With all that is in it percent-encoded.
            body: Sent as JSON; nothing is if it is None.
            more_s: How much longer than usual the answer may take.
            waits_for: Why that is, in words.

        Raises:
            UnavailableError: No server listens there.
            RefusedConfigError: The server's configuration has problems.
            AdminError: Everything else that is not as it was asked for.
        """
        content = None if body is None else json.dumps(body).encode()
        timeout_s = self._timeout_s + more_s
        connection = _UnixConnection(self.path, timeout_s)
        try:
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        except TimeoutError as error:
            reason = f"the server does not answer within {timeout_s:g} s"
            reason += f", while it waits for {waits_for}" if waits_for else ""
            raise AdminError(f"{reason} ({self.path})") from error
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(f"the server broke off ({self.path}): {error!r}") from error
        finally:
            connection.close()
        return _answer(response.status, answer, self.path)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Connect; what goes wrong is said in words."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        try:
            self.sock.connect(str(self._path))
        except FileNotFoundError:
            raise _nobody(self._path, "there is no such socket") from None
        except ConnectionRefusedError:
            if not self._path.is_socket():
                raise AdminError(f"{self._path} is no socket") from None
            raise _nobody(self._path, "the server that made it is gone") from None
        except PermissionError:
            raise AdminError(
                f"you may not use {self._path}; be the server's user, or root: try sudo"
            ) from None
        except (TimeoutError, BlockingIOError):
            raise AdminError(f"the server is too busy to answer ({self._path})") from None
        except OSError as error:
            reason = error.strerror or str(error)  # a path that is too long has no number
            raise AdminError(f"{self._path} cannot be used: {reason}") from error


def _nobody(path: Path, why: str) -> UnavailableError:
    return UnavailableError(
        f"no server listens on {path.absolute()} ({why}).\n"
        "  Is it running? If so, name its configuration with --conf FILE, or its socket with\n"
        "  --socket PATH: it logs the path when it starts. A service of systemd has it in its\n"
        "  StateDirectory, for example /var/lib/tornado-webrtc/admin.sock."
    )


def _path(steps: tuple[str, ...]) -> str:
    return "".join(f"/{quote(step, safe='')}" for step in steps)


def _answer(status: int, content: bytes, path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise AdminError(f"{path} does not answer as tornado-webrtc does ({status})", status=status)
    if http.client.OK <= status < http.client.MULTIPLE_CHOICES:
        return answer
    try:
        if "problems" in answer:
            raise RefusedConfigError(answer)
        reason, code = str(answer["error"]["reason"]), str(answer["error"]["code"])
    except (TypeError, KeyError):
        reason, code = f"{path} answered {status}", ""
    raise AdminError(reason, status=status, code=code)
