"""Rules that no single value can break: files that must exist, values that must fit together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import combinations
from pathlib import Path

from tornado_webrtc.paths import www_dir
from tornado_webrtc.regularfile import exposure

from .address import IPAddress, IPNetwork, ice_uri_host
from .checks import items
from .location import candidates, file_mode, is_folder
from .model import General, Plugins, Signaling, Turn
from .reach import limited_reach
from .report import Report
from .scanner import Key
from .source import Source

__all__ = ["Rules"]

MIN_SECRET_LENGTH = 16
MAX_SOCKET_PATH_BYTES = 107  # unix(7): sun_path has 108 bytes, the last one is zero
_WITHOUT_EFFECT = ("port_tls", "user_bytes_per_s", "user_bytes_per_day")
_NO_SECRET = re.compile(r"\[[^\[\]]*\]|[#;]\s.*|[A-Za-z_]\w*\s*=\s*[^=\s].*")
_MIN_PREFIX_LENGTHS = {4: 8, 6: 16}
_NEVER_BY_CHANCE = {
    ip_network("127.0.0.0/8"): "loopback (services of this machine)",
    ip_network("::1"): "loopback (services of this machine)",
    ip_network("169.254.0.0/16"): "link-local addresses (metadata of clouds)",
    ip_network("fe80::/10"): "link-local addresses (neighbours of this machine)",
}
_CERT_HINT = (
    "`tornado-webrtc cert make` makes a certificate to try things out with;"
    " leave cert and key empty for plain HTTP, behind a proxy for example."
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Judges sections whose single values are right.

    Attributes:
        source: What was written.
        report: Takes problems and warnings.
    """

    source: Source
    report: Report

    def html_root(self, written: Path | None) -> Path:
        """Choose the folder of static files: the packaged page if there is no other."""
        if written and not is_folder(written):
            missing = self._missing(("general", "html_root"), "folder")
            self.report.warn(
                ("general", "html_root"), f"{missing}; the packaged page is served instead"
            )
        return written if written and is_folder(written) else www_dir()

    def state_dir(self, written: Path | None, from_service_manager: str) -> Path:
        """Choose the folder of the server's own files; it need not exist yet.

        Args:
            written: The setting.
            from_service_manager: `$STATE_DIRECTORY` (systemd.exec(5)): paths between colons.

        Returns:
            The setting; else the first of those paths; else `state` beside the file.
        """
        given = from_service_manager.partition(":")[0]
        beside = self.source.path.parent if self.source.path else Path()
        chosen = written or (Path(given) if given else beside / "state")
        if file_mode(chosen) is not None:
            self.report.problem(("general", "state_dir"), f"{chosen} is a file; a folder is needed")
        return chosen

    def socket(self, written: str, state_dir: Path) -> Path | None:
        """Choose the operator's socket: none if nobody asked for a path that is too long.

        Args:
            written: The setting; a relative path is seen from the state directory.
            state_dir: The state directory.
        """
        key = ("admin", "socket")
        if not written:
            return None
        if len(os.fsencode(state_dir / written)) <= MAX_SOCKET_PATH_BYTES:
            return Path(written)
        limit = f"a socket's path has at most {MAX_SOCKET_PATH_BYTES} bytes"
        if self.source.text(key):
            self.report.problem(key, f"{limit}; {state_dir / written} is longer")
        else:
            message = f"{limit}, {state_dir / written} is longer: there is no socket for operators"
            self.report.warn(key, message, "Set [admin] socket to a shorter path.")
        return None

    def plugins(self, plugins: Plugins) -> Plugins:
        """Plugin folders exist, and no plugin is wanted and unwanted at once.

        Args:
            plugins: The section.

        Returns:
            The section with the folders that exist.
        """
        key = ("plugins", "path")
        written = () if self._is_wrong(*key) else items(self.source.text(key))
        for text, folder in zip(written, plugins.path, strict=True):
            if not is_folder(folder):
                self.report.problem(key, self._nothing_at(text, "folder"))
        for name in sorted({*plugins.required} & {*plugins.disabled}):
            self.report.problem(
                ("plugins", "required"),
                f"{name} is required and disabled",
                "Take it out of one of the two lists.",
            )
        for name in sorted({*plugins.enabled} & {*plugins.disabled}):
            message = f"{name} is enabled and disabled; it will not run"
            self.report.warn(("plugins", "disabled"), message)
        return replace(plugins, path=tuple(filter(is_folder, plugins.path)))

    def judge(self, general: General, signaling: Signaling, turn: Turn, *, relays: bool) -> None:
        """Apply the rules about everything but plugins.

        Args:
            general: The section.
            signaling: The section.
            turn: The section.
            relays: Whether the TURN server is to run, and clients are told where.
        """
        self._certificate(general)
        self._redirect(general)
        self._challenges(general, turn)
        self._ports(general, turn)
        self._queue(signaling)
        self._reach(general, turn, relays=relays)
        self._peers(turn)
        self._effect(turn)
        self._secrets(turn)

    def _certificate(self, general: General) -> None:
        for name, path, other in (
            ("cert", general.cert, "key"),
            ("key", general.key, "cert"),
        ):
            missing_other = path and not getattr(general, other)
            if missing_other and not self._is_wrong("general", other):
                message = f"{name} is set, {other} is not; both are needed for TLS"
                self.report.problem(("general", name), message, _CERT_HINT)
            if path and file_mode(path) is None:
                missing = self._missing(("general", name), "file")
                self.report.problem(("general", name), missing, _CERT_HINT)

    def _redirect(self, general: General) -> None:
        port, folder = ("general", "redirect_port"), ("general", "challenge_dir")
        if general.redirect_port is None:
            if general.challenge_dir and not self._is_wrong(*port):
                self.report.warn(folder, "redirect_port is not set; nobody is shown what is there")
        elif not (general.cert or self._is_wrong("general", "cert")):
            self.report.problem(port, "general.cert and general.key are needed for it", _CERT_HINT)
        if general.challenge_dir and not is_folder(general.challenge_dir):
            self.report.problem(folder, self._missing(folder, "folder"))

    def _challenges(self, general: General, turn: Turn) -> None:
        """Everybody may ask for what is in the folder of challenges: nothing else is there."""
        if not general.challenge_dir:
            return
        shown = os.path.realpath(general.challenge_dir)
        secret = {
            "the configuration": self.source.path,
            "general.key": general.key,
            "turn.secret_file": turn.secret_file,
            "turn.users_file": turn.users_file,
        }
        places = [
            (name, place)
            for name, path in secret.items()
            if path
            for place in (path.parent, Path(os.path.realpath(path)).parent)
        ]
        places.append(("general.state_dir", general.state_dir))
        for name, place in places:
            if os.path.commonpath((shown, os.path.realpath(place))) == shown:
                message = f"everybody may read what is in {shown}, and {name} is in there"
                hint = "Use a folder for nothing else, acme for example."
                self.report.problem(("general", "challenge_dir"), message, hint)
                return

    def _ports(self, general: General, turn: Turn) -> None:
        tls = ("turn", "port_tls")
        if turn.port_tls is not None and not (general.cert or self._is_wrong("general", "cert")):
            self.report.problem(tls, "general.cert and general.key are needed for it", _CERT_HINT)
        listeners: list[tuple[Key, int | None, Sequence[str]]] = [
            (("general", "port"), general.port, general.bind),
            (("general", "redirect_port"), general.redirect_port, general.bind),
            (("turn", "port_tcp"), turn.port_tcp, turn.bind),
            (tls, turn.port_tls, turn.bind),
        ]
        for (first, port, bind), (second, other_port, other_bind) in combinations(listeners, 2):
            both_right = not (self._is_wrong(*first) or self._is_wrong(*second))
            if port and port == other_port and both_right and _overlap(bind, other_bind):
                blamed, taken_by = (second, first) if self.source.text(second) else (first, second)
                message = f"TCP port {port} is that of {'.'.join(taken_by)} on the same address"
                self.report.problem(blamed, message, "Change one of the two.")

    def _queue(self, signaling: Signaling) -> None:
        keys = [("signaling", name) for name in ("send_queue_bytes", "max_message_bytes")]
        if any(self._is_wrong(*key) for key in keys):
            return
        if signaling.send_queue_bytes < signaling.max_message_bytes:
            blamed = next((key for key in keys if self.source.text(key)), keys[0])
            message = (
                f"send_queue_bytes ({signaling.send_queue_bytes}) is smaller than"
                f" max_message_bytes ({signaling.max_message_bytes}):"
                " the largest message would not fit into the queue"
            )
            self.report.problem(blamed, message)

    def _reach(self, general: General, turn: Turn, *, relays: bool) -> None:
        for address in turn.public_ip if relays else ():
            self._warn_about_reach(("turn", "public_ip"), str(address.public))
        for host in dict.fromkeys(map(ice_uri_host, turn.uris)):
            self._warn_about_reach(("turn", "uris"), host)
        if relays and general.cert and general.domain:
            self._warn_about_reach(("general", "domain"), general.domain)

    def _warn_about_reach(self, key: Key, text: str) -> None:
        address = ip_address("127.0.0.1") if text == "localhost" else _as_ip(text)
        if address and (words := limited_reach(address)):
            self.report.warn(key, f"clients are told to connect to {text}, {words}")

    def _peers(self, turn: Turn) -> None:
        for network in turn.allow_peers:
            if opened := _opened_by_chance(network):
                message = f"{network} is so wide that it also opens {opened}"
                hint = "Name only the networks in which the peers are."
                self.report.warn(("turn", "allow_peers"), message, hint)

    def _effect(self, turn: Turn) -> None:
        without = Turn()
        for name in _WITHOUT_EFFECT:
            if getattr(turn, name) != getattr(without, name):
                self.report.warn(("turn", name), "this key does nothing in this version")

    def _secrets(self, turn: Turn) -> None:
        for name, secrets in (
            ("secret", turn.secret),
            ("secret_file", _lines(turn.secret_file)),
        ):
            if any(len(secret) < MIN_SECRET_LENGTH for secret in secrets):
                message = f"a secret of fewer than {MIN_SECRET_LENGTH} characters can be guessed"
                self.report.warn(("turn", name), message)
        self._contents(turn.secret_file)
        for name, path in (("secret_file", turn.secret_file), ("users_file", turn.users_file)):
            if path and file_mode(path) is None:
                self.report.problem(("turn", name), self._missing(("turn", name), "file"))
            elif path and (found := exposure(path)):
                self.report.warn(("turn", name), found.message, found.advice)

    def _contents(self, secret_file: Path | None) -> None:
        doubtful = [line for line in _lines(secret_file) if _NO_SECRET.fullmatch(line)]
        if doubtful:
            message = (
                f"{secret_file} holds what looks like configuration or comments;"
                " each of its lines is taken for a secret"
            )
            self.report.warn(("turn", "secret_file"), message)

    def _is_wrong(self, *key: str) -> bool:
        """Tell whether the value is a default only because what was written is wrong."""
        return self.report.is_wrong(*key)

    def _missing(self, key: Key, kind: str) -> str:
        return self._nothing_at("".join(items(self.source.text(key))), kind)

    def _nothing_at(self, text: str, kind: str) -> str:
        first, *second = candidates(text, self.source.path)
        elsewhere = f", nor {second[0]} in the working directory" if second else ""
        return f"there is no {kind} {first}{elsewhere}"


def _lines(file: Path | None) -> list[str]:
    """Return the lines of a file that are not blank; whoever uses it says what is wrong with it."""
    try:
        text = file.read_text(encoding="utf-8") if file and file_mode(file) is not None else ""
    except (OSError, UnicodeDecodeError):
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _opened_by_chance(network: IPNetwork) -> str:
    """Say what is in a network that was hardly meant; empty if it is narrow enough."""
    opened = [
        words
        for each, words in _NEVER_BY_CHANCE.items()
        if each.network_address in network and network.prefixlen < each.prefixlen
    ]
    if network.prefixlen < _MIN_PREFIX_LENGTHS[network.version]:
        opened.append("whatever else this machine has in it")
    return ", ".join(opened)


def _overlap(bind: Iterable[str], other: Sequence[str]) -> bool:
    return any(_same(one, two) or _same(two, one) for one in bind for two in other)


def _same(one: str, two: str) -> bool:
    """Tell whether a listener on the first address also takes connections to the second."""
    address, other = _as_ip(one), _as_ip(two)
    if address is None or not address.is_unspecified:
        return one == two
    return other is None or address.version == other.version


def _as_ip(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
