"""Commands for a server that runs: they talk to its admin socket."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tornado_webrtc.admin.client import AdminClient, RefusedConfigError
from tornado_webrtc.ban import client_network, split_id
from tornado_webrtc.collection import CORE_COLLECTIONS, RESERVED
from tornado_webrtc.commands.option import conf_option, conf_path, json_option, reports_errors
from tornado_webrtc.commands.overview import collection as collection_text
from tornado_webrtc.commands.overview import counted, overview
from tornado_webrtc.commands.overview import entry as entry_text
from tornado_webrtc.commands.words import DURATION, duration, plain, unescaped
from tornado_webrtc.config import Draft
from tornado_webrtc.errors import AdminError, BanError
from tornado_webrtc.hooks import CHECK_TIMEOUT_S

__all__ = ["COMMANDS"]

NOT_STORED = "could not be stored: a restart {} it. The server's log says why."
INHERITED = "INHERITED"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", INHERITED)
POLL_S = 1.0
NOT_FOUND = 404
NO_COLLECTIONS = RESERVED - {"bans", "plugins"}
MAX_NAMESAKES = 5

_NOBODY = {
    "ip": "nobody from there is here now",
    "peer": "nobody of that id is here now",
    "user": "nobody of that name is here now",
}

reason_option = click.option("--reason", default="", help="Why; whoever is concerned is told.")


@dataclass(frozen=True, slots=True)
class Remote:
    """The running server that a command is for, and how the answer is shown.

    Attributes:
        conf: The configuration that it runs with.
        socket: Its socket, if that was named.
        as_json: Whether the answer is for a program.
    """

    conf: Path | None
    socket: Path | None
    as_json: bool

    def client(self) -> AdminClient:
        """How to talk to it."""
        socket = self.socket or Draft.read(self.conf).admin_socket
        if socket is None:
            where = self.conf or "the environment"
            raise AdminError(f"a server of {where} has no socket: [admin] socket is empty")
        return AdminClient(socket)

    def say(self, answer: Mapping[str, Any], text: Callable[[], str]) -> None:
        """Print an answer, as a text unless it is for a program."""
        click.echo(json.dumps(answer, indent=2) if self.as_json else text())


def for_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its `Remote`, and the options that say which one that is."""

    @conf_option
    @click.option(
        "--socket",
        type=click.Path(path_type=Path),
        envvar="TORNADO_WEBRTC_SOCKET",
        metavar="PATH",
        help="The server's socket; without it, that of the configuration.",
    )
    @json_option
    @click.pass_context
    @reports_errors
    @functools.wraps(command)
    def wrapper(
        context: click.Context,
        /,
        conf: Path | None,
        socket: Path | None,
        as_json: bool,
        **arguments: Any,
    ) -> None:
        command(Remote(conf_path(context, conf), socket, as_json), **arguments)

    return wrapper


@click.command(short_help="What a running server is doing.")
@click.argument("collection", required=False)
@click.argument("entry_id", metavar="[ID]", required=False)
@for_server
def status(
    server: Remote,
    collection: str | None,
    entry_id: str | None,
) -> None:
    """Show what a running server is doing.

    COLLECTION lists peers, sessions, allocations, plugins or bans, or what a plugin
    adds; ID shows all that is known of one of them.
    """
    if collection in NO_COLLECTIONS:
        raise click.BadParameter(f"{collection!r} is no collection", param_hint="COLLECTION")
    client = server.client()
    if collection is None:
        answer = client.get("status")
        server.say(answer, lambda: overview(answer))
    elif entry_id is None:
        answer = client.get(collection)
        server.say(answer, lambda: collection_text(collection, answer[collection]))
    else:
        with _naming_others(client, collection, wanted := unescaped(entry_id)):
            answer = client.get(collection, wanted)
        server.say(answer, lambda: entry_text(answer))


@click.command(short_help="Remove a peer from a running server, or end a call.")
@click.argument("entry_id", metavar="ID")
@click.option("--ban", "ban_s", type=DURATION, metavar="TIME", help="Ban it, too: 90, 10m, 2h, 7d.")
@click.option(
    "--by",
    type=click.Choice(["ip", "peer", "user"]),
    help="What is banned; by default the user, or the address of who is not authenticated.",
)
@click.option(
    "--of",
    "collection",
    default="peers",
    metavar="COLLECTION",
    help="Where it is, if not in peers.",
)
@reason_option
@for_server
def kick(
    server: Remote,
    entry_id: str,
    ban_s: float | None,
    by: str | None,
    collection: str,
    reason: str,
) -> None:
    """Remove the peer ID from a running server.

    With --of sessions or --of allocations: end that call or that allocation.
    """
    if by and ban_s is None:
        raise click.UsageError("--by says what --ban bans; say how long with --ban.")
    client = server.client()
    entry_id = unescaped(entry_id)
    answer: dict[str, Any] = {"ended": entry_id}
    if ban_s is None:
        with _naming_others(client, collection, entry_id):
            client.end(collection, entry_id, reason=reason)
        server.say(answer, lambda: f"{plain(entry_id)} is removed")
        return
    with _naming_others(client, collection, entry_id):
        entry = client.get(collection, entry_id)
    try:
        answer["ban"] = _ban(client, *_whom_to_ban(entry, by), ban_s, reason)
    except AdminError as error:
        reason = f"{str(error).rstrip('.')}.\n{plain(entry_id)} is not removed"
        raise AdminError(reason, status=error.status, code=error.code) from error
    try:
        client.end(collection, entry_id, reason=reason)
    except AdminError as error:
        if error.status != NOT_FOUND:  # the ban ended it already
            raise
    text = f"{plain(entry_id)} is removed\n{_ban_text(answer['ban'])}"
    server.say(answer, lambda: text)


@click.command(short_help="Keep somebody away from a running server.")
@click.argument("what")
@click.option("--for", "for_s", type=DURATION, metavar="TIME", help="How long: 90, 10m, 2h, 7d.")
@reason_option
@for_server
def ban(
    server: Remote,
    what: str,
    for_s: float | None,
    reason: str,
) -> None:
    """Keep somebody away, and end what they have now.

    WHAT is ip:203.0.113.7, ip:203.0.113.0/24, peer:ID or user:NAME. Without --for
    it is for ever, or until `unban`; a restart does not end it.
    """
    kind, value = _split(what)
    answer = _ban(server.client(), kind, value, for_s, reason)
    server.say(answer, lambda: _ban_text(answer, _NOBODY[kind]))


@click.command(short_help="Take a ban back.")
@click.argument("what")
@for_server
def unban(server: Remote, what: str) -> None:
    """Take a ban back; WHAT is as `status bans` lists it."""
    ban_id = ":".join(_split(what))
    answer = server.client().end("bans", ban_id)
    stored = "" if answer.get("stored", True) else f"\nThat {NOT_STORED.format('undoes')}"
    server.say(answer, lambda: f"{plain(ban_id)} is not banned any more{stored}")


@click.command(short_help="Stop a running server without cutting calls off.")
@click.option("--seconds", type=DURATION, metavar="TIME", help="How long calls may go on.")
@click.option("--wait", is_flag=True, help="Return only when that is over.")
@for_server
def drain(
    server: Remote,
    seconds: float | None,
    wait: bool,
) -> None:
    """Let a running server take nothing new, and stop when nothing is left.

    No clients, calls or allocations are taken any more; those that are there go on,
    for at most as long as --seconds says, or [general] drain_s. Then the server ends.
    """
    client = server.client()
    answer = client.request("POST", "/drain", {"seconds": seconds})
    if not wait:
        server.say(answer, lambda: _drain_text(answer))
        return
    answer["left"] = _wait_drained(client, answer)
    server.say(answer, lambda: _drained_text(answer))


@click.command(short_help="Let a running server read its configuration again.")
@for_server
def reload(server: Remote) -> None:
    """Let a running server read its configuration and certificate again.

    If anything is wrong with the configuration, nothing is changed, and the problems
    are listed: exit status 78. A certificate that cannot be used is not taken, the one
    in use stays: exit status 1. What is doubtful goes to standard error.

    It waits for the plugins that check their files: each may take 30 seconds.
    """
    client = server.client()
    running = client.get("plugins")["plugins"]
    checking = [plain(each["id"]) for each in running if "check" in each["hooks"]]
    more_s = len(checking) * CHECK_TIMEOUT_S * 2  # one more reload may be under way
    names = f"the checks of {', '.join(checking)}" if checking else ""
    try:
        answer = client.request("POST", "/reload", more_s=more_s, waits_for=names)
    except RefusedConfigError as error:
        if server.as_json:
            click.echo(json.dumps(error.answer, indent=2))
        raise
    server.say(answer, lambda: _reload_text(answer))
    _complain(answer)


@click.command("log-level", short_help="How much a running server logs.")
@click.argument("level", type=click.Choice(LEVELS, case_sensitive=False))
@click.argument("logger", default="")
@for_server
def log_level(
    server: Remote,
    level: str,
    logger: str,
) -> None:
    """Change how much a running server logs, until it is started again.

    LOGGER is one part of it, tornado_webrtc.access for example; without it, all
    of them. INHERITED takes a LOGGER's own level away again.
    """
    if level.upper() == INHERITED and not logger:
        raise click.UsageError(f"{INHERITED} takes a LOGGER's own level away; say of which one.")
    body = {"level": level.upper(), "logger": logger}
    answer = server.client().request("PUT", "/log-level", body)
    name = plain(answer["logger"]) or "everything"
    text = f"log level of {name}: {answer['level']}, was {answer['before']}"
    server.say(answer, lambda: text)


COMMANDS: tuple[click.Command, ...] = (status, kick, ban, unban, drain, reload, log_level)


@contextlib.contextmanager
def _naming_others(client: AdminClient, collection: str, entry_id: str) -> Iterator[None]:
    """Of what is not there, name those of the same id in rooms: they are ``ROOM/ID``."""
    try:
        yield
    except AdminError as error:
        if error.status != NOT_FOUND or collection not in CORE_COLLECTIONS:
            raise
        ids = [str(each["id"]) for each in client.get(collection)[collection]]
        found = [plain(each) for each in ids if each.partition("/")[2] == entry_id]
        if not found:
            raise
        more = f" and {len(found) - MAX_NAMESAKES} more" if len(found) > MAX_NAMESAKES else ""
        reason = f"{error} In a room there is {', '.join(found[:MAX_NAMESAKES])}{more}."
        raise AdminError(reason, status=error.status, code=error.code) from error


# --- bans ---------------------------------------------------------------------


def _split(what: str) -> tuple[str, str]:
    try:
        return split_id(unescaped(what))
    except BanError as error:
        raise click.BadParameter(str(error), param_hint="WHAT") from None


def _whom_to_ban(entry: Mapping[str, Any], by: str | None) -> tuple[str, str]:
    """What of a peer or an allocation is banned: see the help of ``--by``."""
    user = entry.get("subject") or (entry.get("user") if by == "user" else None)
    address = entry.get("remote_ip")
    if by == "peer":
        return "peer", _peer_id(entry)
    if by == "user" or (by is None and user):
        if not user:
            raise AdminError("it is not authenticated, so it is no user; say --by ip or --by peer")
        return "user", user
    if not address:
        raise AdminError("it has no address of its own; ban one of its peers instead")
    network = client_network(address)
    if by is None and _is_this_machine(network):
        raise AdminError(
            f"it comes from {network}, this machine itself: perhaps a proxy, and then all do. "
            "Say --by peer, or --by ip if that is what you want"
        )
    return "ip", network


def _peer_id(entry: Mapping[str, Any]) -> str:
    """The id that a peer signs in with, of its entry or of that of its allocation."""
    if not (peer_id := entry.get("peer_id")):
        raise AdminError("it belongs to no one peer; say --by ip or --by user, or kick a peer")
    return str(peer_id)


def _is_this_machine(network: str) -> bool:
    return network.startswith(("127.", "::/"))


def _ban(
    client: AdminClient, kind: str, value: str, seconds: float | None, reason: str
) -> dict[str, Any]:
    return client.request("POST", "/bans", {kind: value, "seconds": seconds, "reason": reason})


def _ban_text(answer: Mapping[str, Any], nobody: str = "") -> str:
    """What a ban did; `nobody` is said if it ended nothing."""
    how_long = "for ever" if answer["left_s"] is None else f"for {duration(answer['left_s'])}"
    ended = _counts(answer["ended"])
    lines = [f"{plain(answer['id'])} is banned {how_long}"]
    if ended or nobody:
        lines.append(f"ended: {ended}" if ended else nobody)
    if not answer["stored"]:
        lines.append(f"The ban {NOT_STORED.format('ends')}")
    return "\n".join(lines)


# --- drain and reload -----------------------------------------------------------


def _wait_drained(client: AdminClient, answer: Mapping[str, Any]) -> dict[str, int]:
    """Wait until nothing is left, the server is gone, or the time is up; say what was left."""
    left: dict[str, int] = dict(answer["left"])
    deadline = time.monotonic() + answer["seconds"]
    while any(left.values()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
        try:
            counts = client.get("status")["collections"]
        except AdminError:  # it is gone: because nothing was left, or the time was up
            return left if time.monotonic() > deadline - POLL_S else {}
        left = {name: counts.get(name) or 0 for name in left}
    return left


def _drain_text(answer: Mapping[str, Any]) -> str:
    left = _counts(answer["left"])
    if not left:
        return "the server takes nothing new, and nothing is left: it stops"
    limit = duration(answer["seconds"])
    return f"the server takes nothing new; left: {left}; it stops then, or after {limit}"


def _drained_text(answer: Mapping[str, Any]) -> str:
    left = _counts(answer["left"])
    return f"the time was up; left: {left}" if left else "nothing is left, the server stops"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(counted(count, plain(name)) for name, count in counts.items() if count)


def _reload_text(answer: Mapping[str, Any]) -> str:
    lines = []
    if answer["applied"]:
        lines.append(f"applied: {', '.join(answer['applied'])}")
    if answer["certificate"]:
        lines.append("applied: a new certificate")
    if answer["needs_restart"]:
        lines.append(f"changed, but needs a restart: {', '.join(answer['needs_restart'])}")
    if answer["certificate_error"]:
        lines.append("not applied: the certificate")
    return "\n".join(lines) or "nothing has changed"


def _complain(answer: Mapping[str, Any]) -> None:
    """Say what a reload leaves to be desired; a certificate that is not taken is an error."""
    for warning in answer["warnings"]:
        text = "\n".join(map(plain, warning.splitlines()))
        click.echo(f"warning: {text}", err=True)
    if why := answer["certificate_error"]:
        raise AdminError(f"{plain(why)}; the certificate in use stays")
