"""Who may use the TURN server: time-limited credentials, and users from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tornado_webrtc.config import Turn
from tornado_webrtc.credential import expiry_of, password_for
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import TurnCredential

__all__ = ["CredentialSource", "peer_id_of", "read_users"]


def peer_id_of(username: str) -> str | None:
    """The id of the peer that a time-limited name is for; None if it is a name of another kind.

    Clients ask `/api/turn` for a credential under the id that they sign in with.
    """
    name = username.partition(":")[2]
    return None if expiry_of(username) is None else name


def read_users(path: Path) -> dict[str, str]:
    """Read a file of fixed users, ``name:password`` a line.

    Raises:
        PluginError: If it cannot be read, or a line is wrong; passwords are not shown.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError("turn", f"users_file {path} cannot be read: {error}") from error
    users = {}
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        if not entry or entry.startswith(("#", ";")):
            continue
        name, colon, password = entry.partition(":")
        if not (name and colon and password):
            raise PluginError("turn", f"{path}, line {number}: expected name:password")
        if name != name.rstrip() or password != password.lstrip():
            raise PluginError(
                "turn", f"{path}, line {number}: there are spaces around the colon; take them out"
            )
        if name in users:
            raise PluginError("turn", f"{path}, line {number}: the name {name!r} is there already")
        users[name] = password
    return users


class CredentialSource:
    """Finds the password of a user name, without asking anybody.

    Args:
        settings: The `[turn]` section.
        secrets: The first one mints credentials, all of them verify.

    Attributes:
        users: The fixed users: names and passwords.

    Raises:
        PluginError: If the users' file cannot be used.
    """

    def __init__(self, settings: Turn, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)
        self.users = read_users(settings.users_file) if settings.users_file else {}

    def find(self, username: str) -> list[TurnCredential]:
        """The credentials that a name may stand for; empty if nobody knows it.

        A time-limited name has one for each secret: while a secret is being
        replaced, any of them may have made it.
        """
        if username in self.users:
            return [TurnCredential(password=self.users[username], user=username)]
        expires_at = expiry_of(username)
        if expires_at is None:
            return []
        user = username.partition(":")[2]
        return [
            TurnCredential(
                password=password_for(secret, username), user=user, expires_at=expires_at
            )
            for secret in self._secrets
        ]
