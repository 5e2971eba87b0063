"""What the README and the guides say is true: commands, links, codes, numbers."""

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from click.testing import CliRunner

from tornado_webrtc import hookspecs
from tornado_webrtc.cli import main
from tornado_webrtc.config import Signaling, Turn
from tornado_webrtc.turn.policy import PeerPolicy
from tornado_webrtc.turn.settings import TurnSettings
from tornado_webrtc.web.connection import CloseCode

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TURN = (ROOT / "docs" / "turn.md").read_text()
SIGNALING = (ROOT / "docs" / "signaling.md").read_text()

# What an error of the HTTP endpoints is called stands in docs/http.md by example only.
CODE = re.compile(r"SignalingError\(\s*\"([a-z-]+)\"|Denied\([^)]*\"([a-z]+-[a-z-]+)\"\)")


def shell_lines(page: Path) -> Iterator[str]:
    """Every command line that a page shows."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            command = line.partition("#")[0].strip()
            if command:
                yield command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


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


def test_signaling_guide_names_every_error_code() -> None:
    sources = [
        *(ROOT / "tornado_webrtc" / "signaling").glob("*.py"),
        *(ROOT / "tornado_webrtc" / "web").glob("*.py"),
        ROOT / "tornado_webrtc" / "hooks.py",
    ]
    matches = [match for path in sources for match in CODE.findall(path.read_text())]
    found = {code for match in matches for code in match if code}
    assert found >= {"bad-message", "not-found", "plugin-failed"}
    documented = set(re.findall(r"^\| `([a-z-]+)`", SIGNALING, re.MULTILINE))
    assert found - documented == set()


def test_signaling_guide_names_every_close_code() -> None:
    codes = {value for name, value in vars(CloseCode).items() if name.isupper()}
    documented = {int(code) for code in re.findall(r"^\| (\d{4}) ", SIGNALING, re.MULTILINE)}
    assert documented - {1009} == codes, "1009 is sent by Tornado itself"


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


def test_turn_guide_names_networks_that_are_denied() -> None:
    shown = {ip_network(each) for each in re.findall(r"\b\d+\.\d+\.\d+\.\d+/\d+(?=[, ;])", TURN)}
    assert len(shown) >= 6
    policy = PeerPolicy((), (), frozenset)
    assert [each for each in shown if policy.verdict(each[1]).allowed] == []
