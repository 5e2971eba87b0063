"""What the README and the guides say is true: commands, links, codes, numbers."""

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tornado_webrtc import hookspecs
from tornado_webrtc.cli import main
from tornado_webrtc.config import Config, General, Signaling, Turn
from tornado_webrtc.hooks import (
    Denied,
    IceServer,
    Identity,
    Refused,
    StreamProtocol,
    TurnCredential,
)
from tornado_webrtc.server import Server
from tornado_webrtc.signaling import Peer, Session
from tornado_webrtc.turn.policy import PeerPolicy
from tornado_webrtc.turn.settings import TurnSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TURN = (ROOT / "docs" / "turn.md").read_text()
PLUGINS = (ROOT / "docs" / "plugins.md").read_text()
HTTP = (ROOT / "docs" / "http.md").read_text()
SIGNALING = (ROOT / "docs" / "signaling.md").read_text()


def shell_lines(page: Path) -> Iterator[str]:
    """Every command line that a page shows."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            command = line.partition("#")[0].strip()
            if command:
                yield command


def links(text: str) -> list[tuple[str, str]]:
    """Every link to a file of this repository, or into the page itself: file and anchor."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [
        (target.partition("#")[0], target.partition("#")[2])
        for target in targets
        if not re.match(r"[a-z]+:", target)
    ]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_are_made_as_code_hosts_do() -> None:
    text = "# A `b_c(d)`, e\n```\n# no heading\n```\n## `GET /x`\n## Let's Encrypt\n"
    assert anchors(text) == {"a-b_cd-e", "get-x", "lets-encrypt"}


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix().replace("/", "-")
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in links(page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_every_page_of_the_docs_is_in_both_maps() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md", "index.md"}
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\* \[[^]]+\]\(([a-z-]+\.md)\): \S", index, re.MULTILINE)
    assert sorted(lines) == sorted(pages), "one line for each page"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(docs/([a-z-]+\.md)\)", readme)) == pages


def test_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (`[a-z`, -]+`) \|", text, re.MULTILINE)
    named = {name for row in listed for name in re.findall(r"`([a-z -]+)`", row)}
    assert {name.split()[0] for name in named} == set(main.commands)


def test_contributing_names_the_libraries_that_are_covered() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (libraries,) = re.findall(r"^LIBRARIES := (.+)$", makefile, re.MULTILINE)
    said = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\* (`signaling`.*) are covered by", said, re.MULTILINE)
    assert re.findall(r"`(\w+)`", line) == libraries.split()


def test_extra_that_nothing_uses_is_said_to_be_so() -> None:
    users = [path for path in sources() if re.search(r"^\s*(?:import|from) redis\b", path)]
    assert users == []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for extras in re.findall(r"the extras [^.|]*", text):
            assert "`redis` (reserved for several nodes; nothing uses it yet)" in extras, page


def sources() -> Iterator[str]:
    """The text of every source file."""
    for folder in ("tornado_webrtc", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path.read_text(encoding="utf-8")


def test_readme_make_targets_exist() -> None:
    commands = [line for line in shell_lines(ROOT / "README.md") if line.startswith("make ")]
    assert commands == ["make run", "make test"]
    for command in commands:
        subprocess.run([*command.split(), "-n"], cwd=ROOT, check=True, capture_output=True)


def test_readme_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"tornado-webrtc ((?:init|check)[^`\n]*)", text)
    assert {command.split()[0] for command in commands} == {"init", "check"}
    for command in commands:
        result = runner.invoke(main, command.split())
        assert result.exit_code == 0, result.output


def test_help_is_the_map_of_the_commands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for command in main.commands:
        assert re.search(rf"^  {command} ", result.output, re.MULTILINE), command


def test_signaling_guide_states_the_defaults() -> None:
    limits = Signaling()
    for sentence in (
        f"within {limits.hello_timeout_s:g} s (`hello_timeout_s`)",
        f"Every {limits.heartbeat_s:g} s (`heartbeat_s`)",
        f"more than {limits.legacy_list_max} peers (`legacy_list_max`)",
        f"above {limits.max_message_bytes // 1024} kB (`max_message_bytes`)",
        f"`messages_per_s` ({limits.messages_per_s:g},",
    ):
        assert sentence in SIGNALING, sentence


def test_turn_guide_states_the_defaults() -> None:
    turn, settings = Turn(), TurnSettings(realm="x")
    for sentence in (
        f"UDP {turn.port}, TCP {turn.port_tcp}, and UDP {turn.relay_ports.first} to",
        f"| UDP {turn.port} | clients",
        f"| TCP {turn.port_tcp} | clients",
        f"| UDP {turn.relay_ports.first}-{turn.relay_ports.last} | relayed",
        f"TURN on UDP port {turn.port}, TCP port {turn.port_tcp}; relaying on",
        f"relaying on UDP ports {turn.relay_ports.first} to {turn.relay_ports.last}",
    ):
        assert sentence in TURN, sentence
    assert "lives for ten minutes unless its client asks for more, an hour at most" in TURN
    assert (settings.default_lifetime_s, settings.max_lifetime_s) == (600, 3600)


def test_turn_guide_names_keys_that_exist() -> None:
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TURN))
    assert {"public_ip", "deny_peers", "users_file"} <= names
    elsewhere = {*vars(hookspecs), "logging_console"}
    keys = {each.name for each in dataclasses.fields(Turn)}
    assert names - keys - elsewhere == set()


def test_turn_guide_states_how_requests_wait_for_plugins() -> None:
    settings = TurnSettings(realm="x")
    text, plugins = " ".join(TURN.split()), " ".join(PLUGINS.split())
    for sentence in (
        f"takes more than {settings.question_timeout_s:g} s is answered with the error 500",
        f"while {settings.max_lookups_per_client} from its IPv4 address or IPv6 /64",
        f"or {settings.max_lookups:,} in all, wait for",
    ):
        assert sentence in text, sentence
    for sentence in (
        f"has {settings.question_timeout_s:g} s for all plugins together",
        f"at most {settings.max_lookups_per_client} requests from one",
        f"and {settings.max_lookups:,} in all",
    ):
        assert sentence in plugins, sentence


def test_turn_guide_counts_what_a_call_allocates() -> None:
    ports = Turn().relay_ports
    assert f"The usual range holds {(ports.last - ports.first + 1) // 8:,} calls" in TURN


def test_turn_guide_tries_the_ports_that_are_served() -> None:
    tried = re.findall(r"^turnutils_uclient (.*?)-y -p (\d+) ", TURN, re.MULTILINE)
    assert tried == [("", str(Turn().port)), ("-t ", str(Turn().port_tcp))]


def test_http_guide_shows_the_ports_that_are_served() -> None:
    shown = re.findall(r"turn:[\d.]+:(\d+)\?transport=(\w+)", HTTP)
    assert shown == [(str(Turn().port), "udp"), (str(Turn().port_tcp), "tcp")]


@pytest.mark.parametrize(
    "kind", [Identity, Refused, Denied, IceServer, TurnCredential, StreamProtocol]
)
def test_plugin_guide_says_what_must_be_given(kind: type[Any]) -> None:
    row = re.search(rf"^\| `{kind.__name__}` \|(.*)\|(.*)\|$", PLUGINS, re.MULTILINE)
    assert row
    given, left_out = (re.findall(r"`(\w+)`", cell) for cell in row.groups())
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    assert given == [each.name for each in fields if each.default is missing]
    defaults = {each.name: repr(each.default) for each in fields if each.default is not missing}
    assert [name for name in left_out if name in defaults] == list(defaults)
    for value in defaults.values():
        assert f"`{value}`".replace("'", '"') in row[2]


@pytest.mark.parametrize("kind", [Peer, Session])
def test_plugin_guide_describes_what_hooks_are_told_of(kind: type[Peer | Session]) -> None:
    rows = table_of(f"A `{kind.__name__}` ")
    assert sorted(rows) == sorted(each.name for each in dataclasses.fields(kind))


def test_plugin_guide_shows_what_the_server_has(tmp_path: Path) -> None:
    rows = table_of("`server`, a ")
    server = Server(Config(general=General(state_dir=tmp_path)))
    assert {"config", "clock", "hub"} <= {row.partition(".")[0] for row in rows}
    for row in rows:
        value: object = server
        for name in row.split("."):
            if (name, value) != ("port", server):  # there is none before it is started
                value = getattr(value, name)


def table_of(sentence: str) -> list[str]:
    """Return the names in the first column of the table that follows a sentence."""
    _, _, rest = PLUGINS.partition(f"\n{sentence}")
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table, sentence
    first = re.findall(r"^\|([^|]*)\|", table[0], re.MULTILINE)
    return [name for cell in first for name in re.findall(r"`([\w.]+)(?:\(.*?\))?`", cell)]


def test_turn_guide_names_networks_that_are_denied() -> None:
    shown = {ip_network(each) for each in re.findall(r"\b\d+\.\d+\.\d+\.\d+/\d+(?=[, ;])", TURN)}
    assert len(shown) >= 6
    policy = PeerPolicy((), (), frozenset)
    assert [each for each in shown if policy.verdict(each[1]).allowed] == []
